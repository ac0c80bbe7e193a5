"""The photos that a data set was made from, `photos.csv` in its folder: what changed since can be told by it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pdsn.data.photos import PhotoFile
from pdsn.errors import PdsnError
from pdsn.files import sha256_of

NAME = "photos.csv"
COLUMNS = ("file", "bytes", "changed", "sha256", "faces", "turn")


@dataclass(frozen=True)
class SeenPhoto:
    """What is remembered of a photo, a row of `photos.csv`.

    Attributes:
        file: path relative to the photo folder, with forward slashes; bytes that are not UTF-8 with a backslash.
        bytes: size of the file.
        changed: time of its last change in nanoseconds.
        sha256: of the file's bytes; empty where it was not searched, because its person has too few photos.
        faces: sure faces that it shows.
        turn: degrees counter-clockwise by which it was turned to show them.
    """

    file: str
    bytes: int
    changed: int
    sha256: str = ""
    faces: int = 0
    turn: int = 0


@dataclass(frozen=True)
class Changes:
    """What became of the photos of a data set: paths of those that came, went, or have another content.

    Attributes:
        new, gone, changed: the paths, sorted.
        touched: whether a photo has another time and the same content.
    """

    new: list[str]
    gone: list[str]
    changed: list[str]
    touched: bool

    def __str__(self) -> str:
        """In words, such as "2 new (ann/7.jpg …), 1 gone (bob/1.jpg)"; empty if nothing changed but times."""
        kinds = {"new": self.new, "gone": self.gone, "changed": self.changed}
        return ", ".join(
            f"{len(files)} {kind} ({files[0]}{' …' * (len(files) > 1)})"
            for kind, files in kinds.items()
            if files
        )


def shown(name: str) -> str:
    """A file name that can be written as UTF-8 whatever bytes it has on disk."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def as_csv(photos: Sequence[SeenPhoto]) -> str:
    """The content of `photos.csv`."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([getattr(photo, name) for name in COLUMNS] for photo in photos)
    return text.getvalue()


def read_listing(root: Path) -> list[SeenPhoto] | None:
    """The photos that the data set in `root` was made from; None if it was made before they were remembered.

    Raises:
        PdsnError: the file is damaged.
    """
    path = root / NAME
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return [
                SeenPhoto(
                    row["file"],
                    int(row["bytes"]),
                    int(row["changed"]),
                    row["sha256"],
                    int(row["faces"]),
                    int(row["turn"]),
                )
                for row in csv.DictReader(stream)
            ]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PdsnError(
            f"{path} cannot be read ({type(error).__name__}: {error}): make {root} again, with --force"
        ) from error


def compare(folder: Path, known: Sequence[SeenPhoto], now: Sequence[PhotoFile]) -> Changes:
    """What changed since a listing was made. Where the times alone differ, the content decides.

    A photo that was not searched is the same if it is as long: nothing of the data set depends on what it shows.

    Args:
        folder: what the paths of `now` are relative to.
        known: the photos then.
        now: the photos that are there.
    """
    before = {photo.file: photo for photo in known}
    here = {shown(photo.file): photo for photo in now}
    changed, touched = [], False
    for file in sorted(before.keys() & here.keys()):
        then, photo = before[file], here[file]
        if then.bytes != photo.bytes:
            changed.append(file)
        elif then.changed != photo.changed:
            if then.sha256 and then.sha256 != sha256_or_nothing(folder / photo.file):
                changed.append(file)
            else:
                touched = True
    return Changes(sorted(here.keys() - before.keys()), sorted(before.keys() - here.keys()), changed, touched)


def with_times(known: Sequence[SeenPhoto], now: Sequence[PhotoFile]) -> list[SeenPhoto]:
    """A listing with the times that its photos have now: they need not be read another time."""
    times = {shown(photo.file): photo.changed for photo in now}
    return [replace(photo, changed=times[photo.file]) for photo in known]


def sha256_or_nothing(path: Path) -> str:
    """SHA-256 of a file's bytes; empty if it cannot be read."""
    try:
        return sha256_of(path)
    except OSError:
        return ""
