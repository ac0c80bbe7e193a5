"""The results table as Markdown, JSON and a CSV line per probe."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pdsn.evaluation.evaluation import FPIRS, Evaluation
from pdsn.files import write_text
from pdsn.masks.strategy import heading

Record = dict[str, Any]
DRAFT = ".draft"
"""Name of the folder within a table's own in which the next one is put together."""


def strategies_of(records: list[Record]) -> list[str]:
    """Names of the strategies, in the order of the records."""
    return list(dict.fromkeys(record["strategy"] for record in records))


def table_rows(records: list[Record]) -> list[tuple[str, list[Record | None]]]:
    """One row for each occlusion: its records in the order of `strategies_of`, None where one is missing."""
    cells = {(record["occlusion"], record["strategy"]): record for record in records}
    names = strategies_of(records)
    occlusions = dict.fromkeys(record["occlusion"] for record in records)
    return [(name, [cells.get((name, strategy)) for strategy in names]) for name in occlusions]


def rank1_covered(records: Sequence[Record], strategy: str) -> float | None:
    """Mean rank-1, 0 to 1, of a strategy over all rows but clean photos; None where there are none."""
    rates = [r["rank1"] for r in records if r["strategy"] == strategy and r["occlusion"] != "clean"]
    return sum(rates) / len(rates) if rates else None


def rank1_clean(records: Sequence[Record], strategy: str) -> float | None:
    """Rank-1, 0 to 1, of a strategy on clean photos; None where they were not asked about."""
    return next((r["rank1"] for r in records if (r["occlusion"], r["strategy"]) == ("clean", strategy)), None)


def cell(record: Record | None) -> str:
    """Rank-1 in per cent, with its distance to no FDM where there is one."""
    if record is None:
        return ""
    gain = f" ({100 * record['gain']:+.1f})" if "gain" in record else ""
    return f"{100 * record['rank1']:.2f}{gain}"


def markdown(records: list[Record], *, unseen: bool = False) -> str:
    """The table in the form of Table 1 of Johnston & Ngxande: rank-1 in %, a row for each occlusion.

    Below it the single figures, and the open-set rates.

    Args:
        records: see `Evaluation.records`.
        unseen: the title says that the base was never trained on these people.
    """
    whom = "Rank-1 in %, people never seen in training" if unseen else "Rank-1 in %"
    head = (
        "occlusion", "strategy", "probes", "rank-1", "95 % interval", "rank-5", "rank-5 by photo",
        "rank-1 per person", "rank-5 per person", "gain, 95 % interval",
    )  # fmt: skip
    lines = [
        f"{whom}; in brackets the distance to no FDM.",
        "",
        *_across(records, cell),
        "",
        *markdown_table(head, map(_figures, records)),
        "",
        "Open set, 1 % of strangers named asked for: % of the probes that are named right (% of strangers named).",
        "",
        *_across(records, lambda record: open_set(record, "01")),
        "",
        "The same, 10 % asked for.",
        "",
        *_across(records, lambda record: open_set(record, "10")),
    ]
    return "\n".join(lines) + "\n"


def markdown_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """The lines of a Markdown table."""
    names = list(head)
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows)]


def _across(records: list[Record], show: Callable[[Record | None], str]) -> list[str]:
    """A row for each occlusion, a column for each strategy."""
    head = ["occlusion", *(heading(name) for name in strategies_of(records))]
    return markdown_table(head, ([name, *map(show, row)] for name, row in table_rows(records)))


def _figures(r: Record) -> list[str]:
    gain = ""
    if "gain" in r:
        low, high = (f"{100 * end:+.2f}" for end in r["gain_ci95"])
        gain = f"{100 * r['gain']:+.2f} [{low}, {high}]"
    low, high = (f"{100 * end:.2f}" for end in r["ci95"])
    names = ("rank5", "rank5_photos", "rank1_per_person", "rank5_per_person")
    rates = (f"{100 * r[name]:.2f}" for name in names)
    whose = [r["occlusion"], heading(r["strategy"]), str(r["probes"])]
    return [*whose, f"{100 * r['rank1']:.2f}", f"{low} to {high}", *rates, gain]


def points(difference: float, interval: Sequence[float]) -> str:
    """A difference of rates in points, with its interval."""
    low, high = interval
    return f"{100 * difference:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def open_set(record: Record | None, asked: str) -> str:
    """TPIR and, in brackets, the FPIR that was achieved where "01" or "10" % were asked for, in per cent."""
    if record is None or record[f"tpir{asked}"] is None:
        return ""
    return f"{100 * record[f'tpir{asked}']:.1f} ({100 * record[f'fpir{asked}']:.1f})"


def segmentation_markdown(records: list[Record]) -> str:
    """How well the covered pixels were found: a row for each occlusion."""
    head = (
        "occlusion",
        "photos with a face",
        "pixel accuracy, %",
        "foreground IoU",
        "region covered, %",
        "would by the exact mask, %",
    )

    def percent(share: float | None, digits: int) -> str:
        return "" if share is None else f"{100 * share:.{digits}f}"

    rows = (
        (
            r["occlusion"],
            str(r["photos"]),
            percent(r["pixel_accuracy"], 2),
            "" if r["iou"] is None else f"{r['iou']:.3f}",
            percent(r["triggered"], 1),
            percent(r["triggered_exact"], 1),
        )
        for r in records
    )
    return "\n".join(markdown_table(head, rows)) + "\n"


@contextmanager
def drafting(folder: Path) -> Iterator[Path]:
    """Yield an empty folder for the pictures of a table that is being made for `folder`, see `write_report`."""
    draft = folder / DRAFT
    shutil.rmtree(draft, ignore_errors=True)  # of a killed process
    try:
        (draft / "figures").mkdir(parents=True)
        yield draft / "figures"
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_report(folder: Path, evaluation: Evaluation, table: Record) -> None:
    """Write probes.csv, segmentation.csv, table.md and table.json, and put all of the draft in the old table's place.

    Args:
        folder: the folder of the table; its pictures are in its draft, see `drafting`.
        evaluation: the answers.
        table: content of table.json: `Evaluation.records`, the segmentation's, and how the table was made.
    """
    dataset = evaluation.dataset
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ("occlusion", "strategy", "draw", "file", "person", "regions", "found_file", "found_person", "cosine",
         "stranger_cosine", "rank", "photo_rank", "score", "stranger_score", "threshold01", "threshold10")
    )  # fmt: skip
    for answer in evaluation.answers:
        for index, row in enumerate(answer.rows):
            found = int(answer.found[index])
            mean, deviation = answer.normal[index]
            scores = (
                ("", "")
                if found < 0
                else (
                    f"{(cosine - mean) / deviation:.4f}"
                    for cosine in (answer.cosine[index], answer.stranger[index])
                )
            )
            limits = (answer.thresholds[fpr][index] for fpr in FPIRS.values())
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
            line = [
                answer.occlusion,
                answer.strategy,
                int(answer.draw[index]),
                dataset.files[row],
                dataset.people[dataset.labels[row]],
                " ".join(answer.regions[index]),
                *nearest,
                int(answer.ranks[index]),
                int(answer.photo_ranks[index]),
                *scores,
                *("" if np.isnan(limit) else f"{limit:.4f}" for limit in limits),
            ]
            writer.writerow(line)
    draft = folder / DRAFT
    write_text(draft / "probes.csv", stream.getvalue())
    if table["segmentation"]:
        write_text(draft / "segmentation.csv", _segmentation_csv(evaluation))
    text = markdown(table["records"], unseen=table["config"]["split_by"] == "person")
    if table["segmentation"]:
        text += "\nSegmentation, means over photos.\n\n" + segmentation_markdown(table["segmentation"])
    write_text(draft / "table.md", text)
    write_text(draft / "table.json", json.dumps(table, indent=2) + "\n")
    replace_by_draft(folder)


def replace_by_draft(folder: Path) -> None:
    """Put what `drafting` put together in the old table's place.

    Until the last file is there, nothing may pass for a finished table; and nothing of the old one may stay.
    """
    draft = folder / DRAFT
    for name in ("table.json", "segmentation.csv"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "figures", ignore_errors=True)
    for path in sorted(draft.iterdir(), key=lambda path: path.name == "table.json"):
        path.replace(folder / path.name)
    draft.rmdir()


def _segmentation_csv(evaluation: Evaluation) -> str:
    """A line for each occlusion, draw and photo; empty cells where no face was found or nothing is covered."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("occlusion", "draw", "file", "pixel_accuracy", "iou", "triggered", "triggered_exact"))
    for occlusion, found in evaluation.found_pixels.items():
        for index, row in enumerate(found.rows):
            numbers = (found.accuracy[index], found.iou[index])
            line = [
                occlusion,
                int(found.draw[index]),
                evaluation.dataset.files[row],
                *("" if np.isnan(n) else f"{n:.4f}" for n in numbers),
                int(found.triggered[index]),
                int(found.triggered_exact[index]),
            ]
            writer.writerow(line)
    return stream.getvalue()
