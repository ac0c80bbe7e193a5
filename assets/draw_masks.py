"""Face masks for `draw_occluders`: name -> (split, drawing, facts for `styles.json`)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from draw_mask_details import bill, boat, checks, clip, cup, dots, paisley, pleats, seam, vents
from occluder_canvas import Canvas, Colour, Points, mirrored

Style = tuple[str, Callable[[Canvas], None], dict]


def mask(
    half: Points,
    cloth: Colour,
    *,
    loops: tuple[float, float, float, float],
    details: Callable[[Canvas, np.ndarray], None] | None = None,
    smooth: bool = True,
    hem: float = 0.04,
    strap: Colour = (225, 225, 222),
) -> Callable[[Canvas], None]:
    """A face mask from the right half of its outline.

    Args:
        half: from the nose bridge on the midline over the cheek to the chin on the midline.
        cloth: its colour.
        loops: where the upper and the lower strap leave the mask's side: x, y, x, y.
        details: pleats, prints, seams, drawn on the finished cloth; takes the mask's coverage.
        smooth: round off the corners.
        hem: thickness of the sewn rim.
        strap: the straps' colour.
    """

    def draw(art: Canvas) -> None:
        ux, uy, lx, ly = loops
        for side in (-1, 1):
            art.paint(
                art.line([(side * ux, uy), (side * 1.12, uy - 0.16), (side * 1.3, uy - 0.26)], 0.065), strap
            )
            art.paint(
                art.line([(side * lx, ly), (side * 1.1, ly - 0.35), (side * 1.3, ly - 0.62)], 0.065), strap
            )
        cover = art.shape(mirrored(half), smooth)
        art.paint(cover, cloth)
        if details:
            details(art, cover)
        if hem:
            inner = art.soft(cover, 0.01)
            art.paint(
                art.line([*mirrored(half), half[0]], hem, smooth) * (inner > 0.5),
                np.multiply(cloth, 0.92),
                0.5,
            )
        # A light from above: the nose's ridge is bright, cheeks and the part below the lips fall off.
        ridge = np.exp(-((art.x / 0.28) ** 2) - ((art.y - 0.6) / 0.5) ** 2)
        below = np.clip((art.y - 1.25) / 0.8, 0, 1)
        art.shade(0.97 + 0.08 * ridge - 0.22 * below - 0.2 * (art.x / 1.1) ** 2, cover)
        art.rounded(cover, 0.07, 0.16)
        art.wrinkles((0.35, 0.16), 0.02)

    return draw


SURGICAL = [(0, 0.2), (0.2, 0.28), (0.55, 0.46), (0.95, 0.55), (0.99, 0.6), (0.95, 1.15), (0.86, 1.4), (0.66, 1.72),
            (0.35, 1.93), (0, 1.98)]  # fmt: skip
SLIM = [
    (0, 0.32),
    (0.2, 0.38),
    (0.5, 0.62),
    (0.9, 0.8),
    (0.93, 0.84),
    (0.89, 1.2),
    (0.72, 1.58),
    (0.4, 1.9),
    (0, 1.97),
]
BOAT = [(0, 0.14), (0.22, 0.28), (0.5, 0.56), (0.82, 0.78), (1.03, 0.86), (1.03, 0.98), (0.88, 1.3), (0.6, 1.7),
        (0.3, 1.95), (0, 2.03)]  # fmt: skip
CURVED = [
    (0, 0.3),
    (0.25, 0.4),
    (0.62, 0.4),
    (0.98, 0.52),
    (1.0, 0.95),
    (0.92, 1.28),
    (0.62, 1.72),
    (0.28, 1.96),
    (0, 2.0),
]
TALL = [
    (0, 0.08),
    (0.24, 0.2),
    (0.6, 0.4),
    (1.04, 0.36),
    (1.06, 0.9),
    (0.95, 1.34),
    (0.68, 1.8),
    (0.3, 2.05),
    (0, 2.08),
]
SPORT = [
    (0, 0.24),
    (0.28, 0.36),
    (0.7, 0.5),
    (1.2, 0.32),
    (1.22, 0.56),
    (1.0, 1.2),
    (0.8, 1.6),
    (0.5, 1.9),
    (0, 2.0),
]
LOW = [
    (0, 0.93),
    (0.3, 0.9),
    (0.7, 0.84),
    (0.96, 0.78),
    (0.98, 0.84),
    (0.92, 1.25),
    (0.72, 1.75),
    (0.4, 2.08),
    (0, 2.16),
]
DUCKBILL = [(0, 0.24), (0.22, 0.34), (0.46, 0.62), (0.84, 0.9), (0.98, 0.98), (0.98, 1.06), (0.84, 1.16), (0.66, 1.5),
            (0.42, 1.82), (0, 1.94)]  # fmt: skip
CUP = [
    (0, 0.1),
    (0.18, 0.2),
    (0.4, 0.46),
    (0.66, 0.68),
    (0.79, 0.98),
    (0.79, 1.36),
    (0.62, 1.7),
    (0.34, 1.92),
    (0, 1.98),
]
BANDANA = [(0, 0.3), (0.3, 0.36), (0.75, 0.42), (1.25, 0.2), (1.3, 0.2), (1.28, 0.62), (1.02, 1.2), (0.6, 1.8), (0.06, 2.34),
           (0, 2.36)]  # fmt: skip
SQUARE = [
    (0, 0.3),
    (0.14, 0.34),
    (0.3, 0.62),
    (1.0, 0.72),
    (1.0, 0.72),
    (0.97, 1.5),
    (0.97, 1.5),
    (0.7, 1.8),
    (0.5, 2.1),
    (0, 2.12),
]
SLIPPED = [
    (0, 1.0),
    (0.4, 0.92),
    (0.72, 1.04),
    (0.9, 1.1),
    (0.9, 1.4),
    (0.72, 1.66),
    (0.55, 1.78),
    (0.3, 2.2),
    (0, 2.3),
]

DARK, WHITE = (44, 44, 48), (232, 233, 234)
FACE_MASKS: dict[str, Style] = {
    "surgical": (
        "train",
        mask(
            SURGICAL,
            (150, 190, 212),
            loops=(0.95, 0.62, 0.88, 1.32),
            details=clip(pleats([0.82, 1.08, 1.34])),
        ),
        {},
    ),
    "slim": (
        "train",
        mask(SLIM, (226, 232, 236), loops=(0.88, 0.86, 0.82, 1.36), details=pleats([0.98, 1.22, 1.46], 0.15)),
        {},
    ),
    "folding-respirator": ("train", mask(BOAT, WHITE, loops=(0.98, 0.9, 0.96, 1.06), details=boat), {}),
    "cloth": (
        "train",
        mask(CURVED, (74, 92, 128), loops=(0.95, 0.58, 0.9, 1.25), details=seam, strap=(70, 84, 110)),
        {"tint": 0.2},
    ),
    "dotted": (
        "train",
        mask(
            TALL,
            (176, 60, 70),
            loops=(1.0, 0.45, 0.92, 1.3),
            details=dots((238, 230, 226), 0.17, 0.045),
            strap=(160, 60, 66),
        ),
        {"tint": 0.2},
    ),
    "sport": (
        "train",
        mask(SPORT, DARK, loops=(1.16, 0.42, 1.14, 0.6), details=vents, strap=(40, 40, 42)),
        {},
    ),
    "surgical-low": (
        "train",
        mask(LOW, (158, 198, 206), loops=(0.92, 0.86, 0.86, 1.4), details=pleats([1.2, 1.46, 1.7])),
        {"below_nose": True},
    ),
    "duckbill": ("val", mask(DUCKBILL, (228, 230, 228), loops=(0.94, 0.98, 0.9, 1.1), details=bill), {}),
    "cup-respirator": (
        "test",
        mask(CUP, (236, 234, 226), loops=(0.7, 0.74, 0.74, 1.4), details=cup, strap=(206, 180, 90)),
        {},
    ),
    "bandana": (
        "test",
        mask(
            BANDANA,
            (168, 34, 40),
            loops=(1.25, 0.3, 1.25, 0.42),
            details=paisley,
            hem=0.03,
            strap=(150, 30, 36),
        ),
        {"tint": 0.2},
    ),
    "checked": (
        "test",
        mask(SQUARE, (216, 220, 226), loops=(0.96, 0.76, 0.93, 1.46), details=checks((54, 84, 140), 0.16)),
        {"tint": 0.25},
    ),
    "cloth-low": (
        "test",
        mask(SLIPPED, (54, 58, 62), loops=(0.86, 1.12, 0.84, 1.44), details=seam, strap=(60, 60, 62)),
        {"below_nose": True, "tint": 0.15},
    ),
}
