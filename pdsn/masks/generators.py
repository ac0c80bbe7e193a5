"""Training of the mask generators on cached maps, and the mean mask of a trained one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.artefact import TrainingFolder
from pdsn.bases.encoder import Encoder
from pdsn.bases.map_files import to_tensor
from pdsn.data.dataset import evenly
from pdsn.masks.dictionary import binarise, mean_mask, percentile_of
from pdsn.masks.maker import Ingredients, Maker, by_region
from pdsn.masks.maps import PairMaps, batches, maps_in_order
from pdsn.masks.settings import MaskConfig
from pdsn.masks.strategy import GENERATORS
from pdsn.metrics import nearest_ranks, rank_rate
from pdsn.networks.branches import Role
from pdsn.networks.mask_generator import MaskGenerator, PairwiseDifferential
from pdsn.networks.network import BaseModel
from pdsn.occlusion.layouts import Layout
from pdsn.training.batches import ShuffledBatches
from pdsn.training.loop import Schedule, fit, seed_everything

if TYPE_CHECKING:
    from accelerate import Accelerator

    from pdsn.run.workspace import Workspace

MEAN_PAIRS = 1024
"""Training pairs behind the mean mask of a validation, spread evenly; the dictionary takes all."""


def generator_folder(
    root: Path, config: MaskConfig, layout: Layout, region: str, base: str, seed: int
) -> TrainingFolder:
    """The folder of one region's generator for these settings, this base and this region."""
    settings = {**config.__dict__, "seed": seed}
    inputs = {"base": base, "region": f"{layout.name}/{region} {list(layout.regions[region])}"}
    command = f"pdsn mask-train --strategy {layout.name}"
    return TrainingFolder(root, settings, inputs, command, MaskConfig.BEFORE)


def train_generator(
    maps: PairMaps,
    model: BaseModel,
    layout: Layout,
    region: str,
    config: MaskConfig,
    folder: TrainingFolder,
    accelerator: Accelerator,
    seed: int,
    percentile: float,
) -> dict[str, float]:
    """Train the generator of one region; the epoch whose mask serves best is kept.

    What is judged is what will be used: the mean mask of training pairs, binarised at `percentile`, as an FDM on
    occluded validation photos and on the clean training photos they are compared with.

    Args:
        maps: of clean photos and their twins with a block on the region.
        model: the base.
        layout: the regions.
        region: which of them.
        config: the settings.
        folder: where the generator goes.
        accelerator: device, precision, processes.
        seed: of weights and batches.
        percentile: 0 to 100, where the dictionary will be cut.

    Returns:
        Of the validation photos, occluded on the region: "rank1_masked" and "rank1_unmasked" by nearest neighbour with
        and without the mask, "loss", "loss_cls" and "loss_diff"; and the "epoch" of the kept generator.
    """
    clean, occluded = maps.clean("train"), maps.occluded(layout, region, "train")
    val_clean, val_occluded = maps.clean("val"), maps.occluded(layout, region, "val")
    labels, val_labels = (maps.dataset.labels[maps.dataset.rows(split)] for split in ("train", "val"))
    seed_everything(seed)
    network = PairwiseDifferential(
        MaskGenerator(clean.shape[1]), model.net, model.classifier, config.weight, shared=config.shared
    ).to(accelerator.device)
    few = evenly(np.arange(len(labels)), MEAN_PAIRS)
    rank1 = Rank1(maps.encoder, maps.clean("train", "gallery"), labels, val_occluded, val_labels)
    unmasked = rank1(None)

    def pairs(rows: Tensor) -> tuple[Tensor, ...]:
        chosen = rows.numpy()
        maps = (to_tensor(part[chosen], accelerator.device) for part in (clean, occluded))
        return *maps, torch.from_numpy(labels[chosen])

    def validate() -> dict[str, float]:
        sums: dict[str, float] = {}
        first = 0
        for pair in batches(val_clean, val_occluded, accelerator.device):
            chosen = torch.from_numpy(val_labels[first : first + len(pair[0])]).to(accelerator.device)
            for name, value in network(*pair, chosen).items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(chosen) / len(val_labels)
            first += len(chosen)
        pairs = batches(clean[few], occluded[few], accelerator.device)
        mean = mean_mask(network.generator(*pair) for pair in pairs)
        masked = rank1(binarise(mean, percentile))
        # The loss settles ties.
        return {
            **sums,
            "rank1_masked": masked,
            "rank1_unmasked": unmasked,
            "score": masked - 1e-4 * sums["loss"],
        }

    return fit(
        network,
        ShuffledBatches(len(labels), pairs, config.batch, seed, accelerator),
        validate,
        schedule=Schedule(config.epochs, config.lr, "adamw", warmup=0.1, patience=config.patience),
        folder=folder,
        accelerator=accelerator,
        seed=seed,
        title=f"mask-train {layout.name} {region}",
        weights=network.generator.state_dict,
        load_weights=network.generator.load_state_dict,
    )


@dataclass(frozen=True)
class Rank1:
    """How often occluded photos are nearest to a clean photo of their own person, under a mask on both sides.

    Attributes:
        encoder: the base; its head makes the embeddings.
        gallery: (G, C, h, w) maps of the clean photos.
        people: (G,) whom they show.
        probes: (P, C, h, w) maps of the occluded photos.
        labels: (P,) whom they show.
    """

    encoder: Encoder
    gallery: np.ndarray
    people: np.ndarray
    probes: np.ndarray
    labels: np.ndarray

    def __call__(self, mask: Tensor | None) -> float:
        """Rank-1, 0 to 1, under a mask (C, h, w), or without one."""
        mask = None if mask is None else mask.to(self.encoder.device)
        known, asked = self._embed(self.gallery, mask, "gallery"), self._embed(self.probes, mask, "probe")
        count = int(max(self.people.max(), self.labels.max())) + 1
        labels, people = torch.from_numpy(self.labels), torch.from_numpy(self.people)
        return rank_rate(nearest_ranks(asked, known, labels, people, count), 1)

    def _embed(self, maps: np.ndarray, mask: Tensor | None, role: Role) -> Tensor:
        parts = maps_in_order(maps, self.encoder.device)
        return F.normalize(torch.cat([self.encoder.embed(part, mask, role) for part in parts]))


@torch.inference_mode()
def generated_mask(
    maps: PairMaps, layout: Layout, region: str, weights: dict[str, Tensor], device: torch.device
) -> Tensor:
    """Mean (C, h, w) of the normalised masks that a trained generator gives for the training pairs."""
    clean, occluded = maps.clean("train"), maps.occluded(layout, region, "train")
    generator = MaskGenerator(clean.shape[1])
    generator.load_state_dict(weights)
    generator.to(device).eval()
    return mean_mask(generator(*pair) for pair in batches(clean, occluded, device)).cpu()


def _folder(workspace: Workspace, name: str, layout: Layout, label: str, base: str) -> TrainingFolder:
    settings, root = workspace.settings, workspace.run.masks(name, label)
    return generator_folder(root, settings.masks, layout, label, base, settings.seed)


def _train(
    workspace: Workspace, maps: PairMaps, model: BaseModel, layout: Layout, label: str, folder: TrainingFolder
) -> dict[str, float]:
    settings = workspace.settings
    percentile = percentile_of(layout, settings.dictionary.percentile)
    return train_generator(
        maps, model, layout, label, settings.masks, folder, workspace.accelerator, settings.seed, percentile
    )


def _mean(given: Ingredients, region: str, number: int) -> Tensor:
    del number
    weights = given.trained[region].load()
    return generated_mask(given.maps, given.layout, region, weights, given.maps.encoder.device)


MAKER = Maker(
    name=GENERATORS,
    help="the paper's: a mask generator for each region, its mean mask cut at a percentile",
    masks=by_region(_mean),
    labels=list,
    folder=_folder,
    train=_train,
    setting="masks.batch",
)
