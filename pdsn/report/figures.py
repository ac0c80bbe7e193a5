"""Pictures of a run: training curves, what the masks keep, and who was found for whom."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pdsn.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pdsn.occlusion.layouts import Layout

ACROSS = 8
"""Occlusions beside each other in the picture of a table: more are drawn below, so that it fits a screen."""
RIGHT, WRONG = "#1b8a3a", "#c0392b"
LOSS, FIGURE = "#4f86c6", "#d2691e"
"""Colours of a training's curves."""


def metrics_of(root: Path) -> dict[str, list[dict[str, float]]]:
    """A row for each epoch of everything that was trained in a run directory, by its folder there: "masks/LM2/eyes"."""
    found = {}
    for path in sorted(root.glob("**/metrics.jsonl")):
        lines = path.read_text(encoding="utf-8").splitlines()
        found[path.parent.relative_to(root).as_posix()] = [json.loads(line) for line in lines]
    return {name: rows for name, rows in found.items() if rows}


def draw_training(axes: Axes, rows: Sequence[dict[str, float]], figure: str = "", label: str = "") -> None:
    """Draw the loss of every epoch, dashed that of validation where it was taken, and at the right a figure of validation.

    Args:
        axes: where to.
        rows: see `metrics_of`.
        figure: name of the figure in the rows; "" for none.
        label: its name on the axis.
    """
    from matplotlib.ticker import MaxNLocator

    known = {name: [row for row in rows if name in row] for name in ("loss", "val_loss", figure)}
    for name, text, style in (("loss", "training", "-"), ("val_loss", "validation", "--")):
        if known[name]:
            epochs = [row["epoch"] for row in known[name]]
            # One epoch alone gives no line.
            marker = "o" if len(epochs) == 1 else ""
            losses = [row[name] for row in known[name]]
            axes.plot(epochs, losses, style, marker=marker, ms=3, color=LOSS, label=text)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch", fontsize=8)
    axes.set_ylabel("loss" if known["val_loss"] else "training loss", fontsize=8, color=LOSS)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    if known["val_loss"]:
        axes.legend(fontsize=7, frameon=False)
    if known[figure]:
        right = axes.twinx()
        epochs = [row["epoch"] for row in known[figure]]
        right.plot(epochs, [row[figure] for row in known[figure]], "o-", ms=3, color=FIGURE)
        right.set_ylabel(label, fontsize=8, color=FIGURE)
        right.tick_params(labelsize=8)


def plot_training(rows: Sequence[dict[str, float]], path: Path, figure: str, label: str) -> None:
    """Write the curves of a training as PNG, see `draw_training`."""
    canvas = new_figure(6.4, 3.6)
    draw_training(canvas.subplots(), rows, figure, label)
    save_figure(canvas, path)


def plot_table(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Rank-1 of every strategy under every occlusion as bars with 95 % intervals, in panels below each other."""
    from pdsn.masks.strategy import heading
    from pdsn.report.table import strategies_of, table_rows

    rows = table_rows(list(records))
    names = strategies_of(list(records))
    panels = -(-len(rows) // ACROSS)
    across = -(-len(rows) // panels)
    canvas = new_figure(max(1.3 * across + 1.5, 5), 2.8 * panels + 1)
    width = 0.85 / len(names)
    for panel, axes in enumerate(canvas.subplots(panels, 1, squeeze=False)[:, 0]):
        shown = rows[panel * across : (panel + 1) * across]
        for place, name in enumerate(names):
            cells = [(at, row[place]) for at, (_, row) in enumerate(shown)]
            found = [(at, record) for at, record in cells if record is not None]
            values = np.array([record["rank1"] for _, record in found])
            low, high = np.array([record["ci95"] for _, record in found]).reshape(-1, 2).T
            at = [at + (place - (len(names) - 1) / 2) * width for at, _ in found]
            error = np.maximum([values - low, high - values], 0)
            label = heading(name)
            # A colour each, in a panel without the strategy too.
            axes.bar(
                at, 100 * values, width * 0.95, yerr=100 * error, error_kw={"lw": 0.6}, label=label,
                color=f"C{place}",
            )  # fmt: skip
        axes.set_xticks(range(len(shown)), [name for name, _ in shown], rotation=20, ha="right", fontsize=8)
        axes.set_xlim(-0.6, across - 0.4)
        axes.set_ylabel("rank-1, %")
        axes.set_ylim(0, 100)
        axes.grid(axis="y", alpha=0.25)
        if panel == 0:
            axes.legend(fontsize=7, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    save_figure(canvas, path)


def plot_regions(strategies: Sequence[Layout], face: np.ndarray, landmarks: np.ndarray, path: Path) -> None:
    """The regions of each strategy on a face (H, W, 3), with landmarks (N, 5, 2) of the training photos."""
    canvas = new_figure(2.3 * len(strategies), 3.2)
    grid = canvas.subplots(1, len(strategies), squeeze=False)
    for axes, strategy in zip(grid.flat, strategies, strict=True):
        axes.imshow(face)
        axes.plot(*landmarks.reshape(-1, 2).T, ".", ms=1, alpha=0.15, color="#2980b9")
        for box in strategy.regions.values():
            axes.add_patch(outline(box, "#f1c40f"))
        axes.set_xlim(-0.5, face.shape[1] - 0.5)
        axes.set_ylim(face.shape[0] - 0.5, -0.5)
        axes.set_title(strategy.name, fontsize=8)
        axes.set_axis_off()
    save_figure(canvas, path)


def plot_weights(layout: Layout, weights: Sequence[float], face: np.ndarray, path: Path) -> None:
    """What each region of a layout counts, 0 to 1, as tints on a face (H, W, 3)."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    canvas = new_figure(3.6, 3.6)
    axes = canvas.subplots()
    axes.imshow(face)
    norm = Normalize(0, max(weights))
    colours = colormaps["viridis"]
    for box, weight in zip(layout.regions.values(), weights, strict=True):
        axes.add_patch(outline(box, "white"))
        tint = outline(box, "none")
        tint.set(fill=True, facecolor=colours(norm(weight)), alpha=0.45)
        axes.add_patch(tint)
        middle = (box.left + box.right - 1) / 2, (box.top + box.bottom - 1) / 2
        axes.text(*middle, f"{100 * weight:.0f} %", ha="center", va="center", fontsize=8, color="white")
    axes.set_axis_off()
    canvas.colorbar(_scale(norm, colours), ax=axes, label="weight of the part")
    save_figure(canvas, path)


def _scale(norm: Any, colours: Any) -> Any:
    from matplotlib.cm import ScalarMappable

    return ScalarMappable(norm, colours)


def outline(box: Any, colour: str, top: int = 0, left: int = 0) -> Any:
    """A region's outline on a face whose first pixel is drawn at row `top` and column `left`."""
    from matplotlib.patches import Rectangle

    corner = (left + box.left - 0.5, top + box.top - 0.5)
    return Rectangle(corner, box.right - box.left, box.bottom - box.top, fill=False, ec=colour, lw=1.2)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, to be written by `save_figure`."""
    # Figure without pyplot: no global state, no display needed.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", dpi=120)


def save_figure(canvas: Figure, path: Path) -> None:
    """Write a figure as PNG, atomically."""
    with atomic_path(path) as temporary:
        # Half of a picture's time goes into packing it as small as can be; this is a tenth larger.
        canvas.savefig(temporary, format="png", pil_kwargs={"compress_level": 3})
