"""An index over a table's vectors: it tells which photos may be near, and these are compared exactly.

The index (IVF with 8 bits a number) has a part for each of some groups of vectors; a question looks into the nearest groups
alone. What it overlooks is not found: `tests/benchmarks/lance.py` measures how often that is.
"""

from __future__ import annotations

from collections.abc import Callable
from shlex import quote
from typing import Any

import numpy as np

from pdsn.errors import PdsnError, UsageError
from pdsn.store.lance.rows import column
from pdsn.store.lance.table import LanceStore

LEAST = 5000
"""Photos from which on an index pays: fewer are compared with one by one in a few milliseconds."""
CANDIDATES = 200
"""Photos that are compared exactly, of those that the index finds near."""
ASKED = 0.3
"""Share of the groups that a question looks into, at least `GROUPS`."""
GROUPS = 16


def make_index(store: LanceStore, on_progress: Callable[[int, int], None] | None = None) -> int:
    """Make the index of every signature's vectors, or bring it up to date.

    Args:
        store: the store.
        on_progress: told the signatures done and those in all.

    Returns:
        Number of photos in it.

    Raises:
        UsageError: there are too few photos for one.
    """
    from lancedb.index import IvfSq

    with store.changing() as table:
        count = int(table.count_rows())
        if count < LEAST:
            raise UsageError(
                f"--people {store.root} has {count} photos, and an index pays from {LEAST} on: search without one"
            )
        known = {index.columns[0]: index for index in table.list_indices()}
        for place in range(len(store.widths)):
            name = column(place)
            if name not in known or known[name].num_unindexed_rows:
                # Few rounds over a sample: what a vector is near to within its group is all that matters.
                config = IvfSq("cosine", num_partitions=groups_of(count), max_iterations=10, sample_rate=64)
                table.create_index(name, config=config, name=name)
            if on_progress is not None:
                on_progress(place + 1, len(store.widths))
    return count


def groups_of(count: int) -> int:
    """Groups of so many photos: the root of their number."""
    return int(np.clip(round(count**0.5), 1, 4096))


def check_index(store: LanceStore, table: Any, comparison: str) -> None:
    """Raise PdsnError unless a table can be asked by its index."""
    if comparison != "nearest":
        raise UsageError(
            f"--index finds nearest photos, and the run compares with {comparison} under [eval] compare: leave --index out"
        )
    known = {index.columns[0] for index in table.list_indices()}
    if all(column(place) in known for place in range(len(store.widths))):
        return
    if table.count_rows() < LEAST:
        raise UsageError(
            f"--people {store.root} has fewer than {LEAST} photos, and no index: leave --index out"
        )
    raise PdsnError(
        f"--people {store.root} has no index: make it with `pdsn people index --people {quote(store.root)}`, or leave --index out"
    )


def ask(table: Any, place: int, probes: np.ndarray) -> list[np.ndarray]:
    """The ids of the photos that the index of a signature finds nearest to each of P probes.

    Photos that were enrolled after it was made are found, too.

    Args:
        table: the table.
        place: number of the signature.
        probes: (P, E) float32.
    """
    groups = groups_of(table.count_rows())
    found = []
    for probe in probes:
        query = table.search(probe, vector_column_name=column(place)).distance_type("cosine")
        query = query.nprobes(min(max(round(ASKED * groups), GROUPS), groups)).limit(CANDIDATES)
        found.append(query.select(["id", "_distance"]).to_arrow()["id"].to_numpy())
    return found
