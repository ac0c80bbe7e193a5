"""A tiny base, faces of noise and a layout that is not symmetric, for tests of single matchers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pdsn.bases.encoder import Encoder
from pdsn.networks.backbone import FaceNet
from pdsn.occlusion.layouts import Box, Layout
from pdsn.runtime import start

SIZE = (64, 48)
CELLS = (8, 6)
REGIONS = {"left": Box(0, 0, 40, 20), "right": Box(0, 20, 40, 48), "below": Box(40, 0, 64, 48)}
UNEVEN = Layout("uneven", SIZE, REGIONS, {})
"""No region's edges but those at 40 and 48 are edges of cells."""
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def tiny_encoder() -> Encoder:
    """A base with random weights whose maps (64, 8, 6) have cells of 8x8 pixels."""
    torch.manual_seed(0)
    net = FaceNet(SIZE, "resnet18", width=8, stem="fine", last_stride=1, embedding=16)
    for seed in range(3):
        net(faces(8, seed))
    return Encoder(net, start("cpu", "fp32"), batch=5)


def faces(count: int, seed: int) -> Tensor:
    """(N, 3, H, W) uint8."""
    return torch.randint(
        0, 256, (count, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def covered(*names: str) -> Tensor:
    """(N, H, W) bool, from the regions of UNEVEN that are covered of each face: "left+below", "" for none."""
    result = torch.zeros(len(names), *SIZE, dtype=torch.bool)
    for row, name in enumerate(names):
        for box in (REGIONS[part] for part in name.split("+") if part):
            result[row, box.top : box.bottom, box.left : box.right] = True
    return result


def free_parts(pixels: Tensor) -> list[list[bool]]:
    """Which regions of UNEVEN are free in each face."""
    return [
        [not one[box.top : box.bottom, box.left : box.right].all() for box in REGIONS.values()]
        for one in pixels
    ]


def settled(module: nn.Module, *batches: tuple) -> nn.Module:
    """A module in evaluation mode, after BatchNorm has seen some batches."""
    module.train()
    for batch in batches:
        module(*batch)
    return module.eval().requires_grad_(False)
