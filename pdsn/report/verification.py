"""The table of verification as Markdown and JSON, its ROC curves and the distances of its pairs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pdsn.evaluation.pairs import ScoredPairs
from pdsn.evaluation.scores_file import SCORES, Key, save_scores
from pdsn.evaluation.verification import DISTANCES, FARS, Curve, PairScores
from pdsn.files import write_text
from pdsn.masks.strategy import heading
from pdsn.report.figures import RIGHT, WRONG, new_figure, save_figure
from pdsn.report.table import drafting, markdown_table, replace_by_draft

Record = dict[str, Any]
MOST_DRAWN = 2000
"""Distances of a kind that a box plot is drawn from; of more, as many spread evenly."""
OF_DISTANCES = {
    "gmean": "GMean",
    "imean": "IMean",
    "gmedian": "median, genuine",
    "imedian": "median, impostor",
    "gap": "gap",
    "fdr": "FDR",
}
"""Columns of the table of distances, by the figure that each shows."""


def percent(value: float | None, digits: int = 1) -> str:
    """A rate in per cent, "n/a" where the pairs are too few to tell it."""
    return "n/a" if value is None else f"{100 * value:.{digits}f}"


def with_interval(record: Record, name: str) -> str:
    """A rate in per cent with its interval, where it has one."""
    if name not in record["ci95"]:
        return percent(record[name])
    low, high = record["ci95"][name]
    return f"{percent(record[name])} ({percent(low)} to {percent(high)})"


def markdown(table: Record) -> str:
    """The figures of every kind of pair, occlusion and strategy."""
    head = (
        "pairs", "occlusion", "strategy", "genuine", "impostors", "EER, %", *(f"TAR at FAR {name}, %" for name in FARS),
        "FMR100, %", "FMR1000, %", "accuracy, %", "FMR at the fixed threshold, %", "FNMR there, %", "accuracy there, %",
    )  # fmt: skip
    rows = [
        (
            record["kind"],
            record["occlusion"],
            heading(record["strategy"]),
            str(record["genuine"]),
            str(record["impostors"]),
            *(with_interval(record, name) for name in ("eer", *(f"tar{far}" for far in FARS))),
            *(percent(record[name]) for name in ("fmr100", "fmr1000", "accuracy")),
            *(percent(record.get(f"fixed_{name}")) for name in ("fmr", "fnmr", "accuracy")),
        )
        for record in table["records"]
    ]
    lines = [
        "Verification. Scores are cosines in standard deviations above the mean of strangers covered alike; intervals are 95 % over "
        "people. The fixed threshold lets 1 % of the impostors among clean validation pairs pass.",
        "",
        *markdown_table(head, rows),
    ]
    for distance in DISTANCES:
        rows = [
            (
                record["kind"],
                record["occlusion"],
                heading(record["strategy"]),
                *(f"{record['distances'][distance][name]:.3f}" for name in OF_DISTANCES),
            )
            for record in table["records"]
        ]
        lines += [
            "",
            f"Distances ({distance}): means and medians of genuine and impostor pairs, the gap of the medians, FDR.",
            "",
            *markdown_table(("pairs", "occlusion", "strategy", *OF_DISTANCES.values()), rows),
        ]
    return "\n".join(lines) + "\n"


def write_verification(folder: Path, found: Mapping[Key, ScoredPairs], table: Record) -> None:
    """Write table.md, table.json, the scores and the figures, and put all of it in the old ones' place.

    Args:
        folder: where they go.
        found: the scores.
        table: content of table.json.
    """
    with drafting(folder) as figures:
        for occlusion in dict.fromkeys(key[0] for key in found):
            own = {key: scored for key, scored in found.items() if key[0] == occlusion}
            name = occlusion.replace("/", "-").replace(":", "-")
            plot_roc({key: scored.scores for key, scored in own.items()}, figures / f"roc-{name}.png")
            plot_distances(
                {key: scored.cosines for key, scored in own.items()}, figures / f"distances-{name}.png"
            )
        save_scores(figures.parent / SCORES, {key: scored.scores for key, scored in found.items()})
        write_text(figures.parent / "table.md", markdown(table))
        write_text(figures.parent / "table.json", json.dumps(table, indent=2) + "\n")
        replace_by_draft(folder)


def plot_roc(scores: Mapping[Key, PairScores], path: Path) -> None:
    """ROC curves of one occlusion, a plot for each kind of pair; FAR on a log axis from one impostor pair on."""
    kinds = list(dict.fromkeys(kind for _, kind, _ in scores))
    canvas = new_figure(4.6 * len(kinds), 4.0)
    grid = canvas.subplots(1, len(kinds), squeeze=False)[0]
    for axes, kind in zip(grid, kinds, strict=True):
        for (occlusion, own, strategy), pairs in scores.items():
            if own == kind:
                far, frr = Curve(pairs).rates(np.ones(len(pairs.genuine)), np.ones(len(pairs.impostor)))
                axes.plot(
                    np.maximum(far, 1 / len(pairs.impostor)), 100 * (1 - frr), lw=1.2, label=heading(strategy)
                )
                axes.set_title(f"{occlusion}, {kind}", fontsize=9)
        axes.set_xscale("log")
        axes.set_ylim(0, 101)
        axes.set_xlabel("false accept rate")
        axes.set_ylabel("true accept rate, %")
        axes.grid(alpha=0.25)
        axes.legend(fontsize=7, loc="lower right")
    save_figure(canvas, path)


def plot_distances(cosines: Mapping[Key, PairScores], path: Path) -> None:
    """Box plots of the L2 distances of genuine and impostor pairs of one occlusion, by strategy and kind."""
    canvas = new_figure(1.2 * len(cosines) + 2, 4.0)
    axes = canvas.subplots()
    values, names, colours = [], [], []
    for (_, kind, strategy), pairs in cosines.items():
        for cosine, colour in ((pairs.genuine, RIGHT), (pairs.impostor, WRONG)):
            known = cosine[~np.isnan(cosine)]
            values.append(DISTANCES["l2"](known[:: max(len(known) // MOST_DRAWN, 1)]))
            colours.append(colour)
        names.append(f"{heading(strategy)}\n{kind}")
    places = [3 * pair + side for pair in range(len(names)) for side in (0, 1)]
    boxes = axes.boxplot(values, positions=places, widths=0.8, patch_artist=True, showfliers=False)
    for box, colour in zip(boxes["boxes"], colours, strict=True):
        box.set_facecolor(colour)
        box.set_alpha(0.6)
    axes.set_xticks([3 * pair + 0.5 for pair in range(len(names))], names, fontsize=7)
    axes.set_ylabel("L2 distance (green: one person, red: two)")
    axes.grid(axis="y", alpha=0.25)
    save_figure(canvas, path)
