"""A segmentation that calls a face covered only where it is surer of that than of free faces.

Dropping features of a free face costs more than missing a small occlusion. So each band of the face has a limit of its own,
set on validation photos of which nothing is covered, as photographs may show them: with glasses and beards, in any light, poor,
cropped tightly. At most a small share of them may have a band that counts as covered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from pdsn.occlusion.layouts import Box

SHARE = 0.3
"""A band is meant to count as covered when more than this share of it is: the least of the presets."""


class Segmentation(nn.Module):
    """A network that gives logits (N, H, W), above 0 where covered, of faces (N, 3, H, W)."""

    @property
    def learned(self) -> nn.Module:
        """The part of it that is trained, and kept on disk: all of it, unless it says otherwise."""
        return self


class Cautious(Segmentation):
    """A segmentation and the limits that its logits have to pass.

    Args:
        net: (N, 3, H, W) faces to logits (N, H, W).

    Attributes:
        bands: (R, 4) int64, top, bottom, left and right of each band in pixels.
        limits: (R,) float32, at least 0, taken off the logits within a band.
    """

    bands: Tensor
    limits: Tensor

    def __init__(self, net: Segmentation) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("bands", torch.zeros(1, 4, dtype=torch.int64))
        self.register_buffer("limits", torch.zeros(1))

    def weights(self) -> dict[str, Tensor]:
        """What is kept on disk: what was learned, and the limits."""
        return {**self.net.learned.state_dict(), "bands": self.bands, "limits": self.limits}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take what `weights` gave; of a segmentation from before there were limits they are 0.

        Raises:
            RuntimeError: these are the weights of another network.
        """
        learned = dict(weights)
        self.bands = learned.pop("bands", torch.zeros_like(self.bands)).to(self.limits.device)
        self.limits = learned.pop("limits", torch.zeros(len(self.bands))).to(self.limits.device)
        # A network whose weights lie nowhere yet takes these as they are, instead of copying them.
        empty = any(parameter.is_meta for parameter in self.net.learned.parameters())
        self.net.learned.load_state_dict(learned, assign=empty)

    def forward(self, faces: Tensor) -> Tensor:
        """Logits (N, H, W) float32, above 0 where covered, of faces (N, 3, H, W)."""
        logits: Tensor = self.net(faces)
        return logits - self.map_of(logits.shape[1], logits.shape[2])

    def map_of(self, height: int, width: int) -> Tensor:
        """The limit of each pixel (H, W), 0 outside of the bands."""
        rows = torch.arange(height, device=self.limits.device)[None, :, None]
        columns = torch.arange(width, device=self.limits.device)[None, None]
        top, bottom, left, right = (self.bands[:, place, None, None] for place in range(4))
        inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
        return (inside * self.limits[:, None, None]).amax(0)

    def calibrate(self, logits: Tensor, boxes: Sequence[Box], touched: float) -> None:
        """Set the limits.

        Args:
            logits: (N, H, W) of free faces, with nothing taken off.
            boxes: the bands.
            touched: share of such faces that may have a band that counts as covered, 0 to 1.
        """
        device = self.limits.device
        edges = [[box.top, box.bottom, box.left, box.right] for box in boxes]
        self.bands, self.limits = (
            torch.tensor(edges, device=device),
            limits_of(logits, boxes, touched).to(device),
        )


def limits_of(logits: Tensor, boxes: Sequence[Box], touched: float, share: float = SHARE) -> Tensor:
    """The least limits (R,) with which few free faces have a band that counts as covered.

    All bands stand at the same quantile of free faces, as high as is needed for all of them together.

    Args:
        logits: (N, H, W) of free faces.
        boxes: R bands.
        touched: share of faces that may have a band that counts as covered.
        share: a band counts as covered when more than this share of its pixels is above its limit.
    """
    # A face passes a band whose limit is at least its level there.
    levels = torch.stack([_level(logits[:, b.top : b.bottom, b.left : b.right], share) for b in boxes], 1)
    levels = levels.clamp(min=0)
    limits = levels.amax(0)
    for candidate in levels.sort(0, descending=True).values:
        if int((levels > candidate).any(1).sum()) > touched * len(levels):
            break
        limits = candidate
    return limits


def _level(logits: Tensor, share: float) -> Tensor:
    """The level (N,) above which lies at most this share of the pixels (N, h, w) of a band."""
    flat = logits.flatten(1)
    count = flat.shape[1]
    return flat.kthvalue(count - int(share * count), dim=1).values
