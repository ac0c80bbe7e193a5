"""The table of measured explanations as Markdown and JSON, and where the maps lie as a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pdsn.files import write_text
from pdsn.masks.strategy import NO_FDM, heading
from pdsn.report.figures import new_figure, save_figure
from pdsn.report.table import drafting, markdown_table, replace_by_draft

Record = dict[str, Any]
HEADINGS = {
    "focus": "attribution on covered pixels, 1 is chance",
    "deletion": "deletion",
    "insertion": "insertion",
    "random": "likeness to random weights",
}
"""What the figures of a record are called."""


def rounded(record: Record, name: str) -> str:
    """A figure with its interval, or its change with a sign; empty where there is none."""
    if record.get(name) is None:
        return ""
    low, high = record[f"{name}_ci95"]
    sign = "+" if name.endswith("_change") else ""
    return f"{record[name]:{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


def rows_of(records: Sequence[Record]) -> tuple[list[str], list[list[str]]]:
    """Heading and rows of the table: a row for each method, occlusion and matcher, the change from no FDM last."""
    head = ["method", "occlusion", "matcher", *HEADINGS.values(), "change of the first from no FDM"]
    rows = [
        [
            record["method"],
            record["occlusion"],
            heading(record["strategy"]),
            *(rounded(record, name) for name in HEADINGS),
            rounded(record, "focus_change"),
        ]
        for record in records
    ]
    return head, rows


def markdown(table: Record) -> str:
    """The figures as Markdown."""
    head, rows = rows_of(table["records"])
    first = table["records"][0]
    lines = [
        f"Explanations of {first['photos']} photos under each occlusion, each of the score with the nearest photo of its own "
        "person; means with 95 % intervals over people.",
        "",
        *markdown_table(head, rows),
        "",
        "Deletion and insertion are areas under the cosine while pixels go or come in the order of the map: less and more are "
        "better.",
    ]
    return "\n".join(lines) + "\n"


def write_explanations(folder: Path, table: Record) -> None:
    """Write table.md, table.json and focus.png whole, in the place of what was there."""
    with drafting(folder) as figures:
        plot_focus(table["records"], figures / "focus.png")
        draft = figures.parent
        write_text(draft / "table.md", markdown(table))
        write_text(draft / "table.json", json.dumps(table, indent=2) + "\n")
        replace_by_draft(folder)


def plot_focus(records: Sequence[Record], path: Path) -> None:
    """Share of the attribution on covered pixels over their share of the area, with intervals, a panel for each method."""
    told = [record for record in records if record["focus"] is not None]
    methods = list(dict.fromkeys(record["method"] for record in records))
    strategies = sorted(dict.fromkeys(record["strategy"] for record in records), key=lambda s: s != NO_FDM)
    rows = list(dict.fromkeys(record["occlusion"] for record in told))
    canvas = new_figure(max(0.5 * len(rows) + 1, 4), 2.4 * len(methods) + 0.8)
    panels = canvas.subplots(len(methods), 1, sharex=True, squeeze=False)
    for axes, method in zip(panels.flat, methods, strict=True):
        for place, strategy in enumerate(strategies):
            chosen = [r for r in told if (r["method"], r["strategy"]) == (method, strategy)]
            at = [rows.index(r["occlusion"]) + (place - (len(strategies) - 1) / 2) * 0.25 for r in chosen]
            values = [r["focus"] for r in chosen]
            low = [max(r["focus"] - r["focus_ci95"][0], 0) for r in chosen]
            high = [max(r["focus_ci95"][1] - r["focus"], 0) for r in chosen]
            axes.errorbar(at, values, [low, high], fmt="o", ms=4, lw=1, label=heading(strategy))
        axes.axhline(1, color="#7f8c8d", lw=0.8)
        axes.set_ylim(bottom=0)
        axes.set_title(method, fontsize=9)
        axes.grid(axis="y", alpha=0.25)
    panels[-1, 0].set_xticks(range(len(rows)), rows, rotation=30, ha="right", fontsize=8)
    panels[0, 0].legend(fontsize=7, ncols=len(strategies), loc="upper right")
    canvas.supylabel("on covered pixels, times chance", fontsize=9)
    save_figure(canvas, path)
