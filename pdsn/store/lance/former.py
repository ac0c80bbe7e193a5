"""Names that people of a table had before: a column with a JSON list, the same in all rows of a person, null without any."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from pdsn.data.photos import normal_name
from pdsn.store.lance.place import is_text

FORMER = "former"


def former_names(table: Any) -> dict[str, list[str]]:
    """The former names of those who have any, by person."""
    if FORMER not in table.schema.names:
        return {}
    rows = table.search().select(["person", FORMER]).where(f"{FORMER} IS NOT NULL").to_arrow()
    return {row["person"]: json.loads(row[FORMER]) for row in rows.to_pylist()}


def by_former(names: dict[str, list[str]]) -> dict[str, str]:
    """What is in `former_names` the other way round: what people are called now, by former name."""
    return {old: name for name, old_ones in names.items() for old in old_ones}


def written(names: Sequence[str]) -> str | None:
    """Former names as a row has them."""
    return json.dumps(names) if names else None


def call(table: Any, name: str, new: str) -> None:
    """Give a person a new name, which is nobody's former name any more; of others in no spelling, see `normal_name`.

    The others come last: where a command is killed before, no name is lost, and a name of today goes before a former one.
    """
    lists = former_names(table)
    names = [one for one in (*lists.pop(name, []), name) if one != new]
    table.update(where=is_text("person", name), values={"person": new, FORMER: written(names)})
    drop(table, [one for names in lists.values() for one in names if normal_name(one) == normal_name(new)])


def drop(table: Any, gone: Collection[str]) -> None:
    """Forget some former names, whosoever they are, written as they are kept."""
    for name, names in former_names(table).items():
        left = [one for one in names if one not in gone]
        if left != names:
            table.update(where=is_text("person", name), values={FORMER: written(left)})


def make_one(table: Any, name: str, target: str) -> None:
    """Give all photos of a person to another one, of whom both have been."""
    lists = former_names(table)
    names = [*lists.get(target, []), *lists.get(name, []), name]
    both = f"{is_text('person', name)} OR {is_text('person', target)}"
    table.update(where=both, values={"person": target, FORMER: written(names)})
