"""`pdsn segment-train --from RUN`: the U-Net of another run."""

from pdsn.files import sha256_of
from tests.stages.conftest import give

CPU = ("--device", "cpu", "--precision", "fp32")


def test_another_run_on_the_same_data_gets_the_same_network(finished, tiny, tmp_path, refused):
    words = ("--data", finished / "data", "--config", tiny, "--run", tmp_path / "run", *CPU)
    said = give("segment-train", "--from", finished, *words)
    assert said.code == 0, said.err
    assert "trained already" in said.out
    own, theirs = (run / "segmenter/model.safetensors" for run in (tmp_path / "run", finished))
    assert sha256_of(own) == sha256_of(theirs)
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
