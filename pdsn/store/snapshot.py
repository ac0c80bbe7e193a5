"""A store as it is at one moment, ready to be searched in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.errors import PdsnError
from pdsn.store.codes import Decoded
from pdsn.store.following import SCORES, gone_rows, kept_rows, places_of, row_count
from pdsn.store.packing import unpack_counts, unpack_pixels
from pdsn.store.store import Store

BLOCK = 2048
"""Photos whose embeddings are compared at a time: in float32 they stay in the processor's cache."""
KEPT = 2**26
"""Bytes of embeddings in float32 that stay in memory: of a small store those of the last signatures."""
MEANS_KEPT = 4
"""Signatures whose means of people stay in memory."""


class Snapshot:
    """People and photos of a store, in the order of the photos' ids, which is that of the arrays' rows.

    Args:
        store: the store.
        comparison: see `EmbeddingMatcher`: "nearest", "mean" or "both".

    Attributes:
        generation: of the store; when it has another one, this is out of date.
        state: as long as it stays, people and photos are only added.
        widths: numbers in an embedding, of each of the S signatures.
        people: K names, in the order in which they were enrolled.
        labels: (G,) int64, index in `people` of each photo's person.
        photos: (G,) int64 ids.
        counts: (C, R) int64, covered pixels by region, of the photos of which any is covered.
        touched: (C,) int64, rows of these photos.
    """

    def __init__(self, store: Store, comparison: str = "nearest") -> None:
        self.store = store
        with suppress(
            OSError, PdsnError
        ):  # whoever changes the store does it then; a read-only one is searched, too
            if not self._arrays_complete():
                store.follow(patience=0.0)
        with store.database.reading() as connection:
            self.generation, self._epoch, naming = connection.execute(
                "SELECT generation, epoch, naming FROM store"
            ).fetchone()
            people = connection.execute("SELECT id, name FROM person ORDER BY id").fetchall()
            photos = connection.execute("SELECT id, person FROM photo ORDER BY id").fetchall()
            covered = connection.execute(
                "SELECT id, counts FROM photo WHERE counts IS NOT NULL ORDER BY id"
            ).fetchall()
            self._places = places_of(len(photos), gone_rows(connection))
            self._maps = self._mapped(min(store.vectors.count(self._epoch), row_count(connection)))
            tail = list(kept_rows(connection, sum(store.vectors.sizes), len(self._maps[0])))
        self.state = f"{self._epoch}-{naming}"
        self._tail = np.concatenate(tail) if tail else np.empty((0, sum(store.vectors.sizes)), np.uint8)
        table = np.array(photos, dtype=np.int64).reshape(-1, 2)
        numbers = np.array([number for number, _ in people], dtype=np.int64)
        self._take(
            comparison,
            store.widths,
            [name for _, name in people],
            table[:, 0],
            np.searchsorted(numbers, table[:, 1]),
            np.searchsorted(table[:, 0], np.array([row[0] for row in covered], dtype=np.int64)),
            np.array([unpack_counts(row[1]) for row in covered], dtype=np.int64),
        )

    def _take(
        self,
        comparison: str,
        widths: Sequence[int],
        people: Sequence[str],
        photos: np.ndarray,
        labels: np.ndarray,
        touched: np.ndarray,
        counts: np.ndarray,
    ) -> None:
        """Take up what is known of a store, of whatever kind; see the class."""
        self.comparison = comparison
        self.widths = list(widths)
        self.people = list(people)
        self.photos, self.labels = photos, labels
        self.touched, self.counts = touched, counts
        self._means: OrderedDict[int, Tensor] = OrderedDict()
        self._whole: OrderedDict[int, Tensor] = OrderedDict()

    def _arrays_complete(self) -> bool:
        store = self.store
        with store.database.reading() as connection:
            (epoch,) = connection.execute("SELECT epoch FROM store").fetchone()
            return store.vectors.count(epoch) == row_count(connection)

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def is_current(self) -> bool:
        """Whether the store is still as it is here."""
        with self.store.database.reading() as connection:
            return bool(self.generation == connection.execute("SELECT generation FROM store").fetchone()[0])

    @property
    def scores(self) -> Path | None:
        """Where what strangers score is kept; None for the run's own place."""
        return self.store.root / SCORES / self.state

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

    def _mapped(self, count: int) -> list[np.ndarray]:
        """The first rows of all arrays, all at once: once they are mapped, a removal that drops the files takes nothing away.

        No rows where one has just dropped them: the database still has all of them at the moment of this look.
        """
        vectors = self.store.vectors
        try:
            return [vectors.read(self._epoch, place, count) for place in range(len(vectors.sizes))]
        except (OSError, ValueError):
            return [vectors.read(self._epoch, place, 0) for place in range(len(vectors.sizes))]

    def _late(self, place: int) -> np.ndarray:
        """The rows (n, bytes), as they are kept, that the array does not have yet."""
        sizes = self.store.vectors.sizes
        first = sum(sizes[:place])
        return self._tail[:, first : first + sizes[place]]

    def _raw(self, place: int, first: int, step: int) -> Iterator[tuple[int, Decoded]]:
        """(first row, embeddings) of one signature, block by block, from a row on; each takes the place of the one before."""
        mapped, late = self._maps[place], self._late(place)
        buffer = torch.empty((step, self.widths[place]))
        for start in range(first, len(self), step):
            places = self._places[start : start + step]
            low, high = int(places[0]), int(places[-1]) + 1
            part = mapped[low:high]
            if high > len(mapped):
                part = np.concatenate([part, late[max(low - len(mapped), 0) : high - len(mapped)]])
            if len(part) > len(places):  # some rows are empty
                part = part[places - low]
            yield start, self.store.code.decode(part, buffer[: len(places)])

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

    def _photos(self, place: int, rows: np.ndarray) -> Tensor:
        """The embeddings (n, E) float32 of some rows."""
        mapped, late = self._maps[place], self._late(place)
        found = np.empty((len(rows), late.shape[1]), np.uint8)
        places = self._places[rows]
        inside = places < len(mapped)
        found[inside], found[~inside] = mapped[places[inside]], late[places[~inside] - len(mapped)]
        return self.store.code.decode(found, torch.empty((len(rows), self.widths[place]))).scaled()

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

    def covered(self, rows: np.ndarray, size: tuple[int, int]) -> Tensor:
        """The covered pixels (n, H, W) bool of some rows."""
        found = np.zeros((len(rows), *size), bool)
        with self.store.database.reading() as connection:
            for place, row in enumerate(rows):
                known = connection.execute(
                    "SELECT pixels FROM embedding WHERE photo = ?", (int(self.photos[row]),)
                ).fetchone()
                if known is not None and known[0] is not None:
                    found[place] = unpack_pixels(known[0], size)
        return torch.from_numpy(found)
