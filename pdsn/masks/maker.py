"""A maker: how the masks of a layout come about. Each is a `Maker`, and a line in `pdsn.masks.makers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pdsn.artefact import TrainingFolder
from pdsn.masks.dictionary import binarise
from pdsn.masks.maps import PairMaps
from pdsn.occlusion.layouts import Layout

if TYPE_CHECKING:
    from pdsn.networks.network import BaseModel
    from pdsn.run.workspace import Workspace

ALL = ""
"""Label of what is learned for all regions together."""


@dataclass(frozen=True)
class Ingredients:
    """What the masks of a dictionary are made from.

    Attributes:
        maps: of the training pairs.
        layout: the regions.
        trained: what was learned, by label; empty where nothing is.
        percentile: 0 to 100, below which features are dropped; not used where masks are soft.
        seed: of masks that are drawn.
    """

    maps: PairMaps
    layout: Layout
    trained: Mapping[str, TrainingFolder]
    percentile: float
    seed: int


Masks = tuple[Tensor, Tensor]
"""Mean masks (R, C, h, w) float32 and binary masks (R, C, h, w) bool."""


@dataclass(frozen=True)
class Maker:
    """How masks come about.

    Attributes:
        name: as in a strategy, `NAME@LAYOUT`.
        help: what it is, in one line.
        masks: makes the masks of all regions.
        soft: the mean masks themselves multiply the features.
        labels: regions (names) -> a label for each network or parameter that is trained by itself: `ALL`, or the
            regions; none where nothing is learned.
        folder: called with workspace, strategy's name, layout, label and the base's sha256: where it is trained.
        train: called with workspace, maps, base, layout, label and folder: trains it, gives the kept figures.
        setting: of the batch size, such as "masks.batch", for messages.
    """

    name: str
    help: str
    masks: Callable[[Ingredients], Masks]
    soft: bool = False
    labels: Callable[[Sequence[str]], list[str]] = lambda regions: []  # noqa: ARG005
    folder: Callable[[Workspace, str, Layout, str, str], TrainingFolder] | None = None
    train: (
        Callable[[Workspace, PairMaps, BaseModel, Layout, str, TrainingFolder], dict[str, float]] | None
    ) = None
    setting: str = ""

    @property
    def learns(self) -> bool:
        """Whether anything has to be trained before a dictionary can be built."""
        return self.train is not None


def by_region(mean_of: Callable[[Ingredients, str, int], Tensor]) -> Callable[[Ingredients], Masks]:
    """Masks of which each region's is its mean mask (C, h, w), cut at the percentile (equation 4).

    Args:
        mean_of: gives the mean mask of a region by its name and number.
    """

    def masks(given: Ingredients) -> Masks:
        means = [mean_of(given, region, number) for number, region in enumerate(given.layout.regions)]
        return torch.stack(means), torch.stack([binarise(mean, given.percentile) for mean in means])

    return masks
