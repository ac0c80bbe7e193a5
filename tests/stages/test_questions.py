"""What `eval` is asked by options goes beside the run's own table, never in its place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pdsn.errors import PdsnError
from pdsn.run.tables import read_table
from tests.stages.conftest import give, stop_at, table_of

CPU = ("--device", "cpu", "--precision", "fp32")


def own_table(run: Path) -> dict[str, bytes]:
    """Every file of the run's own table."""
    folder = run / "eval"
    files = [path for path in folder.rglob("*") if path.is_file() and folder / "asked" not in path.parents]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_partial_question_leaves_the_whole_answer_alone(copied):
    before = own_table(copied)
    said = give("eval", "--run", copied, "--occlusion", "eyes", *CPU)
    assert said.code == 0, said.err
    folder = copied / "eval/asked/occlusion=eyes"
    assert table_of(said) == folder and f"in {copied / 'eval'}, is as it was" in said.out
    assert own_table(copied) == before
    names = {path.name for path in (folder / "figures").iterdir()}
    assert names == {"probes-eyes.png", "table.png", "regions.png", "examples"}
    # Asked again it replaces itself, and what does not belong to it goes.
    (folder / "figures/probes-nose.png").write_text("of an older table")
    (folder / "table.json").write_text("{}")
    assert table_of(give("eval", "--run", copied, "--occlusion", "eyes", *CPU)) == folder
    assert json.loads((folder / "table.json").read_text())["config"]["occlusions"] == ["eyes"]
    assert {path.name for path in (folder / "figures").iterdir()} == names
    assert own_table(copied) == before
    said = give("eval", "--run", copied, "--occlusion", "eyes", "--strategy", "LM2", "--draws", "2", *CPU)
    assert table_of(said).name == "occlusion=eyes_draws=2_strategy=LM2"
    assert own_table(copied) == before


def test_the_runs_own_question_however_it_is_said_makes_its_own_table(copied):
    table = json.loads((copied / "eval/table.json").read_text())
    (copied / "eval/figures/probes-glasses.png").write_text("of an older table")
    config = table["config"]
    words = [
        word
        for option, names in (("--strategy", config["strategies"]), ("--occlusion", config["occlusions"]))
        for name in reversed(names)
        for word in (option, name)
    ]
    said = give("eval", "--run", copied, *words, *CPU)
    assert said.code == 0, said.err
    # The settings in the file that `run` was given are the run's own: they need not be told again.
    assert table_of(said) == copied / "eval" and "is as it was" not in said.out
    again = json.loads((copied / "eval/table.json").read_text())
    assert again["config"] == config and config["bootstrap"] == 200
    assert not (copied / "eval/asked").exists()
    assert not (copied / "eval/figures/probes-glasses.png").exists()
    assert not (copied / "eval/.draft").exists()


def test_run_with_some_strategies_keeps_the_table_of_all(copied, tiny):
    before = own_table(copied)
    words = ("run", "--run", copied, "--config", tiny, "--strategy", "LM2", *CPU)
    said = give(*words)
    assert said.code == 0, said.err
    assert own_table(copied) == before and "left out of the table" not in said.out
    shutil.copy(copied / "dictionary/LM2.safetensors", copied / "dictionary/geometric.safetensors")
    (copied / "dictionary/geometric.safetensors").write_bytes(b"broken")
    said = give(*words)
    assert said.code == 0, said.err
    line = next(line for line in said.out.splitlines() if line.startswith("left out of the table: "))
    assert "geometric.safetensors" in line and "pdsn build-dictionary --strategy geometric" in line
    strategies = json.loads((copied / "eval/table.json").read_text())["config"]["strategies"]
    assert strategies == ["LM2", "matched", "random", "difference", "relative"]
    # The command that it names puts it back.
    assert give("build-dictionary", "--strategy", "geometric", "--run", copied, *CPU).code == 0
    assert give(*words).code == 0
    assert "geometric" in json.loads((copied / "eval/table.json").read_text())["config"]["strategies"]


def test_an_evaluation_that_breaks_off_loses_nothing(copied, monkeypatch):
    before = own_table(copied)
    stop_at(monkeypatch, "stages.table_pictures.draw_table")
    assert give("eval", "--run", copied, *CPU).code == 130
    assert own_table(copied) == before
    # A killed one leaves its draft, which the next one clears away.
    monkeypatch.undo()
    (copied / "eval/asked/occlusion=eyes/.draft/figures").mkdir(parents=True)
    (copied / "eval/asked/occlusion=eyes/.draft/figures/probes-nose.png").write_text("half")
    folder = table_of(give("eval", "--run", copied, "--occlusion", "eyes", *CPU))
    assert not (folder / ".draft").exists() and not (folder / "figures/probes-nose.png").exists()


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--occlusion-source", "oracle"], "occlusion-source=oracle"),
        (["--split", "val", "--no-mirror"], "split=val_mirror=no"),
        (["--seed", "5", "--share", "0.2"], "share=0.2_seed=5"),
        (["--strategy", "none"], "strategy=none"),
    ],
)
def test_any_option_makes_it_another_question(copied, words, name):
    before = own_table(copied)
    about = json.loads((copied / "run.json").read_text())
    about["settings"]["eval"]["occlusions"] = ["eyes"]  # less to ask
    (copied / "run.json").write_text(json.dumps(about))
    assert table_of(give("eval", "--run", copied, *words, *CPU)) == copied / "eval/asked" / name
    assert own_table(copied) == before


def test_a_name_that_is_missing_is_made_by_the_options_it_tells(copied):
    with pytest.raises(PdsnError, match=f"pdsn eval --align clean OPTIONS --run {copied}"):
        read_table(copied, name="occlusion=eyes_draws=2_strategy=LM2")
    words = ("--occlusion", "eyes", "--draws", "2", "--strategy", "LM2")
    assert give("eval", "--align", "clean", *words, "--run", copied, *CPU).code == 0
    table = read_table(copied, name="occlusion=eyes_draws=2_strategy=LM2")
    assert list(table.ranks) == [("eyes", "none"), ("eyes", "LM2")]
    assert len(read_table(copied).ranks) == 20 * 7


def test_the_model_card_reads_the_whole_answer(copied, tmp_path):
    pytest.importorskip("onnxruntime")
    assert give("eval", "--run", copied, "--occlusion", "background", "--draws", "2", *CPU).code == 0
    said = give("export", "--onnx", tmp_path / "out", "--no-segmenter", "--run", copied)
    assert said.code == 0, said.err
    card = (tmp_path / "out/MODEL_CARD.md").read_text()
    assert "| nose+mouth+chin |" in card and "background |" not in card and "draws of each photo" not in card
