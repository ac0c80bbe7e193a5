"""What the network that places the landmarks of covered faces learns: crops of painted scenes, and its loss.

In use a crop is cut by the landmarks found so far; in training by the true ones, moved as far as MTCNN's are moved by covers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.data.landmarks import EDGE, PLACES, cut
from pdsn.data.mtcnn import OutputNet, normalised
from pdsn.data.template import TEMPLATE
from pdsn.detection.scenes import HIDDEN, Subject, make_scene
from pdsn.errors import PdsnError
from pdsn.occlusion.occluder import Occluder

CROPS = 4
"""Of each scene."""
TURN, SCALE, SHIFT = 6.0, 0.13, 0.16
"""Standard deviations of how a crop lies beside the face: degrees, logarithm, distances between the eyes. Twice to a sixth of it, drawn evenly."""
ASIDE = 0.5
"""Share of that by which a cover lies beside its place: the ends of a band must not tell where the face is."""
WIDTHS = (30.0, 180.0)
"""Pixels of the face box's longer side in the scene: smaller ones show no landmarks."""
FREE, COVERED = 0.02, 0.08
"""Share of the box that is covered at most of a free face, at least of a covered one."""
PLACE_WEIGHT, ALIGNMENT_WEIGHT, COVER_WEIGHT = 4.0, 8.0, 0.05
"""Of the mean absolute errors in edges of the crop, landmark by landmark and of the similarity that follows, and of the entropy."""


@dataclass(frozen=True)
class PlaceSamples:
    """N crops.

    Attributes:
        crops: (N, EDGE, EDGE, 3) uint8.
        places: (N, 10) float32, the landmarks, x then y, in edges of the crop.
        hidden: (N,) float32, share of the face's box that is covered.
    """

    crops: np.ndarray
    places: np.ndarray
    hidden: np.ndarray

    def __len__(self) -> int:
        """Crops there are."""
        return len(self.crops)

    def rows(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Crops, places and hidden shares of some rows (B,) int64."""
        chosen = rows.numpy()
        return tuple(torch.from_numpy(part[chosen]) for part in (self.crops, self.places, self.hidden))


def moved(landmarks: np.ndarray, rng: np.random.Generator, most: float = 1.0) -> np.ndarray:
    """Landmarks (5, 2), turned, scaled and shifted together as the guess of a detector may be.

    Args:
        landmarks: x, y in pixels.
        rng: of the draw.
        most: share of the usual spread.
    """
    spread = most * rng.uniform(0.2, 1.3)
    angle, scale = np.deg2rad(rng.normal(0, TURN * spread)), np.exp(rng.normal(0, SCALE * spread))
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = landmarks.mean(axis=0)
    size = np.sqrt(((landmarks - middle) ** 2).sum() / ((TEMPLATE - TEMPLATE.mean(axis=0)) ** 2).sum())
    shift = rng.normal(0, SHIFT * spread, 2) * size * (TEMPLATE[1, 0] - TEMPLATE[0, 0])
    return (landmarks - middle) @ linear.T + middle + shift


def make_places(
    subjects: Sequence[Subject],
    occluder: Occluder,
    seed: Sequence[int],
    scenes: int,
    advance: Callable[[int], None],
) -> PlaceSamples:
    """Crops of painted scenes of all subjects.

    Args:
        subjects: at least one.
        occluder: what covers them.
        seed: numbers that all draws follow from.
        scenes: of each subject.
        advance: called with the number of scenes that were made.

    Raises:
        PdsnError: no subject has landmarks that form a face.
    """
    crops, places, hidden = [], [], []
    for number in range(scenes):
        for row, subject in enumerate(subjects):
            rng = np.random.default_rng((*seed, EDGE + 1, number, row))
            advance(1)
            try:
                scene = make_scene(
                    subject,
                    occluder,
                    rng,
                    widths=WIDTHS,
                    beside=partial(moved, rng=rng, most=ASIDE),
                )
                if scene.hidden > HIDDEN:
                    continue
                for _ in range(CROPS):
                    crop, matrix = cut(scene.pixels, moved(scene.landmarks, rng))
                    points = scene.landmarks @ matrix[:2, :2].T + matrix[:2, 2]
                    crops.append(crop)
                    places.append(points.T.reshape(10) / EDGE)
                    hidden.append(scene.hidden)
            except ValueError:  # landmarks that form no face
                continue
    if not crops:
        raise PdsnError("no photo has landmarks that form a face: give other photos")
    return PlaceSamples(np.stack(crops), np.array(places, np.float32), np.array(hidden, np.float32))


class PlaceLoss(nn.Module):
    """The loss of the network that places landmarks.

    Args:
        network: answers (shifts, places, probabilities of a free and of a covered face).
    """

    def __init__(self, network: OutputNet) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("similarities", _similarities(), persistent=False)

    def forward(self, crops: Tensor, places: Tensor, hidden: Tensor) -> dict[str, Tensor]:
        """The losses of a batch.

        Args:
            crops: (B, EDGE, EDGE, 3) uint8.
            places: (B, 10) float32.
            hidden: (B,) float32.

        Returns:
            {"loss": scalar, "loss_landmarks": …, "loss_alignment": …, "loss_cover": …}.
        """
        _, answered, probabilities = self.network(normalised(crops))
        answered, probabilities = answered.float(), probabilities.float()
        apart = answered - places
        certain = (hidden <= FREE) | (hidden >= COVERED)
        entropy = F.nll_loss(
            probabilities[certain].clamp_min(1e-7).log(), (hidden[certain] > FREE).long(), reduction="sum"
        )
        losses = {
            "loss_landmarks": apart.abs().mean(),
            "loss_alignment": (apart @ self.similarities).abs().mean(),
            "loss_cover": entropy / max(int(certain.sum()), 1),
        }
        losses["loss"] = (
            PLACE_WEIGHT * losses["loss_landmarks"]
            + ALIGNMENT_WEIGHT * losses["loss_alignment"]
            + COVER_WEIGHT * losses["loss_cover"]
        )
        return losses


def _similarities() -> Tensor:
    """(10, 10) float32: an error of the landmarks -> its part that turns, scales and shifts the template, the others' being lost in alignment."""
    x, y = (PLACES - PLACES.mean(axis=0)).T
    one, none = np.ones(5), np.zeros(5)
    ways = np.array([[*x, *y], [*-y, *x], [*one, *none], [*none, *one]])
    basis, _ = np.linalg.qr(ways.T)
    return torch.from_numpy((basis @ basis.T).astype(np.float32))
