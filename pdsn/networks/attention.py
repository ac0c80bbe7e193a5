"""Attention over the channels and the cells of a map: SE and CBAM."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Squeeze-and-excitation: weighs channels by their mean over the map (Hu et al., CVPR 2018, equations 2 to 4).

    Args:
        channels: C of the maps.
        reduction: r, the channels over those between the two linear maps.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.mlp = _mlp(channels, reduction)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, C, h, w), each channel times a weight in 0 to 1."""
        return maps * self.mlp(maps.mean((2, 3), keepdim=True)).sigmoid()


class CBAM(nn.Module):
    """Convolutional block attention: first over channels, then over cells (Woo et al., ECCV 2018, equations 1 to 3).

    Channels are weighed by one MLP on their mean and on their maximum; cells by a 7x7 convolution of the mean and the
    maximum over channels.

    Args:
        channels: C of the maps.
        reduction: r, the channels over those between the two linear maps of the MLP.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.mlp = _mlp(channels, reduction)
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, C, h, w), each feature times the weight of its channel and that of its cell, both in 0 to 1."""
        mean, largest = maps.mean((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
        maps = maps * (self.mlp(mean) + self.mlp(largest)).sigmoid()
        cells = torch.cat([maps.mean(1, keepdim=True), maps.amax(1, keepdim=True)], 1)
        return maps * self.conv(cells).sigmoid()


ATTENTIONS: dict[str, Callable[[int], nn.Module]] = {
    "none": nn.Identity,
    "se": SqueezeExcitation,
    "cbam": CBAM,
}
"""What comes last in a residual block before the sum, by name: made for a number of channels."""


def _mlp(channels: int, reduction: int) -> nn.Sequential:
    hidden = max(channels // reduction, 1)
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 1, bias=False),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden, channels, 1, bias=False),
    )
