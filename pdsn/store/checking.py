"""Proof that a store is as it must be: nobody lost, and no trace of anybody who was removed."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from pdsn.files import PREFIX
from pdsn.store.database import NAME
from pdsn.store.following import SCORES, kept_rows, row_count
from pdsn.store.insertion import CROPS
from pdsn.store.store import Store
from pdsn.store.vectors import FOLDER

NORM = 2e-2
"""By how much the length of an embedding may differ from 1 in float16."""


@dataclass(frozen=True)
class CheckReport:
    """What a look at every byte of a store found.

    Attributes:
        people, photos: number of each.
        tidied: what a killed command had left, and is gone or made good now.
        wrong: what is not as it must be; empty if all is well.
    """

    people: int
    photos: int
    tidied: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether all is well."""
        return not self.wrong

    def as_dict(self) -> dict[str, object]:
        """What JSON says of it."""
        return {
            "clean": self.clean,
            "people": self.people,
            "photos": self.photos,
            "tidied": self.tidied,
            "wrong": self.wrong,
        }


def check_store(store: Store) -> CheckReport:
    """Finish what a killed command has left, then look at everything in the folder.

    Raises:
        PdsnError: the database cannot be read at all, or another command changes the store.
    """
    tidied = (
        ["a command was killed while it changed the store: what it had not finished is"]
        if store.tidy()
        else []
    )
    wrong: list[str] = []
    with store.database.alone():
        with store.database.reading() as connection:
            wrong += _database(connection)
            wrong += _embeddings(connection, store)
            wrong += _arrays(connection, store)
            wrong += _files(connection, store)
            people, photos = (
                int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
                for table in ("person", "photo")
            )
        wrong += free_pages(store.database.path)
        log = store.database.path.with_name(f"{NAME}-wal")
        if not store.database.forget() or (log.exists() and log.stat().st_size):
            wrong.append(
                f"{log.name} still holds changes, since another program reads: close it, and check again"
            )
    return CheckReport(people, photos, tidied, wrong)


def _database(connection: sqlite3.Connection) -> list[str]:
    """What SQLite itself finds wrong."""
    found = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
    found += [
        f"a row of {row[0]} belongs to nothing" for row in connection.execute("PRAGMA foreign_key_check")
    ]
    found += [
        f"person {row[0]} has no photo"
        for row in connection.execute(
            "SELECT name FROM person WHERE NOT EXISTS (SELECT 1 FROM photo WHERE photo.person = person.id)"
        )
    ]
    found += [
        f"photo {row[0]} has no embeddings"
        for row in connection.execute("SELECT id FROM photo WHERE id NOT IN (SELECT photo FROM embedding)")
    ]
    return found


def _embeddings(connection: sqlite3.Connection, store: Store) -> list[str]:
    """Embeddings that are not what was written, or none."""
    found = []
    sizes = store.vectors.sizes
    ends = np.cumsum(sizes)[:-1]
    for number, digest, blob in connection.execute("SELECT photo, sha256, vectors FROM embedding"):
        if len(blob) != sum(sizes) or hashlib.sha256(blob).hexdigest() != digest:
            found.append(f"the embeddings of photo {number} are damaged: remove it, and enrol it anew")
            continue
        parts = np.split(np.frombuffer(bytearray(blob), np.uint8)[None], ends, axis=1)
        embeddings = (
            store.code.decode(part, torch.empty((1, width))).scaled()
            for part, width in zip(parts, store.widths, strict=True)
        )
        if not all(abs(float(one.norm()) - 1) < NORM for one in embeddings):
            found.append(
                f"the embeddings of photo {number} are no unit vectors: remove it, and enrol it anew"
            )
    return found


def _arrays(connection: sqlite3.Connection, store: Store) -> list[str]:
    """Arrays that are not, row by row, what the database holds."""
    (epoch,) = connection.execute("SELECT epoch FROM store").fetchone()
    count = row_count(connection)
    vectors = store.vectors
    if vectors.count(epoch) != count:
        return [
            f"{FOLDER}: {vectors.count(epoch)} rows for {count} photos: delete the folder, it is made again"
        ]
    sizes = [vectors.path(epoch, place).stat().st_size for place in range(len(vectors.sizes))]
    if sizes != [size * count for size in vectors.sizes]:
        return [
            f"{FOLDER}: an array has more rows than there are photos: delete the folder, it is made again"
        ]
    ends = np.cumsum(vectors.sizes)[:-1]
    first = 0
    arrays = [vectors.read(epoch, place, count) for place in range(len(vectors.sizes))]
    for part in kept_rows(connection, sum(vectors.sizes)):
        for array, columns in zip(arrays, np.split(part, ends, axis=1), strict=True):
            if not np.array_equal(array[first : first + len(part)], columns):
                return [f"{FOLDER}: a row is not its photo's: delete the folder, it is made again"]
        first += len(part)
    return []


def _files(connection: sqlite3.Connection, store: Store) -> list[str]:
    """Files that belong to no photo, and photos whose files are gone."""
    (epoch, naming) = connection.execute("SELECT epoch, naming FROM store").fetchone()
    known = {NAME, f"{NAME}-wal", f"{NAME}-shm", FOLDER, CROPS, SCORES}
    found = [path for path in store.root.iterdir() if path.name not in known]
    found += store.vectors.strays(epoch)
    crops = {row[0] for row in connection.execute("SELECT crop FROM photo WHERE crop IS NOT NULL")}
    there = {f"{CROPS}/{path.name}" for path in _inside(store.root / CROPS)}
    found += [store.root / name for name in there - crops]
    found += [path for path in _inside(store.root / SCORES) if path.name != f"{epoch}-{naming}"]
    # What another command is writing at this moment is none of ours.
    wrong = [
        f"{path.relative_to(store.root)} belongs to no photo: delete it"
        for path in sorted(found)
        if not path.name.startswith(PREFIX)
    ]
    return wrong + [f"{name} is gone" for name in sorted(crops - there)]


def _inside(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def free_pages(path: Path) -> list[str]:
    """Pages of an SQLite file that are in no use and yet hold something.

    The file's list of free pages is a chain of pages that name others: all but these names must be zero. Where a page was taken
    from the list its name stays behind, a number that the file has a page of: it tells nothing of anybody.
    """
    with path.open("rb") as stream:
        header = stream.read(100)
        size = int.from_bytes(header[16:18], "big")
        size = 65536 if size == 1 else size
        trunk = int.from_bytes(header[32:36], "big")

        def page(number: int) -> bytes:
            stream.seek((number - 1) * size)
            return stream.read(size)

        pages, full = path.stat().st_size // size, 0
        while trunk:
            content = page(trunk)
            count = int.from_bytes(content[4:8], "big")
            names = [int.from_bytes(content[8 + 4 * place : 12 + 4 * place], "big") for place in range(count)]
            left = np.frombuffer(content[8 + 4 * count :], ">u4")
            full += bool((left > pages).any()) + sum(any(page(name)) for name in names)
            trunk = int.from_bytes(content[:4], "big")
    return [f"{full} free pages of {NAME} hold something that was deleted"] if full else []
