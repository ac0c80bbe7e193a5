"""Labels for the segmentation, and how well two masks agree."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

CHANGED = 12
"""Grey levels: a pixel that changed by more than this in any channel was covered."""
OPENING, CLOSING = 1, 2
"""Radii in pixels of the disks for a face 64 rows high; larger faces have larger ones."""


def difference_labels(clean: Tensor, occluded: Tensor) -> Tensor:
    """Covered pixels by the absolute difference of a photo and its occluded twin.

    Johnston & Ngxande, section 4.1: the difference is cleaned by morphological opening (drops specks) and
    closing (fills what the occluder happens to have in common with the face).

    Args:
        clean: (N, 3, H, W) uint8.
        occluded: (N, 3, H, W) uint8, the same photos occluded.

    Returns:
        (N, H, W) bool.
    """
    from skimage.morphology import closing, disk, opening

    changed = ((clean.short() - occluded.short()).abs().amax(1) > CHANGED).numpy()
    scale = max(clean.shape[2] / 64, 1)
    small, large = disk(round(OPENING * scale)), disk(round(CLOSING * scale))
    # A border of repeated pixels: the edge of the photo must not eat into an occlusion that reaches it.
    rim = 2 * large.shape[0]
    found = np.empty_like(changed)
    for index, mask in enumerate(changed):
        wide = np.pad(mask, rim, mode="edge")
        found[index] = closing(opening(wide, small), large)[rim:-rim, rim:-rim]
    return torch.from_numpy(found)


def pixel_accuracy(found: Tensor, exact: Tensor) -> Tensor:
    """Share of each photo's pixels that are told right: (N,) of two (N, H, W) bool masks."""
    return (found == exact).float().mean((1, 2))


def foreground_iou(found: Tensor, exact: Tensor) -> Tensor:
    """Intersection over union of the covered pixels of each photo.

    Args:
        found: (N, H, W) bool.
        exact: (N, H, W) bool.

    Returns:
        (N,) in 0 to 1; NaN where nothing is covered, neither truly nor supposedly.
    """
    either = (found | exact).sum((1, 2))
    return torch.where(either > 0, (found & exact).sum((1, 2)) / either, torch.nan)
