"""How a photo is written into the database of a store."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from pdsn.files import atomic_path
from pdsn.store.database import Database
from pdsn.store.names import FormerNames, checked_name
from pdsn.store.packing import pack_counts, pack_pixels
from pdsn.store.records import KeptFace, Twin

CROPS = "crops"


@dataclass(frozen=True)
class NewPhoto(KeptFace):
    """A photo to be enrolled.

    Attributes:
        vectors: (sum of the widths,) float16, its embeddings under all signatures, one after the other.
        pixels: (H, W) bool, the covered pixels; None where none is.
        counts: (R,) int32, covered pixels by region; None where no pixel is.
        crop: (H, W, 3) uint8 to be kept, or None.
    """

    vectors: np.ndarray
    pixels: np.ndarray | None = None
    counts: np.ndarray | None = None
    crop: np.ndarray | None = None


def insert(
    database: Database, connection: sqlite3.Connection, photo: NewPhoto, vectors: bytes, former: FormerNames
) -> int | Twin:
    """Write a photo, and its person where that is new, within a change.

    Args:
        database, connection: the store's.
        photo: the photo.
        vectors: its embeddings as they are kept.
        former: names of the store's people before.

    Returns:
        The photo's id; where the same face is enrolled already, that one.

    Raises:
        UsageError: nobody can be called so.
    """
    box = json.dumps([round(edge, 1) for edge in photo.box])
    twin = connection.execute(
        "SELECT person.name, source, photo.id FROM photo JOIN person ON person.id = photo.person "
        "WHERE pixels_sha256 = ? AND box = ?",
        (photo.pixels_sha256, box),
    ).fetchone()
    if twin is not None:
        return Twin(*twin)
    name = checked_name(photo.name)
    person = _person(connection, name, former)
    values = {
        "person": person,
        "source": photo.source,
        "sha256": photo.sha256,
        "pixels_sha256": photo.pixels_sha256,
        "box": box,
        "probability": photo.probability,
        "size": photo.size,
        "sharpness": photo.sharpness,
        "pose": photo.pose,
        "covered": json.dumps(photo.covered),
        "notes": json.dumps(photo.notes),
        "added": now(),
        "counts": pack_counts(photo.counts),
    }
    places = ", ".join(f":{name}" for name in values)
    number = connection.execute(
        f"INSERT INTO photo ({', '.join(values)}) VALUES ({places})", values
    ).lastrowid
    assert number is not None
    connection.execute(
        "INSERT INTO embedding (photo, sha256, vectors, pixels) VALUES (?, ?, ?, ?)",
        (number, hashlib.sha256(vectors).hexdigest(), vectors, pack_pixels(photo.pixels)),
    )
    if photo.crop is not None:
        _save_crop(database, connection, number, photo.crop)
    return number


def _person(connection: sqlite3.Connection, name: str, former: FormerNames) -> int:
    """The id of whoever has a name, or had it before; of a new person where nobody did."""
    for known in (name, former.now(name)):
        found = connection.execute("SELECT id FROM person WHERE name = ?", (known,)).fetchone()
        if found is not None:
            return int(found[0])
    number = connection.execute("INSERT INTO person (name, added) VALUES (?, ?)", (name, now())).lastrowid
    assert number is not None
    return number


def _save_crop(database: Database, connection: sqlite3.Connection, number: int, crop: np.ndarray) -> None:
    from PIL import Image

    file = f"{CROPS}/{number}.png"
    database.unfinished.touch()
    with atomic_path(database.root / file) as temporary:
        Image.fromarray(crop).save(temporary, "PNG")
    connection.execute("UPDATE photo SET crop = ? WHERE id = ?", (file, number))


def now() -> str:
    """The time, UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
