"""Pleats, prints and seams of face masks: each is drawn on finished cloth and takes the mask's coverage (H, W)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from occluder_canvas import Canvas, Colour


def pleats(rows: list[float], dark: float = 0.2) -> Callable[[Canvas, np.ndarray], None]:
    """Horizontal folds that sag towards the middle."""

    def draw(art: Canvas, cover: np.ndarray) -> None:
        del cover
        for row in rows:
            art.crease(
                [(-1.05, row - 0.05), (-0.5, row), (0, row + 0.03), (0.5, row), (1.05, row - 0.05)],
                0.03,
                dark,
            )

    return draw


def seam(art: Canvas, cover: np.ndarray) -> None:
    """The seam down the middle of a cloth mask."""
    del cover
    ridge = np.exp(-((art.x / 0.018) ** 2))
    art.shade(1 - 0.22 * ridge + 0.06 * np.sign(art.x) * np.exp(-np.abs(art.x) / 0.4))


def dots(colour: Colour, spacing: float, size: float) -> Callable[[Canvas, np.ndarray], None]:
    """A print of dots, every other row shifted."""

    def draw(art: Canvas, cover: np.ndarray) -> None:
        row = np.floor(art.y / spacing)
        across = (art.x / spacing + 0.5 * (row % 2)) % 1 - 0.5
        down = (art.y / spacing) % 1 - 0.5
        near = np.hypot(across, down) * spacing
        art.paint(cover * np.clip((size - near) * art.fine + 0.5, 0, 1), colour, inside=True)

    return draw


def checks(colour: Colour, spacing: float) -> Callable[[Canvas, np.ndarray], None]:
    """A gingham print."""

    def draw(art: Canvas, cover: np.ndarray) -> None:
        for along in (art.x, art.y):
            art.paint(cover * ((along / spacing) % 1 < 0.5), colour, 0.45, inside=True)

    return draw


def paisley(art: Canvas, cover: np.ndarray) -> None:
    """A bandana's print: white rings and dots in a border."""
    for radius, at in ((0.16, (0.0, 0.8)), (0.16, (0.55, 0.75)), (0.16, (-0.55, 0.75)), (0.13, (0.3, 1.25)), (0.13, (-0.3, 1.25)),
                       (0.12, (0, 1.7)), (0.11, (0.85, 0.95)), (0.11, (-0.85, 0.95))):  # fmt: skip
        near = np.hypot(art.x - at[0], (art.y - at[1]) * 0.8)
        art.paint(cover * (np.abs(near - radius) < 0.022), (230, 226, 220), 0.85, inside=True)
        art.paint(cover * (near < 0.4 * radius), (230, 226, 220), 0.8, inside=True)
    dots((225, 220, 214), 0.2, 0.022)(art, cover)


def vents(art: Canvas, cover: np.ndarray) -> None:
    """A sports mask's round valve on either side, and its panels."""
    for side in (-1, 1):
        near = np.hypot(art.x - side * 0.52, art.y - 1.12)
        art.paint(cover * (near < 0.15), (62, 64, 68), inside=True)
        art.paint(cover * (near < 0.11) * ((art.y * 16) % 1 < 0.5), (24, 24, 26), inside=True)
        art.crease([(side * 0.12, 0.3), (side * 0.3, 0.8), (side * 0.28, 1.3), (side * 0.12, 1.8)], 0.03, 0.3)


def boat(art: Canvas, cover: np.ndarray) -> None:
    """A folding respirator: three panels."""
    del cover
    for row, bend in ((0.78, -0.14), (1.38, 0.12)):
        art.crease(
            [(-0.98, 0.98), (-0.5, row - bend * 0.2), (0, row), (0.5, row - bend * 0.2), (0.98, 0.98)],
            0.035,
            0.22,
        )
    art.shade(1 - 0.1 * (art.y > 1.38))


def bill(art: Canvas, cover: np.ndarray) -> None:
    """A duckbill's front edge, bright above and dark below."""
    del cover
    edge = 1.02 + 0.08 * np.cos(art.x * 1.6)
    art.shade(np.where(art.y < edge, 1.03, 0.8))
    art.crease([(-0.86, 1.02), (-0.4, 1.09), (0, 1.1), (0.4, 1.09), (0.86, 1.02)], 0.04, 0.3)


def cup(art: Canvas, cover: np.ndarray) -> None:
    """A moulded respirator: a dome with a nose clip and an exhalation valve."""
    dome = 1 - 0.55 * np.clip(np.hypot(art.x / 0.9, (art.y - 0.95) / 0.95) - 0.45, 0, 1) ** 1.5
    art.shade(dome)
    art.paint(art.line([(-0.26, 0.36), (0, 0.2), (0.26, 0.36)], 0.055) * cover, (168, 172, 178), inside=True)
    art.crease([(-0.72, 1.05), (-0.3, 0.74), (0.3, 0.74), (0.72, 1.05)], 0.03, 0.14)
    valve = art.shape(
        [
            (-0.2, 1.04),
            (-0.2, 1.04),
            (0.2, 1.04),
            (0.2, 1.04),
            (0.2, 1.32),
            (0.2, 1.32),
            (-0.2, 1.32),
            (-0.2, 1.32),
        ]
    )
    art.paint(valve, (206, 208, 212), inside=True)
    art.paint(valve * ((art.y * 14) % 1 < 0.4), (150, 152, 158), inside=True)


def clip(
    inner: Callable[[Canvas, np.ndarray], None], top: float = 0.3
) -> Callable[[Canvas, np.ndarray], None]:
    """A surgical mask's wire over the nose besides its folds."""

    def draw(art: Canvas, cover: np.ndarray) -> None:
        inner(art, cover)
        art.crease(
            [(-0.34, top + 0.16), (-0.15, top + 0.02), (0, top), (0.15, top + 0.02), (0.34, top + 0.16)],
            0.04,
            0.1,
        )

    return draw
