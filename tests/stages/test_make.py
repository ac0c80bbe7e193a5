"""A stage makes what it lacks, says so first, and refuses with --no-make."""

from __future__ import annotations

import json
import shutil

import pytest

from pdsn.run.estimate import estimate, spoken
from pdsn.run.stages import all_steps
from stages.session import Session, Shared
from tests.conftest import make_dataset
from tests.stages.conftest import TINY, give

COMMON = ("--device", "cpu", "--precision", "fp32")


def test_the_three_commands_in_an_empty_folder(tmp_path, monkeypatch):
    """As the README has them, on the drawn people; a preset of its own makes them few."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few.toml").write_text(TINY)
    first = give("base-train", "--config", "few.toml", *COMMON)
    second = give("build-dictionary", "--strategy", "LM2", *COMMON)
    third = give("eval", "--occlusion", "sunglasses", *COMMON)
    assert [said.code for said in (first, second, third)] == [0, 0, 0], third.err
    assert "missing" not in first.out
    assert "missing, and made first: mask-train --strategy LM2, under a minute" in second.out
    assert "missing, and made first: segment-train, under a minute" in third.out
    assert "sunglasses" in third.out and (tmp_path / "runs/default/segmenter/model.safetensors").is_file()
    assert "missing" not in give("eval", "--occlusion", "sunglasses", *COMMON).out


def test_one_command_makes_everything_on_prepared_photos(tmp_path):
    make_dataset(tmp_path / "data", people=6, photos=14)
    (tmp_path / "few.toml").write_text(
        TINY.replace("[synthetic]\npeople = 6\nphotos = 14\nsize = [64, 48]\n", "")
    )
    words = (
        "--data",
        tmp_path / "data",
        "--run",
        tmp_path / "run",
        "--config",
        tmp_path / "few.toml",
        *COMMON,
    )
    said = give("eval", "--occlusion", "eyes", *words)
    assert said.code == 0, said.err
    made = [line for line in said.out.splitlines() if line.startswith("missing")]
    assert [line.split(": ")[1].split(",")[0] for line in made] == [
        "base-train", "mask-train --strategy LM2", "build-dictionary --strategy LM2", "segment-train",
    ]  # fmt: skip
    # What eval is asked holds for one call, also where it makes the run.
    about = json.loads((tmp_path / "run/run.json").read_text())
    assert about["data"] == str(tmp_path / "data") and "eval" not in about["settings"]
    assert about["settings"]["base"]["width"] == 8


def test_nothing_that_exists_is_made_again_and_force_is_for_the_command_alone(copied):
    base = (copied / "base/model.safetensors").stat().st_mtime_ns
    shutil.rmtree(copied / "masks/LM2")
    assert give("mask-train", "--strategy", "LM2", "--force", "--run", copied, *COMMON).code == 0
    assert (copied / "base/model.safetensors").stat().st_mtime_ns == base


def test_a_seed_for_one_table_trains_nothing(copied):
    shutil.rmtree(copied / "dictionary")
    shutil.rmtree(copied / "masks")
    said = give("eval", "--seed", "7", "--occlusion", "eyes", "--strategy", "LM2", "--run", copied, *COMMON)
    assert said.code == 0, said.err
    assert json.loads((copied / "dictionary/LM2.json").read_text())["config"]["seed"] == 0


@pytest.mark.parametrize("command", ["mask-train", "build-dictionary", "eval"])
def test_no_make_refuses_and_writes_nothing(refused, tmp_path, command):
    assert "holds no run: make one with `pdsn run" in refused(
        1, command, "--no-make", "--run", tmp_path / "new"
    )
    assert not (tmp_path / "new").exists()


def test_a_longer_training_is_expected_to_take_longer(copied, tmp_path):
    def expected(**base: int) -> list[float]:
        session = Session(Shared(copied, device="cpu", precision="fp32"), {"base": base}, force=True)
        return estimate(session, all_steps(session, ["LM2", "matched", "random"]))

    few, many = expected(epochs=3), expected(epochs=300)
    assert len(few) == 4 and all(seconds > 0 for seconds in [*few, *many])
    assert many[0] > 10 * few[0]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3, "under a minute"),
        (50, "about 1 min"),
        (200, "about 3 min"),
        (1000, "about 15 min"),
        (9000, "about 2 h"),
    ],
)
def test_a_time_is_said_as_people_say_it(seconds, words):
    assert spoken(seconds) == words
