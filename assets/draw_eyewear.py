"""Sunglasses for `draw_occluders`: name -> (split, drawing, facts for `styles.json`)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from occluder_canvas import Canvas, Colour, Points

Style = tuple[str, Callable[[Canvas], None], dict]


def lenses(
    half: Points,
    frame: Colour,
    rim: float,
    lens: Colour,
    opacity: float = 0.93,
    smooth: bool = True,
    brow: float = 0.0,
) -> Callable[[Canvas], None]:
    """Sunglasses from the outline of the right lens, its rim's thickness and that of its brow bar."""

    def draw(art: Canvas) -> None:
        left = [(-x, y) for x, y in half]
        inner = min(x for x, _ in half)
        art.paint(
            art.line([(-inner - 0.02, -0.08), (0, -0.13), (inner + 0.02, -0.08)], max(rim, 0.05)), frame
        )
        for outline in (half, left):
            glass = art.shape(outline, smooth)
            edge = art.line([*outline, outline[0]], rim, smooth)
            art.paint(glass * (1 - edge), lens, opacity)
            # The sky in the upper part of the glass, and a streak of light.
            art.shade(1 + 0.8 * np.clip(0.15 - art.y, 0, 0.5), glass * (1 - edge))
            x0 = min(x for x, _ in outline)
            streak = np.exp(-((((art.x - x0 - 0.2) + 0.7 * (art.y + 0.1)) / 0.06) ** 2))
            art.paint(streak * glass, (150, 160, 175), 0.22, inside=True)
            art.paint(edge, frame)
            art.shade(1 + 0.7 * np.clip(-art.y - 0.1, 0, 0.3), edge)
            if brow:
                top = sorted(p for p in outline if p[1] < -0.1)
                art.paint(art.line(top, brow), frame)

    return draw


def glasses(split: str, half: Points, frame: Colour, rim: float, lens: Colour, **more) -> Style:
    """A style of sunglasses; its arms start at the outermost upper point of the lens."""
    outer = max(half, key=lambda p: p[0] - 0.5 * abs(p[1] + 0.15))
    facts = {
        "arm": {"hinge": [outer[0], max(outer[1], -0.3)], "thick": max(1.3 * rim, 0.06), "colour": frame}
    }
    return split, lenses(half, frame, rim, lens, **more), facts


BLACK, SMOKE = (24, 24, 26), (20, 21, 24)
AVIATOR = [(0.12, -0.18), (0.3, -0.26), (0.65, -0.28), (0.95, -0.22), (0.99, -0.02), (0.9, 0.26), (0.66, 0.45),
           (0.42, 0.42), (0.24, 0.22), (0.13, -0.02)]  # fmt: skip
WAYFARER = [(0.13, -0.2), (0.5, -0.29), (0.95, -0.31), (1.04, -0.24), (0.97, 0.1), (0.85, 0.28), (0.5, 0.31),
            (0.25, 0.22), (0.14, 0.0)]  # fmt: skip
ROUND = [(0.52 + 0.36 * np.cos(a), 0.05 + 0.36 * np.sin(a)) for a in np.linspace(-2.8, 2.96, 15)]
NARROW = [
    (0.14, -0.16),
    (0.18, -0.19),
    (0.95, -0.21),
    (0.99, -0.17),
    (0.96, 0.17),
    (0.92, 0.21),
    (0.2, 0.2),
    (0.16, 0.16),
]
WRAP = [(0.05, -0.2), (0.5, -0.3), (1.0, -0.26), (1.16, -0.16), (1.1, 0.03), (0.85, 0.26), (0.45, 0.32), (0.2, 0.2),
        (0.08, -0.02)]  # fmt: skip
OVAL = [(0.5 + 0.4 * np.cos(a), 0.02 + 0.25 * np.sin(a)) for a in np.linspace(-2.8, 2.96, 15)]
BROWLINE = [
    (0.13, -0.2),
    (0.55, -0.28),
    (1.0, -0.27),
    (1.0, -0.1),
    (0.8, 0.14),
    (0.55, 0.2),
    (0.3, 0.13),
    (0.15, -0.02),
]
CAT_EYE = [
    (0.12, -0.14),
    (0.45, -0.24),
    (0.8, -0.34),
    (1.12, -0.45),
    (1.06, -0.14),
    (0.88, 0.16),
    (0.55, 0.28),
    (0.24, 0.2),
]
BUTTERFLY = [(0.1, -0.25), (0.45, -0.32), (0.92, -0.4), (1.1, -0.32), (1.1, 0.08), (0.96, 0.42), (0.6, 0.5), (0.28, 0.36),
             (0.15, 0.05)]  # fmt: skip
HEXAGON = [(0.15, 0.02), (0.32, -0.3), (0.75, -0.3), (0.95, 0.02), (0.76, 0.4), (0.32, 0.4)]

SUNGLASSES: dict[str, Style] = {
    "aviator": glasses("train", AVIATOR, (120, 98, 55), 0.035, (38, 36, 26), opacity=0.9),
    "wayfarer": glasses("train", WAYFARER, BLACK, 0.08, SMOKE),
    "round": glasses("train", ROUND, (88, 88, 92), 0.04, (32, 38, 34), opacity=0.92),
    "narrow": glasses("train", NARROW, (40, 34, 32), 0.06, SMOKE, smooth=False),
    "wraparound": glasses("train", WRAP, (30, 32, 38), 0.05, (28, 30, 44), opacity=0.97),
    "oval": glasses("train", OVAL, (86, 50, 28), 0.07, (40, 26, 18)),
    "browline": glasses("val", BROWLINE, (52, 30, 20), 0.035, (26, 26, 22), opacity=0.92, brow=0.13),
    "cat-eye": glasses("test", CAT_EYE, (60, 14, 20), 0.08, (24, 18, 22)),
    "butterfly": glasses("test", BUTTERFLY, (46, 32, 26), 0.06, (36, 26, 22), opacity=0.94),
    "hexagon": glasses("test", HEXAGON, (140, 120, 80), 0.04, (30, 32, 36), opacity=0.9, smooth=False),
}
