"""Who is this? The interface of every system that can be asked, and PDSN's answer."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.bases.encoder import Encoder
from pdsn.masks.dictionary import MaskDictionary
from pdsn.occlusion.layouts import OCCLUDED_SHARE, Box, Layout, mirrored

EMBEDDINGS_KEPT = 2**29
"""Bytes of gallery embeddings, under one FDM after the other, that stay in memory: 2959 photos take 6 MB each."""


Signature = tuple[bool, ...]
"""Which regions of a layout count as covered; what shares a signature shares an FDM and a threshold."""


class Recogniser(Protocol):
    """Any system that can be asked who somebody is.

    Attributes:
        regions: name and box of each region of the layout, in the order of a `Signature`.
    """

    @property
    def regions(self) -> Mapping[str, Box]:
        """See the class."""
        ...

    def enrol(self, faces: Tensor, people: Tensor) -> None:
        """Take a gallery: faces (G, 3, H, W) uint8 and the person (G,) int64 of each."""
        ...

    def scores(self, faces: Tensor, covered: Tensor) -> Tensor:
        """Similarity (P, G) of probes to the gallery, higher is nearer.

        Args:
            faces: (P, 3, H, W) uint8.
            covered: (P, H, W) bool, the pixels of each probe that are occluded.
        """
        ...

    def signatures(self, covered: Tensor) -> list[Signature]:
        """The signature of each of P probes with covered pixels (P, H, W) bool."""
        ...

    def embed(self, faces: Tensor, rows: Sequence[int], signature: Signature) -> Tensor:
        """Embeddings (N, E), of unit length, of N rows of faces (M, 3, H, W) uint8 as they are compared under a signature.

        Asked for other rows of the same tensor next, a recogniser need not look at the faces again.
        """
        ...

    def compare(self, embeddings: Tensor, signature: Signature) -> Tensor:
        """Similarity (N, G) of embeddings (N, E) under one signature to the gallery; N may be 0."""
        ...


def names_of(signature: Signature, regions: Mapping[str, Box]) -> list[str]:
    """Names of the regions that a signature counts as covered."""
    return [name for name, bit in zip(regions, signature, strict=True) if bit]


def by_signature(signatures: Sequence[Signature]) -> dict[Signature, list[int]]:
    """The rows of each signature, in the order in which signatures come up."""
    groups: dict[Signature, list[int]] = {}
    for row, signature in enumerate(signatures):
        groups.setdefault(signature, []).append(row)
    return groups


class MapMemory:
    """Maps of faces and, for the flip-sum, of their mirror images; those of the last faces are kept.

    The recognisers of one table share it: the trunk runs once for all strategies. The maps of faces that are
    needed again and again, with others in between, can be kept (`keep`), as long as somebody has the faces.

    Args:
        encoder: the base.
        mirror: whether mirror images count too.
    """

    def __init__(self, encoder: Encoder, *, mirror: bool) -> None:
        self.encoder = encoder
        self.mirror = mirror
        self._faces: Tensor | None = None
        self._views: list[Tensor] = []
        self._kept: list[tuple[weakref.ref[Tensor], list[Tensor]]] = []

    def keep(
        self,
        faces: Tensor,
        views: list[Tensor] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[Tensor]:
        """Keep the maps of these very faces (the tensor itself) until nobody else has it any more.

        Args:
            faces: (N, 3, H, W) uint8.
            views: their maps as `views` returned them before, if they are known.
            on_progress: told the faces done and in all.

        Returns:
            The maps, see `views`.
        """
        made = (
            self._look(faces, on_progress)
            if views is None
            else [view.to(self.encoder.device) for view in views]
        )
        self._kept.append((weakref.ref(faces, self._forget), made))
        return made

    def _forget(self, gone: weakref.ref[Tensor]) -> None:
        self._kept = [one for one in self._kept if one[0] is not gone]

    def views(self, faces: Tensor) -> list[Tensor]:
        """Maps (N, C, h, w) of the faces and, with `mirror`, those of their mirror images."""
        for kept, views in self._kept:
            if kept() is faces:
                return views
        if self._faces is not faces:
            self._views = self._look(faces)
            self._faces = faces
        return self._views

    def _look(self, faces: Tensor, on_progress: Callable[[int, int], None] | None = None) -> list[Tensor]:
        sides = 2 if self.mirror else 1
        done = 0

        def count(more: int) -> None:
            nonlocal done
            done += more
            if on_progress is not None:
                on_progress(done // sides, len(faces))

        views = [self.encoder.maps(faces, count)]
        if self.mirror:
            views.append(self.encoder.maps(faces.flip(3), count))
        return views


class PDSN:
    """Nearest neighbour by cosine under a feature-discarding mask (Johnston & Ngxande, 3.5 and 4.3).

    The FDM of a probe multiplies its own map and every gallery map before the head. Probes with the
    same occluded regions share one FDM, and the gallery's embeddings under it.

    Args:
        memory: the base and its maps.
        dictionary: the masks; None for no FDM.
        layout: regions by which covered faces are told apart where there is no dictionary: without an FDM, too, faces
            covered alike share a threshold. None tells none apart.
        share: a region counts as occluded when more than this share of it is covered.
        compare: a probe's score with a gallery photo is, by "nearest", the cosine of the two; by "mean", the
            cosine to the mean of the unit embeddings of that photo's person; by "both", the mean of these.
        unmasked: a face's embedding is that under the FDM beside the one without, so weighted that the cosine of
            two faces is (1 - unmasked) times the one under the FDM and `unmasked` times the other.
    """

    def __init__(
        self,
        memory: MapMemory,
        dictionary: MaskDictionary | None,
        share: float = OCCLUDED_SHARE,
        compare: str = "nearest",
        unmasked: float = 0.0,
        layout: Layout | None = None,
    ) -> None:
        self.memory = memory
        self.dictionary = dictionary
        self.layout = layout if dictionary is None else dictionary.layout
        self.share = share
        self.comparison = compare
        self.unmasked = unmasked
        self._mirrored = [] if dictionary is None else mirrored(dictionary.layout)
        self._gallery: list[Tensor] = []
        self._people = torch.empty(0, dtype=torch.int64)
        self._embeddings: OrderedDict[Signature, Tensor] = OrderedDict()

    def enrol(self, faces: Tensor, people: Tensor) -> None:
        """See `Recogniser`."""
        self._people = people
        self._gallery = list(self.memory.views(faces))
        self._embeddings.clear()

    @property
    def regions(self) -> Mapping[str, Box]:
        """See `Recogniser`; empty without a layout."""
        return {} if self.layout is None else self.layout.regions

    def signatures(self, covered: Tensor) -> list[Signature]:
        """See `Recogniser`."""
        if self.layout is None:
            return [() for _ in covered]
        return [tuple(row) for row in self.layout.occluded(covered, self.share).tolist()]

    def scores(self, faces: Tensor, covered: Tensor) -> Tensor:
        """See `Recogniser`: cosines, or means of two, -1 to 1, on the CPU."""
        views = self.memory.views(faces)
        result = torch.empty((len(faces), len(self._gallery[0])))
        for signature, rows in by_signature(self.signatures(covered)).items():
            result[rows] = self.compare(self._embed([view[rows] for view in views], signature), signature)
        return result

    def embed(self, faces: Tensor, rows: Sequence[int], signature: Signature) -> Tensor:
        """See `Recogniser`; on the CPU."""
        chosen = list(rows)
        return self._embed([view[chosen] for view in self.memory.views(faces)], signature).cpu()

    def compare(self, embeddings: Tensor, signature: Signature) -> Tensor:
        """See `Recogniser`; on the CPU."""
        gallery = self._gallery_embeddings(signature)
        return (embeddings.to(gallery.device) @ gallery.T).cpu()

    def _gallery_embeddings(self, signature: Signature) -> Tensor:
        if self.dictionary is None:
            signature = ()  # without masks the gallery looks the same under all of them
        if signature not in self._embeddings:
            self._embeddings[signature] = self._compared(self._embed(self._gallery, signature))
            each = self._embeddings[signature].nbytes
            if len(self._embeddings) > max(EMBEDDINGS_KEPT // each, 1):
                self._embeddings.popitem(last=False)
        self._embeddings.move_to_end(signature)
        return self._embeddings[signature]

    def _compared(self, photos: Tensor) -> Tensor:
        """What (G, E) a probe is multiplied with, of the gallery's unit embeddings (G, E): linear, as cosines are."""
        if self.comparison == "nearest":
            return photos
        people = self._people.to(photos.device)
        sums = photos.new_zeros((int(people.max()) + 1, photos.shape[1])).index_add_(0, people, photos)
        means = F.normalize(sums)[people]
        return means if self.comparison == "mean" else (photos + means) / 2

    def _embed(self, views: list[Tensor], signature: Signature) -> Tensor:
        """Unit embeddings (N, E) of faces compared under the FDM of a signature, (N, 2E) with those without it."""
        if not self.unmasked or self.dictionary is None or not any(signature):
            return self._under(views, signature)
        both = self._under(views, signature), self._under(views, (False,) * len(signature))
        weights = (1 - self.unmasked) ** 0.5, self.unmasked**0.5
        return torch.cat([weight * part for weight, part in zip(weights, both, strict=True)], 1)

    def _under(self, views: list[Tensor], signature: Signature) -> Tensor:
        """Unit embeddings (N, E) under the FDM of a signature, summed over the views."""
        total: Tensor | int = 0
        for view, maps in enumerate(views):
            total = total + self.memory.encoder.embed(maps, self._fdm(signature, flipped=view == 1))
        assert isinstance(total, Tensor)
        return F.normalize(total)

    def _fdm(self, signature: Signature, *, flipped: bool) -> Tensor | None:
        if self.dictionary is None or not any(signature):
            return None
        chosen = torch.zeros(len(signature), dtype=torch.bool)
        for region, bit in enumerate(signature):
            if bit:
                chosen[self._mirrored[region] if flipped else region] = True
        return self.dictionary.combine(chosen).to(self.memory.encoder.device)
