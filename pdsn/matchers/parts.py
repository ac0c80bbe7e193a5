"""The exposed parts of the face, papers/000, idea 1: each part's cosine, combined with learned weights.

A part counts only if it is free in both photos. Here the vector of a part is what the base's own head makes of the map
when all but the part is 0, which costs next to nothing beyond the base; `parts_cnn` has a network of its own for crops of
the parts. Two faces of which no part is free in both score 0.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.artefact import TrainingFolder
from pdsn.bases.encoder import Encoder
from pdsn.config.setting import section, setting
from pdsn.matchers.cosine import Cosine
from pdsn.matchers.embedding import flip_sum
from pdsn.matchers.learning import PROBES, LearningConfig, learn, loaded
from pdsn.matchers.matcher import Signature
from pdsn.matchers.memory import MapMemory
from pdsn.matchers.training_photos import Photos, map_photos
from pdsn.networks.branches import Role
from pdsn.networks.pair_losses import margin_in_batch
from pdsn.networks.parts import PartWeights, cell_shares
from pdsn.occlusion.layouts import LAYOUTS, Layout, mirrored
from pdsn.plugin import Plugin

if TYPE_CHECKING:
    from pdsn.run.workspace import Workspace


ROLES: tuple[Role, ...] = ("probe", "gallery")


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

    most_pairs = None

    def __init__(self, layout: Layout, share: float, own: PartsConfig) -> None:
        super().__init__()
        self.layout, self.share, self.own = layout, share, own
        sides = enumerate(mirrored(layout))
        self.weights = PartWeights([others[0] if others else place for place, others in sides])

    @abstractmethod
    def vectors(self, seen: Tensor, role: Role, *, flipped: bool = False) -> Tensor:
        """Vectors (N, R, E), of any length, of the parts of faces on a side.

        Args:
            seen: their maps (N, C, h, w), or the faces.
            role: the side.
            flipped: they are seen mirrored; the parts are those of the face all the same.
        """

    def forward(self, probes: Tensor, covered: Tensor, gallery: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """{"loss": scalar} of a batch of `learning.TwinBatches`: the margin loss within the batch."""
        scores = self.scores(probes, covered, gallery)
        return {"loss": margin_in_batch(scores, labels, self.own.scale, self.own.margin)}

    def scores(self, probes: Tensor, covered: Tensor, gallery: Tensor) -> Tensor:
        """See `learning.Learner`."""
        free = ~self.layout.occluded(covered, self.share)
        # The parts of a gallery are all free: those of the probe decide.
        weights = self.weights.among(free)
        ours = F.normalize(self.vectors(probes, "probe"), dim=2)
        theirs = F.normalize(self.vectors(gallery, "gallery"), dim=2)
        return torch.einsum("pr,prc,grc->pg", weights, ours, theirs)


class HeadParts(PartNet):
    """Parts of the base's own maps, see `PartNet`; nothing but their weights is learned.

    A part's vector is the embedding of the map that is 0 outside of the part, less the mean of those of the training photos:
    most heads add something to whatever they see, and all faces would look alike.

    Args:
        encoder: the frozen base.
        layout, share, own: see `PartNet`.
    """

    centre: Tensor
    kept: Tensor

    def __init__(self, encoder: Encoder, layout: Layout, share: float, own: PartsConfig) -> None:
        super().__init__(layout, share, own)
        self.encoder = encoder
        net = encoder.net
        boxes = torch.tensor([[b.top, b.bottom, b.left, b.right] for b in layout.regions.values()])
        shares = cell_shares(boxes, layout.size, (net.map_shape[1], net.map_shape[2]))
        self.register_buffer("kept", shares, persistent=False)
        self.register_buffer("centre", torch.zeros(len(ROLES), len(boxes), net.embedding))

    def vectors(self, seen: Tensor, role: Role, *, flipped: bool = False) -> Tensor:
        """See `PartNet`."""
        centre = self.centre[ROLES.index(role)]
        # Faces and their mirror images have the same mean: a part's is then that of the other side.
        centre = centre[self.weights.mirrored] if flipped else centre
        return self.embedded(seen, role, flipped=flipped) - centre

    def embedded(self, seen: Tensor, role: Role, *, flipped: bool = False) -> Tensor:
        """The same with nothing taken off."""
        kept = self.kept.flip(2) if flipped else self.kept
        with torch.autocast(seen.device.type, enabled=False):
            # Clones: what comes out of inference mode cannot be learned from.
            parts = [self.encoder.embed(seen.float(), part, role).clone() for part in kept]
        return torch.stack(parts, 1)


class PartsMatcher(Cosine):
    """The weighted mean of the cosines of the parts that are free in both faces.

    Args:
        memory: the base and its maps; of a network that sees faces themselves it gives the mirror images alone.
        model: the trained parts.
        compare: see `EmbeddingMatcher`.
    """

    masked = True

    def __init__(self, memory: MapMemory, model: PartNet, compare: str) -> None:
        super().__init__(memory, model.layout, model.share, compare)
        self.model = model

    @property
    def weights(self) -> list[float]:
        """What each part counts, in the order of `regions`; together 1."""
        with torch.inference_mode():
            return [round(float(weight), 6) for weight in self.model.weights()]

    @torch.inference_mode()
    def look(self, pixels: Tensor, role: Role) -> list[Tensor]:
        """Vectors (N, R, C) of the parts, the sum over the face and its mirror image."""
        views = enumerate(self.memory.views(pixels, role))
        parts = (self.model.vectors(maps, role, flipped=view == 1) for view, maps in views)
        return [F.normalize(flip_sum(parts), dim=2)]

    @torch.inference_mode()
    def embed(self, views: list[Tensor], signature: Signature, role: Role) -> Tensor:
        """See `EmbeddingMatcher`: the parts' vectors one after the other, (N, R C)."""
        del role
        free = ~torch.tensor(signature, dtype=torch.bool, device=views[0].device)
        return (views[0] * self.model.weights.factors(free[None])[..., None]).flatten(1)


@section("parts")
class HeadPartsConfig(PartsConfig):
    """Settings of parts of the base's own maps."""

    steps: int = setting(
        default=200, help="of training, whatever the number of photos", low=1, high=10_000_000
    )
    lr: float = setting(default=3e-2, help="largest learning rate", low=1e-8, high=100)


def build(workspace: Workspace, own: HeadPartsConfig) -> HeadParts:
    """The parts, with equal weights."""
    encoder, share = workspace.memory.encoder, workspace.settings.regions.share
    return HeadParts(encoder, workspace.layout(own.layout), share, own)


def train(workspace: Workspace, own: HeadPartsConfig, folder: TrainingFolder) -> dict[str, float]:
    """See `Plugin`."""
    photos = map_photos(workspace, own.draws)

    def begin(workspace: Workspace, own: HeadPartsConfig) -> HeadParts:
        # Moved before `centre_of`: what is moved in inference mode cannot be trained.
        made = build(workspace, own).to(workspace.accelerator.device)
        for side, role in enumerate(ROLES):
            made.centre[side] = centre_of(made, photos[0], role)
        return made

    return learn(workspace, own, folder, begin, photos)


@torch.inference_mode()
def centre_of(parts: HeadParts, photos: Photos, role: Role) -> Tensor:
    """The mean (R, E) of each part over the photos as they are seen on a side, nothing covered."""
    total, count = torch.zeros(parts.centre.shape[1:]), len(photos.labels)
    device = parts.encoder.device
    for rows in np.array_split(np.arange(count), -(-count // PROBES)):
        free = np.full(len(rows), -1)
        maps = photos.gallery(rows) if role == "gallery" else photos.probes(rows, free)[0]
        total += parts.embedded(maps.to(device), role).sum(0).cpu()
    return total / count


def load(workspace: Workspace, folder: TrainingFolder) -> PartsMatcher:
    """The matcher of a run."""
    settings = workspace.settings
    model = loaded(workspace, settings.of(PLUGIN), folder, build)
    return PartsMatcher(workspace.memory, model, settings.eval.compare)


PLUGIN = Plugin(
    name="parts",
    help="the parts of the face that are free in both photos, from the base's map, with learned weights",
    paper="papers/000, idea 1",
    settings=HeadPartsConfig,
    needs=("base-train",),
    train=train,
    load=load,
)
