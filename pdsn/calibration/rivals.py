"""Whom a stranger could be taken for: the people of a gallery, and what others score against them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from pdsn.calibration.strangers import KeptScores
from pdsn.matchers.matcher import Matcher, Prepared
from pdsn.metrics import best_per_person

BLOCK = 2**24
"""Pairs of a stranger and a gallery photo that are compared at a time: 64 MB of scores."""


class Nearest(NamedTuple):
    """What P probes score in a gallery.

    Attributes:
        other: (P,) float32, the highest score to somebody else than the probe's own person; -inf where there is nobody.
        whom: (P,) int64, number of that person.
        own: (P,) float32, the highest score to the own person; -inf where that is not in the gallery.
    """

    other: np.ndarray
    whom: np.ndarray
    own: np.ndarray


class Rivals(Protocol):
    """The people of a gallery, as far as strangers are scored against them.

    Attributes:
        people: their K names.
    """

    @property
    def people(self) -> Sequence[str]:
        """See the class."""
        ...

    def nearest(self, probes: Prepared, own: np.ndarray) -> Nearest:
        """Compare probes with everybody.

        Args:
            probes: P of them.
            own: (P,) int64, number of each one's own person; -1 for somebody who is not in the gallery.
        """
        ...

    def highest(self, name: Hashable, probes: Callable[[], Prepared], own: np.ndarray) -> np.ndarray:
        """`Nearest.other` (P,) of some strangers, kept under a name: the probes are asked for when they are needed.

        Args:
            name: the same for the same strangers, seen in the same way.
            probes: gives them.
            own: see `nearest`.
        """
        ...


class GalleryRivals:
    """The people of a gallery that a matcher has prepared; see `Rivals`.

    Args:
        matcher: whose scores count.
        gallery: the G photos as it compares them; nothing of them is covered.
        people: K names.
        labels: (G,) int64, whose photo each gallery photo is.
        kept: where scores are kept.
        key: what they depend on besides the name of each.
    """

    def __init__(
        self,
        matcher: Matcher,
        gallery: Prepared,
        people: Sequence[str],
        labels: Tensor,
        kept: KeptScores | None = None,
        key: Sequence[str] = (),
    ) -> None:
        self.matcher = matcher
        self.gallery = gallery
        self.people = list(people)
        self.labels = labels
        self._kept = KeptScores() if kept is None else kept
        self._key = tuple(key)

    def nearest(self, probes: Prepared, own: np.ndarray) -> Nearest:
        """See `Rivals`; block by block."""
        step = max(BLOCK // max(len(self.gallery), 1), 1)
        starts = range(0, len(probes), step)
        parts = [self._nearest(probes[first : first + step], own[first : first + step]) for first in starts]
        if not parts:
            return Nearest(np.empty(0, np.float32), np.empty(0, np.int64), np.empty(0, np.float32))
        return Nearest(*(np.concatenate(one) for one in zip(*parts, strict=True)))

    def _nearest(self, probes: Prepared, own: np.ndarray) -> Nearest:
        scores = self.matcher.compare(probes, self.gallery)
        best = best_per_person(scores, self.labels, len(self.people))
        known = np.flatnonzero(own >= 0)
        mine = np.full(len(own), -np.inf, np.float32)
        mine[known] = best[known, own[known]].numpy()
        best[known, own[known]] = -torch.inf
        other, whom = best.max(1)
        return Nearest(other.numpy(), whom.numpy(), mine)

    def highest(self, name: Hashable, probes: Callable[[], Prepared], own: np.ndarray) -> np.ndarray:
        """See `Rivals`; kept on disk too, where there is a folder."""
        key = (*self._key, *name) if isinstance(name, tuple) else (*self._key, name)
        return self._kept.get(key, lambda: self.nearest(probes(), own).other)
