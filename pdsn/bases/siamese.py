"""The siamese bases: contrastive loss on pairs of a clean and an occluded photo.

After the two standard architectures of the report papers/000: one network for both photos, or a branch for probes and a branch for
galleries, trained on swapped pairs too. The report leaves margin and pairs open. Here a batch is B photos, and of each person
in it another photo under an occlusion: all B x B pairs of a clean and an occluded photo count, those of one person and those of
two. The branches begin with different weights: with the same ones the swapped pairs would give both the same gradient, and they
would stay one network. The mask generators need a classifier: it is made of the training people's mean embeddings, as for an
imported base.

The loss asks how far apart two photos are, not who is nearest. A network that learns from scratch on few people pays it least by
laying everybody's photos along three or so directions; with a margin of 1 it stays there, and a margin beyond the square
root of 2, at which people stand at right angles, brings no more (RESULTS.md has figures).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from pdsn.artefact import TrainingFolder
from pdsn.bases import trained
from pdsn.bases.encoder import Encoder
from pdsn.config.setting import Section, section, setting
from pdsn.data.dataset import FaceDataset
from pdsn.networks.backbone import FaceNet
from pdsn.networks.branches import Network, Role, TwoBranches, branch, has_branches
from pdsn.networks.network import BaseModel
from pdsn.networks.pair_losses import IMPOSTORS, contrastive_loss
from pdsn.occlusion.mixture import base_mixture
from pdsn.plugin import Plugin
from pdsn.training.augment import Augmentation
from pdsn.training.batches import ahead, another, check_batch, shuffled

if TYPE_CHECKING:
    from accelerate import Accelerator

    from pdsn.run.workspace import Workspace


@section("siamese")
class SiameseConfig(Section):
    """Settings of the siamese base beside those of `[base]`."""

    margin: float = setting(
        default=1.4,
        help="distance of unit embeddings from which two people are far enough apart",
        low=0.01,
        high=2,
        before=1.0,
    )
    impostors: str = setting(
        default="near",
        help="pairs of two people over which the loss is averaged: near are those nearer than the margin, which alone cost anything, "
        "nearest each face's nearest one, all those of a batch",
        choices=IMPOSTORS,
        before="all",
    )
    variant: str = setting(
        default="shared",
        help="shared is one network for both photos, unshared a branch for probes and one for galleries",
        choices=("shared", "unshared"),
        before="shared",
    )


class Siamese(nn.Module):
    """One network or two branches, and the contrastive loss of a batch of pairs.

    Args:
        net: the base.
        margin: of the loss.
        impostors: see `pair_losses.contrastive_loss`.
    """

    def __init__(self, net: Network, margin: float, impostors: str = "all") -> None:
        super().__init__()
        self.net = net
        self.loss = partial(contrastive_loss, margin=margin, impostors=impostors)

    def forward(self, clean: Tensor, occluded: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """{"loss": scalar} of clean faces (B, 3, H, W) and as many occluded ones of the same people (B,)."""
        both, same = torch.cat([clean, occluded]), labels[:, None] == labels[None]
        free, covered = self._embed(both, "gallery").chunk(2)
        if not has_branches(self.net):
            return {"loss": self.loss(free, covered, same)}
        # The pairs as they will be compared, and swapped: the gallery's photo is the occluded one.
        free_probe, covered_probe = self._embed(both, "probe").chunk(2)
        there = self.loss(free, covered_probe, same)
        swapped = self.loss(covered, free_probe, same)
        return {"loss": (there + swapped) / 2}

    def _embed(self, faces: Tensor, role: Role) -> Tensor:
        net = branch(self.net, role)
        return net.head(net.features(faces))


@dataclass(frozen=True)
class PairBatches:
    """Clean photos, and of each one's person an occluded photo, another one where there is one; see `batches.Batches`.

    Attributes:
        dataset: the faces.
        rows: the training photos.
        batch: clean photos a step, over all processes.
        augmentation: of both.
        seed: of shuffling and occlusions.
        accelerator: device and processes.
    """

    dataset: FaceDataset
    rows: np.ndarray
    batch: int
    augmentation: Augmentation
    seed: int
    accelerator: Accelerator

    def __post_init__(self) -> None:
        check_batch("base.batch", self.batch, self.accelerator, len(self.rows))

    def __len__(self) -> int:
        return max(len(self.rows) // self.batch, 1)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, ...]]:
        """Clean faces, occluded faces and labels, see `batches.Batches`."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        generator = torch.Generator().manual_seed((self.seed * 100_003 + number) * 64 + rank)
        chosen = shuffled(len(self.rows), self.batch, self.seed, number, rank=rank, world=world)
        mixture = base_mixture()
        labels = self.dataset.labels[self.rows]
        photos = {person: self.rows[labels == person] for person in np.unique(labels)}

        def make(step: int) -> tuple[Tensor, Tensor, Tensor]:
            rng = np.random.default_rng((self.seed, number, step, rank))
            first = self.rows[chosen[step].numpy()]
            whom = self.dataset.labels[first]
            second = np.array(
                [another(photos[person], row, rng) for person, row in zip(whom, first, strict=True)]
            )
            clean, occluded = self.dataset.tensor(first), self.dataset.tensor(second)
            for index, row in enumerate(second):
                points = torch.from_numpy(self.dataset.landmarks[row])
                occluded[index], _ = mixture(occluded[index], points, rng)
            return clean, occluded, torch.from_numpy(whom)

        device = self.accelerator.device
        for clean, occluded, whom in ahead(make, range(len(chosen))):
            faces = (self._augmented(part.to(device), generator) for part in (clean, occluded))
            yield *faces, whom.to(device)

    def _augmented(self, faces: Tensor, generator: torch.Generator) -> Tensor:
        draws = self.augmentation.draw(len(faces), generator)
        return self.augmentation.relight(self.augmentation.move(faces, draws), draws)


def train(workspace: Workspace, own: SiameseConfig, folder: TrainingFolder) -> dict[str, float]:
    """See `Plugin`; the checkpoint that names clean and occluded validation photos best is kept."""
    settings, dataset, accelerator = workspace.settings, workspace.training, workspace.accelerator
    config, rows = settings.base, workspace.training.rows("train")
    model = trained.start(dataset, config, accelerator, settings.seed, lambda: load(folder.config))
    encoder = Encoder(model.net, accelerator)
    batches = PairBatches(
        dataset, rows, config.batch, trained.augmentation_of(config), settings.seed, accelerator
    )
    module = Siamese(model.net, own.margin, own.impostors)
    return trained.train(
        module,
        model,
        batches,
        lambda: trained.validate_by_means(model, encoder, dataset),
        config,
        folder,
        accelerator,
        settings.seed,
    )


def load(found: dict[str, Any]) -> BaseModel:
    """See `Plugin`."""
    model = trained.load_trained(found)
    if found["siamese"].get("variant") == "unshared":
        gallery, probe = model.net, trained.load_trained(found).net
        assert isinstance(gallery, FaceNet) and isinstance(probe, FaceNet)
        model.net = TwoBranches(probe, gallery)
    return model


PLUGIN = Plugin(
    name="siamese",
    help="contrastive loss on clean and occluded photos; one network, or a branch for probes and one for galleries",
    paper="papers/000, both standard architectures; loss: Hadsell, Chopra, LeCun, CVPR 2006",
    settings=SiameseConfig,
    needs=(),
    train=train,
    load=load,
)
