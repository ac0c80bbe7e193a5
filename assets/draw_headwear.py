"""Scarves and caps for `draw_occluders`: name -> (split, drawing, facts for `styles.json`)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from occluder_canvas import Canvas, Colour, Points, mirrored

Draw = Callable[[Canvas], None]
Detail = Callable[[Canvas, np.ndarray], None]


def cloth(
    parts: list[Points],
    colour: Colour,
    creases: list[Points],
    details: Detail | None = None,
    dark: float = 0.3,
) -> Draw:
    """A scarf of pieces laid over each other, the last on top, with its folds.

    Args:
        parts: outlines of the pieces.
        colour: of the cloth.
        creases: lines of the folds.
        details: knit or print, drawn before the folds.
        dark: depth of the folds, 0 to 1.
    """

    def draw(art: Canvas) -> None:
        for part in parts:
            cover = art.shape(part)
            # The piece below lies in the upper one's shadow.
            art.shade(1 - 0.45 * art.soft(cover, 0.06))
            art.paint(cover, colour)
            if details:
                details(art, cover)
            art.rounded(cover, 0.16, 0.3)
        for crease in creases:
            art.crease(crease, 0.07, dark)
        art.wrinkles((0.8, 0.22), 0.06)
        art.shade(1.04 - 0.12 * np.clip((art.y - 1) / 2.5, 0, 1))

    return draw


def knit(size: float, depth: float) -> Detail:
    """Rows of stitches."""

    def draw(art: Canvas, cover: np.ndarray) -> None:
        slant = np.abs((art.x / size) % 1 - 0.5)
        art.shade(1 - depth * (0.5 + 0.5 * np.sin((art.y / size + slant) * 2 * np.pi)), cover)

    return draw


def stripes(colours: list[Colour], wide: float, lean: float) -> Detail:
    """Stripes across the cloth, `lean` is their slope."""

    def draw(art: Canvas, cover: np.ndarray) -> None:
        across = (art.y + lean * np.abs(art.x)) / wide % (len(colours) + 1)
        for index, colour in enumerate(colours):
            art.paint(cover * ((across >= index) & (across < index + 0.6)), colour, 0.85, inside=True)

    return draw


def tartan(colour: Colour, wide: float) -> Detail:
    """Crossing bands and thin lines."""

    def draw(art: Canvas, cover: np.ndarray) -> None:
        for along in (art.x + 0.2 * art.y, art.y - 0.2 * art.x):
            place = (along / wide) % 1
            art.paint(cover * (place < 0.4), colour, 0.5, inside=True)
            art.paint(cover * (np.abs(place - 0.7) < 0.04), (225, 205, 150), 0.7, inside=True)

    return draw


WOOL = [(-1.3, 0.72), (-0.65, 0.88), (0, 0.86), (0.65, 0.88), (1.3, 0.72), (1.5, 1.2), (1.62, 1.9), (1.85, 2.5), (1.3, 2.95),
        (0, 3.1), (-1.3, 2.95), (-1.85, 2.5), (-1.62, 1.9), (-1.5, 1.2)]  # fmt: skip
TAIL = [(0.1, 2.3), (0.75, 2.2), (1.0, 2.9), (1.05, 3.75), (0.15, 3.75), (0.1, 3.0)]
HIGH = [(-1.35, 0.35), (-0.6, 0.42), (0, 0.3), (0.6, 0.42), (1.35, 0.35), (1.5, 1.0), (1.5, 1.8), (2.1, 2.5), (2.6, 2.9), (2.6, 3.75),
        (-2.6, 3.75), (-2.6, 2.9), (-2.1, 2.5), (-1.5, 1.8), (-1.5, 1.0)]  # fmt: skip
CHIN = [(-1.3, 1.25), (-0.8, 1.38), (0, 1.42), (0.8, 1.34), (1.35, 1.15), (1.75, 1.7), (2.0, 2.3), (1.5, 2.9), (0, 3.2), (-1.5, 2.9),
        (-2.0, 2.3), (-1.75, 1.8)]  # fmt: skip
LOOP = [
    (-1.9, 2.3),
    (-0.9, 1.95),
    (0, 2.3),
    (0.9, 1.95),
    (1.9, 2.3),
    (2.1, 2.9),
    (1.2, 3.75),
    (-1.2, 3.75),
    (-2.1, 2.9),
]
SNOOD = [(-1.2, 0.42), (-0.5, 0.36), (0, 0.22), (0.5, 0.36), (1.2, 0.42), (1.22, 1.0), (1.1, 1.7), (1.05, 2.4), (1.3, 3.1), (1.5, 3.75),
         (-1.5, 3.75), (-1.3, 3.1), (-1.05, 2.4), (-1.1, 1.7), (-1.22, 1.0)]  # fmt: skip
SHAWL = [(-1.5, 0.75), (-1.1, 0.9), (-0.6, 1.02), (0, 0.92), (0.6, 0.68), (1.1, 0.5), (1.5, 0.55), (2.0, 1.2), (2.6, 2.0), (2.6, 3.75),
         (-2.6, 3.75), (-2.6, 2.0), (-2.1, 1.2)]  # fmt: skip
TRIANGLE = [(-1.3, 0.5), (-0.6, 0.66), (0, 0.6), (0.6, 0.66), (1.3, 0.5), (1.32, 0.9), (1.1, 1.7), (0.6, 2.5), (0.45, 3.1), (0.4, 3.75),
            (-0.4, 3.75), (-0.45, 3.1), (-0.6, 2.5), (-1.1, 1.7), (-1.32, 0.9)]  # fmt: skip
NECK = [
    (-1.15, 1.7),
    (0, 1.9),
    (1.15, 1.7),
    (1.9, 2.4),
    (2.4, 3.0),
    (1.2, 3.2),
    (0, 3.4),
    (-1.2, 3.2),
    (-2.4, 3.0),
    (-1.9, 2.4),
]

SCARVES: dict[str, tuple[str, Draw, dict]] = {
    "wool": (
        "train",
        cloth([TAIL, WOOL], (128, 46, 48), [[(-1.4, 1.3), (-0.4, 1.5), (0.6, 1.45), (1.5, 1.1)], [(-1.6, 1.9), (-0.3, 2.2), (1.5, 1.7)],
              [(-1.6, 2.4), (0.2, 2.7), (1.6, 2.2)]], knit(0.13, 0.16)),
        {"tint": 0.25},
    ),
    "tartan": (
        "train",
        cloth([HIGH], (150, 36, 40), [[(-1.4, 0.9), (0, 1.2), (1.4, 0.8)], [(-1.5, 1.5), (-0.2, 1.9), (1.4, 1.6)],
              [(-2, 2.5), (0, 2.4), (2, 2.6)], [(-0.4, 2.4), (-0.6, 3.2)], [(0.6, 2.4), (0.9, 3.4)]], tartan((28, 50, 44), 0.62)),
        {"tint": 0.2},
    ),
    "chin-loop": (
        "train",
        cloth([LOOP, CHIN], (150, 146, 138), [[(-1.5, 1.7), (-0.2, 1.9), (1.5, 1.6)], [(-1.7, 2.2), (0, 2.5), (1.7, 2.1)],
              [(-1.5, 2.9), (0, 3.2), (1.5, 2.9)]], knit(0.1, 0.12)),
        {"tint": 0.2},
    ),
    "snood": (
        "val",
        cloth([SNOOD], (58, 66, 84), [[(-1.1, 1.3), (0.2, 1.5), (1.1, 1.2)], [(-1.0, 1.9), (0, 2.15), (1.0, 1.8)],
              [(-1.0, 2.4), (0.1, 2.6), (1.05, 2.3)]], None, 0.24),
        {"tint": 0.25},
    ),
    "shawl": (
        "test",
        cloth([SHAWL], (196, 172, 128), [[(-1.9, 0.8), (-0.6, 1.6), (0.6, 1.9), (1.6, 2.0)], [(1.8, 0.9), (0.6, 1.3), (-0.6, 2.1), (-1.4, 3.0)],
              [(-2.3, 1.8), (-1, 2.6), (0.2, 3.4)], [(2.3, 1.8), (1.2, 2.6), (0.6, 3.4)]], stripes([(92, 52, 40), (60, 86, 92)], 0.2, -0.5)),
        {"tint": 0.2},
    ),
    "kerchief": (
        "test",
        cloth([NECK, TRIANGLE], (66, 98, 84), [[(-1.2, 0.9), (-0.2, 1.3), (0.2, 2.0)], [(1.2, 0.9), (0.3, 1.5), (0, 2.4)],
              [(-0.9, 1.6), (-0.3, 2.3), (-0.2, 3.2)], [(0.8, 1.8), (0.3, 2.6), (0.2, 3.3)]], None),
        {"tint": 0.22},
    ),
}  # fmt: skip


def hat(
    crown: Points, colour: Colour, brim: Points | None = None, brim_colour: Colour | None = None, *, shadow: float = 0.0,
    creases: tuple[Points, ...] = (), band: tuple[Points, float, Colour] | None = None, details: Detail | None = None,
) -> Draw:  # fmt: skip
    """A cap from the right halves of its crown and brim.

    Args:
        crown: from the top of the midline to its bottom.
        colour: of the crown.
        brim: likewise, laid over the crown.
        brim_colour: the crown's unless given.
        shadow: how far below the brim the forehead is shaded, in face units.
        creases: seams and dents.
        band: a line round the hat, its thickness and colour.
        details: knit or print of the crown.
    """

    def draw(art: Canvas) -> None:
        if brim and shadow:
            narrow = [(0.86 * x, y + shadow * (1 - (x / 1.4) ** 2)) for x, y in brim]
            # Just over half opaque: it belongs to what is covered, and the skin still shows.
            art.paint(art.shape(mirrored(narrow)), (12, 11, 12), 0.62)
        cover = art.shape(mirrored(crown))
        art.paint(cover, colour)
        if details:
            details(art, cover)
        art.shade(1.08 - 0.3 * (art.x / 1.3) ** 2 - 0.12 * (art.y + 2) ** 2 / 2, cover)
        art.rounded(cover, 0.15, 0.25)
        for crease in creases:
            art.crease(crease, 0.045, 0.26)
        if band:
            art.paint(art.line(band[0], band[1]), band[2], inside=True)
        if brim:
            edge = art.shape(mirrored(brim))
            art.shade(1 - 0.4 * art.soft(edge, 0.05))
            art.paint(edge, brim_colour or colour)
            art.shade(1.1 - 0.35 * np.clip((art.y - brim[0][1]) / (brim[-1][1] - brim[0][1]), 0, 1), edge)
            art.rounded(edge, 0.05, 0.2)
        art.wrinkles((0.5, 0.4), 0.03)

    return draw


DOME = [
    (0, -2.4),
    (0.6, -2.3),
    (1.12, -1.95),
    (1.36, -1.4),
    (1.36, -0.85),
    (1.28, -0.6),
    (0.7, -0.72),
    (0, -0.78),
]
PEAK = [(0, -1.02), (0.6, -0.96), (1.12, -0.72), (1.27, -0.52), (1.16, -0.43), (0.7, -0.46), (0, -0.5)]
KNITTED = [
    (0, -2.5),
    (0.6, -2.38),
    (1.1, -2.0),
    (1.38, -1.4),
    (1.43, -0.8),
    (1.4, -0.36),
    (1.24, -0.3),
    (0.6, -0.52),
    (0, -0.58),
]
BUCKET_CROWN = [(0, -2.1), (0.7, -2.1), (1.1, -1.98), (1.3, -1.3), (1.36, -0.8), (0.7, -0.8), (0, -0.84)]
BUCKET = [
    (0, -1.05),
    (0.7, -1.0),
    (1.3, -0.9),
    (1.75, -0.45),
    (1.86, -0.22),
    (1.3, -0.26),
    (0.6, -0.4),
    (0, -0.44),
]
STRAW_CROWN = [(0, -2.3), (0.6, -2.28), (1.05, -2.05), (1.22, -1.3), (1.24, -0.85), (0.6, -0.8), (0, -0.8)]
STRAW = [
    (0, -1.02),
    (0.7, -1.02),
    (1.5, -0.98),
    (2.1, -0.82),
    (2.15, -0.66),
    (1.5, -0.5),
    (0.7, -0.42),
    (0, -0.4),
]
FLAT = [
    (0, -1.75),
    (0.7, -1.74),
    (1.35, -1.5),
    (1.65, -1.05),
    (1.5, -0.72),
    (1.2, -0.62),
    (0.6, -0.66),
    (0, -0.7),
]
FLAT_PEAK = [(0, -0.92), (0.5, -0.88), (0.9, -0.7), (1.02, -0.52), (0.6, -0.46), (0, -0.44)]
FEDORA_CROWN = [
    (0, -2.45),
    (0.3, -2.62),
    (0.75, -2.5),
    (1.05, -1.9),
    (1.24, -1.0),
    (1.2, -0.8),
    (0.6, -0.8),
    (0, -0.8),
]
FEDORA = [
    (0, -0.95),
    (0.8, -0.98),
    (1.5, -1.14),
    (1.95, -1.12),
    (1.9, -0.92),
    (1.4, -0.62),
    (0.7, -0.42),
    (0, -0.36),
]
FLAPS = [(0, -2.3), (0.7, -2.2), (1.2, -1.85), (1.42, -1.3), (1.46, -0.6), (1.42, -0.02), (1.2, -0.02), (1.12, -0.5), (0.9, -0.72),
         (0.5, -0.62), (0, -0.6)]  # fmt: skip
FUR = [(0, -1.7), (0.6, -1.66), (1.0, -1.5), (1.1, -1.0), (0.9, -0.56), (0.5, -0.46), (0, -0.46)]

CAPS: dict[str, tuple[str, Draw, dict]] = {
    "baseball": (
        "train",
        hat(DOME, (34, 52, 96), PEAK, shadow=0.16, creases=([(0, -2.3), (0, -1.0)], [(0.2, -2.3), (0.8, -1.7), (0.9, -0.95)],
            [(-0.2, -2.3), (-0.8, -1.7), (-0.9, -0.95)])),
        {"tint": 0.25},
    ),
    "beanie": (
        "train",
        hat(KNITTED, (96, 96, 100), details=knit(0.12, 0.2), creases=([(-1.4, -0.8), (-0.6, -0.98), (0, -1.04), (0.6, -0.98), (1.4, -0.8)],)),
        {"tint": 0.22, "surface": "snug"},
    ),
    "bucket": (
        "train",
        hat(BUCKET_CROWN, (150, 140, 110), BUCKET, shadow=0.14, creases=([(-1.6, -0.62), (-0.7, -0.66), (0, -0.7), (0.7, -0.66), (1.6, -0.62)],)),
        {"tint": 0.2},
    ),
    "straw": (
        "train",
        hat(STRAW_CROWN, (214, 190, 136), STRAW, shadow=0.16, band=([(-1.3, -1.02), (0, -1.14), (1.3, -1.02)], 0.26, (50, 36, 30)),
            details=knit(0.09, 0.14)),
        {"tint": 0.15},
    ),
    "flat": ("val", hat(FLAT, (98, 90, 78), FLAT_PEAK, shadow=0.12, details=knit(0.1, 0.18)), {"tint": 0.25}),
    "fedora": (
        "test",
        hat(FEDORA_CROWN, (62, 52, 46), FEDORA, shadow=0.12, creases=([(0, -2.4), (0.05, -1.9), (0, -1.4)],),
            band=([(-1.3, -1.04), (0, -1.18), (1.3, -1.04)], 0.28, (22, 20, 20))),
        {"tint": 0.2},
    ),
    "ear-flaps": (
        "test",
        hat(FLAPS, (84, 66, 50), FUR, (150, 122, 92), details=knit(0.16, 0.12)),
        {"tint": 0.2, "surface": "snug"},
    ),
}  # fmt: skip
