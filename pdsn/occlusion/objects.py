"""Things that people hold before their faces, drawn anew each time, and shoulders and heads of others.

Lengths are in face units, the distance between the eyes, about 62 mm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from pdsn.occlusion.canvas import Canvas, along, ellipse, faded, inside, polygon, speckled
from pdsn.occlusion.hands import GESTURES, PLACES, draw_hand, skin_tone
from pdsn.occlusion.lighting import light_on
from pdsn.occlusion.occluder import left_clean
from pdsn.occlusion.placing import Pose, pose_of
from pdsn.occlusion.textures import texture


@dataclass(frozen=True)
class _Place:
    """Where a thing lies: its middle (2,) in pixels, its own right and up (2,) of one face unit, and pixels per unit."""

    middle: np.ndarray
    right: np.ndarray
    up: np.ndarray
    unit: float

    def at(self, *points: tuple[float, float]) -> np.ndarray:
        """Pixels (N, 2) of points of the thing."""
        own = np.array(points)
        return self.middle + own[:, :1] * self.right + own[:, 1:] * self.up


Draw = Callable[[Canvas, _Place, np.random.Generator], None]


def _colour(rng: np.random.Generator) -> np.ndarray:
    """A colour (3, 1, 1): dark, pale or any."""
    kind, level, any_colour = rng.integers(3), rng.uniform(0, 1), rng.uniform(0, 255, 3)
    plain = {0: np.full(3, 10 + 60 * level), 1: np.full(3, 180 + 70 * level), 2: any_colour}[int(kind)]
    return plain.astype(np.float32)[:, None, None]


def _box(canvas: Canvas, place: _Place, half: tuple[float, float], corner: float) -> np.ndarray:
    """Distance (H, W) to a box with round corners: half its width and height in face units."""
    x, y = half[0] - corner, half[1] - corner
    return polygon(canvas, place.at((-x, -y), (x, -y), (x, y), (-x, y))) - corner * place.unit


def _phone(canvas: Canvas, place: _Place, rng: np.random.Generator) -> None:
    """A telephone from its back, with the cameras, or from its lit front."""
    half = (rng.uniform(0.5, 0.68), rng.uniform(1.05, 1.3))
    case, screen = _colour(rng), texture(*canvas.size, rng).clip(0, 255).transpose(2, 0, 1)
    distance = _box(canvas, place, half, rng.uniform(0.08, 0.2))
    canvas.paint(case * (1 - 0.1 * inside(-distance - 0.06 * place.unit)), inside(distance))
    if rng.random() < 0.4:
        canvas.paint(screen.astype(np.float32), inside(distance + 0.09 * place.unit))
        return
    corner = -1 if rng.random() < 0.5 else 1
    for number in range(int(rng.integers(1, 4))):
        lens = place.at((corner * (half[0] - 0.22), half[1] - 0.25 - 0.26 * number))[0]
        canvas.paint(
            np.full((3, 1, 1), 25.0, np.float32), inside(ellipse(canvas, lens, np.eye(2) * 0.11 * place.unit))
        )


def _cup(canvas: Canvas, place: _Place, rng: np.random.Generator) -> None:
    """A cup or a paper cup, with or without a band and a handle."""
    top, foot, tall = rng.uniform(0.55, 0.75), rng.uniform(0.4, 0.55), rng.uniform(0.55, 0.95)
    colour, band, side = _colour(rng), _colour(rng), 1 if rng.random() < 0.5 else -1
    corners = place.at((-foot, -tall), (foot, -tall), (top, tall), (-top, tall))
    if rng.random() < 0.4:
        grip = ellipse(
            canvas, place.at((side * 0.65, 0.0))[0], np.stack([place.right * 0.35, place.up * 0.45], 1)
        )
        canvas.paint(colour * 0.85, inside(np.abs(grip) - 0.08 * place.unit))
    _, beside = along(canvas, *place.at((0, -tall), (0, tall)))
    round_light = 0.72 + 0.28 * np.sqrt(np.clip(1 - (beside / (top * place.unit)) ** 2, 0, 1))
    body = inside(polygon(canvas, corners))
    canvas.paint(colour * round_light, body)
    if rng.random() < 0.5:
        low, high = sorted(rng.uniform(-tall, tall, 2))
        canvas.paint(
            band * round_light,
            body * inside(polygon(canvas, place.at((-1, low), (1, low), (1, high), (-1, high)))),
        )
    rim = ellipse(canvas, place.at((0, tall))[0], np.stack([place.right * top, place.up * 0.16], 1))
    canvas.paint(colour * rng.uniform(0.5, 1.1), inside(rim))


def _microphone(canvas: Canvas, place: _Place, rng: np.random.Generator) -> None:
    """A microphone: a ball of wire or foam on a stick."""
    ball, colour, stick = rng.uniform(0.25, 0.5), _colour(rng) * 0.5, _colour(rng) * 0.6
    _, beside = along(canvas, *place.at((0, 0), (rng.normal(0, 0.3), -4.0)))
    canvas.paint(
        stick * (0.7 + 0.3 * inside(np.abs(beside) - 0.08 * place.unit)),
        inside(np.abs(beside) - 0.45 * ball * place.unit),
    )
    distance = ellipse(canvas, place.middle, np.stack([place.right * ball, place.up * ball * 1.15], 1))
    deep = np.sqrt(np.clip(-distance / (ball * place.unit), 0, 1))
    mesh = 1 + 0.2 * np.sign(np.sin((canvas.x + canvas.y) * 1.6) * np.sin((canvas.x - canvas.y) * 1.6))
    canvas.paint(colour * (0.6 + 0.6 * deep) * (mesh if rng.random() < 0.6 else 1), inside(distance))


def _paper(canvas: Canvas, place: _Place, rng: np.random.Generator) -> None:
    """A sheet, a menu or a book, blank or written on."""
    half = (rng.uniform(0.8, 1.8), rng.uniform(0.8, 2.0))
    corners = place.at((-half[0], -half[1]), (half[0], -half[1]), (half[0], half[1]), (-half[0], half[1]))
    corners = corners + rng.normal(0, 0.12 * place.unit, corners.shape)
    sheet = inside(polygon(canvas, corners))
    plain, ink = rng.random() < 0.3, _colour(rng) * 0.5
    canvas.paint(
        speckled(np.full(3, rng.uniform(170, 250)), 0.05, canvas.size, rng) if not plain else _colour(rng),
        sheet,
    )
    up = place.up / np.hypot(*place.up)
    lines = (canvas.x * up[0] + canvas.y * up[1]) / (rng.uniform(0.1, 0.25) * place.unit)
    if rng.random() < 0.6:
        words = np.sin(canvas.x * 0.9 + np.floor(lines) * 2.1) > -0.6
        canvas.paint(ink, sheet * 0.7 * ((lines % 1 < 0.4) & words))


def _ball(canvas: Canvas, place: _Place, rng: np.random.Generator) -> None:
    """A ball or a fruit."""
    size = rng.uniform(0.45, 1.0)
    light = place.middle + rng.normal(0, 0.4 * size * place.unit, 2)
    distance = ellipse(canvas, place.middle, np.eye(2) * size * place.unit)
    bright = np.hypot(canvas.x - light[0], canvas.y - light[1]) / (size * place.unit)
    canvas.paint(_colour(rng) * (1.1 - 0.35 * np.clip(bright, 0, 2)), inside(distance))


def _bottle(canvas: Canvas, place: _Place, rng: np.random.Generator) -> None:
    """A bottle with a label, its neck towards the face."""
    wide, colour, label = rng.uniform(0.3, 0.55), _colour(rng), _colour(rng)
    for start, end, half in (((0, 1.4), (0, 0.7), 0.35 * wide), ((0, 0.35), (0, -3.0), wide)):
        _, beside = along(canvas, *place.at(start, end))
        light = 0.65 + 0.35 * np.sqrt(np.clip(1 - (beside / (half * place.unit)) ** 2, 0, 1))
        canvas.paint(colour * light, inside(np.abs(beside) - half * place.unit))
    canvas.paint(
        label, inside(polygon(canvas, place.at((-wide, -1.4), (wide, -1.4), (wide, -0.3), (-wide, -0.3))))
    )


def _shoulder(canvas: Canvas, place: _Place, rng: np.random.Generator) -> None:
    """Another person's head and shoulder between the face and the camera, seen from behind."""
    cloth = texture(*canvas.size, rng).clip(0, 255).transpose(2, 0, 1).astype(np.float32)
    hair = speckled(_colour(rng).ravel() * rng.uniform(0.2, 0.9), 0.3, canvas.size, rng)
    body = ellipse(canvas, place.at((0, -2.6))[0], np.stack([place.right * 2.4, place.up * 2.2], 1))
    canvas.paint(cloth, inside(body, 2.0))
    if rng.random() < 0.6:
        head = ellipse(canvas, place.at((0, -0.2))[0], np.stack([place.right * 1.1, place.up * 1.4], 1))
        canvas.paint(hair, inside(head, 2.0))


OBJECTS: dict[str, tuple[Draw, ...]] = {
    "train": (_phone, _cup, _microphone, _paper, _shoulder),
    "val": (_ball,),
    "test": (_bottle,),
}
"""What is seen in training; validation and test have things of their own."""
HELD = (_phone, _cup, _microphone, _paper, _ball, _bottle)


@dataclass(frozen=True)
class HeldObject:
    """A thing before the face, most often with the hand that holds it.

    Attributes:
        split: whose things and gestures; "train", "val" or "test".
    """

    split: str

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`; landmarks that are no face leave the photo clean."""
        pose = pose_of(np.asarray(landmarks, dtype=np.float64))
        if pose is None:
            return left_clean(image)
        pose = pose.unturned()
        draw = OBJECTS[self.split][int(rng.integers(len(OBJECTS[self.split])))]
        canvas = Canvas(image.shape[1], image.shape[2])
        light = light_on(image.numpy(), pose)
        draw(canvas, _placed(pose, rng, far=draw is _shoulder), rng)
        canvas.colours *= (light.cast * light.gain).astype(np.float32)[:, None, None]
        if draw in HELD and rng.random() < 0.6:
            gestures = GESTURES[self.split]
            draw_hand(canvas, pose, gestures[int(rng.integers(len(gestures)))], skin_tone(light, rng), rng)
        canvas.colours[:] = faded(canvas.colours, image.numpy())
        return canvas.lay(image, rng)


def _placed(pose: Pose, rng: np.random.Generator, *, far: bool) -> _Place:
    """A place on the lower face for most things; from below or from the side for what stands before the person."""
    unit = pose.scale * rng.uniform(0.8, 1.25)
    if far:
        goal, angle = np.array([rng.normal(0, 1.0), rng.uniform(0.6, 2.2)]), rng.normal(0, 0.15)
    else:
        goal = PLACES[int(rng.integers(len(PLACES)))] + rng.normal(0, 0.4, 2)
        angle = rng.normal(0, 0.5)
    middle = pose.project(np.array([[*goal, 0.3]]))[0]
    right, up = np.array([np.cos(angle), np.sin(angle)]), np.array([np.sin(angle), -np.cos(angle)])
    return _Place(middle, right * unit, up * unit, unit)
