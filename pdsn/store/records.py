"""What a people store knows of a person and of a photo."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from pdsn.errors import UsageError

PHOTO = (
    "person.name, photo.source, photo.sha256, photo.pixels_sha256, photo.box, photo.probability, photo.size, photo.sharpness, "
    "photo.pose, photo.covered, photo.notes, photo.id, photo.person, photo.added, photo.crop"
)
"""The columns of a `PhotoRecord`, of photo joined with person."""

LARGEST_ID = 2**63 - 1
"""Of a person and of a photo: what a column of whole numbers can hold, in SQLite and in a table."""


@dataclass(frozen=True)
class PersonRecord:
    """A person of a store.

    Attributes:
        id: stays whatever the person is called.
        name: unique.
        photos: number of photos, at least one.
        added: when, UTC, ISO 8601.
    """

    id: int
    name: str
    photos: int
    added: str

    def as_dict(self) -> dict[str, object]:
        """What JSON says of the person."""
        return {"id": self.id, "name": self.name, "photos": self.photos, "added": self.added}


@dataclass(frozen=True)
class FaceSource:
    """A face, and where it comes from.

    Attributes:
        name: whom it shows; in a store what that person is called now.
        source: the file as it was given.
        sha256: of the file's bytes; empty where there was no file.
        pixels_sha256: of the pixels as they were read: two files with the same pixels are one photo.
        box: left, top, right, bottom of the face in pixels of the photo.
        probability: the detector's confidence.
    """

    name: str
    source: str
    sha256: str
    pixels_sha256: str
    box: tuple[float, float, float, float]
    probability: float


@dataclass(frozen=True)
class KeptFace(FaceSource):
    """What a store keeps of a face, or is to keep, beside its numbers.

    Attributes:
        size: edge of the face in pixels of the photo, the root of the box's area.
        sharpness: see `pdsn.store.quality.sharpness_of`.
        pose: see `pdsn.store.quality.pose_of`.
        covered: names of the regions that count as covered.
        notes: what to know of it.
    """

    size: float
    sharpness: float
    pose: float
    covered: list[str]
    notes: list[str]


@dataclass(frozen=True)
class PhotoRecord(KeptFace):
    """A photo of a store.

    Attributes:
        id: never given again.
        person: id of whom it shows.
        added: when, UTC, ISO 8601.
        crop: the picture of the face, None where none is kept.
    """

    id: int
    person: int
    added: str
    crop: Path | None

    @classmethod
    def of(cls, row: sqlite3.Row | tuple[object, ...], root: Path) -> PhotoRecord:
        """The record of a row of `PHOTO`, in the store of a folder."""
        values = list(row)
        left, top, right, bottom = json.loads(str(values[4]))
        values[4] = (left, top, right, bottom)
        values[9], values[10] = json.loads(str(values[9])), json.loads(str(values[10]))
        values[14] = None if values[14] is None else root / str(values[14])
        return cls(*values)

    def as_dict(self) -> dict[str, object]:
        """What JSON says of the photo."""
        return {
            "id": self.id,
            "person": self.person,
            "name": self.name,
            "source": self.source,
            "sha256": self.sha256,
            "pixels_sha256": self.pixels_sha256,
            "box": list(self.box),
            "probability": round(self.probability, 4),
            "size": round(self.size, 1),
            "sharpness": round(self.sharpness, 4),
            "pose": round(self.pose, 4),
            "covered": self.covered,
            "notes": self.notes,
            "added": self.added,
            "crop": None if self.crop is None else str(self.crop),
        }


@dataclass(frozen=True)
class Twin:
    """The photo of a store that shows the very face that was to be enrolled.

    Attributes:
        name: whose it is.
        source: the file as it was given.
        id: the photo's.
    """

    name: str
    source: str
    id: int

    def __str__(self) -> str:
        return f"enrolled already as {self.name} ({self.source})"


@dataclass(frozen=True)
class PersonPhotos:
    """A person with all photos.

    Attributes:
        person: the person.
        photos: the oldest first.
        former: names that the person had before, or that those had who were merged into the person.
    """

    person: PersonRecord
    photos: list[PhotoRecord]
    former: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """What JSON says of them."""
        return {
            **self.person.as_dict(),
            "former": self.former,
            "photos": [photo.as_dict() for photo in self.photos],
        }


def can_be_id(number: int) -> bool:
    """Whether a number can be an id at all: a database must not be asked about one that cannot."""
    return 0 <= number <= LARGEST_ID


def no_photo(root: Path | str, number: int) -> UsageError:
    """Says that a store has no photo of this id."""
    return UsageError(f"--people {root} has no photo {number}")
