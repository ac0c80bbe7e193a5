"""Every matcher that learns, on a base of drawn people: far above chance, free and covered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pdsn.matchers.table import COMMANDS
from tests.stages.conftest import give, table_of

CPU = ("--device", "cpu", "--precision", "fp32")
DRAWN = """
[synthetic]
people = 8
photos = 24
size = [64, 48]
[base]
arch = "resnet18"
width = 16
embedding = 64
last_stride = 1
epochs = 24
batch = 32
validate_every = 8
[cross-encoder]
first = "none"
top = 8
[eval]
occlusions = ["clean", "sunglasses", "face-mask"]
bootstrap = 100
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that recognises drawn people."""
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "settings.toml").write_text(DRAWN)
    said = give(
        "base-train",
        "--run",
        folder / "run",
        "--data",
        "synthetic",
        "--config",
        folder / "settings.toml",
        *CPU,
    )
    assert said.code == 0, said.err
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_it_recognises_drawn_people_far_above_chance(drawn, name):
    common = ("--run", drawn / "run", "--config", drawn / "settings.toml", *CPU)
    command, *choice = COMMANDS[name].split()
    said = give(command, *choice, "--steps", 300, "--batch", 32, *common)
    assert said.code == 0, said.err
    said = give("eval", "--strategy", "none", "--matcher", name, "--occlusion-source", "oracle", *common)
    assert said.code == 0, said.err
    records = json.loads((table_of(said) / "table.json").read_text())["records"]
    rank1 = {r["occlusion"]: r["rank1"] for r in records if r["strategy"] == name}
    assert rank1["clean"] > 0.5 and min(rank1.values()) > 0.3, f"one in eight is chance: {rank1}"
