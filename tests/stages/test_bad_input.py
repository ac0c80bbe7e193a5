"""Every mistake is one line on standard error, exit code 1 or 2, and nothing is lost."""

import errno
import json
import shutil

import pytest
import torch

from tests.stages.conftest import give


def snapshot(root):
    return {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["base-train", "--epochs", "0"], "--epochs 0 is out of range: from 1"),
        (["base-train", "--epochs", "many"], "--epochs"),
        (["base-train", "--lr", "nan"], "--lr nan is out of range"),
        (["base-train", "--arch", "vgg"], "--arch vgg is unknown: choose from resnet18, resnet34"),
        (["base-train", "--seed", "-1"], "--seed -1 is out of range"),
        (["base-train", "--preset", "best"], "--preset best is unknown: choose from baselines"),
        (["base-train", "--device", "tpu"], "--device tpu is unknown: choose from auto, cpu, cuda, mps"),
        (["base-train", "--precision", "fp8"], "--precision fp8 is unknown"),
        (
            ["mask-train", "--strategy", "LM3"],
            "--strategy LM3 is unknown: choose from grid3x3, LM1, LM2, LM2-split",
        ),
        (["mask-train", "--strategy", "random"], "is a control and has no generator"),
        (["mask-train", "--region-floor", "9"], "--region-floor 9.0 is out of range"),
        (["build-dictionary", "--percentile", "130"], "--percentile 130.0 is out of range"),
        (
            ["build-dictionary", "--strategy", "LM3"],
            "choose from grid3x3, LM1, LM2, LM2-split, matched, random, geometric",
        ),
        (
            ["eval", "--occlusion", "glasses"],
            "--occlusion glasses is unknown: choose from all, clean, forehead",
        ),
        (
            ["eval", "--occlusion-source", "magic"],
            "--occlusion-source magic is unknown: choose from segmenter, oracle",
        ),
        (["eval", "--strategy", "LM9"], "--strategy LM9 is unknown"),
        (["eval", "--draws", "0"], "--draws 0 is out of range: from 1 to 100"),
        (["eval", "--unmasked", "1.5"], "--unmasked 1.5 is out of range: from 0 to 1"),
        (["eval", "--compare", "all"], "--compare all is unknown: choose from nearest, mean, both"),
        (["base-train", "--masked", "-1"], "--masked -1.0 is out of range: from 0 to 1"),
        (["base-train", "--margin-warmup", "2"], "--margin-warmup 2.0 is out of range: from 0 to 1"),
        (["eval", "--enrol", "0"], "--enrol 0 is out of range: from 1"),
        (["base-train", "--split-by", "face"], "--split-by face is unknown: choose from photo, person"),
        (["prepare", "x", "--size", "128"], "--size 128 is not HEIGHTxWIDTH, such as 128x96"),
        (["prepare", "x"], "say where the data set goes: --data DIR"),
        (["prepare", "--data", "y"], "give either a folder of photos or --lfw"),
        (["nonsense"], "No such command"),
        (["eval", "--occlusions", "eyes"], "No such option"),
    ],
)
def test_bad_usage_is_exit_code_2(refused, copied, words, said):
    before = snapshot(copied)
    extra = [] if words[0] in ("prepare", "nonsense") else ["--run", copied]
    assert said in refused(2, *words, *extra)
    assert snapshot(copied) == before


def test_no_traceback_in_process_either_but_with_debug(copied):
    with pytest.raises(Exception, match="is unknown"):
        give("eval", "--run", copied, "--occlusion", "glasses", "--debug")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there(refused, tmp_path, tiny):
    line = refused(2, "base-train", "--run", tmp_path / "r", "--config", tiny, "--device", "cuda")
    assert "--device cuda: this machine has none" in line
    assert not (tmp_path / "r" / "run.json").exists()


def test_stages_before_what_they_need_say_which_command_makes_it(refused, copied):
    shutil.rmtree(copied / "dictionary")
    assert f"make it with `pdsn build-dictionary --strategy LM2 --run {copied}`" in refused(
        1, "eval", "--run", copied, "--strategy", "LM2", "--no-make"
    )
    shutil.rmtree(copied / "masks")
    assert f"make it with `pdsn mask-train --strategy LM2 --run {copied}`" in refused(
        1, "build-dictionary", "--run", copied, "--no-make"
    )
    shutil.rmtree(copied / "base")
    for command in ("mask-train", "build-dictionary", "eval"):
        assert f"make it with `pdsn base-train --run {copied}`" in refused(
            1, command, "--run", copied, "--no-make"
        )


def test_a_dictionary_of_masks_that_were_trained_anew_says_what_rebuilds_it(refused, copied):
    assert give("mask-train", "--run", copied, "--strategy", "LM2", "--force", "--lambda", "3").code == 0
    remake = f"pdsn build-dictionary --strategy LM2 --run {copied}"
    line = refused(1, "eval", "--run", copied, "--strategy", "LM2", "--occlusion", "eyes")
    assert (
        f"LM2.safetensors was built of masks that were trained anew since: rebuild it with `{remake}`" in line
    )
    assert give("build-dictionary", "--run", copied, "--strategy", "LM2").code == 0
    assert give("eval", "--run", copied, "--strategy", "LM2", "--occlusion", "eyes").code == 0


def test_artefacts_of_another_base_say_what_rebuilds_them(refused, copied):
    assert give("base-train", "--run", copied, "--force", "--epochs", "1").code == 0
    line = refused(1, "eval", "--run", copied, "--strategy", "LM2")
    assert (
        f"LM2.safetensors belongs to another base: rebuild it with `pdsn build-dictionary --strategy LM2 --run {copied}`"
        in line
    )
    line = refused(1, "build-dictionary", "--run", copied)
    assert "belongs to another base: rebuild it with `pdsn mask-train --strategy LM2" in line
    # The command it names does rebuild it, caches included.
    assert give("mask-train", "--run", copied, "--strategy", "LM2").code == 0
    assert give("build-dictionary", "--run", copied).code == 0
    assert give("eval", "--run", copied, "--strategy", "LM2", "--occlusion", "eyes").code == 0


def test_a_dictionary_for_other_regions_is_refused(refused, copied):
    line = refused(1, "eval", "--run", copied, "--strategy", "LM2", "--config", _floor(copied, 0.9))
    assert (
        f"was built for other regions: rebuild it with `pdsn build-dictionary --strategy LM2 --run {copied}`"
        in line
    )


def test_other_settings_for_a_finished_base_are_refused(refused, copied):
    before = (copied / "base/model.safetensors").read_bytes()
    line = refused(2, "base-train", "--run", copied, "--epochs", "7")
    assert "was trained with other settings (epochs is 3 there and 7 here)" in line
    assert (copied / "base/model.safetensors").read_bytes() == before
    # The refused option is not remembered, and weights to start from that cannot be read cost nothing.
    assert give("base-train", "--run", copied).code == 0
    (copied / "typo.safetensors").write_text("no weights")
    refused(1, "base-train", "--run", copied, "--init", copied / "typo.safetensors", "--force")
    assert (copied / "base/model.safetensors").read_bytes() == before
    assert give("base-train", "--run", copied).code == 0


def test_other_data_or_another_preset_is_refused_and_not_mixed_in(refused, copied, dataset):
    assert "was made with synthetic; choose another --run" in refused(
        2, "base-train", "--run", copied, "--data", dataset.root
    )
    assert "was made with demo; choose another --run" in refused(
        2, "segment-train", "--run", copied, "--preset", "johnston"
    )


def test_other_embedded_people_are_refused(refused, copied, tmp_path):
    path = tmp_path / "more.toml"
    path.write_text("[synthetic]\npeople = 7\n")
    assert "holds other embedded people (people is 6 there and 7 here)" in refused(
        2, "base-train", "--run", copied, "--config", path
    )


def test_broken_toml(refused, tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("[base\nepochs = 3")
    assert f"--config {path} is not valid TOML" in refused(
        2, "run", "--run", tmp_path / "r", "--config", path
    )
    assert not (tmp_path / "r").exists()


def test_run_directories_that_are_none(refused, tmp_path):
    (tmp_path / "file").write_text("x")
    assert "is a file: give a folder" in refused(2, "base-train", "--run", tmp_path / "file")
    assert "it holds something else" in refused(2, "base-train", "--run", tmp_path)
    (tmp_path / "r").mkdir()
    (tmp_path / "r/run.json").write_text("{ broken")
    assert "run.json cannot be read" in refused(1, "base-train", "--run", tmp_path / "r")


def test_data_that_is_none(refused, tmp_path):
    line = refused(1, "base-train", "--run", tmp_path / "r", "--data", tmp_path / "nowhere")
    assert "is not a prepared data set (no dataset.json): make one with `pdsn prepare PHOTOS --data" in line


@pytest.mark.parametrize(
    "damage",
    ["base/model.safetensors", "dictionary/LM2.safetensors", "data/manifest.csv", "base/config.json"],
)
def test_damaged_artefacts_are_named(refused, copied, damage):
    (copied / damage).write_bytes(b"\x00garbage")
    line = refused(1, "eval", "--run", copied, "--strategy", "LM2")
    assert damage.split("/")[0] in line and "again" in line


def test_a_full_disk_is_one_line_and_loses_nothing(refused, copied, monkeypatch):
    before = snapshot(copied)
    import pdsn.artefact

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device", str(copied / "dictionary/LM2.safetensors"))

    monkeypatch.setattr(pdsn.artefact, "atomic_path", full)
    line = refused(1, "build-dictionary", "--run", copied, "--device", "cpu", "--precision", "fp32")
    assert "No space left on device; free space" in line and "LM2.safetensors" in line
    after = snapshot(copied)
    assert {path: content for path, content in after.items() if path.name != "run.json"} == {
        path: content for path, content in before.items() if path.name != "run.json"
    }


@pytest.mark.parametrize(
    ("words", "setting"),
    [
        (["base-train", "--force", "--batch", "7"], "--batch 7"),
        (["mask-train", "--strategy", "LM2", "--force", "--batch", "7"], "--batch 7"),
        (["mask-train", "--strategy", "matched", "--force", "--config", "CONFIG"], "[matching] batch = 7"),
        (["segment-train", "--force", "--config", "CONFIG"], "[segment] batch = 7"),
        (["head-train", "--force", "--config", "CONFIG"], "[head] batch = 7"),
    ],
)
def test_a_batch_that_leaves_a_process_without_photos_is_refused_at_once(
    refused, copied, tmp_path, monkeypatch, words, setting
):
    from accelerate import Accelerator

    (tmp_path / "seven.toml").write_text("[matching]\nbatch = 7\n[segment]\nbatch = 7\n[head]\nbatch = 7\n")
    monkeypatch.setattr(Accelerator, "num_processes", property(lambda self: 4))
    before = snapshot(copied)
    words = [tmp_path / "seven.toml" if word == "CONFIG" else word for word in words]
    line = refused(2, *words, "--run", copied)
    assert f"{setting} is too small for 4 processes: give at least 8" in line
    assert snapshot(copied) == before


def test_a_bug_is_one_line_too(refused, copied, monkeypatch):
    import pdsn.evaluation.evaluation

    def broken(*args, **kwargs):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(pdsn.evaluation.evaluation, "evaluate", broken)
    assert "unexpected ZeroDivisionError: division by zero (add --debug" in refused(
        1, "eval", "--run", copied
    )


def test_help_lists_every_command_in_its_group_with_examples():
    said = give("--help")
    assert said.code == 0
    for word in ("Everything", "Data", "Training", "Recognition"):
        assert word in said.out
    for name in ("run", "prepare", "base-train", "mask-train", "build-dictionary", "eval"):
        assert name in said.out
        page = give(name, "--help").out
        assert "Examples" in page and f"pdsn {name}" in page


def test_help_imports_nothing_heavy():
    import subprocess
    import sys

    code = "import sys; import stages.cli; print([m for m in ('torch', 'numpy', 'matplotlib', 'accelerate') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _floor(copied, value):
    path = copied.parent / "floor.toml"
    path.write_text(f"[regions]\nfloor = {json.dumps(value)}\n")
    return path
