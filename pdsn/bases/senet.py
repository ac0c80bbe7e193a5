"""The SENet50 base: a network that tells people apart, whose last layers learn pairs of a masked and an unmasked photo.

After papers/001, which starts from VGGFace2's weights and trains the last 10 to 70 layers. Without such weights the network is
first trained by classification, as `[base]` says, in `start/` of the base's folder. What does not train is asked once: the maps
in front of the first layer that trains are kept.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.artefact import TrainingFolder
from pdsn.bases import trained
from pdsn.bases.encoder import Encoder
from pdsn.bases.frozen_maps import FACES, FrozenMaps
from pdsn.bases.lmcl import train_classifier
from pdsn.bases.map_files import to_tensor
from pdsn.bases.mask_pairs import MaskPairs, mask_pairs
from pdsn.config.setting import Section, SettingError, section, setting
from pdsn.errors import PdsnError
from pdsn.files import sha256_of
from pdsn.networks.imported.weights import read_weights
from pdsn.networks.margins import LMCL
from pdsn.networks.network import BaseModel
from pdsn.networks.pair_losses import listed_contrastive_loss
from pdsn.networks.senet import COLOURS, LAST_LAYERS, SENet50
from pdsn.occlusion.worn import KINDS
from pdsn.plugin import Plugin
from pdsn.training.batches import ShuffledBatches
from pdsn.training.loop import Schedule, fit

if TYPE_CHECKING:
    from pdsn.run.workspace import Workspace

START = "start"
"""Where, in the folder of the base, the network lies that it starts from."""
MIXTURE = "mixture"


@section("senet")
class SenetConfig(Section):
    """Settings of the SENet50 base; `[base]` says how the network that it starts from is trained."""

    trainable_layers: int = setting(
        default=70,
        help=f"layers that learn the pairs, the last {', '.join(map(str, LAST_LAYERS))}; 0 leaves the network as it starts",
        low=0,
        high=70,
    )
    weights: str = setting(
        default="",
        help="what it starts from: a file of weights with the names of timm's legacy_seresnet50, or the model.safetensors of "
        "another SENet50 base; without one it is trained first",
        metavar="FILE",
    )
    side: int = setting(default=224, help="pixels: rows and columns that the network sees", low=32, high=512)
    colours: str = setting(
        default="mixed",
        help="mixed subtracts the mean of blue from red, as 001's code does; bgr is what VGGFace2's weights want; rgb "
        "subtracts from each colour its own",
        choices=COLOURS,
    )
    photos: int = setting(
        default=20,
        help="photos of each person, masked and unmasked each, that make pairs, at most",
        low=1,
        high=1000,
    )
    worn: str = setting(
        default="face-mask",
        help="what is painted on photos to mask them, where the data set has no folders of masked ones; mixture is all that "
        "other bases learn from",
        choices=(*KINDS, MIXTURE),
    )
    hinge: float = setting(
        default=5.0,
        help="A, the distance from which two people are far enough apart; with 001's 5 none ever are",
        low=0.01,
        high=100,
    )
    distance: str = setting(
        default="squared",
        help="of unit embeddings: squared is 001's, which is then squared once more; or euclidean",
        choices=("squared", "euclidean"),
    )
    pair_epochs: int = setting(default=8, help="passes over the pairs", low=1, high=10_000)
    pair_batch: int = setting(default=32, help="pairs a step, over all processes", low=2, high=65_536)
    pair_lr: float = setting(default=1e-5, help="learning rate of the pairs, constant", low=1e-9, high=100)

    def check(self) -> None:
        """See `Section`."""
        if self.trainable_layers not in (0, *LAST_LAYERS):
            raise SettingError(
                "senet.trainable_layers",
                self.trainable_layers,
                f"must be one of 0, {', '.join(map(str, LAST_LAYERS))}",
            )


class MaskedPairs(nn.Module):
    """The last layers of a SENet50 on listed pairs. BatchNorm always counts as in recognition (papers/001).

    Args:
        net: the network, of which some layers train.
        block: what it gets are the maps in front of this block, see `SENet50.before`.
        own: the settings.
    """

    def __init__(self, net: SENet50, block: int, own: SenetConfig) -> None:
        super().__init__()
        self.net, self.block, self.own = net, block, own

    def train(self, mode: bool = True) -> MaskedPairs:
        """Stays in evaluation mode, whatever is asked for."""
        del mode
        super().train(False)
        return self

    def embed(self, maps: Tensor) -> Tensor:
        """Embeddings (N, E) of maps in front of the block."""
        return self.net.head(self.net.behind(maps, self.block))

    def forward(self, masked: Tensor, unmasked: Tensor, same: Tensor) -> dict[str, Tensor]:
        """{"loss": scalar} of B pairs: the maps of a masked and of an unmasked photo, and whether they show one person."""
        a, b = self.embed(torch.cat([masked, unmasked])).chunk(2)
        squared = self.own.distance == "squared"
        return {"loss": listed_contrastive_loss(a, b, same, self.own.hinge, squared=squared)}


def train(workspace: Workspace, own: SenetConfig, folder: TrainingFolder) -> dict[str, float]:
    """See `Plugin`; the checkpoint that names clean and occluded validation photos best is kept.

    Returns:
        As for other bases; where validation photos make pairs, "genuine" and "impostor", the median squared distances of
        these, and their "gap".

    Raises:
        PdsnError: the weights do not fit, or there are no pairs.
    """
    settings, dataset, accelerator = workspace.settings, workspace.training, workspace.accelerator
    pairs = {split: mask_pairs(dataset, split, own.photos, settings.seed) for split in ("train", "val")}
    if not pairs["train"].same.any() or pairs["train"].same.all():
        raise PdsnError(
            f"{dataset.root}: the training photos make no pairs of a masked and an unmasked photo: prepare more photos a "
            "person, or of several people"
        )
    if folder.anew and accelerator.is_main_process:
        shutil.rmtree(folder.root / START, ignore_errors=True)
        folder.begin()  # a training that is stopped before its first epoch goes on with what it started from
    accelerator.wait_for_everyone()
    start = _started(workspace, own, folder)
    model = load(folder.config)
    model.load_state_dict(start.load())
    model = model.to(accelerator.device).to(memory_format=torch.channels_last)
    net = model.net
    assert isinstance(net, SENet50)
    block = net.train_last(own.trainable_layers)
    frozen = FrozenMaps.of(workspace, net, block, own)
    maps = {split: frozen.of_pairs(pairs[split]) for split in pairs}
    encoder, module = Encoder(net, accelerator), MaskedPairs(net, block, own)

    def validate() -> dict[str, float]:
        found = trained.validate_by_means(model, encoder, dataset)
        return {**found, **_medians(module, maps["val"], pairs["val"], accelerator.device)}

    if not own.trainable_layers:
        with torch.inference_mode():
            found = {**validate(), "epoch": 0.0}
        trained.finish_untrained(model, folder, found, accelerator)
        return found

    def take(rows: Tensor) -> tuple[Tensor, ...]:
        sides = pairs["train"].pairs[rows.numpy()]
        masked, unmasked = (to_tensor(maps["train"][sides[:, side]], torch.device("cpu")) for side in (0, 1))
        return masked, unmasked, torch.from_numpy(pairs["train"].same[rows.numpy()])

    count = len(pairs["train"].pairs)
    batches = ShuffledBatches(count, take, own.pair_batch, settings.seed, accelerator, "senet.pair_batch")
    often = min(settings.base.validate_every, own.pair_epochs)
    return fit(
        module,
        batches,
        validate,
        schedule=Schedule(own.pair_epochs, own.pair_lr, "plain", 0.0, 0.0, often),
        folder=folder,
        accelerator=accelerator,
        seed=settings.seed,
        title="siamese-train",
        weights=model.state_dict,
        load_weights=model.load_state_dict,
    )


def _started(workspace: Workspace, own: SenetConfig, folder: TrainingFolder) -> TrainingFolder:
    """The folder of the network that the pairs start from, after it was trained or its weights were read."""
    settings, dataset, accelerator = workspace.settings, workspace.training, workspace.accelerator
    weights = Path(own.weights) if own.weights else None
    ours = ("side", "colours")
    config = {name: value for name, value in folder.config.items() if name not in ("senet", "validate_every")}
    config["senet"] = {name: folder.config["senet"][name] for name in ours}
    inputs = folder.inputs | ({} if weights is None else {"weights": sha256_of(weights)})
    start = TrainingFolder(folder.root / START, config, inputs, folder.command)
    if start.open(replace_other=True):
        return start
    model = trained.start(dataset, settings.base, accelerator, settings.seed, lambda: load(folder.config))
    if weights is None:
        train_classifier(model, dataset, settings.base, start, accelerator, settings.seed)
        return start
    assert isinstance(model.net, SENet50)
    model.net.load(read_weights(weights), str(weights))
    if accelerator.is_main_process:
        start.begin()
        trained_there = weights.parent / start.metrics.name
        if trained_there.is_file():  # of another run: what it took counts for this one, too
            shutil.copyfile(trained_there, start.metrics)
    trained.finish_untrained(model, start, {}, accelerator)
    return start


def _medians(
    module: MaskedPairs, maps: np.ndarray, pairs: MaskPairs, device: torch.device
) -> dict[str, float]:
    """Median squared distance of the pairs of one person and of two, and the difference (001, table 5.1)."""
    if not pairs.same.any() or pairs.same.all():
        return {}
    parts = [
        module.embed(to_tensor(maps[first : first + FACES], device)) for first in range(0, len(maps), FACES)
    ]
    unit = F.normalize(torch.cat(parts)).cpu()
    a, b = (unit[torch.from_numpy(pairs.pairs[:, side])] for side in (0, 1))
    squared = (a - b).square().sum(1).numpy()
    genuine, impostor = (float(np.median(squared[kind])) for kind in (pairs.same, ~pairs.same))
    return {"genuine": genuine, "impostor": impostor, "gap": impostor - genuine}


def check(own: SenetConfig) -> None:
    """See `Plugin`."""
    if own.weights and not Path(own.weights).is_file():
        raise SettingError(
            "senet.weights", own.weights, "is no file: give a safetensors file, or leave it out"
        )


def load(found: dict[str, Any]) -> BaseModel:
    """See `Plugin`."""
    own = found["senet"]
    net = SENet50(tuple(found["size"]), own["side"], own["colours"])
    return BaseModel(
        net, LMCL(net.embedding, int(found["people"]), float(found["scale"]), float(found["margin"]))
    )


PLUGIN = Plugin(
    name="senet",
    help="SENet50 whose last layers learn pairs of a masked and an unmasked photo, by contrastive loss",
    paper="papers/001; SENet: Hu et al., CVPR 2018; VGGFace2: Cao et al., FG 2018",
    settings=SenetConfig,
    needs=(),
    train=train,
    load=load,
    check=check,
)
