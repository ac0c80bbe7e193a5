"""Stage `list`: the names that options and configuration files can take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pdsn.errors import UsageError, one_of
from stages.command import DATA, command
from stages.session import Shared
from stages.tables import print_table

if TYPE_CHECKING:
    from pdsn.occlusion.occluder import Occluder

IMPORTED, DRAWN = "pretrained", "demo"
"""The presets of an imported base, and of the drawn people."""
ALWAYS = ("", "regions", "masks", "matching", "dictionary", "segment", "eval")
"""Sections that `pdsn run` takes with any preset, "" for what stands outside of them."""
TAKEN = {IMPORTED: ("base.scale", "base.margin")}
"""What it takes of other sections."""
SET_BY_ARCH = ("size", "align", "template")
"""Of [prepare], with an imported base: see `pdsn.bases.imported.prepare_settings`."""
Rows = Iterator[tuple[str, str]]
LATER = "; in no table unless asked for"
FURTHER = {
    "face": "the face's oval in grey",
    "background": "everything but the face's oval in grey",
    "posed-hand": "a hand in any pose, drawn anew each time",
    "object": "something held before the face, drawn anew each time",
    "hair": "hair over the face, drawn anew each time",
    "eyeglasses": "clear glasses: nothing is covered",
    "beard": "a beard: nothing is covered",
    "make-up": "make-up: nothing is covered",
    "hard-shadow": "a shadow with an edge: nothing is covered",
    "light": "little, much or coloured light: nothing is covered",
    "poor-photo": "a blurred, coarse, noisy, grey or compressed photo: nothing is covered",
    "tight-crop": "a photo that ends at the face: nothing is covered",
}


def _presets() -> Rows:
    from pdsn.config.layers import preset_help, presets

    for name in presets():
        yield name, preset_help(name)


def _layouts() -> Rows:
    from pdsn.occlusion.layouts import LAYOUTS, region_names

    for name in LAYOUTS:
        yield name, ", ".join(region_names(name))


def _makers() -> Rows:
    from pdsn.masks.makers import MAKERS

    for name, maker in MAKERS.items():
        yield name, maker.help


def _occlusions() -> Rows:
    from pdsn.occlusion.layouts import example_statistics
    from pdsn.occlusion.occluders import further_occluders, make_occluders
    from pdsn.occlusion.settings import RegionsConfig

    for name, occluder in make_occluders(example_statistics(), RegionsConfig.floor).items():
        yield name, _what_covers(name, occluder)
    for name in further_occluders():
        yield name, FURTHER[name] + LATER
    yield "block:LAYOUT/REGION", f"a region of a layout in a random grey{LATER}"


def _what_covers(name: str, occluder: Occluder) -> str:
    from pdsn.occlusion.occluders import Block, Patterned
    from pdsn.occlusion.worn import Worn

    match occluder:
        case Block():
            return "one of LM2's bands in white" if "+" not in name else "three of LM2's bands in white"
        case Patterned():
            return "one of LM2's bands in patterns that nothing was trained on"
        case Worn(split="train"):
            return (
                f"a {occluder.kind} in the training's styles"
                if occluder.kind != "sunglasses"
                else "sunglasses in the training's styles"
            )
        case Worn():
            return "worn, or held before the face, in styles that nothing was trained on"
    return (type(occluder).__doc__ or "").splitlines()[0]


def _architectures() -> Rows:
    from pdsn.networks.imported.table import ARCHITECTURES

    for name, one in ARCHITECTURES.items():
        yield name, f"faces of {one.size[0]}x{one.size[1]}, aligned by {one.align}"
    yield "timm:NAME", "a network of timm"
    yield "FILE.py", "one of your own, see the README"


def _bases() -> Rows:
    from pdsn.bases.table import BASES
    from pdsn.plugin import find_plugin

    for name in BASES:
        yield name, find_plugin(BASES, name, "--base").help
    yield "imported", "a recogniser that was trained elsewhere, see base-import"


def _matchers() -> Rows:
    from pdsn.matchers.table import MATCHERS
    from pdsn.plugin import find_plugin

    for name in MATCHERS:
        yield name, find_plugin(MATCHERS, name, "--matcher").help


def _settings(preset: str | None = None) -> Rows:
    from pdsn.config.layers import load_preset
    from pdsn.config.setting import declared, possible
    from pdsn.run.settings import Settings, plugin_sections, sections

    values_of = {} if preset is None else load_preset(preset)
    for section, kind in [("", Settings), *sections().items(), *plugin_sections()]:
        for name, one in declared(kind).items():
            values = possible(one)
            value = f"default {one.default!r}"
            own = values_of.get(section, {}) if section else values_of
            if name in own:
                value = f"{preset}: {own[name]!r}, {value}"
            if preset == IMPORTED and section == "prepare" and name in SET_BY_ARCH:
                value = "set by --arch"
            yield (
                f"{section}.{name}".lstrip("."),
                f"{one.metadata['help']}{f' ({values})' if values else ''}; {value}",
            )


def _taken(preset: str, setting: str) -> bool:
    """Whether `pdsn run` takes a setting, "base.epochs", where nothing but the preset is chosen."""
    from pdsn.config.layers import load_preset

    section = setting.rpartition(".")[0]
    if section in load_preset(preset) or setting in TAKEN.get(preset, ()):
        return True
    return section in {
        IMPORTED: (*ALWAYS, "prepare", "pretrained"),
        DRAWN: (*ALWAYS, "prepare", "base", "synthetic"),
    }.get(preset, (*ALWAYS, "prepare", "base"))


KINDS: dict[str, Callable[[], Rows]] = {
    "presets": _presets,
    "layouts": _layouts,
    "makers": _makers,
    "occlusions": _occlusions,
    "architectures": _architectures,
    "bases": _bases,
    "matchers": _matchers,
    "settings": _settings,
}


@command(
    "list", DATA, ("preset", "debug"), shared_help={"preset": "Of settings: what this preset makes of them."}
)
def list_names(
    shared: Shared,
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"{', '.join(KINDS)}.")],
) -> None:
    """List the names that there are, with a line on each.

    [bold]Examples[/bold]

    pdsn list presets

    pdsn list settings --preset pretrained
    """
    preset = shared.preset
    one_of("KIND", kind, tuple(KINDS))
    if preset is not None and kind != "settings":
        raise UsageError("--preset goes with `pdsn list settings` alone: leave it out")
    rows = list(_settings(preset) if kind == "settings" else KINDS[kind]())
    parts = {"": rows}
    if preset is not None:
        parts = {
            f"Taken by pdsn run --preset {preset}": [row for row in rows if _taken(preset, row[0])],
            "Of other commands, bases and matchers": [row for row in rows if not _taken(preset, row[0])],
        }
    for title, part in parts.items():
        print_table(Console(), ("name", "what it is"), part, title=title, text=["what it is"])
