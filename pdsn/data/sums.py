"""A photo's running sums: whatever part of it in whatever size, as the detector's networks are shown it."""

from __future__ import annotations

import numpy as np


class Sums:
    """A photo's running sums: the mean of any rectangle from four look-ups, exact in whole numbers.

    Resizing takes the mean over each pixel's share of the source, rounded outwards to whole source
    pixels: torch's adaptive average pooling, which MTCNN resizes with.
    """

    def __init__(self, photo: np.ndarray) -> None:
        self.height, self.width = photo.shape[:2]
        kind = np.int32 if self.height * self.width * 255 < 2**31 else np.int64
        self._sums = np.zeros((self.height + 1, self.width + 1, 3), dtype=kind)
        rows = np.cumsum(photo, axis=0, dtype=kind)
        np.cumsum(rows, axis=1, out=self._sums[1:, 1:])

    def resized(self, size: tuple[int, int]) -> np.ndarray:
        """The whole photo as (h, w, 3) float32, 0 to 255."""
        (top, bottom), (left, right) = (
            _bins(np.array([length]), count)
            for length, count in zip((self.height, self.width), size, strict=True)
        )
        rows = self._sums[bottom[0]] - self._sums[top[0]]
        total = rows[:, right[0]] - rows[:, left[0]]
        area = (bottom - top)[0][:, None] * (right - left)[0]
        return (total / area[..., None]).astype(np.float32)

    def candidates(self, boxes: np.ndarray, edge: int) -> tuple[np.ndarray, np.ndarray]:
        """What a network is shown of boxes (M, 4 or more) in pixels of the photo.

        The parts outside the photo are cut off and the rest is stretched, as MTCNN does.

        Returns:
            (M,) bool, which boxes reach into the photo, and the crops (K, edge, edge, 3) float32, 0 to 255, of those.
        """
        low = np.maximum(np.trunc(boxes[:, :2]), 1) - 1
        high = np.minimum(np.trunc(boxes[:, 2:4]), (self.width, self.height))
        inside = (high > low).all(axis=1)
        return inside, self.crops(np.column_stack([low, high])[inside].astype(np.int64), edge)

    def crops(self, boxes: np.ndarray, edge: int) -> np.ndarray:
        """Boxes (M, 4) int64 left, top, right, bottom inside the photo -> (M, edge, edge, 3) float32, 0 to 255."""
        left, right = (part + boxes[:, 0, None] for part in _bins(boxes[:, 2] - boxes[:, 0], edge))
        top, bottom = (
            (part + boxes[:, 1, None]) * (self.width + 1) for part in _bins(boxes[:, 3] - boxes[:, 1], edge)
        )
        flat = self._sums.reshape(-1, 3)

        def at(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
            return np.take(flat, rows[:, :, None] + columns[:, None, :], axis=0)

        total = at(bottom, right) - at(top, right) - at(bottom, left) + at(top, left)
        area = ((bottom - top) // (self.width + 1))[:, :, None] * (right - left)[:, None, :]
        return (total / area[..., None]).astype(np.float32)


def _bins(lengths: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """First and one past last source pixel (M, count) of each of `count` pixels, for M lengths."""
    steps = np.arange(count)
    return steps * lengths[:, None] // count, -(-(steps + 1) * lengths[:, None] // count)
