"""From the face to pixels and back: the turned head, the alignment of the crop, the landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdsn.data.template import template
from pdsn.drawn.canvas import Canvas, repeat
from pdsn.drawn.people import Person
from pdsn.drawn.shot import Shot

BOWL = 0.85
"""Height of the front of the head over its outline."""


TRACES = 3
"""Rounds of tracing a pixel to the surface; the slope times the turn stays under 1, so it converges."""


def surface(person: Person, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Height z of the face at (u, v), smooth: what moves when the head turns."""
    nose = person.nose
    bowl = BOWL * np.maximum(0, 1 - (u / 1.25) ** 2 - ((v - 0.3) / 1.85) ** 2)
    ridge = nose.height * np.exp(-((u / 0.22) ** 2) - ((v - nose.length) / 0.36) ** 2)
    muzzle = 0.10 * np.exp(-((u / 0.5) ** 2) - ((v - person.mouth.height) / 0.4) ** 2)
    return bowl + ridge + muzzle


def mouth_pose(person: Person, shot: Shot) -> tuple[float, float]:
    """Half width of the mouth and lift of its corners under the photo's expression."""
    mouth = person.mouth
    width = mouth.width * (1 + 0.16 * shot.smile - 0.08 * shot.open)
    return width, mouth.corners + 0.09 * shot.smile


def _places(person: Person, shot: Shot) -> np.ndarray:
    """(5, 2) where the landmarks lie on the face, u and v."""
    width, lift = mouth_pose(person, shot)
    mouth = person.mouth.height - lift
    return np.array(
        [[-0.5, 0.0], [0.5, 0.0], [0.0, person.nose.length], [-width, mouth], [width, mouth]], np.float32
    )


@dataclass(frozen=True)
class Alignment:
    """The similarity from the turned head to crop pixels: x + iy goes to turn · (x + iy) + shift."""

    turn: complex
    shift: complex

    def pixels(self, places: np.ndarray) -> np.ndarray:
        """(5, 2) crop pixels of (5, 2) places of the turned head."""
        moved = self.turn * (places[:, 0] + 1j * places[:, 1]) + self.shift
        return np.stack([moved.real, moved.imag], axis=1)

    def places(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x and y of the turned head, float32 (rows, columns) each, for crop pixels."""
        back = 1 / self.turn
        down, right = rows[:, None] - self.shift.imag, columns[None] - self.shift.real
        return right * back.real - down * back.imag, right * back.imag + down * back.real


def align_crop(person: Person, shot: Shot, size: tuple[int, int]) -> tuple[Alignment, np.ndarray]:
    """How the crop is aligned to the template by least squares, and the (5, 2) landmarks that gives."""
    places = _places(person, shot)
    height = surface(person, places[:, 0], places[:, 1])
    turned = np.stack(
        [
            places[:, 0] * np.cos(shot.yaw) + height * np.sin(shot.yaw),
            places[:, 1] * np.cos(shot.pitch) + height * np.sin(shot.pitch),
        ],
        axis=1,
    )
    goal = template(size)
    wanted = goal[:, 0] + 1j * goal[:, 1]
    unit = abs(wanted[1] - wanted[0])
    seen = turned[:, 0] + 1j * turned[:, 1]
    far, near = seen - seen.mean(), wanted - wanted.mean()
    turn = complex(np.vdot(far, near) / np.vdot(far, far))
    # A detector's landmarks are never exact, so no aligned crop is; the jitter stands for that.
    turn *= shot.scale * complex(np.cos(shot.roll), np.sin(shot.roll))
    shift = wanted.mean() - turn * seen.mean() + complex(*shot.shift) * unit
    align = Alignment(turn, complex(shift))
    return align, align.pixels(turned)


def trace(
    person: Person, shot: Shot, align: Alignment, size: tuple[int, int]
) -> tuple[Canvas, np.ndarray, np.ndarray]:
    """A canvas with the place (u, v) that each pixel shows, and the (x, y) before the turn was undone."""
    x, y = align.places(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    u, v = x - 0.7 * float(np.sin(shot.yaw)), y - 0.7 * float(np.sin(shot.pitch))
    for _ in range(TRACES):
        u, v = _unturned(person, shot, x, y, u, v)
    return Canvas(u, v, np.zeros((3, *u.shape), np.float32), 1 / abs(align.turn)), x, y


def _unturned(
    person: Person, shot: Shot, x: np.ndarray, y: np.ndarray, u: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A better guess of the (u, v) seen at (x, y), from a guess."""
    height = surface(person, u, v)
    return (
        (x - height * float(np.sin(shot.yaw))) / float(np.cos(shot.yaw)),
        (y - height * float(np.sin(shot.pitch))) / float(np.cos(shot.pitch)),
    )


def enlarge(
    face: Canvas,
    person: Person,
    shot: Shot,
    align: Alignment,
    x: np.ndarray,
    y: np.ndarray,
    factor: int,
) -> Canvas:
    """The canvas with every pixel parted into factor x factor, for what is smaller than a pixel."""
    if factor == 1:
        return face
    height, width = face.u.shape
    rows = (np.arange(height * factor, dtype=np.float32) + 0.5) / factor - 0.5
    columns = (np.arange(width * factor, dtype=np.float32) + 0.5) / factor - 0.5
    fine_x, fine_y = align.places(rows, columns)
    u = repeat(face.u - x, factor) + fine_x
    v = repeat(face.v - y, factor) + fine_y
    u, v = _unturned(person, shot, fine_x, fine_y, u, v)
    return Canvas(u, v, repeat(face.colour, factor), face.pixel / factor)
