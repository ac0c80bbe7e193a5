"""Where no run is named, or none lies in the folder that is, the line says which there are or what to give."""

from __future__ import annotations

import os

import pytest

COMMANDS = [("identify", "x.jpg"), ("enrol", "photos", "--people", "team"), ("export", "--onnx", "out")]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working directory with photos, of nobody's face."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos/Ann").mkdir(parents=True)
    (tmp_path / "photos/Ann/1.png").write_bytes(b"no photo")
    return tmp_path


@pytest.mark.parametrize("words", COMMANDS)
def test_a_forgotten_run_is_offered(refused, folder, words):
    if words[0] == "export":
        pytest.importorskip("onnxruntime")
    line = refused(1, *words)
    assert (
        "runs/default, the run that is taken where none is named, holds no run: name one, --run DIR" in line
    )
    for age, name in enumerate(("one", "my two", "three", "four")):
        path = folder / "runs" / name / "run.json"
        path.parent.mkdir(parents=True)
        path.write_text("{}")
        os.utime(path, (1000 - age, 1000 - age))
    (folder / "runs/other").mkdir()
    line = refused(1, *words)
    assert "name one, such as --run runs/one, --run 'runs/my two', --run runs/three, or make one" in line


@pytest.mark.parametrize("command", ["show", "report"])
def test_it_is_offered_as_the_command_takes_it(refused, folder, command):
    (folder / "runs/mine").mkdir(parents=True)
    (folder / "runs/mine/run.json").write_text("{}")
    assert "name one, such as runs/mine, or make one there" in refused(1, command)


@pytest.mark.parametrize(
    "words", [("show", "photos"), ("report", "photos"), ("identify", "x.jpg", "--run", "photos")]
)
def test_a_folder_of_something_else_is_no_run(refused, words):
    line = refused(2, *words)
    assert "photos is no run directory, it holds something else (no run.json): give a run directory" in line


def test_people_who_are_not_there_are_enrolled_with_a_run(refused):
    assert "make it with `pdsn enrol PHOTOS --people nobody --run RUN`" in refused(
        1, "people", "list", "--people", "nobody"
    )
