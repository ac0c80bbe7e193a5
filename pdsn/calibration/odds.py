"""What a matcher's scores say about the odds that two photos show one person: a logistic regression on validation photos."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pdsn.data.dataset import FaceDataset, evenly
from pdsn.matchers.fused import Odds
from pdsn.matchers.matcher import Faces, Matcher
from pdsn.occlusion.occluders import Occluder, occlude

MOST_PROBES = 400
"""Validation photos that are asked about; of more, as many spread evenly."""
MOST_PHOTOS = 1000
"""Photos that they are compared with."""


def fit_odds(
    matcher: Matcher,
    dataset: FaceDataset,
    gallery: np.ndarray,
    probes: np.ndarray,
    occluder: Occluder,
    seed: int,
) -> Odds:
    """A matcher's `Odds`, from probes as they are and under an occluder, whose covered pixels are known.

    Pairs of one person count as much together as all those of two.

    Args:
        matcher: whose scores.
        dataset: the faces.
        gallery, probes: rows of validation photos.
        occluder: what covers the probes.
        seed: of the painting.
    """
    gallery, probes = evenly(gallery, MOST_PHOTOS), evenly(probes, MOST_PROBES)
    enrolled = matcher.prepare(_faces(dataset, gallery), "gallery")
    same = torch.from_numpy(dataset.labels[probes][:, None] == dataset.labels[gallery][None])
    pixels, covered = occlude(
        occluder, dataset.tensor(probes), dataset.landmarks[probes],
        seed=seed, name="odds", rows=probes.tolist(),
    )  # fmt: skip
    people = torch.from_numpy(dataset.labels[probes])
    hidden = matcher.prepare(Faces(pixels, covered, people), "probe")
    # Covered is what counts as covered, as it does where the odds are used.
    rows = [row for row, signature in enumerate(hidden.signatures) if any(signature)] or list(
        range(len(hidden))
    )
    free = _line(matcher.compare(matcher.prepare(_faces(dataset, probes), "probe"), enrolled), same)
    return Odds(*free, *_line(matcher.compare(hidden[rows], enrolled), same[rows]))


def _faces(dataset: FaceDataset, rows: np.ndarray) -> Faces:
    return Faces.free(dataset.tensor(rows), torch.from_numpy(dataset.labels[rows]))


def _line(scores: Tensor, same: Tensor) -> tuple[float, float]:
    """Slope and offset of the logarithm of the odds along scores (P, G) of pairs of one person or two (P, G) bool."""
    from sklearn.linear_model import LogisticRegression

    values = scores.flatten().double().numpy()[:, None]
    # Scores of matchers differ by orders of magnitude, and the regression shrinks slopes: it sees them at one scale.
    middle, spread = values.mean(), max(values.std(), 1e-9)
    fitted = LogisticRegression(class_weight="balanced").fit(
        (values - middle) / spread, same.flatten().numpy()
    )
    slope = float(fitted.coef_[0, 0]) / spread
    return slope, float(fitted.intercept_[0]) - slope * float(middle)
