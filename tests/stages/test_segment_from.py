"""`pdsn segment-train --from RUN`: the U-Net of another run."""

import json
import shutil

from pdsn.files import sha256_of
from tests.conftest import make_dataset
from tests.stages.conftest import give

CPU = ("--device", "cpu", "--precision", "fp32")


def test_another_run_on_the_same_data_gets_the_same_network(finished, tiny, tmp_path, refused):
    words = ("--data", finished / "data", "--config", tiny, "--run", tmp_path / "run", *CPU)
    said = give("segment-train", "--from", finished, *words)
    assert said.code == 0, said.err
    assert f"segmentation: taken from {finished}" in said.out
    own, theirs = (run / "segmenter/model.safetensors" for run in (tmp_path / "run", finished))
    assert sha256_of(own) == sha256_of(theirs)
    assert json.loads((own.parent / "config.json").read_text())["taken_from"] == str(finished / "segmenter")
    same = give("segment-train", "--from", finished, *words)
    assert same.code == 0, "the same command once more"
    again = give("segment-train", "--run", tmp_path / "run", *CPU)
    assert again.code == 0 and "trained already" in again.out
    line = refused(
        2, "segment-train", "--from", finished, "--steps", 3, *words[:-6], "--run", tmp_path / "other", *CPU
    )
    assert "was trained with other settings than these (steps is" in line
    assert not (tmp_path / "other/segmenter/model.safetensors").exists()
    line = refused(
        1, "segment-train", "--from", tmp_path / "none", *words[:-6], "--run", tmp_path / "third", *CPU
    )
    assert "holds no run" in line


def test_a_network_that_is_there_is_not_lost(copied, finished, tmp_path, tiny, refused):
    model = copied / "segmenter/model.safetensors"
    before = sha256_of(model)
    line = refused(2, "segment-train", "--from", copied, "--run", copied, "--force", *CPU)
    assert "is what is to be made: give another run" in line and sha256_of(model) == before
    other = shutil.copytree(finished, tmp_path / "other")
    model.write_bytes(model.read_bytes() + b" ")
    line = refused(2, "segment-train", "--from", other, "--run", copied, *CPU)
    assert "holds another segmentation already: add --force to replace it" in line
    assert give("segment-train", "--from", other, "--run", copied, "--force", *CPU).code == 0
    assert sha256_of(model) == before
    make_dataset(tmp_path / "data", people=5, photos=10)
    words = ("--data", tmp_path / "data", "--config", tiny, "--run", tmp_path / "new", *CPU)
    line = refused(2, "segment-train", "--from", other, *words)
    assert "was made from another data set than this run: give a run with the same" in line
