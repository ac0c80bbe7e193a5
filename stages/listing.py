"""Stage `list`: the names that options and configuration files can take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

import typer
from rich.console import Console

from pdsn.errors import one_of
from stages.command import DATA, command
from stages.session import Shared
from stages.tables import print_table

Rows = Iterator[tuple[str, str]]


def _presets() -> Rows:
    from pdsn.config.layers import load_preset, presets

    for name in presets():
        yield name, f"sets {', '.join(load_preset(name))}"


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
    from pdsn.occlusion.occluders import make_occluders
    from pdsn.occlusion.settings import RegionsConfig

    for name, occluder in make_occluders(example_statistics(), RegionsConfig.floor).items():
        yield name, (type(occluder).__doc__ or "").splitlines()[0]


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


def _settings() -> Rows:
    from pdsn.config.setting import declared, possible
    from pdsn.run.settings import Settings, plugin_sections, sections

    for section, kind in [("", Settings), *sections().items(), *plugin_sections()]:
        for name, one in declared(kind).items():
            values = possible(one)
            yield (
                f"{section}.{name}".lstrip("."),
                f"{one.metadata['help']}{f' ({values})' if values else ''}; default {one.default!r}",
            )


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


@command("list", DATA)
def list_names(
    shared: Shared,
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"{', '.join(KINDS)}.")],
) -> None:
    """List the names that there are, with a line on each.

    [bold]Examples[/bold]

    pdsn list presets

    pdsn list settings
    """
    del shared
    one_of("KIND", kind, tuple(KINDS))
    print_table(Console(), ("name", "what it is"), list(KINDS[kind]()), text=["what it is"])
