"""The mask dictionary: from mean masks to binary ones, and to the feature-discarding mask (FDM)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pdsn.artefact import load_tensors, making, save_tensors
from pdsn.errors import PdsnError
from pdsn.occlusion.layouts import Box, Layout

PERCENTILES = {"grid3x3": 25.0, "LM1": 20.0, "LM2": 30.0, "LM2-split": 30.0}
"""Percentile below which features are dropped (Johnston & Ngxande, section 4.2); LM2-split is ours."""


def percentile_of(layout: Layout, asked: float) -> float:
    """The percentile asked for, 0 to 100; the paper's for the layout where it is -1."""
    return asked if asked >= 0 else PERCENTILES[layout.name]


@dataclass(frozen=True)
class MaskDictionary:
    """One mask for each region.

    Attributes:
        layout: the regions; the order of its regions is the order of the masks.
        mean: (R, C, h, w) float32, how far each feature survives an occlusion of the region.
        binary: (R, C, h, w) bool, True where a feature is kept (equation 4).
        base: sha256 of the base CNN whose features these are.
        soft: the mean masks themselves multiply the features, instead of the binary ones.
    """

    layout: Layout
    mean: Tensor
    binary: Tensor
    base: str
    soft: bool = False

    @property
    def masks(self) -> Tensor:
        """(R, C, h, w) what multiplies the features: bool, or float32 in 0 to 1 where it is soft."""
        return self.mean if self.soft else self.binary

    def combine(self, occluded: Tensor) -> Tensor:
        """The FDM of a set of occluded regions: the AND of their masks (section 3.5), their product if soft.

        Args:
            occluded: (R,) bool.

        Returns:
            (C, h, w) bool, or float32 in 0 to 1 where the masks are soft; all 1 where no region is occluded.
        """
        chosen = occluded.to(self.masks.device)[:, None, None, None]
        if self.soft:
            return torch.where(chosen, self.mean, 1.0).prod(0)
        return (self.binary | ~chosen).all(0)

    def kept_share(self) -> Tensor:
        """(R, h, w) share of the features that each mask keeps at each cell of the map."""
        return self.masks.float().mean(1)

    def save(self, path: Path) -> None:
        """Write the dictionary atomically as one safetensors file."""
        regions = {name: list(box) for name, box in self.layout.regions.items()}
        about = {
            "strategy": self.layout.name,
            "size": list(self.layout.size),
            "regions": regions,
            "landmarks": {name: list(points) for name, points in self.layout.landmarks.items()},
            "base": self.base,
            "soft": self.soft,
        }
        save_tensors(path, {"mean": self.mean, "binary": self.binary}, {"dictionary": json.dumps(about)})

    @classmethod
    def load(
        cls, path: Path, *, base: str, regions_now: Callable[[str], Layout], remake: str
    ) -> MaskDictionary:
        """Read a dictionary.

        Args:
            path: as written by `save`.
            base: sha256 of the base CNN it is to be used with.
            regions_now: what a layout's regions are on the data set it is to be used with.
            remake: the command that builds it, for messages.

        Raises:
            PdsnError: missing, damaged, or built for another base or for other regions.
        """
        tensors, metadata = load_tensors(path, remake)
        remake = making(remake, path)
        try:
            about = json.loads(metadata["dictionary"])
            layout = Layout(
                about["strategy"],
                (int(about["size"][0]), int(about["size"][1])),
                {name: Box(*box) for name, box in about["regions"].items()},
                {name: tuple(points) for name, points in about["landmarks"].items()},
            )
            mean, binary = tensors["mean"], tensors["binary"].bool()
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise PdsnError(
                f"{path} is no mask dictionary ({error}): make it again with `{remake}`"
            ) from error
        if about["base"] != base:
            raise PdsnError(f"{path} belongs to another base: rebuild it with `{remake}`")
        if layout != regions_now(layout.name):
            raise PdsnError(f"{path} was built for other regions: rebuild it with `{remake}`")
        return cls(layout, mean, binary, base, bool(about.get("soft", False)))


def mask_input(maker: str, label: str) -> str:
    """Under which name a dictionary's description has the hash of the masks that it was built of.

    Args:
        maker: name of the maker.
        label: the region; "" where one artefact has the masks of all.
    """
    return f"generator {label or maker}"


def normalise(masks: Tensor) -> Tensor:
    """Min-max normalise each pair's mask over all its values (section 3.3).

    Args:
        masks: (N, C, h, w).

    Returns:
        (N, C, h, w) in 0 to 1; a constant mask becomes 1: it ranks no feature below another.
    """
    low, high = masks.amin((1, 2, 3), keepdim=True), masks.amax((1, 2, 3), keepdim=True)
    spread = high - low
    return torch.where(spread > 0, (masks - low) / spread.clamp_min(torch.finfo(masks.dtype).tiny), 1.0)


def mean_mask(batches: Iterable[Tensor]) -> Tensor:
    """Mean (C, h, w) of the normalised masks of all pairs; each batch is (N, C, h, w)."""
    total, count = None, 0
    for masks in batches:
        part = normalise(masks.float()).cpu().double().sum(0)  # MPS knows no float64
        total = part if total is None else total + part
        count += len(masks)
    if total is None:
        raise ValueError("no masks to average")
    return (total / count).float()


def binarise(mean: Tensor, percentile: float) -> Tensor:
    """Keep the features above a percentile of the mean mask (equation 4).

    Args:
        mean: (C, h, w).
        percentile: 0 to 100, of all values of the mean mask.

    Returns:
        (C, h, w) bool: mean > delta, delta the value at the percentile. Where so many features share the
        highest value that it is the percentile, they are kept: a mask that drops everything tells nobody apart.
    """
    delta = torch.quantile(mean.double().flatten(), percentile / 100)
    return (mean.double() > delta) | (mean == mean.max())
