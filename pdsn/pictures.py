"""Faces and names in pictures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFont

from pdsn.files import atomic_path
from pdsn.fonts import lettering

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

Colour = tuple[int, int, int]

RIGHT, WRONG, TINT = (27, 138, 58), (192, 57, 43), (230, 60, 200)
PAPER, INK, FAINT = (255, 255, 255), (25, 25, 25), (110, 110, 110)


def face_picture(face: np.ndarray, height: int, tinted: np.ndarray | None = None) -> Image.Image:
    """An aligned face at a height in pixels.

    Args:
        face: (H, W, 3) uint8.
        height: rows of the picture; the columns follow.
        tinted: (H, W) bool, the pixels to tint.
    """
    shown = face.astype(np.float32)
    if tinted is not None:
        shown[tinted] = 0.55 * shown[tinted] + 0.45 * np.array(TINT, np.float32)
    size = (max(1, round(face.shape[1] * height / face.shape[0])), height)
    return Image.fromarray(shown.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def heat_picture(face: np.ndarray, cells: np.ndarray, height: int, colours: str = "viridis") -> Image.Image:
    """An aligned face in grey under the colours of the cells of a map.

    Args:
        face: (H, W, 3) uint8.
        cells: (h, w), 0 to 1; what lies outside is taken for the nearer end.
        height: rows of the picture; the columns follow.
        colours: of matplotlib; by default from dark blue for 0 to yellow for 1.
    """
    from matplotlib import colormaps

    size = (max(1, round(face.shape[1] * height / face.shape[0])), height)
    grey = np.asarray(Image.fromarray(face).convert("L").resize(size, Image.Resampling.BICUBIC))
    tinted = Image.fromarray((255 * colormaps[colours](cells.clip(0, 1))[..., :3]).astype(np.uint8))
    tint = np.asarray(tinted.resize(size, Image.Resampling.NEAREST))
    return Image.fromarray((0.5 * grey[..., None] + 0.5 * tint).astype(np.uint8))


def write(
    pen: ImageDraw, at: tuple[float, float], text: str, colour: Colour, size: int, width: float
) -> None:
    """Write a text of a size in pixels from its top left corner, shortened to `width` pixels."""
    text, font = fitted(text, size, width)
    pen.text(at, text, font=font, fill=colour)


def text_width(text: str, size: int) -> int:
    """Pixels that a text of a size takes, rounded up."""
    text, file = lettering(text)
    return math.ceil(ImageFont.truetype(file, size).getlength(text))


def fitted(text: str, size: int, width: float) -> tuple[str, FreeTypeFont]:
    """The text, shortened so that it is at most `width` pixels long, and the font that has its letters."""
    text, file = lettering(text)
    font = ImageFont.truetype(file, size)
    if font.getlength(text) <= width:
        return text, font
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…", font


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture as PNG, whatever the name's ending, atomically."""
    with atomic_path(path) as temporary:
        # Most of the time goes into packing it as small as can be; this is a tenth larger.
        picture.save(temporary, format="PNG", compress_level=3)
