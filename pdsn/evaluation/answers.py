"""What a matcher answered, and what the segmentation found, photo by photo and draw by draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Answer:
    """One matcher's answers under one occlusion.

    With D draws of each of P photos there are A = D P answers, draw after draw, each in the order of the photos.

    Attributes:
        occlusion, strategy: names.
        rows: (A,) rows of the probes in the data set.
        draw: (A,) number of the draw, 0 to D - 1.
        ranks: (A,) place of the true person, 1 for the nearest; K + 1, K people, where no face was found.
        photo_ranks: (A,) place of their nearest photo, see `metrics.photo_rank`; G + 1, G photos, likewise.
        found: (A,) row of the nearest gallery photo; -1 where no face was found in the probe.
        cosine: (A,) its score; NaN where no face was found.
        stranger: (A,) the highest score of anybody else, see `metrics.stranger_scores`; NaN likewise.
        thresholds: by false-positive rate asked for, (A,) the score that each answer has to pass; NaN where the
            calibration photos are too few to tell.
        normal: (A, 2) mean and deviation of the impostors behind them: (cosine - mean) / deviation can be compared
            between probes that are covered differently.
        regions: the regions that counted as occluded, for each answer.
        seconds: wall-clock time of the answers; maps that strategies share count for the first.
    """

    occlusion: str
    strategy: str
    rows: np.ndarray
    draw: np.ndarray
    ranks: np.ndarray
    photo_ranks: np.ndarray
    found: np.ndarray
    cosine: np.ndarray
    stranger: np.ndarray
    thresholds: dict[float, np.ndarray]
    normal: np.ndarray
    regions: list[list[str]]
    seconds: float

    @property
    def draws(self) -> int:
        """D, how often each photo was asked about."""
        return int(self.draw.max()) + 1

    def by_draw(self, ranks: str = "ranks") -> np.ndarray:
        """The ranks, or the "photo_ranks", as (D, P)."""
        values: np.ndarray = getattr(self, ranks)
        return values.reshape(self.draws, -1)


@dataclass(frozen=True)
class FoundPixels:
    """How well the covered pixels of each probe were found; NaN where no face was found.

    Attributes:
        rows: (A,) rows of the probes in the data set.
        draw: (A,) number of the draw.
        accuracy: (A,) pixel accuracy, 0 to 1.
        iou: (A,) foreground intersection over union; NaN also where nothing is covered.
        triggered: (A,) whether a region counts as occluded, bool.
        triggered_exact: (A,) whether one would by the exact mask, bool.
    """

    rows: np.ndarray
    draw: np.ndarray
    accuracy: np.ndarray
    iou: np.ndarray
    triggered: np.ndarray
    triggered_exact: np.ndarray

    def record(self, occlusion: str) -> dict[str, object]:
        """Means over the photos that show a face, and their draws; None where there is nothing to average."""
        seen = ~np.isnan(self.accuracy)
        return {
            "occlusion": occlusion,
            "photos": len(np.unique(self.rows[seen])),
            "pixel_accuracy": _mean(self.accuracy[seen]),
            "iou": _mean(self.iou[~np.isnan(self.iou)]),
            "triggered": _mean(self.triggered[seen]),
            "triggered_exact": _mean(self.triggered_exact[seen]),
        }


def join_answers(parts: Sequence[Answer]) -> Answer:
    """The answers to all draws of one occlusion by one matcher as one."""
    names = ("rows", "draw", "ranks", "photo_ranks", "found", "cosine", "stranger", "normal")
    arrays: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return replace(
        parts[0],
        **arrays,
        thresholds={
            fpr: np.concatenate([part.thresholds[fpr] for part in parts]) for fpr in parts[0].thresholds
        },
        regions=[regions for part in parts for regions in part.regions],
        seconds=sum(part.seconds for part in parts),
    )


def join_pixels(parts: Sequence[FoundPixels]) -> FoundPixels:
    """The same of what the segmentation found."""
    names = FoundPixels.__dataclass_fields__
    return FoundPixels(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _mean(values: np.ndarray) -> float | None:
    """The mean of a vector; None of an empty one, which JSON can say and NaN it cannot."""
    return float(values.mean()) if len(values) else None
