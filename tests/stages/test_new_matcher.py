"""A matcher is one file and one line in the table: commands, settings and messages follow from these."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import pdsn.api
from pdsn.api import load_run
from pdsn.matchers.table import MATCHERS
from tests.people.photos import PlainDetector, save_photo
from tests.stages.conftest import give, table_of

CPU = ("--device", "cpu", "--precision", "fp32")

PAGE = Path(__file__).parents[2] / "pdsn" / "README.md"


def example() -> str:
    """The matcher that pdsn/README.md shows."""
    after = PAGE.read_text(encoding="utf-8").split("## Add a matcher")[1]
    return after.split("```python\n")[1].split("```")[0]


@pytest.fixture
def grey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file, and the line in the table."""
    (tmp_path / "grey_matcher.py").write_text(example())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "grey_matcher", raising=False)
    monkeypatch.setitem(MATCHERS, "grey", "grey_matcher")


def test_eval_has_a_column_for_it(grey, copied):
    words = ("--occlusion", "eyes", "--occlusion", "clean", "--strategy", "LM2", *CPU)
    without = table_of(give("eval", "--run", copied, *words))
    said = give("eval", "--run", copied, "--matcher", "grey", *words)
    assert said.code == 0, said.err
    assert "grey" in said.out and table_of(said).name == "occlusion=eyes,clean_matcher=grey_strategy=LM2"
    table = json.loads((table_of(said) / "table.json").read_text())
    assert table["config"]["matchers"] == ["grey"]
    rates = {(record["occlusion"], record["strategy"]): record["rank1"] for record in table["records"]}
    assert [name for occlusion, name in rates if occlusion == "eyes"] == ["none", "LM2", "grey"]
    assert "| occlusion | no FDM | LM2 | grey |" in (table_of(said) / "table.md").read_text()
    assert rates["clean", "grey"] > 0.5, "drawn people differ even so"
    # The other columns are what they are without it.
    for record in json.loads((without / "table.json").read_text())["records"]:
        assert rates[record["occlusion"], record["strategy"]] == record["rank1"]


def test_a_file_asks_for_it_too_and_sets_it(grey, copied, tmp_path, refused):
    few = tmp_path / "few.toml"
    few.write_text('[eval]\nocclusions = ["eyes"]\nbootstrap = 100\nmatchers = ["grey"]\n[grey]\ncells = 2\n')
    said = give("eval", "--run", copied, "--config", few, "--strategy", "none", *CPU)
    assert said.code == 0, said.err
    config = json.loads((table_of(said) / "table.json").read_text())["config"]
    assert config["matchers"] == ["grey"] and config["matcher_settings"] == {"grey": {"cells": 2}}
    few.write_text("[grey]\nsells = 2\n")
    line = refused(2, "eval", "--run", copied, "--config", few)
    assert "unknown setting sells in [grey] (is cells meant?): there are cells" in line


def test_new_photos_are_named_by_it(grey, copied, tmp_path, monkeypatch):
    monkeypatch.setattr(pdsn.api, "Detector", PlainDetector)
    run = load_run(copied, strategy="grey", occlusion_source="none", device="cpu", precision="fp32")
    dataset = run.dataset
    row = int(dataset.rows("train")[0])
    photo = save_photo(tmp_path / "a.png", dataset.faces[row])
    words = ("--run", copied, "--strategy", "grey", "--fpr", "0.2", "--json", "--no-draw", *CPU)
    said = give("identify", photo, *words)
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    nearest = answer["photos"][0]["faces"][0]["nearest"][0]
    assert answer["strategy"] == "grey" and nearest["person"] == dataset.people[dataset.labels[row]]
    assert nearest["cosine"] > 0.99
    said = give("verify", photo, photo, *words)
    assert said.code == 0, said.err
    assert json.loads(said.out)["same"]


def test_what_cannot_be(copied, tmp_path, refused):
    line = refused(2, "eval", "--run", copied, "--matcher", "grey")
    assert "--matcher grey is unknown: choose from parts, " in line
    line = refused(2, "eval", "--run", copied, "--matcher", "cosine")
    assert "--matcher cosine is in every table already: leave it out" in line
    few = tmp_path / "few.toml"
    few.write_text('[eval]\nmatchers = ["gray"]\n')
    assert "few.toml: [eval] matchers = gray is unknown" in refused(
        2, "eval", "--run", copied, "--config", few
    )
    few.write_text("[fdm]\nshare = 2\n")
    assert "[fdm] has no settings: leave it out" in refused(2, "eval", "--run", copied, "--config", few)


def test_what_is_no_plain_network_is_not_exported(grey, copied, tmp_path, refused):
    pytest.importorskip("onnxruntime")
    words = ("export", "--run", copied, "--onnx", tmp_path / "out", "--strategy")
    assert "--strategy grey: only the cosine and PDSN can be exported" in refused(2, *words, "grey")
    said = give(*words, "cosine", "--no-segmenter")
    assert said.code == 0, said.err


def test_the_names_of_the_table_stand_for_the_strategies(copied, monkeypatch):
    for name, strategy in (("cosine", "none"), ("fdm", "matched")):
        run = load_run(copied, strategy=name, device="cpu", precision="fp32")
        assert run.strategy == strategy
