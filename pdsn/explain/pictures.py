"""The picture of an explanation: the two faces, and below them what each method says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from pdsn.explain.explanation import Column, Explanation
from pdsn.explain.photos import PhotoExplanation
from pdsn.people.annotate import map_pictures
from pdsn.people.gallery import readable
from pdsn.pictures import FAINT, INK, PAPER, face_picture, heat_picture, text_width, write

HEIGHT = 200
"""Pixels: rows of a face."""
MARGIN, LINE, LETTERS = 14, 20, 14
TITLES = {
    "saliency": "saliency: brighter pixels change the score more",
    "gradcam": "Grad-CAM: yellow cells of the map raise the score",
    "layercam": "LayerCAM: yellow cells of the map raise the score",
    "regions": "regions: what each adds to the cosine (orange) or takes (violet), Shapley values",
    "xcos": "xCos: how much each cell counts, and how alike the faces are there",
    "fdm": "FDM: share of the features that are left out, yellow for all",
}
PERCENTILE = 99.5
"""Of a map's values; what lies above is as bright as can be: a few pixels would leave all others dark."""


def draw_explanation(answer: PhotoExplanation) -> Image.Image:
    """One picture of a pair: probe and reference with what is covered tinted, then a row for each method."""
    faces = [
        face_picture(photo.faces[0].crop, HEIGHT, covered)
        for photo, covered in zip(answer.photos, answer.covered_pixels, strict=True)
    ]
    names = [readable("/".join(photo.path.parts[-2:])) for photo in answer.photos]
    if answer.person is not None:
        names[1] = f"mean of {answer.person}, nearest photo"
    rows = [_row("probe and reference; what is covered is tinted", faces, names)]
    crop = answer.photos[0].faces[0].crop
    for one in answer.explanations:
        parts, captions = _panels(crop, one)
        rows.append(_row(TITLES[one.method], parts, captions))
    lines = [_score(column, answer.thresholds[column.name]) for column in answer.columns]
    return _sheet(rows, lines)


def _panels(crop: np.ndarray, one: Explanation) -> tuple[list[Image.Image], list[str]]:
    """The pictures of one method and their captions; those of one method share a scale."""
    values = list(one.maps.values())
    captions = list(one.maps)
    if one.method == "fdm":
        return [heat_picture(crop, values[0], HEIGHT)], captions
    if one.method == "xcos":
        return map_pictures(crop, (values[0], values[1]), HEIGHT)
    if one.signed:
        top = max(*(float(np.abs(cells).max()) for cells in values), 1e-12)
        panels = [heat_picture(crop, (cells / top + 1) / 2, HEIGHT, colours="PuOr_r") for cells in values]
        for panel, cells in zip(panels, values, strict=True):
            _label(panel, cells)
        return panels, captions
    top = top_of(values)
    if top == 0:
        captions = [f"{name}: 0 everywhere" for name in captions]
    return [heat_picture(crop, cells / (top or 1), HEIGHT) for cells in values], captions


def _label(panel: Image.Image, cells: np.ndarray) -> None:
    """Write each value in the middle of the pixels that have it."""
    pen = ImageDraw.Draw(panel)
    scale = HEIGHT / cells.shape[0]
    for value in np.unique(cells):
        rows, columns = np.nonzero(cells == value)
        text = f"{round(float(value), 2) + 0.0:+.2f}"  # what is rounded to 0 has no minus
        at = (columns.mean() * scale - 3 * len(text), rows.mean() * scale - 6)
        pen.rectangle((at[0] - 2, at[1], at[0] + 7 * len(text), at[1] + 14), fill=PAPER)
        write(pen, at, text, INK, 11, panel.width)


def top_of(maps: Sequence[np.ndarray]) -> float:
    """The value that is as bright as can be in maps side by side: they share one scale; 0 for maps of zeros."""
    return max(max(float(np.percentile(cells, PERCENTILE)) or float(cells.max()) for cells in maps), 0.0)


def _score(column: Column, threshold: float | None) -> str:
    covered = ", ".join(column.covered) or "nothing"
    return f"{column.name}: cosine {column.cosine:.3f}{verdict(column.cosine, threshold)}, covered: {covered}"


def verdict(cosine: float, threshold: float | None) -> str:
    """What a cosine says where there is a threshold, to be put after it."""
    if threshold is None:
        return ""
    same = "the same person" if cosine > threshold else "not shown to be the same person"
    return f" (threshold {threshold:.3f}: {same})"


def _row(title: str, parts: Sequence[Image.Image], captions: Sequence[str]) -> Image.Image:
    """Pictures of equal size side by side, so far apart that title and captions find room."""
    longest = max(text_width(text, LETTERS) for text in TITLES.values())
    apart = max(parts[0].width + MARGIN, longest // max(len(parts), 2))
    width = apart * max(len(parts), 2)
    row = Image.new("RGB", (width, HEIGHT + 3 * LINE), PAPER)
    pen = ImageDraw.Draw(row)
    write(pen, (0, 0), title, INK, LETTERS, width)
    for place, (part, caption) in enumerate(zip(parts, captions, strict=True)):
        row.paste(part, (place * apart, LINE + 4))
        write(pen, (place * apart, LINE + HEIGHT + 8), caption, FAINT, 12, apart - MARGIN)
    return row


def _sheet(rows: Sequence[Image.Image], lines: Sequence[str]) -> Image.Image:
    """Rows in two columns, read across, below the scores."""
    across = 2 if len(rows) > 2 else 1
    longest = max((text_width(line, LETTERS) for line in lines), default=0)
    width = max(across * (max(row.width for row in rows) + MARGIN) + MARGIN, longest + 2 * MARGIN)
    top = MARGIN + len(lines) * LINE + MARGIN
    depth = -(-len(rows) // across)
    sheet = Image.new("RGB", (width, top + depth * rows[0].height), PAPER)
    pen = ImageDraw.Draw(sheet)
    for place, line in enumerate(lines):
        write(pen, (MARGIN, MARGIN + place * LINE), line, INK, LETTERS, width - 2 * MARGIN)
    for place, row in enumerate(rows):
        down, column = divmod(place, across)
        sheet.paste(row, (MARGIN + column * (width // across), top + down * row.height))
    return sheet
