"""A recogniser in an ONNX file as the base: which normalisation it wants, and whether torch computes the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from pdsn.bases.encoder import Encoder
from pdsn.bases.self_check import separation
from pdsn.bases.settings import PretrainedConfig
from pdsn.data.dataset import FaceDataset
from pdsn.networks.imported.architecture import Architecture, Tensors
from pdsn.networks.imported.net import PretrainedNet
from pdsn.networks.imported.onnx_architecture import (
    GRAPH,
    check_parity,
    is_onnx,
    normalised,
    possible_normalisations,
    saved_architecture,
)
from pdsn.networks.imported.table import find_architecture
from pdsn.networks.imported.weights import load_weights

if TYPE_CHECKING:
    from accelerate import Accelerator

TRIED = (20, 3)
"""People, and photos of each, on which normalisations are tried."""
SAME_FIT = 0.002
"""Difference of fits that is none: the commoner normalisation is taken."""
PARITY_FACES = 8
"""Faces on which torch and onnxruntime are compared."""
REMAKE = "pdsn base-import --force"
"""The command that makes an imported base again."""


def is_graph(arch: str) -> bool:
    """Whether a recogniser is an ONNX file."""
    return arch == "onnx" or is_onnx(arch)


def known_architecture(root: Path, config: PretrainedConfig) -> Architecture:
    """The architecture that is asked for; of an ONNX file that is gone, as it was imported into the folder of a base.

    Raises:
        UsageError, PdsnError: there is none.
    """
    if is_graph(config.arch) and not Path(config.file).is_file() and (root / GRAPH).is_file():
        return saved_architecture(root, REMAKE)
    return find_architecture(config.architecture)


def fitted(
    architecture: Architecture, weights: Tensors, file: Path, dataset: FaceDataset, accelerator: Accelerator
) -> tuple[Architecture, dict[str, float]]:
    """An ONNX file with the normalisation that tells people apart best, checked against onnxruntime.

    Of those that do about as well the commonest is taken.

    Args:
        architecture: of the file, with any normalisation.
        weights: its tensors.
        file: the ONNX file.
        dataset: faces that are prepared for it.
        accelerator: device and precision.

    Returns:
        The architecture, and "apart", see `check_parity`.

    Raises:
        PdsnError: torch and onnxruntime disagree.
    """
    people = dataset.labels[dataset.rows("train")]
    chosen = [np.flatnonzero(people == person)[: TRIED[1]] for person in np.unique(people)[: TRIED[0]]]
    rows = dataset.rows("train")[np.concatenate(chosen)]
    faces, labels = dataset.tensor(rows), torch.from_numpy(dataset.labels[rows])
    found = []
    for how in possible_normalisations(architecture):
        net = PretrainedNet(normalised(architecture, how)).eval()
        load_weights(net, architecture, weights, str(file))
        embeddings = F.normalize(Encoder(net, accelerator).embed_faces(faces)).cpu()
        told = separation(embeddings, labels)
        finite = bool(torch.isfinite(embeddings).all())
        found.append((how, told["order"] + 0.01 * (told["same"] - told["other"]) if finite else -1.0))
    best = max(score for _, score in found)
    how = next(how for how, score in found if score > best - SAME_FIT)
    architecture = normalised(architecture, how)
    net = PretrainedNet(architecture).eval()
    load_weights(net, architecture, weights, str(file))
    shown = net.normalised(faces[:PARITY_FACES])
    return architecture, {"apart": check_parity(net.network, file, shown)}
