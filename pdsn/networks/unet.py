"""The U-Net of segmentation-models-pytorch with one of VGG's or ResNet's encoders, for use.

Written here because importing that package, with timm and torchvision, costs every command that finds what is covered about two
seconds. It has their names, takes their weights and gives what they give; it is trained as their network.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.networks.backbone import BLOCKS, stage

VGG = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
"""Convolutions of each level, by name."""
DECODER = (256, 128, 64, 32)
"""Channels of the decoder's blocks, coarse to fine; as many blocks as the encoder is deep."""


class UNet(nn.Module):
    """U-Net (Ronneberger et al., 2015).

    Args:
        encoder: a key of `VGG`, with "_bn" behind it for batch normalisation, or of `backbone.BLOCKS`.
    """

    def __init__(self, encoder: str) -> None:
        super().__init__()
        self.encoder: VggEncoder | ResNetEncoder
        if encoder in BLOCKS:
            self.encoder = ResNetEncoder(encoder)
        else:
            self.encoder = VggEncoder(VGG[encoder.removesuffix("_bn")], normalised=encoder.endswith("_bn"))
        self.decoder = Decoder(self.encoder.channels, middle=encoder not in BLOCKS)
        self.segmentation_head = nn.Sequential(nn.Conv2d(DECODER[-1], 1, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, 1, H, W) of standardised faces (N, 3, H, W); H and W are multiples of 16."""
        return self.segmentation_head(self.decoder(self.encoder(x), (x.shape[2], x.shape[3])))


class VggEncoder(nn.Module):
    """VGG's convolutions (Simonyan & Zisserman, 2014).

    Args:
        depths: convolutions of each level.
        normalised: each with batch normalisation.
    """

    channels = (128, 256, 512, 512)
    """Of the maps, fine to coarse."""

    def __init__(self, depths: tuple[int, ...], *, normalised: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.ends: list[int] = []
        inputs = 3
        for depth, outputs in zip(depths, (64, *self.channels), strict=True):
            if layers:
                layers.append(nn.MaxPool2d(2))
            for _ in range(depth):
                layers.append(nn.Conv2d(inputs, outputs, 3, padding=1))
                layers += [nn.BatchNorm2d(outputs)] * normalised
                layers.append(nn.ReLU(inplace=True))
                inputs = outputs
            self.ends.append(len(layers) - 1)
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps (N, C, H / 2, W / 2) to (N, C, H / 16, W / 16) of (N, 3, H, W)."""
        found = []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in self.ends:
                found.append(x)
        return found[1:]


class ResNetEncoder(nn.Module):
    """A ResNet without its last stage.

    Args:
        arch: a key of `backbone.BLOCKS`.
    """

    channels = (64, 64, 128, 256)
    """Of the maps, fine to coarse."""

    def __init__(self, arch: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        depths = BLOCKS[arch]
        self.layer1 = stage(64, 64, depths[0], 1)
        self.layer2 = stage(64, 128, depths[1], 2)
        self.layer3 = stage(128, 256, depths[2], 2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps (N, C, H / 2, W / 2) to (N, C, H / 16, W / 16) of (N, 3, H, W)."""
        found = [F.relu(self.bn1(self.conv1(x)))]
        found.append(self.layer1(self.maxpool(found[-1])))
        found.append(self.layer2(found[-1]))
        found.append(self.layer3(found[-1]))
        return found


class Decoder(nn.Module):
    """From maps at four scales back to the photo's size.

    Args:
        channels: of the maps, fine to coarse.
        middle: two more convolutions at the coarsest, as VGG needs them.
    """

    def __init__(self, channels: tuple[int, ...], *, middle: bool) -> None:
        super().__init__()
        deepest = channels[-1]
        self.center = (
            nn.Sequential(_convolution(deepest, deepest), _convolution(deepest, deepest))
            if middle
            else nn.Identity()
        )
        widths = pairwise((deepest, *DECODER))
        self.blocks = nn.ModuleList(
            Block(inputs + beside, outputs)
            for (inputs, outputs), beside in zip(widths, (*channels[-2::-1], 0), strict=True)
        )

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Maps (N, 32, H, W) of those that the encoder gives, and of the photo's size."""
        x = self.center(maps[-1])
        for block, beside in zip(self.blocks, [*maps[-2::-1], None], strict=True):
            x = F.interpolate(x, size if beside is None else beside.shape[2:], mode="nearest")
            x = block(x if beside is None else torch.cat([x, beside], 1))
        return x


class Block(nn.Module):
    """Two convolutions."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _convolution(inputs, outputs), _convolution(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h, w)."""
        return self.conv2(self.conv1(x))


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
