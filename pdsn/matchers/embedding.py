"""What matchers share that compare faces by the cosine of their embeddings.

A matcher of this kind says what it sees of a face (`look`) and what embedding follows under a signature (`embed`). All
else is here: probes of one signature are embedded together, and a gallery's embeddings under it are kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.matchers.matcher import (
    Faces,
    LayoutMatcher,
    Prepared,
    Rows,
    Signature,
    by_signature,
    joint_signatures,
    known_as,
    numbers_of,
    signatures_of,
)
from pdsn.networks.branches import Role
from pdsn.occlusion.layouts import OCCLUDED_SHARE, Layout

EMBEDDINGS_KEPT = 2**29
"""Bytes of gallery embeddings, under one FDM after the other, that stay in memory: 2959 photos take 6 MB each."""
BLOCK = 2**22
"""Pairs of faces, both covered, that are compared at a time."""


class EmbeddingMatcher(LayoutMatcher, ABC):
    """Compares faces by the cosine of their embeddings; see `matcher.Matcher`.

    Args:
        layout: regions by which faces are told apart by what is covered; None tells none apart.
        share: a region counts as covered when more than this share of it is.
        compare: a probe's score with a gallery face is, by "nearest", the cosine of the two; by "mean", the cosine to
            the mean of the unit embeddings of that face's person; by "both", the mean of these. Faces of a gallery whose
            people nobody knows count as one person each.
    """

    masked = True
    """Whether embeddings depend on the signature: else those of a gallery are the same under all of them."""
    alone = False
    """Whether a face's embedding depends on what is covered of itself alone, not on what it is compared with."""
    width: int | None = None
    """Numbers that a face is kept by, where it is not as many under every signature: fewer end in zeros."""

    def __init__(
        self, layout: Layout | None, share: float = OCCLUDED_SHARE, compare: str = "nearest"
    ) -> None:
        super().__init__(layout, share)
        self.comparison = compare

    @abstractmethod
    def look(self, pixels: Tensor, role: Role) -> list[Tensor]:
        """What is seen of faces (N, 3, H, W) uint8: tensors whose first dimension is N."""

    @abstractmethod
    def embed(self, views: list[Tensor], signature: Signature, role: Role) -> Tensor:
        """Embeddings (N, E) of what was seen of N faces, as they are compared under a signature: of length 1, for cosines."""

    @property
    def symmetric(self) -> bool:
        """See `Matcher`: a mean is of the gallery's photos alone."""
        return self.comparison == "nearest"

    def prepare(self, faces: Faces, role: Role) -> Embedded:
        """See `Matcher`."""
        signatures = self.signatures(faces)
        seen = _Seen(self, self.look(faces.pixels, role), faces.people, role, signatures)
        return Embedded(seen, signatures, faces.covered, list(range(len(faces))))

    def restored(self, tensors: Mapping[str, Tensor]) -> Embedded:
        """See `Matcher`."""
        signatures = [tuple(row) for row in tensors["signatures"].tolist()]
        stored = _Stored(tensors["embeddings"])
        return Embedded(stored, signatures, None, list(range(len(signatures))))

    def compare(self, probes: Prepared, gallery: Prepared) -> Tensor:
        """See `Matcher`: cosines, or means of two, -1 to 1."""
        ours, theirs = known_as(probes, Embedded), known_as(gallery, Embedded)
        result = torch.empty((len(ours), len(theirs)))
        if self.alone:
            return _cosines(ours.by_themselves(), theirs.against_alone()) if len(ours) else result
        if not self.masked or theirs.is_free:
            for signature, rows in by_signature(ours.signatures).items():
                result[rows] = _cosines(ours.under(signature, rows), theirs.against(signature))
            return result
        step = max(BLOCK // max(len(theirs), 1), 1)
        for first in range(0, len(ours), step):
            part = slice(first, first + step)
            result[part] = self._compare_jointly(ours[part], theirs)
        return result

    def pairs(self, a: Prepared, b: Prepared) -> Tensor:
        """See `Matcher`."""
        ours, theirs = known_as(a, Embedded), known_as(b, Embedded)
        if len(ours) != len(theirs):
            raise ValueError(f"{len(ours)} faces and {len(theirs)} are no pairs")
        if self.alone and len(ours):
            others = theirs.against_alone()
            return (_fitting(ours.by_themselves(), others) * others).sum(1).cpu()
        signatures = ours.signatures
        if self.masked and not theirs.is_free:
            signatures = signatures_of(ours.coverage() | theirs.coverage(), self.layout, self.share)
        result = torch.empty(len(ours))
        for signature, rows in by_signature(signatures).items():
            others = theirs.against(signature, rows)
            result[rows] = (_fitting(ours.under(signature, rows), others) * others).sum(1).cpu()
        return result

    def _compare_jointly(self, ours: Embedded, theirs: Embedded) -> Tensor:
        """Cosines (P, G) of faces of both of which something may be covered."""
        result = torch.empty((len(ours), len(theirs)))
        signatures, places = joint_signatures(ours.coverage(), theirs.coverage(), self.layout, self.share)
        for place, signature in enumerate(signatures):
            alike = places == place
            rows = alike.any(1).nonzero()[:, 0].tolist()
            scores = _cosines(ours.under(signature, rows), theirs.against(signature))
            result[rows] = torch.where(alike[rows], scores, result[rows])
        return result

    def compared(self, photos: Tensor, people: Tensor | None) -> Tensor:
        """What (G, E) a probe is multiplied with, of a gallery's unit embeddings (G, E): linear, as cosines are."""
        if self.comparison == "nearest" or people is None:
            return photos
        people = people.to(photos.device)
        sums = photos.new_zeros((int(people.max()) + 1, photos.shape[1])).index_add_(0, people, photos)
        means = F.normalize(sums)[people]
        return means if self.comparison == "mean" else (photos + means) / 2


class Embedded:
    """Faces as an `EmbeddingMatcher` compares them; see `matcher.Prepared`.

    Args:
        known: what their embeddings come from; rows of the same faces share it, and what it keeps.
        signatures: of each face.
        covered: (N, H, W) bool, what is covered of each; None where nobody knows any more.
        rows: (N,) where each stands in `known`.
    """

    def __init__(
        self, known: _Seen | _Stored, signatures: list[Signature], covered: Tensor | None, rows: list[int]
    ) -> None:
        self.known = known
        self.signatures = signatures
        self.rows = rows
        self._covered = covered
        self.is_free = covered is not None and not bool(covered.any())
        """Whether nothing is covered of any of them."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Rows) -> Embedded:
        """See `Prepared`."""
        chosen = numbers_of(rows, len(self))
        return Embedded(
            self.known,
            [self.signatures[row] for row in chosen],
            None if self._covered is None else self._covered[chosen],
            [self.rows[row] for row in chosen],
        )

    def coverage(self) -> Tensor:
        """What is covered (N, H, W) bool.

        Raises:
            ValueError: nobody knows any more.
        """
        if self._covered is None:
            raise ValueError(
                "restored faces can be compared with galleries of which nothing is covered alone"
            )
        return self._covered

    @property
    def people(self) -> Tensor | None:
        """Whom (N,) int64 the faces show; None where nobody knows."""
        known = None if isinstance(self.known, _Stored) else self.known.people
        return None if known is None else known[self.rows]

    def under(self, signature: Signature, rows: Sequence[int]) -> Tensor:
        """Embeddings (n, E) of some of the faces under a signature."""
        return self.known.under(signature, [self.rows[row] for row in rows])

    def by_themselves(self) -> Tensor:
        """Embeddings (N, E), each face's under its own signature."""
        parts = [
            (rows, self.under(signature, rows)) for signature, rows in by_signature(self.signatures).items()
        ]
        width = self.known.width or max((part.shape[1] for _, part in parts), default=0)
        device = parts[0][1].device if parts else None
        embeddings = torch.zeros((len(self), width), device=device)
        for rows, part in parts:
            embeddings[rows, : part.shape[1]] = part
        return embeddings

    def against_alone(self) -> Tensor:
        """What (N, E) a probe is multiplied with, where nothing counts but what each face is covered by itself."""
        if isinstance(self.known, _Stored):
            raise ValueError("restored faces are probes: prepare a gallery anew")
        return self.known.against_alone(self.rows)

    def against(self, signature: Signature, rows: Sequence[int] | None = None) -> Tensor:
        """What (n, E) a probe under a signature is multiplied with, for some of the faces or all."""
        if isinstance(self.known, _Stored):
            raise ValueError("restored faces are probes: prepare a gallery anew")
        wanted = self.rows if rows is None else [self.rows[row] for row in rows]
        return self.known.against(signature, wanted)

    def kept(self) -> dict[str, Tensor]:
        """See `Prepared`: the signatures (N, R) bool and the embeddings (N, E) under them."""
        signatures = torch.tensor(self.signatures, dtype=torch.bool)
        return {"signatures": signatures, "embeddings": self.by_themselves().cpu()}


class _Seen:
    """Faces that were looked at, and their embeddings as a gallery under the last signatures."""

    def __init__(
        self,
        matcher: EmbeddingMatcher,
        views: list[Tensor],
        people: Tensor | None,
        role: Role,
        signatures: list[Signature],
    ) -> None:
        self.matcher = matcher
        self.signatures = signatures
        self.views = list(views)
        self.people = people
        self.role = role
        self.width = matcher.width
        self._kept: OrderedDict[Signature, Tensor] = OrderedDict()
        self._alone: Tensor | None = None

    def under(self, signature: Signature, rows: list[int]) -> Tensor:
        return self.matcher.embed([view[rows] for view in self.views], signature, self.role)

    def against(self, signature: Signature, rows: list[int]) -> Tensor:
        key = signature if self.matcher.masked else ()
        alone = self.matcher.comparison == "nearest" or self.people is None
        if key not in self._kept and alone and 2 * len(rows) < len(self.views[0]):
            return self.under(signature, rows)  # a few faces need not all the others
        whole = self._whole(key, signature)
        return whole if rows == list(range(len(whole))) else whole[rows]

    def against_alone(self, rows: list[int]) -> Tensor:
        if self._alone is None:
            faces = Embedded(self, self.signatures, None, list(range(len(self.signatures))))
            self._alone = self.matcher.compared(faces.by_themselves(), self.people)
        return self._alone if rows == list(range(len(self._alone))) else self._alone[rows]

    def _whole(self, key: Signature, signature: Signature) -> Tensor:
        if key not in self._kept:
            embeddings = self.matcher.embed(self.views, signature, self.role)
            self._kept[key] = self.matcher.compared(embeddings, self.people)
            if len(self._kept) > max(EMBEDDINGS_KEPT // self._kept[key].nbytes, 1):
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


class _Stored:
    """Probes of which their embeddings alone are known, each under its own signature."""

    def __init__(self, embeddings: Tensor) -> None:
        self.embeddings = embeddings
        self.width = embeddings.shape[1]

    def under(self, signature: Signature, rows: list[int]) -> Tensor:
        del signature  # the gallery is free: it is each probe's own
        return self.embeddings[rows]


def flip_sum(views: Iterable[Tensor]) -> Tensor:
    """The sum (N, E) of the embeddings of several views of N faces, such as a photo and its mirror image."""
    total: Tensor | int = 0
    for part in views:
        total = total + part
    assert isinstance(total, Tensor), "there is no view"
    return total


def _fitting(known: Tensor, others: Tensor) -> Tensor:
    """Probes without the zeros that some of them end in, see `EmbeddingMatcher.width`; where the others are."""
    return known[:, : others.shape[1]].contiguous().to(others.device)


def _cosines(known: Tensor, others: Tensor) -> Tensor:
    return (_fitting(known, others) @ others.T).cpu()
