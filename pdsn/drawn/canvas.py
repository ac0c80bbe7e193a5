"""What a portrait is drawn on, and the strokes: soft shapes, hills, colours in linear light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdsn.drawn.people import Colour

GAMMA = 2.2
"""Exponent between a colour as stored (sRGB, nearly) and the light it stands for."""

LOOK = 3
"""A window is looked for on every third row and column, and made that much larger."""


@dataclass
class Canvas:
    """The picture while it is drawn.

    Attributes:
        u, v: (H, W) float32, the place on the face that each pixel shows.
        colour: (3, H, W) float32, linear light, 0 to 1.
        pixel: width of a pixel in face units.
    """

    u: np.ndarray
    v: np.ndarray
    colour: np.ndarray
    pixel: float

    def cover(self, distance: np.ndarray, soft: float = 0.0) -> np.ndarray:
        """Coverage, 0 to 1, of a shape by its signed distance in face units (negative is inside)."""
        return clip(0.5 - distance / max(soft, self.pixel), 0, 1)

    def paint(self, mask: np.ndarray, colour: np.ndarray | Colour) -> None:
        """Lay a colour (sRGB triple, or linear (3, H, W)) over the picture where the mask is."""
        layer = linear(colour) if isinstance(colour, tuple) else colour
        self.colour += mask * (layer - self.colour)

    def tint(self, mask: np.ndarray, factors: Colour) -> None:
        """Multiply the picture by the factors where the mask is."""
        self.colour *= 1 + mask * (np.array(factors, np.float32)[:, None, None] - 1)

    def window(self, u: float, v: float, reach_u: float, reach_v: float) -> Canvas:
        """The part of the canvas around a place on the face, sharing its memory."""
        margin = LOOK * self.pixel
        looked = slice(None, None, LOOK)
        near = np.abs(self.u[looked, looked] - u) < reach_u + margin
        near &= np.abs(self.v[looked, looked] - v) < reach_v + margin
        rows, columns = np.flatnonzero(near.any(1)) * LOOK, np.flatnonzero(near.any(0)) * LOOK
        if not len(rows):
            rows = columns = np.zeros(1, int)
        part = slice(rows[0], rows[-1] + LOOK), slice(columns[0], columns[-1] + LOOK)
        return Canvas(self.u[part], self.v[part], self.colour[:, part[0], part[1]], self.pixel)


def clip(values: np.ndarray | float, low: float, high: float) -> np.ndarray:
    """What `np.clip` does, in a third of its time on arrays as small as these."""
    return np.minimum(np.maximum(values, low), high)


def bump(
    u: np.ndarray, v: np.ndarray, at_u: float, at_v: float, reach_u: float, reach_v: float
) -> np.ndarray:
    """A Gaussian hill of height 1."""
    return np.exp(-(((u - at_u) / reach_u) ** 2) - ((v - at_v) / reach_v) ** 2)


def linear(colour: Colour | np.ndarray) -> np.ndarray:
    """(3, 1, 1) float32 linear light of an sRGB triple, 0 to 1."""
    return (np.array(colour[:3], np.float32) ** GAMMA)[:, None, None]


def inside_of(field: np.ndarray) -> np.ndarray:
    """Coverage of the region where a field is negative, one pixel soft whatever its slope."""
    down, right = slopes(field)
    return clip(0.5 - field / np.sqrt(down**2 + right**2 + 1e-8), 0, 1)


def slopes(field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Central differences down and to the right, per pixel."""
    down, right = np.empty_like(field), np.empty_like(field)
    down[1:-1] = (field[2:] - field[:-2]) * 0.5
    down[0], down[-1] = field[1] - field[0], field[-1] - field[-2]
    right[:, 1:-1] = (field[:, 2:] - field[:, :-2]) * 0.5
    right[:, 0], right[:, -1] = field[:, 1] - field[:, 0], field[:, -1] - field[:, -2]
    return down, right


def repeat(values: np.ndarray, factor: int) -> np.ndarray:
    """Each pixel of (..., H, W) factor x factor times."""
    return values.repeat(factor, -1).repeat(factor, -2)


def reduce(values: np.ndarray, factor: int) -> np.ndarray:
    """Mean of each factor x factor pixels of (..., H, W)."""
    if factor == 1:
        return values
    total = sum(values[..., i::factor, j::factor] for i in range(factor) for j in range(factor))
    return np.asarray(total) * np.float32(1 / factor**2)
