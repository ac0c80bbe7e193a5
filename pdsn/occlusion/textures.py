"""Surfaces of things that are drawn: cloth, paint, paper, and smooth noise."""

from __future__ import annotations

import numpy as np
import torch


def texture(rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """A random surface (rows, columns, 3) float, about 0 to 255: plain, shaded, striped, chequered or rough."""
    colour, other = rng.uniform(0, 256, (2, 3))
    if rng.random() < 0.4:  # clothes, walls and paper are more often grey than a random colour is
        colour, other = np.full(3, colour.mean()), np.full(3, other.mean())
    y, x = np.mgrid[0:rows, 0:columns].astype(float)
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 16)
    along = (x * np.cos(angle) + y * np.sin(angle)) / period
    across = (y * np.cos(angle) - x * np.sin(angle)) / period
    share = {
        0: lambda: np.zeros((rows, columns)),
        1: lambda: (along - along.min()) / max(float(np.ptp(along)), 1e-6),
        2: lambda: (along % 1 < 0.5).astype(float),
        3: lambda: ((along % 1 < 0.5) ^ (across % 1 < 0.5)).astype(float),
        4: lambda: clouds(rows, columns, 6, rng).clip(0, 1),
    }[int(rng.choice(5, p=(0.4, 0.2, 0.12, 0.08, 0.2)))]()[..., None]
    return colour * (1 - share) + other * share + rng.normal(0, rng.uniform(0, 12), (rows, columns, 1))


def cloth(rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """A random surface (rows, columns, 3) float, about 0 to 255: a `texture`, or blotches of two or three colours.

    The blotches are of any size, longer one way or not, with edges or without: as many-coloured as prints are, and none of
    the `patterns` that tests are made of.
    """
    if rng.random() < 0.4:
        return texture(rows, columns, rng)
    colours = rng.uniform(0, 256, (3, 1, 1, 3))
    surface = np.broadcast_to(colours[0], (rows, columns, 3))
    for colour in colours[1 : int(rng.integers(2, 4))]:
        down, across = rng.uniform(1.5, 12, 2)
        share = _blotches(rows, columns, (down, across if rng.random() < 0.5 else down), rng)
        if rng.random() < 0.6:
            share = (share > np.quantile(share, rng.uniform(0.25, 0.75))).astype(float)
        surface = surface + share[..., None] * (colour - surface)
    return surface + rng.normal(0, rng.uniform(0, 8), (rows, columns, 1))


def _blotches(rows: int, columns: int, period: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Smooth noise (rows, columns), 0 to 1, of another period down than across."""
    size = max(round(rows / period[0]), 2), max(round(columns / period[1]), 2)
    coarse = torch.from_numpy(rng.random((1, 1, *size)))
    found = torch.nn.functional.interpolate(coarse, (rows, columns), mode="bicubic")[0, 0].numpy()
    return found.clip(0, 1)


def clouds(rows: int, columns: int, period: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise (rows, columns), about 0 to 1.

    Args:
        rows, columns: its size.
        period: pixels from one random value to the next.
        rng: of the values.
    """
    size = max(int(rows // period), 2), max(int(columns // period), 2)
    coarse = torch.from_numpy(rng.random((1, 1, *size)))
    return torch.nn.functional.interpolate(coarse, (rows, columns), mode="bicubic")[0, 0].numpy()
