"""Training of the mask generators on cached maps, and the mean mask of a trained one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pdsn.artefact import TrainingFolder
from pdsn.batches import ShuffledBatches
from pdsn.config import MaskConfig
from pdsn.masks.dictionary import mean_mask
from pdsn.masks.pair_maps import PairMaps, batches, to_tensor
from pdsn.models.base import BaseModel
from pdsn.models.mask_generator import MaskGenerator, PairwiseDifferential
from pdsn.occlusion.regions import Strategy
from pdsn.training import Schedule, fit, seed_everything

if TYPE_CHECKING:
    from accelerate import Accelerator


def generator_folder(
    root: Path, config: MaskConfig, strategy: Strategy, region: str, base: str, seed: int
) -> TrainingFolder:
    """The folder of one region's generator for these settings, this base and this region."""
    settings = {**config.__dict__, "seed": seed}
    inputs = {"base": base, "region": f"{strategy.name}/{region} {list(strategy.regions[region])}"}
    command = f"pdsn mask-train --strategy {strategy.name}"
    return TrainingFolder(root, settings, inputs, command, MaskConfig.BEFORE)


def train_generator(
    maps: PairMaps,
    model: BaseModel,
    strategy: Strategy,
    region: str,
    config: MaskConfig,
    folder: TrainingFolder,
    accelerator: Accelerator,
    seed: int,
) -> dict[str, float]:
    """Train the generator of one region; the epoch with the lowest validation loss is kept.

    Returns:
        Validation "loss", "loss_cls", "loss_diff", "accuracy" and the "epoch" of the kept one.
    """
    clean, occluded = maps.clean("train"), maps.occluded(strategy, region, "train")
    val_clean, val_occluded = maps.clean("val"), maps.occluded(strategy, region, "val")
    labels, val_labels = (maps.dataset.labels[maps.dataset.rows(split)] for split in ("train", "val"))
    seed_everything(seed)
    network = PairwiseDifferential(
        MaskGenerator(clean.shape[1]), model.net, model.classifier, config.weight
    ).to(accelerator.device)

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
        return {**sums, "score": -sums["loss"]}

    return fit(
        network,
        ShuffledBatches(len(labels), pairs, config.batch, seed, accelerator),
        validate,
        schedule=Schedule(config.epochs, config.lr, "adamw", warmup=0.1),
        folder=folder,
        accelerator=accelerator,
        seed=seed,
        title=f"mask-train {strategy.name} {region}",
        weights=network.generator.state_dict,
        load_weights=network.generator.load_state_dict,
    )


@torch.inference_mode()
def generated_mask(
    maps: PairMaps, strategy: Strategy, region: str, weights: dict[str, Tensor], device: torch.device
) -> Tensor:
    """Mean (C, h, w) of the normalised masks that a trained generator gives for the training pairs."""
    clean, occluded = maps.clean("train"), maps.occluded(strategy, region, "train")
    generator = MaskGenerator(clean.shape[1])
    generator.load_state_dict(weights)
    generator.to(device).eval()
    return mean_mask(generator(*pair) for pair in batches(clean, occluded, device)).cpu()
