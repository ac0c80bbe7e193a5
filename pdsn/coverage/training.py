"""Training of the segmentation on occlusions that are made on the fly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.artefact import TrainingFolder
from pdsn.config.setting import SettingError
from pdsn.coverage.caution import Cautious
from pdsn.coverage.segmenter import Segmenter, make_net
from pdsn.coverage.settings import SegmentConfig
from pdsn.data.dataset import FaceDataset, evenly
from pdsn.errors import PdsnError
from pdsn.networks.branches import Network
from pdsn.occlusion.harmless import harmless_changes
from pdsn.occlusion.labels import difference_labels, foreground_iou, pixel_accuracy
from pdsn.occlusion.layouts import Layout
from pdsn.occlusion.mixture import (
    VARIED_WEIGHTS,
    WORN_WEIGHTS,
    Mixture,
    Photographed,
    varied_occluders,
    worn_occluders,
)
from pdsn.occlusion.occluder import Occluder
from pdsn.occlusion.occluders import Nothing, occlude
from pdsn.training.augment import Augmentation
from pdsn.training.batches import ahead, check_batch
from pdsn.training.loop import Schedule, fit, seed_everything

if TYPE_CHECKING:
    from accelerate import Accelerator

PIECES = 2000
"""Training photos that pieces are cut from, spread evenly."""
FREE_PHOTOS = 500
"""Validation photos of which nothing is covered that limits are set on, at most, spread evenly."""
VALIDATION_PHOTOS = 96
"""Photos that each validation looks at under every occlusion, spread evenly over the validation split."""


class SegmentationLoss(nn.Module):
    """Binary cross-entropy plus soft Dice loss, so that small occlusions count as large ones do.

    Args:
        net: the segmentation.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, faces: Tensor, covered: Tensor) -> dict[str, Tensor]:
        """{"loss": scalar, …} of faces (N, 3, H, W) in 0 to 255 and covered pixels (N, H, W) in 0 to 1."""
        logits = self.net(faces)
        entropy = F.binary_cross_entropy_with_logits(logits, covered)
        share = logits.sigmoid()
        # One photo of a few covered pixels would swing the loss without the added constant.
        overlap = 2 * (share * covered).sum((1, 2)) + 1
        dice = 1 - (overlap / (share.sum((1, 2)) + covered.sum((1, 2)) + 1)).mean()
        return {"loss": entropy + dice, "loss_bce": entropy, "loss_dice": dice}


@dataclass(frozen=True)
class OccludedBatches:
    """Occluded training photos and their labels, see `batches.Batches`."""

    dataset: FaceDataset
    rows: np.ndarray
    config: SegmentConfig
    seed: int
    accelerator: Accelerator

    def __post_init__(self) -> None:
        check_batch("segment.batch", self.config.batch, self.accelerator)

    def __len__(self) -> int:
        return -(-self.config.steps // self.config.validations)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, ...]]:
        """See `batches.Batches`; an epoch lasts from one validation to the next."""
        steps = range(number * len(self), (number + 1) * len(self))
        for faces, covered in ahead(self._make, steps):
            yield faces.to(self.accelerator.device), covered.to(self.accelerator.device)

    @cached_property
    def occluder(self) -> Occluder:
        """What the training photos are under."""
        if self.config.occlusions == "worn":
            return Mixture(worn_occluders("train"), WORN_WEIGHTS)
        pieces = self.dataset.tensor(evenly(self.rows, PIECES))
        return Photographed(Mixture(varied_occluders("train", pieces), VARIED_WEIGHTS), "train")

    def _make(self, step: int) -> tuple[Tensor, Tensor]:
        """Faces (B, 3, H, W) float32 in 0 to 255 and covered (B, H, W) float32 of one step."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        rng = np.random.default_rng((self.seed, step, rank))
        rows = rng.choice(self.rows, self.config.batch // world)
        clean = self.dataset.tensor(rows)
        points = torch.from_numpy(self.dataset.landmarks[rows])
        pairs = [self.occluder(face, landmarks, rng) for face, landmarks in zip(clean, points, strict=True)]
        occluded, covered = (torch.stack(part) for part in zip(*pairs, strict=True))
        if self.config.labels == "difference":
            covered = difference_labels(clean, occluded)
        # Moved together after the occlusion: misaligned faces wear their masks just as well.
        augmentation = Augmentation()
        draws = torch.from_numpy(rng.uniform(-1, 1, (7, len(rows)))).float()
        moved = augmentation.move(torch.cat([occluded, covered[:, None] * 255], dim=1), draws)
        return augmentation.relight(moved[:, :3], draws), (moved[:, 3] / 255).clamp(0, 1)


def train_segmenter(
    dataset: FaceDataset,
    config: SegmentConfig,
    folder: TrainingFolder,
    accelerator: Accelerator,
    seed: int,
    triggers: Layout,
    base: Network | None = None,
) -> dict[str, float]:
    """Train the segmentation; the state with the best mean validation IoU is kept.

    Args:
        dataset: the faces; training split to train, validation split to choose.
        config: the settings.
        folder: where the weights go.
        accelerator: device, precision, processes.
        seed: of weights and occlusions.
        triggers: regions by which "triggered" is counted.
        base: the frozen base; needed where its trunk is the encoder.

    Returns:
        Of the kept state: "iou" over all occlusions, "iou NAME" and "accuracy NAME" for each, and
        "triggered", the share of photos of which nothing is covered, yet a region counts as covered: of clean ones and,
        where the occlusions are varied, of those that `harmless` changes; "triggered NAME" of each.

    Raises:
        PdsnError: there is no photo to train or validate on, or the download of ImageNet's weights failed.
    """
    train, val = dataset.rows("train"), dataset.rows("val")
    if not len(train) or not len(val):
        raise PdsnError(
            f"{dataset.root} has {len(train)} training and {len(val)} validation photos: "
            "prepare a data set with at least 4 photos a person"
        )
    seed_everything(seed)
    try:
        net = make_net(config, base)
    except OSError as error:
        wrong = f": the download failed ({error}); leave it out"
        raise SettingError("segment.init", config.init, wrong, exit_code=1) from error
    module = SegmentationLoss(net).to(accelerator.device).to(memory_format=torch.channels_last)
    cautious = Cautious(net)
    segmenter = Segmenter(cautious, accelerator)
    chosen = evenly(val, VALIDATION_PHOTOS)
    photos, landmarks, rows = dataset.tensor(chosen), dataset.landmarks[chosen], chosen.tolist()
    probes = {
        name: occlude(occluder, photos, landmarks, seed=seed, name=name, rows=rows)
        for name, occluder in _validation_occluders(config, photos).items()
    }
    free = _free_faces(dataset, evenly(val, FREE_PHOTOS), seed) if config.touched < 1 else None

    def validate() -> dict[str, float]:
        if free is not None:
            cautious.calibrate(segmenter.logits(free), list(triggers.regions.values()), config.touched)
        figures: dict[str, float] = {}
        for name, (faces, covered) in probes.items():
            found = segmenter.covered(faces)
            figures[f"accuracy {name}"] = float(pixel_accuracy(found, covered).mean())
            if covered.any():
                figures[f"iou {name}"] = float(foreground_iou(found, covered).nanmean())
            else:
                # More than half, whatever share the run takes: the network is to be judged by one measure.
                figures[f"triggered {name}"] = float(triggers.occluded(found).any(1).float().mean())
        for kind in ("iou", "triggered"):
            figures[kind] = float(np.mean([v for name, v in figures.items() if name.startswith(f"{kind} ")]))
        # A clean photo taken for an occluded one costs as much as an occlusion missed.
        return {**figures, "score": figures["iou"] - figures["triggered"]}

    return fit(
        module,
        OccludedBatches(dataset, train, config, seed, accelerator),
        validate,
        schedule=Schedule(config.validations, config.lr, "adamw", weight_decay=1e-2, warmup=0.1),
        folder=folder,
        accelerator=accelerator,
        seed=seed,
        title="segment-train",
        weights=cautious.weights,
        load_weights=cautious.load_weights,
    )


def _free_faces(dataset: FaceDataset, rows: np.ndarray, seed: int) -> Tensor:
    """Validation photos of which nothing is covered, as photographs may show them: more of them changed than in training."""
    changed = Photographed(Nothing(), "val", changed=0.5, lit=0.6, poor=0.6, tight=0.5)
    faces, _ = occlude(
        changed, dataset.tensor(rows), dataset.landmarks[rows], seed=seed, name="free", rows=rows.tolist()
    )
    return faces


def _validation_occluders(config: SegmentConfig, photos: Tensor) -> dict[str, Occluder]:
    """What the validation photos are under, each in turn, in the styles of that split."""
    if config.occlusions == "worn":
        return worn_occluders("val")
    return {**varied_occluders("val", photos), **harmless_changes("val")}
