"""Proof that a table is as it must be."""

from __future__ import annotations

import numpy as np

from pdsn.store.checking import NORM, CheckReport
from pdsn.store.lance.rows import column, digest_of, number_of, vectors_of
from pdsn.store.lance.table import LanceStore

PART = 4096
"""Rows that are looked at together."""


def check_table(store: LanceStore) -> CheckReport:
    """Finish a removal that was killed, then look at every row of a table.

    Raises:
        PdsnError: the table cannot be read at all, or another command changes it.
    """
    tidied = (
        ["a command was killed while it removed somebody: what it had not finished is"]
        if store.tidy()
        else []
    )
    wrong: list[str] = []
    seen: set[int] = set()
    people: set[str] = set()
    names = [column(place) for place in range(len(store.widths))]
    with store.place.plainly():
        query = store.table().search().select(["id", "person", "pixels_sha256", "box", "digest", *names])
        for part in query.to_batches(PART):
            vectors = [vectors_of(part[name]) for name in names]
            lengths = np.stack([np.linalg.norm(one.astype(np.float32), axis=1) for one in vectors], 1)
            whole = np.concatenate(vectors, axis=1)
            about = part.select(["id", "person", "pixels_sha256", "box", "digest"]).to_pylist()
            for row, known in enumerate(about):
                number = known["id"]
                if number in seen:
                    wrong.append(f"photo {number} is there twice: remove it, and enrol it anew")
                if number != number_of(known["pixels_sha256"], known["box"]):
                    wrong.append(f"the id of photo {number} is another's: remove it, and enrol it anew")
                if digest_of(whole[row]) != known["digest"]:
                    wrong.append(
                        f"the embeddings of photo {number} are damaged: remove it, and enrol it anew"
                    )
                elif not np.all(np.abs(lengths[row] - 1) < NORM):
                    wrong.append(
                        f"the embeddings of photo {number} are no unit vectors: remove it, and enrol it anew"
                    )
                seen.add(number)
                people.add(known["person"])
    return CheckReport(len(people), len(seen), tidied, wrong)
