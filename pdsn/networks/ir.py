"""ArcFace's residual network (IR blocks), with attention in each block."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pdsn.networks.attention import ATTENTIONS
from pdsn.networks.backbone import neck, standardised

IR_BLOCKS = {"ir18": (2, 2, 2, 2), "ir34": (3, 4, 6, 3), "ir50": (3, 4, 14, 3)}
"""Residual blocks of each stage, by backbone."""


class IRBlock(nn.Module):
    """BN, conv, BN, PReLU, conv with the stride, BN, attention; the sum with the shortcut; PReLU (papers/004).

    ArcFace's own block is the same without the last PReLU and, mostly, without attention.

    Args:
        inputs, outputs: channels.
        stride: of the second convolution and of the shortcut.
        attention: a key of `attention.ATTENTIONS`.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, attention: str) -> None:
        super().__init__()
        norm = nn.BatchNorm2d(outputs)
        # Each block begins as its shortcut (Goyal et al., 2017, section 5.1): after few steps the running statistics lag
        # behind, and without this the maps grow from block to block.
        nn.init.zeros_(norm.weight)
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, padding=1, bias=False),
            norm,
            ATTENTIONS[attention](outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.prelu = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, outputs, h, w) of maps (N, inputs, h * stride, w * stride)."""
        return self.prelu(self.body(x) + self.shortcut(x))


class IRNet(nn.Module):
    """A stem, four stages of IR blocks, and the BN-Dropout-Linear-BN head of ArcFace (option E).

    The map has 1/16 of the face's rows and columns, and 8 times `width` channels.

    Args:
        size: height and width of a face in pixels.
        backbone: a key of `IR_BLOCKS`.
        attention: a key of `attention.ATTENTIONS`, in every block.
        width: channels of the first stage; 64 is ArcFace's.
        stem_stride: 1 is ArcFace's; 2 halves the rows and columns at once and keeps them in the last stage, for about a
            quarter of the work.
        embedding: E, length of an embedding.
        dropout: probability of dropping a feature before the linear layer.
    """

    def __init__(
        self,
        size: tuple[int, int],
        backbone: str = "ir18",
        attention: str = "none",
        width: int = 64,
        stem_stride: int = 1,
        embedding: int = 512,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        self.size = size
        self.embedding = embedding
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, stem_stride, padding=1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
        )
        stages, inputs = [], width
        for stage, blocks in enumerate(IR_BLOCKS[backbone]):
            outputs = width * 2**stage
            first = 1 if stage == 3 and stem_stride == 2 else 2
            for block in range(blocks):
                stages.append(IRBlock(inputs, outputs, 1 if block else first, attention))
                inputs = outputs
        self.stages = nn.Sequential(*stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.map_shape = (inputs, -(-size[0] // 16), -(-size[1] // 16))
        self.neck = neck(self.map_shape, embedding, dropout)

    def features(self, faces: Tensor) -> Tensor:
        """Last map (N, C, h, w) of faces (N, 3, H, W) uint8, or float in 0 to 255; behind a PReLU, so of either sign."""
        return self.stages(self.stem(standardised(faces).contiguous(memory_format=torch.channels_last)))

    def head(self, maps: Tensor) -> Tensor:
        """Embeddings (N, E) of maps (N, C, h, w), masked or not; not normalised."""
        return self.neck(maps)

    def forward(self, faces: Tensor) -> Tensor:
        """Embeddings (N, E) of faces, see `features`."""
        return self.head(self.features(faces))
