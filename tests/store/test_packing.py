"""What is covered of a face, packed and unpacked."""

from __future__ import annotations

import numpy as np

from pdsn.store.packing import pack_counts, pack_pixels, unpack_counts, unpack_pixels


def test_pixels_are_what_they_were_and_take_a_bit_each():
    pixels = np.random.default_rng(1).random((5, 7)) < 0.5  # 35 bits: the last byte is not full
    packed = pack_pixels(pixels)
    assert packed is not None and len(packed) == 5
    again = unpack_pixels(packed, (5, 7))
    assert again.dtype == bool and np.array_equal(again, pixels)


def test_counts_are_what_they_were():
    packed = pack_counts(np.array([0, 1, 70_000]))
    assert packed == b"\0\0\0\0\1\0\0\0\x70\x11\1\0"
    assert unpack_counts(packed).tolist() == [0, 1, 70_000]


def test_where_nothing_is_covered_nothing_is_kept():
    assert pack_pixels(None) is None and pack_counts(None) is None
