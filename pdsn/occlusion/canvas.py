"""Shapes by their distance, and how they are laid over a photo: with soft edges, in its light, with a shadow.

Everything here is in pixels. The distance of a point to a shape is below 0 inside it.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, shift
from torch import Tensor

from pdsn.occlusion.occluder import left_clean
from pdsn.occlusion.textures import clouds

GREY = 4.0
"""Mean difference of a pixel's channels, 0 to 255, up to which a photo counts as grey."""


class Canvas:
    """What is drawn over a photo, part after part.

    Args:
        height, width: of the photo.

    Attributes:
        x, y: (1, W) and (H, 1) float32, the middles of the pixels.
        colours: (3, H, W) float32, 0 to 255, times alpha.
        alpha: (H, W) float32, 0 to 1.
        size: height and width.
        window: rows and columns of the photo that it shows: all, but for a part, see `around`.
    """

    def __init__(self, height: int, width: int) -> None:
        self.size = height, width
        self.window = slice(0, height), slice(0, width)
        self.x = np.arange(width, dtype=np.float32)[None] + np.float32(0.5)
        self.y = np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5)
        self.colours = np.zeros((3, height, width), np.float32)
        self.alpha: np.ndarray = np.zeros((height, width), np.float32)

    def around(self, points: np.ndarray, reach: float) -> Canvas:
        """The part of the canvas near some points: what is painted there is painted here.

        Args:
            points: (N, 2) x, y in pixels.
            reach: how far from their box it goes, in pixels.
        """
        low, high = np.floor(points.min(0) - reach).astype(int), np.ceil(points.max(0) + reach).astype(int)
        part = Canvas.__new__(Canvas)
        part.window = (
            slice(max(int(low[1]), 0), max(int(high[1]), 0)),
            slice(max(int(low[0]), 0), max(int(high[0]), 0)),
        )
        rows, columns = part.window
        part.x, part.y = self.x[:, columns], self.y[rows]
        part.colours, part.alpha = self.colours[:, rows, columns], self.alpha[rows, columns]
        part.size = part.alpha.shape[0], part.alpha.shape[1]
        return part

    def paint(self, colour: np.ndarray, alpha: np.ndarray) -> None:
        """Lay a part over what is there.

        Args:
            colour: (3, 1, 1) or (3, H, W), 0 to 255.
            alpha: (H, W), 0 to 1.
        """
        self.colours *= 1 - alpha
        self.colours += colour * alpha
        self.alpha += alpha * (1 - self.alpha)

    def lay(
        self, image: Tensor, rng: np.random.Generator, *, shadow: float = 0.35, reach: float = 0.05
    ) -> tuple[Tensor, Tensor]:
        """Lay the canvas over a photo.

        Args:
            image: (3, H, W) uint8, left as it is.
            rng: of edges, grain and shadow.
            shadow: how much darker the photo is at most beside it, as a share.
            reach: how far the shadow falls, as a share of the photo's width.

        Returns:
            The occluded photo (3, H, W) uint8 and the covered pixels (H, W) bool: those of which at least half is covered.
        """
        width = self.alpha.shape[1]
        blur, dark, away = rng.uniform(0.0, 0.008) * width, shadow * rng.random(), rng.normal(0, reach, 2)
        grain = np.random.default_rng(int(rng.integers(2**32)))
        if not self.alpha.any():
            return left_clean(image)
        colours, alpha = self.colours, self.alpha
        if blur > 0.3:  # below that nothing is seen of it
            alpha = gaussian_filter(alpha, blur)
            colours = gaussian_filter(colours, (0, blur, blur))
        fallen = gaussian_filter(shift(alpha, away * width, order=0), 0.03 * width)
        under = image.numpy().astype(np.float32) * (1 - dark * fallen)
        rough = grain.normal(0, 1.5, alpha.shape).astype(np.float32)
        mixed = under * (1 - alpha) + colours + rough * alpha
        occluded = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
        return torch.from_numpy(occluded), torch.from_numpy(alpha >= 0.5)


def faded(colours: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Colours without colour, (3, H, W), where the photo (3, H, W) has none: else whatever has a colour were covered."""
    if np.ptp(photo.astype(np.int16), axis=0).mean() > GREY:
        return colours
    return np.broadcast_to(colours.mean(0, keepdims=True), colours.shape).astype(colours.dtype)


def inside(distance: np.ndarray, edge: float = 1.0) -> np.ndarray:
    """How much of each pixel lies in a shape, 0 to 1, over an edge so many pixels wide."""
    return np.clip(0.5 - distance / max(edge, 1.0), 0, 1)


def along(canvas: Canvas, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel lies beside a line.

    Returns:
        (H, W) its nearest point, 0 at the start to 1 at the end, and the distance from that, above 0 on the line's right
        as one looks from start to end.
    """
    line = (end - start).astype(np.float32)
    dx, dy = canvas.x - np.float32(start[0]), canvas.y - np.float32(start[1])
    length = max(float(line @ line), 1e-6)
    place = np.clip((dx * line[0] + dy * line[1]) / length, 0, 1)
    side = np.where(line[0] * dy - line[1] * dx > 0, np.float32(1), np.float32(-1))
    return place, side * np.hypot(dx - place * line[0], dy - place * line[1])


def polygon(canvas: Canvas, corners: np.ndarray) -> np.ndarray:
    """Distance (H, W) to a convex polygon.

    Args:
        canvas: the pixels.
        corners: (K, 2) x, y in one sense of rotation.
    """
    following = np.roll(corners, -1, 0)
    area = (corners[:, 0] * following[:, 1] - corners[:, 1] * following[:, 0]).sum()
    distance = np.full(canvas.alpha.shape, -np.inf, np.float32)
    for start, end in zip(corners, following, strict=True):
        edge = end - start
        normal = np.array([edge[1], -edge[0]]) / max(float(np.hypot(*edge)), 1e-6)
        normal = (normal if area > 0 else -normal).astype(np.float32)
        np.maximum(
            distance, (canvas.x - start[0]) * normal[0] + (canvas.y - start[1]) * normal[1], out=distance
        )
    return distance.astype(np.float32)


def ellipse(canvas: Canvas, centre: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """About the distance (H, W) to an ellipse; exact on its edge.

    Args:
        canvas: the pixels.
        centre: (2,) x, y.
        axes: (2, 2), its half axes as columns.
    """
    inverse = np.linalg.inv(axes).astype(np.float32)
    dx, dy = canvas.x - np.float32(centre[0]), canvas.y - np.float32(centre[1])
    u, v = inverse[0, 0] * dx + inverse[0, 1] * dy, inverse[1, 0] * dx + inverse[1, 1] * dy
    return (np.hypot(u, v) - 1) * float(np.sqrt(abs(np.linalg.det(axes))))


def blob(canvas: Canvas, centre: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    """About the distance (H, W) to a smooth outline without symmetry.

    Args:
        canvas: the pixels.
        centre: (2,) x, y.
        radius: the mean one.
        rng: of the outline.
    """
    dx, dy = canvas.x - np.float32(centre[0]), canvas.y - np.float32(centre[1])
    stretch, turn = rng.uniform(0.6, 1.0), rng.uniform(0, np.pi)
    u = (dx * np.cos(turn) + dy * np.sin(turn)) * stretch
    v = (dy * np.cos(turn) - dx * np.sin(turn)) / stretch
    angle = np.arctan2(v, u)
    outline = np.ones_like(angle)
    for waves in range(2, 6):
        outline += rng.normal(0, 0.3 / waves) * np.cos(waves * angle + rng.uniform(0, 2 * np.pi))
    return np.hypot(u, v) - radius * np.maximum(outline, 0.2)


def strands(flow: np.ndarray, down: np.ndarray, fineness: float, rng: np.random.Generator) -> np.ndarray:
    """Light and dark strands (H, W), about -1 to 1, that run along a flow.

    Args:
        flow: (H, W), the same along a strand.
        down: (H, W), how far down a strand; 1 is about a face unit.
        fineness: strands per unit of `flow`.
        rng: of their place and light.
    """
    total = np.zeros(flow.shape, np.float32)
    for octave, weight in ((1, 0.5), (2.3, 0.3), (5.1, 0.2)):
        phase, bend = rng.uniform(0, 2 * np.pi, 2)
        wave = flow * (2 * np.pi * fineness * octave) + 0.8 * np.sin(down * 1.7 + bend)
        total += np.float32(weight) * np.sin(wave + phase + 1.3 * np.sin(wave * 0.37 + bend))
    return total


def speckled(colour: np.ndarray, share: float, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A colour (3,) that changes smoothly by at most about so much, (3, H, W) float32."""
    height, width = size
    noise = clouds(height, width, max(width / 8, 2), rng).astype(np.float32) - 0.5
    return colour.astype(np.float32)[:, None, None] * (1 + 2 * share * noise)
