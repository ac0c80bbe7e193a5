"""Segmentation from what the frozen base sees: its maps at every scale, and a small decoder behind them.

The base has learned what faces look like, so the decoder alone is trained. A U-Net's skip connections (Ronneberger et al.,
2015) are here the base's own maps, beside a few convolutions of the pixels: a base forgets what is no face.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.coverage.caution import Segmentation
from pdsn.networks.backbone import standardised
from pdsn.networks.branches import Branch, Network, branch

WIDTHS = (32, 48, 64, 96, 128)
"""Channels of the decoder, by halvings of the photo: a half, a quarter …; coarser ones as the last."""
PIXELS = 16
"""Channels that are seen of the pixels themselves at each scale."""


class TrunkSegmentationNet(Segmentation):
    """A decoder behind the frozen trunk of a base, see the module.

    Args:
        base: the base; of one with two branches the probes' is taken. It stays as it is, and is no part of the weights.
    """

    def __init__(self, base: Network) -> None:
        super().__init__()
        trunk = branch(base, "probe")
        self.trunk = trunk
        for parameter in trunk.parameters():
            parameter.requires_grad_(False)
        shapes = taps(trunk)
        self.names = list(shapes)
        self.decoder = Decoder(trunk.size, [*shapes.values(), trunk.map_shape])

    @property
    def learned(self) -> nn.Module:
        """The decoder."""
        return self.decoder

    def train(self, mode: bool = True) -> TrunkSegmentationNet:
        """As `nn.Module`; the trunk stays in evaluation mode."""
        super().train(mode)
        self.trunk.eval()
        return self

    def forward(self, faces: Tensor) -> Tensor:
        """Logits (N, H, W) float32, above 0 where covered, of faces (N, 3, H, W) uint8 or float in 0 to 255."""
        with torch.no_grad(), tapped(self.trunk, self.names) as maps:
            last = self.trunk.features(faces)
        logits = self.decoder(faces, [*maps, last])
        return F.interpolate(logits.float(), faces.shape[2:], mode="bilinear", align_corners=False)[:, 0]


class Decoder(nn.Module):
    """From maps at several scales to logits at half the photo's size.

    Args:
        size: height and width of a photo.
        shapes: (C, h, w) of each map that it is given.
    """

    def __init__(self, size: tuple[int, int], shapes: list[tuple[int, int, int]]) -> None:
        super().__init__()
        self.levels = levels(size, min((shape[1:] for shape in shapes), key=lambda one: one[0]))
        widths = [WIDTHS[min(place, len(WIDTHS) - 1)] for place in range(len(self.levels))]
        nearest = [_nearest(self.levels, shape[1]) for shape in shapes]
        self.takes = [[place for place, one in enumerate(nearest) if one == level] for level in self.levels]
        self.pixels, self.reduced, self.blocks = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        seen, deeper = 3, 0
        for _ in self.levels:
            self.pixels.append(_block(seen, PIXELS, stride=2))
            seen = PIXELS
        for width, takes in zip(reversed(widths), reversed(self.takes), strict=True):
            given = sum(shapes[place][0] for place in takes)
            self.reduced.append(nn.Conv2d(given, width, 1) if given else nn.Identity())
            self.blocks.append(_block(deeper + PIXELS + (width if given else 0), width))
            deeper = width
        self.last = nn.Conv2d(deeper, 1, 1)

    def forward(self, faces: Tensor, maps: list[Tensor]) -> Tensor:
        """Logits (N, 1, H / 2, W / 2), rounded up.

        Args:
            faces: (N, 3, H, W) in 0 to 255.
            maps: the maps, in the order of `shapes`.
        """
        x, pixels = standardised(faces), list[Tensor]()
        for convolved in self.pixels:
            x = convolved(x)
            pixels.append(x)
        found: Tensor | None = None
        rows = zip(
            reversed(self.levels),
            reversed(self.takes),
            reversed(pixels),
            self.reduced,
            self.blocks,
            strict=True,
        )
        for level, takes, seen, reduced, block in rows:
            parts = [seen]
            if takes:
                parts.append(reduced(torch.cat([_fitted(maps[place], level) for place in takes], 1)))
            if found is not None:
                parts.append(F.interpolate(found, level, mode="nearest"))
            found = block(torch.cat(parts, 1))
        assert found is not None
        return self.last(found)


def _nearest(sizes: list[tuple[int, int]], rows: int) -> tuple[int, int]:
    """The size whose height is nearest to so many rows."""
    return min(sizes, key=lambda size: abs(size[0] - rows))


def _fitted(found: Tensor, size: tuple[int, int]) -> Tensor:
    """A map in another height and width; most bases have it in this one."""
    if tuple(found.shape[2:]) == size:
        return found
    return F.interpolate(found, size, mode="bilinear", align_corners=False)


def levels(size: tuple[int, int], coarsest: tuple[int, int]) -> list[tuple[int, int]]:
    """Heights and widths of the decoder's maps: half of a photo, a quarter …, down to the coarsest map of the base."""
    found: list[tuple[int, int]] = []
    while not found or found[-1][0] > coarsest[0]:
        size = -(-size[0] // 2), -(-size[1] // 2)
        found.append(size)
    return found


def taps(trunk: Branch) -> dict[str, tuple[int, int, int]]:
    """Modules of a trunk whose outputs are its maps at each scale, and their shapes (C, h, w): of each size the last one computed,
    the finest first.

    What is smaller than the trunk's own map is none: channels are weighed by such (squeeze-and-excitation). Nor is what
    passes through unchanged, such as the queries and keys of a transformer (tokens by channels).
    """
    found: dict[tuple[int, int], tuple[str, int]] = {}
    _, rows, columns = trunk.map_shape

    def seen(name: str, module: nn.Module, given: object, output: object) -> None:
        del given
        if isinstance(module, nn.Identity | nn.Dropout) or not isinstance(output, Tensor) or output.ndim != 4:
            return
        channels, height, width = output.shape[1:]
        if (height, width) != tuple(trunk.size) and height >= rows and width >= columns:
            found[(height, width)] = name, channels

    device = next(trunk.parameters()).device
    was_training = trunk.training
    trunk.eval()
    with torch.no_grad(), _heard(trunk, [name for name, _ in trunk.named_modules() if name], seen):
        trunk.features(torch.zeros(1, 3, *trunk.size, device=device))
    trunk.train(was_training)
    named = {size: found[size] for size in sorted(found, reverse=True)}
    return {name: (channels, *size) for size, (name, channels) in named.items()}


@contextmanager
def tapped(trunk: nn.Module, names: list[str]) -> Iterator[list[Tensor]]:
    """While this lasts, the list holds the outputs of some modules of the trunk's latest run, in the order of their names."""
    outputs: dict[str, Tensor] = {}
    found: list[Tensor] = []

    def keep(name: str, module: nn.Module, given: object, output: Tensor) -> None:
        del module, given
        outputs[name] = output
        if len(outputs) == len(names):
            found[:] = [outputs[one] for one in names]

    with _heard(trunk, names, keep):
        yield found


@contextmanager
def _heard(trunk: nn.Module, names: list[str], hear: Callable[..., None]) -> Iterator[None]:
    """While this lasts, `hear` is told name, module, input and output of some modules each time that they run."""
    modules = dict(trunk.named_modules())
    handles = [modules[name].register_forward_hook(partial(hear, name)) for name in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _block(given: int, width: int, stride: int = 1) -> nn.Sequential:
    """Convolution, normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(given, width, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )
