"""Whom a stranger could be taken for: the people of a gallery, and what others score against them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from pdsn.calibration.strangers import KeptScores
from pdsn.data.photos import normal_name
from pdsn.matchers.matcher import Matcher, Prepared
from pdsn.metrics import best_per_person

BLOCK = 2**24
"""Pairs of a stranger and a gallery photo that are compared at a time: 64 MB of scores."""
MATCHING = 2
"""Raised whenever strangers count as somebody else in a gallery than before: scores that were kept until then are not taken up."""


def by_name(people: Sequence[str], former: Mapping[str, int]) -> dict[str, int]:
    """The number of each person by name, as `normal_name` has it; of those with one name that of the first.

    Args:
        people: K names.
        former: numbers of people by names that they had before; they count where nobody has that name now.
    """
    numbers: dict[str, int] = {}
    for number, name in enumerate(people):
        numbers.setdefault(normal_name(name), number)
    for name, number in former.items():
        numbers.setdefault(normal_name(name), numbers[normal_name(people[number])])
    return numbers


def as_one(people: Sequence[str]) -> np.ndarray:
    """For each of K people the number (K,) int64 of the first one with the same name, see `normal_name`."""
    numbers: dict[str, int] = {}
    first = [numbers.setdefault(normal_name(name), number) for number, name in enumerate(people)]
    return np.array(first, dtype=np.int64)


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
        former: number of each who had another name before, by that name.
    """

    @property
    def people(self) -> Sequence[str]:
        """See the class."""
        ...

    @property
    def former(self) -> Mapping[str, int]:
        """See the class."""
        ...

    def nearest(self, probes: Prepared, own: np.ndarray) -> Nearest:
        """Compare probes with everybody. People whose names differ in spelling alone are one, see `as_one`.

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
        self.former: Mapping[str, int] = {}
        self.labels = labels
        self._kept = KeptScores() if kept is None else kept
        self._key = (MATCHING, *key)
        self._one = as_one(self.people)

    def nearest(self, probes: Prepared, own: np.ndarray) -> Nearest:
        """See `Rivals`; block by block."""
        own = np.where(own < 0, own, self._one[own])
        step = max(BLOCK // max(len(self.gallery), 1), 1)
        starts = range(0, len(probes), step)
        parts = [self._nearest(probes[first : first + step], own[first : first + step]) for first in starts]
        if not parts:
            return Nearest(np.empty(0, np.float32), np.empty(0, np.int64), np.empty(0, np.float32))
        return Nearest(*(np.concatenate(one) for one in zip(*parts, strict=True)))

    def _nearest(self, probes: Prepared, own: np.ndarray) -> Nearest:
        scores = self.matcher.compare(probes, self.gallery)
        best = best_per_person(scores, self.labels, len(self.people))
        same = torch.from_numpy(own[:, None] == self._one)
        mine = best.masked_fill(~same, -torch.inf).amax(1)
        other, whom = best.masked_fill(same, -torch.inf).max(1)
        return Nearest(other.numpy(), whom.numpy(), mine.numpy())

    def highest(self, name: Hashable, probes: Callable[[], Prepared], own: np.ndarray) -> np.ndarray:
        """See `Rivals`; kept on disk too, where there is a folder."""
        key = (*self._key, *name) if isinstance(name, tuple) else (*self._key, name)
        return self._kept.get(key, lambda: self.nearest(probes(), own).other)
