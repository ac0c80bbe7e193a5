"""The parts of a run's page about saying no: strangers below a threshold, and pairs that show two people; nothing is computed."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from pdsn.evaluation.evaluation import FPIRS
from pdsn.masks.strategy import heading
from pdsn.report.page import Block, Cell, Folded, Picture, Section, Table, cells
from pdsn.report.table import Record, open_set, strategies_of, table_rows
from pdsn.report.verification import percent, with_interval


def open_set_section(records: Sequence[Record], thresholds: list[Block]) -> Section:
    """The rates with a threshold: who is named right, and how many strangers are named at all."""
    blocks: list[Block] = [
        "With a threshold, people who are not enrolled are to be called unknown. The threshold was set on other photos so that "
        "1 % (or 10 %) of strangers pass; in brackets stands the share that really passed here. Both figures count: a system "
        "that lets more strangers pass names more people right as well."
    ]
    for key, fpir in FPIRS.items():
        told = [record for record in records if record[f"tpir{key}"] is not None]
        if not told:
            blocks.append(f"For {100 * fpir:g} % there are too few strangers among the photos to tell.")
            continue
        names = strategies_of(list(records))
        rows = [
            [Cell(name), *(_open_cell(record, key) for record in row)]
            for name, row in table_rows(list(records))
        ]
        caption = f"Named right, % (strangers named, %), {100 * fpir:g} % of strangers asked for"
        blocks.append(Table(caption, ["occlusion", *map(heading, names)], rows))
    return Section("open-set", "With a threshold for unknown people", [*blocks, *thresholds])


def thresholds_in_force(probes: Path, strategy: str) -> list[Block]:
    """The thresholds of each set of covered regions that occurred, from a table's probes.csv."""
    found: dict[str, tuple[str, str]] = {}
    counts: dict[str, int] = {}
    with probes.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["strategy"] == strategy:
                found.setdefault(row["regions"], (row["threshold01"], row["threshold10"]))
                counts[row["regions"]] = counts.get(row["regions"], 0) + 1
    rows = [
        [Cell(name.replace(" ", ", ") or "nothing"), *cells((str(counts[name]), *limits))]
        for name, limits in found.items()
    ]
    table = Table(
        f"Cosine above which a person is named, {heading(strategy)}, by what counts as covered",
        ["covered", "answers", "for 1 % of strangers", "for 10 % of strangers"],
        rows,
    )
    note = "A cosine is at most 1: where the threshold is above it, nobody is named."
    return [Folded("The thresholds in force", [note, table])]


def _open_cell(record: Record | None, key: str) -> Cell:
    if record is None or record[f"tpir{key}"] is None:
        return Cell("")
    return Cell(open_set(record, key), record[f"tpir{key}"])


def verification_section(table: Record | None, figures: Sequence[Picture]) -> Section:
    """Pairs of photos: the figures of `verify-eval`."""
    if table is None:
        return Section("verification", "Pairs of photos", [])
    tables = [_pairs_table(table, kind) for kind in dict.fromkeys(r["kind"] for r in table["records"])]
    blocks: list[Block] = [
        "Do two photos show one person? EER is the error rate at which as many pairs of one person are refused as pairs of two "
        "people pass; TAR is the share of pairs of one person that pass while 1 % of the others do.",
        *tables[:1],
        *(Folded(other.caption, [other]) for other in tables[1:]),
    ]
    if figures:
        blocks.append(Folded("The curves", [*figures]))
    return Section("verification", "Pairs of photos", blocks)


def _pairs_table(table: Record, kind: str) -> Table:
    rows = [
        [
            Cell(record["occlusion"]),
            Cell(heading(record["strategy"])),
            Cell(with_interval(record, "eer"), record["eer"]),
            Cell(with_interval(record, "tar1e-2"), record["tar1e-2"]),
            Cell(percent(record["tar1e-3"]), record["tar1e-3"]),
            Cell(percent(record["accuracy"]), record["accuracy"]),
        ]
        for record in table["records"]
        if record["kind"] == kind
    ]
    head = ["occlusion", "matcher", "EER, %", "TAR at FAR 1 %, %", "at FAR 0.1 %", "accuracy, %"]
    first, _, second = kind.partition("-")
    both = f"two {first} photos" if first == second else f"one {first} and one {second} photo"
    return Table(f"Pairs of {both}, with 95 % intervals over people", head, rows)
