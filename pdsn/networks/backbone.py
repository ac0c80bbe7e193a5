"""The base CNN, cut where the masks apply: `features` to the last convolutional map, `head` behind it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
"""Residual blocks of each stage, by architecture."""
# ImageNet's channel statistics, so that --init imagenet sees what it was trained on.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FaceNet(nn.Module):
    """ResNet trunk and BN-Dropout-Linear-BN head (Johnston & Ngxande, section 4.2; PDSN's head).

    The trunk's parameters carry torchvision's names, so its published weights load.

    Args:
        size: height and width of a face in pixels.
        arch: a key of `BLOCKS`.
        width: channels of the first stage; 64 is ResNet's own. The last map has 8 times as many.
        stem: "standard" (7x7 convolution of stride 2, max-pool: the map is 1/32 of the face, 4x3 at
            128x96) or "fine" (3x3 convolution of stride 2, no pool: 1/16, 8x6 at 128x96).
        last_stride: of the last stage; 1 instead of ResNet's 2 doubles the map's rows and columns.
        embedding: E, length of an embedding.
        dropout: probability of dropping a feature before the linear layer.
        faces: how many it sees at once, as so many times three channels.
    """

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(
        self,
        size: tuple[int, int],
        arch: str = "resnet34",
        width: int = 64,
        stem: str = "standard",
        last_stride: int = 2,
        embedding: int = 512,
        dropout: float = 0.4,
        faces: int = 1,
    ) -> None:
        super().__init__()
        self.size = size
        self.embedding = embedding
        kernel = 7 if stem == "standard" else 3
        self.conv1 = nn.Conv2d(3 * faces, width, kernel, stride=2, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if stem == "standard" else nn.Identity()
        inputs = width
        for stage, (blocks, stride) in enumerate(zip(BLOCKS[arch], (1, 2, 2, last_stride), strict=True)):
            channels = width * 2**stage
            self.add_module(f"layer{stage + 1}", _stage(inputs, channels, blocks, stride))
            inputs = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        reduction = (16 if stem == "standard" else 8) * last_stride
        self.map_shape = (inputs, -(-size[0] // reduction), -(-size[1] // reduction))
        self.neck = neck(self.map_shape, embedding, dropout)

    def features(self, faces: Tensor) -> Tensor:
        """Last convolutional map.

        Args:
            faces: (N, 3, H, W) uint8, or float in 0 to 255.

        Returns:
            (N, C, h, w), not negative (behind a ReLU).
        """
        x = standardised(faces).contiguous(memory_format=torch.channels_last)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def head(self, maps: Tensor) -> Tensor:
        """Embeddings (N, E) of maps (N, C, h, w), masked or not; not normalised."""
        return self.neck(maps)

    def forward(self, faces: Tensor) -> Tensor:
        """Embeddings (N, E) of faces, see `features`."""
        return self.head(self.features(faces))


def neck(map_shape: tuple[int, int, int], embedding: int, dropout: float) -> nn.Sequential:
    """BN, dropout, linear, BN: maps (N, C, h, w) to embeddings (N, E), ArcFace's option E and PDSN's head.

    Args:
        map_shape: (C, h, w).
        embedding: E.
        dropout: probability of dropping a feature before the linear layer.
    """
    channels, rows, columns = map_shape
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.Dropout(dropout),
        nn.Flatten(),
        nn.Linear(channels * rows * columns, embedding),
        nn.BatchNorm1d(embedding),
    )


def standardised(faces: Tensor) -> Tensor:
    """Faces (N, 3, H, W) uint8, or float in 0 to 255, or several with their channels one after the other, less ImageNet's mean and over its deviation: float32."""
    count = faces.shape[1] // 3
    mean = torch.tensor(MEAN * count, device=faces.device).mul_(255).view(1, -1, 1, 1)
    std = torch.tensor(STD * count, device=faces.device).mul_(255).view(1, -1, 1, 1)
    return (faces.float() - mean) / std


def load_trunk(net: FaceNet, weights: dict[str, Tensor]) -> None:
    """Start the trunk from weights with torchvision's names; the head stays as it is.

    Raises:
        ValueError: a parameter of the trunk is missing or has another shape; the message names it.
    """
    own = {name: value for name, value in net.state_dict().items() if not name.startswith("neck.")}
    for name, value in own.items():
        if name not in weights:
            raise ValueError(f"no tensor named {name}")
        if weights[name].shape != value.shape:
            raise ValueError(f"{name} is {tuple(weights[name].shape)}, the trunk's is {tuple(value.shape)}")
    net.load_state_dict({name: weights[name] for name in own}, strict=False)


def freeze(module: nn.Module) -> None:
    """Fix a module for good: no gradients, and BatchNorm and Dropout in evaluation mode.

    The mode survives a later `.train()` of the module or of one that holds it, so BatchNorm's running
    statistics cannot move.
    """
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    for part in module.modules():
        part.eval()
        part.train = _stay_in_eval.__get__(part)  # type: ignore[method-assign]


def _stay_in_eval(module: nn.Module, mode: bool = True) -> nn.Module:
    del mode
    return module


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut (He et al., 2016), with torchvision's names, so that its published weights load.

    Written here because importing torchvision costs every command about two seconds.

    Args:
        inputs, channels: before and behind it.
        stride: of the first convolution.
        downsample: what the shortcut passes; None for nothing.
    """

    def __init__(
        self, inputs: int, channels: int, stride: int = 1, downsample: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h / stride, w / stride), not negative."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + shortcut)


def _stage(inputs: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1 or inputs != channels:
        shortcut = nn.Sequential(
            nn.Conv2d(inputs, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
        )
    layers: list[nn.Module] = [BasicBlock(inputs, channels, stride, shortcut)]
    layers += [BasicBlock(channels, channels) for _ in range(blocks - 1)]
    return nn.Sequential(*layers)


def at_rest(parts: Sequence[nn.Module]) -> None:
    """Set a network to evaluation mode, given all its modules, itself first.

    Nearly always it is in it: to look at a list takes a fiftieth of setting it again, for which they are found one by one.
    """
    if any(part.training for part in parts):
        parts[0].eval()
