"""Options that follow from the declarations of settings, and those that several commands share."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import Field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from pdsn.config.layers import Layer, load_preset, presets
from pdsn.config.setting import Section, declared, possible
from pdsn.errors import UsageError
from pdsn.run.settings import Settings, sections

Offered = Mapping[str, tuple[str, ...] | None]
"""The settings that a command offers, by section; None for all of them."""

OWN_OPTIONS = {
    "arcface-train": ("arcface",),
    "siamese-train": ("siamese", "senet"),
    "parts-train": ("parts", "parts-cnn"),
    "zeroing-train": ("zeroing", "zeroing-softmax"),
    "xcos-train": ("xcos",),
    "unmask-train": ("unmask",),
    "cross-encoder-train": ("cross-encoder",),
}
"""Commands, and the bases or matchers whose settings are options of theirs without a prefix."""

Force = Annotated[bool, typer.Option("--force", help="Make it anew, whatever is there.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON alone on standard output.")]
AnyStrategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy",
        metavar="NAME",
        help="grid3x3, LM1, LM2, LM2-split, matched, or a control: random, geometric, difference, relative; MAKER@LAYOUT for another layout, such as matched@grid3x3; several times for several. Default: LM2 for build-dictionary, all that have a dictionary for eval, the preset's for run.",
    ),
]
TableAlign = Annotated[
    str, typer.Option("--align", help="Which of a run's tables: clean, or occluded (see eval).")
]
TableName = Annotated[
    str,
    typer.Option(
        "--table",
        metavar="NAME",
        help="Tables that eval was asked for by options, by the name of their folder in eval/asked. Default: the runs' own.",
    ),
]
OneStrategy = Annotated[
    str | None,
    typer.Option(
        "--strategy",
        metavar="NAME",
        help="Whose dictionary makes the FDM; none for no FDM; or another matcher. Default: the one that the run's preset prefers, else matched, LM2, or the only one there is.",
    ),
]


def setting_parameters(offered: Offered, default: str = "") -> Iterator[inspect.Parameter]:
    """A command's options for settings, named SECTION__SETTING.

    Args:
        offered: which.
        default: what their help says of the default; "" for the value, or "the preset's" where presets differ.
    """
    known = sections()
    for name, chosen in offered.items():
        yield from section_parameters(name, known[name], chosen, default=default)


def section_parameters(
    name: str,
    kind: type[Section],
    chosen: tuple[str, ...] | None = None,
    *,
    prefix: str = "",
    default: str = "",
) -> Iterator[inspect.Parameter]:
    """The options for the settings of one section.

    Args:
        name: of the section.
        kind: its declaration.
        chosen: some of them, None for all.
        prefix: before each option's name, such as "siamese-".
        default: see `setting_parameters`.
    """
    hints = typing.get_type_hints(kind)
    for field, one in declared(kind).items():
        if chosen is None or field in chosen:
            declaration = _flags(one, prefix)
            text = f"{_sentence(one)} Default: {default or _default(name, field, one)}."
            option = typer.Option(*declaration, help=text, metavar=one.metadata["metavar"] or None)
            annotation = Annotated[_type(hints[field]) | None, option]  # type: ignore[valid-type]
            yield inspect.Parameter(
                f"{name.replace('-', '_')}__{field}",
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=annotation,
            )


def collect(given: dict[str, Any]) -> Layer:
    """Take the options of `section_parameters` out of what a command was given: a layer of those that were typed."""
    layer: Layer = {}
    for name in [name for name in given if "__" in name]:
        value = given.pop(name)
        section, _, field = name.partition("__")
        if value is None:
            continue
        section = section if section in sections() else section.replace("_", "-")
        hint = typing.get_type_hints(sections()[section])[field] if section in sections() else type(value)
        if hint == tuple[int, int]:
            value = _pair(option_of(f"{section}.{field}"), value)
        layer.setdefault(section, {})[field] = list(value) if isinstance(value, tuple) else value
    return layer


def option_of(setting: str, command: str = "") -> str:
    """The option of a command that sets a setting, "base.epochs"."""
    if (command, setting) == ("prepare", "pretrained.arch"):
        return "--for"
    section, _, name = setting.rpartition(".")
    kind = sections().get(section) if section else Settings
    if kind is None:
        prefix = "" if section in OWN_OPTIONS.get(command, ()) else f"{section}-"
        return f"--{prefix}{name.replace('_', '-')}"
    one = declared(kind).get(name)
    return (one.metadata["option"] if one else "") or f"--{name.replace('_', '-')}"


def whole_paths(options: Layer) -> Layer:
    """The options with the files of a pretrained recogniser by their full path, so that the run can be used from elsewhere."""
    given = options.get("pretrained", {})
    files = {
        name: str(Path(value).resolve())
        for name, value in given.items()
        if name in ("arch", "weights") and Path(value).is_file()
    }
    return {**options, "pretrained": {**given, **files}} if files else options


def _flags(one: Field[Any], prefix: str) -> list[str]:
    name = one.metadata["option"] or f"--{prefix}{one.name.replace('_', '-')}"
    return [f"{name}/--no-{name.removeprefix('--')}"] if one.type in ("bool", bool) else [name]


def _type(hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
    if hint == tuple[str, ...]:
        return list[str]
    return str if typing.get_origin(hint) is tuple else hint


def _sentence(one: Field[Any]) -> str:
    text, values = one.metadata["help"], possible(one)
    # What the help names already is not said twice.
    named = all(str(choice) in text for choice in one.metadata["choices"])
    return f"{text[0].upper()}{text[1:]}{f' ({values})' if values and not (one.metadata['choices'] and named) else ''}."


def _default(section: str, field: str, one: Field[Any]) -> str:
    values = {
        repr(layer.get(section, {}).get(field, one.default)).replace("[", "(").replace("]", ")")
        for layer in _preset_layers()
    }
    if len(values) > 1:
        return "the preset's"
    if isinstance(one.default, bool):
        return "yes" if one.default else "no"
    if isinstance(one.default, tuple):
        joined = ("x" if all(isinstance(part, int) for part in one.default) else ", ").join(
            map(str, one.default)
        )
        return joined or "none"
    return "none" if one.default in ("", None) else str(one.default)


@cache
def _preset_layers() -> list[Layer]:
    return [load_preset(name) for name in presets()]


def _pair(option: str, text: str) -> list[int]:
    height, _, width = text.lower().partition("x")
    if not (text.isascii() and height.isdigit() and width.isdigit()):
        raise UsageError(f"{option} {text} is not HEIGHTxWIDTH, such as 128x96")
    return [int(height), int(width)]
