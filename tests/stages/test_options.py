"""What each command offers, and whether its help tells the truth."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from stages.cli import app
from stages.command import TAKEN
from tests.stages.conftest import give

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
ALL = {
    "--run",
    "--data",
    "--preset",
    "--config",
    "--device",
    "--precision",
    "--seed",
    "--split-by",
    "--debug",
}
GOING_ON = {"--run", "--config", "--device", "--precision", "--debug"}
OFFERED = {
    "run": ALL,
    "prepare": {"--data", "--preset", "--config", "--device", "--debug"},
    "base-train": ALL,
    "base-import": ALL,
    "mask-train": GOING_ON,
    "build-dictionary": GOING_ON,
    "head-train": GOING_ON,
    "segment-train": ALL,
    "eval": GOING_ON | {"--seed"},
    "pool": {"--debug"},
    "identify": GOING_ON,
    "verify": GOING_ON,
    "export": {"--run", "--config", "--debug"},
}
"""The shared options that mean something to each command."""


def options_of(name: str) -> list[Any]:
    return [param for param in COMMANDS[name].params if param.param_type_name == "option"]


def test_every_command_offers_the_shared_options_that_mean_something_to_it():
    assert OFFERED.keys() == COMMANDS.keys() == TAKEN.keys()
    for name, offered in OFFERED.items():
        assert {param.opts[0] for param in options_of(name)} & ALL == offered, name


@pytest.mark.parametrize(
    ("name", "option"),
    [(name, option) for name, offered in OFFERED.items() for option in sorted(ALL - offered)],
)
def test_an_option_that_a_command_cannot_use_is_refused_in_one_line(refused, name, option):
    words = [] if option == "--debug" else ["1"]
    assert f"No such option: {option}" in refused(2, name, option, *words)


def test_another_split_than_the_runs_is_refused_without_harmful_advice(refused, copied, tmp_path):
    split = tmp_path / "split.toml"
    split.write_text('split = "person"\n')
    for words in (
        ["base-train", "--split-by", "person"],
        ["base-train", "--split-by", "person", "--force"],
        ["segment-train", "--split-by", "person"],
        ["run", "--config", split],
        ["eval", "--config", split],
        ["identify", "x.png", "--config", split],
        ["export", "--onnx", tmp_path / "out", "--config", split],
    ):
        line = refused(2, *words, "--run", copied)
        asked = "--split-by person" if "--split-by" in words else f"--config {split}: split = person"
        assert line.endswith(f"{asked}: {copied} was made with photo; choose another --run for person")
    # The advice works, as far as the new run can be asked to begin.
    said = give("base-train", "--split-by", "photo", "--run", copied)
    assert said.code == 0, said.err
