"""The table of measured explanations as Markdown and JSON, and where the maps lie as a picture."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pdsn.explain.evaluation import Measured
from pdsn.files import write_text
from pdsn.masks.strategy import NO_FDM, heading
from pdsn.report.figures import new_figure, save_figure
from pdsn.report.table import drafting, markdown_table, replace_by_draft

Record = dict[str, Any]
HEADINGS = {
    "covered": "on what is covered, %",
    "area": "its area, %",
    "ratio": "first by second, 1 is chance",
    "bare": "uncovered, %",
    "change": "above no FDM, points",
    "deletion": "deletion",
    "insertion": "insertion",
    "random": "like random weights",
    "other": "like another person's photo",
}
"""What the figures of a record are called."""
NOTE = (
    "The share of a map on covered pixels; the area of these pixels; the first divided by the second, photo by photo: 1 where the map lies "
    "there no more and no less than elsewhere; the share of the clean photo's map on the same pixels. An FDM drops "
    "features around what is covered, so that part of the change is built in: the control random, which drops as many anywhere, "
    "tells how much. Deletion (less is better) and insertion (more is better) are areas under the score from 0, nothing is seen, to "
    "1, the whole face is, beside those of a random order. The last two are rank correlations of maps: with that of the same "
    "network with random weights, and with that of another person's photo; the nearer to 0, the more a map shows of what was learned, "
    "and of this photo."
)


def told(record: Record, name: str) -> str:
    """A figure with its interval, where it has one; empty where there is none."""
    value, interval = record.get(name), record.get(f"{name}_ci95")
    if value is None:
        return ""
    if name in ("deletion", "insertion"):
        return f"{value:.2f} (any order {record[f'{name}_any']:.2f})"
    if name in ("random", "other"):
        return f"{value:.2f}"
    if name == "ratio":
        return f"{value:.2f}" + ("" if interval is None else f" ({interval[0]:.2f} to {interval[1]:.2f})")
    sign = "+" if name == "change" else ""
    span = "" if interval is None else f" ({100 * interval[0]:{sign}.1f} to {100 * interval[1]:{sign}.1f})"
    return f"{100 * value:{sign}.1f}{span}"


def markdown(table: Record) -> str:
    """The figures as Markdown."""
    records = table["records"]
    head = ["method", "occlusion", "matcher", "photos with a map", *HEADINGS.values()]
    rows = [
        [
            record["method"],
            record["occlusion"],
            heading(record["strategy"]),
            f"{record['maps']} of {record['photos']}",
            *(told(record, name) for name in HEADINGS),
        ]
        for record in records
    ]
    lines = [
        f"Explanations of the score with the nearest photo of the probe's own person, {records[0]['photos']} photos under each "
        f"occlusion, {records[0]['curved']} of them for deletion and insertion; 95 % intervals over people.",
        "",
        *markdown_table(head, rows),
        "",
        NOTE,
    ]
    return "\n".join(lines) + "\n"


def write_explanations(
    folder: Path, table: Record, measured: Sequence[Measured], files: Sequence[str]
) -> None:
    """Write table.md, table.json, probes.csv and the picture whole, in the place of what was there.

    Args:
        folder: where they go.
        table: content of table.json.
        measured: the figures photo by photo.
        files: (P,) the photos.
    """
    with drafting(folder) as figures:
        plot_covered(table["records"], figures / "covered.png")
        draft = figures.parent
        write_text(draft / "probes.csv", _by_photo(measured, files))
        write_text(draft / "table.md", markdown(table))
        write_text(draft / "table.json", json.dumps(table, indent=2) + "\n")
        replace_by_draft(folder)


def _by_photo(measured: Sequence[Measured], files: Sequence[str]) -> str:
    """A line for each method, occlusion, matcher and photo; empty cells where a figure cannot be told."""
    names = ("covered", "bare", "area", "random", "other")
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("method", "occlusion", "strategy", "file", *names))
    for one in measured:
        columns = [getattr(one, name) for name in names]
        for file, values in zip(files, zip(*columns, strict=True), strict=True):
            numbers = ("" if np.isnan(value) else f"{value:.5f}" for value in values)
            writer.writerow((one.method, one.occlusion, one.strategy, file, *numbers))
    return stream.getvalue()


def plot_covered(records: Sequence[Record], path: Path) -> None:
    """Share of the maps on covered pixels, beside that of the same pixels uncovered and their area, a panel for each method."""
    known = [record for record in records if record["covered"] is not None]
    methods = list(dict.fromkeys(record["method"] for record in records))
    strategies = sorted(dict.fromkeys(record["strategy"] for record in records), key=lambda s: s != NO_FDM)
    rows = list(dict.fromkeys(record["occlusion"] for record in known))
    canvas = new_figure(max(0.55 * len(rows) + 1, 4), 2.4 * len(methods) + 0.8)
    panels = canvas.subplots(len(methods), 1, sharex=True, squeeze=False)
    for axes, method in zip(panels.flat, methods, strict=True):
        own = [record for record in known if record["method"] == method]
        for place, strategy in enumerate(strategies):
            chosen = [record for record in own if record["strategy"] == strategy]
            at = [rows.index(r["occlusion"]) + (place - (len(strategies) - 1) / 2) * 0.2 for r in chosen]
            axes.plot(at, [100 * r["covered"] for r in chosen], "o", ms=4, label=heading(strategy))
        plain = [record for record in own if record["strategy"] == NO_FDM]
        at = [rows.index(r["occlusion"]) for r in plain]
        axes.plot(at, [100 * r["area"] for r in plain], "_", ms=14, color="#7f8c8d", label="area")
        shown = [(place, r["bare"]) for place, r in zip(at, plain, strict=True) if r["bare"] is not None]
        axes.plot(
            [place for place, _ in shown],
            [100 * bare for _, bare in shown],
            "x",
            ms=5,
            color="black",
            label="uncovered",
        )
        axes.set_ylim(bottom=0)
        axes.set_title(method, fontsize=9)
        axes.grid(axis="y", alpha=0.25)
    panels[-1, 0].set_xticks(range(len(rows)), rows, rotation=30, ha="right", fontsize=8)
    panels[0, 0].legend(fontsize=7, ncols=4, loc="lower right", bbox_to_anchor=(1, 1.08))
    canvas.supylabel("of the map on covered pixels, %", fontsize=9)
    save_figure(canvas, path)
