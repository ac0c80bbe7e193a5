"""What each command offers, and whether its help tells the truth."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer

from pdsn.config.layers import load_preset, presets
from pdsn.run.settings import build, sections
from stages import cli
from stages.cli import app
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
    "--no-make",
}
BEGINS = ALL - {"--no-make"}
GOING_ON = {"--run", "--config", "--device", "--precision", "--debug", "--no-make"}
OFFERED = {
    "run": BEGINS,
    "prepare": {"--data", "--preset", "--config", "--device", "--debug"},
    "base-train": BEGINS,
    "base-import": BEGINS,
    "arcface-train": BEGINS,
    "siamese-train": BEGINS,
    "mask-train": ALL,
    "build-dictionary": ALL,
    "head-train": ALL,
    "parts-train": ALL,
    "zeroing-train": ALL,
    "xcos-train": ALL,
    "unmask-train": ALL,
    "cross-encoder-train": ALL,
    "segment-train": BEGINS,
    "detector-train": {"--config", "--device", "--seed", "--debug"},
    "eval": ALL,
    "verify-eval": ALL,
    "pool": {"--debug"},
    "compare": {"--device", "--precision", "--debug"},
    "show": {"--debug"},
    "list": {"--preset", "--debug"},
    "enrol": GOING_ON,
    "people": set(),
    "identify": GOING_ON,
    "serve": GOING_ON,
    "verify": GOING_ON,
    "explain": GOING_ON,
    "figures": GOING_ON,
    "report": {"--debug"},
    "export": {"--run", "--config", "--debug", "--no-make"},
}
"""The shared options that mean something to each command."""


VALUES = {
    ("siamese-train", "--backbone"): ["senet50"],
    ("siamese-train", "--trainable-layers"): ["10", "--backbone", "senet50"],
    ("parts-train", "--by"): ["cnn"],
    ("parts-train", "--side"): ["32", "--by", "cnn"],
    ("parts-train", "--width"): ["16", "--by", "cnn"],
    ("parts-train", "--embedding"): ["64", "--by", "cnn"],
    ("explain", "--probes"): ["3", "--evaluate"],
    ("explain", "--curves"): ["3", "--evaluate"],
    ("explain", "--steps"): ["3", "--evaluate"],
    ("zeroing-train", "--head"): ["softmax"],
    ("zeroing-train", "--segments"): ["5", "--head", "softmax"],
}
"""What options are given that do not take a 3."""


class Captured(Exception):
    """The settings that a command's options ask for."""


def options_of(name: str) -> list[Any]:
    return [param for param in COMMANDS[name].params if param.param_type_name == "option"]


def own_options() -> list[tuple[str, str]]:
    return [
        (name, param.opts[0])
        for name in COMMANDS
        for param in options_of(name)
        if param.opts[0] not in ALL | {"--help"}
    ]


@pytest.fixture
def settings_of(monkeypatch):
    """The settings, "section.name", that one option of a command sets; the command goes no further."""

    def session(shared, options, **more):
        raise Captured(options)

    for one in cli.COMMANDS:
        inside = one.function.__globals__
        monkeypatch.setitem(
            inside,
            "main"
            if one.name in ("prepare", "detector-train", "run", "pool", "compare", "show", "report")
            else "Session",
            session,
        )

    def find(name: str, option: str) -> list[str]:
        (param,) = (param for param in options_of(name) if option in param.opts)
        words = [option]
        if not getattr(param, "is_flag", False):
            words += VALUES.get((name, option), ["64x48" if option == "--size" else "3"])
        if name == "explain" and "--evaluate" not in words:
            words.append("x.png")
        needed = [p for p in COMMANDS[name].params if p.required and option not in p.opts]
        for p in needed:
            words += ["x.png"] if p.param_type_name == "argument" else [p.opts[0], "x"]
        with pytest.raises(Captured) as caught:
            give(name, *words, "--debug")
        layer = caught.value.args[0]
        found = [
            f"{section}.{key}" for section, part in layer.items() if section in sections() for key in part
        ]
        # What a base's own command sets by itself.
        return [setting for setting in found if setting != "base.kind" or option == "--base"]

    return find


def test_every_command_offers_the_shared_options_that_mean_something_to_it():
    assert OFFERED.keys() == COMMANDS.keys()
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


def test_every_default_in_a_commands_help_is_true_of_every_preset(settings_of):
    told = 0
    for name, option in own_options():
        (param,) = (param for param in options_of(name) if option in param.opts)
        text = param.help or ""
        claim = re.search(r"Default:? (-?[\w.]*\w)", text)
        if claim is None or claim[1] in ("the", "what", "matched"):  # the preset's; what the run has
            continue
        found = settings_of(name, option)
        if not found:  # no setting: an option of this call alone, such as --fpr
            continue
        (setting,) = found
        section, _, key = setting.partition(".")
        told += 1
        for preset in presets():
            value = getattr(getattr(build(load_preset(preset)), section), key)
            same = claim[1] == _shown(value)
            assert same or preset in text, (name, option, text, preset, value)
    assert told >= 10


def _shown(value: object) -> str:
    """A default as the help says it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value in ("", None, ()) else str(value)


def test_what_depends_on_the_preset_says_so(settings_of):
    """A setting that presets disagree on either has no default in the help, or the exceptions are named."""
    dependent = [
        (name, option)
        for name, option in own_options()
        for setting in (
            settings_of(name, option)
            if name not in ("identify", "verify", "pool", "compare", "show", "report")
            else []
        )
        if len({repr(_value(preset, setting)) for preset in presets()}) > 1
    ]
    assert ("base-train", "--occlude") in dependent and ("eval", "--compare") in dependent
    for name, option in dependent:
        (param,) = (param for param in options_of(name) if option in param.opts)
        assert "preset" in param.help or "the run has" in param.help, (name, option, param.help)


def _value(preset: str, setting: str) -> object:
    section, _, key = setting.partition(".")
    return getattr(getattr(build(load_preset(preset)), section), key)


def test_the_help_names_the_presets_that_exist():
    for name, offered in OFFERED.items():
        if "--preset" in offered and name != "list":  # which lists them
            (param,) = (param for param in options_of(name) if "--preset" in param.opts)
            listed = re.search(
                r"(?:hold: )?((?:[\w-]+, )+[\w-]+)", param.help.removeprefix("Whose settings hold: ")
            )
            assert listed and listed[1].split(", ") == presets()
            for word in re.findall(r"lfw10[\w-]*|demo|johnston|pretrained", param.help):
                assert word in presets()


def test_no_command_names_a_network_that_a_preset_does_not_train():
    assert "ResNet34" not in give("base-train", "--help").out
    assert build(load_preset("lfw10")).base.arch == "resnet18"
