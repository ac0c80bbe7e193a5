"""Who is this? The interface of every system that can be asked, and PDSN's answer."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.masks.dictionary import MaskDictionary
from pdsn.models.encoder import Encoder
from pdsn.occlusion.regions import OCCLUDED_SHARE, mirrored

EMBEDDINGS_KEPT = 2**29
"""Bytes of gallery embeddings, under one FDM after the other, that stay in memory: 2959 photos take 6 MB each."""


Signature = tuple[bool, ...]
"""Which of a strategy's regions are occluded; what shares a signature shares an FDM."""


class Recogniser(Protocol):
    """Any system that can be asked who somebody is."""

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

    def region_names(self, covered: Tensor) -> list[list[str]]:
        """For each of (P, H, W) covered probes, the parts of the face that it is compared without.

        Probes with equal answers are compared alike: they share a threshold.
        """
        ...


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
    ) -> None:
        self.memory = memory
        self.dictionary = dictionary
        self.share = share
        self.compare = compare
        self.unmasked = unmasked
        self._mirrored = [] if dictionary is None else mirrored(dictionary.strategy)
        self._gallery: list[Tensor] = []
        self._people = torch.empty(0, dtype=torch.int64)
        self._embeddings: OrderedDict[Signature, Tensor] = OrderedDict()

    def enrol(self, faces: Tensor, people: Tensor) -> None:
        """See `Recogniser`."""
        self._people = people
        self._gallery = list(self.memory.views(faces))
        self._embeddings.clear()

    def regions(self, covered: Tensor) -> Tensor:
        """(P, R) bool: the regions of each probe that count as occluded; R = 0 without a dictionary."""
        if self.dictionary is None:
            return torch.zeros((len(covered), 0), dtype=torch.bool)
        return self.dictionary.strategy.occluded(covered, self.share)

    def region_names(self, covered: Tensor) -> list[list[str]]:
        """Names of the regions of each probe that count as occluded."""
        if self.dictionary is None:
            return [[] for _ in covered]
        names = self.dictionary.strategy.regions
        return [
            [name for name, bit in zip(names, row, strict=True) if bit]
            for row in self.regions(covered).tolist()
        ]

    def scores(self, faces: Tensor, covered: Tensor) -> Tensor:
        """See `Recogniser`: cosines, or means of two, -1 to 1, on the CPU."""
        views = self.memory.views(faces)
        regions = self.regions(covered)
        result = torch.empty((len(faces), len(self._gallery[0])))
        groups: dict[Signature, list[int]] = {}
        for row, bits in enumerate(regions.tolist()):
            groups.setdefault(tuple(bits), []).append(row)
        for signature, rows in groups.items():
            probes = self._embed([view[rows] for view in views], signature)
            result[rows] = (probes @ self._gallery_embeddings(signature).T).cpu()
        return result

    def _gallery_embeddings(self, signature: Signature) -> Tensor:
        if signature not in self._embeddings:
            self._embeddings[signature] = self._compared(self._embed(self._gallery, signature))
            each = self._embeddings[signature].nbytes
            if len(self._embeddings) > max(EMBEDDINGS_KEPT // each, 1):
                self._embeddings.popitem(last=False)
        self._embeddings.move_to_end(signature)
        return self._embeddings[signature]

    def _compared(self, photos: Tensor) -> Tensor:
        """What (G, E) a probe is multiplied with, of the gallery's unit embeddings (G, E): linear, as cosines are."""
        if self.compare == "nearest":
            return photos
        people = self._people.to(photos.device)
        sums = photos.new_zeros((int(people.max()) + 1, photos.shape[1])).index_add_(0, people, photos)
        means = F.normalize(sums)[people]
        return means if self.compare == "mean" else (photos + means) / 2

    def _embed(self, views: list[Tensor], signature: Signature) -> Tensor:
        """Unit embeddings (N, E) of faces compared under the FDM of a signature, (N, 2E) with those without it."""
        if not self.unmasked or not any(signature):
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
