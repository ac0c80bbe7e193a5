"""How alike two faces are by their parts, and how much each part counts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PartWeights(nn.Module):
    """The learned weights of R parts: positive, and adding up to 1.

    Args:
        mirrored: (R,) for each part the one of the other side of the face, or itself: both count alike, as faces are compared
            with their mirror images. A map alone would prefer a side: convolutions of stride 2 shift what they see.
    """

    mirrored: Tensor

    def __init__(self, mirrored: Sequence[int]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(len(mirrored)))
        self.register_buffer("mirrored", torch.tensor(mirrored), persistent=False)

    def forward(self) -> Tensor:
        """The weights (R,)."""
        return ((self.logits + self.logits[self.mirrored]) / 2).softmax(0)

    def among(self, free: Tensor) -> Tensor:
        """The weights (N, R) of the parts that are free (N, R) bool, adding up to 1; where none is they are 0."""
        kept = self() * free
        return kept / kept.sum(1, keepdim=True).clamp_min(1e-12)

    def factors(self, free: Tensor) -> Tensor:
        """What the unit vectors (N, R, C) of parts are multiplied with (N, R), so that an inner product of two faces is the
        weighted mean of the cosines of their parts that are free, see `among`. Not to be learned by: a root has no slope at 0.
        """
        return self.among(free).sqrt()


def cell_shares(boxes: Tensor, size: tuple[int, int], cells: tuple[int, int]) -> Tensor:
    """The share (R, h, w), 0 to 1, of each cell of a map that lies in each part.

    Args:
        boxes: (R, 4) top, bottom, left, right of each part, in pixels.
        size: (H, W) of a face.
        cells: (h, w) of its map; a cell lies under the pixels that it has the same place as.
    """
    rows = _overlap(boxes[:, :2].float(), size[0], cells[0])
    columns = _overlap(boxes[:, 2:].float(), size[1], cells[1])
    return torch.einsum("rh,rw->rhw", rows, columns)


def _overlap(ends: Tensor, length: int, cells: int) -> Tensor:
    """The share (R, cells) of each cell that lies between two ends (R, 2)."""
    edges = torch.linspace(0, length, cells + 1)
    low = torch.maximum(ends[:, :1], edges[None, :-1])
    return (torch.minimum(ends[:, 1:], edges[None, 1:]) - low).clamp_min(0) * cells / length
