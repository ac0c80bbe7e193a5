"""A recogniser that was trained elsewhere as the base: import, class loss, self-check.

Its trunk and head stay as they are. Only what the class loss of the mask generators needs is added: LMCL
weights for the training people.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.artefact import TrainingFolder, making
from pdsn.bases.encoder import Encoder
from pdsn.bases.frozen_classifier import train_frozen_classifier
from pdsn.bases.onnx_import import fitted, is_graph
from pdsn.bases.self_check import separation
from pdsn.bases.settings import BaseConfig, PretrainedConfig
from pdsn.bases.trained import class_means, finish_untrained
from pdsn.config.layers import Layer
from pdsn.config.setting import SettingError
from pdsn.data.crop import crop_settings
from pdsn.data.dataset import FaceDataset
from pdsn.data.faces import TEMPLATE_SLACK, template_difference
from pdsn.data.settings import PrepareConfig
from pdsn.errors import PdsnError, UsageError
from pdsn.files import sha256_of
from pdsn.metrics import nearest_ranks, rank_rate
from pdsn.networks.imported.architecture import Architecture
from pdsn.networks.imported.net import PretrainedNet
from pdsn.networks.imported.onnx_architecture import is_onnx, save_graph, saved_architecture
from pdsn.networks.imported.onnx_file import sha256_of_weights
from pdsn.networks.imported.table import find_architecture
from pdsn.networks.imported.weights import load_weights, read_weights
from pdsn.networks.margins import LMCL
from pdsn.networks.network import BaseModel

if TYPE_CHECKING:
    from accelerate import Accelerator

KIND = "pretrained"
COMMAND = "pdsn base-import"
BEFORE = {**BaseConfig.BEFORE, **PretrainedConfig.BEFORE, "code": ""}
"""What later settings are of older imports, see `artefact.completed`."""
SURE_ORDER = 0.9
"""Share of comparisons that even a middling recogniser gets right on aligned faces; a broken import does not."""


def prepare_settings(architecture: Architecture) -> Layer:
    """Settings of `pdsn prepare` that give an architecture the faces that it was trained on."""
    points = architecture.landmarks
    return {
        "size": list(architecture.size),
        "align": architecture.align,
        "template": None if points is None else [list(point) for point in points],
    }


def check_prepared(dataset: FaceDataset, architecture: Architecture, arch: str) -> None:
    """Raise UsageError unless a data set's faces have the architecture's size, alignment and template."""
    found, wanted = crop_settings(dataset), PrepareConfig(**prepare_settings(architecture))
    differs = ""
    if found.size != wanted.size:
        differs = f"faces of {_shape(found.size)} pixels, and {arch} takes {_shape(wanted.size)}"
    elif found.align != wanted.align:
        differs = f"faces aligned by {found.align}, and {arch} takes --align {wanted.align}"
    elif wanted.align == "similarity":
        off = template_difference(found, wanted)
        if off > TEMPLATE_SLACK:
            differs = f"faces on a template {off:.1f} px away from the one that {arch} takes"
    if differs:
        raise UsageError(
            f"{dataset.root} holds {differs}: "
            f"prepare the photos for it with `pdsn prepare PHOTOS --data DIR --for {quote(arch)}`, and give that --data DIR with "
            "a new --run"
        )


def import_folder(
    root: Path, config: PretrainedConfig, base: BaseConfig, dataset: FaceDataset, seed: int
) -> TrainingFolder:
    """The folder of an imported base for these settings and this data set.

    Args:
        root: the folder.
        config: architecture, weights, classifier.
        base: gives scale and margin of the class loss.
        dataset: the faces whose people the class loss tells apart.
        seed: of a trained classifier.
    """
    weights = find_weights(root, config)
    settings = {
        "kind": KIND,
        "arch": config.arch,
        "code": _code(config.arch),
        "weights": _identity(root, weights) if isinstance(weights, Path) else weights,
        "classifier": config.classifier,
        "scale": base.scale,
        "margin": base.margin,
        "seed": seed,
        "size": list(dataset.size),
        "people": len(dataset.people),
    }
    return TrainingFolder(root, settings, {"data set": dataset.sha256}, COMMAND, BEFORE)


def is_imported(found: dict[str, Any]) -> bool:
    """Whether the settings beside a base say that it was imported."""
    return found.get("kind") == KIND


def build_imported(found: dict[str, Any], folder: TrainingFolder) -> BaseModel:
    """The network of an imported base without its weights, from the settings that lie beside it in its folder.

    Raises:
        PdsnError: the file that defines the architecture has changed since.
    """
    if _code(str(found["arch"])) != found["code"]:
        raise PdsnError(
            f"{found['arch']} has changed since the base was imported: "
            f"import it again with `{making(f'{COMMAND} --force', folder.model)}`"
        )
    arch = str(found["arch"])
    if is_graph(arch):
        return _model(saved_architecture(folder.root, making(f"{COMMAND} --force", folder.model)), found)
    return _model(find_architecture(arch), found)


def _model(architecture: Architecture, found: dict[str, Any]) -> BaseModel:
    net = PretrainedNet(architecture)
    scale, margin = float(found["scale"]), float(found["margin"])
    return BaseModel(net, LMCL(net.embedding, int(found["people"]), scale, margin))


def import_base(
    dataset: FaceDataset,
    config: PretrainedConfig,
    folder: TrainingFolder,
    accelerator: Accelerator,
    seed: int,
    on_loaded: Callable[[], None] | None = None,
) -> dict[str, float]:
    """Load the weights, make the classifier, check what the embeddings are worth, and write the base.

    Args:
        dataset: the faces.
        config: which recogniser.
        folder: where the base goes; what is there stays until the new one is known to work.
        accelerator: device and precision.
        seed: of a trained classifier.
        on_loaded: called once the recogniser has turned out to be usable.

    Returns:
        Validation "rank1" and "rank5" (0 to 1, against the training photos), and "order", "same" and "other"
        of `separation`; of an ONNX file "apart", see `check_parity`.

    Raises:
        PdsnError: the weights cannot be read or do not fit.
        UsageError: the faces are not prepared for this architecture.
    """
    architecture = find_architecture(config.architecture)
    check_prepared(dataset, architecture, config.architecture)
    train, val = dataset.rows("train"), dataset.rows("val")
    if len(train) == 0 or len(val) == 0:
        raise PdsnError(
            f"{dataset.root} has no training or no validation photos: prepare more photos a person"
        )
    further: dict[str, float] = {}
    if is_graph(config.arch):
        architecture, further = fitted(
            architecture, _weights(architecture, config), Path(config.file), dataset, accelerator
        )
    model = _model(architecture, folder.config)
    net = model.net
    assert isinstance(net, PretrainedNet)
    load_weights(net, architecture, _weights(architecture, config), config.file)
    encoder = Encoder(net.eval(), accelerator)
    known, asked = (F.normalize(encoder.embed_faces(dataset.tensor(rows))).cpu() for rows in (train, val))
    if not bool(torch.isfinite(known).all()):
        raise PdsnError(
            f"{config.weights}: {config.arch} gives embeddings that are not finite with these weights"
        )
    if on_loaded is not None:
        on_loaded()
    people = torch.from_numpy(dataset.labels)
    ranks = nearest_ranks(asked, known, people[val], people[train], len(dataset.people))
    found = {"rank1": rank_rate(ranks, 1), "rank5": rank_rate(ranks, 5), "epoch": 0.0}
    found |= {**separation(known, people[train]), **further}
    with torch.no_grad():
        model.classifier.weight.copy_(class_means(known, people[train], len(dataset.people)))
    if config.classifier == "trained":
        flipped = F.normalize(encoder.embed_faces(dataset.tensor(train).flip(3))).cpu()
        embeddings, labels = torch.cat([known, flipped]), people[train].repeat(2)
        train_frozen_classifier(
            model.classifier, (embeddings, labels), (asked, people[val]), folder, accelerator, seed
        )
    if is_graph(config.arch) and accelerator.is_main_process:
        save_graph(folder.root, architecture)
    finish_untrained(model, folder, found, accelerator)
    return found


def _weights(architecture: Architecture, config: PretrainedConfig) -> dict[str, Tensor]:
    if config.weights in architecture.downloads:
        try:
            return architecture.downloads[config.weights]()
        except OSError as error:
            wrong = f": the download failed ({error}); fetch the file elsewhere and give that"
            raise SettingError("pretrained.weights", config.weights, wrong, exit_code=1) from error
    return read_weights(Path(config.file))


def check_weights(config: PretrainedConfig) -> None:
    """Raise PdsnError unless the weights can be read and fit the architecture; a download is not tried."""
    architecture = find_architecture(config.architecture)
    if config.weights not in architecture.downloads:
        net = PretrainedNet(architecture)
        load_weights(net, architecture, read_weights(Path(config.file)), config.file)


def find_weights(root: Path, config: PretrainedConfig, *, imported: bool = True) -> Path | str:
    """The file of a recogniser's weights, or what identifies those that need none: a download, an older import.

    Args:
        root: the folder of the base.
        config: which recogniser.
        imported: whether the base of an older import does if the file is gone.

    Raises:
        UsageError: the architecture is unknown, or there are no such weights.
    """
    if is_onnx(config.arch) and config.weights not in ("", config.arch):
        raise UsageError(f"{config.arch} holds its weights: leave out --weights {config.weights}")
    if config.arch == "onnx" and config.weights and not is_onnx(config.weights):
        raise SettingError("pretrained.weights", config.weights, "is no FILE.onnx, which --arch onnx takes")
    downloads = {} if is_graph(config.arch) else find_architecture(config.arch).downloads
    if config.weights in downloads:
        return f"download {config.weights}"
    path = Path(config.file)
    if config.file and path.is_file():
        return path
    # Once imported, a base does without the file that it came from.
    before = _imported_from(root) if imported else None
    if before is not None:
        return before
    named = "".join(f", or {name} for a download" for name in downloads)
    if not config.file:
        raise UsageError(f"{config.arch} needs its weights: give --weights FILE{named}")
    setting = "pretrained.weights" if config.weights else "pretrained.arch"
    raise SettingError(setting, config.file, f"is no file: give one{named}")


def _imported_from(root: Path) -> str | None:
    """What identifies the weights of the base in a folder; None where there is none."""
    done = TrainingFolder(root, {}, {}, COMMAND)
    return str(done.found_config().get("weights", "")) if done.model.is_file() else None


def _identity(root: Path, weights: Path) -> str:
    """What identifies weights, see `sha256_of_weights`; earlier imports did not look at the data files beside an ONNX file."""
    alone, together = sha256_of_weights(weights)
    return alone if together != alone and _imported_from(root) == alone else together


def _code(arch: str) -> str:
    """sha256 of the file that defines an architecture of one's own; "" for those that pdsn knows."""
    return sha256_of(Path(arch)) if arch.endswith(".py") and Path(arch).is_file() else ""


def _shape(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
