"""The papers' figures, made from a run: what papers/001, 002 and 004 show of theirs.

Each function draws one figure from a run and gives back the canvas; `FIGURES` names them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pdsn.data.dataset import LANDMARKS, evenly
from pdsn.errors import PdsnError
from pdsn.masks.strategy import NO_FDM, heading
from pdsn.occlusion.layouts import LAYOUTS
from pdsn.report.figures import draw_training, metrics_of, new_figure, outline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pdsn.explain.explanation import Explainer
    from pdsn.run.tables import RunVerification
    from pdsn.run.workspace import Workspace

WORN = ("face-mask", "sunglasses", "scarf", "cap", "hand")
"""What people wear, and a hand."""
COVERS = ("face-mask", "sunglasses")
"""What the papers' own examples wear."""


def landmarks(workspace: Workspace) -> Figure:
    """How far each landmark lies from its mean position (002, figure 3)."""
    data = workspace.training
    points = data.landmarks[data.rows("train")]
    distances = np.linalg.norm(points - points.mean(0), axis=2)
    canvas = new_figure(6.4, 3.6)
    axes = canvas.subplots()
    bins = np.linspace(0, float(np.quantile(distances, 0.995)), 40).tolist()
    for place, name in enumerate(LANDMARKS):
        axes.hist(distances[:, place], bins, histtype="step", label=name.replace("_", " "))
    axes.set_xlabel("distance from the mean position, pixels")
    axes.set_ylabel(f"of {len(points)} training photos")
    axes.legend(fontsize=8)
    return canvas


def regions(workspace: Workspace) -> Figure:
    """The regions of every layout on the mean training face (002, figure 4)."""
    face = workspace.example_face()
    canvas = new_figure(2.2 * len(LAYOUTS), 3.0)
    for axes, name in zip(canvas.subplots(1, len(LAYOUTS)), LAYOUTS, strict=True):
        _show(axes, face, name)
        for box in workspace.layout(name).regions.values():
            axes.add_patch(outline(box, "#f1c40f"))
    return canvas


def labels(workspace: Workspace) -> Figure:
    """Labels by the difference of two photos, before and after opening and closing (002, figure 5)."""
    from pdsn.occlusion.labels import CHANGED, difference_labels

    clean, occluded, exact, names = _occluded(workspace, COVERS)
    raw = (clean.short() - occluded.short()).abs().amax(1) > CHANGED
    cleaned = difference_labels(clean, occluded)
    canvas = new_figure(2.0 * 4, 2.7 * len(names))
    grid = canvas.subplots(len(names), 4, squeeze=False)
    titles = ("photo", "changed pixels", "opened and closed", "what was painted")
    for row, name in enumerate(names):
        shown: tuple[np.ndarray | Tensor, ...] = (_image(occluded[row]), raw[row], cleaned[row], exact[row])
        for axes, pixels, title in zip(grid[row], shown, titles, strict=True):
            _show(axes, pixels, title if row == 0 else "")
        grid[row][0].set_title(f"{name}", fontsize=8)
    return canvas


def occluders(workspace: Workspace) -> Figure:
    """A photo before and after something is put on (002, figure 6)."""
    clean, occluded, _, names = _occluded(workspace, WORN)
    canvas = new_figure(1.7 * len(names), 4.6)
    grid = canvas.subplots(2, len(names))
    for column, name in enumerate(names):
        _show(grid[0][column], _image(clean[column]), "")
        _show(grid[1][column], _image(occluded[column]), name)
    return canvas


def segmentation(workspace: Workspace) -> Figure:
    """What the segmentation finds covered, beside what is (002, figure 7)."""
    _, occluded, exact, names = _occluded(workspace, WORN)
    found = workspace.segmenter().covered(occluded)
    canvas = new_figure(1.7 * len(names), 6.6)
    grid = canvas.subplots(3, len(names))
    for column, name in enumerate(names):
        shown: tuple[np.ndarray | Tensor, ...] = (_image(occluded[column]), found[column], exact[column])
        for row, pixels in enumerate(shown):
            _show(grid[row][column], pixels, name if row == 0 else "")
    for row, text in enumerate(("photo", "found", "exact")):
        grid[row][0].text(
            -0.1, 0.5, text, rotation=90, va="center", ha="right", transform=grid[row][0].transAxes
        )
    return canvas


def saliency(workspace: Workspace, explainer: Explainer) -> Figure:
    """Saliency of faces, with and without the FDM (002, figures 2, 8 and 9)."""
    return _maps(workspace, {"": explainer}, "saliency", ("clean", *COVERS))


def gradcam(workspace: Workspace, explainers: Mapping[str, Explainer]) -> Figure:
    """Grad-CAM of faces, of one base or of several side by side (001, figure 5.6; 004, with and without CBAM)."""
    return _maps(workspace, explainers, "gradcam", ("clean", *COVERS), masked=len(explainers) == 1)


def distances(workspace: Workspace, read: Callable[[Path], RunVerification | None]) -> Figure:
    """L2 distances of pairs of one person and of two, by occlusion (001, figure 5.3); whiskers are the 5th and 95th percentile.

    Args:
        workspace: the run.
        read: reads a run's table of verification.

    Raises:
        PdsnError: the run has no table of verification.
    """
    found = read(workspace.run.root)
    if found is None:
        raise PdsnError(
            f"{workspace.run.verification()} holds no table: make it with `pdsn verify-eval --run {quote(str(workspace.run.root))}`"
        )
    records = found.table["records"]
    shown = [r for r in records if r["strategy"] == NO_FDM and r["kind"] != "occluded-occluded"]
    canvas = new_figure(0.55 * len(shown) + 1.5, 4.0)
    axes = canvas.subplots()
    boxes, at, colours = [], [], []
    for place, record in enumerate(shown):
        known = record["distances"]["l2"]
        for side, (kind, colour) in enumerate((("g", "#1b8a3a"), ("i", "#c0392b"))):
            edges = (known[f"{kind}{name}"] for name in ("q5", "q25", "median", "q75", "q95"))
            boxes.append(dict(zip(("whislo", "q1", "med", "q3", "whishi"), edges, strict=True)))
            at.append(3 * place + side)
            colours.append(colour)
    drawn = axes.bxp(boxes, positions=at, widths=0.8, patch_artist=True, showfliers=False)
    for box, colour in zip(drawn["boxes"], colours, strict=True):
        box.set(facecolor=colour, alpha=0.6)
    axes.set_xticks(
        [3 * place + 0.5 for place in range(len(shown))],
        [record["occlusion"] for record in shown],
        rotation=40,
        ha="right",
        fontsize=8,
    )
    axes.set_ylabel("L2 distance (green: one person, red: two)")
    axes.grid(axis="y", alpha=0.25)
    return canvas


def training(workspace: Workspace) -> Figure:
    """Training loss of everything that was trained, and the loss of validation where there is one (001, figures 5.1 and 5.2).

    Raises:
        PdsnError: nothing was trained.
    """
    found = metrics_of(workspace.run.root)
    if not found:
        raise PdsnError(f"{workspace.run.root} holds nothing that was trained: it has no curves")
    columns = min(len(found), 3)
    canvas = new_figure(3.4 * columns, 2.6 * -(-len(found) // columns))
    grid = canvas.subplots(-(-len(found) // columns), columns, squeeze=False)
    for axes in grid.flat[len(found) :]:
        axes.set_axis_off()
    for axes, (name, rows) in zip(grid.flat, found.items(), strict=False):
        draw_training(axes, rows)
        axes.set_title(name, fontsize=8)
    return canvas


FIGURES: dict[str, Callable[..., Figure]] = {
    "landmarks": landmarks,
    "regions": regions,
    "labels": labels,
    "occluders": occluders,
    "segmentation": segmentation,
    "saliency": saliency,
    "gradcam": gradcam,
    "training": training,
    "distances": distances,
}
"""The figures by name."""
EXPLAINING = ("saliency", "gradcam")
"""Those that ask an explainer."""


def _maps(
    workspace: Workspace,
    explainers: Mapping[str, Explainer],
    method: str,
    covers: Sequence[str],
    *,
    masked: bool = True,
) -> Figure:
    """A row for each occlusion: the probe, then the map of each base and matcher, which share a scale."""
    from pdsn.explain.attribution import to_pixels
    from pdsn.explain.explanation import Pair
    from pdsn.explain.pictures import top_of
    from pdsn.matchers.matcher import Faces

    find = workspace.segmenter().covered
    rows = []
    for place, cover in enumerate(covers):
        _, occluded, _, _ = _occluded(workspace, (cover,), first=place)
        reference = Faces.free(_other_photo(workspace, place))
        pair = Pair(Faces(occluded, find(occluded)), reference)
        panels: list[tuple[str, np.ndarray | None]] = [(cover, None)]
        for label, explainer in explainers.items():
            for column in explainer.columns(pair):
                if not masked and column.name != heading(NO_FDM):
                    continue
                known = explainer.explain(method, pair, [column]).maps[column.name]
                large = to_pixels(torch.from_numpy(known)[None].float(), workspace.dataset.size)[0]
                panels.append((", ".join(filter(None, (label, column.name))), large.numpy()))
        rows.append((_image(occluded[0]), panels))
    canvas = new_figure(1.9 * len(rows[0][1]), 2.6 * len(rows))
    grid = canvas.subplots(len(rows), len(rows[0][1]), squeeze=False)
    for axes_row, (face, panels) in zip(grid, rows, strict=True):
        top = top_of([cells for _, cells in panels if cells is not None]) or 1.0
        for axes, (title, cells) in zip(axes_row, panels, strict=True):
            empty = cells is not None and not cells.any()
            _show(axes, face, f"{title}: 0 everywhere" if empty else title)
            if cells is not None:
                axes.imshow(cells, cmap="inferno", alpha=0.6, vmin=0, vmax=top)
    return canvas


def _rows(workspace: Workspace) -> np.ndarray:
    """Test photos, spread over different people who have others that are trained on or enrolled."""
    data = workspace.dataset
    rows = data.rows("test", workspace.settings.split)
    people = data.labels[rows]
    _, first = np.unique(people, return_index=True)
    chosen = [row for row in rows[np.sort(first)] if (data.labels == data.labels[row]).sum() > 1]
    if not chosen:
        raise PdsnError(f"{data.root} has no test photo of a person with another one: prepare more photos")
    return evenly(np.array(chosen, np.int64), len(WORN))


def _other_photo(workspace: Workspace, place: int) -> Tensor:
    """Another photo (1, 3, H, W) of the person on the test photo of that place."""
    data, rows = workspace.dataset, _rows(workspace)
    row = rows[place % len(rows)]
    others = np.flatnonzero(data.labels == data.labels[row])
    return data.tensor(others[others != row][:1])


def _occluded(
    workspace: Workspace, covers: Sequence[str], first: int = 0
) -> tuple[Tensor, Tensor, Tensor, list[str]]:
    """A test photo for each cover: clean and covered (N, 3, H, W) uint8, what is covered (N, H, W) bool, and the covers."""
    from pdsn.occlusion.occluders import find_occluder, occlude

    data, rows = workspace.dataset, _rows(workspace)
    floor, seed = workspace.settings.regions.floor, workspace.settings.seed
    clean, occluded, exact = [], [], []
    for place, name in enumerate(covers, first):
        row = int(rows[place % len(rows)])
        face = data.tensor([row])
        found, covered = occlude(
            find_occluder(name, workspace.statistics, floor),
            face,
            data.landmarks[[row]],
            seed=seed,
            name=name,
            rows=[row],
        )
        clean.append(face)
        occluded.append(found)
        exact.append(covered)
    return torch.cat(clean), torch.cat(occluded), torch.cat(exact), list(covers)


def _image(face: Tensor) -> np.ndarray:
    """A face (3, H, W) as (H, W, 3)."""
    return face.permute(1, 2, 0).numpy()


def _show(axes: Axes, pixels: np.ndarray | Tensor, title: str) -> None:
    axes.imshow(np.asarray(pixels), cmap="gray")
    axes.set_title(title, fontsize=8)
    axes.set_axis_off()
