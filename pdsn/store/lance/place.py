"""Where a table of LanceDB is, and how it is reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from pdsn.errors import PdsnError, UsageError

SCHEME = "lance://"
TABLE = "people"
UNFINISHED = "unfinished"
"""An empty table, there while somebody is being removed: what finds it knows that a removal was killed."""


def is_lance(place: str | Path) -> bool:
    """Whether --people means a table of LanceDB."""
    return str(place).startswith(SCHEME)


def is_text(column: str, text: str) -> str:
    """The rows with a text in a column, in SQL."""
    return "{} = '{}'".format(column, text.replace("'", "''"))


class Place:
    """A database of LanceDB by its address: what follows `lance://` is a folder, or an object store's address.

    Args:
        address: `lance://people`, `lance:///data/people`, or `lance://s3://bucket/people`.

    Attributes:
        folder: the folder; None in an object store.

    Raises:
        UsageError: there is no address.
    """

    def __init__(self, address: str | Path) -> None:
        self.address = str(address)
        self.inner = self.address.removeprefix(SCHEME)
        if not self.inner.strip("/"):
            raise UsageError(
                f"--people {self.address}: say which folder, such as lance://team, or lance://s3://bucket/team"
            )
        self.folder = None if "://" in self.inner else Path(self.inner)

    def check_own(self) -> None:
        """Raise UsageError where the folder holds something else than tables."""
        if self.folder is None or not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise UsageError(f"--people {self.address} is a file: give a folder for the table")
        other = next((path for path in sorted(self.folder.iterdir()) if path.suffix != ".lance"), None)
        if other is not None:
            raise UsageError(
                f"--people {self.address} holds something else, {other.name}: give the table a folder of its own, "
                f"such as {self.address}-table"
            )

    def connect(self) -> Any:
        """The database. Whatever others write is seen at once.

        Raises:
            PdsnError: LanceDB is missing, or the database cannot be reached.
        """
        lancedb = _lancedb(self.address)
        with self.plainly():
            return lancedb.connect(self.inner, read_consistency_interval=timedelta(0))

    def open(self, name: str = TABLE) -> Any | None:
        """A table, None if there is none.

        Raises:
            PdsnError: see `connect`.
        """
        _lancedb(self.address)
        if self.folder is not None and not (self.folder / f"{name}.lance").is_dir():
            return None  # connecting would make the folder
        database = self.connect()
        with self.plainly():
            try:
                return database.open_table(name)
            except ValueError as error:
                if "not found" in str(error):
                    return None
                raise

    @contextmanager
    def plainly(self) -> Iterator[None]:
        """Within the block, errors of LanceDB are one line."""
        try:
            yield
        except PdsnError:
            raise
        except (ValueError, RuntimeError, OSError) as error:
            text = " ".join(str(error).split())[:200]
            raise PdsnError(
                f"--people {self.address} cannot be used ({text}): see to its folder or to access to the object store, then "
                "give the same command again"
            ) from error


def _lancedb(address: str) -> ModuleType:
    try:
        import lancedb
    except ImportError as error:
        raise PdsnError(f'--people {address} needs LanceDB: pip install "pdsn[scale]"') from error
    return lancedb
