"""What a run's systems cost: minutes of training, parameters, milliseconds a face and a comparison."""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
from torch import Tensor

from pdsn.artefact import MODEL
from pdsn.coverage.segmenter import Segmenter
from pdsn.data.dataset import evenly
from pdsn.masks.strategy import NO_FDM
from pdsn.matchers.matcher import Faces, Matcher
from pdsn.matchers.table import COMMANDS, MATCHERS
from pdsn.run.workspace import Workspace

FACES = 32
"""Faces that are timed at once."""
GALLERY = 1000
"""Photos that a face is compared with, at most."""
REPEATS = 3
"""How often; the fastest counts."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked", "centre")
"""Endings of tensors that no training changes by its loss."""


def costs(
    workspace: Workspace, strategies: list[str], *, segmenter: bool
) -> dict[str, dict[str, float | None]]:
    """What each strategy of a run costs: the base, and with an FDM what its masks and the segmentation cost too.

    Args:
        workspace: the run.
        strategies: "none" for no FDM.
        segmenter: whether covered pixels are found by the segmentation.

    Returns:
        For each strategy "minutes", what all trainings took on the machines they ran on (0 for a base that was imported);
        "parameters"; and "milliseconds" a face, timed here and now in batches of `FACES`: a probe's embedding as it is compared
        (its mirror image's, too, where that counts), and with an FDM the segmentation. "comparing" is the milliseconds that such a face
        then takes to be compared with a gallery of `GALLERY` training photos, or as many as there are.
    """
    run = workspace.run
    weights = parameters(run.base / MODEL, "net.")
    _, networks = workspace.tuned
    minutes = _minutes(run.base) + (_minutes(run.head) if "head" in networks else 0)
    rows = evenly(workspace.dataset.rows("train"), GALLERY)
    faces, people = workspace.dataset.tensor(rows[:FACES]), torch.from_numpy(workspace.dataset.labels[rows])
    enrolled = Faces.free(workspace.dataset.tensor(rows), people)
    workspace.memory.keep(enrolled.pixels)
    net = workspace.segmenter() if segmenter and any(name != NO_FDM for name in strategies) else None
    found: dict[str, dict[str, float | None]] = {}
    for name in strategies:
        finding = None if name == NO_FDM else net
        learned, matcher = _learned(workspace, name), workspace.matcher(name)
        found[name] = {
            "minutes": minutes + sum(map(_minutes, learned)) + (_minutes(run.segmenter) if finding else 0),
            "parameters": weights
            + sum(parameters(folder / MODEL) for folder in learned if folder.parent.name == "matchers")
            + (parameters(run.segmenter / MODEL) if finding else 0),
            "milliseconds": _milliseconds(workspace, matcher, finding, faces),
            "comparing": _comparing(matcher, faces, enrolled),
        }
    return found


def _learned(workspace: Workspace, name: str) -> list[Path]:
    """The folders of what a strategy, or a matcher, has learned beside the base."""
    found = []
    for part in workspace.behind([name]):
        if part in COMMANDS:
            found.append(workspace.run.matcher(part))
        elif part != NO_FDM and part not in MATCHERS:
            found += workspace.mask_folders(part)
    return found


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


def _comparing(matcher: Matcher, faces: Tensor, enrolled: Faces) -> float:
    """What a probe takes to be compared with a gallery, both seen already."""
    probes, gallery = matcher.prepare(Faces.free(faces), "probe"), matcher.prepare(enrolled, "gallery")
    times = []
    for _ in range(2):
        began = time.perf_counter()
        matcher.compare(probes, gallery)
        times.append(time.perf_counter() - began)
    return 1000 * min(times) / len(faces)


def _milliseconds(
    workspace: Workspace, matcher: Matcher, segmenter: Segmenter | None, faces: Tensor
) -> float:
    """What a face takes until it can be compared: what covers it, and what is kept of it as a probe."""
    times = []
    for _ in range(1 + REPEATS):
        seen = faces.clone()  # the maps of the very same faces are remembered
        began = time.perf_counter()
        known = Faces.free(seen) if segmenter is None else Faces(seen, segmenter.covered(seen))
        matcher.prepare(known, "probe").kept()
        if workspace.accelerator.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return 1000 * min(times[1:]) / len(faces)
