"""Which photos are trained on, which are for validation, and which for the test: split per photo, or by person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SPLITS = ("train", "val", "test")


def split_photos(people: Sequence[str], seed: int) -> list[str]:
    """Split per photo: floor(.7 n) of each person's n photos train, up to floor(.85 n) val, the rest test.

    On LFW-10 this gives 2959 / 647 / 718 photos (Johnston & Ngxande, section 4.2).

    Args:
        people: the person of each photo.
        seed: the split seed; the same seed and photos give the same split.

    Returns:
        "train", "val" or "test" for each photo.
    """
    names = np.asarray(people)
    split = np.empty(len(names), dtype="<U5")
    for index, name in enumerate(sorted(set(people))):
        rows = np.flatnonzero(names == name)
        order = np.random.default_rng((seed, index)).permutation(rows)
        first, second = 7 * len(rows) // 10, 17 * len(rows) // 20
        split[order[:first]], split[order[first:second]], split[order[second:]] = SPLITS
    return [str(name) for name in split]


def split_people(people: Sequence[str], seed: int) -> list[str]:
    """Split by person: 70 % of the people train, 15 % val, the rest test; all photos of one alike."""
    names = sorted(set(people))
    order = np.random.default_rng((seed, len(names), 1)).permutation(len(names))
    first, second = 7 * len(names) // 10, 17 * len(names) // 20
    part = {names[i]: SPLITS[(place >= first) + (place >= second)] for place, i in enumerate(order)}
    return [part[name] for name in people]
