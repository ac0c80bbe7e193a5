"""People of a store by name."""

from __future__ import annotations

import sqlite3
from difflib import get_close_matches
from pathlib import Path
from shlex import quote

from pdsn.data.photos import person_of
from pdsn.errors import UsageError
from pdsn.people.gallery import readable

LONGEST_NAME = 200


def checked_name(name: str) -> str:
    """A person's name as it is kept.

    Raises:
        UsageError: nobody can be called so.
    """
    clean = person_of(readable(name)).strip()
    if not clean or len(clean) > LONGEST_NAME or not clean.isprintable():
        raise UsageError(f"{clean[:40]!r} is no name: give 1 to {LONGEST_NAME} letters on one line")
    return clean


def find_person(connection: sqlite3.Connection, root: Path, who: str | int) -> int:
    """The id of a person, given by name or id.

    Raises:
        UsageError: there is nobody of that name; the line says who is called much the same.
    """
    column = "id" if isinstance(who, int) else "name"
    name = who if isinstance(who, int) else person_of(readable(who)).strip()
    row = connection.execute(f"SELECT id FROM person WHERE {column} = ?", (name,)).fetchone()
    if row is None:
        near = _similar(connection, str(who))
        raise UsageError(
            f"--people {root} has nobody called {who}{near}: `pdsn people list --people {quote(str(root))}` names all"
        )
    return int(row[0])


def name_of(connection: sqlite3.Connection, number: int) -> str:
    """What a person is called."""
    return str(connection.execute("SELECT name FROM person WHERE id = ?", (number,)).fetchone()[0])


def _similar(connection: sqlite3.Connection, who: str) -> str:
    """ ", but Ann" where somebody is called much the same."""
    names = [row[0] for row in connection.execute("SELECT name FROM person LIMIT 10000")]
    found = get_close_matches(who, names, 1)
    return f", but {found[0]}" if found else ""
