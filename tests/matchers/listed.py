"""A matcher that knows what every pair of photos scores, by their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pdsn.matchers.matcher import Faces, Role, Rows, Signature
from pdsn.occlusion.layouts import Box


@dataclass(frozen=True)
class Numbers:
    """Faces by their numbers."""

    numbers: Tensor
    signatures: list[Signature]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: Rows) -> Numbers:
        chosen = list(range(len(self)))[rows] if isinstance(rows, slice) else list(rows)
        return Numbers(self.numbers[chosen], [self.signatures[row] for row in chosen])

    def kept(self) -> dict[str, Tensor]:
        return {"numbers": self.numbers, "signatures": torch.tensor(self.signatures, dtype=torch.bool)}


class Listed:
    """Takes a face's number from its first pixel; a signature says whether anything is covered.

    Attributes:
        asked: how many pairs each `pairs` had.
    """

    def __init__(self, scores: Tensor, *, symmetric: bool = True) -> None:
        self.scores, self.symmetric = scores, symmetric
        self.asked: list[int] = []

    @property
    def regions(self) -> Mapping[str, Box]:
        return {"whole": Box(0, 0, 2, 2)}

    def signatures(self, a: Faces, b: Faces | None = None) -> list[Signature]:
        covered = a.covered if b is None else a.covered | b.covered
        return [(bool(one.any()),) for one in covered]

    def joint(self, a: Faces, b: Faces) -> tuple[list[Signature], Tensor]:
        both = a.covered.flatten(1).any(1)[:, None] | b.covered.flatten(1).any(1)[None]
        return [(False,), (True,)], both.long()

    def prepare(self, faces: Faces, role: Role) -> Numbers:
        return Numbers(faces.pixels[:, 0, 0, 0].long(), self.signatures(faces))

    def restored(self, tensors: Mapping[str, Tensor]) -> Numbers:
        return Numbers(tensors["numbers"], [tuple(row) for row in tensors["signatures"].tolist()])

    def compare(self, probes: Numbers, gallery: Numbers) -> Tensor:
        return self.scores[probes.numbers][:, gallery.numbers]

    def pairs(self, a: Numbers, b: Numbers) -> Tensor:
        self.asked.append(len(a))
        return self.scores[a.numbers, b.numbers]


def numbered(*numbers: int, covered: tuple[int, ...] = ()) -> Faces:
    """Faces 2x2 of these numbers; those at some places are covered."""
    pixels = torch.zeros(len(numbers), 3, 2, 2, dtype=torch.uint8)
    pixels[:, 0, 0, 0] = torch.tensor(numbers, dtype=torch.uint8)
    hidden = torch.zeros(len(numbers), 2, 2, dtype=torch.bool)
    hidden[list(covered)] = True
    return Faces(pixels, hidden)
