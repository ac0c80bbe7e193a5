"""The kinds of stores: a folder with SQLite and arrays, or a table of LanceDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pdsn.errors import UsageError
from pdsn.store.checking import CheckReport, check_store
from pdsn.store.codes import CODES, DEFAULT
from pdsn.store.folder import check_place
from pdsn.store.folder_snapshot import FolderSnapshot
from pdsn.store.lance.place import Place, is_lance
from pdsn.store.lance.table import LanceStore
from pdsn.store.snapshot import Snapshot
from pdsn.store.store import VECTORS, Store

AnyStore = Store | LanceStore


def open_store(place: str | Path, *, by_index: bool = False) -> AnyStore:
    """Open a store.

    Args:
        place: a folder, or the address of a table, `lance://…`.
        by_index: search asks the table's index.

    Raises:
        UsageError: a folder has no index.
        PdsnError: there is no store, or it cannot be used.
    """
    if is_lance(place):
        return LanceStore.open(place, by_index=by_index)
    if by_index:
        raise UsageError(f"--index is for tables, lance://…: {place} is searched exactly, leave it out")
    return Store.open(Path(place))


def create_store(
    place: str | Path, made: Mapping[str, Any], widths: Sequence[int], vectors: str | None = None
) -> AnyStore:
    """Make an empty store, or open the one that is there; see `Store.create`, and for `vectors` `check_vectors`."""
    if is_lance(place):
        return LanceStore.create(place, made, widths)
    return Store.create(Path(place), {**made, VECTORS: vectors or DEFAULT}, widths)


def store_exists(place: str | Path) -> bool:
    """Whether there is a store."""
    return LanceStore.exists(place) if is_lance(place) else Store.exists(Path(place))


def folder_of(place: str | Path) -> Path | None:
    """The folder that a store is in; None in an object store."""
    return Place(place).folder if is_lance(place) else Path(place)


def check_free(place: str | Path) -> None:
    """Raise UsageError where something else than a store is in the way."""
    if is_lance(place):
        Place(place).check_own()
    else:
        check_place(Path(place))


def current(store: AnyStore, known: Snapshot | None, comparison: str) -> Snapshot:
    """The store as it is now: what is known of it, if nothing has changed since."""
    if known is not None and known.is_current:
        return known
    if isinstance(store, LanceStore):
        from pdsn.store.lance.snapshot import LanceSnapshot

        return LanceSnapshot(store, comparison)
    return FolderSnapshot(store, comparison)


def check_vectors(place: str | Path, vectors: str | None) -> None:
    """Raise UsageError unless a store keeps embeddings so, or can be made so.

    Args:
        place: the store's.
        vectors: name in `codes.CODES`; None for whatever it is, `codes.DEFAULT` in a new store.
    """
    if vectors is None:
        return
    if vectors not in CODES:
        raise UsageError(f"--vectors {vectors}: give {' or '.join(CODES)}")
    if is_lance(place):
        if vectors != DEFAULT:
            raise UsageError(
                f"--people {place} keeps embeddings as {DEFAULT}, as every table does: leave --vectors {vectors} out"
            )
    elif store_exists(place):
        check_kept_as(Store.open(Path(place)), vectors)


def check_kept_as(store: AnyStore, vectors: str | None) -> None:
    """Raise UsageError unless a store that is there keeps embeddings as asked for; see `check_vectors`."""
    if isinstance(store, Store) and vectors not in (None, store.kept_as):
        raise UsageError(
            f"--people {store.root} keeps embeddings as {store.kept_as}, and a store has them all alike: leave --vectors {vectors} "
            "out, or enrol everybody anew into another folder"
        )


def check_kept(store: AnyStore) -> CheckReport:
    """Whether everything in a store is as it must be."""
    if isinstance(store, LanceStore):
        from pdsn.store.lance.checking import check_table

        return check_table(store)
    return check_store(store)


def make_index(store: AnyStore, on_progress: Callable[[int, int], None] | None = None) -> int:
    """Make the index of a table, see `pdsn.store.lance.index.make_index`; a folder has none."""
    if not isinstance(store, LanceStore):
        raise UsageError(f"--people {store.root}: a store in a folder has no index, and needs none")
    from pdsn.store.lance import index

    return index.make_index(store, on_progress)
