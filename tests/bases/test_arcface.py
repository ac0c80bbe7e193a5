"""The ArcFace base by its command: what it trains, what it refuses, and that it learns who is who."""

import json

import pytest
from typer.testing import CliRunner

from stages.cli import app
from tests.conftest import make_dataset

SMALL = ("--width", "8", "--stem-stride", "2", "--embedding", "32", "--batch", "16", "--device", "cpu")


def give(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("arcface") / "data", people=6, photos=12).root


@pytest.mark.parametrize(
    "words",
    [
        ("--attention", "cbam", "--epochs", "12"),
        ("--backbone", "vit", "--depth", "2", "--optimizer", "adamw", "--lr", "0.003", "--epochs", "24"),
    ],
)
def test_it_learns_who_is_who(faces, tmp_path, words):
    done = give("arcface-train", "--data", faces, "--run", tmp_path / "run", *SMALL, *words)
    assert done.exit_code == 0, done.output
    assert float(done.stdout.split("rank-1 ")[1].split(" %")[0]) > 60, "one in six is chance"
    found = json.loads((tmp_path / "run/base/config.json").read_text())["config"]
    assert found["kind"] == "arcface" and found["arcface"][words[0].removeprefix("--")] == words[1]
    # The run remembers its base: whatever comes later takes it.
    again = give("base-train", "--run", tmp_path / "run")
    assert again.exit_code == 0 and "trained already" in again.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--attention", "eca"), "--attention eca is unknown: choose from none, se, cbam"),
        (("--margin", "2"), "--margin 2.0 is out of range: from 0 to 1.5"),
        (("--backbone", "vit", "--patch", "20"), "patches of 20 pixels do not divide faces of 64x48"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_begun(faces, tmp_path, words, said):
    done = give("arcface-train", "--data", faces, "--run", tmp_path / "run", *words)
    assert done.exit_code == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_weights_of_a_resnet_do_not_start_it(faces, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"")
    done = give(
        "base-train", "--base", "arcface", "--init", tmp_path / "w.safetensors", "--data", faces,
        "--run", tmp_path / "run",
    )  # fmt: skip
    assert done.exit_code == 2 and "is for ResNets: the base arcface starts at random" in done.stderr
