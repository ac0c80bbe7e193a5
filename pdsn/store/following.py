"""What is beside the database of a store, brought in line with it: arrays, kept scores, pictures.

Photos stand in the arrays in the order of their ids. One that is removed leaves its row empty: it is overwritten with zeros, in place, so that
the others need not be written again. The table `gone` says which rows those are, until so many are that all is written anew.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pdsn.store.insertion import CROPS

if TYPE_CHECKING:
    from pdsn.store.store import Store

SCORES = "scores"
PART = 1024
"""Photos whose embeddings are in memory together when arrays are made again."""
MOST_GONE = 0.25
"""Share of an array's rows that may be empty."""


def gone_rows(connection: sqlite3.Connection) -> np.ndarray:
    """The rows (n,) int64 of the arrays, sorted, whose photos were removed."""
    rows = connection.execute("SELECT row FROM gone ORDER BY row").fetchall()
    return np.array(rows, dtype=np.int64).reshape(-1)


def row_count(connection: sqlite3.Connection) -> int:
    """Rows that the arrays must have, empty ones among them."""
    (count,) = connection.execute(
        "SELECT (SELECT count(*) FROM photo) + (SELECT count(*) FROM gone)"
    ).fetchone()
    return int(count)


def places_of(photos: int, gone: np.ndarray) -> np.ndarray:
    """The row (G,) int64 of each of G photos, in the order of their ids."""
    return np.delete(np.arange(photos + len(gone)), gone)


def leave(connection: sqlite3.Connection, photos: Sequence[int]) -> list[int]:
    """Note that some photos, by their ids, are about to be removed, within a change.

    Returns:
        The rows that they leave empty; none where all is to be written anew.
    """
    # The smallest index that has all ids.
    found = connection.execute("SELECT id FROM photo INDEXED BY photo_person")
    ids = np.sort(np.fromiter((row[0] for row in found), np.int64))
    gone = gone_rows(connection)
    rows = places_of(len(ids), gone)[np.searchsorted(ids, photos)].tolist()
    if len(gone) + len(rows) > MOST_GONE * (len(ids) + len(gone)):
        connection.execute("DELETE FROM gone")
        connection.execute("UPDATE store SET epoch = epoch + 1")
        return []
    connection.executemany("INSERT INTO gone (row) VALUES (?)", [(row,) for row in rows])
    return list(rows)


def kept_rows(connection: sqlite3.Connection, size: int, known: int = 0) -> Iterator[np.ndarray]:
    """The rows (n, size) uint8 of all arrays side by side after the first `known`, part by part.

    Args:
        connection: to the database.
        size: bytes of all embeddings of a photo.
        known: rows that are not wanted.
    """
    gone = gone_rows(connection)
    total = row_count(connection)
    places = places_of(total - len(gone), gone)
    done = int(np.searchsorted(places, known))
    photos = connection.execute("SELECT vectors FROM embedding ORDER BY photo LIMIT -1 OFFSET ?", (done,))
    while part := photos.fetchmany(PART):
        at = places[done : done + len(part)]
        rows = np.zeros((int(at[-1]) + 1 - known, size), np.uint8)
        rows[at - known] = np.frombuffer(b"".join(row[0] for row in part), np.uint8).reshape(len(part), size)
        yield rows
        known, done = known + len(rows), done + len(part)
    if known < total:
        yield np.zeros((total - known, size), np.uint8)


def follow(store: Store, *, moved: bool, empty: Sequence[int] | None) -> None:
    """Bring what is beside the database of a store in line with it; to be used within `alone`.

    Args:
        store: the store.
        moved: something may have been removed or renamed: what is left of it goes.
        empty: rows that were left, to be overwritten; None for all that were ever left.
    """
    vectors = store.vectors
    with store.database.reading() as connection:
        (epoch,) = connection.execute("SELECT epoch FROM store").fetchone()
        total, known, size = row_count(connection), vectors.count(epoch), sum(vectors.sizes)
        if known > total or not vectors.folder(epoch).is_dir():
            vectors.rewrite(epoch, kept_rows(connection, size))
        elif known < total:
            vectors.append(epoch, known, kept_rows(connection, size, known))
        if not moved:
            return
        vectors.overwrite(epoch, total, gone_rows(connection) if empty is None else np.array(empty, np.int64))
        _drop_crops(store, connection)
    vectors.drop_others(epoch)
    shutil.rmtree(store.root / SCORES, ignore_errors=True)
    store.database.forget()


def _drop_crops(store: Store, connection: sqlite3.Connection) -> None:
    """Delete the pictures that belong to no photo."""
    folder = store.root / CROPS
    if not folder.is_dir():
        return
    kept = {row[0] for row in connection.execute("SELECT crop FROM photo WHERE crop IS NOT NULL")}
    for path in folder.iterdir():
        if f"{CROPS}/{path.name}" not in kept:
            path.unlink()
