"""The improved ResNet of ArcFace (Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face
Recognition", 2019; blocks of Han et al., 2017), as InsightFace publishes its weights."""

from __future__ import annotations

from torch import Tensor, nn

BLOCKS = {
    "iresnet18": (2, 2, 2, 2),
    "iresnet34": (3, 4, 6, 3),
    "iresnet50": (3, 4, 14, 3),
    "iresnet100": (3, 13, 30, 3),
}
"""Residual blocks of each stage, by architecture."""
TEMPLATE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""Five landmarks, x and y in pixels of a 112x112 crop."""
EPS = 1e-5


class IResNet(nn.Module):
    """A ResNet of pre-normalised blocks, cut after layer4: the map of a 112x112 face is 512x7x7.

    Parameter names are InsightFace's, but for the last BatchNorm, see `norm_for_features`.

    Args:
        blocks: residual blocks of each stage.
        embedding: E, length of an embedding.
    """

    def __init__(self, blocks: tuple[int, int, int, int], embedding: int = 512) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64, eps=EPS)
        self.prelu = nn.PReLU(64)
        self.layer1 = _stage(64, 64, blocks[0])
        self.layer2 = _stage(64, 128, blocks[1])
        self.layer3 = _stage(128, 256, blocks[2])
        self.layer4 = _stage(256, 512, blocks[3])
        self.bn2 = nn.BatchNorm2d(512, eps=EPS)
        self.dropout = nn.Dropout(0.0)
        self.fc = nn.Linear(512 * 7 * 7, embedding)
        self.norm = nn.BatchNorm1d(embedding, eps=EPS)

    def features(self, x: Tensor) -> Tensor:
        """Maps (N, 512, 7, 7), of either sign (a sum), of normalised faces (N, 3, 112, 112)."""
        x = self.prelu(self.bn1(self.conv1(x)))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def head(self, maps: Tensor) -> Tensor:
        """Embeddings (N, E) of maps (N, 512, 7, 7); not normalised."""
        return self.norm(self.fc(self.dropout(self.bn2(maps).flatten(1))))


class IBasicBlock(nn.Module):
    """BatchNorm, 3x3, BatchNorm, PReLU, 3x3 of `stride`, BatchNorm; nothing after the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs, eps=EPS)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs, eps=EPS)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs, eps=EPS)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        inner = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x))))))
        return inner + (x if self.downsample is None else self.downsample(x))


def norm_for_features(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Published names -> `IResNet`'s: the last BatchNorm is `features` there, which is a method here."""
    return {
        f"norm.{name.removeprefix('features.')}" if name.startswith("features.") else name: value
        for name, value in weights.items()
    }


def _stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    # Every stage halves the map, the first one too.
    shortcut = nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, stride=2, bias=False), nn.BatchNorm2d(outputs, eps=EPS)
    )
    rest = [IBasicBlock(outputs, outputs, 1, None) for _ in range(blocks - 1)]
    return nn.Sequential(IBasicBlock(inputs, outputs, 2, shortcut), *rest)
