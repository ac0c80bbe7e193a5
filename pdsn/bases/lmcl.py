"""The base CNN's training data, validation and files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pdsn.artefact import TrainingFolder, load_tensors
from pdsn.bases.encoder import Encoder
from pdsn.bases.imported import build_imported, import_folder, is_imported
from pdsn.config.sections import BaseConfig, SettingError, Settings
from pdsn.data.dataset import FaceDataset
from pdsn.errors import PdsnError
from pdsn.metrics import nearest_ranks, rank_rate
from pdsn.networks.backbone import FaceNet, load_trunk
from pdsn.networks.margins import LMCL
from pdsn.networks.network import BaseModel
from pdsn.occlusion.mixture import BASE_WEIGHTS, Mixture, base_occluders
from pdsn.training.augment import Augmentation
from pdsn.training.batches import ahead, balanced, check_batch, shuffled
from pdsn.training.loop import Schedule, fit, seed_everything

if TYPE_CHECKING:
    from accelerate import Accelerator


def new_base(config: BaseConfig, size: tuple[int, int], people: int) -> BaseModel:
    """An untrained base for faces of `size` (height, width) and this number of people."""
    net = FaceNet(
        size, config.arch, config.width, config.stem, config.last_stride, config.embedding, config.dropout
    )
    return BaseModel(net, LMCL(config.embedding, people, config.scale, config.margin))


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
        mixture = Mixture(base_occluders(), BASE_WEIGHTS)
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


def base_folder(root: Path, config: BaseConfig, dataset: FaceDataset, seed: int) -> TrainingFolder:
    """The base's folder for these settings and this data set."""
    settings = {**config.__dict__, "seed": seed, "size": list(dataset.size), "people": len(dataset.people)}
    inputs = {"data set": dataset.sha256}
    return TrainingFolder(root, settings, inputs, "pdsn base-train", BaseConfig.BEFORE)


def open_base(root: Path, settings: Settings, dataset: FaceDataset) -> TrainingFolder:
    """The folder of a run's base for these settings and this data set, whether it is trained or imported."""
    if settings.pretrained.arch:
        return import_folder(root, settings.pretrained, settings.base, dataset, settings.seed)
    return base_folder(root, settings.base, dataset, settings.seed)


def check_init(config: BaseConfig, dataset: FaceDataset) -> None:
    """Raise PdsnError unless the weights to start from can be read and fit the trunk."""
    if config.init:
        net = new_base(config, dataset.size, len(dataset.people)).net
        assert isinstance(net, FaceNet)
        _initialise(net, config)


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
    train, val = dataset.rows("train"), dataset.rows("val")
    if len(val) == 0 or len(train) < 2:
        raise PdsnError(
            f"{dataset.root} has {len(train)} training and {len(val)} validation photos: "
            "prepare a data set with at least 4 photos a person"
        )
    seed_everything(seed)
    model = new_base(config, dataset.size, len(dataset.people))
    if config.init:
        assert isinstance(model.net, FaceNet)
        _initialise(model.net, config)
    model.to(accelerator.device).to(memory_format=torch.channels_last)
    strength = Augmentation()
    augmentation = Augmentation(
        mirror=strength.mirror if config.augment else 0.0,
        rotate=strength.rotate * config.augment,
        zoom=strength.zoom * config.augment,
        shift=strength.shift * config.augment,
        light=strength.light * config.augment,
    )
    batches = FaceBatches(dataset, train, config, augmentation, seed, accelerator)
    encoder = Encoder(model.net, accelerator)

    def validate() -> dict[str, float]:
        faces = {"rank1": dataset.tensor(val)}
        if config.occlude:
            faces["occluded"] = _occluded(dataset, val)
        ranks = identify(encoder, dataset, gallery=train, probes=val, faces=list(faces.values()))
        found = {name: rank_rate(rank, 1) for name, rank in zip(faces, ranks, strict=True)}
        rank5 = rank_rate(ranks[0], 5)
        # Rank-5 settles ties between checkpoints.
        return {**found, "rank5": rank5, "score": sum(found.values()) / len(found) + 1e-3 * rank5}

    return fit(
        model,
        batches,
        validate,
        schedule=Schedule(
            config.epochs, config.lr, "sgd", config.weight_decay, 0.2, config.validate_every, config.average
        ),
        folder=folder,
        accelerator=accelerator,
        seed=seed,
        title="base-train",
        weights=model.state_dict,
        load_weights=model.load_state_dict,
    )


def identify(
    encoder: Encoder, dataset: FaceDataset, *, gallery: np.ndarray, probes: np.ndarray, faces: list[Tensor]
) -> list[np.ndarray]:
    """Ranks (P,) of the true person by nearest neighbour and cosine among the clean photos of the gallery.

    Args:
        encoder: the base.
        dataset: all faces.
        gallery: (G,) rows of the data set.
        probes: (P,) rows of the data set.
        faces: what is looked at of the probes, (P, 3, H, W) uint8 each; there are as many answers.
    """
    unit = torch.nn.functional.normalize
    known = unit(encoder.embed_faces(dataset.tensor(gallery)))
    people = torch.from_numpy(dataset.labels)
    return [
        nearest_ranks(
            unit(encoder.embed_faces(asked)), known, people[probes], people[gallery], len(dataset.people)
        )
        for asked in faces
    ]


def _occluded(dataset: FaceDataset, rows: np.ndarray) -> Tensor:
    """Photos (P, 3, H, W) under the occlusions that the base learns from, the same in every run."""
    faces, mixture = dataset.tensor(rows), Mixture(base_occluders(), BASE_WEIGHTS)
    for index, row in enumerate(rows):
        points = torch.from_numpy(dataset.landmarks[row])
        faces[index], _ = mixture(faces[index], points, np.random.default_rng((1, int(row))))
    return faces


def load_base(folder: TrainingFolder) -> BaseModel:
    """The finished base of a folder, trained or imported, on the CPU, built from the settings beside it.

    Raises:
        PdsnError: it is missing, damaged, or belongs to another data set.
    """
    weights = folder.load()
    found = folder.found_config()
    try:
        model = build_imported(found, folder) if is_imported(found) else _build(found)
        model.load_state_dict(weights)
    except (KeyError, TypeError, RuntimeError) as error:
        raise folder.misfit(error) from error
    return model.eval()


def _build(found: dict[str, Any]) -> BaseModel:
    names = BaseConfig.__dataclass_fields__
    config = BaseConfig(**{name: value for name, value in found.items() if name in names})
    return new_base(config, tuple(found["size"]), int(found["people"]))


def _initialise(net: FaceNet, config: BaseConfig) -> None:
    if config.init == "imagenet":
        from torchvision.models import get_model_weights

        try:
            weights = get_model_weights(config.arch).DEFAULT.get_state_dict(progress=True)
        except OSError as error:
            raise SettingError(
                "base.init",
                config.init,
                f": the download failed ({error}); fetch torchvision's {config.arch} weights "
                "elsewhere, save them as safetensors and give that file",
                exit_code=1,
            ) from error
    else:
        weights, _ = load_tensors(Path(config.init), "a safetensors file of a ResNet, with --init FILE")
    try:
        load_trunk(net, dict(weights))
    except ValueError as error:
        raise SettingError("base.init", config.init, f"does not fit this trunk: {error}") from error
