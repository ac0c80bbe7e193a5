"""The paper's base: a ResNet with large margin cosine loss (Johnston & Ngxande, section 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pdsn.artefact import TrainingFolder
from pdsn.bases import trained
from pdsn.bases.encoder import Encoder
from pdsn.bases.settings import BaseConfig
from pdsn.data.dataset import FaceDataset
from pdsn.networks.network import BaseModel
from pdsn.occlusion.mixture import base_mixture
from pdsn.plugin import Plugin
from pdsn.training.augment import Augmentation
from pdsn.training.batches import ahead, balanced, check_batch, shuffled

if TYPE_CHECKING:
    from accelerate import Accelerator

    from pdsn.run.workspace import Workspace


def train(workspace: Workspace, own: None, folder: TrainingFolder) -> dict[str, float]:
    """See `Plugin`."""
    del own
    settings = workspace.settings
    return train_base(workspace.training, settings.base, folder, workspace.accelerator, settings.seed)


def train_base(
    dataset: FaceDataset, config: BaseConfig, folder: TrainingFolder, accelerator: Accelerator, seed: int
) -> dict[str, float]:
    """Train the base on the training photos; the checkpoint with the best validation rank-1 is kept.

    A base that learns from occluded photos is judged by occluded validation photos as much as by clean ones.

    Returns:
        Validation "rank1" and "rank5" (0 to 1), with `occlude` "occluded" too, rank-1 of the occluded photos,
        and the "epoch" of the kept checkpoint.

    Raises:
        PdsnError: there is no validation photo, too few training photos, or the weights to start from cannot be used.
    """
    model = trained.start(dataset, config, accelerator, seed)
    return train_classifier(model, dataset, config, folder, accelerator, seed)


def train_classifier(
    model: BaseModel,
    dataset: FaceDataset,
    config: BaseConfig,
    folder: TrainingFolder,
    accelerator: Accelerator,
    seed: int,
) -> dict[str, float]:
    """Train a base by the loss of its own classifier; arguments and result as for `train_base`."""
    batches = FaceBatches(
        dataset, dataset.rows("train"), config, trained.augmentation_of(config), seed, accelerator
    )
    encoder = Encoder(model.net, accelerator)
    return trained.train(
        model,
        model,
        batches,
        lambda: trained.validate(encoder, dataset, occluded=config.occlude > 0),
        config,
        folder,
        accelerator,
        seed,
    )


@dataclass(frozen=True)
class FaceBatches:
    """Augmented training faces in shuffled batches, see `batches.Batches`."""

    dataset: FaceDataset
    rows: np.ndarray
    config: BaseConfig
    augmentation: Augmentation
    seed: int
    accelerator: Accelerator

    def __post_init__(self) -> None:
        check_batch("base.batch", self.config.batch, self.accelerator, len(self.rows))

    def __len__(self) -> int:
        return max(len(self.rows) // self.config.batch, 1)

    def margin_share(self, step: int) -> float:
        """Share of the margin that counts in a step, numbered through all epochs."""
        warm = self.config.margin_warmup * self.config.epochs * len(self)
        return min(step / warm, 1.0) if warm else 1.0

    def epoch(self, number: int) -> Iterator[tuple[Tensor, ...]]:
        """Faces, labels, the share of the margin that counts and, with `masked`, the pixels (B, H, W) whose cells of
        the map are dropped, see `batches.Batches`."""
        config = self.config
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        generator = torch.Generator().manual_seed((self.seed * 100_003 + number) * 64 + rank)
        chosen = shuffled(len(self.rows), config.batch, self.seed, number, rank=rank, world=world)
        mixture = base_mixture()
        taken = self.rows
        if config.balance:
            taken = taken[balanced(self.dataset.labels[taken], config.balance, self.seed, number)]

        def make(step: int) -> tuple[Tensor, Tensor, Tensor]:
            rows = taken[chosen[step].numpy()]
            faces = self.dataset.tensor(rows)
            dropped = torch.zeros((len(rows), *faces.shape[2:]), dtype=torch.bool)
            if config.occlude:
                rng = np.random.default_rng((self.seed, number, step, rank))
                for index in np.flatnonzero(rng.random(len(rows)) < config.occlude):
                    points = torch.from_numpy(self.dataset.landmarks[rows[index]])
                    faces[index], covered = mixture(faces[index], points, rng)
                    if config.masked and rng.random() < config.masked:
                        dropped[index] = covered
            return faces, torch.from_numpy(self.dataset.labels[rows]), dropped

        device = self.accelerator.device
        for step, (faces, labels, dropped) in enumerate(ahead(make, range(len(chosen))), number * len(self)):
            draws = self.augmentation.draw(len(faces), generator)
            moved = self.augmentation.move(faces.to(device), draws)
            batch = (
                self.augmentation.relight(moved, draws),
                labels.to(device),
                torch.tensor(self.margin_share(step), device=device),
            )
            if config.masked:
                yield *batch, self.augmentation.move(dropped[:, None].to(device), draws)[:, 0] > 0.5
            else:
                yield batch


PLUGIN = Plugin(
    name="lmcl",
    help="a ResNet with large margin cosine loss, the paper's",
    paper="Johnston & Ngxande, Robust Facial Recognition for Occlusions using Facial Landmarks",
    settings=None,
    needs=(),
    train=train,
    load=trained.load_trained,
)


def base_folder(root: Path, config: BaseConfig, dataset: FaceDataset, seed: int) -> TrainingFolder:
    """The folder of this base for these settings and this data set, see `trained.trained_folder`."""
    return trained.trained_folder(root, config, PLUGIN, None, dataset, seed)
