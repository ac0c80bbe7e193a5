"""The results table as Markdown, JSON and a CSV line per probe."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from pdsn.files import write_text
from pdsn.recognition.evaluation import NO_FDM, Evaluation

Record = dict[str, Any]


def strategies_of(records: list[Record]) -> list[str]:
    """Names of the strategies, in the order of the records."""
    return list(dict.fromkeys(record["strategy"] for record in records))


def table_rows(records: list[Record]) -> list[tuple[str, list[Record | None]]]:
    """One row for each occlusion: its records in the order of `strategies_of`, None where one is missing."""
    cells = {(record["occlusion"], record["strategy"]): record for record in records}
    names = strategies_of(records)
    occlusions = dict.fromkeys(record["occlusion"] for record in records)
    return [(name, [cells.get((name, strategy)) for strategy in names]) for name in occlusions]


def cell(record: Record | None) -> str:
    """Rank-1 in per cent, with its distance to no FDM where there is one."""
    if record is None:
        return ""
    gain = f" ({100 * record['gain']:+.1f})" if "gain" in record else ""
    return f"{100 * record['rank1']:.2f}{gain}"


def heading(strategy: str) -> str:
    """Column heading of a strategy."""
    return "no FDM" if strategy == NO_FDM else strategy


def markdown(records: list[Record], *, unseen: bool = False) -> str:
    """The table in the form of Table 1 of Johnston & Ngxande: rank-1 in %, a row for each occlusion.

    Below it the single figures, and the open-set rates.

    Args:
        records: see `Evaluation.records`.
        unseen: the title says that the base was never trained on these people.
    """
    names = strategies_of(records)
    whom = "Rank-1 in %, people never seen in training" if unseen else "Rank-1 in %"
    lines = [
        f"{whom}; in brackets the distance to no FDM.",
        "",
        "| occlusion | " + " | ".join(heading(name) for name in names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    lines += [f"| {name} | " + " | ".join(cell(r) for r in row) + " |" for name, row in table_rows(records)]
    lines += [
        "",
        "| occlusion | strategy | probes | rank-1 | 95 % interval | rank-5 | rank-1 per person | rank-5 per person | gain, 95 % interval |",
        "|---" * 9 + "|",
    ]
    for r in records:
        gain = (
            ""
            if "gain" not in r
            else f"{100 * r['gain']:+.2f} [{100 * r['gain_ci95'][0]:+.2f}, {100 * r['gain_ci95'][1]:+.2f}]"
        )
        lines.append(
            f"| {r['occlusion']} | {heading(r['strategy'])} | {r['probes']} | {100 * r['rank1']:.2f} "
            f"| {100 * r['ci95'][0]:.2f} to {100 * r['ci95'][1]:.2f} | {100 * r['rank5']:.2f} "
            f"| {100 * r['rank1_per_person']:.2f} | {100 * r['rank5_per_person']:.2f} | {gain} |"
        )
    lines += [
        "",
        "Open set: % of the probes that are named right, where at most 1 % / 10 % of strangers are named.",
        "",
        "| occlusion | " + " | ".join(heading(name) for name in names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    lines += [f"| {name} | " + " | ".join(_open(r) for r in row) + " |" for name, row in table_rows(records)]
    return "\n".join(lines) + "\n"


def _open(record: Record | None) -> str:
    """TPIR at an FPIR of 1 % and 10 %, in per cent."""
    return "" if record is None else f"{100 * record['tpir01']:.1f} / {100 * record['tpir10']:.1f}"


def segmentation_markdown(records: list[Record]) -> str:
    """How well the covered pixels were found: a row for each occlusion."""
    lines = [
        "| occlusion | photos with a face | pixels told right, % | foreground IoU | trigger a region, % | would by the exact mask, % |",
        "|---" * 6 + "|",
    ]
    for r in records:
        iou = "" if r["iou"] is None else f"{r['iou']:.3f}"
        shares = (
            "" if r[name] is None else f"{100 * r[name]:.{digits}f}"
            for name, digits in (("pixel_accuracy", 2), ("triggered", 1), ("triggered_exact", 1))
        )
        accuracy, triggered, exact = shares
        lines.append(f"| {r['occlusion']} | {r['photos']} | {accuracy} | {iou} | {triggered} | {exact} |")
    return "\n".join(lines) + "\n"


def write_report(folder: Path, evaluation: Evaluation, table: Record) -> None:
    """Write probes.csv, segmentation.csv, table.md and, last, table.json, each atomically.

    Args:
        folder: the run's eval folder.
        evaluation: the answers.
        table: content of table.json: `Evaluation.records`, the segmentation's, and how the table was made.
    """
    dataset = evaluation.dataset
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ("occlusion", "strategy", "draw", "file", "person", "regions", "found_file", "found_person", "cosine",
         "stranger_cosine", "rank")
    )  # fmt: skip
    for answer in evaluation.answers:
        for index, row in enumerate(answer.rows):
            found = int(answer.found[index])
            nearest = (
                ("", "", "", "")
                if found < 0
                else (
                    dataset.files[found],
                    dataset.people[dataset.labels[found]],
                    f"{answer.cosine[index]:.4f}",
                    f"{answer.stranger[index]:.4f}",
                )
            )
            writer.writerow((
                answer.occlusion, answer.strategy, int(answer.draw[index]),
                dataset.files[row], dataset.people[dataset.labels[row]],
                " ".join(answer.regions[index]), *nearest, int(answer.ranks[index]),
            ))  # fmt: skip
    write_text(folder / "probes.csv", stream.getvalue())
    if table["segmentation"]:
        write_text(folder / "segmentation.csv", _segmentation_csv(evaluation))
    text = markdown(table["records"], unseen=table["config"]["split_by"] == "person")
    if table["segmentation"]:
        text += "\nSegmentation, means over photos.\n\n" + segmentation_markdown(table["segmentation"])
    write_text(folder / "table.md", text)
    write_text(folder / "table.json", json.dumps(table, indent=2) + "\n")


def _segmentation_csv(evaluation: Evaluation) -> str:
    """A line for each occlusion, draw and photo; empty cells where no face was found or nothing is covered."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("occlusion", "draw", "file", "pixel_accuracy", "iou", "triggered", "triggered_exact"))
    for occlusion, found in evaluation.found_pixels.items():
        for index, row in enumerate(found.rows):
            numbers = (found.accuracy[index], found.iou[index])
            writer.writerow((
                occlusion, int(found.draw[index]), evaluation.dataset.files[row],
                *("" if np.isnan(n) else f"{n:.4f}" for n in numbers),
                int(found.triggered[index]), int(found.triggered_exact[index]),
            ))  # fmt: skip
    return stream.getvalue()
