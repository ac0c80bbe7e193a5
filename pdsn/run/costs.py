"""What a run's systems cost: minutes of training, parameters, milliseconds a face."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import torch

from pdsn.artefact import MODEL
from pdsn.bases.encoder import Encoder
from pdsn.masks.strategy import NO_FDM
from pdsn.matchers.table import MATCHERS
from pdsn.run.workspace import Workspace

FACES = 32
"""Faces that are timed at once."""
REPEATS = 3
"""How often; the fastest counts."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Endings of tensors that no training changes by its loss."""


def costs(
    workspace: Workspace, strategies: list[str], *, segmenter: bool
) -> dict[str, dict[str, float | None]]:
    """What each strategy of a run costs: the base, and with an FDM what its masks and the U-Net cost too.

    Args:
        workspace: the run.
        strategies: "none" for no FDM.
        segmenter: whether covered pixels are found by the U-Net.

    Returns:
        For each strategy "minutes", what all trainings took on the machines they ran on (0 for a base that was imported);
        "parameters"; and "milliseconds" a face, timed here and now in batches of `FACES`: embedding, and with an FDM the
        U-Net.
    """
    run = workspace.run
    model, _ = workspace.base()
    faces = workspace.dataset.tensor(workspace.dataset.rows("train")[:FACES])
    encoder = Encoder(model.net, workspace.accelerator, batch=FACES)
    minutes, weights = _minutes(run.base), parameters(run.base / MODEL, "net.")
    embedding = _milliseconds(lambda: encoder.embed_faces(faces), len(faces), workspace)
    finding = 0.0
    found: dict[str, dict[str, float | None]] = {
        NO_FDM: {"minutes": minutes, "parameters": weights, "milliseconds": embedding}
    }
    masked = [name for name in strategies if name not in found and name not in MATCHERS]
    if segmenter and masked:
        net = workspace.segmenter()
        finding = _milliseconds(lambda: net.covered(faces), len(faces), workspace)
    for name in masked:
        own = sum(_minutes(folder) for folder in workspace.mask_folders(name))
        found[name] = {
            "minutes": minutes + own + (_minutes(run.segmenter) if segmenter else 0),
            "parameters": weights + (parameters(run.segmenter / MODEL) if segmenter else 0),
            "milliseconds": embedding + finding,
        }
    unknown: dict[str, float | None] = {"minutes": None, "parameters": None, "milliseconds": None}
    return {name: found.get(name, unknown) for name in strategies}


def parameters(path: Path, prefix: str = "") -> int:
    """How many numbers of a safetensors file were learned, of tensors with a prefix."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as stream:
        names = [name for name in stream.keys() if name.startswith(prefix) and not name.endswith(STATISTICS)]  # noqa: SIM118
        return sum(torch.Size(stream.get_slice(name).get_shape()).numel() for name in names)


def _minutes(folder: Path) -> float:
    """What the trainings in a folder took."""
    seconds = 0.0
    for path in folder.rglob("metrics.jsonl"):
        seconds += sum(json.loads(line)["seconds"] for line in path.read_text(encoding="utf-8").splitlines())
    return seconds / 60


def _milliseconds(work: Callable[[], object], faces: int, workspace: Workspace) -> float:
    times = []
    for _ in range(1 + REPEATS):
        began = time.perf_counter()
        work()
        if workspace.accelerator.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return 1000 * min(times[1:]) / faces
