"""A run whose photos were not all prepared is gone on with by the command that began it, and by no drawn people."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.stages.conftest import give, stop_at


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of two people, ten grey photos each; nobody looks for faces in them."""
    for person in ("Ann", "Bob"):
        (tmp_path / "my photos" / person).mkdir(parents=True)
        for number in range(10):
            picture = Image.fromarray(np.full((40, 40, 3), 10 * number, np.uint8))
            picture.save(tmp_path / "my photos" / person / f"{number}.png")
    return tmp_path / "my photos"


@pytest.fixture
def command(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of a `run` that was stopped while it prepared."""
    words = ["run", "--photos", str(photos), "--run", str(tmp_path / "run"), "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["pdsn", *words, "--force"])
    with monkeypatch.context() as patch:
        stop_at(patch, "pdsn.data.prepare.run_chunks")
        assert give(*words, "--force").code == 130
    return words


@pytest.mark.parametrize(
    "words",
    [("show", "RUN"), ("report", "RUN"), ("run", "--run", "RUN"), ("eval", "--run", "RUN"),
     ("identify", "x.jpg", "--run", "RUN"), ("base-train", "--run", "RUN")],
)  # fmt: skip
def test_whoever_asks_is_told_the_command_that_goes_on(refused, command, tmp_path, words):
    line = refused(1, *(str(tmp_path / "run") if word == "RUN" else word for word in words))
    assert f"preparing its photos was stopped: go on with `{shlex.join(['pdsn', *command])}`" in line
    assert not (tmp_path / "run/data").exists()


def test_the_command_itself_goes_on(command, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pdsn", *command])
    with monkeypatch.context() as patch:
        stop_at(patch, "stages.base_train.main")
        patch.setattr("stages.prepare.prepare", lambda *words, **more: None)
        patch.setattr("stages.asking.check_data", lambda *words: None)
        patch.setattr("stages.making.announce", lambda *words: None)
        assert give(*command).code == 130
    # Other photos, which turn out to be of no use, do not take its place.
    other = tmp_path / "none"
    (other / "Ann").mkdir(parents=True)
    line = give("run", "--photos", other, "--run", tmp_path / "run", "--device", "cpu").err
    assert str(other) in line and shlex.join(["pdsn", *command]) in give("show", tmp_path / "run").err


def test_photos_of_no_use_leave_no_run(tmp_path):
    (tmp_path / "none/Ann").mkdir(parents=True)
    said = give("run", "--photos", tmp_path / "none", "--run", tmp_path / "run", "--device", "cpu")
    assert said.code == 1 and not (tmp_path / "run").exists()


def test_the_settings_of_a_command_that_was_stopped_are_not_remembered(command, tmp_path):
    assert set(json.loads((tmp_path / "run/run.json").read_text())) == {"format", "preparing"}


def test_a_folder_that_was_there_before_stays(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "none/Ann").mkdir(parents=True)
    said = give("run", "--photos", tmp_path / "none", "--run", tmp_path / "run", "--device", "cpu")
    assert said.code == 1 and list((tmp_path / "run").iterdir()) == []


def test_photos_that_are_prepared_and_refused_afterwards_are_not_said_to_be_stopped(
    refused, command, tmp_path
):
    (tmp_path / "run/data").mkdir()
    (tmp_path / "run/data/dataset.json").write_text("{}")
    line = refused(1, "show", tmp_path / "run")
    assert "has no base yet, and its photos are prepared: go on with `pdsn run --photos" in line
    assert "with other settings where these were refused" in line
