"""Photos of pattern people on plain grey, and a detector that finds them there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pdsn.data.detector import Detection
from pdsn.data.template import template

GREY = 90
SCALE = 2
"""Photo pixels per crop pixel."""


class PlainDetector:
    """Finds what stands out from a grey background, from left to right, landmarks on the template."""

    def __init__(self, min_face: int = 40, device: str = "cpu", networks: str = "mtcnn") -> None:
        self.min_face = min_face

    def __call__(self, photos: Sequence[np.ndarray]) -> list[list[Detection]]:
        return [self._faces((photo != GREY).any(2)) for photo in photos]

    def _faces(self, mask: np.ndarray) -> list[Detection]:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.any(0), [0]])))
        found = []
        for left, right in edges.reshape(-1, 2):
            rows = np.flatnonzero(mask[:, left:right].any(1))
            top, bottom = rows[0], rows[-1] + 1
            if right - left >= self.min_face:
                landmarks = template((bottom - top, right - left)) + np.array([left, top])
                box = np.array([left, top, right, bottom], dtype=float)
                found.append(Detection(box, 0.99, landmarks))
        return found


def save_photo(path: Path, *faces: np.ndarray, scale: Sequence[int] = ()) -> Path:
    """A photo of some aligned faces (H, W, 3) side by side, each enlarged by its own scale."""
    scales = scale or [SCALE] * len(faces)
    enlarged = [np.kron(face, np.ones((s, s, 1), np.uint8)) for face, s in zip(faces, scales, strict=True)]
    height = max([120, *(face.shape[0] for face in enlarged)]) + 40
    photo = np.full((height, sum(face.shape[1] + 30 for face in enlarged) + 60, 3), GREY, np.uint8)
    left = 30
    for face in enlarged:
        photo[20 : 20 + face.shape[0], left : left + face.shape[1]] = face
        left += face.shape[1] + 30
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photo).save(path)
    return path
