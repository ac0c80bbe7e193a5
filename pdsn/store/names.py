"""People of a store by name."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from shlex import quote

from pdsn.data.photos import normal_name, person_of
from pdsn.errors import UsageError
from pdsn.people.gallery import readable
from pdsn.store.records import can_be_id

LONGEST_NAME = 200


def plain_name(name: str) -> str:
    """A name that was given, as it would be kept."""
    return person_of(readable(name)).strip()


def checked_name(name: str) -> str:
    """A person's name as it is kept.

    Raises:
        UsageError: nobody can be called so.
    """
    clean = plain_name(name)
    if not clean or len(clean) > LONGEST_NAME or not clean.isprintable():
        raise UsageError(f"{clean[:40]!r} is no name: give 1 to {LONGEST_NAME} letters on one line")
    return clean


class FormerNames:
    """The names that people of a store had before; a name counts in any spelling, see `normal_name`.

    Args:
        former: what people are called now, by former name.
    """

    def __init__(self, former: Mapping[str, str]) -> None:
        self._exact = former
        self._normal: dict[str, str] = {}
        for old, now in former.items():
            self._normal.setdefault(normal_name(old), now)

    def now(self, name: str) -> str | None:
        """What somebody is called now who had a name before; None where nobody had it."""
        return self._exact.get(name) or self._normal.get(normal_name(name))

    def meant(self, name: str, people: Container[str]) -> str:
        """Whom a name means: whoever of some people is called so; else whoever was; else somebody new.

        Args:
            name: as it would be kept.
            people: what people are called now.
        """
        return name if name in people else self.now(name) or name


def find_person(connection: sqlite3.Connection, root: Path, who: str | int) -> int:
    """The id of a person, given by name or id.

    Raises:
        UsageError: there is nobody of that name; the line says who is called much the same.
    """
    column = "id" if isinstance(who, int) else "name"
    name = who if isinstance(who, int) else plain_name(who)
    row = None
    if isinstance(name, str) or can_be_id(name):
        row = connection.execute(f"SELECT id FROM person WHERE {column} = ?", (name,)).fetchone()
    if row is None:
        now = connection.execute(
            "SELECT person.name FROM former JOIN person ON person.id = former.person WHERE former.name = ?",
            (str(name),),
        ).fetchone()
        if now is not None:
            raise renamed(root, str(name), now[0])
        names = [row[0] for row in connection.execute("SELECT name FROM person LIMIT 10000")]
        raise nobody(root, who, names)
    return int(row[0])


def nobody(root: Path | str, who: str | int, names: Sequence[str]) -> UsageError:
    """Says that nobody of a store is called so, and who of some names is called much the same."""
    found = get_close_matches(str(who), names, 1)
    near = f", but {found[0]}" if found else ""
    return UsageError(
        f"--people {root} has nobody called {who}{near}: `pdsn people list --people {quote(str(root))}` names all"
    )


def renamed(root: Path | str, who: str, now: str) -> UsageError:
    """Says that nobody of a store is called so any more, and who was."""
    return UsageError(
        f"--people {root} has nobody called {who} any more: it is a former name of {now}, which {how_to_forget(root, who)} forgets"
    )


def taken(root: Path | str, who: str, new: str) -> UsageError:
    """Says that somebody cannot be renamed, since another one has the name."""
    return UsageError(
        f"--people {root} has {new} already: if both are one person, {how_to_merge(root, who, new)}"
    )


def how_to_merge(root: Path | str, who: str, into: str) -> str:
    """Says what makes two people of a store one."""
    return f"use `pdsn people merge {quote(who)} {quote(into)} --people {quote(str(root))}`"


def former_names(connection: sqlite3.Connection) -> dict[str, str]:
    """What those who had another name before are called now, by that name."""
    rows = connection.execute(
        "SELECT former.name, person.name FROM former JOIN person ON person.id = former.person ORDER BY former.rowid"
    )
    return dict(rows.fetchall())


def how_to_forget(root: Path | str, name: str) -> str:
    """The command that has a store forget a former name."""
    return f"`pdsn people forget {quote(name)} --people {quote(str(root))}`"


def forgotten(root: Path | str, name: str, former: Mapping[str, str]) -> dict[str, str]:
    """Of some former names those that are one name in any spelling.

    Raises:
        UsageError: there is none.
    """
    found = {old: now for old, now in former.items() if normal_name(old) == normal_name(plain_name(name))}
    if not found:
        raise UsageError(
            f"--people {root} has no former name {name}: `pdsn people show NAME --people {quote(str(root))}` names those of a person"
        )
    return found


def how_to_remove(root: Path | str, number: int) -> str:
    """The command that removes a photo of a store."""
    return f"`pdsn people remove --photo {number} --people {quote(str(root))}`"


def remember(connection: sqlite3.Connection, name: str, number: int) -> None:
    """Note a name that a person is about to lose, within a change."""
    connection.execute("INSERT OR REPLACE INTO former (name, person) VALUES (?, ?)", (name, number))


def free(connection: sqlite3.Connection, name: str, number: int) -> None:
    """Forget a name that a person is about to have as a former one, within a change; of others in every spelling."""
    for old, person in connection.execute("SELECT name, person FROM former").fetchall():
        if old == name or (person != number and normal_name(old) == normal_name(name)):
            connection.execute("DELETE FROM former WHERE name = ?", (old,))


def how_to_rename(root: Path | str, who: str, new: str) -> str:
    """Says what gives a person of a store another name; where that is somebody's, the command says how to merge."""
    return f"use `pdsn people rename {quote(who)} {quote(new)} --people {quote(str(root))}`"


def name_of(connection: sqlite3.Connection, number: int) -> str:
    """What a person is called."""
    return str(connection.execute("SELECT name FROM person WHERE id = ?", (number,)).fetchone()[0])
