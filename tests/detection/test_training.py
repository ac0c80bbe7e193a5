"""Training of the detector's networks, from photos to a file that finds faces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from pdsn.data.detector import MTCNN, Detector
from stages.cli import app


@pytest.fixture(scope="module")
def portraits(tmp_path_factory) -> Path:
    """Four photos of one face."""
    portrait = pytest.importorskip("skimage.data").astronaut()
    folder = tmp_path_factory.mktemp("photos")
    for index, left in enumerate((60, 80, 96, 110)):
        path = folder / "ann" / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(portrait[:240, left : left + 250]).save(path)
    return folder


def command(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


def test_networks_are_trained_and_used(portraits, tmp_path):
    out = tmp_path / "out"
    asked = ("detector-train", portraits, "--out", out, "--scenes", 2, "--epochs", 1, "--batch", 8)
    assert "trained on 4 photos" in command(*asked)
    file = out / "detector.safetensors"
    first = load_file(file)
    assert "trained already" in command(*asked)
    # The mean of published and trained weights, in half precision.
    published = Detector(40, networks=MTCNN).refine.state_dict()
    trained, mixed = load_file(out / "refine" / "model.safetensors"), load_file(file)
    moved = 0.0
    for name, value in published.items():
        assert mixed[f"refine.{name}"] == pytest.approx((value + trained[name]) / 2, abs=2e-3)
        moved = max(moved, float((trained[name] - value).abs().max()))
    assert moved > 1e-4
    # The network that places landmarks is written as it was trained; what it sees first is the third network's.
    placing = load_file(out / "landmarks" / "model.safetensors")
    output = load_file(out / "output" / "model.safetensors")
    for name, value in placing.items():
        assert mixed[f"landmarks.{name}"] == pytest.approx(value, abs=2e-3)
    assert torch.equal(placing["conv2.weight"], output["conv2.weight"])
    assert not torch.equal(placing["dense6_3.weight"], output["dense6_3.weight"])
    photo = np.asarray(Image.open(portraits / "ann" / "0.png"))
    assert Detector(40, networks=str(file))([photo])[0], "a step or two do not spoil them"
    # A killed training ends with the same weights.
    file.unlink()
    for part in ("output", "landmarks"):
        (out / part / "model.safetensors").unlink()
    command(*asked)
    again = load_file(file)
    assert all(torch.equal(again[name], value) for name, value in first.items())
    data = tmp_path / "data"
    command("prepare", portraits, "--data", data, "--detector", file, "--min-photos", 2)
    made = json.loads((data / "dataset.json").read_text())["settings"]
    assert made["detector"] == str(file) and "networks" in made["method"]


def test_what_cannot_be_is_one_line(portraits, tmp_path):
    blank = tmp_path / "blank"
    (blank / "ann").mkdir(parents=True)
    Image.new("RGB", (60, 60), "green").save(blank / "ann" / "lawn.png")
    for words, wrong in (
        ((portraits, "--out", portraits / "out"), "lies among the photos"),
        ((blank, "--out", tmp_path / "out"), "fewer than two photos show a face"),
        ((tmp_path / "nowhere", "--out", tmp_path / "out"), "no such folder"),
    ):
        result = CliRunner().invoke(app, ["detector-train", *map(str, words), "--device", "cpu"])
        assert result.exit_code in (1, 2) and wrong in result.output
        assert result.output.strip().count("\n") <= 1
