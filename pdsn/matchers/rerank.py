"""Two matchers in turn: a quick one finds the most alike, a dear one compares those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pdsn.matchers.matcher import Faces, Matcher, Prepared, Rows, Signature
from pdsn.networks.branches import Role
from pdsn.occlusion.layouts import Box

TOP = 20
"""Gallery faces that the second matcher compares with each probe."""
BELOW = 1e3
"""What faces that are not compared again are below those that are: more than any matcher's scores are apart."""


@dataclass(frozen=True)
class Both:
    """Faces as two matchers compare them; see `matcher.Prepared`. Thresholds go by the first one's signatures."""

    first: Prepared
    second: Prepared

    @property
    def signatures(self) -> list[Signature]:
        """See `Prepared`."""
        return self.first.signatures

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, rows: Rows) -> Both:
        """See `Prepared`."""
        return Both(self.first[rows], self.second[rows])

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
        return Both(self.first.prepare(faces, role), self.second.prepare(faces, role))

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
    """The gallery faces that one matcher finds most alike, compared by another; the others come behind them.

    The score of those is the second matcher's. The rest keep the first one's order: their scores are their places.
    Pairs are compared by the second one alone: there is no gallery to choose from.

    Args:
        first: chooses.
        second: compares those that were chosen.
        top: how many are chosen for each probe.
    """

    symmetric = False

    def __init__(self, first: Matcher, second: Matcher, top: int = TOP) -> None:
        super().__init__(first, second)
        self.top = top

    def compare(self, probes: Prepared, gallery: Prepared) -> Tensor:
        """See `Matcher`."""
        ours, theirs = both(probes), both(gallery)
        scores = self.first.compare(ours.first, theirs.first)
        if not scores.numel():
            return scores
        chosen = scores.topk(min(self.top, scores.shape[1]), 1).indices
        rows = torch.arange(len(ours)).repeat_interleave(chosen.shape[1])
        again = self.second.pairs(ours.second[rows.tolist()], theirs.second[chosen.flatten().tolist()])
        places = scores.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        return (-BELOW - places).scatter(1, chosen, again.view_as(chosen))

    def pairs(self, a: Prepared, b: Prepared) -> Tensor:
        """See `Matcher`."""
        return self.second.pairs(both(a).second, both(b).second)


def both(prepared: Prepared) -> Both:
    """Faces that two matchers know.

    Raises:
        TypeError: a matcher of another kind prepared them.
    """
    if not isinstance(prepared, Both):
        raise TypeError(f"{type(prepared).__name__} was prepared by a matcher of another kind")
    return prepared
