"""Patterns that nothing is trained on: how an occlusion looks must not decide whether it is coped with.

The segmentation and bases that see occluded photos are trained on plain, shaded, striped, chequered and cloudy
surfaces (`textures.texture`), white among them. These here are none of those.
"""

from __future__ import annotations

import numpy as np


def _dots(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Round dots on a grid."""
    return (np.hypot(x % 1 - 0.5, y % 1 - 0.5) < 0.32).astype(float)


def _zigzag(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Lines that turn at right angles."""
    return ((y + np.abs(x % 2 - 1)) % 1 < 0.5).astype(float)


def _rings(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rings around one centre."""
    return (np.hypot(x, y) % 1 < 0.5).astype(float)


def _bricks(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bricks and the joints between them."""
    course = np.floor(y)
    return ((y % 1 < 0.2) | ((x / 2 + course / 2) % 1 < 0.1)).astype(float)


PATTERNS = (_dots, _zigzag, _rings, _bricks)


def pattern(rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """A surface (rows, columns, 3) float, 0 to 255: one of `PATTERNS` in two colours that differ clearly.

    Its period is 4 to 12 px, and its origin lies anywhere.
    """
    y, x = np.mgrid[0:rows, 0:columns] / rng.uniform(4, 12)
    drawn = PATTERNS[int(rng.integers(len(PATTERNS)))]
    share = drawn(x - rng.uniform(0, x.max() + 1), y - rng.uniform(0, y.max() + 1))[..., None]
    dark, light = rng.uniform(0, 110, 3), rng.uniform(145, 255, 3)
    return dark * (1 - share) + light * share
