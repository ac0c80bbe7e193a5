"""Runs side by side as Markdown and pictures, see `pdsn.run.comparison`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pdsn.masks.strategy import heading
from pdsn.report.figures import RIGHT, WRONG, new_figure, save_figure
from pdsn.report.table import markdown_table, points

Record = dict[str, Any]
TABLE_5_1 = {
    0: (1.279, 0.990),
    10: (1.699, 1.407),
    20: (1.970, 1.667),
    30: (1.975, 1.679),
    40: (1.960, 1.689),
    50: (1.977, 1.556),
    60: (1.989, 1.608),
    70: (1.988, 1.545),
}
"""papers/001, table 5.1: median squared distance of impostor and of genuine pairs of RMFRD, by layers trained from VGGFace2."""


def rate(told: Mapping[str, Any] | None, name: str = "rate") -> str:
    """A rate in per cent; empty where there is none."""
    return "" if not told or told.get(name) is None else f"{100 * told[name]:.1f}"


def with_interval(told: Mapping[str, Any] | None, name: str = "rate") -> str:
    """The same with its interval."""
    return (
        "" if not told else f"{rate(told, name)} ({100 * told['ci95'][0]:.1f} to {100 * told['ci95'][1]:.1f})"
    )


def difference(told: Mapping[str, Any] | None) -> str:
    """What a system is above the first, in points; empty for the first."""
    return "" if not told or "difference" not in told else points(told["difference"], told["difference_ci95"])


def costs_of(record: Record) -> list[str]:
    """Minutes of training, millions of parameters, milliseconds a face, and those of its comparison; empty where unknown."""
    minutes, weights, face, comparing = (
        record[name] for name in ("minutes", "parameters", "milliseconds", "comparing")
    )
    return [
        "" if minutes is None else f"{minutes:.0f}",
        "" if weights is None else f"{weights / 1e6:.1f}",
        "" if face is None else f"{face:.1f}",
        "" if comparing is None else f"{comparing:.2g}",
    ]


def markdown(table: Record) -> str:
    """The table: a row for each run and strategy."""
    systems = table["systems"]
    groups = list(systems[0]["rank1"])
    kinds = list(systems[0]["verification"])
    first = systems[0]
    head = [
        "run", "strategy", *(f"rank-1, {group}, %" for group in groups), *(f"above the first, {group}" for group in groups),
        *(f"EER, {kind}, %" for kind in kinds), *(f"EER above the first, {kind}" for kind in kinds),
        *(f"TAR at FAR 1e-2, {kind}, %" for kind in kinds), "training, min", "parameters, millions", "ms a face", "ms to compare it",
    ]  # fmt: skip
    rows = [
        [
            one["run"],
            heading(one["strategy"]),
            *(with_interval(one["rank1"][group]) for group in groups),
            *(difference(one["rank1"][group]) for group in groups),
            *(with_interval(one["verification"].get(kind), "eer") for kind in kinds),
            *(difference(one["verification"].get(kind)) for kind in kinds),
            *(rate(one["verification"].get(kind), "tar1e-2") for kind in kinds),
            *costs_of(one),
        ]
        for one in systems
    ]
    occlusions = list(first["by_occlusion"])
    lines = [
        f"{table['probes']} probes, seed {table['seed']}. Differences are points above the first row, on the same probes; "
        "intervals are 95 % over people, the same resamples for every row.",
        "",
        *(f"{name}: {', '.join(members)}." for name, members in table["groups"].items()),
        "",
        *markdown_table(head, rows),
        "",
        "Rank-1 in %, by occlusion.",
        "",
        *markdown_table(
            ["run", "strategy", *occlusions],
            [
                [
                    one["run"],
                    heading(one["strategy"]),
                    *(f"{100 * one['by_occlusion'][name]:.1f}" for name in occlusions),
                ]
                for one in systems
            ],
        ),
    ]
    if table["layers"]:
        lines += [
            "",
            "Median squared distances of pairs of a clean and an occluded photo (mean over occlusions) by layers that were "
            "trained, beside papers/001, table 5.1 (RMFRD, from VGGFace2's weights).",
            "",
            *markdown_table(
                ["layers", "impostor", "genuine", "gap", "001: impostor", "genuine", "gap"],
                [_layers_row(row) for row in table["layers"]],
            ),
        ]
    return "\n".join(lines) + "\n"


def _layers_row(row: Record) -> list[str]:
    theirs = TABLE_5_1[row["layers"]]
    ours = (row["imedian"], row["gmedian"])
    return [
        str(row["layers"]),
        *(f"{value:.3f}" for pair in (ours, theirs) for value in (*pair, pair[0] - pair[1])),
    ]


def plot_comparison(table: Record, path: Path) -> None:
    """Rank-1 of every system by group of occlusions with intervals, and beside it the equal error rates."""
    systems = table["systems"]
    groups, kinds = list(systems[0]["rank1"]), list(systems[0]["verification"])
    names = [f"{one['run']}, {heading(one['strategy'])}" for one in systems]
    canvas = new_figure(10 if kinds else 6.5, 0.32 * len(systems) + 1.6)
    grid = canvas.subplots(1, 2 if kinds else 1, squeeze=False, sharey=True)[0]
    _dots(grid[0], [one["rank1"] for one in systems], groups, "rate", "rank-1, %")
    if kinds:
        _dots(grid[1], [one["verification"] for one in systems], kinds, "eer", "equal error rate, %")
    grid[0].set_yticks(range(len(names)), names, fontsize=8)
    grid[0].invert_yaxis()
    save_figure(canvas, path)


def _dots(
    axes: Any, told: Sequence[Mapping[str, Any]], names: Sequence[str], figure: str, label: str
) -> None:
    for place, name in enumerate(names):
        rows = [row for row, one in enumerate(told) if name in one]
        values = np.array([told[row][name][figure] for row in rows])
        low, high = np.array([told[row][name]["ci95"] for row in rows]).T
        error = 100 * np.maximum([values - low, high - values], 0)
        at = np.array(rows) + (place - (len(names) - 1) / 2) * 0.15
        axes.errorbar(100 * values, at, xerr=error, fmt="o", ms=4, lw=0.8, label=name)
    axes.set_xlabel(label)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=7, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def plot_layers(rows: Sequence[Record], path: Path) -> None:
    """Distances against the layers that were trained, and the gap of their medians (papers/001, figures 5.3 and 5.5).

    Args:
        rows: of each number of layers the figures of `verification.separation`, squared distances.
        path: the PNG to write.
    """
    canvas = new_figure(9, 3.6)
    left, right = canvas.subplots(1, 2)
    layers = [row["layers"] for row in rows]
    for letter, name, colour, side in (("g", "genuine", RIGHT, -1.5), ("i", "impostor", WRONG, 1.5)):
        boxes = [
            {
                "med": row[f"{letter}median"],
                "q1": row[f"{letter}q25"],
                "q3": row[f"{letter}q75"],
                "whislo": row[f"{letter}q5"],
                "whishi": row[f"{letter}q95"],
                "label": str(row["layers"]),
            }
            for row in rows
        ]
        drawn = left.bxp(
            boxes,
            positions=[number + side for number in layers],
            widths=2.4,
            showfliers=False,
            patch_artist=True,
        )
        for box in drawn["boxes"]:
            box.set_facecolor(colour)
            box.set_alpha(0.6)
        left.plot([], [], "s", color=colour, alpha=0.6, label=name)
    left.set_xticks(layers, [str(number) for number in layers])
    left.set_ylabel("squared distance")
    left.legend(fontsize=8)
    right.plot(layers, [row["gap"] for row in rows], "o-", color="#34495e", label="these runs")
    theirs = [impostor - genuine for impostor, genuine in TABLE_5_1.values()]
    right.plot(list(TABLE_5_1), theirs, "s--", color="#7f8c8d", label="001, RMFRD")
    right.set_ylabel("gap of the medians")
    right.legend(fontsize=8)
    for axes in (left, right):
        axes.set_xlabel("layers trained")
        axes.grid(alpha=0.25)
    save_figure(canvas, path)
