"""Explainable cosine: how alike two faces are, cell by cell, and how much each cell counts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Cells = tuple[Tensor, Tensor]
"""What is kept of faces to compare them, see `XCosNet.cells`."""


class XCosNet(nn.Module):
    """The explainable cosine of two maps (Lin, Liu, Chen, Hsu, ACCV 2020, section 3).

    A 1x1 convolution reduces the maps; the cosine of the two is taken in each cell. What each cell counts comes from
    both faces: a shared 3x3 convolution of each, the two put after one another, two more, and a softmax over the cells.
    The score is the sum of attention times cosine.

    The first convolution that sees both faces is linear, so that each face's half of it is computed once, whatever it
    is compared with (`Cells`).

    Args:
        channels: C of the maps.
        width: channels of the reduced maps.
    """

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        half = width // 2
        self.reduce = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
        )
        self.look = nn.Sequential(
            nn.Conv2d(width, half, 3, padding=1, bias=False), nn.BatchNorm2d(half), nn.PReLU(half)
        )
        self.both = nn.Conv2d(2 * half, half, 3, padding=1, bias=False)
        self.both_after = nn.Sequential(nn.BatchNorm2d(half), nn.PReLU(half))
        self.weigh = nn.Sequential(
            nn.Conv2d(half, 1, 3, padding=1, bias=False), nn.BatchNorm2d(1), nn.PReLU(1)
        )

    def cells(self, maps: Tensor, *, second: bool) -> Cells:
        """What is kept of faces to compare them: unit vectors of each cell (N, h w, width), and their half (N, width / 2, h, w)
        of the convolution that sees both.

        Args:
            maps: (N, C, h, w).
            second: whether the faces are the second ones of their pairs, a gallery's.
        """
        reduced = self.reduce(maps)
        looked = self.look(reduced)
        first, other = self.both.weight.chunk(2, 1)
        half = F.conv2d(looked, other if second else first, padding=1)
        return F.normalize(reduced.flatten(2), dim=1).transpose(1, 2), half

    def attention(self, halves: Tensor, left_out: Tensor | None = None) -> Tensor:
        """What each cell of pairs of faces counts: (N, h w), not negative, each row adds up to 1.

        Args:
            halves: (N, width / 2, h, w), the sums of both faces' halves.
            left_out: (N, h, w) bool, cells that count nothing; where that is all of them, none is left out.
        """
        convolution, *after = self.weigh
        shape = (halves.shape[2], halves.shape[3])
        logits = self.both_after(halves).flatten(1) @ _as_matrix(convolution, shape)
        for module in after:
            logits = module(logits.view(-1, 1, *shape)).flatten(1)
        logits = logits.float()
        if left_out is not None:
            left_out = left_out.flatten(1)
            left_out = left_out & ~left_out.all(1, keepdim=True)
            logits = logits.masked_fill(left_out, float("-inf"))
        return logits.softmax(1)

    def matrix(self, ours: Cells, theirs: Cells, left_out: Tensor | None = None) -> Tensor:
        """Scores (P, G) of all pairs of P first and G second faces: of each face the cells are taken once.

        Args:
            ours, theirs: see `cells`.
            left_out: (P, G, h, w) bool, see `attention`.
        """
        halves = (ours[1][:, None] + theirs[1][None]).flatten(0, 1)
        attention = self.attention(halves, None if left_out is None else left_out.flatten(0, 1))
        local = torch.einsum("plc,glc->pgl", ours[0].float(), theirs[0].float())
        return (attention.view(local.shape) * local).sum(2)


def _as_matrix(convolution: nn.Module, shape: tuple[int, int]) -> Tensor:
    """A convolution to one channel as a matrix (C h w, h w): three times as fast on maps as small as these.

    Args:
        convolution: C channels to one.
        shape: height and width of the maps.
    """
    weight: Tensor = convolution.weight  # type: ignore[assignment]
    count = weight.shape[1] * shape[0] * shape[1]
    single = torch.eye(count, dtype=weight.dtype, device=weight.device)
    return convolution(single.view(count, weight.shape[1], *shape)).flatten(1)


def local_cosines(a: Tensor, b: Tensor) -> Tensor:
    """The cosine (N, L) of each cell of pairs of faces, from their unit vectors (N, L, width)."""
    return torch.einsum("nlc,nlc->nl", a.float(), b.float())
