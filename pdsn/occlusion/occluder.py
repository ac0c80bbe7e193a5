"""What an occluder is; `occluders` has those of the table."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Occluder(Protocol):
    """Anything that covers part of a photo."""

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Cover part of a photo.

        Args:
            image: (3, H, W) uint8, left as it is.
            landmarks: (5, 2) x, y in pixels.
            rng: source of everything random.

        Returns:
            The occluded photo (3, H, W) uint8 and the exact mask (H, W) bool of the covered pixels.
        """
        ...


def left_clean(image: Tensor) -> tuple[Tensor, Tensor]:
    """What an occluder gives that covers nothing of a photo (3, H, W)."""
    return image.clone(), torch.zeros(image.shape[1:], dtype=torch.bool)
