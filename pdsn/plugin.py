"""A base or a matcher as a plug-in: one file, and one line in a table. Standard library only.

The table maps a name to the module that holds it (`pdsn.bases.table`, `pdsn.matchers.table`). That module has a
`PLUGIN`, and is imported when it is first used: `pdsn --help` waits for no network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pdsn.errors import UsageError, unknown


@dataclass(frozen=True)
class Plugin:
    """What pdsn has to know of a base or a matcher.

    Attributes:
        name: as in the table, and of its section in a configuration file, `[name]`.
        help: what it is, in one line.
        paper: where it comes from: authors, title, year; "" for what is pdsn's own.
        settings: a dataclass of its settings, all with defaults; None where it has none.
        needs: stages that have to be done before it, such as "base-train" or "segment-train".
        train: called with the workspace, the settings and the folder to train into; gives the kept epoch's figures.
            None where there is nothing to train.
        load: of a base, its network without weights, from the settings that lie beside them; of a matcher, called with
            the workspace and the folder of what was trained (None where nothing is), the matcher.
        check: called with the settings before anything is read or written; raises PdsnError where they cannot be used.
    """

    name: str
    help: str
    paper: str
    settings: type | None
    needs: tuple[str, ...]
    train: Callable[..., dict[str, float]] | None
    load: Callable[..., Any]
    check: Callable[[Any], None] | None = None


def find_plugin(table: Mapping[str, str], name: str, option: str) -> Plugin:
    """The plug-in of a name.

    Args:
        table: name to module.
        name: of the plug-in.
        option: which asks for it, for the message, such as "--matcher".

    Raises:
        UsageError: there is none of that name.
    """
    if name not in table:
        raise UsageError(f"{option} {name} {unknown(tuple(table))}")
    plugin: Plugin = import_module(table[name]).PLUGIN
    return plugin
