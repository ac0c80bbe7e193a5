"""A run whose data set is gone or damaged says how that one comes back, without another training."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from pdsn.artefact import making
from tests.stages.conftest import give

CPU = ("--device", "cpu", "--precision", "fp32")


def made_with(run: Path, data: str, arch: str = "") -> None:
    """Have a run remember another data set."""
    about = json.loads((run / "run.json").read_text())
    about["data"] = data
    about["settings"]["pretrained"] = {"arch": arch}
    (run / "run.json").write_text(json.dumps(about))


def spoil(folder: Path, how: str) -> None:
    """Delete a data set, or leave half of it."""
    if how == "gone":
        shutil.rmtree(folder)
    else:
        (folder / "faces.npy").write_bytes(b"half")


@pytest.mark.parametrize("how", ["gone", "damaged"])
@pytest.mark.parametrize("words", [("eval",), ("identify", "PHOTO", "--fpr", "0.1"), ("base-train",)])
def test_the_run_s_own_photos_are_prepared_by_run(refused, copied, tmp_path, how, words):
    made_with(copied, "data")
    spoil(copied / "data", how)
    (tmp_path / "x.png").write_bytes(b"x")
    line = refused(
        1, *(tmp_path / "x.png" if word == "PHOTO" else word for word in words), "--run", copied, *CPU
    )
    assert f"prepare the same photos again with `pdsn run --photos PHOTOS --run {copied}`" in line


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_a_data_set_elsewhere_is_prepared_for_the_run_s_architecture(refused, copied, tmp_path, how):
    folder = Path(shutil.copytree(copied / "data", tmp_path / "my data"))
    made_with(copied, str(folder), "mobilefacenet")
    spoil(folder, how)
    line = refused(1, "eval", "--run", copied, *CPU)
    assert f"with `pdsn prepare PHOTOS --data '{folder}' --for mobilefacenet --force`" in line


def test_drawn_people_are_drawn_again_as_it_is_told(refused, copied, tmp_path):
    base = (copied / "base/model.safetensors").stat().st_mtime_ns
    before = (copied / "data/faces.npy").read_bytes()
    spoil(copied / "data", "damaged")
    line = refused(1, "identify", tmp_path / "x.png", "--fpr", "0.1", "--run", copied, *CPU)
    (words,) = re.findall(r"delete what is left of it, and `pdsn (run [^`]*)` draws the people again", line)
    shutil.rmtree(copied / "data")
    said = give(*shlex.split(words), *CPU)
    assert said.code == 0, said.err
    assert (copied / "data/faces.npy").read_bytes() == before
    assert (copied / "base/model.safetensors").stat().st_mtime_ns == base


def test_commands_without_a_run_are_given_none(copied):
    path = copied / "data/dataset.json"
    assert making("pdsn prepare PHOTOS --data DIR", path) == "pdsn prepare PHOTOS --data DIR"
    assert making("pdsn eval", path) == f"pdsn eval --run {copied}"
