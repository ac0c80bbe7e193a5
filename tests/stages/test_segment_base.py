"""`pdsn segment-train --encoder base`: a segmentation that looks through the run's own base."""

import json

import pytest
import torch

from pdsn.artefact import load_tensors
from tests.stages.conftest import give, table_of
from tests.stages.test_segment_from import CPU


@pytest.mark.slow
def test_a_segmentation_behind_the_base_is_made_used_and_refused_for_another(tiny, tmp_path, refused):
    run = tmp_path / "run"
    # The base that it needs is made first.
    varied = ("--occlusions", "varied", "--touched", 0.02)
    said = give("segment-train", "--encoder", "base", *varied, "--run", run, "--config", tiny, *CPU)
    assert said.code == 0, said.err
    assert "posed-hand" in said.out and "cut-out" in said.out and "tight-crop" in said.out
    assert (run / "base/model.safetensors").is_file()
    described = json.loads((run / "segmenter/config.json").read_text())
    assert described["config"]["encoder"] == "base" and described["config"]["occlusions"] == "varied"
    assert set(described["inputs"]) == {"data set", "base"}
    weights, _ = load_tensors(run / "segmenter/model.safetensors", "")
    base, _ = load_tensors(run / "base/model.safetensors", "")
    assert not set(weights) & set(base), "the base's own weights lie where they were"
    assert sum(one.numel() for one in weights.values() if one.dtype == torch.float32) < 2_000_000
    again = give("segment-train", "--run", run, *CPU)
    assert again.code == 0 and "trained already" in again.out, "the run remembers the encoder"
    said = give("eval", "--run", run, "--strategy", "none", "--occlusion", "eyes", "--no-make", *CPU)
    assert said.code == 0, said.err
    table = json.loads((table_of(said) / "table.json").read_text())
    assert [one["occlusion"] for one in table["segmentation"]] == ["eyes"]
    said = give("base-train", "--run", run, "--epochs", 1, "--force", *CPU)
    assert said.code == 0, said.err
    for more in ((), ("--config", tiny)):  # the file names another encoder
        line = refused(1, "eval", "--run", run, "--strategy", "none", "--no-make", *more, *CPU)
        assert f"belongs to another base: rebuild it with `pdsn segment-train --force --run {run}`" in line
    line = refused(2, "segment-train", "--run", run, *CPU)
    assert "was made from another base" in line and "--force" in line
    said = give("segment-train", "--run", run, "--force", *CPU)
    assert said.code == 0, said.err


@pytest.mark.slow
def test_a_segmentation_behind_a_base_is_not_taken_over_by_another(tiny, tmp_path, refused):
    one, other = tmp_path / "one", tmp_path / "other"
    words = ("--encoder", "base", "--config", tiny, *CPU)
    assert give("segment-train", "--run", one, *words).code == 0
    assert (
        give("base-train", "--run", other, "--config", tiny, "--epochs", 1, "--data", one / "data", *CPU).code
        == 0
    )
    line = refused(2, "segment-train", "--run", other, "--from", one, "--data", one / "data", *words)
    assert "was made from another base than this run: give a run with the same" in line
