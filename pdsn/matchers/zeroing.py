"""Zeroed neurons, papers/000, idea 2: what lies under the occlusion is set to 0 in the covered photo alone.

The flattened map passes one fully connected layer, learned by contrastive loss. The photo that it is compared with stays
whole: the layer has to learn what a face looks like of which parts are 0. See `segments` for idea 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.artefact import TrainingFolder
from pdsn.config.setting import section, setting
from pdsn.matchers.cells import covered_cells, covered_views, widened
from pdsn.matchers.cosine import Cosine
from pdsn.matchers.embedding import flip_sum
from pdsn.matchers.learning import LearningConfig, learn, loaded
from pdsn.matchers.matcher import Signature
from pdsn.matchers.memory import MapMemory
from pdsn.matchers.training_photos import LAYOUT, map_photos
from pdsn.networks.branches import Role
from pdsn.networks.pair_losses import contrastive_loss
from pdsn.occlusion.layouts import Layout
from pdsn.plugin import Plugin

if TYPE_CHECKING:
    from pdsn.run.workspace import Workspace


@section("zeroing")
class ZeroingConfig(LearningConfig):
    """Settings of zeroed neurons, with the head of embeddings."""

    LEARNS_FROM = ("base",)

    margin: float = setting(
        default=1.4,
        help="distance of unit embeddings from which two people are far enough apart",
        low=0.01,
        high=2,
    )
    embedding: int = setting(default=512, help="length of an embedding", low=8, high=4096)


class Zeroing(nn.Module):
    """A fully connected layer on flattened maps, see `learning.Learner`.

    Args:
        map_shape: (C, h, w).
        layout: regions; the cells under those that count as covered are zeroed.
        share: a region counts as covered when more than this share of it is.
        own: settings.
    """

    most_pairs = None

    def __init__(
        self, map_shape: tuple[int, int, int], layout: Layout, share: float, own: ZeroingConfig
    ) -> None:
        super().__init__()
        channels, rows, columns = map_shape
        self.cells = (rows, columns)
        self.layout, self.share, self.margin = layout, share, own.margin
        self.layer = nn.Linear(channels * rows * columns, own.embedding)

    def embeddings(self, maps: Tensor, covered: Tensor | None = None) -> Tensor:
        """Unit embeddings (N, E) of maps (N, C, h, w), with the cells under covered pixels (N, H, W) bool set to 0."""
        if covered is not None:
            maps = maps * ~covered_cells(covered, self.cells)[:, None]
        return F.normalize(self.layer(maps.flatten(1)))

    def forward(self, probes: Tensor, covered: Tensor, gallery: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """{"loss": scalar} of a batch of `learning.TwinBatches`: the contrastive loss of its pairs, of two people
        each face's nearest: on a trained base the others are easy, and would be all that counts."""
        hidden = widened(covered, self.layout, self.share)
        same = labels[:, None] == labels[None]
        ours, theirs = self.embeddings(probes, hidden), self.embeddings(gallery)
        return {"loss": contrastive_loss(ours, theirs, same, self.margin, "nearest")}

    def scores(self, probes: Tensor, covered: Tensor, gallery: Tensor) -> Tensor:
        """See `learning.Learner`."""
        hidden = widened(covered, self.layout, self.share)
        return self.embeddings(probes, hidden) @ self.embeddings(gallery).T


class ZeroingMatcher(Cosine):
    """The cosine of the layer's embeddings, each face's with its own covered cells zeroed.

    Args:
        memory: the base and its maps.
        model: the trained layer.
        compare: see `EmbeddingMatcher`.
    """

    alone = True

    def __init__(self, memory: MapMemory, model: Zeroing, compare: str) -> None:
        super().__init__(memory, model.layout, model.share, compare)
        self.model = model

    @torch.inference_mode()
    def embed(self, views: list[Tensor], signature: Signature, role: Role) -> Tensor:
        """See `EmbeddingMatcher`."""
        del role
        assert self.layout is not None
        covered = covered_views(signature, self.layout, views)
        parts = (self.model.embeddings(maps, one) for maps, one in zip(views, covered, strict=True))
        return F.normalize(flip_sum(parts))


def build(workspace: Workspace, own: ZeroingConfig) -> Zeroing:
    """The layer, with random weights."""
    shape = workspace.memory.encoder.net.map_shape
    return Zeroing(shape, workspace.layout(LAYOUT), workspace.settings.regions.share, own)


def train(workspace: Workspace, own: ZeroingConfig, folder: TrainingFolder) -> dict[str, float]:
    """See `Plugin`."""
    photos = map_photos(workspace, own.draws)
    return learn(workspace, own, folder, build, photos)


def load(workspace: Workspace, folder: TrainingFolder) -> ZeroingMatcher:
    """The matcher of a run."""
    settings = workspace.settings
    model = loaded(workspace, settings.of(PLUGIN), folder, build)
    return ZeroingMatcher(workspace.memory, model, settings.eval.compare)


PLUGIN = Plugin(
    name="zeroing",
    help="zeroed neurons: what lies under the occlusion is 0 in the covered photo, then a fully connected layer",
    paper="papers/000, idea 2",
    settings=ZeroingConfig,
    needs=("base-train",),
    train=train,
    load=load,
)
