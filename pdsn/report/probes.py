"""A picture of probes, each beside its nearest gallery photo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from pdsn.pictures import FAINT, PAPER, RIGHT, WRONG, face_picture, save_picture, write

if TYPE_CHECKING:
    from torch import Tensor

    from pdsn.data.dataset import FaceDataset
    from pdsn.evaluation.answers import Answer
    from pdsn.occlusion.layouts import Layout

PROBES, COLUMNS = 18, 6
HEIGHT = 128
"""Pixels: rows of a face."""
GAP, CAPTION, TITLE = 4, 18, 40
COVERED, REGION = (0, 208, 255), (241, 196, 15)


def plot_probes(
    dataset: FaceDataset,
    answer: Answer,
    plain: Answer | None,
    occluded: Tensor,
    covered: Tensor,
    layout: Layout | None,
    path: Path,
) -> None:
    """A sheet of probes, each with its triggered regions and the nearest gallery photo.

    Half of them are probes where the FDM changed the answer, the rest is spread evenly.

    Args:
        dataset: the faces.
        answer: whose answers to show, to one draw.
        plain: those without an FDM.
        occluded: (P, 3, H, W) uint8, the probes as the matcher saw them.
        covered: (P, H, W) bool, what was taken as covered; its outline is drawn.
        layout: the regions to outline; None without an FDM.
        path: the PNG to write.
    """
    pairs = []
    for index in _telling(answer, plain):
        pixels = occluded[index].permute(1, 2, 0).numpy()
        boxes = [] if layout is None else [layout.regions[name] for name in answer.regions[index]]
        probe = _probe(pixels, covered[index].numpy(), boxes)
        row, found = int(answer.rows[index]), int(answer.found[index])
        person = dataset.people[dataset.labels[row]]
        right = bool(answer.ranks[index] == 1)
        answered = dataset.people[dataset.labels[found]] if found >= 0 else "no face found"
        caption = person if right else f"{person} → {answered}"
        if plain is not None and bool(plain.ranks[index] == 1) != right:
            caption += " *"
        nearest = face_picture(dataset.faces[found], HEIGHT) if found >= 0 else None
        pairs.append(_pair(probe, nearest, caption, right=right))
    save_picture(_sheet(pairs, f"{answer.occlusion}, {answer.strategy}"), path)


def _telling(answer: Answer, plain: Answer | None) -> list[int]:
    """Probes worth showing: half of them where the FDM changed the answer, the rest spread evenly."""
    total = len(answer.rows)
    changed: list[int] = []
    if plain is not None and plain is not answer:
        changed = np.flatnonzero((plain.ranks == 1) != (answer.ranks == 1)).tolist()
        changed = changed[:: max(len(changed) // (PROBES // 2), 1)][: PROBES // 2]
    others = [i for i in range(0, total, max(total // PROBES, 1)) if i not in changed]
    return [*changed, *others[: PROBES - len(changed)]]


def _probe(face: np.ndarray, covered: np.ndarray, boxes: list) -> Image.Image:
    """A face (H, W, 3) with the outline of its covered pixels (H, W) and of regions."""
    picture = face_picture(face, HEIGHT)
    if covered.any() and not covered.all():
        large = np.asarray(Image.fromarray(covered).resize(picture.size, Image.Resampling.NEAREST))
        edge = np.zeros_like(large)
        edge[1:] |= large[1:] != large[:-1]
        edge[:, 1:] |= large[:, 1:] != large[:, :-1]
        pixels = np.array(picture)
        pixels[edge] = COVERED
        picture = Image.fromarray(pixels)
    pen, scale = ImageDraw.Draw(picture), HEIGHT / face.shape[0]
    for box in boxes:
        left, top = round(box.left * scale), round(box.top * scale)
        right, bottom = round(box.right * scale) - 1, round(box.bottom * scale) - 1
        pen.rectangle((left, top, right, bottom), outline=REGION, width=2)
    return picture


def _pair(probe: Image.Image, nearest: Image.Image | None, caption: str, *, right: bool) -> Image.Image:
    """Probe and nearest gallery photo side by side below their caption."""
    width = 2 * probe.width + GAP
    pair = Image.new("RGB", (width, CAPTION + HEIGHT), PAPER)
    pair.paste(probe, (0, CAPTION))
    if nearest is not None:
        pair.paste(nearest, (probe.width + GAP, CAPTION))
    write(ImageDraw.Draw(pair), (0, 2), caption, RIGHT if right else WRONG, 11, width)
    return pair


def _sheet(pairs: list[Image.Image], title: str) -> Image.Image:
    """The pairs in rows, below what they are and what the colours mean."""
    across, down = pairs[0].width + 3 * GAP, pairs[0].height + GAP
    columns = min(COLUMNS, len(pairs))
    rows = -(-len(pairs) // columns)
    width = max(columns * across, 640) + GAP
    sheet = Image.new("RGB", (width, TITLE + rows * down + GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    write(pen, (GAP, 2), f"{title}: probe and nearest gallery photo", FAINT, 13, width - 2 * GAP)
    colours = (
        "green: right, red: wrong; yellow: regions taken as covered, blue: pixels taken as covered; "
        "*: without the FDM it is the other way round"
    )
    write(pen, (GAP, 20), colours, FAINT, 11, width - 2 * GAP)
    for place, pair in enumerate(pairs):
        row, column = divmod(place, columns)
        sheet.paste(pair, (GAP + column * across, TITLE + row * down))
    return sheet
