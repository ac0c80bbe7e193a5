"""The parts of a run's page that tell what it recognises: read from its tables, nothing is computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pdsn.masks.makers import is_control
from pdsn.masks.strategy import NO_FDM, heading
from pdsn.occlusion.occluders import BANDS, SPOKEN
from pdsn.occlusion.worn import KINDS
from pdsn.report.explanations import HEADINGS, NOTE, told
from pdsn.report.figures import new_figure
from pdsn.report.page import Block, Cell, Folded, Picture, Section, Table, drawing, photograph
from pdsn.report.table import (
    Record,
    points,
    rank1_clean,
    rank1_covered,
    strategies_of,
    table_rows,
)

PLAIN, OURS = "#7a838c", "#d2691e"
"""Colours of no FDM and of the strategy that the page is about."""
MOST_NAMED = 6
"""Kinds of cover that the headline names."""
HOW = (
    "Each photo is covered, and named after the enrolled person who is most like it. Rank-1 is the share of photos that are named "
    "right; the interval covers chance in who happens to be among the people."
)
NO_DIFFERENCE = (
    "Where all photos of a row are named right, or none changes by the masks, there is nothing to resample: the interval then says how "
    "much so many photos can have missed, and is wider than in a row where one or two changed, which is rather too narrow."
)


def headline(records: Sequence[Record], strategy: str, mean_gain: dict[str, Any]) -> str:
    """What the table says, in a sentence or two.

    Args:
        records: of the table.
        strategy: the one that the page is about.
        mean_gain: of the table, see `Evaluation.mean_gains`.
    """
    worn = [record for record in records if record["occlusion"] in KINDS] or records
    kinds = [name for name in dict.fromkeys(record["occlusion"] for record in worn) if name != "clean"]
    ours, plain = (rank1_covered(worn, name) for name in (strategy, NO_FDM))
    clean = rank1_clean(records, strategy)
    parts = []
    if ours is not None:
        beside = ""
        if strategy != NO_FDM and plain is not None:
            kind = "masks" if is_control(strategy) else "learned masks"
            beside = f" with the {kind} ({strategy}), {100 * plain:.1f} without"
        what = f"one of {len(kinds)} kinds of cover"
        if len(kinds) <= MOST_NAMED:
            what = _either([SPOKEN.get(name, name) for name in kinds])
        parts.append(
            f"With {what} painted on the face, {100 * ours:.1f} of 100 photos are named right{beside}."
        )
    if clean is not None:
        parts.append(f"Of photos with nothing covered it is {100 * clean:.1f}.")
    if strategy in mean_gain:
        gain = mean_gain[strategy]
        parts.append(
            f"With a white band over the {_either(gain['occlusions'])}, the masks add "
            f"{points(gain['gain'], gain['ci95'])} points on average (95 % interval)."
        )
    return " ".join(parts)


def _either(names: Sequence[str]) -> str:
    """Names as one speaks: "a, b or c"."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def recognition(records: Sequence[Record], strategy: str) -> Section:
    """Rank-1 by occlusion and strategy: a picture, the table, and the same counted by person."""
    return Section(
        "recognition",
        "What it recognises",
        [
            HOW,
            _dots(records, strategy),
            _columns_and_rows(records),
            _rank1_table(records),
            NO_DIFFERENCE,
            Folded("Counted by person instead of by photo, and further figures", [_further_table(records)]),
        ],
    )


def _columns_and_rows(records: Sequence[Record]) -> str:
    """What a newcomer has to know of the table's columns and rows, as far as they are there."""
    names = strategies_of(list(records))
    parts = ["No FDM compares faces as they are."]
    if len(names) > 1:
        parts.append("The others leave out what a cover spoils: most by a feature-discarding mask (FDM).")
    if "LM2" in names:
        parts.append(
            "LM2 is the paper's: for each of five bands of the face a network learned what to leave out."
        )
    if "matched" in names:
        parts.append("The masks of matched were learned in the comparison itself.")
    controls = [name for name in names if is_control(name)]
    if controls:
        parts.append(f"Controls, whose masks nobody learned: {', '.join(controls)}.")
    rows = {record["occlusion"] for record in records}
    if rows & {*BANDS, "nose+mouth+chin"}:
        parts.append("Rows named after a part of the face have a white band over it, from edge to edge.")
    if any(name.endswith("-textured") for name in rows):
        parts.append("Rows that end in textured have a pattern instead of one colour.")
    if any(name.endswith("-seen") for name in rows):
        parts.append(
            "Rows that end in seen have styles that were trained on; in all others what is worn is new."
        )
    return " ".join(parts)


def segmentation_section(records: Sequence[Record]) -> Section:
    """What the segmentation found covered."""
    rows = [
        [
            Cell(record["occlusion"]),
            Cell("" if record["iou"] is None else f"{record['iou']:.3f}"),
            Cell(_percent(record["pixel_accuracy"])),
            Cell(_percent(record["triggered"])),
            Cell(_percent(record["triggered_exact"])),
        ]
        for record in records
    ]
    head = [
        "occlusion",
        "overlap (IoU)",
        "pixels right, %",
        "faces with a region covered, %",
        "if every pixel were found, %",
    ]
    blocks: list[Block] = [
        "A segmentation finds which pixels are covered; a region counts as covered when enough of its pixels are. IoU is the overlap "
        "of what was found with what was painted: 1 is perfect. Clean faces should have no region covered.",
        Table("Means over the test photos", head, rows),
    ]
    return Section("coverage", "What is found covered", blocks if records else [])


def painted_section(records: Sequence[Record], strategy: str) -> Section:
    """The table of photos that were painted before detection: what a camera would deliver."""
    if not records:
        return Section("painted", "Photos covered before detection", [])
    lost = max(record["missed"] for record in records)
    return Section(
        "painted",
        "Photos covered before detection",
        [
            "Above, faces were found and aligned before they were covered. Here the photo itself was covered first, then the face was "
            f"searched, as with a camera; a face that is not found any more is an error. At most {lost} of {records[0]['probes']} "
            "were not found in a row.",
            _rank1_table([record for record in records if record["strategy"] in (NO_FDM, strategy)]),
        ],
    )


def explanations_section(table: Record | None, picture: Path) -> Section:
    """What `explain --evaluate` measured: its table, None for none, and its picture."""
    if table is None:
        return Section("explained", "Where scores come from", [])
    head = ["method and occlusion", "matcher", *HEADINGS.values()]
    rows = [
        [
            Cell(f"{record['method']}, {record['occlusion']}"),
            Cell(heading(record["strategy"])),
            *(Cell(told(record, name), record.get(name)) for name in HEADINGS),
        ]
        for record in table["records"]
    ]
    shown = photograph(picture, "For each method and occlusion the share of the map on covered pixels")
    return Section(
        "explained",
        "Where scores come from",
        [NOTE, shown, Folded("The figures", [Table("Means over photos", head, rows)])],
    )


def comparison_section(labels: Sequence[str], found: Sequence[Record]) -> Section:
    """Several runs side by side on the same probes, see `run.comparison.identification`."""
    groups = list(found[0]["rank1"])
    rows = []
    for label, one in zip(labels, found, strict=True):
        row = [Cell(label)]
        for group in groups:
            row.append(_rate(one["rank1"][group], "rate", "ci95"))
        last = one["rank1"][groups[-1]]
        row.append(
            Cell("" if "difference" not in last else points(last["difference"], last["difference_ci95"]))
        )
        rows.append(row)
    head = ["run and matcher", *(f"{group}, %" for group in groups), f"above the first, {groups[-1]}"]
    caption = "Rank-1 on the same probes; differences are paired, with 95 % intervals over people"
    return Section("comparison", "The runs side by side", [Table(caption, head, rows)])


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _rank1_table(records: Sequence[Record]) -> Table:
    names = strategies_of(list(records))
    gaining = [name for name in names if any("gain" in r for r in records if r["strategy"] == name)]
    rows = []
    for occlusion, row in table_rows(list(records)):
        by_name = dict(zip(names, row, strict=True))
        line = [Cell(occlusion)]
        for name in names:
            record = by_name[name]
            line.append(Cell("") if record is None else _rate(record, "rank1", "ci95"))
        for name in gaining:
            record = by_name[name]
            if record is None or "gain" not in record:
                line.append(Cell(""))
            else:
                line.append(Cell(points(record["gain"], record["gain_ci95"]), record["gain"]))
        rows.append(line)
    head = ["occlusion", *map(heading, names), *(f"{name} above no FDM" for name in gaining)]
    count = records[0]["probes"]
    return Table(f"Rank-1 in % of {count} photos, with 95 % intervals over people", head, rows)


def _further_table(records: Sequence[Record]) -> Table:
    rows = [
        [
            Cell(record["occlusion"]),
            Cell(heading(record["strategy"])),
            *(
                Cell(f"{100 * record[name]:.1f}")
                for name in ("rank1_per_person", "rank5_per_person", "rank5", "rank5_photos")
            ),
            Cell(str(record["missed"])),
        ]
        for record in records
    ]
    head = [
        "occlusion",
        "matcher",
        "rank-1 per person",
        "rank-5 per person",
        "rank-5",
        "rank-5 by photo",
        "faces not found",
    ]
    return Table("Means over people count everybody alike, however many photos they have; in %", head, rows)


def _rate(record: Record, rate: str, interval: str) -> Cell:
    low, high = record[interval]
    return Cell(f"{100 * record[rate]:.1f} ({100 * low:.1f} to {100 * high:.1f})", record[rate])


def _dots(records: Sequence[Record], strategy: str) -> Picture:
    """Rank-1 of no FDM and of a strategy by occlusion, with intervals."""
    rows = table_rows(list(records))
    names = strategies_of(list(records))
    shown = [name for name in (NO_FDM, strategy) if name in names]
    # About as wide as a phone, so that its letters can be read there.
    canvas = new_figure(4.6, 0.27 * len(rows) + 1.1)
    axes = canvas.subplots()
    for place, name in enumerate(shown):
        column = names.index(name)
        told = [(at, row[column]) for at, (_, row) in enumerate(rows) if row[column] is not None]
        values = [100 * record["rank1"] for _, record in told if record is not None]
        low = [100 * max(r["rank1"] - r["ci95"][0], 0) for _, r in told if r is not None]
        high = [100 * max(r["ci95"][1] - r["rank1"], 0) for _, r in told if r is not None]
        at = [at + 0.24 * (place - (len(shown) - 1) / 2) for at, _ in told]
        colour = PLAIN if name == NO_FDM else OURS
        axes.errorbar(values, at, xerr=[low, high], fmt="o", ms=5, lw=1.2, color=colour, label=heading(name))
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.invert_yaxis()
    axes.set_xlabel("rank-1, %")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    lines = []
    for name, row in rows:
        found = dict(zip(names, row, strict=True))
        rates = [f"{heading(s)} {100 * one['rank1']:.1f} %" for s in shown if (one := found[s])]
        lines.append(f"{name}: {', '.join(rates)}")
    return drawing(canvas, f"Rank-1 by occlusion. {'; '.join(lines)}", name="rank1")
