"""Whether the embeddings of a store are those of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from pdsn.errors import PdsnError


def check_made(
    store: str, known: Mapping[str, Any], made: Mapping[str, Any], run: Path, another: str
) -> None:
    """Raise PdsnError unless embeddings of a store can be compared with those of a run.

    Args:
        store: the store, as --people names it.
        known: what its embeddings depend on, by name, as it was when the store was made.
        made: the same of the run.
        run: the run directory.
        another: a place for another store.
    """
    asked = json.loads(json.dumps(dict(made)))
    other = [name for name in asked if asked[name] != known.get(name)]
    if other:
        strategy, then = asked.get("strategy"), known.get("strategy")
        words = f"--people {quote(another)} --run {quote(str(run))}{f' --strategy {strategy}' if strategy else ''}"
        # What comes before it, base and head, is the same: the store can be used as it is.
        easier = f"give --strategy {then}, or " if other[0] == "strategy" and then else ""
        raise PdsnError(
            f"--people {store} was enrolled with another {other[0]} than that of {run}, and embeddings of two cannot be "
            f"compared: {easier}enrol the photos anew with `pdsn enrol PHOTOS {words}`"
        )
