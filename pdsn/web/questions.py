"""Open questions: faces that wait for somebody to say who they are.

A question keeps the part of the photo around the face, since the answer enrols it. With the answer that picture is gone. Of a face
that was rejected a fingerprint is kept, which tells nothing about it but that it is the same.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pdsn.errors import PdsnError

MOST = 200
"""Open questions; with so many no further ones are kept."""
DAYS = 30
"""After so many days nobody will answer: the question is deleted."""
TABLES = """
CREATE TABLE IF NOT EXISTS question (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    face TEXT NOT NULL UNIQUE,
    asked TEXT NOT NULL,
    source TEXT NOT NULL,
    person INTEGER,
    photo INTEGER,
    cosine REAL,
    threshold REAL,
    covered TEXT NOT NULL,
    middle TEXT NOT NULL,
    picture BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS rejected (face TEXT PRIMARY KEY, answered TEXT NOT NULL);
"""
COLUMNS = "id, face, asked, source, person, photo, cosine, threshold, covered, middle"


@dataclass(frozen=True)
class Question:
    """A face that waits.

    Attributes:
        id: never given again.
        face: fingerprint of the aligned face.
        asked: when, UTC, ISO 8601.
        source: what the photo was called.
        person: id of whom it may show, None if of nobody.
        photo: id of that person's nearest photo.
        cosine: to that photo; None if nobody was enrolled.
        threshold: the cosine above which the person is named.
        covered: names of the covered regions.
        middle: of the face in the picture, x and y in pixels.
    """

    id: int
    face: str
    asked: str
    source: str
    person: int | None
    photo: int | None
    cosine: float | None
    threshold: float | None
    covered: list[str]
    middle: tuple[float, float]

    @classmethod
    def of(cls, row: Sequence[Any]) -> Question:
        """The question of a row of `COLUMNS`."""
        values: dict[str, Any] = dict(zip(COLUMNS.split(", "), row, strict=True))
        values["covered"] = json.loads(values["covered"])
        values["middle"] = tuple(json.loads(values["middle"]))
        return cls(**values)


class Questions:
    """The open questions, in an SQLite file of their own.

    Args:
        path: the file, made if missing.

    Raises:
        PdsnError: it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch(0o600)
        with self._open() as connection:
            for statement in filter(str.strip, TABLES.split(";")):
                connection.execute(statement)

    def ask(self, question: Question, picture: bytes) -> int | None:
        """Keep a question.

        Args:
            question: its id does not matter.
            picture: PNG of the face with what is around it.

        Returns:
            Its id, or that of the same face if it waits already; None if it was rejected before, or too many wait.
        """
        with self._open() as connection:
            known = connection.execute("SELECT id FROM question WHERE face = ?", (question.face,)).fetchone()
            if known is not None:
                return int(known[0])
            rejected = connection.execute(
                "SELECT 1 FROM rejected WHERE face = ?", (question.face,)
            ).fetchone()
            (count,) = connection.execute("SELECT count(*) FROM question").fetchone()
            if rejected is not None or count >= MOST:
                return None
            values = {
                "face": question.face,
                "asked": question.asked,
                "source": question.source,
                "person": question.person,
                "photo": question.photo,
                "cosine": question.cosine,
                "threshold": question.threshold,
                "covered": json.dumps(question.covered),
                "middle": json.dumps(question.middle),
                "picture": picture,
            }
            places = ", ".join(f":{name}" for name in values)
            return connection.execute(
                f"INSERT INTO question ({', '.join(values)}) VALUES ({places})", values
            ).lastrowid

    def waiting(self, is_there: Callable[[int], bool]) -> list[Question]:
        """The open questions, the oldest first.

        Those that may show somebody who is enrolled no more, and those that are too old, are deleted first.

        Args:
            is_there: whether a person is enrolled, by id.
        """
        oldest = (datetime.now(UTC) - timedelta(days=DAYS)).isoformat(timespec="seconds")
        with self._open() as connection:
            connection.execute("DELETE FROM question WHERE asked < ?", (oldest,))
            suggested = connection.execute("SELECT DISTINCT person FROM question WHERE person IS NOT NULL")
            gone = [row for row in suggested.fetchall() if not is_there(row[0])]
            connection.executemany("DELETE FROM question WHERE person = ?", gone)
            rows = connection.execute(f"SELECT {COLUMNS} FROM question ORDER BY id").fetchall()
        return [Question.of(row) for row in rows]

    def get(self, number: int) -> tuple[Question, bytes] | None:
        """A question and its picture; None if it is not open."""
        with self._open() as connection:
            row = connection.execute(
                f"SELECT {COLUMNS}, picture FROM question WHERE id = ?", (number,)
            ).fetchone()
        return None if row is None else (Question.of(row[:-1]), row[-1])

    def close(self, number: int, *, rejected: bool) -> None:
        """Delete a question with its picture; of a rejected one the same face is not asked about again."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._open() as connection:
            if rejected:
                connection.execute(
                    "INSERT OR REPLACE INTO rejected SELECT face, ? FROM question WHERE id = ?", (now, number)
                )
            connection.execute("DELETE FROM question WHERE id = ?", (number,))

    def settle(self, face: str) -> None:
        """Delete the question about a face that is recognised now."""
        with self._open() as connection:
            connection.execute("DELETE FROM question WHERE face = ?", (face,))

    def merged(self, person: int, into: int) -> list[int]:
        """Two people turn out to be one: let the questions that suggest the first suggest the second.

        Returns:
            Ids of these questions.
        """
        with self._open() as connection:
            rows = connection.execute("SELECT id FROM question WHERE person = ?", (person,)).fetchall()
            connection.execute("UPDATE question SET person = ? WHERE person = ?", (into, person))
        return [row[0] for row in rows]

    def suggest(self, numbers: Sequence[int], person: int) -> None:
        """Let questions, by their ids, suggest a person; those that are not open any more are left out."""
        with self._open() as connection:
            connection.executemany(
                "UPDATE question SET person = ? WHERE id = ?", [(person, number) for number in numbers]
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A change, done when the block ends well, not at all otherwise."""
        try:
            with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as connection:
                # What is deleted is overwritten, in the log of changes as well: it is emptied after each.
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("PRAGMA journal_mode = TRUNCATE")
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise PdsnError(
                f"{self.path} cannot be used ({error}): stop the server, delete it, and open questions begin anew"
            ) from error
