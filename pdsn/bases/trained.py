"""What bases that are trained here have in common: their network, folder, augmentation, validation and loading.

A base that is trained is its loss and its batches; all else is here. See `pdsn.bases.lmcl` and `pdsn.bases.siamese`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.artefact import TrainingFolder, load_tensors
from pdsn.bases.encoder import Encoder
from pdsn.bases.settings import BaseConfig
from pdsn.config.setting import SettingError
from pdsn.data.dataset import FaceDataset
from pdsn.errors import PdsnError
from pdsn.metrics import nearest_ranks, rank_rate
from pdsn.networks.backbone import FaceNet, load_trunk
from pdsn.networks.branches import branch
from pdsn.networks.margins import LMCL
from pdsn.networks.network import BaseModel
from pdsn.occlusion.mixture import base_mixture
from pdsn.plugin import Plugin
from pdsn.training.augment import Augmentation
from pdsn.training.batches import Batches
from pdsn.training.loop import Schedule, fit, seed_everything

if TYPE_CHECKING:
    from accelerate import Accelerator


def new_base(config: BaseConfig, size: tuple[int, int], people: int) -> BaseModel:
    """An untrained base for faces of `size` (height, width) and this number of people."""
    net = FaceNet(
        size, config.arch, config.width, config.stem, config.last_stride, config.embedding, config.dropout
    )
    return BaseModel(net, LMCL(config.embedding, people, config.scale, config.margin))


def trained_folder(
    root: Path, config: BaseConfig, plugin: Plugin, own: Any, dataset: FaceDataset, seed: int
) -> TrainingFolder:
    """The folder of a base that is trained here.

    Args:
        root: the folder.
        config: network and schedule.
        plugin: which base.
        own: the base's own settings, None where it has none.
        dataset: the faces it is trained on.
        seed: of weights and batches.
    """
    settings = network_settings(config, plugin, own, dataset.size, len(dataset.people)) | {"seed": seed}
    before = BaseConfig.BEFORE if own is None else {**BaseConfig.BEFORE, plugin.name: own.BEFORE}
    return TrainingFolder(root, settings, {"data set": dataset.sha256}, "pdsn base-train", before)


def network_settings(
    config: BaseConfig, plugin: Plugin, own: Any, size: tuple[int, int], people: int
) -> dict[str, Any]:
    """What a base's `Plugin.load` builds its network from, for faces of `size` and so many people."""
    settings = {**config.__dict__, "size": list(size), "people": people}
    return settings if own is None else {**settings, plugin.name: asdict(own)}


def check_trainable(plugin: Plugin, folder: TrainingFolder, config: BaseConfig, dataset: FaceDataset) -> None:
    """Raise PdsnError unless there are photos to train and validate on, and the network can be built and begun.

    Weights to start from have to fit the trunk.
    """
    _check_photos(dataset)
    model = plugin.load(folder.config)
    if config.init:
        _initialise(model, config)


def _check_photos(dataset: FaceDataset) -> None:
    train, val = dataset.rows("train"), dataset.rows("val")
    if len(val) == 0 or len(train) < 2:
        raise PdsnError(
            f"{dataset.root} has {len(train)} training and {len(val)} validation photos: "
            "prepare a data set with at least 4 photos a person"
        )


def start(
    dataset: FaceDataset,
    config: BaseConfig,
    accelerator: Accelerator,
    seed: int,
    build: Callable[[], BaseModel] | None = None,
) -> BaseModel:
    """A base before its training, on the device: random weights that follow from the seed, or those of `init`.

    Args:
        dataset: the faces.
        config: network and schedule.
        accelerator: the device.
        seed: of the weights.
        build: makes the base; by default a ResNet as `config` has it.

    Raises:
        PdsnError: see `check_trainable`.
    """
    _check_photos(dataset)
    seed_everything(seed)
    model = new_base(config, dataset.size, len(dataset.people)) if build is None else build()
    if config.init:
        _initialise(model, config)
    return model.to(accelerator.device).to(memory_format=torch.channels_last)


def augmentation_of(config: BaseConfig) -> Augmentation:
    """The augmentation of a strength."""
    full = Augmentation()
    return Augmentation(
        mirror=full.mirror if config.augment else 0.0,
        rotate=full.rotate * config.augment,
        zoom=full.zoom * config.augment,
        shift=full.shift * config.augment,
        light=full.light * config.augment,
    )


def train(
    module: nn.Module,
    model: BaseModel,
    batches: Batches,
    validate: Callable[[], dict[str, float]],
    config: BaseConfig,
    folder: TrainingFolder,
    accelerator: Accelerator,
    seed: int,
) -> dict[str, float]:
    """Train a base by its module, whose forward gives the loss of a batch; see `training.loop.fit`.

    Returns:
        The figures of the kept epoch.
    """
    return fit(
        module,
        batches,
        validate,
        schedule=Schedule(
            config.epochs,
            config.lr,
            config.optimizer,
            config.weight_decay,
            0.2,
            config.validate_every,
            config.average,
        ),
        folder=folder,
        accelerator=accelerator,
        seed=seed,
        title="base-train",
        weights=model.state_dict,
        load_weights=model.load_state_dict,
    )


def gallery_embeddings(encoder: Encoder, dataset: FaceDataset) -> Tensor:
    """Unit embeddings (G, E), on the device, of the training photos: the gallery of `validate`."""
    return F.normalize(encoder.embed_faces(dataset.tensor(dataset.rows("train"))))


def validate(
    encoder: Encoder, dataset: FaceDataset, *, occluded: bool, gallery: Tensor | None = None
) -> dict[str, float]:
    """How a base names the validation photos by nearest neighbour among the training photos.

    Args:
        encoder: the base.
        dataset: the faces.
        occluded: whether it is judged by occluded validation photos as much as by clean ones.
        gallery: see `gallery_embeddings`, where somebody has them already.

    Returns:
        "rank1" and "rank5" (0 to 1), with `occluded` "occluded" too, rank-1 of those photos; "score" is what is
        kept by: rank-5 settles ties.
    """
    train, val = dataset.rows("train"), dataset.rows("val")
    faces = {"rank1": dataset.tensor(val)}
    if occluded:
        faces["occluded"] = occluded_faces(dataset, val)
    known = gallery_embeddings(encoder, dataset) if gallery is None else gallery
    people = torch.from_numpy(dataset.labels)
    ranks = [
        nearest_ranks(
            F.normalize(encoder.embed_faces(probes, "probe")),
            known,
            people[val],
            people[train],
            len(dataset.people),
        )
        for probes in faces.values()
    ]
    found = {name: rank_rate(rank, 1) for name, rank in zip(faces, ranks, strict=True)}
    rank5 = rank_rate(ranks[0], 5)
    return {**found, "rank5": rank5, "score": sum(found.values()) / len(found) + 1e-3 * rank5}


def validate_by_means(model: BaseModel, encoder: Encoder, dataset: FaceDataset) -> dict[str, float]:
    """`validate` of a base that learns pairs, clean and occluded; its classifier becomes the people's mean embeddings.

    Args:
        model: whose classifier it is.
        encoder: its network.
        dataset: the faces.
    """
    gallery = gallery_embeddings(encoder, dataset)
    labels = torch.from_numpy(dataset.labels[dataset.rows("train")])
    model.classifier.weight.data.copy_(class_means(gallery.cpu(), labels, len(dataset.people)))
    return validate(encoder, dataset, occluded=True, gallery=gallery)


def finish_untrained(
    model: BaseModel, folder: TrainingFolder, figures: dict[str, float], accelerator: Accelerator
) -> None:
    """Leave a base that no epoch trained in its folder, from the main process, with what is known of it."""
    if accelerator.is_main_process:
        folder.finish({name: value.cpu() for name, value in model.state_dict().items()}, figures)
    accelerator.wait_for_everyone()


def occluded_faces(dataset: FaceDataset, rows: np.ndarray) -> Tensor:
    """Photos (P, 3, H, W) under the occlusions that the base learns from, the same in every run."""
    faces, mixture = dataset.tensor(rows), base_mixture()
    for index, row in enumerate(rows):
        points = torch.from_numpy(dataset.landmarks[row])
        faces[index], _ = mixture(faces[index], points, np.random.default_rng((1, int(row))))
    return faces


def class_means(embeddings: Tensor, labels: Tensor, people: int) -> Tensor:
    """Normalised mean embedding of each person: the LMCL weights of a base that was trained without a classifier.

    Args:
        embeddings: (N, E), of length 1.
        labels: (N,) int64 in 0 to people - 1; everybody occurs.
        people: K.

    Returns:
        (K, E), of length 1.
    """
    sums = torch.zeros(people, embeddings.shape[1]).index_add_(0, labels, embeddings)
    return F.normalize(sums)


def load_trained(found: dict[str, Any]) -> BaseModel:
    """The network of a trained base without its weights, from the settings that lie beside them."""
    names = BaseConfig.__dataclass_fields__
    config = BaseConfig(**{name: value for name, value in found.items() if name in names})
    return new_base(config, tuple(found["size"]), int(found["people"]))


def _initialise(model: BaseModel, config: BaseConfig) -> None:
    nets = [
        net for net in (branch(model.net, "probe"), branch(model.net, "gallery")) if isinstance(net, FaceNet)
    ]
    if not nets:
        raise SettingError(
            "base.init", config.init, f"is for ResNets: the base {config.kind} starts at random"
        )
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
        for net in nets:
            load_trunk(net, dict(weights))
    except ValueError as error:
        raise SettingError("base.init", config.init, f"does not fit this trunk: {error}") from error
