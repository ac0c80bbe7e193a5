"""The exposed parts of the face, papers/000, idea 1: each part's cosine, combined with learned weights.

A part counts only if it is free in both photos. Here the vector of a part is the mean of the base's own map over it,
which costs nothing beyond the base; `parts_cnn` has a network of its own for crops of the parts. Two faces of which no
part is free in both score 0.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from pdsn.artefact import TrainingFolder
from pdsn.config.setting import section, setting
from pdsn.matchers.embedding import EmbeddingMatcher, flip_sum
from pdsn.matchers.learning import LearningConfig, MapPhotos, learn, loaded, map_photos
from pdsn.matchers.matcher import Signature
from pdsn.matchers.memory import MapMemory
from pdsn.networks.branches import Role, has_branches
from pdsn.networks.pair_losses import margin_in_batch
from pdsn.networks.parts import PartWeights, part_vectors, pooling
from pdsn.occlusion.layouts import LAYOUTS, Layout, mirrored
from pdsn.plugin import Plugin

if TYPE_CHECKING:
    from pdsn.run.workspace import Workspace


@dataclass(frozen=True)
class PartsConfig(LearningConfig):
    """What both kinds of parts can be set to."""

    layout: str = setting(default="LM2-split", help="its regions are the parts", choices=tuple(LAYOUTS))
    scale: float = setting(default=30.0, help="s of the margin loss", low=1, high=1000)
    margin: float = setting(default=0.2, help="m of the margin loss, in cosine", low=0, high=1)


class PartNet(nn.Module):
    """Parts as they learn, see `learning.Learner`.

    Args:
        layout: its regions are the parts.
        share: a part is free where no more than this share of it is covered.
        own: settings.
    """

    def __init__(self, layout: Layout, share: float, own: PartsConfig) -> None:
        super().__init__()
        self.layout, self.share, self.own = layout, share, own
        sides = enumerate(mirrored(layout))
        self.weights = PartWeights([others[0] if others else place for place, others in sides])

    @abstractmethod
    def vectors(self, seen: Tensor) -> Tensor:
        """Unit vectors (N, R, C) of the parts of maps (N, C, h, w), or of faces."""

    def forward(self, probes: Tensor, covered: Tensor, gallery: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """{"loss": scalar} of a batch of `learning.TwinBatches`: the margin loss within the batch."""
        scores = self.scores(probes, covered, gallery)
        return {"loss": margin_in_batch(scores, labels, self.own.scale, self.own.margin)}

    def scores(self, probes: Tensor, covered: Tensor, gallery: Tensor) -> Tensor:
        """See `learning.Learner`."""
        free = ~self.layout.occluded(covered, self.share)
        # The parts of a gallery are all free: those of the probe decide.
        weights = self.weights.among(free)
        ours, theirs = self.vectors(probes), self.vectors(gallery)
        return torch.einsum("pr,prc,grc->pg", weights, ours, theirs)


class PooledParts(PartNet):
    """Parts of the base's own maps, see `PartNet`; nothing but their weights is learned.

    Args:
        map_shape: (C, h, w).
        layout, share, own: see `PartNet`.
    """

    centre: Tensor
    pool: Tensor

    def __init__(
        self, map_shape: tuple[int, int, int], layout: Layout, share: float, own: PartsConfig
    ) -> None:
        super().__init__(layout, share, own)
        boxes = torch.tensor([[b.top, b.bottom, b.left, b.right] for b in layout.regions.values()])
        self.register_buffer("pool", pooling(boxes, layout.size, map_shape[1:]), persistent=False)
        self.register_buffer("centre", torch.zeros(len(layout.regions), map_shape[0]))

    def vectors(self, seen: Tensor) -> Tensor:
        """See `PartNet`."""
        return part_vectors(seen, self.pool, self.centre)


class PartsMatcher(EmbeddingMatcher):
    """The weighted mean of the cosines of the parts that are free in both faces.

    Args:
        memory: the base and its maps; of a network that sees faces themselves it gives the mirror images alone.
        model: the trained parts.
        compare: see `EmbeddingMatcher`.
    """

    def __init__(self, memory: MapMemory, model: PartNet, compare: str) -> None:
        super().__init__(model.layout, model.share, compare)
        self.memory, self.model = memory, model

    @property
    def weights(self) -> list[float]:
        """What each part counts, in the order of `regions`; together 1."""
        with torch.inference_mode():
            return [round(float(weight), 6) for weight in self.model.weights()]

    @property
    def symmetric(self) -> bool:
        """See `Matcher`."""
        return super().symmetric and not has_branches(self.memory.encoder.net)

    @torch.inference_mode()
    def look(self, pixels: Tensor, role: Role) -> list[Tensor]:
        """Vectors (N, R, C) of the parts, the sum over the face and its mirror image."""
        face, *mirror_image = self.memory.views(pixels, role)
        # Turned back, so that each part lies where it does in the face.
        views = [face, *(maps.flip(3) for maps in mirror_image)]
        return [nn.functional.normalize(flip_sum(self.model.vectors(maps) for maps in views), dim=2)]

    @torch.inference_mode()
    def embed(self, views: list[Tensor], signature: Signature, role: Role) -> Tensor:
        """See `EmbeddingMatcher`: the parts' vectors one after the other, (N, R C)."""
        del role
        free = ~torch.tensor(signature, dtype=torch.bool, device=views[0].device)
        return (views[0] * self.model.weights.factors(free[None])[..., None]).flatten(1)


@section("parts")
class PooledConfig(PartsConfig):
    """Settings of parts of the base's own maps."""

    lr: float = setting(default=3e-2, help="largest learning rate", low=1e-8, high=100)


def build(workspace: Workspace, own: PooledConfig) -> PooledParts:
    """The parts, with equal weights."""
    shape = workspace.memory.encoder.net.map_shape
    return PooledParts(shape, workspace.layout(own.layout), workspace.settings.regions.share, own)


def train(workspace: Workspace, own: PooledConfig, folder: TrainingFolder) -> dict[str, float]:
    """See `Plugin`."""
    photos = map_photos(workspace, own.draws)

    def begin() -> PooledParts:
        made = build(workspace, own)
        maps = photos[0]
        assert isinstance(maps, MapPhotos)
        made.centre.copy_(centre_of(maps, made.pool))
        return made

    return learn(workspace, own, folder, begin, photos)


def centre_of(photos: MapPhotos, pool: Tensor) -> Tensor:
    """The mean (R, C) of each part over photos that nothing covers."""
    total = torch.zeros(photos.enrolled.shape[1:])
    for first in range(0, len(photos.enrolled), 256):
        total += photos.gallery(np.arange(first, min(first + 256, len(photos.enrolled)))).sum(0)
    return pool @ (total / len(photos.enrolled)).flatten(1).T


def load(workspace: Workspace, folder: TrainingFolder) -> PartsMatcher:
    """The matcher of a run."""
    settings = workspace.settings
    model = loaded(workspace, settings.of(PLUGIN), folder, build)
    return PartsMatcher(workspace.memory, model, settings.eval.compare)


PLUGIN = Plugin(
    name="parts",
    help="the parts of the face that are free in both photos, from the base's map, with learned weights",
    paper="papers/000, idea 1",
    settings=PooledConfig,
    needs=("base-train",),
    train=train,
    load=load,
)
