"""Drawing a photo of a person: `draw_photo`.

The face is a surface over the plane of `pdsn.drawn.people` (u to the right, v down, 1 = the distance
between the eyes) with a height z towards the camera. A photo is drawn backwards: every pixel of the crop
is traced to the (u, v) it shows under the turn of the head, painted there with the colours of skin, hair
and features, and lit by the slope of the surface. The five landmarks go the other way, from (u, v, z) to
pixels, and the crop is aligned to the template by them, as `pdsn prepare` aligns a photo.
"""

from __future__ import annotations

import numpy as np

from pdsn.drawn.camera import align_crop, enlarge, trace
from pdsn.drawn.canvas import GAMMA, Canvas, clip, inside_of, linear, reduce
from pdsn.drawn.features import paint_beard, paint_brows, paint_eyes, paint_mouth, paint_nostrils
from pdsn.drawn.hair import comb, hairline, paint_back_hair, paint_front_hair
from pdsn.drawn.head import (
    head_shape,
    paint_background,
    paint_ears,
    paint_moles,
    paint_neck_and_clothes,
    paint_skin,
)
from pdsn.drawn.people import Person
from pdsn.drawn.relief import face_relief, light_face
from pdsn.drawn.shot import Shot, draw_shot

LUMA = np.array([0.3, 0.59, 0.11], np.float32)[:, None, None]
"""Share of each channel in the brightness of a colour."""


METERED = 0.42
"""Brightness of skin, in linear light, that the camera leaves as it is."""


DETAIL = 96
"""Width in pixels at which features are drawn; in a smaller photo they are drawn larger and averaged down."""


def draw_photo(
    person: Person, size: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one photo of a person.

    Args:
        person: who.
        size: (H, W) of the crop in pixels.
        rng: generator of everything that differs between photos.

    Returns:
        (H, W, 3) uint8 RGB, and (5, 2) float32 landmarks, x and y in crop pixels, in the order of
        `pdsn.data.dataset.LANDMARKS`.
    """
    return render(person, draw_shot(rng), size, rng)


def render(
    person: Person, shot: Shot, size: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a person under given conditions; `rng` is for the sensor's noise alone."""
    align, landmarks = align_crop(person, shot, size)
    factor = int(np.clip(np.ceil(DETAIL / size[1]), 1, 4))
    canvas, x, y = trace(person, shot, align, size)
    paint_background(canvas, shot)
    head, bulge = head_shape(person, canvas.u, canvas.v)
    locks = comb(person.hair, shot, canvas)
    paint_back_hair(canvas, person, locks)
    paint_neck_and_clothes(canvas, person, shot, y)
    paint_ears(canvas, person, shot)
    face = Canvas(canvas.u, canvas.v, np.empty_like(canvas.colour), canvas.pixel)
    paint_skin(face, person)
    paint_beard(face, person, shot)
    fine = enlarge(face, person, shot, align, x, y, factor)
    paint_moles(fine, person)
    paint_mouth(fine, person, shot)
    paint_eyes(fine, person, shot)
    paint_brows(fine, person, shot)
    paint_nostrils(fine, person)
    face.colour = reduce(fine.colour, factor)
    line = hairline(person.hair, shot, canvas.u, canvas.v, locks)
    relief = face_relief(person, shot, canvas, bulge)
    light_face(face, person, shot, relief, line)
    canvas.paint(inside_of(head), face.colour)
    paint_front_hair(canvas, person, shot, locks, line)
    return _develop(canvas.colour, shot, _metering(person), rng), landmarks.astype(np.float32)


def _metering(person: Person) -> float:
    """The exposure a camera chooses by the face: it brightens dark skin and darkens light skin somewhat."""
    return float((METERED / (linear(person.skin.tone) * LUMA).sum()) ** 0.35)


def _develop(colour: np.ndarray, shot: Shot, metering: float, rng: np.random.Generator) -> np.ndarray:
    """Linear light (3, H, W) to (H, W, 3) uint8: exposure, curve, blur, contrast, noise."""
    width = colour.shape[2]
    colour = colour * np.array(shot.cast, np.float32)[:, None, None] * (shot.exposure * metering)
    # A shoulder instead of a hard limit, so that bright skin keeps its shape.
    colour = colour * (1 + colour * 0.35) / (1 + colour * 0.75)
    colour = clip(colour, 0, 1) ** (shot.gamma / GAMMA)
    grey = (colour * LUMA).sum(0)
    colour = grey + shot.saturation * (colour - grey)
    for _ in range(max(1, round(width / 96))):
        colour = _soften(colour, 0.25 * min(shot.blur, 1.0))
    colour = 0.5 + (colour - 0.5) * shot.contrast
    # The noise of a sensor, as strong after averaging to any size.
    grain = rng.standard_normal((4, *colour.shape[1:]), np.float32)
    noise = shot.noise * min(1.0, 64 / width) * (grain[:1] + 0.5 * grain[1:])
    pixels = clip((colour + noise) * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))


def _soften(colour: np.ndarray, share: float) -> np.ndarray:
    """Blur by three taps down and across; `share` (0 to 0.25) goes to each neighbour."""
    if share < 0.02:
        return colour
    padded = np.pad(colour, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :-2] * share + padded[:, 1:-1] * (1 - 2 * share) + padded[:, 2:] * share
    return rows[:, :, :-2] * share + rows[:, :, 1:-1] * (1 - 2 * share) + rows[:, :, 2:] * share
