"""Two matchers in turn: a quick one finds the most alike people, a dear one compares those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pdsn.matchers.matcher import Faces, Matcher, Prepared, Rows, Signature, known_as
from pdsn.networks.branches import Role
from pdsn.occlusion.layouts import Box

TOP = 20
"""People that the second matcher compares with each probe."""
BELOW = 1e3
"""What faces that are not compared again are below those that are: more than any matcher's scores are apart."""
BLOCK = 256
"""Probes that are compared at a time."""


@dataclass(frozen=True)
class Both:
    """Faces as two matchers compare them; see `matcher.Prepared`. Thresholds go by the first one's signatures.

    Attributes:
        first, second: as either has them.
        people: (N,) int64, whom each shows; None where nobody knows.
    """

    first: Prepared
    second: Prepared
    people: Tensor | None = None

    @property
    def signatures(self) -> list[Signature]:
        """See `Prepared`."""
        return self.first.signatures

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, rows: Rows) -> Both:
        """See `Prepared`."""
        chosen = rows if isinstance(rows, slice) else list(rows)
        people = None if self.people is None else self.people[chosen]
        return Both(self.first[rows], self.second[rows], people)

    def kept(self) -> dict[str, Tensor]:
        """See `Prepared`: what both keep, under names of their own."""
        return {
            f"{name}.{key}": tensor
            for name, part in (("first", self.first), ("second", self.second))
            for key, tensor in part.kept().items()
        }


class TwoMatchers:
    """What matchers share that ask two others, see `matcher.Matcher`.

    Args:
        first: what counts as covered, and which faces share a threshold, is as this one has it.
        second: another one of the same run.
    """

    def __init__(self, first: Matcher, second: Matcher) -> None:
        self.first, self.second = first, second

    @property
    def regions(self) -> Mapping[str, Box]:
        """See `Matcher`."""
        return self.first.regions

    def signatures(self, a: Faces, b: Faces | None = None) -> list[Signature]:
        """See `Matcher`."""
        return self.first.signatures(a, b)

    def joint(self, a: Faces, b: Faces) -> tuple[list[Signature], Tensor]:
        """See `Matcher`."""
        return self.first.joint(a, b)

    def prepare(self, faces: Faces, role: Role) -> Both:
        """See `Matcher`."""
        return Both(self.first.prepare(faces, role), self.second.prepare(faces, role), faces.people)

    def restored(self, tensors: Mapping[str, Tensor]) -> Both:
        """See `Matcher`."""
        parts = {
            name: {
                key.removeprefix(f"{name}."): tensor
                for key, tensor in tensors.items()
                if key.startswith(f"{name}.")
            }
            for name in ("first", "second")
        }
        return Both(self.first.restored(parts["first"]), self.second.restored(parts["second"]))


class Reranked(TwoMatchers):
    """The people that one matcher finds most alike, compared by another; everybody else comes behind them.

    Of each of the first one's best people the photo that is nearest to the probe has the second one's score. All other
    photos keep the first one's order behind these: their scores are their places. So a score depends on the whole
    gallery, and pairs have none: who compares pairs takes the second matcher, see `for_pairs`.

    Args:
        first: chooses.
        second: compares those that were chosen.
        top: how many people are chosen for each probe; photos, where nobody knows whom a gallery shows.
    """

    symmetric = False

    def __init__(self, first: Matcher, second: Matcher, top: int = TOP) -> None:
        super().__init__(first, second)
        self.top = top

    def compare(self, probes: Prepared, gallery: Prepared) -> Tensor:
        """See `Matcher`."""
        ours, theirs = known_as(probes, Both), known_as(gallery, Both)
        parts = [self._compare(ours[row : row + BLOCK], theirs) for row in range(0, len(ours), BLOCK)]
        return torch.cat(parts) if parts else torch.empty((0, len(theirs)))

    def pairs(self, a: Prepared, b: Prepared) -> Tensor:
        """See `Matcher`: those of the second matcher, see the class."""
        return self.second.pairs(known_as(a, Both).second, known_as(b, Both).second)

    def _compare(self, ours: Both, theirs: Both) -> Tensor:
        scores = self.first.compare(ours.first, theirs.first)
        if not scores.numel():
            return scores
        order = scores.argsort(dim=1, descending=True, stable=True)
        places = order.argsort(dim=1)
        result = -BELOW - places.float()
        whose = torch.arange(len(theirs)) if theirs.people is None else theirs.people
        chosen = [(row, column) for row in range(len(ours)) for column in self._nearest(order[row], whose)]
        rows, columns = ([pair[side] for pair in chosen] for side in (0, 1))
        result[rows, columns] = self.second.pairs(ours.second[rows], theirs.second[columns])
        return result

    def _nearest(self, order: Tensor, whose: Tensor) -> list[int]:
        """The nearest photo of each of the nearest people, from the gallery's photos in order."""
        found: dict[int, int] = {}
        for column in order.tolist():
            found.setdefault(int(whose[column]), column)
            if len(found) == self.top:
                break
        return list(found.values())


def for_pairs(matcher: Matcher) -> Matcher:
    """The matcher that compares pairs of photos, where there is no gallery to choose from."""
    return matcher.second if isinstance(matcher, Reranked) else matcher
