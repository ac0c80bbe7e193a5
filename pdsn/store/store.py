"""A people store: who is enrolled, with which photos, and how that changes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import Any

from pdsn.errors import PdsnError, UsageError
from pdsn.store.codes import CODES, DEFAULT, encoded
from pdsn.store.database import Database
from pdsn.store.folder import check_place
from pdsn.store.following import follow, leave
from pdsn.store.insertion import NewPhoto, insert, now
from pdsn.store.names import (
    FormerNames,
    checked_name,
    find_person,
    forgotten,
    former_names,
    free,
    name_of,
    remember,
    taken,
)
from pdsn.store.provenance import check_made
from pdsn.store.records import PHOTO, PersonPhotos, PersonRecord, PhotoRecord, Twin, can_be_id, no_photo
from pdsn.store.vectors import Vectors

VECTORS = "vectors"
"""Under which name the provenance in the database says how embeddings are kept."""


class Store:
    """The people in a folder.

    Args:
        root: the folder; see `create` and `open`.
        made: what embeddings depend on, by name, as it was when the store was made; under `VECTORS` it says how they are kept.
        widths: numbers in each of a photo's embeddings.

    Attributes:
        made: what embeddings depend on, without `VECTORS`.
        kept_as: name in `codes.CODES`.

    Raises:
        PdsnError: a newer pdsn has made it.
    """

    def __init__(self, root: Path, made: Mapping[str, Any], widths: Sequence[int]) -> None:
        self.root = root
        self.made = dict(made)
        self.widths = list(widths)
        self.database = Database(root)
        # How embeddings are kept is the store's own: runs and workers, with whom `made` is compared, know nothing of it.
        self.kept_as: str = self.made.pop(VECTORS, DEFAULT)
        if self.kept_as not in CODES:
            raise PdsnError(f"--people {root} was written by a newer pdsn: update pdsn to use it")
        self.code = CODES[self.kept_as]
        self.vectors = Vectors(root, [self.code.size(width) for width in widths], self.code.ending)

    @staticmethod
    def exists(root: Path) -> bool:
        """Whether there is a store in a folder."""
        return Database(root).exists

    @classmethod
    def create(cls, root: Path, made: Mapping[str, Any], widths: Sequence[int]) -> Store:
        """Make an empty store, or open the one that is there.

        Raises:
            UsageError: something else is in the folder.
            PdsnError: it cannot be made, or another run's store is there.
        """
        check_place(root)
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PdsnError(
                f"--people {root} cannot be made ({error.strerror}): give another folder"
            ) from error
        database = Database(root)
        with database.alone():
            if not database.exists:
                database.create(now(), json.dumps(dict(made), sort_keys=True), json.dumps(list(widths)))
        return cls.open(root)

    @classmethod
    def open(cls, root: Path) -> Store:
        """Open a store.

        Raises:
            PdsnError: there is none, it is damaged, or from a newer pdsn.
        """
        database = Database(root)
        if not database.exists:
            raise PdsnError(
                f"--people {root}: there is no people store: make it with `pdsn enrol PHOTOS --people {quote(str(root))} --run RUN`"
            )
        with database.reading() as connection:
            made, widths = connection.execute("SELECT provenance, widths FROM store").fetchone()
        return cls(root, json.loads(made), json.loads(widths))

    def check_made(self, made: Mapping[str, Any], run: Path) -> None:
        """Raise PdsnError unless the store's embeddings can be compared with those of a run."""
        fresh = self.root.with_name(f"{self.root.name}-2")
        check_made(str(self.root), self.made, made, run, str(fresh))

    # Looking.

    def people(self) -> list[PersonRecord]:
        """Everybody, by name."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT person.id, name, count(photo.id), person.added FROM person JOIN photo ON photo.person = person.id "
                "GROUP BY person.id ORDER BY name"
            ).fetchall()
        return [PersonRecord(*row) for row in rows]

    def show(self, who: str | int) -> PersonPhotos:
        """A person with all photos.

        Args:
            who: the name, or the id.

        Raises:
            UsageError: there is nobody of that name.
        """
        with self.database.reading() as connection:
            number = find_person(connection, self.root, who)
            name, added = connection.execute(
                "SELECT name, added FROM person WHERE id = ?", (number,)
            ).fetchone()
            rows = connection.execute(
                f"SELECT {PHOTO} FROM photo JOIN person ON person.id = photo.person WHERE person.id = ? ORDER BY photo.id",
                (number,),
            ).fetchall()
            former = connection.execute("SELECT name FROM former WHERE person = ? ORDER BY rowid", (number,))
            names = [row[0] for row in former]
        photos = [PhotoRecord.of(row, self.root) for row in rows]
        return PersonPhotos(PersonRecord(number, name, len(photos), added), photos, names)

    def photo(self, number: int) -> PhotoRecord:
        """A photo by its id.

        Raises:
            UsageError: there is none.
        """
        with self.database.reading() as connection:
            return self._photo(connection, number)

    def photos(self, numbers: Collection[int]) -> list[PhotoRecord]:
        """Photos by their ids; those that were just removed are left out."""
        found = []
        with self.database.reading() as connection:
            for number in numbers:
                with suppress(UsageError):
                    found.append(self._photo(connection, number))
        return found

    def _photo(self, connection: sqlite3.Connection, number: int) -> PhotoRecord:
        if not can_be_id(number):
            raise no_photo(self.root, number)
        row = connection.execute(
            f"SELECT {PHOTO} FROM photo JOIN person ON person.id = photo.person WHERE photo.id = ?", (number,)
        ).fetchone()
        if row is None:
            raise no_photo(self.root, number)
        return PhotoRecord.of(row, self.root)

    def known(self, sha256: Sequence[str]) -> dict[str, Twin]:
        """Of files by their SHA-256 those that are enrolled."""
        found = {}
        with self.database.reading() as connection:
            for digest in sha256:
                row = connection.execute(
                    "SELECT person.name, source, photo.id FROM photo JOIN person ON person.id = photo.person WHERE sha256 = ?",
                    (digest,),
                ).fetchone()
                if row is not None:
                    found[digest] = Twin(*row)
        return found

    def former(self) -> dict[str, str]:
        """What those who had another name before are called now, by that name."""
        with self.database.reading() as connection:
            return former_names(connection)

    def counts(self) -> tuple[int, int]:
        """Number of people and of photos."""
        with self.database.reading() as connection:
            return (
                connection.execute("SELECT count(*) FROM person").fetchone()[0],
                connection.execute("SELECT count(*) FROM photo").fetchone()[0],
            )

    def sources(self, numbers: Collection[int]) -> dict[int, str]:
        """The files, as they were given, of photos by their ids; those that were just removed are left out."""
        with self.database.reading() as connection:
            rows = [
                connection.execute("SELECT id, source FROM photo WHERE id = ?", (number,)).fetchone()
                for number in numbers
            ]
        return dict(row for row in rows if row is not None)

    # Changing.

    def add(self, photos: Sequence[NewPhoto]) -> list[PhotoRecord | Twin]:
        """Enrol photos, all of them or none.

        Returns:
            The record of each; where the same face is enrolled already, that one.
        """
        outcomes: list[int | Twin] = []
        rows = encoded(self.code, self.widths, [photo.vectors for photo in photos])
        with self._changing():
            with self.database.writing() as connection:
                former = FormerNames(former_names(connection))
                for photo, vectors in zip(photos, rows, strict=True):
                    outcomes.append(insert(self.database, connection, photo, vectors, former))
            follow(self, moved=False, empty=[])
        with self.database.reading() as connection:
            return [one if isinstance(one, Twin) else self._photo(connection, one) for one in outcomes]

    def rename(self, who: str | int, new: str) -> None:
        """Call a person something else; the name until now stays known as a former one.

        Raises:
            UsageError: there is nobody of the old name, or somebody of the new one.
        """
        new = checked_name(new)
        with self._changing():
            with self._naming() as connection:
                number = find_person(connection, self.root, who)
                other = connection.execute("SELECT id FROM person WHERE name = ?", (new,)).fetchone()
                if other is not None and other[0] != number:
                    raise taken(self.root, name_of(connection, number), new)
                remember(connection, name_of(connection, number), number)
                free(connection, new, number)
                connection.execute("UPDATE person SET name = ? WHERE id = ?", (new, number))
            follow(self, moved=True, empty=[])

    def merge(self, who: str | int, into: str | int) -> None:
        """Give all photos of a person to another one, who is then both, and whose former name the first one is.

        Raises:
            UsageError: there is nobody of one of the names, or both are one.
        """
        with self._changing():
            with self._naming() as connection:
                number, target = (
                    find_person(connection, self.root, who),
                    find_person(connection, self.root, into),
                )
                if number == target:
                    raise UsageError(f"{name_of(connection, number)} cannot be merged into the same person")
                connection.execute("UPDATE photo SET person = ? WHERE person = ?", (target, number))
                connection.execute("UPDATE former SET person = ? WHERE person = ?", (target, number))
                remember(connection, name_of(connection, number), target)
                connection.execute("DELETE FROM person WHERE id = ?", (number,))
            follow(self, moved=True, empty=[])

    def forget(self, name: str) -> dict[str, str]:
        """Forget a former name, in any spelling, with every trace.

        Returns:
            What those are called who had it, by the name that was kept.

        Raises:
            UsageError: nobody had it.
        """
        with self._changing():
            with self._naming() as connection:
                found = forgotten(self.root, name, former_names(connection))
                connection.executemany("DELETE FROM former WHERE name = ?", [(old,) for old in found])
            follow(self, moved=True, empty=[])
        return found

    def remove(self, who: str | int) -> int:
        """Remove a person, with every trace.

        Returns:
            Number of photos that were removed.

        Raises:
            UsageError: there is nobody of that name.
        """
        with self._changing():
            with self._naming() as connection:
                number = find_person(connection, self.root, who)
                photos = connection.execute("SELECT id FROM photo WHERE person = ?", (number,)).fetchall()
                empty = leave(connection, [row[0] for row in photos])
                connection.execute("DELETE FROM person WHERE id = ?", (number,))
            follow(self, moved=True, empty=empty)
        return len(photos)

    def remove_photo(self, number: int) -> bool:
        """Remove a photo, with every trace; of a person with no other photo the person, too.

        Returns:
            Whether the person is still there.

        Raises:
            UsageError: there is no such photo.
        """
        with self._changing():
            with self._naming() as connection:
                person = self._photo(connection, number).person
                empty = leave(connection, [number])
                connection.execute("DELETE FROM photo WHERE id = ?", (number,))
                (left,) = connection.execute(
                    "SELECT count(*) FROM photo WHERE person = ?", (person,)
                ).fetchone()
                if not left:
                    connection.execute("DELETE FROM person WHERE id = ?", (person,))
            follow(self, moved=True, empty=empty)
        return bool(left)

    @contextmanager
    def _naming(self) -> Iterator[sqlite3.Connection]:
        """A change of who is called what, or there at all."""
        with self.database.writing() as connection:
            yield connection
            connection.execute("UPDATE store SET naming = naming + 1")

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Nobody else changes the store while the block runs; what a killed change has left is made good first."""
        unfinished = self.database.unfinished
        with self.database.alone():
            if unfinished.exists():
                follow(self, moved=True, empty=None)
            yield
            unfinished.unlink(missing_ok=True)

    def tidy(self) -> bool:
        """Make good what a killed change has left.

        Returns:
            Whether a change was killed.
        """
        with self.database.alone():
            killed = self.database.unfinished.exists()
            follow(self, moved=True, empty=None if killed else [])
            self.database.unfinished.unlink(missing_ok=True)
        return killed

    def follow(self, patience: float) -> None:
        """Bring the arrays up to date, if nobody changes the store meanwhile.

        Raises:
            PdsnError: somebody does for more than so many seconds.
            OSError: it cannot be written to.
        """
        with self.database.alone(patience):
            follow(self, moved=False, empty=[])
