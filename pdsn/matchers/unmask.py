"""Embedding unmasking: a small network behind the frozen base takes the occlusion out of an embedding.

A face of which a region counts as covered passes it, whichever side it is on; a free one is compared as it is. What
covers the face, and where, the network has to see for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.artefact import TrainingFolder
from pdsn.bases.encoder import Encoder
from pdsn.config.setting import section, setting
from pdsn.data.dataset import next_other
from pdsn.matchers.cosine import Cosine
from pdsn.matchers.embedding import flip_sum
from pdsn.matchers.learning import LearningConfig, learn, loaded
from pdsn.matchers.matcher import Signature
from pdsn.matchers.memory import MapMemory
from pdsn.matchers.training_photos import LAYOUT, map_photos
from pdsn.networks.branches import Role
from pdsn.networks.pair_losses import self_restrained_triplet_loss, triplet_loss
from pdsn.networks.unmasking import EmbeddingUnmasking
from pdsn.occlusion.layouts import Layout
from pdsn.plugin import Plugin

if TYPE_CHECKING:
    from pdsn.run.workspace import Workspace

LOSSES = {"srt": self_restrained_triplet_loss, "triplet": triplet_loss}


@section("unmask")
class UnmaskConfig(LearningConfig):
    """Settings of embedding unmasking."""

    loss: str = setting(
        default="srt",
        help="srt is the self-restrained triplet loss, triplet the plain one",
        choices=tuple(LOSSES),
    )
    margin: float = setting(
        default=2.0, help="m of both losses, in squared distance of unit embeddings", low=0, high=4
    )
    width: int = setting(default=512, help="of the hidden layers", low=8, high=8192)


class Unmasking(nn.Module):
    """The unmasking model as it learns, see `learning.Learner`.

    Args:
        encoder: the frozen base, whose head gives the embeddings.
        layout, share: a face is unmasked if a region of it counts as covered.
        own: settings.
    """

    most_pairs = None

    def __init__(self, encoder: Encoder, layout: Layout, share: float, own: UnmaskConfig) -> None:
        super().__init__()
        self.encoder, self.own = encoder, own
        self.layout, self.share = layout, share
        self.unmask = EmbeddingUnmasking(encoder.net.embedding, own.width)

    def unmasked(self, embeddings: Tensor) -> Tensor:
        """Unit embeddings (N, E) of covered faces, from those that the base has."""
        with torch.autocast(embeddings.device.type, enabled=False):
            return F.normalize(self.unmask(embeddings))

    def forward(self, probes: Tensor, covered: Tensor, gallery: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """{"loss": scalar} of a batch of `learning.TwinBatches`: every probe is an anchor.

        The positive is the gallery's photo of the same person, the negative that of the next other person in the batch.
        """
        del covered
        anchors = self.unmasked(self.encoder.frozen(probes, "probe"))
        positives = self.encoder.frozen(gallery, "gallery")
        negatives = positives[next_other(labels)]
        return {"loss": LOSSES[self.own.loss](anchors, positives, negatives, self.own.margin)}

    def scores(self, probes: Tensor, covered: Tensor, gallery: Tensor) -> Tensor:
        """See `learning.Learner`."""
        seen = self.encoder.frozen(probes, "probe")
        touched = self.layout.occluded(covered, self.share).any(1)[:, None]
        return torch.where(touched, self.unmasked(seen), seen) @ self.encoder.frozen(gallery, "gallery").T


class Unmask(Cosine):
    """The cosine of two embeddings, those of covered faces after the unmasking model.

    Args:
        memory: the base and its maps.
        model: the trained network.
        compare: see `EmbeddingMatcher`.
    """

    alone = True

    def __init__(self, memory: MapMemory, model: Unmasking, compare: str) -> None:
        super().__init__(memory, model.layout, model.share, compare)
        self.model = model

    @torch.inference_mode()
    def embed(self, views: list[Tensor], signature: Signature, role: Role) -> Tensor:
        """See `EmbeddingMatcher`; each view is unmasked by itself."""
        if not any(signature):
            return super().embed(views, signature, role)
        return F.normalize(
            flip_sum(self.model.unmasked(self.model.encoder.frozen(maps, role)) for maps in views)
        )


def build(workspace: Workspace, own: UnmaskConfig) -> Unmasking:
    """The network, with random weights."""
    share = workspace.settings.regions.share
    return Unmasking(workspace.memory.encoder, workspace.layout(LAYOUT), share, own)


def train(workspace: Workspace, own: UnmaskConfig, folder: TrainingFolder) -> dict[str, float]:
    """See `Plugin`."""
    return learn(workspace, own, folder, build, map_photos(workspace, own.draws))


def load(workspace: Workspace, folder: TrainingFolder) -> Unmask:
    """The matcher of a run."""
    settings = workspace.settings
    model = loaded(workspace, settings.of(PLUGIN), folder, build)
    return Unmask(workspace.memory, model, settings.eval.compare)


PLUGIN = Plugin(
    name="unmask",
    help="embedding unmasking: a small network takes the occlusion out of a covered face's embedding",
    paper="F. Boutros, N. Damer, F. Kirchbuchner, A. Kuijper: Self-restrained Triplet Loss for Accurate Masked Face "
    "Recognition, 2022; papers/003",
    settings=UnmaskConfig,
    needs=("base-train",),
    train=train,
    load=load,
)
