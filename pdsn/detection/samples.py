"""Crops of scenes as the last two networks of the detector see them, and what they should answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdsn.data.boxes import square
from pdsn.data.sums import Sums
from pdsn.detection.scenes import HIDDEN, Scene, overlaps

FACE, NO_FACE, PART = 1, 0, -1
"""What a crop shows; a part of a face teaches the box alone."""
FACE_FROM, PART_FROM, NO_FACE_BELOW = 0.6, 0.4, 0.3
"""Overlap of a crop with the face's box, both as squares: MTCNN's bounds, the first for squares."""
OTHER_FROM = 0.15
"""Overlap with whatever else may be a face from which a crop is left out."""
TAKEN = {FACE: 3, PART: 2, NO_FACE: 5}
"""Crops of a scene, at most."""
JITTERED = 6
"""Boxes around the face's own, beside those that the networks before propose."""


@dataclass(frozen=True)
class Samples:
    """N crops.

    Attributes:
        crops: (N, edge, edge, 3) uint8.
        labels: (N,) int64: `FACE`, `NO_FACE` or `PART`.
        shifts: (N, 4) float32, how far the box's corners lie from the crop's, in edges of the crop.
        places: (N, 10) float32, the landmarks, x then y, from the crop's upper left corner, in edges.
    """

    crops: np.ndarray
    labels: np.ndarray
    shifts: np.ndarray
    places: np.ndarray

    def __len__(self) -> int:
        """Crops there are."""
        return len(self.labels)

    def rows(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Crops, labels, shifts and places of some rows (B,) int64."""
        chosen = rows.numpy()
        return tuple(
            torch.from_numpy(np.ascontiguousarray(part[chosen]))
            for part in (self.crops, self.labels, self.shifts, self.places)
        )

    @staticmethod
    def joined(parts: list[Samples]) -> Samples:
        """All of several, in order."""
        return Samples(
            np.concatenate([part.crops for part in parts]),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.shifts for part in parts]),
            np.concatenate([part.places for part in parts]),
        )


def cut_samples(scene: Scene, boxes: np.ndarray, edge: int, rng: np.random.Generator) -> Samples:
    """Cut crops from a scene, of the boxes that came so far and of some around the face's own.

    Args:
        scene: the scene.
        boxes: (M, 4 or more) squares that the networks before passed on.
        edge: pixels of a crop: 24 or 48.
        rng: of the choice.
    """
    own = square(np.append(scene.box, 1.0)[None])
    near = np.repeat(own, JITTERED, axis=0)
    length = own[0, 2] - own[0, 0]
    middle = (own[0, :2] + own[0, 2:4]) / 2 + rng.normal(0, 0.1, (JITTERED, 2)) * length
    half = length / 2 * np.exp(rng.normal(0, 0.15, (JITTERED, 1)))
    near[:, :2], near[:, 2:4] = middle - half, middle + half
    # On whole pixels, as crops are cut: what a network answers is counted from the crop's edge.
    boxes = np.trunc(np.concatenate([boxes[:, :4], near[:, :4]]))
    overlap = overlaps(boxes, own[:, :4])[:, 0]
    elsewhere = overlaps(boxes, scene.others).max(axis=1, initial=0.0) < OTHER_FROM
    shown = scene.hidden <= HIDDEN
    kinds = {
        FACE: np.flatnonzero((overlap >= FACE_FROM) & shown),
        PART: np.flatnonzero((overlap >= PART_FROM) & (overlap < FACE_FROM) & shown),
        NO_FACE: np.flatnonzero((overlap < NO_FACE_BELOW) & elsewhere),
    }
    rows, labels = [], []
    for kind, found in kinds.items():
        taken = rng.permutation(found)[: TAKEN[kind]]
        rows.append(taken)
        labels.append(np.full(len(taken), kind))
    chosen = boxes[np.concatenate(rows)]
    label = np.concatenate(labels)
    inside, crops = Sums(scene.pixels).candidates(chosen, edge)
    chosen, label = chosen[inside], label[inside]
    edges = (chosen[:, 2] - chosen[:, 0] + 1)[:, None]
    shifts = (scene.box[None] - chosen[:, :4]) / edges
    places = (scene.landmarks[None] + 1 - chosen[:, None, :2]) / edges[:, :, None]
    return Samples(
        crops.round().astype(np.uint8),
        label,
        shifts.astype(np.float32),
        np.concatenate([places[..., 0], places[..., 1]], axis=1).astype(np.float32),
    )
