"""Hair behind the head and over the forehead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdsn.drawn.canvas import Canvas, clip, inside_of, linear, slopes
from pdsn.drawn.people import TEXTURES, Hair, Person
from pdsn.drawn.shot import Shot

BALD = 1.6
"""A hairline this high leaves nothing to see behind the head."""


@dataclass(frozen=True)
class Locks:
    """Hair under the photo.

    Attributes:
        grain: (H, W) about -1 to 1, light and dark along the strands.
        field: (H, W) negative inside the outline of the hair, -1 in its middle.
    """

    grain: np.ndarray
    field: np.ndarray


def comb(hair: Hair, shot: Shot, canvas: Canvas) -> Locks:
    """Outline (negative inside) and strands of the hair."""
    u, v = canvas.u, canvas.v
    out = np.abs(u)
    volume = hair.volume * (1 + 0.25 * shot.tousle)
    top, middle = 1.80 + volume, 0.1
    high = np.maximum((middle - v) / (top + middle), 0)
    low = np.maximum(v - middle, 0)
    wide = 1.12 + volume + (0.10 * clip(low, 0, 1.5) if hair.back > 1.2 else -0.10 * low)
    field = (out / wide) ** 2.4 + high**3.0 - 1
    rise = v + 1.95 + 0.25 * np.abs(u - hair.part)
    angle = np.arctan2(u - 0.5 * hair.part, rise + 0.6)
    reach = np.sqrt(u**2 + rise**2)
    phase = hair.phase
    # Strands finer than a pixel would only flicker.
    fine = float(clip(1.6 - canvas.pixel * 40, 0, 1))
    if hair.texture in ("straight", "wavy"):
        bend = (0.30 if hair.texture == "wavy" else 0.04) * hair.wave
        path = angle * 7 + bend * 4 * np.sin(3.2 * reach + phase + 0.4 * shot.tousle)
        grain = 0.42 * np.sin(2.3 * path + phase) + 0.30 * np.sin(5.1 * path + 2 * phase + 0.5 * shot.tousle)
        if fine > 0:
            grain += fine * 0.24 * np.sin(11.7 * path + 3 * phase + 2 * np.sin(2 * reach))
            grain += fine * 0.24 * np.sin(23.3 * path + shot.tousle + 2 * np.sin(3 * reach + path))
            grain += fine * 0.16 * np.sin(41.9 * path + 2 * np.sin(5 * reach + 2 * path))
    else:
        tight = 9.0 if hair.texture == "curly" else 17.0
        warp = 1.3 * np.sin(2.1 * u + 3.7 * v + phase)
        grain = 0.6 * np.sin(tight * u + warp + 1.5 * np.sin(tight * 0.6 * v)) * np.sin(
            tight * 0.8 * v + 1.7 * np.sin(tight * 0.5 * u + phase) + 0.3 * shot.tousle
        ) + 0.3 * np.sin(2.1 * tight * u + 2 * np.sin(tight * v)) * np.sin(1.9 * tight * v + phase)
        field = field + 0.07 * grain
    return Locks(grain, field)


def hairline(hair: Hair, shot: Shot, u: np.ndarray, v: np.ndarray, locks: Locks) -> np.ndarray:
    """(H, W) the v down to which hair covers the face."""
    out = np.abs(u)
    line = -hair.hairline + hair.peak * np.exp(-((u / 0.16) ** 2)) + 0.18 * u**2
    line = line - hair.recession * np.exp(-(((out - 0.5) / 0.22) ** 2))
    # The hair frames the face in an oval, widest beside the eyes.
    frame = hair.temple + 0.05 - 0.13 * np.minimum((v - 0.15) ** 2, 1.6) + 0.02 * locks.grain
    sides = clip((out - frame) / 0.16, 0, 1)
    sides = sides * sides * (3 - 2 * sides)
    line = line + sides * (hair.front - line)
    if hair.fringe != "none":
        within = clip((1.26 - out) / 0.15, 0, 1)
        start = -hair.hairline - 0.05 + 0.05 * shot.tousle
        if hair.fringe == "straight":
            fall = hair.fringe_depth * (1.25 - 0.1 * out) * np.ones_like(u)
        elif hair.fringe == "swept":
            side = 1.0 if hair.part <= 0 else -1.0
            fall = hair.fringe_depth * 1.3 * clip(0.15 + 0.75 * (side * u + 0.55), 0, 1.15)
        else:
            fall = hair.fringe_depth * 2.1 * clip((np.abs(u - 0.3 * hair.part) - 0.1) / 0.75, 0, 1) ** 1.4
        line = np.maximum(line, start + fall * within + 0.045 * locks.grain)
    return line + 0.02 * locks.grain


def _hair_colour(canvas: Canvas, person: Person, shot: Shot | None, locks: Locks) -> np.ndarray:
    """(3, H, W) linear colour of lit hair: strands, and the band of gloss across them."""
    hair = person.hair
    base = linear(hair.colour)
    strand = 1 + (0.42 if hair.texture in TEXTURES[:2] else 0.7) * locks.grain
    if shot is None:
        return base * clip(strand, 0.3, 2) * 0.38
    round_ = np.sqrt(clip(-locks.field, 0, 1) + 0.003)
    down, right = slopes(0.85 * round_)
    scale = 1 / canvas.pixel
    down, right = down * scale, right * scale
    norm = 1 / np.sqrt(1 + down**2 + right**2)
    facing = (shot.light[2] - right * shot.light[0] - down * shot.light[1]) * norm
    amount = 0.12 + shot.ambient * (0.75 - 0.25 * down * norm) + 0.95 * clip((facing + 0.3) / 1.3, 0, 1)
    smooth = {"straight": 1.0, "wavy": 0.7, "curly": 0.3, "coily": 0.15}[hair.texture]
    band = np.exp(-(((canvas.v + 1.35 - 0.3 * shot.light[1] - 0.15 * canvas.u**2) / 0.17) ** 2))
    gloss = 0.16 * smooth * band * np.maximum(1 + 0.9 * locks.grain, 0) * (0.4 + 0.6 * amount)
    return base * clip(strand, 0.25, 2) * amount + gloss * (0.25 + base)


def paint_back_hair(canvas: Canvas, person: Person, locks: Locks) -> None:
    """Hair behind the head, dark because the head keeps the light away."""
    hair = person.hair
    if hair.hairline > BALD:
        return
    mask = inside_of(locks.field) * canvas.cover(canvas.v - hair.back, 0.2)
    canvas.paint(mask, _hair_colour(canvas, person, None, locks))


def paint_front_hair(canvas: Canvas, person: Person, shot: Shot, locks: Locks, line: np.ndarray) -> None:
    """Hair over the forehead and at the sides."""
    hair = person.hair
    soft = 0.05 if hair.fringe != "none" else 0.10
    mask = inside_of(locks.field) * canvas.cover(canvas.v - line, soft)
    thin = hair.density + (1 - hair.density) * 0.5 * locks.grain
    colour = _hair_colour(canvas, person, shot, locks)
    canvas.paint(clip(mask * thin, 0, 1), colour)
