"""--force, killed halfway: the same command without it goes on; and what may not be changed in a run that is begun."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.stages.conftest import give, stop_at

CPU = ("--device", "cpu", "--precision", "fp32")


def trained(run: Path) -> dict[str, dict]:
    """The settings of every training that is finished, by its folder in the run."""
    return {
        str(path.parent.relative_to(run)): json.loads(path.with_name("config.json").read_text())["config"]
        for path in run.rglob("model.safetensors")
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "call"),
    [("pdsn.masks.generators.train_generator", 2), ("pdsn.coverage.training.train_segmenter", 1)],
)
def test_a_run_that_is_made_anew_goes_on_after_a_stop(copied, tmp_path, few, monkeypatch, function, call):
    config = tmp_path / "run.toml"
    config.write_text(
        few.read_text().replace('["LM2", "matched", ', '["LM2", ').replace("steps = 4", "steps = 5")
    )
    words = ("run", "--run", copied, "--config", config, *CPU)
    with monkeypatch.context() as patch:
        stop_at(patch, function, call)
        said = give(*words, "--force", "--seed", "1")
    assert said.code == 130 and "the same command, without --force, goes on from here" in said.err
    for more in ((), ("--seed", "1")):  # what --force was given with is remembered, and may be said again
        said = give(*words, *more)
        assert said.code == 0, said.err
    made = trained(copied)
    del made["masks/matched"]  # which this configuration does not make
    parts = [
        "base",
        "segmenter",
        *(f"masks/LM2/{name}" for name in ("forehead", "eyes", "nose", "mouth", "chin")),
    ]
    assert {name: config["seed"] for name, config in made.items()} == dict.fromkeys(parts, 1)
    assert made["segmenter"]["steps"] == 5
    about = json.loads((copied / "run.json").read_text())
    assert "rebuilding" not in about
    # It has come to its end: from now on other settings are refused again.
    config.write_text(config.read_text().replace("steps = 5", "steps = 6"))
    said = give(*words)
    assert said.code == 2 and "segmenter was trained with other settings (steps is 5 there" in said.err


def test_masks_that_are_trained_anew_go_on_after_a_stop(copied, monkeypatch):
    words = ("mask-train", "--run", copied, "--epochs", "1", *CPU)
    with monkeypatch.context() as patch:
        stop_at(patch, "pdsn.masks.generators.train_generator", 2)
        assert give(*words, "--force").code == 130
    said = give(*words)
    assert said.code == 0, said.err
    epochs = [config["epochs"] for name, config in trained(copied).items() if name.startswith("masks/LM2")]
    assert epochs == [1] * 5


@pytest.mark.parametrize("command", ["base-train", "segment-train", "mask-train"])
def test_a_forced_stage_does_not_change_the_seed_of_a_run(copied, refused, command):
    about = (copied / "run.json").read_bytes()
    line = refused(2, command, "--run", copied, "--seed", "1", "--force")
    assert f"--seed 1: {copied} was made with 0; choose another --run for 1" in line
    assert f"`pdsn run --force --seed 1 --run {copied}`" in line
    assert (copied / "run.json").read_bytes() == about


def test_damaged_weights_name_the_command_that_makes_them_again(copied, refused):
    model = copied / "segmenter/model.safetensors"
    model.write_bytes(model.read_bytes()[:100])
    line = refused(1, "segment-train", "--run", copied)
    assert f"make it again with `pdsn segment-train --force --run {copied}`" in line
    assert give("segment-train", "--force", "--run", copied, *CPU).code == 0
    assert give("segment-train", "--run", copied).code == 0


def test_a_damaged_run_json_says_what_to_do(copied, refused):
    (copied / "run.json").write_text("{")
    line = refused(1, "eval", "--run", copied)
    assert f"{copied / 'run.json'} cannot be read" in line and "put it back, or choose another --run" in line


def test_damaged_drawn_people_are_drawn_again_once_deleted(copied, refused):
    import shutil

    (copied / "data/dataset.json").write_text("{")
    line = refused(1, "eval", "--run", copied, "--occlusion", "clean")
    assert f"delete {copied / 'data'}, and the same command draws them again" in line
    shutil.rmtree(copied / "data")
    said = give("eval", "--run", copied, "--occlusion", "clean", *CPU)
    assert said.code == 0, said.err


def test_strategies_without_the_preferred_one_name_the_cure(tmp_path, refused, dataset):
    config = tmp_path / "two.toml"
    config.write_text('[dictionary]\nstrategies = ["LM2", "matched"]\n')
    words = (
        "run",
        "--data",
        dataset.root,
        "--preset",
        "lfw10",
        "--run",
        tmp_path / "run",
        "--config",
        config,
    )
    line = refused(2, *words)
    assert "preferred" in line and "(LM2, matched): add it, or set preferred to one of them" in line
