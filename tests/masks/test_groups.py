"""Which photos share their occluded regions."""

from __future__ import annotations

import numpy as np

from pdsn.masks.groups import photo_groups

FIRST, SECOND = [0.9, 0.0], [0.2, 0.8]
"""Shares of two regions: the one is covered, or the other."""


def found(least: int) -> dict[tuple[bool, ...], list[list[int]]]:
    draws = [np.array([FIRST, SECOND, FIRST, [0.3, 0.3]]), np.array([FIRST, [0.0, 0.0], SECOND, [0.0, 0.0]])]
    labels = np.array([0, 1, -1, 2])  # nobody asks for the third photo
    return {tuple(key.tolist()): photos.tolist() for key, photos in photo_groups(draws, labels, 0.5, least)}


def test_photos_are_grouped_by_what_is_covered_and_rare_combinations_left_out():
    assert found(1) == {(False, True): [[0, 1]], (True, False): [[0, 0], [1, 0]]}
    assert found(2) == {(True, False): [[0, 0], [1, 0]]}


def test_where_every_combination_is_rare_all_are_taken():
    assert found(3) == {(True, False): [[0, 0], [1, 0]], (False, True): [[0, 1]]}
