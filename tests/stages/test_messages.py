"""An error names where a value was set, and the commands that errors advise can be pasted."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stages.options import option_of
from tests.stages.conftest import give
from tests.stages.test_options import own_options, settings_of

ROOT = Path(__file__).parents[2]

__all__ = ["settings_of"]  # the fixture


def test_every_option_that_sets_a_setting_is_found_by_it(settings_of):
    found = 0
    for name, option in own_options():
        for setting in settings_of(name, option) if name not in ("pool", "compare", "show", "report") else []:
            assert option_of(setting, name) == option, (name, option)
            found += 1
    assert found > 50


@pytest.mark.parametrize(
    ("words", "text", "said"),
    [
        (["base-train", "--epochs", "0"], "", "base-train: --epochs 0 is out of range: from 1 to 10000"),
        (["run"], "[masks]\nepochs = 0\n", "run: --config FILE: [masks] epochs = 0 is out of range"),
        (
            ["base-train", "--epochs", "3"],
            "[masks]\nepochs = 0\n",
            "base-train: --config FILE: [masks] epochs = 0 is out of range",
        ),
        (["mask-train", "--lambda", "-1"], "", "mask-train: --lambda -1.0 is out of range"),
        (["eval"], "seed = -1\n", "eval: --config FILE: seed = -1 is out of range"),
        (["run"], '[dictionary]\nstrategies = ["LM7"]\n', "--config FILE: [dictionary] strategies = LM7 is unknown"),
        (["run", "--strategy", "LM7"], "", "run: --strategy LM7 is unknown"),
        (["run"], '[dictionary]\nregions = "LM9"\n', "--config FILE: [dictionary] regions = LM9 is unknown"),
        (["head-train"], '[head]\nstrategy = "LM8"\n', "--config FILE: [head] strategy = LM8 is unknown"),
        (["head-train", "--strategy", "LM8"], "", "head-train: --strategy LM8 is unknown"),
        (["run", "--arch", "foo", "--weights", "x"], "", "run: --arch foo is unknown"),
        (["identify", "x.png", "--min-face", "3"], "", "identify: --min-face 3 must be a whole number"),
    ],
)  # fmt: skip
def test_an_error_names_where_the_value_was_set(refused, copied, tmp_path, words, text, said):
    path = tmp_path / "my settings.toml"
    path.write_text(text)
    run = tmp_path / "new" if "--arch" in words else copied
    line = refused(2, *words, "--run", run, "--config", path)
    assert said.replace("FILE", str(path)) in line
    if text:
        assert " --" not in line.replace(f"--config {path}", "")


@pytest.mark.parametrize(
    ("part", "said"), [("settings", "RUN/run.json: "), ("preset_settings", "the preset demo: ")]
)
def test_a_value_that_the_run_remembers_names_the_run_or_its_preset(refused, copied, part, said):
    about: dict[str, Any] = json.loads((copied / "run.json").read_text())
    about["settings"]["masks"].pop("epochs")
    about[part].setdefault("masks", {})["epochs"] = 0
    (copied / "run.json").write_text(json.dumps(about))
    line = refused(2, "base-train", "--batch", "16", "--run", copied)
    assert f"{said.replace('RUN', str(copied))}[masks] epochs = 0 is out of range" in line


def test_an_architecture_is_named_as_it_was_asked_for(refused, tmp_path):
    (tmp_path / "photos").mkdir()
    words = ("prepare", tmp_path / "photos", "--data", tmp_path / "set")
    assert "prepare: --for foo is unknown: choose from" in refused(2, *words, "--for", "foo")
    path = tmp_path / "own.toml"
    path.write_text('[pretrained]\narch = "foo"\n')
    line = refused(2, *words, "--config", path)
    assert f"prepare: --config {path}: [pretrained] arch = foo is unknown" in line


def test_photos_for_a_run_that_was_made_with_others_are_named_as_such(refused, copied, tmp_path):
    line = refused(2, "run", "--photos", tmp_path, "--run", copied)
    assert f"run: --photos: {copied} was made with synthetic; choose another --run" in line
    assert "--data" not in line


def advice(line: str) -> list[str]:
    """The words of the command that a line advises, as a shell would split it."""
    (command,) = re.findall(r"`(pdsn [^`]*)`", line)
    words = shlex.split(command)
    assert words[0] == "pdsn"
    return words[1:]


def test_the_advice_can_be_followed_where_the_path_has_a_space(refused, finished, tmp_path):
    run = Path(shutil.copytree(finished, tmp_path / "it's my run"))
    cpu = ("--device", "cpu", "--precision", "fp32")
    for part in ("base", "masks", "dictionary", "segmenter"):
        shutil.rmtree(run / part)
    words: list[object] = ["eval", "--strategy", "LM2", "--occlusion", "eyes", "--run", run, "--no-make"]
    told = []
    asked = [words]
    while asked:
        said = give(*asked[-1], *cpu)
        if said.code == 0:
            asked.pop()
            continue
        found = advice(said.err)
        assert found[-2:] == ["--run", str(run)]
        assert found not in told, said.err
        told.append(found)
        asked.append(list(found))
    assert [found[0] for found in told] == ["base-train", "mask-train", "build-dictionary", "segment-train"]
    line = refused(2, "mask-train", "--strategy", "random", "--run", run)
    assert give(*advice(line), *cpu).code == 0
    line = refused(1, "identify", "x.png", "--run", tmp_path / "no run")
    assert advice(line) == ["run", "--run", str(tmp_path / "no run")]
    # The record of what was given can be pasted too.
    history = json.loads((run / "run.json").read_text())["history"]
    assert all(shlex.split(entry["command"]) for entry in history)


@pytest.mark.parametrize(
    "words", ["list settings", "--help", "explain --help", "show RUN", "show RUN --json"]
)
def test_a_reader_who_has_enough_is_no_error(tmp_path, finished, words):
    given = words.replace("RUN", str(finished))
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m pdsn {given} 2> {tmp_path / 'err'} | true"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )  # fmt: skip
    assert (tmp_path / "err").read_text() == ""
    assert done.returncode == 0


def test_an_error_is_an_error_whoever_reads(tmp_path):
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m pdsn show {tmp_path / 'none'} | true"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "holds no run" in done.stderr
