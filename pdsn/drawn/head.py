"""Outline of the head, ears, neck, skin; and what is behind them."""

from __future__ import annotations

import numpy as np

from pdsn.drawn.canvas import Canvas, bump, clip, linear
from pdsn.drawn.people import Colour, Person
from pdsn.drawn.shot import Shot

EAR_DEPTH = 0.35
"""How far the ears lie behind the outline of the head."""


def head_shape(person: Person, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The outline as a field, negative inside the head, and the bulge 0 (outline) to 1 (middle)."""
    head = person.head
    middle = 0.25
    low = np.maximum((v - middle) / (head.chin - middle), 0)
    high = np.maximum((middle - v) / (head.crown + middle), 0)
    wide = head.width * (1 - head.taper * low**1.5) * (1 - 0.04 * high)
    # The chin is flatter than the jaw that leads to it: its width fades in towards the bottom.
    flat = np.maximum(np.abs(u) - head.chin_width, 0) + 0.35 * np.minimum(np.abs(u), head.chin_width)
    across = np.abs(u) + clip(low, 0, 1) ** 4 * (flat - np.abs(u)) * 0.9
    field = (across / wide) ** 2 + low**head.jaw + high**3.2 - 1
    return field, clip(-field, 0, 1)


def paint_ears(canvas: Canvas, person: Person, shot: Shot) -> None:
    """Ears lie behind the face, so they move against it."""
    head = person.head
    for side in (-1.0, 1.0):
        part = canvas.window(side * head.width, 0.28, 0.45, 0.6)
        u = side * (part.u + EAR_DEPTH * float(np.sin(shot.yaw))) - head.width - head.ear_out * 0.7
        v = part.v - 0.28 - 0.15 * float(np.sin(shot.pitch))
        far = np.sqrt((u / 0.15) ** 2 + (v / head.ear) ** 2)
        lit = 0.75 + 0.25 * side * shot.light[0]
        round_ = lit * (1.08 - 0.45 * clip(far, 0, 1.1) ** 5)
        flushed = linear(person.skin.tone) * np.array([[[1.0]], [[0.86]], [[0.82]]], np.float32)
        part.paint(part.cover((far - 1) * 0.15), flushed * round_)
        hollow = np.exp(-(((u - 0.01) / 0.07) ** 2) - ((v + 0.02) / (head.ear * 0.6)) ** 2)
        part.tint(hollow * 0.6, (0.62, 0.45, 0.42))


def paint_skin(face: Canvas, person: Person) -> None:
    """Tone, flushed cheeks and nose, freckles."""
    skin = person.skin
    face.colour[:] = linear(skin.tone)
    across = np.abs(face.u)
    flush = bump(across, face.v, 0.66, 0.72, 0.30, 0.26) + 0.5 * bump(
        across, face.v, 0.0, person.nose.length, 0.18, 0.16
    )
    face.tint(flush * (0.25 + skin.blush), (1.0, 0.80, 0.80))
    if skin.freckles > 0:
        _freckles(face, skin.freckles, skin.pattern)


def _freckles(face: Canvas, strength: float, pattern: int) -> None:
    """Spots over cheeks and nose: one in each cell of a grid, at a place that is the person's own."""
    part = face.window(0.0, 0.45, 1.05, 0.6)
    table = np.random.default_rng(pattern).random((4, 64, 64), np.float32)
    cells_u, cells_v = part.u * 9 + 32, part.v * 9 + 32
    row, column = clip(cells_v.astype(int), 0, 63), clip(cells_u.astype(int), 0, 63)
    at_u, at_v, radius, dark = table[:, row, column]
    far = np.hypot(cells_u - column - 0.3 - 0.4 * at_u, cells_v - row - 0.3 - 0.4 * at_v)
    spots = clip(1.5 - far / (0.12 + 0.22 * radius), 0, 1) * dark
    part.tint(spots * strength * bump(np.abs(part.u), part.v, 0.35, 0.42, 0.45, 0.32), (0.66, 0.46, 0.36))


def paint_moles(face: Canvas, person: Person) -> None:
    """Moles, at their places."""
    for u, v, radius, strength in person.skin.moles:
        spot = face.window(u, v, radius * 2, radius * 2)
        spot.tint(spot.cover(np.hypot(spot.u - u, spot.v - v) - radius, 0.02) * strength, (0.38, 0.25, 0.2))


def paint_neck_and_clothes(canvas: Canvas, person: Person, shot: Shot, y: np.ndarray) -> None:
    """The neck in the shadow of the chin, and what is worn around it."""
    across = np.abs(canvas.u + 0.25 * shot.yaw)
    neck = canvas.cover(across - 0.72 + 0.06 * (y - 1.6)) * canvas.cover(1.0 - y)
    shade = 0.42 - 0.2 * clip(across / 0.8, 0, 1) ** 2
    canvas.paint(neck, linear(person.skin.tone) * shade)
    edge = shot.collar + 0.35 * clip(0.9 - across, 0, 1)
    canvas.paint(canvas.cover(edge - y), shot.clothes)


def paint_background(canvas: Canvas, shot: Shot) -> None:
    """A gradient between two random colours, with blurred blobs of three others."""
    height, width = canvas.u.shape
    row = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    column = np.linspace(-1, 1, width, dtype=np.float32)[None]
    plan = shot.background
    slope = (plan[0, 3] - 0.5) * 2 * column + (plan[0, 4] - 0.5) * 2 * row
    mix = clip(0.5 + slope * plan[0, 5], 0, 1)
    first, second = linear(_muted(plan[0])), linear(_muted(plan[1]))
    canvas.colour[:] = first + mix * (second - first)
    for blob in plan[2:5]:
        place = (blob[3] * 2.4 - 1.2, blob[4] * 2.4 - 1.2)
        reach = 0.15 + 0.5 * float(blob[5])
        far = ((column - place[0]) ** 2 + (row - place[1]) ** 2) / reach**2
        canvas.paint(clip(1.4 - far, 0, 1), _muted(blob))


def _muted(plan: np.ndarray) -> Colour:
    """A background colour from three numbers, 0 to 1: any brightness, little saturation."""
    grey = float(plan[:3].mean())
    bright = 0.08 + 0.87 * float(plan[0])
    red, green, blue = (bright + 0.45 * (float(part) - grey) for part in plan[:3])
    return min(max(red, 0.02), 1.0), min(max(green, 0.02), 1.0), min(max(blue, 0.02), 1.0)
