"""The database of a people store: SQLite, changed by one command at a time, read by any number meanwhile.

A change is a transaction: a killed process leaves it done or not begun. What follows from it outside of the database,
such as arrays and pictures, is made good by the next command that changes the store, see `Database.unfinished`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pdsn.errors import PdsnError
from pdsn.files import sole_use

NAME = "people.sqlite"
APPLICATION = 0x5044534E
"""Written into the file: "PDSN", so that no other database passes for a store."""
PATIENCE = 30.0
"""Seconds that a command waits for another one that changes the store."""
MIGRATIONS = (
    """
    CREATE TABLE store (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        made TEXT NOT NULL,
        provenance TEXT NOT NULL,
        widths TEXT NOT NULL,
        generation INTEGER NOT NULL DEFAULT 0,
        epoch INTEGER NOT NULL DEFAULT 0,
        naming INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE person (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        added TEXT NOT NULL
    );
    CREATE TABLE photo (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        person INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
        source TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        pixels_sha256 TEXT NOT NULL,
        box TEXT NOT NULL,
        probability REAL NOT NULL,
        size REAL NOT NULL,
        sharpness REAL NOT NULL,
        pose REAL NOT NULL,
        covered TEXT NOT NULL,
        notes TEXT NOT NULL,
        added TEXT NOT NULL,
        crop TEXT,
        counts BLOB,
        UNIQUE (pixels_sha256, box)
    );
    CREATE INDEX photo_person ON photo (person);
    CREATE INDEX photo_sha256 ON photo (sha256);
    CREATE TABLE embedding (
        photo INTEGER PRIMARY KEY REFERENCES photo (id) ON DELETE CASCADE,
        sha256 TEXT NOT NULL,
        vectors BLOB NOT NULL,
        pixels BLOB
    );
    """,
    "CREATE TABLE gone (row INTEGER PRIMARY KEY)",
    """
    CREATE TABLE former (
        name TEXT PRIMARY KEY,
        person INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE
    );
    CREATE INDEX former_person ON former (person)
    """,
)
"""What makes each version of the tables out of the one before; the number of the last stands in the file. Who changes an older store
brings it up to date, who reads it leaves it as it is.

In `store` generation counts changes of any kind, epoch those that move rows of the arrays, naming those of who is called what.
In `photo` box, covered and notes are JSON, and counts are covered pixels by region, NULL where no pixel is covered; in `embedding`
vectors are those of all signatures one after the other, see `codes`, and pixels the covered ones, packed. In `gone` are the rows of the
arrays whose photos were removed in this epoch, in `former` the names that people had before they were renamed or merged; whoever is
called so now takes the name from there."""
LATER = {
    2: "CREATE TEMP TABLE gone (row INTEGER PRIMARY KEY)",
    3: "CREATE TEMP TABLE former (name TEXT PRIMARY KEY, person INTEGER)",
}
"""What stands in, while a store is read, for a table that came with a later version than the store's: there it would be empty."""


class Database:
    """The database in the folder of a store.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / NAME
        self.unfinished = root / "unfinished"
        """There while the store is changed: what finds it at the start of a change knows that the last one was killed."""

    @property
    def exists(self) -> bool:
        """Whether there is a finished database."""
        return self.path.is_file() and self._version() > 0

    def _version(self) -> int:
        with self._plainly(), closing(self._connect()) as connection:
            return int(connection.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A look at the store as it is at one moment, whatever others write meanwhile.

        Raises:
            PdsnError: it is damaged, or from a newer pdsn.
        """
        with self._plainly(), closing(self._connect()) as connection:
            connection.execute("BEGIN")
            version = self._checked_version(connection)
            connection.execute("PRAGMA temp_store = MEMORY")
            for since, empty in LATER.items():
                if version < since:
                    connection.execute(empty)
            connection.execute("PRAGMA query_only = ON")
            yield connection

    @contextmanager
    def alone(self, patience: float | None = None) -> Iterator[None]:
        """See `alone`."""
        with alone(self.root, patience):
            yield

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A change, done when the block ends well, not at all otherwise; to be used within `alone`.

        From then on the store is `unfinished`, until what follows from the change is done, too.
        """
        with self._plainly(), closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._update(connection, self._checked_version(connection))
                yield connection
                connection.execute("UPDATE store SET generation = generation + 1")
                self.unfinished.touch()
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def create(self, made: str, provenance: str, widths: str) -> None:
        """Make the tables; to be used within `alone`."""
        with self._plainly(), closing(self._connect()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute("BEGIN IMMEDIATE")
            self._update(connection, 0)
            connection.execute(
                "INSERT INTO store (id, made, provenance, widths) VALUES (1, ?, ?, ?)",
                (made, provenance, widths),
            )
            connection.execute("COMMIT")

    def forget(self) -> bool:
        """Have nothing of what was deleted left in the files beside the database; to be used within `alone`.

        What was deleted is overwritten in the database itself (`secure_delete`); the log still has it until it is emptied.

        Returns:
            Whether the log is empty: it is not while somebody reads for longer than the patience.
        """
        with self._plainly(), closing(self._connect()) as connection:
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
        # Each change is on the disk when it is done, not only at the next checkpoint.
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _checked_version(self, connection: sqlite3.Connection) -> int:
        """The version of the tables, which may be an older one; to be asked within a transaction, so that it stays."""
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        application = int(connection.execute("PRAGMA application_id").fetchone()[0])
        if application != APPLICATION:
            raise PdsnError(f"{self.path} is no people store: give --people another folder")
        if found > len(MIGRATIONS):
            raise PdsnError(f"{self.path} was written by a newer pdsn: update pdsn to use it")
        return found

    def _update(self, connection: sqlite3.Connection, version: int) -> None:
        """Bring tables of a version up to date, within a change."""
        for script in MIGRATIONS[version:]:
            for statement in script.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        """Within the block, errors of SQLite are one line."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            text = str(error)
            if "locked" in text or "busy" in text:
                cure = "another program has it open: close that, then give the same command again"
            elif "full" in text:
                cure = "free space, then give the same command again"
            elif "readonly" in text or "unable to open" in text:
                cure = "make the folder writable"
            else:
                cure = "restore it from a backup, or enrol everybody anew into another folder"
            raise PdsnError(f"{self.path} cannot be used ({text}): {cure}") from error


@contextmanager
def alone(root: Path, patience: float | None = None) -> Iterator[None]:
    """Keep others from changing the store in a folder while the block runs; a killed process keeps nobody out.

    Args:
        root: the folder.
        patience: seconds to wait for another one; None for `PATIENCE`.

    Raises:
        PdsnError: another command is still at it after so many seconds.
    """
    patience = PATIENCE if patience is None else patience
    until = time.monotonic() + patience
    while True:
        with sole_use(root) as sole:
            if sole:
                yield
                return
        if time.monotonic() >= until:
            raise PdsnError(
                f"--people {root} is being changed by another command for more than {patience:.0f} s: "
                "give the same command again when that has ended"
            )
        time.sleep(0.05)
