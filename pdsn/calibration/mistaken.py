"""Do thresholds fit the photos of those who are enrolled? Each is asked about without its own person: few may pass for another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_PHOTOS = 500
"""Enrolled photos that are asked about; of more, as many spread evenly."""
TIMES = 3
"""So many times the rate that was asked for may pass before it is no accident."""
FEW_PEOPLE = 3
"""People of whom photos pass: of fewer somebody may be enrolled under two names."""


@dataclass(frozen=True)
class Mistaken:
    """Photos of enrolled people that pass for somebody else who is enrolled.

    Attributes:
        photos: how many were asked about.
        passing: how many of them pass.
        people: whose these are, how many.
        fpr: the share of strangers that was to pass.
    """

    photos: int
    passing: int
    people: int
    fpr: float

    @classmethod
    def of(cls, scores: np.ndarray, people: np.ndarray, threshold: float, fpr: float) -> Mistaken:
        """Count.

        Args:
            scores: (n,) the highest score of each photo to somebody else.
            people: (n,) whose photo it is.
            threshold: what has to be passed, where nothing is covered.
            fpr: the share of strangers that passes it.
        """
        passing = scores > threshold
        return cls(len(scores), int(passing.sum()), len(np.unique(people[passing])), fpr)

    @property
    def too_many(self) -> bool:
        """Whether so many pass that strangers on such photos will pass more often than was asked for, too."""
        return self.people >= FEW_PEOPLE and self.passing > TIMES * self.fpr * self.photos
