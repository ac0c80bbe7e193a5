"""The commands that train a matcher: on the tiny run, and on drawn people far above chance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pdsn.matchers.table import CLOSED, COMMANDS
from tests.stages.conftest import give, stop_at, table_of

CPU = ("--device", "cpu", "--precision", "fp32")
SHORT = ("--steps", 4, "--batch", 8, "--validations", 2, "--draws", 1)
FEW_ROWS = ("--occlusion", "eyes", "--occlusion", "clean", "--strategy", "LM2")


def train(run: Path, name: str, *words: object):
    """Train a matcher by its command, in a few steps."""
    command, *choice = COMMANDS[name].split()
    return give(command, *choice, "--run", run, *SHORT, *CPU, *words)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_is_trained_once_and_has_a_column(copied, name):
    said = train(copied, name)
    assert said.code == 0, said.err
    model = copied / "matchers" / name / "model.safetensors"
    assert f"{name}: names " in said.out and model.is_file() and model.with_name("training.png").is_file()
    before = model.stat().st_mtime_ns
    assert "trained already" in train(copied, name).out and model.stat().st_mtime_ns == before
    said = give("eval", "--run", copied, "--matcher", name, *FEW_ROWS, *CPU)
    assert said.code == 0, said.err
    table = json.loads((table_of(said) / "table.json").read_text())
    assert [r["strategy"] for r in table["records"] if r["occlusion"] == "eyes"] == ["none", "LM2", name]
    assert table["inputs"][f"matcher {name}"]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_learns_in_half_precision_too(copied, name):
    said = train(copied, name, "--precision", "bf16")
    assert said.code == 0, said.err


def test_a_training_that_was_stopped_ends_with_the_same_weights(copied, tmp_path, monkeypatch):
    from safetensors.torch import load_file

    with monkeypatch.context() as patched:
        stop_at(patched, "pdsn.matchers.learning.judge", call=2)
        assert train(copied, "xcos").code == 130
    assert train(copied, "xcos").code == 0
    found = load_file(copied / "matchers/xcos/model.safetensors")
    assert train(copied, "xcos", "--force").code == 0
    whole = load_file(copied / "matchers/xcos/model.safetensors")
    assert found.keys() == whole.keys() and all((found[key] == whole[key]).all() for key in found)


def test_a_missing_one_is_trained_first_and_refused_with_no_make(copied, refused):
    line = refused(1, "eval", "--run", copied, "--matcher", "parts", *FEW_ROWS, "--no-make", *CPU)
    assert f"make it with `pdsn parts-train --run {copied}`" in line
    said = give("eval", "--run", copied, "--matcher", "parts", *FEW_ROWS, *CPU)
    assert said.code == 0, said.err
    assert "missing, and made first: parts-train" in said.out


def test_whoever_chooses_for_a_cross_encoder_is_made_too_and_counts_among_the_inputs(copied, refused):
    assert train(copied, "cross-encoder", "--first", "unmask").code == 0
    words = ("eval", "--run", copied, "--matcher", "cross-encoder", *FEW_ROWS, *CPU)
    assert f"make it with `pdsn unmask-train --run {copied}`" in refused(1, *words, "--no-make")
    assert train(copied, "unmask").code == 0
    said = give(*words)
    assert said.code == 0, said.err
    table = json.loads((table_of(said) / "table.json").read_text())
    assert {"matcher cross-encoder", "matcher unmask"} <= set(table["inputs"])
    assert table["config"]["matcher_settings"] == {
        "cross-encoder": {"first": "unmask", "top": 20, "full": False}
    }
    for first in ("cross-encoder", "zeroing-softmax", "LM2+cross-encoder"):
        line = refused(2, "cross-encoder-train", "--run", copied, "--first", first, *CPU)
        assert "cannot choose whom to compare again" in line


def test_one_that_learned_behind_a_tuned_head_is_refused_without_it(copied, refused):
    head = copied / "matchers/unmask/config.json"
    assert train(copied, "unmask").code == 0 and train(copied, "zeroing").code == 0
    about = json.loads(head.read_text())
    assert about["inputs"]["head"] == "none"
    head.write_text(json.dumps({**about, "inputs": {**about["inputs"], "head": "0" * 64}}))
    line = refused(1, "eval", "--run", copied, "--matcher", "unmask", *FEW_ROWS, *CPU)
    assert "belongs to another head" in line
    # What learns from the maps alone knows nothing of a head.
    assert "head" not in json.loads((copied / "matchers/zeroing/config.json").read_text())["inputs"]


def test_one_of_other_regions_is_refused(copied, refused):
    assert train(copied, "parts").code == 0
    few = copied / "few.toml"
    few.write_text("[regions]\nfloor = 0.9\n")
    words = ("eval", "--run", copied, "--matcher", "parts", "--strategy", "none", "--occlusion", "eyes")
    assert "belongs to another regions" in refused(1, *words, "--config", few, *CPU)


def test_one_of_another_base_is_refused_with_the_command_that_makes_it_again(copied, refused):
    assert train(copied, "unmask").code == 0
    described = copied / "matchers/unmask/config.json"
    about = json.loads(described.read_text())
    described.write_text(json.dumps({**about, "inputs": {**about["inputs"], "base": "0" * 64}}))
    line = refused(1, "eval", "--run", copied, "--matcher", "unmask", *FEW_ROWS, *CPU)
    assert f"belongs to another base: rebuild it with `pdsn unmask-train --force --run {copied}`" in line
    said = train(copied, "unmask", "--force")
    assert said.code == 0, said.err
    assert give("eval", "--run", copied, "--matcher", "unmask", *FEW_ROWS, *CPU).code == 0


def test_other_settings_are_refused(copied, refused):
    assert train(copied, "zeroing").code == 0
    line = refused(2, "zeroing-train", "--run", copied, *SHORT, "--embedding", 64, *CPU)
    assert "zeroing was trained with other settings" in line and "--force" in line


def test_an_option_of_the_other_kind_is_refused(copied, refused):
    line = refused(2, "parts-train", "--run", copied, "--side", 48, *CPU)
    assert "--side means nothing to --by maps: leave it out" in line
    line = refused(2, "zeroing-train", "--run", copied, "--head", "softmax", "--margin", 1, *CPU)
    assert "--margin means nothing to --head softmax: leave it out" in line
    assert "--by colour is unknown" in refused(2, "parts-train", "--run", copied, "--by", "colour")


def test_the_weights_of_parts_are_printed_drawn_and_written(copied):
    said = train(copied, "parts", "--layout", "LM2")
    weights = json.loads((copied / "matchers/parts/weights.json").read_text())
    assert list(weights) == ["forehead", "eyes", "nose", "mouth", "chin"]
    assert sum(weights.values()) == pytest.approx(1, abs=1e-4) and len(set(weights.values())) > 1
    assert all(f"{100 * weight:.1f} %" in said.out for weight in weights.values())
    assert (copied / "matchers/parts/weights.png").is_file()


def test_a_closed_set_is_said_to_be_one(copied, tmp_path, refused):
    [name] = CLOSED
    assert train(copied, name).code == 0
    photo = next((copied / "data").glob("*.json"))  # any file: refused before it is read
    for words in (
        ("verify-eval", "--run", copied, "--matcher", name),
        ("identify", photo, "--run", copied, "--strategy", name),
        ("verify", photo, photo, "--run", copied, "--strategy", name),
        ("zeroing-train", "--head", "softmax", "--run", tmp_path / "apart", "--split-by", "person"),
        ("eval", "--matcher", name, "--run", tmp_path / "apart", "--split-by", "person"),
    ):
        assert "answers a closed set alone" in refused(2, *words, *CPU)


def test_two_matchers_at_once(copied, refused):
    assert train(copied, "unmask").code == 0
    said = give("eval", "--run", copied, "--fuse", "matched@LM2+unmask", *FEW_ROWS, *CPU)
    assert said.code == 0, said.err
    table = json.loads((table_of(said) / "table.json").read_text())
    names = [r["strategy"] for r in table["records"] if r["occlusion"] == "eyes"]
    assert names == ["none", "LM2", "matched+unmask"]
    assert {"matcher unmask", "dictionary matched"} <= set(table["inputs"])
    for wrong, why in (
        ("unmask", "is one matcher: give two"),
        ("unmask+unmask", "two different"),
        ("matched+xkos", "--fuse xkos is unknown"),
        ("matched+cross-encoder", "only compares again whom another one finds"),
    ):
        assert why in refused(2, "eval", "--run", copied, "--fuse", wrong, *FEW_ROWS, *CPU)


def test_pairs_are_scored_by_them_too(copied):
    assert train(copied, "xcos").code == 0
    said = give(
        "verify-eval", "--run", copied, "--matcher", "xcos", "--fuse", "LM2+xcos", "--occlusion", "eyes",
        "--strategy", "LM2", *CPU,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "xcos" in said.out and "LM2+xcos" in said.out
