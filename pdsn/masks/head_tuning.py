"""The base's head, trained on under random FDMs: trunk and masks stay as they are.

The head has only ever seen whole maps, and under an FDM it sees what is left of them. PDSN's authors train the
layers behind their masks once more; so does this, with masks of any kind, on occluded photos under the FDM of
what is covered, on clean photos under the same FDMs, as the gallery is, and on clean photos as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from pdsn.artefact import TrainingFolder
from pdsn.bases.map_files import to_tensor
from pdsn.files import sha256_of
from pdsn.masks.dictionary import MaskDictionary
from pdsn.masks.groups import GroupBatches, training_groups
from pdsn.masks.maps import PairMaps, batches
from pdsn.masks.settings import HeadConfig
from pdsn.masks.strategy import MATCHED
from pdsn.networks.backbone import FaceNet, freeze
from pdsn.networks.ir import IRNet
from pdsn.networks.network import BaseModel
from pdsn.networks.vit import ViTNet
from pdsn.training.loop import Schedule, fit, seed_everything

if TYPE_CHECKING:
    from accelerate import Accelerator

    from pdsn.run.settings import Settings


class HeadUnderMasks(nn.Module):
    """A base's head and classifier, and their loss under FDMs.

    The head's BatchNorm keeps the statistics of whole maps: a batch that shares one FDM has others.

    Args:
        model: the base; copied, not changed.
        dictionary: the masks.
    """

    masks: Tensor

    def __init__(self, model: BaseModel, dictionary: MaskDictionary) -> None:
        super().__init__()
        assert isinstance(model.net, FaceNet | IRNet | ViTNet)
        self.neck = copy.deepcopy(model.net.neck)
        self.classifier = copy.deepcopy(model.classifier)
        self.register_buffer("masks", dictionary.masks.float(), persistent=False)
        for part in self.neck:
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                freeze(part)

    def fdm(self, occluded: Tensor) -> Tensor:
        """The FDM (C, h, w) of the occluded regions (R,) bool: of binary masks their AND."""
        return torch.where(occluded[:, None, None, None], self.masks, 1.0).prod(0)

    def answers(self, maps: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Scalars "loss" and "accuracy" of maps (N, C, h, w), masked or not, of the people `labels` (N,)."""
        with torch.autocast(maps.device.type, enabled=False):
            embeddings = self.neck(maps)
        return {
            "loss": self.classifier(embeddings, labels),
            "accuracy": self.classifier.hit_rate(embeddings, labels),
        }

    def forward(
        self, maps: Tensor, labels: Tensor, occluded: Tensor, clean: Tensor, clean_labels: Tensor
    ) -> dict[str, Tensor]:
        """Loss of photos that share their occluded regions, and of clean ones, every second under the same FDM.

        Args:
            maps: (N, C, h, w) of occluded photos.
            labels: (N,) int64.
            occluded: (R,) bool.
            clean: (M, C, h, w) of other photos.
            clean_labels: (M,) int64.
        """
        fdm = self.fdm(occluded)
        seen = torch.cat([maps * fdm, clean[::2] * fdm, clean[1::2]])
        return self.answers(seen, torch.cat([labels, clean_labels[::2], clean_labels[1::2]]))


@dataclass(frozen=True)
class HeadBatches:
    """Occluded photos that share an FDM, with as many clean ones, see `batches.Batches`.

    Attributes:
        occluded: the occluded photos.
        clean: maps (N, C, h, w) of the clean ones.
    """

    occluded: GroupBatches
    clean: np.ndarray

    def __len__(self) -> int:
        return len(self.occluded)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, ...]]:
        """See `batches.Batches`."""
        accelerator, labels = self.occluded.accelerator, self.occluded.labels
        rank, world = accelerator.process_index, accelerator.num_processes
        for step, batch in enumerate(self.occluded.epoch(number), number * len(self)):
            rng = np.random.default_rng((self.occluded.seed, step, 1))
            rows = rng.integers(len(self.clean), size=self.occluded.config.batch)[rank::world]
            chosen = torch.from_numpy(labels[rows]).to(accelerator.device)
            yield *batch, to_tensor(self.clean[rows], accelerator.device), chosen


def open_head(root: Path, dictionary: Path, settings: Settings, base: str) -> TrainingFolder:
    """The folder of a run's tuned head for these settings, this base and this dictionary file."""
    config = {**settings.head.__dict__, "share": settings.regions.share, "seed": settings.seed}
    config["strategy"] = config["strategy"] or MATCHED
    inputs = {"base": base, "dictionary": sha256_of(dictionary) if dictionary.is_file() else "none"}
    return TrainingFolder(root, config, inputs, "pdsn head-train", HeadConfig.BEFORE)


def train_head(
    maps: PairMaps,
    model: BaseModel,
    dictionary: MaskDictionary,
    share: float,
    config: HeadConfig,
    folder: TrainingFolder,
    accelerator: Accelerator,
    seed: int,
) -> dict[str, float]:
    """Train a copy of the base's head; the one that is right most often on validation photos is kept.

    Args:
        maps: of the clean photos, and of their twins under `PairMaps.mixed`.
        model: the base, trained here, not imported.
        dictionary: the masks.
        share: a region counts as occluded when more than this share of it is covered.
        config: the settings.
        folder: where the head goes.
        accelerator: device, precision, processes.
        seed: of batches and dropout.

    Returns:
        Validation "accuracy", the mean of "accuracy_clean" and "accuracy_occluded", "loss" and the "epoch" of the
        kept head.

    Raises:
        PdsnError: no occlusion covers a region of any photo.
    """
    layout = dictionary.layout
    clean, drawn = maps.clean("train"), maps.mixed(layout, "train", config.draws)
    val_clean, val_drawn = maps.clean("val"), maps.mixed(layout, "val", 1)
    labels, val_labels = (maps.dataset.labels[maps.dataset.rows(split)] for split in ("train", "val"))
    groups, val_groups = training_groups(layout, share, drawn, labels, val_drawn, val_labels)
    seed_everything(seed)
    module = HeadUnderMasks(model, dictionary).to(accelerator.device)

    def validate() -> dict[str, float]:
        sums = {"loss": 0.0, "clean": 0.0, "occluded": 0.0}
        first = 0
        for part, _ in batches(val_clean, val_clean, accelerator.device):
            chosen = torch.from_numpy(val_labels[first : first + len(part)]).to(accelerator.device)
            found = module.answers(part, chosen)
            sums["clean"] += float(found["accuracy"]) * len(part) / len(val_clean)
            sums["loss"] += float(found["loss"]) * len(part) / len(val_clean) / 2
            first += len(part)
        total = sum(len(photos) for _, photos in val_groups)
        for occluded, photos in val_groups:
            rows = photos[:, 1]
            fdm = module.fdm(torch.from_numpy(occluded).to(accelerator.device))
            shown = to_tensor(val_drawn[0].maps[rows], accelerator.device)
            found = module.answers(shown * fdm, torch.from_numpy(val_labels[rows]).to(accelerator.device))
            sums["occluded"] += float(found["accuracy"]) * len(rows) / total
            sums["loss"] += float(found["loss"]) * len(rows) / total / 2
        accuracy = (sums["clean"] + sums["occluded"]) / 2
        return {
            "accuracy": accuracy,
            "accuracy_clean": sums["clean"],
            "accuracy_occluded": sums["occluded"],
            "loss": sums["loss"],
            "score": accuracy,
        }

    return fit(
        module,
        HeadBatches(
            GroupBatches([twins.maps for twins in drawn], groups, labels, config, seed, accelerator), clean
        ),
        validate,
        schedule=Schedule(config.validations, config.lr, "adamw", config.weight_decay, warmup=0.05),
        folder=folder,
        accelerator=accelerator,
        seed=seed,
        title="head-train",
        weights=module.state_dict,
        load_weights=module.load_state_dict,
    )


def use_head(folder: TrainingFolder, model: BaseModel) -> str:
    """Put a tuned head into its base; returns the head's sha256.

    Raises:
        PdsnError: it is missing, damaged, or belongs to another base or dictionary.
    """
    weights = folder.load()
    try:
        assert isinstance(model.net, FaceNet | IRNet | ViTNet)
        for part, name in ((model.net.neck, "neck."), (model.classifier, "classifier.")):
            part.load_state_dict({k.removeprefix(name): v for k, v in weights.items() if k.startswith(name)})
    except RuntimeError as error:
        raise folder.misfit(error) from error
    return folder.sha256()
