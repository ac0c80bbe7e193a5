"""Hands before the face that never look the same twice: palm, jointed fingers and arm in any pose, skin and light.

`worn` has hands that were drawn once; these are drawn anew each time. A hand is flat and lies in the plane of the photo:
what points away from it is shortened. Lengths are in face units, the distance between the eyes, about 62 mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from pdsn.occlusion.canvas import Canvas, along, faded, inside, speckled
from pdsn.occlusion.lighting import Light, light_on
from pdsn.occlusion.occluder import left_clean
from pdsn.occlusion.placing import Pose, pose_of
from pdsn.occlusion.textures import texture

FINGERS = ((0.60, 0.36, 0.28), (0.68, 0.42, 0.29), (0.62, 0.39, 0.29), (0.49, 0.28, 0.26))
"""Lengths of the three bones of index, middle, ring and little finger, from anatomy tables, rounded."""
KNUCKLES = ((-0.50, 1.42), (-0.17, 1.50), (0.16, 1.44), (0.46, 1.30))
"""Where the fingers start: to the side of the wrist's middle, and beyond it."""
THUMB = (0.62, 0.48)
THICK, TIP = 0.155, 0.115
"""Half the width of a finger where it starts and where it ends."""
PLACES = (
    (0.0, 1.1),
    (0.0, 0.6),
    (-0.5, 0.0),
    (0.5, 0.0),
    (0.0, 0.0),
    (-0.8, 0.7),
    (0.8, 0.7),
    (0.0, -0.7),
    (0.0, 1.8),
)
"""Points of the face that a hand is laid on, in face units: mouth, nose, eyes, cheeks, forehead, chin."""
DARK_SKIN, LIGHT_SKIN = np.array([66.0, 44.0, 34.0]), np.array([236.0, 203.0, 182.0])


@dataclass(frozen=True)
class Gesture:
    """How far fingers are bent, in degrees at each joint: (least, most) of index, middle, ring and little finger.

    Attributes:
        bent: of the four fingers.
        spread: degrees between neighbours, least and most.
    """

    bent: tuple[tuple[float, float], ...]
    spread: tuple[float, float] = (0.0, 9.0)


STRAIGHT, CURLED = (0.0, 14.0), (68.0, 92.0)
GESTURES = {
    "train": (
        Gesture((STRAIGHT,) * 4, (0.0, 14.0)),
        Gesture(((15.0, 45.0),) * 4),
        Gesture((STRAIGHT, CURLED, CURLED, CURLED)),
        Gesture((CURLED,) * 4, (0.0, 4.0)),
    ),
    "val": (Gesture((STRAIGHT, STRAIGHT, CURLED, CURLED), (3.0, 18.0)),),
    "test": (
        Gesture((STRAIGHT, STRAIGHT, STRAIGHT, CURLED), (2.0, 14.0)),
        Gesture((CURLED, (20.0, 40.0), (10.0, 30.0), STRAIGHT), (2.0, 12.0)),
    ),
}
"""What is seen in training; validation and test have gestures of their own."""


@dataclass(frozen=True)
class PosedHand:
    """A hand, or now and then two, in any pose and place before the face.

    Attributes:
        split: whose gestures; "train", "val" or "test".
    """

    split: str

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`; landmarks that are no face leave the photo clean."""
        pose = pose_of(np.asarray(landmarks, dtype=np.float64))
        if pose is None:
            return left_clean(image)
        pose = pose.unturned()
        canvas = Canvas(image.shape[1], image.shape[2])
        skin = skin_tone(light_on(image.numpy(), pose), rng)
        for _ in range(2 if rng.random() < 0.2 else 1):
            gesture = GESTURES[self.split][int(rng.integers(len(GESTURES[self.split])))]
            draw_hand(canvas, pose, gesture, skin, rng)
        canvas.colours[:] = faded(canvas.colours, image.numpy())
        return canvas.lay(image, rng)


def skin_tone(light: Light, rng: np.random.Generator) -> np.ndarray:
    """The colour (3,) of a hand in a photo: mostly the face's own skin, now and then another's, or a glove."""
    draw, other, glove = rng.random(), rng.random(), rng.uniform(0, 255, 3)
    own = light.skin * (1 + rng.normal(0, 0.07))
    if draw < 0.7:
        colour = own
    elif draw < 0.95:
        colour = (DARK_SKIN + other * (LIGHT_SKIN - DARK_SKIN)) * light.cast * light.gain
    else:
        colour = glove * light.gain
    return np.clip(light.muted(colour), 5, 250)


def draw_hand(
    canvas: Canvas, pose: Pose, gesture: Gesture, skin: np.ndarray, rng: np.random.Generator
) -> None:
    """Draw one hand and its arm.

    Args:
        canvas: where it is drawn.
        pose: of the face that it lies before.
        gesture: how its fingers are bent.
        skin: (3,) its colour.
        rng: of everything else.
    """
    unit = pose.scale * rng.uniform(0.85, 1.2)
    goal = PLACES[int(rng.integers(len(PLACES)))] + rng.normal(0, 0.25, 2)
    target = pose.project(np.array([[*goal, 0.2]]))[0]
    # Most hands come from below; 0 points upwards.
    angle = rng.normal(0, np.radians(50))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    up = np.array([np.sin(angle), -np.cos(angle)])
    side = flip * np.array([np.cos(angle), np.sin(angle)])
    wrist = target - unit * (rng.uniform(0.5, 2.5) * up + rng.normal(0, 0.2) * side)
    frame = _Frame(canvas, wrist, side * unit, up * unit, unit)
    back = bool(rng.random() < 0.5)
    shade = _Shade(speckled(skin, 0.06, canvas.size, rng), rng.normal(0, 0.15, 2), back)
    _arm(frame, shade, rng)
    bones = _fingers(gesture, rng)
    thumb = _thumb(rng)
    if back:  # what is bent away lies behind
        for finger in bones:
            _finger(frame, finger[::-1], shade)
        _palm(frame, shade)
    else:
        _palm(frame, shade)
        for finger in bones:
            _finger(frame, finger, shade)
    _finger(frame, thumb, shade)


@dataclass(frozen=True)
class _Frame:
    """From a hand's own units to pixels."""

    canvas: Canvas
    wrist: np.ndarray
    side: np.ndarray
    up: np.ndarray
    unit: float

    def at(self, x: float, y: float) -> np.ndarray:
        """The pixel (2,) of a point so far to the side of the wrist and beyond it."""
        return self.wrist + x * self.side + y * self.up


@dataclass(frozen=True)
class _Shade:
    """What a hand's surface looks like: colours (3, H, W), the light's direction in the photo, the hand's side."""

    colours: np.ndarray
    light: np.ndarray
    back: bool


@dataclass(frozen=True)
class _Bone:
    """One bone: where it starts and ends, in the hand's units, half its widths, and how far it points away, in radians."""

    start: tuple[float, float]
    end: tuple[float, float]
    thick: tuple[float, float]
    away: float
    tip: bool = False


def _fingers(gesture: Gesture, rng: np.random.Generator) -> list[list[_Bone]]:
    """The bones of the four fingers, from the knuckle on."""
    spread, lean = np.radians(rng.uniform(*gesture.spread)), rng.normal(0, 0.06)
    fingers = []
    for number, (lengths, place, bent) in enumerate(zip(FINGERS, KNUCKLES, gesture.bent, strict=True)):
        turn = lean + (number - 1.4) * spread
        away, point, bones = 0.0, place, []
        for joint, length in enumerate(lengths):
            away += np.radians(rng.uniform(*bent)) * (0.8, 1.0, 0.7)[joint]
            seen = length * np.cos(away)
            end = (point[0] + seen * np.sin(turn), point[1] + seen * np.cos(turn))
            thick = tuple(THICK + (TIP - THICK) * (joint + step) / 3 for step in (0, 1))
            bones.append(_Bone(point, end, (thick[0], thick[1]), away, joint == 2))
            point = end
        fingers.append(bones)
    return fingers


def _thumb(rng: np.random.Generator) -> list[_Bone]:
    """The bones of the thumb."""
    turn, point, bones = -np.radians(rng.uniform(5, 70)), (-0.45, 0.45), []
    for joint, length in enumerate(THUMB):
        end = (point[0] + length * np.sin(turn), point[1] + length * np.cos(turn))
        thick = (0.2, 0.17) if joint == 0 else (0.17, 0.13)
        bones.append(_Bone(point, end, thick, 0.0, joint == 1))
        point, turn = end, turn + np.radians(rng.uniform(-5, 35))
    return bones


def _finger(frame: _Frame, bones: list[_Bone], shade: _Shade) -> None:
    for bone in bones:
        ends = np.stack([frame.at(*bone.start), frame.at(*bone.end)])
        canvas = frame.canvas.around(ends, bone.thick[0] * frame.unit + 2)
        colours = shade.colours[:, *canvas.window]
        place, beside = along(canvas, *ends)
        width = (bone.thick[0] + place * (bone.thick[1] - bone.thick[0])) * frame.unit
        light = _rounded(np.clip(beside / width, -1, 1), shade) * (0.86 + 0.14 * abs(np.cos(bone.away)))
        # Skin folds where bones meet.
        light = light - 0.1 * np.exp(-((place * 12) ** 2))
        alpha = inside(np.abs(beside) - width)
        canvas.paint(colours * light, alpha)
        if bone.tip and shade.back and np.cos(bone.away) > 0.4:
            nail = inside(np.maximum(np.abs(beside) - 0.6 * width, (0.45 - place) * frame.unit * 0.3))
            canvas.paint(np.minimum(colours * 1.12 + 12, 255), 0.7 * nail * alpha)


def _rounded(across: np.ndarray, shade: _Shade) -> np.ndarray:
    """Light (H, W) on a round thing, by how far each pixel lies from its middle, -1 to 1."""
    return 0.68 + 0.32 * np.sqrt(1 - across**2) + 0.5 * shade.light[0] * across


def _palm(frame: _Frame, shade: _Shade) -> None:
    """The palm: four bones from the wrist to the knuckles under one skin."""
    bones = [np.stack([frame.at(0.6 * x, 0.0), frame.at(x, y)]) for x, y in KNUCKLES]
    half = 0.24 * frame.unit
    canvas = frame.canvas.around(np.concatenate(bones), half + 2)
    distance = np.full(canvas.size, np.inf, np.float32)
    for bone in bones:
        _, beside = along(canvas, *bone)
        distance = np.minimum(distance, np.abs(beside) - half)
    light = 0.78 + 0.22 * np.sqrt(np.clip(-distance / half, 0, 1))
    canvas.paint(shade.colours[:, *canvas.window] * light, inside(distance))


def _arm(frame: _Frame, shade: _Shade, rng: np.random.Generator) -> None:
    """The arm, and in half of all cases a sleeve."""
    bend, bare = rng.normal(0, 0.5), rng.uniform(0.1, 2.5)
    sleeve, surface = rng.random() < 0.6, np.random.default_rng(int(rng.integers(2**32)))
    place, beside = along(frame.canvas, frame.at(0, 0.1), frame.at(bend, -6.0))
    width = (0.38 + place * 0.5) * frame.unit
    light = _rounded(np.clip(beside / width, -1, 1), shade)
    frame.canvas.paint(shade.colours * light, inside(np.abs(beside) - width))
    if not sleeve:
        return
    wide = width + 0.12 * frame.unit
    cloth = texture(*frame.canvas.size, surface).clip(0, 255).transpose(2, 0, 1).astype(np.float32)
    light = _rounded(np.clip(beside / wide, -1, 1), shade)
    end = (bare - place * 6.1) * frame.unit
    frame.canvas.paint(cloth * light, inside(np.maximum(np.abs(beside) - wide, end)))
