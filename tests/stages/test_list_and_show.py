"""`pdsn list` names what there is, `pdsn show` says what a run holds."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys

import pytest

from pdsn.bases.table import BASES
from pdsn.config.layers import presets
from pdsn.masks.makers import MAKERS
from pdsn.matchers.table import MATCHERS
from pdsn.occlusion.layouts import LAYOUTS
from stages.listing import KINDS
from tests.stages.conftest import give

NAMES = {
    "presets": presets(),
    "layouts": LAYOUTS,
    "makers": MAKERS,
    "bases": [*BASES, "imported"],
    "matchers": MATCHERS,
    "architectures": ["mobilefacenet", "timm:NAME", "FILE.py"],
    "occlusions": ["clean", "face-mask", "eyes-textured"],
    "settings": ["seed", "base.epochs", "masks.shared", "eval.draws", "siamese.margin"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_is_listed_with_a_line_on_it(kind):
    said = give("list", kind, columns=80)
    assert said.code == 0
    assert all(len(line) <= 80 for line in said.out.splitlines())
    listed = [line.split("│")[1].strip() for line in said.out.splitlines() if line.startswith("│")]
    assert set(NAMES[kind]) <= set(listed)


def test_the_settings_of_a_preset_stand_beside_the_defaults(refused):
    listed = " ".join(give("list", "settings", "--preset", "demo").out.replace("│", " ").split())
    assert "passes over the training photos (1 to 10000); demo: 10, default" in listed
    assert "--preset nobody is unknown" in refused(2, "list", "settings", "--preset", "nobody")
    assert "goes with `pdsn list settings` alone" in refused(2, "list", "bases", "--preset", "demo")


@pytest.mark.parametrize(
    ("preset", "first", "then"),
    [
        ("pretrained", ["split", "prepare.size", "pretrained.arch", "segment.encoder", "base.scale"],
         ["base.epochs", "synthetic.people", "head.steps", "detector.scenes", "siamese.margin"]),
        ("demo", ["seed", "synthetic.people", "base.epochs", "prepare.size"], ["pretrained.arch", "explain.probes"]),
        ("baselines", ["prepare.size", "senet.side", "base.scale"], ["synthetic.people", "siamese.margin"]),
    ],
)  # fmt: skip
def test_what_a_run_with_the_preset_takes_comes_first(preset, first, then):
    taken, others = give("list", "settings", "--preset", preset).out.split("Of other commands")
    assert taken.startswith(f"Taken by pdsn run --preset {preset}")
    for part, names in ((taken, first), (others, then)):
        listed = {line.split("│")[1].strip() for line in part.splitlines() if line.startswith("│")}
        assert set(names) <= listed, set(names) - listed


def test_what_the_architecture_sets_has_no_default_there():
    listed = " ".join(give("list", "settings", "--preset", "pretrained").out.replace("│", " ").split())
    assert listed.count("; set by --arch") == 3 and "default (128, 96)" not in listed


def test_an_unknown_kind_is_refused(refused):
    assert "KIND presents is unknown: choose from presets, layouts" in refused(2, "list", "presents")


def test_a_run_is_shown_with_its_figures_and_what_to_run_next(copied):
    said = give("show", copied, columns=80)
    assert said.code == 0
    assert "matched" in said.out and "Rank-1" in said.out and "the run's own" in said.out
    assert all(
        len(line) <= 80 for line in said.out.splitlines() if not line.startswith(("next", str(copied)))
    )
    assert f"next: pdsn identify PHOTO --run {copied}" in said.out


def test_what_is_next_works(copied):
    shutil.rmtree(copied / "eval")
    shutil.rmtree(copied / "dictionary")
    for _ in range(2):
        told = json.loads(give("show", copied, "--json").out)["next"]
        words = shlex.split(told)
        assert words[0] == "pdsn"
        said = give(*words[1:], "--device", "cpu", "--precision", "fp32")
        assert said.code == 0, said.err
    assert json.loads(give("show", copied, "--json").out)["next"].startswith("pdsn identify PHOTO")


def test_json_says_the_same(copied):
    found = json.loads(give("show", copied, "--json").out)
    assert found["format"] == 1 and found["base"] and found["segmenter"]
    assert {"LM2", "matched"} <= set(found["dictionaries"]) and found["people"] == 6
    table = json.loads((copied / "eval/table.json").read_text())["records"]
    clean = next(r["rank1"] for r in table if (r["occlusion"], r["strategy"]) == ("clean", "none"))
    assert found["table"]["no FDM"][0] == clean


def test_a_folder_that_is_no_run_is_refused(refused, tmp_path):
    assert "holds no run" in refused(1, "show", tmp_path)


def test_a_data_set_that_is_taken_for_a_run_is_named_as_one(refused, finished):
    assert f"is a prepared data set, no run: give it as --data {finished / 'data'}" in refused(
        2, "show", finished / "data"
    )


def test_what_was_made_by_run_is_gone_on_with_by_run(copied):
    shutil.rmtree(copied / "eval")
    about = json.loads((copied / "run.json").read_text())
    for options, named in (
        ("--config tiny.toml", ""),
        ("--photos x --strategy LM2 --strategy=matched", " --strategy LM2 --strategy matched"),
    ):
        about["history"][0]["command"] = f"pdsn run {options}"
        (copied / "run.json").write_text(json.dumps(about))
        assert json.loads(give("show", copied, "--json").out)["next"] == f"pdsn run{named} --run {copied}"


def test_python_m_pdsn_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "pdsn", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("pdsn ")


def test_the_shell_completes_a_command():
    variables = {"_PDSN_COMPLETE": "complete_bash", "COMP_WORDS": "pdsn seg", "COMP_CWORD": "1", "PATH": ""}
    program = "from stages.cli import app; app(prog_name='pdsn')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=variables)
    assert done.stdout.split() == ["segment-train"]
