"""What the occluder artwork is drawn on: shapes in face units, shading, cloth.

Face units: the origin lies midway between the eyes, x runs to the photo's right, y down. One unit is the
distance between the eyes; in these units the mouth lies at y = 1.11 and the chin at about y = 1.85.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw
from skimage.filters import gaussian

FINER = 2
"""The picture is drawn this much finer than it is kept, so that its edges are smooth."""

Points = Sequence[tuple[float, float]]
Colour = tuple[float, float, float]
Placer = Callable[[np.ndarray], list[tuple[float, float]]]
"""Takes points from face units to the pixels of the picture that is being drawn."""


class Canvas:
    """A picture under way.

    Attributes:
        box: left, top, right, bottom in face units.
        fine: pixels per face unit while it is drawn.
        unit: pixels per face unit of the finished picture.
        x, y: (H, W) float32, the place of every fine pixel in face units.
        colour: (H, W, 3) float32, 0 to 255.
        alpha: (H, W) float32, 0 to 1.
    """

    def __init__(self, box: tuple[float, float, float, float], unit: int, seed: int) -> None:
        self.box, self.unit, self.fine = box, unit, unit * FINER
        self.width = round((box[2] - box[0]) * unit) * FINER
        self.height = round((box[3] - box[1]) * unit) * FINER
        columns = box[0] + (np.arange(self.width, dtype=np.float32) + 0.5) / self.fine
        rows = box[1] + (np.arange(self.height, dtype=np.float32) + 0.5) / self.fine
        self.x, self.y = np.meshgrid(columns, rows)
        self.colour = np.zeros((self.height, self.width, 3), np.float32)
        self.alpha = np.zeros((self.height, self.width), np.float32)
        self.rng = np.random.default_rng(seed)

    def shape(self, points: Points, smooth: bool = True) -> np.ndarray:
        """Coverage (H, W), 0 to 1, of a polygon, or of the smooth closed curve through its corners."""
        outline = curve(points, closed=True) if smooth else np.asarray(points, float)
        return self._drawn(lambda draw, to: draw.polygon(to(outline), fill=255))

    def line(self, points: Points, thick: float, smooth: bool = True) -> np.ndarray:
        """Coverage of a line with round ends, `thick` in face units."""
        path = curve(points, closed=False) if smooth else np.asarray(points, float)

        def stroke(draw: ImageDraw.ImageDraw, to: Placer) -> None:
            pixels, wide = to(path), 2 * self.fine * thick
            draw.line(pixels, fill=255, width=max(round(wide), 1), joint="curve")
            for px, py in (pixels[0], pixels[-1]):
                draw.ellipse((px - wide / 2, py - wide / 2, px + wide / 2, py + wide / 2), fill=255)

        return self._drawn(stroke)

    def _drawn(self, stroke: Callable[[ImageDraw.ImageDraw, Placer], None]) -> np.ndarray:
        picture = Image.new("L", (2 * self.width, 2 * self.height))

        def to(points: np.ndarray) -> list[tuple[float, float]]:
            pixels = (np.asarray(points) - self.box[:2]) * 2 * self.fine
            return [(float(px), float(py)) for px, py in pixels]

        stroke(ImageDraw.Draw(picture), to)
        return np.asarray(picture.reduce(2), np.float32) / 255

    def paint(
        self, cover: np.ndarray, colour: Colour | np.ndarray, opacity: float = 1.0, *, inside: bool = False
    ) -> None:
        """Lay a colour over the picture; `inside` keeps the outline as it is."""
        layer = np.asarray(colour, np.float32)
        part = cover * opacity
        if inside:
            self.colour += (part * (self.alpha > 0))[..., None] * (layer - self.colour)
            return
        alpha = part + self.alpha * (1 - part)
        share = part / np.maximum(alpha, 1e-6)
        self.colour += share[..., None] * (layer - self.colour)
        self.alpha = alpha

    def shade(self, factor: np.ndarray, cover: np.ndarray | None = None) -> None:
        """Multiply the colours by `factor` (H, W), where `cover` says so."""
        if cover is not None:
            factor = 1 + cover * (factor - 1)
        self.colour = np.clip(self.colour * factor[..., None], 0, 255)

    def crease(self, points: Points, thick: float, dark: float, smooth: bool = True) -> None:
        """A fold: a soft dark line with a bright one beside it."""
        line = self.soft(self.line(points, thick, smooth), thick / 3)
        lit = np.roll(line, -max(round(thick * self.fine), 1), axis=0)
        self.shade(1 - dark * line + 0.4 * dark * lit * (1 - line))

    def rounded(self, cover: np.ndarray, reach: float, dark: float) -> None:
        """Darken a shape towards its rim, as cloth that curves away does."""
        self.shade(1 - dark + dark * np.clip(2 * self.soft(cover, reach) - 1, 0, 1), cover)

    def soft(self, values: np.ndarray, reach: float) -> np.ndarray:
        """Blur by `reach` face units, on a coarser picture where that is finer than needed."""
        step = max(int(reach * self.fine / 2), 1)
        height, width = values.shape
        small = Image.fromarray(values.astype(np.float32)).reduce(step)
        blurred = gaussian(np.asarray(small), reach * self.fine / step, mode="nearest")
        grown = Image.fromarray(blurred.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(grown, np.float32)

    def wrinkles(self, size: tuple[float, float], strength: float) -> None:
        """Shade by soft random folds that are `size` wide and high, in face units."""
        cells = [
            max(round(n / self.fine / s), 2) for n, s in zip((self.width, self.height), size, strict=True)
        ]
        coarse = self.rng.normal(0, 1, (cells[1], cells[0])).astype(np.float32)
        folds = Image.fromarray(coarse).resize((self.width, self.height), Image.Resampling.BICUBIC)
        self.shade(1 + strength * np.asarray(folds, np.float32))

    def finished(self, extend: str) -> tuple[np.ndarray, tuple[float, float]]:
        """The picture cut to what is painted, and where it begins.

        Args:
            extend: "" or "down": the picture's lower edge is then kept full, for the cloth or the arm goes on.

        Returns:
            (h, w, 4) uint8 RGBA and the left and top of it in face units.
        """
        part = np.concatenate([self.colour * self.alpha[..., None], self.alpha[..., None] * 255], 2)
        small = part.reshape(self.height // FINER, FINER, self.width // FINER, FINER, 4).mean((1, 3))
        solid = small[..., 3:] > 0
        colour = np.where(solid, small[..., :3] * 255 / np.maximum(small[..., 3:], 1e-3), 0)
        # Six bits a channel, each step's middle: invisible under cloth's own texture, and a smaller file.
        rgba = (
            np.concatenate([np.clip(colour, 0, 255) // 4 * 4 + 2, small[..., 3:]], 2).round().astype(np.uint8)
        )
        rgba[rgba[..., 3] == 0] = 0
        rows, columns = (np.flatnonzero(rgba[..., 3].any(axis)) for axis in (1, 0))
        top, left, bottom, right = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
        if extend and bottom != len(rgba):
            raise ValueError("what goes on below must reach the lower edge of its picture")
        start = (self.box[0] + left / self.unit, self.box[1] + top / self.unit)
        return np.ascontiguousarray(rgba[top:bottom, left:right]), (round(start[0], 5), round(start[1], 5))


def curve(points: Points, closed: bool, steps: int = 10) -> np.ndarray:
    """(N, 2) points of the Catmull-Rom curve through `points`; a repeated point makes a corner."""
    knots = np.asarray(points, float)
    padded = (
        np.concatenate([knots[-1:], knots, knots[:2]])
        if closed
        else np.concatenate([knots[:1], knots, knots[-1:]])
    )
    t = (np.arange(steps) / steps)[:, None]
    parts = []
    for before, start, end, after in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        parts.append(
            0.5 * (2 * start + (end - before) * t + (2 * before - 5 * start + 4 * end - after) * t**2
                   + (3 * start - before - 3 * end + after) * t**3)
        )  # fmt: skip
    return np.concatenate([*parts, knots[:1] if closed else knots[-1:]])


def mirrored(half: Points) -> list[tuple[float, float]]:
    """A symmetric outline from its right half, given from the top of the midline to its bottom."""
    return [*half, *[(-x, y) for x, y in reversed(half) if abs(x) > 1e-9]]
