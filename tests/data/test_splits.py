"""Splits per photo and by person."""

from __future__ import annotations

from collections import Counter

import numpy as np

from pdsn.data.splits import split_people, split_photos

LFW10 = [
    *([10] * 15 + [11] * 16 + [12] * 10 + [13] * 11 + [14] * 10 + [15] * 11 + [16] * 3 + [17] * 8 + [18] * 5),
    *([19] * 7 + [20] * 5 + [21] * 4 + [22] * 5 + [23] * 3 + [24] * 3 + [25] + [26] * 2 + [27] + [28] * 2),
    *([29] * 2 + [30] * 2 + [31] * 2 + [32] * 3 + [33] * 3 + [35, 36, 37, 39, 39, 41, 41, 42, 42, 44, 48]),
    *[49, 52, 52, 53, 55, 60, 71, 77, 109, 121, 144, 236, 530],
]
"""How many photos each of LFW's people with at least ten has."""


def test_lfw10_splits_as_in_the_paper() -> None:
    assert (len(LFW10), sum(LFW10)) == (158, 4324)
    people = [f"{i:03}" for i, count in enumerate(LFW10) for _ in range(count)]
    assert Counter(split_photos(people, 0)) == {"train": 2959, "val": 647, "test": 718}


def test_split_per_photo_is_the_floor_rule_for_each_person() -> None:
    people = ["b"] * 13 + ["a"] * 10 + ["c"] * 3
    split = np.array(split_photos(people, 5))
    for name, expected in {"a": (7, 1, 2), "b": (9, 2, 2), "c": (2, 0, 1)}.items():
        counts = Counter(split[np.array(people) == name].tolist())
        assert tuple(counts[part] for part in ("train", "val", "test")) == expected
    assert split.tolist() == split_photos(people, 5)
    assert split.tolist() != split_photos(people, 6)


def test_split_by_person_keeps_a_person_together() -> None:
    people = [f"{i:02}" for i in range(20) for _ in range(3)]
    split = split_people(people, 0)
    sides = {name: {part for one, part in zip(people, split, strict=True) if one == name} for name in people}
    assert all(len(parts) == 1 for parts in sides.values())
    assert Counter(next(iter(parts)) for parts in sides.values()) == {"train": 14, "val": 3, "test": 3}
    assert split != split_people(people, 1)
