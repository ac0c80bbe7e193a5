"""MobileFaceNet (Chen et al., "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification on
Mobile Devices", 2018)."""

from __future__ import annotations

from torch import Tensor, nn

TEMPLATE_112X96 = (
    (30.2946, 51.6963),
    (65.5318, 51.5014),
    (48.0252, 71.7366),
    (33.5493, 92.3655),
    (62.7299, 92.2041),
)
"""Five landmarks, x and y in pixels of a 112 high, 96 wide crop: SphereFace's template."""
BOTTLENECKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
"""Groups of inverted residuals: expansion, channels, repeats, stride of the first (table 1 of the paper)."""


class MobileFaceNet(nn.Module):
    """MobileFaceNet, cut after its last 1x1 convolution; 1.0 M parameters.

    Parameter names are those of the widely used PyTorch weights, so they load as published.

    Args:
        embedding: E, length of an embedding.
        map_size: (h, w) of the last map, 1/16 of the face: the kernel of the global depthwise convolution.
    """

    def __init__(self, embedding: int = 128, map_size: tuple[int, int] = (7, 6)) -> None:
        super().__init__()
        self.conv1 = ConvBlock(3, 64, 3, stride=2, padding=1)
        self.dw_conv1 = ConvBlock(64, 64, 3, padding=1, groups=64)
        blocks: list[nn.Module] = []
        inputs = 64
        for expansion, channels, repeats, stride in BOTTLENECKS:
            for repeat in range(repeats):
                blocks.append(Bottleneck(inputs, channels, expansion, stride if repeat == 0 else 1))
                inputs = channels
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = ConvBlock(inputs, 512, 1)
        self.linear7 = ConvBlock(512, 512, map_size, groups=512, linear=True)
        self.linear1 = ConvBlock(512, embedding, 1, linear=True)

    def features(self, x: Tensor) -> Tensor:
        """Maps (N, 512, H/16, W/16), of either sign (behind a PReLU), of normalised faces (N, 3, H, W)."""
        return self.conv2(self.blocks(self.dw_conv1(self.conv1(x))))

    def head(self, maps: Tensor) -> Tensor:
        """Embeddings (N, E) of maps (N, 512, h, w); not normalised."""
        return self.linear1(self.linear7(maps)).flatten(1)


class ConvBlock(nn.Module):
    """Convolution, BatchNorm and, unless `linear`, PReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.prelu = nn.Identity() if linear else nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H', W')."""
        return self.prelu(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    """Inverted residual: widen, 3x3 depthwise, narrow; a shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.shortcut = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.PReLU(inner),
            nn.Conv2d(inner, inner, 3, stride, padding=1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            nn.PReLU(inner),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        return x + self.conv(x) if self.shortcut else self.conv(x)
