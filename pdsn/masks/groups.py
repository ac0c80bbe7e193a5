"""Photos that share their occluded regions, and so one FDM: masks and heads are trained on a batch of them at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pdsn.bases.map_files import to_tensor
from pdsn.errors import PdsnError
from pdsn.masks.maps import Twins
from pdsn.masks.settings import HeadConfig, MatchingConfig
from pdsn.occlusion.layouts import Layout
from pdsn.training.batches import check_batch

if TYPE_CHECKING:
    from accelerate import Accelerator

Group = tuple[np.ndarray, np.ndarray]
"""A combination of occluded regions (R,) bool, and the photos (M, 2) that show it: draw and row."""
RARE = 16
"""Combinations of occluded regions that fewer photos show are not trained on; the masks' product covers them."""


def training_groups(
    layout: Layout,
    share: float,
    drawn: Sequence[Twins],
    labels: np.ndarray,
    val_drawn: Sequence[Twins],
    val_labels: np.ndarray,
) -> tuple[list[Group], list[Group]]:
    """The groups of the training photos, and those of the validation photos.

    Args:
        layout: the regions.
        share: a region counts as occluded when more than this share of it is covered.
        drawn, labels: draws of the training photos' occluded twins, and their people (N,), -1 for who is left out.
        val_drawn, val_labels: those of the validation photos.

    Raises:
        PdsnError: no occlusion covers a region of any photo.
    """
    groups = photo_groups([twins.shares(layout) for twins in drawn], labels, share, RARE)
    val_groups = photo_groups([twins.shares(layout) for twins in val_drawn], val_labels, share, 1)
    if not groups or not val_groups:
        raise PdsnError(
            f"no region of {layout.name} is ever covered by more than {share:g}: "
            "lower --share, or take a data set with more photos"
        )
    return groups, val_groups


def photo_groups(covered: list[np.ndarray], labels: np.ndarray, share: float, least: int) -> list[Group]:
    """Photos by their occluded regions; those with none have nothing to learn.

    Args:
        covered: for each draw the share (N, R), 0 to 1, of each region that is covered.
        labels: (N,) int64, -1 for people who are left out.
        share: from which on a region counts as occluded.
        least: photos that a combination needs; where none has as many, all combinations are taken.
    """
    found: dict[tuple[bool, ...], list[tuple[int, int]]] = {}
    for draw, shares in enumerate(covered):
        for row in np.flatnonzero((labels >= 0) & (shares > share).any(1)):
            found.setdefault(tuple((shares[row] > share).tolist()), []).append((draw, int(row)))
    groups = {key: photos for key, photos in sorted(found.items()) if len(photos) >= least}
    return [(np.array(key), np.array(photos)) for key, photos in (groups or found).items()]


@dataclass(frozen=True)
class GroupBatches:
    """Photos that share their occluded regions, a batch at a time, see `batches.Batches`.

    Attributes:
        draws: maps (N, C, h, w) of each draw.
        groups: the photos by their occluded regions.
        labels: (N,) int64, -1 for people who are left out.
        config: steps, batch, validations.
    """

    draws: list[np.ndarray]
    groups: list[Group]
    labels: np.ndarray
    config: MatchingConfig | HeadConfig
    seed: int
    accelerator: Accelerator

    def __post_init__(self) -> None:
        setting = "matching.batch" if isinstance(self.config, MatchingConfig) else "head.batch"
        check_batch(setting, self.config.batch, self.accelerator)

    def __len__(self) -> int:
        return -(-self.config.steps // self.config.validations)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, ...]]:
        """See `batches.Batches`; an epoch lasts from one validation to the next."""
        device = self.accelerator.device
        for step in range(number * len(self), (number + 1) * len(self)):
            rng = np.random.default_rng((self.seed, step))
            occluded, photos = self.group(rng)
            chosen = photos[rng.integers(len(photos), size=self.config.batch)]
            chosen = chosen[self.accelerator.process_index :: self.accelerator.num_processes]
            maps = np.stack([self.draws[draw][row] for draw, row in chosen])
            labels = torch.from_numpy(self.labels[chosen[:, 1]])
            yield to_tensor(maps, device), labels.to(device), torch.from_numpy(occluded).to(device)

    def group(self, rng: np.random.Generator) -> Group:
        """One of the groups; common ones come more often, but not as often as they are common."""
        return self.groups[int(rng.choice(len(self.groups), p=self._chances))]

    @cached_property
    def _chances(self) -> np.ndarray:
        chances = np.array([len(photos) for _, photos in self.groups]) ** 0.5
        return np.asarray(chances / chances.sum())
