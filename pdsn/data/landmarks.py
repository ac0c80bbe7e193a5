"""Landmarks of covered faces: a further network looks at each face, and places them anew where it is.

MTCNN places the landmarks in a box drawn around what it sees; where a part is covered, all of them drift. The network
here sees the face upright and in one size, by the landmarks found so far. It was trained on painted faces whose
landmarks are known from the clean photo (`pdsn.detection.places`). A face that it takes for free keeps its landmarks, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pdsn.data.similarity import align_similarity, similarity_matrix
from pdsn.data.template import TEMPLATE

if TYPE_CHECKING:
    import torch
    from torch import nn

    from pdsn.data.detector import Detection

EDGE = 48
"""Pixels of a side of what the network sees."""
PLACES = (TEMPLATE - TEMPLATE.mean(axis=0)) * 0.47 + np.array([24.0, 25.0])
"""(5, 2) x, y in these pixels: where the landmarks found so far lie. A face is about as large as MTCNN's third network sees it."""
COVERED_FROM = 0.5
"""Probability of a cover from which the network's landmarks may be taken."""
APART_FROM = 0.05
"""Distances between the eyes by which they must align the face otherwise, on average: of clean photos of LFW one in
100 passes both."""
LOOKS = 2
"""Times that it looks at a covered face: each time at the face as the last answer aligns it."""
BATCH = 256
"""Faces that it sees at once."""


def cut(photo: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the network sees of a face.

    Args:
        photo: (H, W, 3) uint8, RGB.
        landmarks: (5, 2) x, y in pixels of the photo, as far as known.

    Returns:
        The crop (EDGE, EDGE, 3) uint8, and the matrix (3, 3) from photo to crop.

    Raises:
        ValueError: the landmarks do not spread like a face's.
    """
    crop, _ = align_similarity(photo, landmarks, (EDGE, EDGE), PLACES)
    return crop, similarity_matrix(landmarks, PLACES)


def place_landmarks(
    network: nn.Module,
    device: torch.device,
    photos: Sequence[np.ndarray],
    found: Sequence[Sequence[Detection]],
) -> list[list[Detection]]:
    """Faces, those that are covered with other landmarks.

    Args:
        network: an `OutputNet`; its landmarks are shares of `EDGE`, its probabilities those of a free and of a covered face.
        device: where it is.
        photos: N arrays (H, W, 3) uint8, RGB.
        found: the faces of each, in pixels of the photo.
    """
    faces = [(photo, face) for photo, some in zip(photos, found, strict=True) for face in some]
    answers = {row: face.landmarks for row, (_, face) in enumerate(faces)}
    for _ in range(LOOKS):
        rows = list(answers)
        looked = _look(network, device, [faces[row][0] for row in rows], list(answers.values()))
        answers = {row: answer for row, answer in zip(rows, looked, strict=True) if answer is not None}
    placed = iter(_placed(face, answers.get(row)) for row, (_, face) in enumerate(faces))
    return [[next(placed) for _ in some] for some in found]


def apart(landmarks: np.ndarray, others: np.ndarray) -> float:
    """How far two sets of landmarks (5, 2) align a face from each other, in distances between the eyes, on average over the template.

    Raises:
        ValueError: they do not spread like a face's.
    """
    both = similarity_matrix(others, PLACES) @ np.linalg.inv(similarity_matrix(landmarks, PLACES))
    there = PLACES @ both[:2, :2].T + both[:2, 2]
    return float(np.linalg.norm(there - PLACES, axis=1).mean() / (PLACES[1, 0] - PLACES[0, 0]))


def _placed(face: Detection, answer: np.ndarray | None) -> Detection:
    """The face with the network's landmarks, if there are any, and they align it otherwise."""
    if answer is None:
        return face
    try:
        otherwise = apart(face.landmarks, answer) >= APART_FROM
    except ValueError:  # no landmarks of a face
        return face
    return replace(face, landmarks=answer) if otherwise else face


def _look(
    network: nn.Module, device: torch.device, photos: Sequence[np.ndarray], landmarks: Sequence[np.ndarray]
) -> list[np.ndarray | None]:
    """Landmarks (5, 2) in pixels of the photo of each face; None where it is free, or what was found is no face."""
    import torch

    from pdsn.data.mtcnn import normalised

    answers: list[np.ndarray | None] = [None] * len(photos)
    crops, matrices, rows = [], [], []
    for row, (photo, points) in enumerate(zip(photos, landmarks, strict=True)):
        try:
            crop, matrix = cut(photo, points)
        except ValueError:
            continue
        crops.append(crop)
        matrices.append(matrix)
        rows.append(row)
    for first in range(0, len(rows), BATCH):
        pixels = torch.from_numpy(np.stack(crops[first : first + BATCH]))
        with torch.inference_mode():
            _, places, probabilities = network(normalised(pixels.to(device)))
        covers = probabilities[:, 1].cpu().numpy()
        points = places.cpu().numpy().astype(np.float64).reshape(-1, 2, 5).transpose(0, 2, 1) * EDGE
        batch = rows[first : first + BATCH], matrices[first : first + BATCH]
        for row, matrix, place, cover in zip(*batch, points, covers, strict=True):
            if cover >= COVERED_FROM:
                back = np.linalg.inv(matrix)
                answers[row] = place @ back[:2, :2].T + back[:2, 2]
    return answers
