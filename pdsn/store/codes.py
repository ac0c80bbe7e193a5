"""How a store keeps embeddings: as float16, or as int8 in half the room.

A unit vector v of E numbers is kept in int8 as whole numbers from -127 to 127 and the length of what they make: what is read is again of length 1.
Rounding moves each number by at most m / 254, where m is the largest of them, so the whole by at most r = sqrt(E) m / 254, and a
score by at most r / sqrt(1 - r^2), since probes stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

LARGEST = 127
FACTOR = 4
"""Bytes of the one over the length, a float32, with which a row in int8 begins."""
MULTIPLE = 4
"""Bytes of which such a row has a multiple, so that each of these float32 stands where one may stand."""


class Decoded(NamedTuple):
    """Embeddings as they come out of bytes.

    Attributes:
        numbers: (N, E) float32.
        factors: (N,) float32, what makes each row of length 1; None where it is. Products take it later, at less cost.
    """

    numbers: Tensor
    factors: Tensor | None

    def scaled(self) -> Tensor:
        """(N, E) float32 of length 1; the numbers themselves where they are that already."""
        return self.numbers if self.factors is None else self.numbers * self.factors[:, None]


class Code(Protocol):
    """Turns embeddings into bytes and back.

    Attributes:
        ending: of the files with such bytes.
    """

    ending: str

    def size(self, width: int) -> int:
        """Bytes of an embedding of so many numbers."""
        ...

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """The bytes (N, size) uint8 of embeddings (N, E) of length 1."""
        ...

    def decode(self, kept: np.ndarray, out: Tensor) -> Decoded:
        """The embeddings of some bytes (N, size) uint8, written into `out` (N, E) float32."""
        ...


class Float16:
    """Each number in two bytes."""

    ending = ".f16"

    def size(self, width: int) -> int:
        """See `Code`."""
        return 2 * width

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """See `Code`."""
        return np.ascontiguousarray(vectors, "<f2").view(np.uint8)

    def decode(self, kept: np.ndarray, out: Tensor) -> Decoded:
        """See `Code`."""
        return Decoded(out.copy_(torch.from_numpy(np.ascontiguousarray(kept).view("<f2"))), None)


class Int8:
    """Each number in one byte, after one over the length of all of them, float32; rows end on a multiple of four bytes."""

    ending = ".i8"

    def size(self, width: int) -> int:
        """See `Code`."""
        return -(-(FACTOR + width) // MULTIPLE) * MULTIPLE

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """See `Code`."""
        exact = vectors.astype(np.float32)
        numbers = np.rint(exact * (LARGEST / np.abs(exact).max(axis=1, keepdims=True)))
        width = exact.shape[1]
        kept = np.zeros((len(exact), self.size(width)), np.uint8)
        kept.view("<f4")[:, 0] = 1 / np.linalg.norm(numbers, axis=1)
        kept[:, FACTOR : FACTOR + width] = numbers.astype(np.int8).view(np.uint8)
        return kept

    def decode(self, kept: np.ndarray, out: Tensor) -> Decoded:
        """See `Code`."""
        rows = np.ascontiguousarray(kept)
        numbers = rows[:, FACTOR : FACTOR + out.shape[1]].view(np.int8)
        factors = rows.view("<f4")[:, 0].copy()
        return Decoded(out.copy_(torch.from_numpy(numbers)), torch.from_numpy(factors))


CODES: dict[str, Code] = {"float16": Float16(), "int8": Int8()}
DEFAULT = "float16"


def encoded(code: Code, widths: Sequence[int], vectors: Sequence[np.ndarray]) -> list[bytes]:
    """The bytes of N photos' embeddings, of each photo those of all signatures one after the other.

    Args:
        code: makes the bytes.
        widths: numbers in each of a photo's embeddings.
        vectors: of each photo all embeddings (sum of the widths,), each of length 1.
    """
    if not vectors:
        return []
    parts = np.split(np.stack(vectors), np.cumsum(widths)[:-1], axis=1)
    return [row.tobytes() for row in np.concatenate([code.encode(part) for part in parts], axis=1)]
