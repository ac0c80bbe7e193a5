"""What a matcher's scores say about the odds that two photos show one person: a logistic regression on validation photos."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pdsn.data.dataset import FaceDataset, evenly
from pdsn.errors import PdsnError
from pdsn.matchers.fused import Odds
from pdsn.matchers.matcher import Faces, Matcher
from pdsn.occlusion.occluder import Occluder
from pdsn.occlusion.occluders import occlude

MOST_PROBES = 400
"""Validation photos that are asked about; of more, as many spread evenly."""
MOST_PHOTOS = 1000
"""Photos that they are compared with."""


def fit_odds(
    matchers: tuple[Matcher, Matcher],
    dataset: FaceDataset,
    gallery: np.ndarray,
    probes: np.ndarray,
    occluder: Occluder,
    seed: int,
) -> tuple[Odds, Odds]:
    """The `Odds` of two matchers, from probes as they are and under an occluder, whose covered pixels are known.

    Pairs of one person count as much together as all those of two. Covered is what counts as covered to the first one.

    Args:
        matchers: whose scores.
        dataset: the faces.
        gallery, probes: rows of the validation's question.
        occluder: what covers the probes.
        seed: of the painting.

    Raises:
        PdsnError: they hold no pair of one person, or none of two.
    """
    probes = evenly(probes, MOST_PROBES)
    known = np.isin(dataset.labels[gallery], dataset.labels[probes])
    gallery = evenly(gallery[known], MOST_PHOTOS)
    pixels, covered = occlude(
        occluder,
        dataset.tensor(probes),
        dataset.landmarks[probes],
        seed=seed,
        name="odds",
        rows=probes.tolist(),
    )
    same = torch.from_numpy(dataset.labels[probes][:, None] == dataset.labels[gallery][None])
    # The same tensors for both: a base's maps of them are computed once.
    enrolled, free = _faces(dataset, gallery), _faces(dataset, probes)
    hidden = Faces(pixels, covered, free.people)
    signatures = matchers[0].signatures(hidden)
    rows = [row for row, signature in enumerate(signatures) if any(signature)] or list(range(len(hidden)))
    # Lot by lot, since the maps of the last faces alone are remembered.
    known_by = [matcher.prepare(enrolled, "gallery") for matcher in matchers]
    lines = [
        [
            _line(matcher.compare(matcher.prepare(lot, "probe")[chosen], there), same[chosen])
            for matcher, there in zip(matchers, known_by, strict=True)
        ]
        for lot, chosen in ((free, list(range(len(free)))), (hidden, rows))
    ]
    first, second = (Odds(*of_free, *of_hidden) for of_free, of_hidden in zip(*lines, strict=True))
    return first, second


def _faces(dataset: FaceDataset, rows: np.ndarray) -> Faces:
    return Faces.free(dataset.tensor(rows), torch.from_numpy(dataset.labels[rows]))


def _line(scores: Tensor, same: Tensor) -> tuple[float, float]:
    """Slope and offset of the logarithm of the odds along scores (P, G) of pairs of one person or two (P, G) bool."""
    from sklearn.linear_model import LogisticRegression

    if not same.any() or same.all():
        raise PdsnError(
            "two matchers cannot be fused: the validation photos hold no pair of one person, or none of two; "
            "prepare more photos a person"
        )
    values = scores.flatten().double().numpy()[:, None]
    # Scores of matchers differ by orders of magnitude, and the regression shrinks slopes: it sees them at one scale.
    middle, spread = values.mean(), max(values.std(), 1e-9)
    fitted = LogisticRegression(class_weight="balanced").fit(
        (values - middle) / spread, same.flatten().numpy()
    )
    slope = float(fitted.coef_[0, 0]) / spread
    return slope, float(fitted.intercept_[0]) - slope * float(middle)
