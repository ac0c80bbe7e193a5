"""From what is covered of a face to the cells of a map."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.matchers.matcher import Signature
from pdsn.occlusion.layouts import Layout

HALF = 0.5
"""A cell counts as covered when more than this share of its pixels is."""


def covered_cells(covered: Tensor, cells: tuple[int, int]) -> Tensor:
    """Which cells (N, h, w) bool of the maps of faces lie under covered pixels (N, H, W) bool."""
    return F.adaptive_avg_pool2d(covered[:, None].float(), cells)[:, 0] > HALF


def region_pixels(layout: Layout) -> Tensor:
    """The pixels (R, H, W) bool of each region of a layout."""
    pixels = torch.zeros((len(layout.regions), *layout.size), dtype=torch.bool)
    for row, box in enumerate(layout.regions.values()):
        pixels[row, box.top : box.bottom, box.left : box.right] = True
    return pixels


def pixels_of(signature: Signature, layout: Layout) -> Tensor:
    """The pixels (H, W) bool of the regions that a signature counts as covered."""
    chosen = torch.tensor(signature, dtype=torch.bool)
    return (region_pixels(layout) & chosen[:, None, None]).any(0)


def covered_views(signature: Signature, layout: Layout, views: list[Tensor]) -> list[Tensor | None]:
    """The pixels (1, H, W) bool that count as covered, as each view shows them; None where nothing is.

    Args:
        signature: which regions do.
        layout: the regions.
        views: of a face: as it is, and mirrored.
    """
    if not any(signature):
        return [None for _ in views]
    covered = pixels_of(signature, layout)[None].to(views[0].device)
    return [covered if view == 0 else covered.flip(2) for view in range(len(views))]


def widened(covered: Tensor, layout: Layout, share: float) -> Tensor:
    """The pixels (N, H, W) bool of all regions of which more than a share is covered, from those that are."""
    regions = layout.occluded(covered, share).float()
    pixels = region_pixels(layout).to(covered.device).float()
    return torch.einsum("nr,rhw->nhw", regions, pixels) > 0
