"""Scenes that the detector is trained on: photos of faces, painted, turned a little, cut and relit.

Box and landmarks come from the clean photo, where MTCNN is nearly exact; the painted one inherits them.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from pdsn.data.similarity import align_similarity, similarity_matrix
from pdsn.data.template import TEMPLATE, TEMPLATE_SIZE
from pdsn.occlusion.layouts import LEFT_EYE, LEFT_MOUTH, NOSE, RIGHT_EYE, RIGHT_MOUTH
from pdsn.occlusion.occluder import Occluder
from pdsn.occlusion.painting import paint_photo

SIDES = (0.75, 3.2)
"""The scene's side, as multiples of the face box's longer side: from a face that is cut to one among its surroundings."""
WIDTHS = (18.0, 180.0)
"""Pixels of the face box's longer side in the scene; their logarithm is drawn evenly."""
ROLL = 12.0
"""Degrees: standard deviation of the turn in the picture's plane."""
EDGES = (24, 320)
"""Pixels of a scene's side, at least and at most."""
MIRRORED = [RIGHT_EYE, LEFT_EYE, NOSE, RIGHT_MOUTH, LEFT_MOUTH]
"""The landmarks of a mirrored face in the order of those of a face."""
CUT = 0.25
"""Share of the face box's side that may lie outside of the scene."""
HIDDEN = 0.9
"""A face of which more is covered is shown to no network: neither answer would be right."""


@dataclass(frozen=True)
class Subject:
    """A photo and the face that it is about.

    Attributes:
        pixels: (H, W, 3) uint8, RGB.
        box: (4,) left, top, right, bottom in pixels.
        landmarks: (5, 2) x, y in pixels.
        others: (K, 4) boxes of whatever else may be a face.
    """

    pixels: np.ndarray
    box: np.ndarray
    landmarks: np.ndarray
    others: np.ndarray


@dataclass(frozen=True)
class Scene:
    """What the detector is shown.

    Attributes:
        pixels: (H, W, 3) uint8, RGB.
        box: (4,) left, top, right, bottom in pixels; may reach over the edge.
        landmarks: (5, 2) x, y in pixels.
        others: (K, 4) boxes of whatever else may be a face.
        hidden: share of the box that is covered.
    """

    pixels: np.ndarray
    box: np.ndarray
    landmarks: np.ndarray
    others: np.ndarray
    hidden: float


def make_scene(
    subject: Subject,
    occluder: Occluder,
    rng: np.random.Generator,
    *,
    widths: tuple[float, float] = WIDTHS,
    beside: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Scene:
    """Paint a subject and look at it from somewhere.

    Args:
        subject: photo and face.
        occluder: what covers the face.
        rng: of everything random.
        widths: pixels of the face box's longer side in the scene, see `WIDTHS`.
        beside: the landmarks (5, 2) that the cover is laid by, from those of the photo; None takes these.

    Raises:
        ValueError: the landmarks are no face.
    """
    marks = subject.landmarks if beside is None else beside(subject.landmarks)
    painted, hidden = _painted(subject, marks, occluder, rng)
    longest = float((subject.box[2:] - subject.box[:2]).max())
    side = longest * float(np.exp(rng.uniform(*np.log(SIDES))))
    # The face's centre lies where at most the share CUT of the box is outside.
    reach = max(side / 2 - longest * (0.5 - CUT), 0.0)
    middle = (subject.box[:2] + subject.box[2:]) / 2 + rng.uniform(-reach, reach, 2)
    width = float(np.exp(rng.uniform(*np.log(widths))))
    edge = int(np.clip(side / longest * width, *EDGES))
    # From pixels of the scene to those of the photo: a turn, a scale, now and then a mirror.
    angle = float(np.deg2rad(rng.normal(0, ROLL)))
    linear = side / edge * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mirrored = rng.random() < 0.5
    if mirrored:
        linear[:, 0] *= -1
    offset = middle - linear @ np.full(2, edge / 2)
    pixels = _relit(_seen(painted, linear, offset, edge), rng)

    back = np.linalg.inv(linear)
    landmarks = (subject.landmarks - offset) @ back.T
    if mirrored:
        landmarks = landmarks[MIRRORED]
    boxes = np.concatenate([subject.box[None], subject.others.reshape(-1, 4)])
    middles = ((boxes[:, :2] + boxes[:, 2:]) / 2 - offset) @ back.T
    halves = (boxes[:, 2:] - boxes[:, :2]) / 2 * edge / side
    boxes = np.concatenate([middles - halves, middles + halves], axis=1)
    return Scene(pixels, boxes[0], landmarks, boxes[1:], hidden)


def _painted(
    subject: Subject, landmarks: np.ndarray, occluder: Occluder, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """The photo (H, W, 3) uint8, occluded by these landmarks, and the share of the face's box that is covered."""
    crop, points = align_similarity(subject.pixels, landmarks, TEMPLATE_SIZE, TEMPLATE)
    matrix = similarity_matrix(landmarks, TEMPLATE)
    face = torch.from_numpy(crop.copy()).permute(2, 0, 1)
    painted, covered = paint_photo(subject.pixels, landmarks, face, matrix, occluder, rng, points)
    left, top, right, bottom = np.round(subject.box).astype(int).clip(0)
    inside = covered[top:bottom, left:right]
    return painted, float(inside.mean()) if inside.size else 1.0


def _seen(photo: np.ndarray, linear: np.ndarray, offset: np.ndarray, edge: int) -> np.ndarray:
    """The scene (edge, edge, 3) uint8; beyond the photo its edge is repeated."""
    height, width = photo.shape[:2]
    corners = np.array([[0, 0], [edge, 0], [0, edge], [edge, edge]]) @ linear.T + offset
    low = np.floor(corners.min(axis=0)).astype(int) - 4
    high = np.ceil(corners.max(axis=0)).astype(int) + 4
    rows = np.clip(np.arange(low[1], high[1]), 0, height - 1)
    columns = np.clip(np.arange(low[0], high[0]), 0, width - 1)
    region = Image.fromarray(photo[rows[:, None], columns])
    step = max(1, int(np.sqrt(abs(np.linalg.det(linear)))))
    if step > 1:
        region = region.reduce(step)
    scaled, start = linear / step, (offset - low) / step
    dense = region.transform(
        (2 * edge, 2 * edge),
        Image.Transform.AFFINE,
        (*(scaled[0] / 2), start[0], *(scaled[1] / 2), start[1]),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(dense.reduce(2))


def _relit(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another light, now and then grey, or saved as a poor JPEG."""
    gain, lift = rng.uniform(0.6, 1.35), rng.uniform(-25, 25)
    cast, contrast = 1 + rng.uniform(-0.1, 0.1, 3), rng.uniform(0.75, 1.2)
    values = (pixels.astype(np.float32) - 128) * contrast + 128
    grey = values.mean(axis=2, keepdims=True).repeat(3, axis=2)
    values = grey if rng.random() < 0.1 else values * cast
    relit = (values * gain + lift).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        stream = io.BytesIO()
        Image.fromarray(relit).save(stream, "JPEG", quality=int(rng.integers(25, 95)))
        relit = np.asarray(Image.open(stream))
    return relit


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union (M, K) of boxes (M, 4 or more) with others (K, 4)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:4], others[None, :, 2:4])
    common = np.prod(np.maximum(high - low, 0), axis=2)
    area = np.prod(boxes[:, 2:4] - boxes[:, :2], axis=1)[:, None] + np.prod(
        others[:, 2:] - others[:, :2], axis=1
    )
    return common / np.maximum(area - common, 1e-9)
