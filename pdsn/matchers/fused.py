"""Two matchers at once: the mean of their scores, each turned into the odds that both photos show one person."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pdsn.matchers.matcher import Matcher, Prepared, known_as
from pdsn.matchers.rerank import Both, TwoMatchers


@dataclass(frozen=True)
class Odds:
    """From a matcher's scores to the logarithm of the odds that both photos show one person.

    Attributes:
        slope, offset: of pairs of which nothing is covered.
        covered_slope, covered_offset: of the others: what is covered lowers the scores of one person.
    """

    slope: float
    offset: float
    covered_slope: float
    covered_offset: float

    def of(self, scores: Tensor, covered: Tensor) -> Tensor:
        """The logarithms of the odds of scores, of pairs of which something is `covered`, bool of the same shape."""
        return torch.where(
            covered,
            self.covered_slope * scores + self.covered_offset,
            self.slope * scores + self.offset,
        )


class Fused(TwoMatchers):
    """The mean of the calibrated scores of two matchers; signatures and thresholds go by the first one's.

    Args:
        first, second: the matchers, of one run.
        odds: of each.
    """

    def __init__(self, first: Matcher, second: Matcher, odds: tuple[Odds, Odds]) -> None:
        super().__init__(first, second)
        self.odds = odds

    @property
    def symmetric(self) -> bool:
        """See `Matcher`."""
        return self.first.symmetric and self.second.symmetric

    def compare(self, probes: Prepared, gallery: Prepared) -> Tensor:
        """See `Matcher`: logarithms of odds."""
        ours, theirs = known_as(probes, Both), known_as(gallery, Both)
        covered = _covered(ours)[:, None] | _covered(theirs)[None]
        return self._mean(
            self.first.compare(ours.first, theirs.first),
            self.second.compare(ours.second, theirs.second),
            covered,
        )

    def pairs(self, a: Prepared, b: Prepared) -> Tensor:
        """See `Matcher`: logarithms of odds."""
        ours, theirs = known_as(a, Both), known_as(b, Both)
        first, second = (
            self.first.pairs(ours.first, theirs.first),
            self.second.pairs(ours.second, theirs.second),
        )
        return self._mean(first, second, _covered(ours) | _covered(theirs))

    def _mean(self, first: Tensor, second: Tensor, covered: Tensor) -> Tensor:
        return (self.odds[0].of(first, covered) + self.odds[1].of(second, covered)) / 2


def _covered(prepared: Prepared) -> Tensor:
    return torch.tensor([any(signature) for signature in prepared.signatures], dtype=torch.bool)
