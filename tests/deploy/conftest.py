"""A run that nobody trained: random weights, saved as training saves them."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest
import torch

from pdsn.artefact import describe
from pdsn.bases.trained import new_base
from pdsn.coverage.segmenter import SegmentationNet
from pdsn.deploy.exported import Exported
from pdsn.deploy.onnx import Part, parts_of
from pdsn.files import write_text
from pdsn.masks.dictionary import MaskDictionary
from pdsn.matchers.table import COMMANDS, MATCHERS
from stages.export import parts_of_run
from stages.session import Session, Shared
from tests.conftest import make_dataset
from tests.stages.conftest import give

# A share that some regions of some faces reach, and a strategy whose regions differ when mirrored.
SETTINGS = """
[base]
arch = "resnet18"
width = 8
embedding = 32
epochs = 1
[segment]
encoder = "resnet18"
height = 32
steps = 1
[regions]
share = 0.4
[eval]
occlusions = ["clean", "eyes"]
bootstrap = 100
"""
STRATEGY = "LM2-split"
SIZE = (64, 42)
"""Reduced to 32x21 by the U-Net, and then padded: 21 is no multiple of 16."""


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with base, U-Net and a dictionary; tests must not change it."""
    folder = tmp_path_factory.mktemp("untrained")
    (folder / "settings.toml").write_text(SETTINGS)
    make_dataset(folder / "data", people=4, photos=8, size=SIZE)
    session = session_of(folder / "run", data=folder / "data", config=folder / "settings.toml")
    torch.manual_seed(0)
    model = new_base(session.settings.base, session.training.size, len(session.training.people))
    session.base_folder.open()
    session.base_folder.finish(model.state_dict(), {"rank1": 0.25, "rank5": 0.5, "epoch": 0})
    faces = session.dataset.tensor(range(16))
    net = SegmentationNet("resnet18", session.settings.segment.height).eval()
    with torch.no_grad():
        # About half of the pixels count as covered, and none is near the threshold's rounding for all faces.
        net.unet.segmentation_head[0].bias -= net(faces).median()
    session.segmenter_folder.open()
    session.segmenter_folder.finish(net.state_dict(), {"iou": 0.5, "iou eyes": 0.5, "accuracy eyes": 0.9})
    strategy = session.layout(STRATEGY)
    mean = torch.rand(len(strategy.regions), *model.net.map_shape)
    base = session.base_folder.sha256()
    path = session.run.dictionary(STRATEGY)
    MaskDictionary(strategy, mean, mean > 0.3, base).save(path)
    made = describe({"percentile": 30.0, "seed": 0, "regions": {}}, {"base": base})
    write_text(path.with_suffix(".json"), json.dumps({"strategy": STRATEGY, "kept": 0.7, **made}))
    for name in COMMANDS:
        module = import_module(MATCHERS[name])
        net = module.build(session, session.settings.of(module.PLUGIN))
        matcher = session.matcher_folder(name)
        matcher.open()
        matcher.finish(net.state_dict(), {"rank1": 0.25, "occluded": 0.25, "epoch": 0})
    session.begin()
    return folder / "run"


def session_of(run: Path, data: Path | None = None, config: Path | None = None) -> Session:
    """A session on a run, in float32 on the CPU."""
    given = None if data is None else str(data)
    return Session(Shared(run, data=given, device="cpu", precision="fp32", config=config), {})


@pytest.fixture(scope="session")
def settings(untrained: Path) -> Path:
    """The settings file of the run."""
    return untrained.parent / "settings.toml"


@pytest.fixture(scope="session")
def measured(untrained: Path) -> Path:
    """The same run with a table."""
    said = give("eval", "--run", untrained, "--device", "cpu", "--precision", "fp32")
    assert said.code == 0, said.err
    return untrained


@pytest.fixture(scope="session")
def export(measured: Path, settings: Path) -> Path:
    """The export of the run, by the command itself; tests must not change it."""
    folder = measured.parent / "exported"
    said = give("export", "--run", measured, "--config", settings, "--onnx", folder)
    assert said.code == 0, said.err
    assert all(name in said.out for name in ("trunk.onnx", "head.onnx", "segmenter.onnx", str(folder)))
    return folder


@pytest.fixture(scope="session")
def exported(measured: Path, settings: Path) -> Exported:
    """What of the run is exported."""
    return parts_of_run(session_of(measured, config=settings), None, True)


@pytest.fixture(scope="session")
def networks(exported: Exported) -> list[Part]:
    """The networks of the run."""
    return parts_of(exported.net, exported.segmenter, exported.dataset.size)
