"""What may lie in the folder of a people store."""

from __future__ import annotations

from pathlib import Path

from pdsn.errors import UsageError
from pdsn.store.database import NAME
from pdsn.store.following import SCORES
from pdsn.store.insertion import CROPS
from pdsn.store.vectors import FOLDER


def check_place(root: Path) -> None:
    """Raise UsageError where a folder holds something else than a store."""
    if root.is_file():
        raise UsageError(f"--people {root} is a file: give a folder for the store")
    if not root.is_dir() or (root / NAME).is_file():
        return
    own = {CROPS, SCORES, FOLDER, "unfinished"}
    other = next((path for path in sorted(root.iterdir()) if path.name not in own), None)
    if other is not None:
        raise UsageError(
            f"--people {root} holds something else, {other.name}: give the store a folder of its own, such as {root}-store"
        )
