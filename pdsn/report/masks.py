"""A picture of what the masks of a dictionary keep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from pdsn.pictures import INK, PAPER, face_picture, save_picture, write

if TYPE_CHECKING:
    from pdsn.masks.dictionary import MaskDictionary
    from pdsn.occlusion.layouts import Box

HEIGHT, COLUMNS = 240, 5
"""Pixels: rows of a face. Faces in a row."""
GAP, TITLE, SCALE = 10, 36, 70
OPACITY = 0.6


def plot_kept_share(dictionary: MaskDictionary, face: np.ndarray, path: Path) -> None:
    """For each region, the share of the channels that its mask keeps at each cell of the map.

    Args:
        dictionary: the masks.
        face: (H, W, 3) uint8 backdrop, on which the region is outlined.
        path: the PNG to write.
    """
    backdrop = face_picture(face, HEIGHT)
    size = dictionary.layout.size
    pictures = []
    for (name, box), kept in zip(
        dictionary.layout.regions.items(), dictionary.kept_share().numpy(), strict=True
    ):
        picture = Image.new("RGB", (backdrop.width, TITLE + HEIGHT), PAPER)
        picture.paste(_region(backdrop, kept, box, size), (0, TITLE))
        pen = ImageDraw.Draw(picture)
        write(pen, (0, 2), name, INK, 13, picture.width)
        write(pen, (0, 19), f"keeps {100 * kept.mean():.0f} %", INK, 12, picture.width)
        pictures.append(picture)
    save_picture(_sheet(pictures), path)


def _region(backdrop: Image.Image, kept: np.ndarray, box: Box, size: tuple[int, int]) -> Image.Image:
    """The face below the shares (h, w) in colours, with the region's outline; `size` is (H, W) of what `box` is in."""
    colours = Image.fromarray(_colours(kept)).resize(backdrop.size, Image.Resampling.NEAREST)
    picture = Image.blend(backdrop, colours, OPACITY)
    down, across = backdrop.height / size[0], backdrop.width / size[1]
    corners = (box.left * across, box.top * down, box.right * across - 1, box.bottom * down - 1)
    ImageDraw.Draw(picture).rectangle(corners, outline=PAPER, width=2)
    return picture


def _colours(share: np.ndarray) -> np.ndarray:
    """Red for 0 through yellow to green for 1, as uint8 (…, 3)."""
    from matplotlib import colormaps

    return (255 * colormaps["RdYlGn"](share)[..., :3]).round().astype(np.uint8)


def _sheet(pictures: list[Image.Image]) -> Image.Image:
    """The pictures in rows, and beside them what the colours mean."""
    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    across, down = pictures[0].width + GAP, pictures[0].height + GAP
    sheet = Image.new("RGB", (GAP + columns * across + SCALE, GAP + rows * down), PAPER)
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        sheet.paste(picture, (GAP + column * across, GAP + row * down))
    left, top = GAP + columns * across, GAP + TITLE
    ramp = np.linspace(1, 0, HEIGHT)[:, None].repeat(14, 1)
    sheet.paste(Image.fromarray(_colours(ramp)), (left, top))
    pen = ImageDraw.Draw(sheet)
    write(pen, (left, 2), "share kept", INK, 11, SCALE)
    for share in (1.0, 0.5, 0.0):
        write(pen, (left + 18, top + (1 - share) * (HEIGHT - 14)), f"{100 * share:.0f} %", INK, 11, SCALE)
    return sheet
