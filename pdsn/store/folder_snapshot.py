"""A store in a folder as it is at one moment: its arrays, mapped, and what the database has beyond them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pdsn.errors import PdsnError
from pdsn.store.codes import Decoded
from pdsn.store.following import SCORES, gone_rows, kept_rows, places_of, row_count
from pdsn.store.packing import unpack_counts, unpack_pixels
from pdsn.store.snapshot import Snapshot
from pdsn.store.store import Store


class FolderSnapshot(Snapshot):
    """See `Snapshot`. Rows are in the order of the photos' ids, which is that of the arrays' rows.

    Args:
        store: the store.
        comparison: see `Snapshot`.

    Attributes:
        generation: of the store; when it has another one, this is out of date.
    """

    def __init__(self, store: Store, comparison: str = "nearest") -> None:
        self.store = store
        # Whoever changes the store does it then; a read-only one is searched, too.
        with suppress(OSError, PdsnError):
            if not self._arrays_complete():
                store.follow(patience=0.0)
        with store.database.reading() as connection:
            self.generation, self._epoch, naming = connection.execute(
                "SELECT generation, epoch, naming FROM store"
            ).fetchone()
            people = connection.execute("SELECT id, name FROM person ORDER BY id").fetchall()
            former = connection.execute("SELECT name, person FROM former").fetchall()
            photos = connection.execute("SELECT id, person FROM photo ORDER BY id").fetchall()
            covered = connection.execute(
                "SELECT id, counts FROM photo WHERE counts IS NOT NULL ORDER BY id"
            ).fetchall()
            self._places = places_of(len(photos), gone_rows(connection))
            self._maps = self._mapped(min(store.vectors.count(self._epoch), row_count(connection)))
            tail = list(kept_rows(connection, sum(store.vectors.sizes), len(self._maps[0])))
        self._tail = np.concatenate(tail) if tail else np.empty((0, sum(store.vectors.sizes)), np.uint8)
        table = np.array(photos, dtype=np.int64).reshape(-1, 2)
        numbers = np.array([number for number, _ in people], dtype=np.int64)
        super().__init__(
            comparison,
            f"{self._epoch}-{naming}",
            store.widths,
            [name for _, name in people],
            {name: int(np.searchsorted(numbers, number)) for name, number in former},
            table[:, 0],
            np.searchsorted(numbers, table[:, 1]),
            np.searchsorted(table[:, 0], np.array([row[0] for row in covered], dtype=np.int64)),
            np.array([unpack_counts(row[1]) for row in covered], dtype=np.int64),
        )

    def _arrays_complete(self) -> bool:
        store = self.store
        with store.database.reading() as connection:
            (epoch,) = connection.execute("SELECT epoch FROM store").fetchone()
            return store.vectors.count(epoch) == row_count(connection)

    @property
    def is_current(self) -> bool:
        """See `Snapshot`."""
        with self.store.database.reading() as connection:
            return bool(self.generation == connection.execute("SELECT generation FROM store").fetchone()[0])

    @property
    def scores(self) -> Path:
        """See `Snapshot`."""
        return self.store.root / SCORES / self.state

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
        """See `Snapshot`."""
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

    def _photos(self, place: int, rows: np.ndarray) -> Tensor:
        """See `Snapshot`."""
        mapped, late = self._maps[place], self._late(place)
        found = np.empty((len(rows), late.shape[1]), np.uint8)
        places = self._places[rows]
        inside = places < len(mapped)
        found[inside], found[~inside] = mapped[places[inside]], late[places[~inside] - len(mapped)]
        return self.store.code.decode(found, torch.empty((len(rows), self.widths[place]))).scaled()

    def covered(self, rows: np.ndarray, size: tuple[int, int]) -> Tensor:
        """See `Snapshot`."""
        found = np.zeros((len(rows), *size), bool)
        with self.store.database.reading() as connection:
            for place, row in enumerate(rows):
                known = connection.execute(
                    "SELECT pixels FROM embedding WHERE photo = ?", (int(self.photos[row]),)
                ).fetchone()
                if known is not None and known[0] is not None:
                    found[place] = unpack_pixels(known[0], size)
        return torch.from_numpy(found)
