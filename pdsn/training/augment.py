"""Augmentation of face batches: mirror, small affine, brightness and contrast, on the device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augmentation:
    """How far training faces are moved and relit; each amount is drawn uniformly for each face.

    Attributes:
        mirror: probability of a left-right flip.
        rotate: largest rotation either way, in degrees.
        zoom: largest relative change of scale either way.
        shift: largest shift either way, as a share of height and width.
        light: largest relative change of brightness and of contrast either way.
    """

    mirror: float = 0.5
    rotate: float = 8.0
    zoom: float = 0.08
    shift: float = 0.04
    light: float = 0.25

    def __call__(self, faces: Tensor, generator: torch.Generator) -> Tensor:
        """Augment a batch.

        Args:
            faces: (N, 3, H, W) uint8.
            generator: on the CPU, so that every device sees the same draws.

        Returns:
            (N, 3, H, W) float32 in 0 to 255.
        """
        draws = self.draw(len(faces), generator)
        return self.relight(self.move(faces, draws), draws)

    @staticmethod
    def draw(count: int, generator: torch.Generator) -> Tensor:
        """What is random about so many faces: (7, N) in -1 to 1."""
        return torch.rand(7, count, generator=generator) * 2 - 1

    def move(self, images: Tensor, draws: Tensor) -> Tensor:
        """Mirror, rotate, zoom and shift.

        Args:
            images: (N, C, H, W) of any kind; masks move as faces do.
            draws: (7, N) in -1 to 1; the first five count here.

        Returns:
            (N, C, H, W) float32; what comes in over the edge repeats it.
        """
        count, channels, height, width = images.shape
        flip = torch.where(draws[0] < 2 * self.mirror - 1, -1.0, 1.0)
        angle = draws[1] * math.radians(self.rotate)
        scale = 1 + draws[2] * self.zoom
        # affine_grid's coordinates run from -1 to 1 on both axes, whatever the aspect.
        aspect = height / width
        cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
        rows = [
            torch.stack([flip * cosine, -aspect * sine, 2 * self.shift * draws[3]], dim=1),
            torch.stack([flip * sine / aspect, cosine, 2 * self.shift * draws[4]], dim=1),
        ]
        theta = torch.stack(rows, dim=1).to(images.device)
        grid = F.affine_grid(theta, [count, channels, height, width], align_corners=False)
        # Beyond the border its pixels go on. padding_mode="border" says so too, but not on every device.
        edge = 1 - 1 / torch.tensor([width, height], device=images.device)
        grid = grid.maximum(-edge).minimum(edge)
        return F.grid_sample(images.float().contiguous(), grid, mode="bilinear", align_corners=False)

    def relight(self, faces: Tensor, draws: Tensor) -> Tensor:
        """Change brightness and contrast of (N, 3, H, W) faces by the last two of `draws`, see `move`."""
        gain, contrast = (1 + self.light * draws[5:7].to(faces.device))[:, :, None, None, None]
        grey = faces.mean((1, 2, 3), keepdim=True)
        return (((faces - grey) * contrast + grey) * gain).clamp_(0, 255)
