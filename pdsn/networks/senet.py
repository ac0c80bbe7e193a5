"""SENet50, of which the last layers train: the network of papers/001."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.errors import PdsnError

MEAN = (131.0912, 103.8827, 91.4953)
"""VGGFace2's mean of red, green and blue, 0 to 255 (Cao et al., FG 2018)."""
COLOURS = ("mixed", "bgr", "rgb")
"""What the network sees, see `SENet50`."""
BLOCKS = tuple(
    f"layer{stage}.{block}" for stage, count in enumerate((3, 4, 6, 3), 1) for block in range(count)
)
"""The residual blocks in order, by the name of their module."""
LAST_LAYERS: dict[int, tuple[str, ...]] = {
    10: ("layer4.2.se_module",),
    20: ("layer4.2",),
    30: ("layer4.1.conv3", "layer4.1.se_module"),
    40: ("layer4.1", "layer4.0.downsample"),
    50: ("layer4.0.conv3", "layer4.0.se_module"),
    60: ("layer4.0", "layer3.5.se_module.fc2"),
    70: ("layer3.5.conv2", "layer3.5.conv3", "layer3.5.se_module"),
}
"""The modules that are among the last N of the Keras network's 287 layers, beyond those of the N before it."""


class SENet50(nn.Module):
    """timm's SE-ResNet-50 (blocks 3-4-6-3, squeeze-and-excitation of ratio 16; Hu et al., CVPR 2018), average pooled.

    Behind a ReLU and a mean nothing is negative: the cosine of two embeddings is at least 0, their squared distance at
    most 2.

    Args:
        size: height and width of a face in pixels; it is stretched to `side` x `side`, as 001 does with its photos.
        side: rows and columns that the network sees; 224 is 001's.
        colours: "mixed" subtracts VGGFace2's mean of blue, green and red from red, green and blue, as 001's code does;
            "bgr" puts blue first, as VGGFace2's weights want it; "rgb" subtracts from each colour its own mean.
    """

    embedding = 2048
    mean: Tensor

    def __init__(self, size: tuple[int, int], side: int = 224, colours: str = "mixed") -> None:
        super().__init__()
        from timm.models.senet import SENet, SEResNetBottleneck

        self.size, self.side, self.colours = size, side, colours
        self.network = SENet(SEResNetBottleneck, (3, 4, 6, 3), groups=1, reduction=16, num_classes=0)
        # Each block begins as its shortcut, see `ir.IRBlock`; weights that are loaded replace it.
        for block in BLOCKS:
            nn.init.zeros_(self.network.get_submodule(f"{block}.bn3").weight)  # type: ignore[arg-type]
        mean = MEAN if colours == "rgb" else MEAN[::-1]
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        with torch.no_grad():
            shape = self.network.eval().forward_features(torch.zeros(1, 3, side, side)).shape
        self.train()
        self.map_shape: tuple[int, int, int] = (shape[1], shape[2], shape[3])

    def features(self, faces: Tensor) -> Tensor:
        """Last map (N, 2048, h, w) of faces (N, 3, H, W) uint8, or float in 0 to 255; not negative."""
        return self.before(faces, len(BLOCKS))

    def head(self, maps: Tensor) -> Tensor:
        """Embeddings (N, 2048) of maps (N, 2048, h, w), masked or not: their mean over all places; not normalised."""
        return maps.mean((2, 3))

    def forward(self, faces: Tensor) -> Tensor:
        """Embeddings (N, 2048) of faces, see `features`."""
        return self.head(self.features(faces))

    def before(self, faces: Tensor, block: int) -> Tensor:
        """What goes into block number `block` (0 to 16, of `BLOCKS`); arguments as for `features`."""
        x = faces.float()
        if x.shape[2:] != (self.side, self.side):
            x = F.interpolate(x, (self.side, self.side), mode="bilinear", align_corners=False, antialias=True)
        x = (x.flip(1) if self.colours == "bgr" else x) - self.mean
        x = self.network.pool0(self.network.layer0(x.contiguous(memory_format=torch.channels_last)))
        return self.through(x, 0, block)

    def behind(self, maps: Tensor, block: int) -> Tensor:
        """The last map of what goes into block number `block`, see `before`."""
        return self.through(maps, block, len(BLOCKS))

    def through(self, maps: Tensor, first: int, end: int) -> Tensor:
        """What goes into block `end`, of what goes into block `first`."""
        for name in BLOCKS[first:end]:
            maps = self.network.get_submodule(name)(maps)
        return maps

    def train_last(self, layers: int) -> int:
        """Let only the last layers train: their convolutions, never a BatchNorm.

        Args:
            layers: N, a key of `LAST_LAYERS`, or 0 for none.

        Returns:
            The number of the first block that trains, in whole or in part; 16 where none does.
        """
        names = [name for count, modules in LAST_LAYERS.items() if count <= layers for name in modules]
        self.requires_grad_(False)
        for name in names:
            for module in self.network.get_submodule(name).modules():
                if isinstance(module, nn.Conv2d):
                    module.requires_grad_(True)
        return min(
            (index for index, block in enumerate(BLOCKS) if any(name.startswith(block) for name in names)),
            default=len(BLOCKS),
        )

    def load(self, weights: dict[str, Tensor], source: str) -> None:
        """Take over weights: timm's names (`legacy_seresnet50`), or those of a base that pdsn trained.

        Args:
            weights: tensors by name; a classifier's are left out.
            source: what a message calls them.

        Raises:
            PdsnError: a tensor is missing, or has another shape.
        """
        own = self.network.state_dict()
        given = {name.removeprefix("net.").removeprefix("network."): value for name, value in weights.items()}
        for name, value in own.items():
            if name.endswith("num_batches_tracked"):
                continue
            if name not in given:
                raise PdsnError(
                    f"{source} is no SENet50: there is no tensor {name}, as timm's legacy_seresnet50 has it"
                )
            if given[name].shape != value.shape:
                raise PdsnError(
                    f"{source} is no SENet50: {name} is {tuple(given[name].shape)}, not {tuple(value.shape)}"
                )
        self.network.load_state_dict({name: given[name] for name in own if name in given}, strict=False)
