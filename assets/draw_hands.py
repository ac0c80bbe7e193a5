"""Hands for `draw_occluders`: name -> (split, drawing, facts for `styles.json`).

A hand is a forearm and a palm with fingers laid over them, each finger a bent tube with a nail. Seen from the
back; about as large as its owner's face, as hands are: a finger is a quarter of the eyes' distance thick.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from occluder_canvas import Canvas, Points, curve

SKIN = (205.0, 172.0, 152.0)
"""The colour of the artwork's skin; the face's own takes its place when a hand is painted."""


@dataclass(frozen=True)
class Finger:
    """A finger from its knuckle to its tip.

    Attributes:
        points: its bones' joints in face units.
        thick: diameter at the knuckle; the tip has 0.8 of it.
        nail: whether the nail shows.
    """

    points: Points
    thick: float = 0.29
    nail: bool = True


def tube(art: Canvas, points: Points, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A bent tube, as three (H, W) pictures.

    Its height above the skin's plane (1 on the axis, 0 at the rim, below 0 outside), its slope towards the light,
    and how far along it a place lies (0 to 1).
    """
    path = curve(points, closed=False, steps=4)
    wide = np.interp(np.linspace(0, 1, len(path)), np.linspace(0, 1, len(radii)), radii)
    nearest = np.full(art.x.shape, np.inf, np.float32)
    slope, place = np.zeros_like(nearest), np.zeros_like(nearest)
    for index, (start, end, first, last) in enumerate(zip(path, path[1:], wide, wide[1:], strict=False)):
        along = end - start
        length = max(float(along @ along), 1e-9)
        share = np.clip(((art.x - start[0]) * along[0] + (art.y - start[1]) * along[1]) / length, 0, 1)
        across, down = art.x - start[0] - share * along[0], art.y - start[1] - share * along[1]
        radius = first + (last - first) * share
        distance = np.hypot(across, down) / radius
        closer = distance < nearest
        slope = np.where(closer, down / radius - 0.5 * across / radius, slope)
        place = np.where(closer, (index + share) / (len(path) - 1), place)
        nearest = np.minimum(nearest, distance)
    return 1 - nearest, slope, place


def limb(art: Canvas, points: Points, radii: np.ndarray) -> None:
    """Lay a tube of skin over the picture, with the shadow that it casts; it grows out of what is there."""
    height, slope, place = tube(art, points, radii)
    reach = float(radii.mean())
    # A finger rises from the palm: no rim and no shadow where it begins.
    risen = np.clip((place - 0.1) / 0.3, 0, 1)
    art.shade(1 - 0.24 * np.clip(1 + height * reach / 0.07, 0, 1) * risen)
    cover = np.clip(height * reach * art.fine + 0.5, 0, 1) * np.where(art.alpha > 0.5, risen, 1)
    art.paint(cover, SKIN)
    bulge = np.sqrt(np.clip(1 - (1 - np.clip(height, 0, 1)) ** 2, 0, 1))
    art.shade(0.76 + 0.28 * bulge - 0.09 * np.clip(slope, -1, 1), cover)


def hand(
    palm: Points, arm: Points, fingers: list[Finger], arm_thick: tuple[float, float] = (0.92, 1.2)
) -> Callable[[Canvas], None]:
    """A hand: the palm's outline, the forearm from the wrist downwards, and the fingers, the last on top."""

    def draw(art: Canvas) -> None:
        limb(art, arm, np.linspace(arm_thick[0], arm_thick[1], 5) / 2)
        wrist = art.soft(art.alpha, 0.1)
        cover = art.shape(palm)
        art.paint(cover, SKIN)
        rim = 1 - np.clip(2 * art.soft(cover, 0.12) - 1, 0, 1)
        art.shade(1 - 0.12 * rim * (1 - 0.85 * wrist), cover)
        art.shade(1 + 0.06 * np.sin(art.x * 7 + art.y * 3) * cover)
        for finger in fingers:
            limb(art, finger.points, np.linspace(1, 0.8, 4) * finger.thick / 2)
            joints = curve(finger.points, closed=False, steps=4)
            tip, before = joints[-1], joints[-3]
            for at in finger.points[1:-1]:
                near = np.hypot(art.x - at[0], art.y - at[1]) / (0.34 * finger.thick)
                art.shade(1 - 0.1 * np.exp(-(near**2)))
            if finger.nail:
                _nail(art, tip, tip - before, finger.thick)
        art.wrinkles((0.5, 0.5), 0.025)

    return draw


def _nail(art: Canvas, tip: np.ndarray, along: np.ndarray, thick: float) -> None:
    along = along / max(np.hypot(*along), 1e-9)
    across = (art.x - tip[0]) * along[1] - (art.y - tip[1]) * along[0]
    forward = (art.x - tip[0]) * along[0] + (art.y - tip[1]) * along[1]
    inside = (across / (0.27 * thick)) ** 4 + ((forward - 0.04 * thick) / (0.3 * thick)) ** 4
    art.paint(np.clip((1 - inside) * 4, 0, 1), (228, 190, 176), 0.7, inside=True)


HANDS: dict[str, tuple[str, Callable[[Canvas], None], dict]] = {
    "over-mouth": (
        "train",
        hand(
            [(0.2, 0.85), (0.7, 0.86), (1.1, 1.2), (1.4, 1.7), (1.5, 2.2), (0.8, 2.35), (0.4, 1.98), (0.15, 1.65)],
            [(1.12, 2.1), (1.3, 2.8), (1.45, 3.9)],
            [Finger([(0.4, 1.78), (-0.1, 1.74), (-0.5, 1.68)], 0.25), Finger([(0.3, 1.52), (-0.3, 1.47), (-0.78, 1.42)], 0.29),
             Finger([(0.3, 1.24), (-0.35, 1.2), (-0.86, 1.17)], 0.3), Finger([(0.36, 0.98), (-0.25, 0.94), (-0.74, 0.95)], 0.29),
             Finger([(1.0, 1.25), (0.92, 0.8), (0.8, 0.42)], 0.33)],
        ),
        {},
    ),
    "on-cheek": (
        "train",
        hand(
            [(0.55, 1.1), (0.95, 0.92), (1.42, 1.0), (1.55, 1.5), (1.45, 2.2), (0.8, 2.25), (0.55, 1.7)],
            [(1.1, 2.1), (1.15, 2.9), (1.1, 3.9)],
            [Finger([(0.75, 1.85), (0.45, 1.62), (0.12, 1.5)], 0.32, nail=False), Finger([(1.4, 1.1), (1.46, 0.6), (1.42, 0.2)], 0.25),
             Finger([(1.18, 1.02), (1.22, 0.4), (1.17, -0.12)], 0.29), Finger([(0.92, 1.02), (0.9, 0.38), (0.84, -0.2)], 0.3),
             Finger([(0.68, 1.14), (0.58, 0.6), (0.5, 0.22)], 0.29)],
        ),
        {},
    ),
    "over-eye": (
        "train",
        hand(
            [(0.2, 0.68), (0.6, 0.5), (1.1, 0.55), (1.3, 1.0), (1.2, 1.75), (0.6, 1.8), (0.25, 1.3)],
            [(0.92, 1.6), (1.0, 2.6), (0.9, 3.9)],
            [Finger([(0.4, 1.42), (0.05, 1.15), (-0.2, 0.85)], 0.32, nail=False), Finger([(1.16, 0.7), (1.2, 0.25), (1.18, -0.15)], 0.25),
             Finger([(0.92, 0.6), (0.93, 0.0), (0.9, -0.5)], 0.29), Finger([(0.64, 0.58), (0.6, -0.05), (0.55, -0.62)], 0.3),
             Finger([(0.38, 0.7), (0.28, 0.1), (0.2, -0.42)], 0.29)],
        ),
        {},
    ),
    "fist": (
        "train",
        hand(
            [(-0.62, 1.15), (-0.2, 1.03), (0.3, 1.05), (0.68, 1.2), (0.72, 1.7), (0.5, 2.15), (-0.4, 2.15), (-0.68, 1.7)],
            [(0.05, 1.95), (0.3, 2.9), (0.5, 3.9)],
            [Finger([(0.52, 1.11), (0.57, 1.37), (0.54, 1.61)], 0.29, nail=False), Finger([(0.22, 0.99), (0.25, 1.31), (0.23, 1.63)], 0.31, nail=False),
             Finger([(-0.1, 0.95), (-0.1, 1.29), (-0.1, 1.63)], 0.32, nail=False), Finger([(-0.42, 0.99), (-0.44, 1.31), (-0.42, 1.61)], 0.31, nail=False),
             Finger([(-0.66, 1.85), (-0.3, 1.77), (0.12, 1.75)], 0.33)],
        ),
        {},
    ),
    "thinking": (
        "val",
        hand(
            [(-0.55, 1.72), (0.0, 1.6), (0.5, 1.64), (0.72, 1.95), (0.6, 2.5), (0.0, 2.62), (-0.45, 2.3)],
            [(0.1, 2.4), (0.0, 3.0), (-0.15, 3.9)],
            [Finger([(0.36, 1.75), (0.0, 1.74), (-0.3, 1.84)], 0.29, nail=False), Finger([(0.4, 1.98), (0.02, 2.0), (-0.26, 2.1)], 0.29, nail=False),
             Finger([(0.4, 2.24), (0.06, 2.26), (-0.2, 2.34)], 0.27, nail=False),
             Finger([(0.45, 1.75), (0.82, 1.35), (0.9, 0.72)], 0.3), Finger([(-0.4, 2.0), (-0.7, 1.6), (-0.72, 1.12)], 0.33)],
        ),
        {},
    ),
    "spread": (
        "test",
        hand(
            [(-0.62, 1.6), (-0.25, 1.42), (0.25, 1.42), (0.62, 1.58), (0.7, 2.1), (0.45, 2.6), (-0.45, 2.6), (-0.7, 2.1)],
            [(0.0, 2.5), (0.1, 3.0), (0.2, 3.9)],
            [Finger([(-0.5, 2.1), (-0.95, 1.65), (-1.12, 1.2)], 0.33), Finger([(-0.48, 1.65), (-0.64, 1.1), (-0.76, 0.55)], 0.29),
             Finger([(-0.17, 1.5), (-0.2, 0.88), (-0.22, 0.3)], 0.3), Finger([(0.17, 1.5), (0.24, 0.92), (0.3, 0.36)], 0.29),
             Finger([(0.48, 1.62), (0.68, 1.15), (0.84, 0.72)], 0.25)],
        ),
        {},
    ),
    "across-eyes": (
        "test",
        hand(
            [(0.5, -0.55), (1.0, -0.6), (1.5, -0.3), (1.75, 0.3), (1.75, 0.85), (1.15, 0.85), (0.75, 0.5), (0.5, 0.2)],
            [(1.42, 0.7), (1.5, 1.8), (1.4, 3.9)],
            [Finger([(0.78, 0.32), (0.35, 0.3), (-0.1, 0.32)], 0.25), Finger([(0.65, 0.06), (0.1, 0.04), (-0.5, 0.08)], 0.29),
             Finger([(0.62, -0.2), (0.0, -0.24), (-0.62, -0.2)], 0.3), Finger([(0.7, -0.44), (0.1, -0.5), (-0.42, -0.52)], 0.29),
             Finger([(1.05, 0.7), (0.72, 0.78), (0.4, 0.95)], 0.33)],
            (0.85, 1.1),
        ),
        {},
    ),
}  # fmt: skip
