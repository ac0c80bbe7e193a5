"""A table of LanceDB as it is at one moment, ready to be searched in: of its vectors those of one signature are read, block by block."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from pdsn.errors import PdsnError
from pdsn.store.codes import Decoded
from pdsn.store.lance.former import FORMER
from pdsn.store.lance.index import ask, check_index
from pdsn.store.lance.rows import column, vectors_of
from pdsn.store.lance.table import LanceStore
from pdsn.store.packing import unpack_counts, unpack_pixels
from pdsn.store.snapshot import BLOCK, Snapshot


class LanceSnapshot(Snapshot):
    """See `Snapshot`. Rows are in the order in which the table gives them.

    Args:
        table: the store.
        comparison: see `Snapshot`.

    Raises:
        PdsnError: the index is to be asked, and there is none.
    """

    def __init__(self, table: LanceStore, comparison: str = "nearest") -> None:
        self._store = table
        with table.place.plainly():
            self._table = table.table()
            self._version = self._table.version
            self._table.checkout(self._version)
            # An older table has no column of former names.
            columns = [one for one in ("id", "person", "counts", FORMER) if one in self._table.schema.names]
            known = self._table.search().select(columns).with_row_id(True).to_arrow()
        names = known["person"].combine_chunks().dictionary_encode()
        people, labels = names.dictionary.to_pylist(), names.indices.to_numpy().astype(np.int64)
        ids = known["id"].to_numpy()
        former = _former(known.column(FORMER), labels) if FORMER in columns else {}
        digest = hashlib.sha256(repr((table.root, people, former)).encode())
        for part in (ids, labels):
            digest.update(np.ascontiguousarray(part, "<i8").data)
        touched = np.flatnonzero(known["counts"].is_valid().to_numpy())
        covered = known["counts"].drop_null().to_pylist()
        super().__init__(
            comparison,
            digest.hexdigest(),
            table.widths,
            people,
            former,
            ids,
            labels,
            touched,
            np.array([unpack_counts(one) for one in covered], dtype=np.int64),
        )
        self._row_ids = known["_rowid"].to_numpy()
        self._order = np.argsort(ids)
        if table.by_index:
            check_index(table, self._table, comparison)

    @property
    def is_current(self) -> bool:
        """See `Snapshot`."""
        return bool(self._store.table().version == self._version)

    @property
    def scores(self) -> None:
        """See `Snapshot`: the run keeps what strangers score."""
        return

    def near(self, place: int, probes: Tensor) -> list[np.ndarray] | None:
        """See `Snapshot`."""
        if not self._store.by_index:
            return None
        with self._store.place.plainly():
            found = ask(self._table, place, probes[:, : self.widths[place]].numpy())
        return [np.sort(self._rows_of(ids)) for ids in found]

    def _rows_of(self, ids: np.ndarray) -> np.ndarray:
        """Where photos stand, by their ids."""
        found = np.searchsorted(self.photos, ids, sorter=self._order)
        return np.asarray(self._order[found])

    def _raw(self, place: int, first: int, step: int) -> Iterator[tuple[int, Decoded]]:
        """See `Snapshot`."""
        name, start = column(place), 0
        with self._store.place.plainly():
            for part in self._table.search().select(["id", name]).to_batches(step):
                count = part.num_rows
                if not np.array_equal(part["id"].to_numpy(), self.photos[start : start + count]):
                    raise PdsnError(
                        f"--people {self._store.root} was changed meanwhile: give the same command again"
                    )
                skipped = max(first - start, 0)
                if skipped < count:
                    found = vectors_of(part[name])[skipped:].astype(np.float32)
                    yield start + skipped, Decoded(torch.from_numpy(found), None)
                start += count

    def _photos(self, place: int, rows: np.ndarray) -> Tensor:
        """See `Snapshot`."""
        found = vectors_of(self._chosen(rows, column(place))[column(place)])
        return torch.from_numpy(found.astype(np.float32))

    def covered(self, rows: np.ndarray, size: tuple[int, int]) -> Tensor:
        """See `Snapshot`."""
        found = np.zeros((len(rows), *size), bool)
        for start in range(0, len(rows), BLOCK):
            part = self._chosen(rows[start : start + BLOCK], "pixels")["pixels"].to_pylist()
            for place, packed in enumerate(part, start):
                if packed is not None:
                    found[place] = unpack_pixels(packed, size)
        return torch.from_numpy(found)

    def _chosen(self, rows: np.ndarray, name: str) -> pa.Table:
        """A column of some photos, in the order asked for."""
        if not len(rows):
            return self._table.search().select(["id", name]).limit(0).to_arrow()
        with self._store.place.plainly():
            query = self._table.take_row_ids(self._row_ids[rows].tolist())
            found = query.select(["id", name]).to_arrow()  # in the table's own order
        order = np.argsort(self._rows_of(found["id"].to_numpy()))
        return found.take(order[np.argsort(np.argsort(rows))])


def _former(column: pa.ChunkedArray, labels: np.ndarray) -> dict[str, int]:
    """The number of each person who had another name before, by that name."""
    rows = np.flatnonzero(column.is_valid().to_numpy())
    lists = column.drop_null().to_pylist()
    return {
        name: int(label)
        for names, label in zip(lists, labels[rows], strict=True)
        for name in json.loads(names)
    }
