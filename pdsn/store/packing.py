"""What is covered of a face, as a store keeps it: eight pixels in a byte, and the regions' counts in little-endian order."""

from __future__ import annotations

import numpy as np


def pack_pixels(pixels: np.ndarray | None) -> bytes | None:
    """Covered pixels (H, W) bool as bytes; None stays None."""
    return None if pixels is None else np.packbits(pixels).tobytes()


def unpack_pixels(packed: bytes, size: tuple[int, int]) -> np.ndarray:
    """The covered pixels (H, W) bool again.

    Args:
        packed: what `pack_pixels` made.
        size: (H, W).
    """
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=size[0] * size[1])
    return bits.astype(bool).reshape(size)


def pack_counts(counts: np.ndarray | None) -> bytes | None:
    """Covered pixels by region (R,) as bytes; None stays None."""
    return None if counts is None else counts.astype("<i4").tobytes()


def unpack_counts(packed: bytes) -> np.ndarray:
    """Covered pixels by region (R,) int32 again, from what `pack_counts` made."""
    return np.frombuffer(packed, "<i4")
