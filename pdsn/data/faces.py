"""From a photo to one aligned face: detection, the choice among several faces, the crop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from PIL import Image

from pdsn.data.detector import Detection, Detector, Further, sure
from pdsn.data.settings import PrepareConfig
from pdsn.data.similarity import align_similarity, similarity_matrix
from pdsn.data.template import template

DETECTION_SIDE = 1024
"""Pixels: longest side of the photo that the detector is shown."""
CLEARLY = 2.0
"""Times the area of every other face: from this a photo's largest face is clearly the one it is about."""
TURNS = (90, 180, 270)
"""Degrees counter-clockwise by which a photo without a sure face is turned, in search of one."""
TURNED = 0.99
"""Probability from which a face in a turned photo is believed: MTCNN sees one at 0.9 in every tenth photo that lies on
its side, hardly ever at this, and nearly every face that stands upright passes it."""

Detect = Callable[[Sequence[np.ndarray]], list[list[Detection]]]
"""N photos (H, W, 3) uint8 of equal size -> the faces of each; `pdsn.data.detector.Detector` is one."""


def detect_faces(photos: Sequence[np.ndarray], detect: Detect) -> list[list[Detection]]:
    """Detect in photos of any size, those of equal size together.

    Args:
        photos: N arrays (H, W, 3) uint8, RGB. The detector is shown them at most `DETECTION_SIDE` long.
        detect: the detector.

    Returns:
        The faces of each photo in pixels of the photo; an empty list where there is none.
    """
    reduced = [reduce_photo(photo) for photo in photos]
    buckets: dict[tuple[int, ...], list[int]] = {}
    for index, photo in enumerate(reduced):
        buckets.setdefault(photo.shape, []).append(index)
    found: list[list[Detection]] = [[] for _ in photos]
    for members in buckets.values():
        answers = detect([reduced[index] for index in members])
        for index, detections in zip(members, answers, strict=True):
            ratio = np.array(photos[index].shape[1::-1]) / reduced[index].shape[1::-1]
            found[index] = [
                replace(face, box=face.box * np.tile(ratio, 2), landmarks=face.landmarks * ratio)
                for face in detections
            ]
    return found


def looking(detect: Detect, further: Further) -> Detect:
    """A detector that looks again at other photos than it does unasked; one that never looks again as it is."""
    return partial(detect, further=further) if isinstance(detect, Detector) else detect


def find_faces(photos: Sequence[np.ndarray], detect: Detect) -> list[tuple[list[Detection], int]]:
    """Detect in photos of any size that may lie on their side or stand on their head.

    A photo that shows a sure face as it is at first look is not turned. Another is searched under each of `TURNS`; the turn with
    the most faces of at least `TURNED` at first look, by the sum of their probabilities, is taken, if there is one: further
    looks find faces that lie on their side, too, but their landmarks are no good.

    Args:
        photos: N arrays (H, W, 3) uint8, RGB.
        detect: the detector.

    Returns:
        For each photo its faces, in pixels of the photo after the turn, see `turn_photo`, and the turn; an empty
        list and 0 where there is no face.
    """
    found = [(faces, 0) for faces in detect_faces(photos, detect)]
    lost = [index for index, (faces, _) in enumerate(found) if not _at_once(faces)]
    best = dict.fromkeys(lost, 0.0)
    once = looking(detect, "never")
    for turn in TURNS if lost else ():
        answers = detect_faces([turn_photo(photos[index], turn) for index in lost], once)
        for index, faces in zip(lost, map(_at_once, answers), strict=True):
            worth = sum(face.probability for face in faces if face.probability >= TURNED)
            if worth > best[index]:
                best[index], found[index] = worth, (faces, turn)
    return found


def _at_once(detections: Sequence[Detection]) -> list[Detection]:
    """The sure ones that took no further look."""
    return [face for face in sure_faces(detections) if not face.further]


def turn_photo(photo: np.ndarray, turn: int) -> np.ndarray:
    """The photo (H, W, …) turned counter-clockwise by 0, 90, 180 or 270 degrees."""
    return np.ascontiguousarray(np.rot90(photo, turn // 90)) if turn else photo


def turn_back(box: np.ndarray, shape: tuple[int, ...], turn: int) -> np.ndarray:
    """Where a box lies in the photo that was turned.

    Args:
        box: (4,) left, top, right, bottom in pixels of the turned photo.
        shape: (H, W, …) of the photo before the turn.
        turn: degrees, see `turn_photo`.
    """
    height, width = shape[:2]
    left, top, right, bottom = box
    return {
        0: np.array([left, top, right, bottom]),
        90: np.array([width - bottom, left, width - top, right]),
        180: np.array([width - right, height - bottom, width - left, height - top]),
        270: np.array([top, height - right, bottom, height - left]),
    }[turn]


def reduce_photo(photo: np.ndarray) -> np.ndarray:
    """The photo (H, W, 3) uint8 as the detector is shown it, at most `DETECTION_SIDE` long."""
    height, width = photo.shape[:2]
    shrink = DETECTION_SIDE / max(height, width)
    if shrink >= 1:
        return photo
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0))


def choose_face(detections: Sequence[Detection], size: tuple[int, int], choice: str) -> Detection:
    """The face a photo is about.

    Detections below `detector.SURE` are considered only if there is no other.

    Args:
        detections: at least one.
        size: (H, W) of the photo in pixels.
        choice: "centre": the box centre nearest the photo's centre; "largest": the box of the largest area.
    """
    faces = sure_faces(detections) or list(detections)
    if choice == "largest":
        return max(faces, key=_area)
    centre = np.array([size[1], size[0]]) / 2
    return min(faces, key=lambda face: float(np.linalg.norm((face.box[:2] + face.box[2:]) / 2 - centre)))


def sure_faces(detections: Sequence[Detection]) -> list[Detection]:
    """The detections of a probability of at least `detector.SURE`."""
    return [face for face in detections if sure(face)]


def clear_face(detections: Sequence[Detection]) -> Detection | None:
    """The face that a photo of one person is about, None if that is not clear.

    Of several sure faces it is the largest, if its box has `CLEARLY` the area of every other. Without a sure one it is the
    most probable.

    Args:
        detections: at least one.
    """
    faces = sorted(sure_faces(detections), key=_area)
    if not faces:
        return max(detections, key=lambda face: face.probability)
    if len(faces) > 1 and _area(faces[-1]) < CLEARLY * _area(faces[-2]):
        return None
    return faces[-1]


def _area(face: Detection) -> float:
    """Of the box, in square pixels."""
    return float(np.prod(face.box[2:] - face.box[:2]))


def sideways(face: Detection) -> float:
    """How far the point midway between the eyes lies from the box's middle, as a share of the box's width.

    About 0 for a frontal face; `prepare --frontal` leaves out side views by it.
    """
    left, _, right, _ = face.box
    return float(abs(face.landmarks[:2, 0].mean() - (left + right) / 2) / (right - left))


TEMPLATE_SLACK = 0.75
"""Pixels by which two templates may differ and still pass for the same."""


def template_difference(one: PrepareConfig, other: PrepareConfig) -> float:
    """Largest distance in pixels, along an axis, between the places where two crops put a landmark."""
    return float(np.abs(goal_of(one) - goal_of(other)).max())


def goal_of(config: PrepareConfig) -> np.ndarray:
    """(5, 2) x, y in pixels of the crop: where alignment by similarity puts the landmarks."""
    return template(config.size) if config.template is None else np.array(config.template, dtype=np.float64)


def crop_matrix(shape: tuple[int, ...], face: Detection, config: PrepareConfig) -> np.ndarray:
    """(3, 3) float64, photo to crop, of `crop_face` on a photo of `shape` (H, W, …).

    Raises:
        ValueError: the face cannot be cropped.
    """
    if config.align == "similarity":
        return similarity_matrix(face.landmarks, goal_of(config))
    low, high = _clipped_box(shape, face)
    scale = np.array([config.size[1], config.size[0]]) / (high - low)
    return np.array([[scale[0], 0, -low[0] * scale[0]], [0, scale[1], -low[1] * scale[1]], [0, 0, 1]])


def crop_face(photo: np.ndarray, face: Detection, config: PrepareConfig) -> tuple[np.ndarray, np.ndarray]:
    """Crop a face by size, alignment and template of `config`, see `align_similarity` and `align_box`."""
    if config.align == "box":
        return align_box(photo, face, config.size)
    return align_similarity(photo, face.landmarks, config.size, goal_of(config))


def align_box(photo: np.ndarray, face: Detection, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Crop the face box and stretch it to the crop, whatever its shape (Johnston & Ngxande, section 4.1).

    The box is clipped to the photo.

    Args:
        photo: (H, W, 3) uint8, RGB.
        face: box and landmarks in pixels of the photo.
        size: (h, w) of the crop in pixels.

    Returns:
        The crop (h, w, 3) uint8 and the landmarks (5, 2) in its pixels.

    Raises:
        ValueError: less than a pixel of the box lies in the photo.
    """
    low, high = _clipped_box(photo.shape, face)
    shape = (size[1], size[0])
    crop = Image.fromarray(photo).resize(shape, Image.Resampling.BICUBIC, box=(*low, *high))
    return np.asarray(crop), (face.landmarks - low) / (high - low) * shape


def _clipped_box(shape: tuple[int, ...], face: Detection) -> tuple[np.ndarray, np.ndarray]:
    limits = np.array([shape[1], shape[0]], dtype=float)
    low, high = np.clip(face.box[:2], 0, limits), np.clip(face.box[2:], 0, limits)
    if not (high - low >= 1).all():
        raise ValueError("the face box lies outside the photo")
    return low, high
