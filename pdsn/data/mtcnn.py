"""The three networks of MTCNN (Zhang et al., 2016), whose weights come with facenet-pytorch.

Written here because importing that package's networks imports torchvision, which costs every command about two seconds. They
have its names, take its weights and give what it gives.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.errors import PdsnError

WEIGHTS = ("pnet.pt", "rnet.pt", "onet.pt")
"""Files in facenet-pytorch, a network each."""


class ProposalNet(nn.Module):
    """P-Net: looks at a photo of any size, each place of its answer at 12x12 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        """Photos (N, 3, H, W), about -1 to 1, to shifts of the corners (N, 4, h, w), and to the probabilities (N, 2, h, w) of no
        face and of one."""
        maps = self.prelu1(self.conv1(photos))
        # An odd row or column is pooled with itself, as ceil_mode does.
        maps = F.pad(maps, (0, maps.shape[3] % 2, 0, maps.shape[2] % 2), mode="replicate")
        # Pooled by slices: of channels-last maps max_pool2d is the slowest step of all.
        maps = torch.maximum(maps[:, :, ::2], maps[:, :, 1::2])
        maps = torch.maximum(maps[..., ::2], maps[..., 1::2])
        maps = self.prelu3(self.conv3(self.prelu2(self.conv2(maps))))
        return self.conv4_2(maps), self.conv4_1(maps).softmax(1)


class RefinementNet(nn.Module):
    """R-Net: looks at candidates of 24x24 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Crops (N, 3, 24, 24), about -1 to 1, to shifts of the corners (N, 4), and to the probabilities (N, 2)."""
        maps = _pooled(self.prelu1(self.conv1(crops)), 3)
        maps = _pooled(self.prelu2(self.conv2(maps)), 3)
        seen = self.prelu4(self.dense4(_columns_first(self.prelu3(self.conv3(maps)))))
        return self.dense5_2(seen), self.dense5_1(seen).softmax(1)


class OutputNet(nn.Module):
    """O-Net: looks at candidates of 48x48 pixels, and places the landmarks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2, self.dense6_3 = nn.Linear(256, 2), nn.Linear(256, 4), nn.Linear(256, 10)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Crops (N, 3, 48, 48), about -1 to 1, to shifts of the corners (N, 4), landmarks (N, 10), x then y, as shares of the
        crop, and the probabilities (N, 2)."""
        maps = _pooled(self.prelu1(self.conv1(crops)), 3)
        maps = _pooled(self.prelu2(self.conv2(maps)), 3)
        maps = _pooled(self.prelu3(self.conv3(maps)), 2)
        seen = self.prelu5(self.dense5(_columns_first(self.prelu4(self.conv4(maps)))))
        return self.dense6_2(seen), self.dense6_3(seen), self.dense6_1(seen).softmax(1)


def published() -> tuple[ProposalNet, RefinementNet, OutputNet]:
    """The networks with facenet-pytorch's weights, in evaluation mode.

    Raises:
        PdsnError: facenet-pytorch is not installed as it was published.
    """
    spec = find_spec("facenet_pytorch")
    package = Path(spec.origin).parent if spec is not None and spec.origin else Path("facenet_pytorch")
    nets = ProposalNet(), RefinementNet(), OutputNet()
    for net, name in zip(nets, WEIGHTS, strict=True):
        path = package / "data" / name
        try:
            net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except (OSError, RuntimeError, KeyError) as error:
            raise PdsnError(
                f"{path} cannot be read ({error}): install facenet-pytorch again, pip install facenet-pytorch==2.5.3"
            ) from error
        net.eval()
    return nets


def normalised(pixels: Tensor) -> Tensor:
    """Pixels (N, h, w, 3), 0 to 255, as the networks see them: (N, 3, h, w) float32, about -1 to 1, channels last in memory."""
    return (pixels.permute(0, 3, 1, 2).float() - 127.5) * 0.0078125


def _pooled(maps: Tensor, edge: int) -> Tensor:
    return F.max_pool2d(maps, edge, stride=2, ceil_mode=True)


def _columns_first(maps: Tensor) -> Tensor:
    """Maps (N, C, h, w) as rows (N, w h C): the order in which the published weights count."""
    return maps.permute(0, 3, 2, 1).flatten(1)
