"""The contract of a matcher: how alike two faces are, given a base and what is covered of both.

A matcher keeps no state between calls. Faces are prepared once and compared as often as one likes; whatever is worth
keeping, such as a gallery's embeddings under one feature-discarding mask (FDM) after the other, lies in what was prepared.

A pixel that is covered in one photo cannot be compared, whatever the other shows: what counts for a pair is the union of
what is covered in its two photos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from pdsn.networks.branches import Role
from pdsn.occlusion.layouts import Box, Layout

Signature = tuple[bool, ...]
"""Which regions of a layout count as covered; what shares a signature shares an FDM and a threshold."""
Rows = slice | Sequence[int]
"""Some of N faces: a slice, or row numbers, each as often as one likes."""

MOST_REGIONS = 62
"""Regions that a layout can have: the signatures of many pairs are kept as numbers of so many bits."""


@dataclass(frozen=True)
class Faces:
    """N faces and what is known of them.

    Attributes:
        pixels: (N, 3, H, W) uint8. The maps of one and the same tensor are computed once, see `memory.MapMemory`.
        covered: (N, H, W) bool, the pixels that are covered.
        people: (N,) int64, whom each shows; None where nobody knows.
    """

    pixels: Tensor
    covered: Tensor
    people: Tensor | None = None

    @classmethod
    def free(cls, pixels: Tensor, people: Tensor | None = None) -> Faces:
        """Faces of which nothing is covered."""
        nothing = torch.zeros((1, *pixels.shape[2:]), dtype=torch.bool)
        return cls(pixels, nothing.expand(len(pixels), -1, -1), people)

    def also_under(self, boxes: Sequence[Box]) -> Faces:
        """The same faces, of which some boxes count as covered too."""
        covered = self.covered.clone()
        for box in boxes:
            covered[:, box.top : box.bottom, box.left : box.right] = True
        return Faces(self.pixels, covered, self.people)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: Rows) -> Faces:
        chosen = rows if isinstance(rows, slice) else list(rows)
        people = None if self.people is None else self.people[chosen]
        return Faces(self.pixels[chosen], self.covered[chosen], people)


class Prepared(Protocol):
    """Faces as one matcher compares them."""

    @property
    def signatures(self) -> list[Signature]:
        """The signature of each face by itself."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Rows) -> Prepared:
        """Some of the faces. They score as they do among all: a person's mean remains that of all their photos."""
        ...

    def kept(self) -> dict[str, Tensor]:
        """What has to be stored of probes to compare them later with galleries of which nothing is covered.

        Returns:
            On the CPU; the first dimension of each is N, so that those of several can be put after one another.
        """
        ...


class Matcher(Protocol):
    """Says how alike faces are; keeps no state.

    Attributes:
        regions: name and box of each region, in the order of a `Signature`; empty where none are told apart.
        symmetric: whether two faces score the same when they change sides.
    """

    @property
    def regions(self) -> Mapping[str, Box]:
        """See the class."""
        ...

    @property
    def symmetric(self) -> bool:
        """See the class."""
        ...

    def prepare(self, faces: Faces, role: Role) -> Prepared:
        """Look at faces once, to compare them often."""
        ...

    def restored(self, tensors: Mapping[str, Tensor]) -> Prepared:
        """Probes from what `Prepared.kept` gave.

        Raises:
            KeyError: it gave something else.
        """
        ...

    def compare(self, probes: Prepared, gallery: Prepared) -> Tensor:
        """How alike each probe is to each gallery face: (P, G) float32 on the CPU, higher is more alike.

        Raises:
            ValueError: probes that were `restored` meet a gallery of which something is covered.
        """
        ...

    def pairs(self, a: Prepared, b: Prepared) -> Tensor:
        """How alike N probes are to N gallery faces, row by row: (N,) float32, the diagonal of `compare`.

        Raises:
            ValueError: as `compare`, or they are not equally many.
        """
        ...

    def signatures(self, a: Faces, b: Faces | None = None) -> list[Signature]:
        """The signature of each face of `a` or, with as many of `b`, of each pair of rows."""
        ...

    def joint(self, a: Faces, b: Faces) -> tuple[list[Signature], Tensor]:
        """The signatures of all pairs of A and B faces.

        Returns:
            The signatures that occur, and the place (A, B) int64 of each pair's among them.
        """
        ...


class LayoutMatcher:
    """What matchers share that tell faces apart by the regions of a layout that are covered; see `Matcher`.

    Args:
        layout: the regions; None tells none apart.
        share: a region counts as covered when more than this share of it is.
    """

    def __init__(self, layout: Layout | None, share: float) -> None:
        self.layout = layout
        self.share = share

    @property
    def regions(self) -> Mapping[str, Box]:
        """See `Matcher`; empty without a layout."""
        return {} if self.layout is None else self.layout.regions

    def signatures(self, a: Faces, b: Faces | None = None) -> list[Signature]:
        """See `Matcher`."""
        covered = a.covered if b is None else a.covered | b.covered
        return signatures_of(covered, self.layout, self.share)

    def joint(self, a: Faces, b: Faces) -> tuple[list[Signature], Tensor]:
        """See `Matcher`."""
        return joint_signatures(a.covered, b.covered, self.layout, self.share)


def numbers_of(rows: Rows, count: int) -> list[int]:
    """The numbers of some of so many rows."""
    return list(range(count))[rows] if isinstance(rows, slice) else list(rows)


Kind = TypeVar("Kind")


def known_as(prepared: Prepared, kind: type[Kind]) -> Kind:
    """Faces as a matcher of one kind has prepared them.

    Raises:
        TypeError: a matcher of another kind prepared them.
    """
    if not isinstance(prepared, kind):
        raise TypeError(f"{type(prepared).__name__} was prepared by a matcher of another kind")
    return prepared


def names_of(signature: Signature, regions: Mapping[str, Box]) -> list[str]:
    """Names of the regions that a signature counts as covered."""
    return [name for name, bit in zip(regions, signature, strict=True) if bit]


def boxes_of(signature: Signature, regions: Mapping[str, Box]) -> tuple[Box, ...]:
    """The boxes of the regions that a signature counts as covered."""
    return tuple(regions[name] for name in names_of(signature, regions))


def by_signature(signatures: Sequence[Signature]) -> dict[Signature, list[int]]:
    """The rows of each signature, in the order in which signatures come up."""
    groups: dict[Signature, list[int]] = {}
    for row, signature in enumerate(signatures):
        groups.setdefault(signature, []).append(row)
    return groups


def signatures_of(covered: Tensor, layout: Layout | None, share: float) -> list[Signature]:
    """The signature of each of N faces.

    Args:
        covered: (N, H, W) bool.
        layout: the regions; None tells no faces apart.
        share: a region counts as covered when more than this share of it is.
    """
    if layout is None:
        return [() for _ in covered]
    return [tuple(row) for row in layout.occluded(covered, share).tolist()]


def joint_signatures(
    a: Tensor, b: Tensor, layout: Layout | None, share: float
) -> tuple[list[Signature], Tensor]:
    """The signatures of all pairs of A and B faces, see `Matcher.joint`.

    Of each region |a or b| = |a| + |b| - |a and b|, the last by one matrix product: exact, as they are whole numbers
    that float32 can tell.

    Args:
        a, b: (A, H, W) and (B, H, W) bool, what is covered.
        layout, share: see `signatures_of`.
    """
    boxes = [] if layout is None else list(layout.regions.values())
    if len(boxes) > MOST_REGIONS:
        raise ValueError(f"a layout can have {MOST_REGIONS} regions, this one has {len(boxes)}")
    codes = torch.zeros((len(a), len(b)), dtype=torch.int64)
    for bit, box in enumerate(boxes):
        ours, theirs = (_inside(one, box) for one in (a, b))
        union = ours.sum(1)[:, None] + theirs.sum(1)[None] - ours @ theirs.T
        codes |= (union / box.area > share).long() << bit
    found, places = codes.unique(return_inverse=True)
    bits = range(len(boxes))
    return [tuple(bool(code >> bit & 1) for bit in bits) for code in found.tolist()], places


def _inside(covered: Tensor, box: Box) -> Tensor:
    """The covered pixels (N, H, W) within a box, as (N, area) float32."""
    return covered[:, box.top : box.bottom, box.left : box.right].flatten(1).float()
