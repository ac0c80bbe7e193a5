"""Pieces of other photos laid over the face: surfaces and outlines as cameras see them, without end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from pdsn.occlusion.canvas import Canvas, blob, faded, inside, polygon


@dataclass(frozen=True)
class CutOut:
    """A piece of another photo, larger or mirrored, with a soft edge and a shadow.

    Attributes:
        photos: (N, 3, H, W) uint8, where pieces come from; those of one split.
        split: whose outlines: round ones in training, triangles to hexagons in validation, bands in the test.
    """

    photos: Tensor
    split: str

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        del landmarks
        height, width = image.shape[1:]
        canvas = Canvas(height, width)
        centre = np.array([rng.uniform(0, width), rng.uniform(0, height)])
        distance = self._outline(canvas, centre, rng.uniform(0.1, 0.45) * min(height, width), rng)
        photo = self.photos[int(rng.integers(len(self.photos)))]
        surface = faded(_piece(photo, (height, width), rng).numpy().clip(0, 255), image.numpy())
        canvas.paint(surface * rng.uniform(0.7, 1.2), inside(distance, rng.uniform(1.0, 5.0)))
        np.minimum(canvas.colours, 255, out=canvas.colours)
        return canvas.lay(image, rng)

    def _outline(
        self, canvas: Canvas, centre: np.ndarray, radius: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Distance (H, W) to the piece's outline."""
        if self.split == "train":
            return blob(canvas, centre, radius, rng)
        turn = rng.uniform(0, 2 * np.pi)
        if self.split == "val":
            corners = int(rng.integers(3, 7))
            # Evenly about the middle, give or take: corners that lie together make slivers.
            angles = turn + 2 * np.pi * (np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) / corners
            return polygon(canvas, centre + 1.4 * radius * np.stack([np.cos(angles), np.sin(angles)], 1))
        across = (canvas.x - centre[0]) * np.cos(turn) + (canvas.y - centre[1]) * np.sin(turn)
        return np.abs(across) - 0.6 * radius


def _piece(photo: Tensor, size: tuple[int, int], rng: np.random.Generator) -> Tensor:
    """A part (3, H, W) float32 of a photo, 1 to 3 times as large, maybe mirrored or upside down."""
    rows, columns = photo.shape[1:]
    share = rng.uniform(1 / 3, 1)
    tall, wide = max(int(rows * share), 2), max(int(columns * share), 2)
    top, left = int(rng.integers(rows - tall + 1)), int(rng.integers(columns - wide + 1))
    part = photo[None, :, top : top + tall, left : left + wide].float()
    part = part.flip([axis for axis in (2, 3) if rng.random() < 0.5])
    return F.interpolate(part, size, mode="bilinear", align_corners=False)[0]
