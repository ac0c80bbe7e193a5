"""A store as it is at one moment, ready to be searched in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.store.codes import Decoded

BLOCK = 2048
"""Photos whose embeddings are compared at a time: in float32 they stay in the processor's cache."""
KEPT = 2**26
"""Bytes of embeddings in float32 that stay in memory: of a small store those of the last signatures."""
MEANS_KEPT = 4
"""Signatures whose means of people stay in memory."""


class Snapshot(ABC):
    """People and photos of a store at one moment; each kind of store says how embeddings and covered pixels are read.

    Args:
        comparison: see `EmbeddingMatcher`: "nearest", "mean" or "both".
        state: as long as it stays, people and photos are only added.
        widths: numbers in an embedding, of each of the S signatures.
        people: K names, in the order in which they were enrolled.
        former: index in `people` of each who had another name before, by that name.
        photos: (G,) int64 ids.
        labels: (G,) int64, index in `people` of each photo's person.
        touched: (C,) int64, rows of the photos of which any pixel is covered.
        counts: (C, R) int64, covered pixels by region of these photos.
    """

    def __init__(
        self,
        comparison: str,
        state: str,
        widths: Sequence[int],
        people: Sequence[str],
        former: Mapping[str, int],
        photos: np.ndarray,
        labels: np.ndarray,
        touched: np.ndarray,
        counts: np.ndarray,
    ) -> None:
        self.comparison = comparison
        self.state = state
        self.widths = list(widths)
        self.people = list(people)
        self.former = dict(former)
        self.photos, self.labels = photos, labels
        self.touched, self.counts = touched, counts
        self._means: OrderedDict[int, Tensor] = OrderedDict()
        self._whole: OrderedDict[int, Tensor] = OrderedDict()

    def __len__(self) -> int:
        return len(self.photos)

    @property
    @abstractmethod
    def is_current(self) -> bool:
        """Whether the store is still as it is here."""

    @property
    @abstractmethod
    def scores(self) -> Path | None:
        """Where what strangers score is kept; None for the run's own place."""

    @abstractmethod
    def _raw(self, place: int, first: int, step: int) -> Iterator[tuple[int, Decoded]]:
        """(first row, embeddings) of one signature, block by block, from a row on; each takes the place of the one before."""

    @abstractmethod
    def _photos(self, place: int, rows: np.ndarray) -> Tensor:
        """The embeddings (n, E) float32 of some rows."""

    def near(self, place: int, probes: Tensor) -> list[np.ndarray] | None:
        """Rows, sorted, of the photos that may be nearest to each of P probes (P, E) under a signature; None for all."""
        del place, probes
        return None

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Index in `people` of each name."""
        return {name: index for index, name in enumerate(self.people)}

    def members(self, person: int) -> np.ndarray:
        """Rows (n,) of a person's photos."""
        return np.flatnonzero(self.labels == person)

    def products(
        self, place: int, probes: np.ndarray, step: int, first: int = 0
    ) -> Iterator[tuple[int, np.ndarray]]:
        """(first row, scores (P, n) float32) of probes and all photos under one signature, block by block.

        Args:
            place: number of the signature, see `Variants.place`.
            probes: (P, E) float32; of a longer row the first E count.
            step: photos in a block, at most.
            first: row to begin with.
        """
        for start, (block, factors) in self._blocks(place, step, first):
            # numpy's product of a few rows is faster than torch's on some processors, and nowhere slower.
            scores = probes[:, : block.shape[1]] @ block.numpy().T
            if factors is not None:
                scores *= factors.numpy()
            yield start, scores

    def _blocks(self, place: int, step: int, first: int) -> Iterator[tuple[int, Decoded]]:
        """(first row, what a probe is multiplied with) of one signature, block by block; a small store's are kept."""
        if not len(self):
            return
        size = 4 * len(self) * self.widths[place]
        if size > KEPT:
            yield from self._parts(place, first, step)
            return
        if place not in self._whole:
            parts = [part.scaled().clone() for _, part in self._parts(place, 0, step)]
            self._whole[place] = torch.cat(parts)
            while len(self._whole) * size > KEPT:
                self._whole.popitem(last=False)
        self._whole.move_to_end(place)
        for start in range(first, len(self), step):
            yield start, Decoded(self._whole[place][start : start + step], None)

    def _parts(self, place: int, first: int, step: int) -> Iterator[tuple[int, Decoded]]:
        """See `_blocks`, read anew."""
        for start, part in self._raw(place, first, step):
            if self.comparison != "nearest":
                labels = self.labels[start : start + len(part.numbers)]
                part = Decoded(self._compared(place, part.scaled(), labels), None)
            yield start, part

    def rows(self, place: int, rows: np.ndarray) -> Tensor:
        """What a probe is multiplied with (n, E) float32 of one signature, for some rows."""
        return self._compared(place, self._photos(place, rows), self.labels[rows])

    def _compared(self, place: int, photos: Tensor, labels: np.ndarray) -> Tensor:
        """See `EmbeddingMatcher.compared`, of a part of the photos."""
        if self.comparison == "nearest":
            return photos
        means = self._means_of(place)[torch.from_numpy(labels)]
        return means if self.comparison == "mean" else (photos + means) / 2

    def _means_of(self, place: int) -> Tensor:
        """The mean embedding of each person, (K, E) of length 1."""
        if place not in self._means:
            sums = torch.zeros((len(self.people), self.widths[place]))
            for start, part in self._raw(place, 0, BLOCK):
                labels = self.labels[start : start + len(part.numbers)]
                sums.index_add_(0, torch.from_numpy(labels), part.scaled())
            self._means[place] = F.normalize(sums)
            if len(self._means) > MEANS_KEPT:
                self._means.popitem(last=False)
        return self._means[place]

    @abstractmethod
    def covered(self, rows: np.ndarray, size: tuple[int, int]) -> Tensor:
        """The covered pixels (n, H, W) bool of some rows."""
