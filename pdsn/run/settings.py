"""Everything that a run is made with: the sections of all rooms, and those of bases and matchers."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from pdsn.bases.settings import BaseConfig, PretrainedConfig
from pdsn.bases.table import BASES
from pdsn.config.layers import Layer, fill, read_toml
from pdsn.config.setting import Section, declared, section, setting
from pdsn.coverage.settings import SegmentConfig
from pdsn.data.settings import PrepareConfig
from pdsn.detection.settings import DetectorConfig
from pdsn.drawn.settings import SyntheticConfig
from pdsn.errors import PdsnError, UsageError, meant
from pdsn.evaluation.settings import EvalConfig
from pdsn.explain.settings import ExplainConfig
from pdsn.masks.settings import DictionaryConfig, HeadConfig, MaskConfig, MatchingConfig
from pdsn.matchers.table import MATCHERS
from pdsn.occlusion.settings import RegionsConfig
from pdsn.plugin import Plugin, find_plugin

SPLITS_BY = ("photo", "person")


@section("")
class Settings(Section):
    """Everything a run is made with; one section a stage, as in a preset's TOML."""

    seed: int = setting(default=0, help="of training and occlusions", low=0, high=2**31)
    split: str = setting(
        default="photo",
        help="photo trains on photos of everybody and recognises others of the same people; person trains on some of the people "
        "and recognises the rest, who were never trained on",
        choices=SPLITS_BY,
        before="photo",
        option="--split-by",
    )
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)
    base: BaseConfig = field(default_factory=BaseConfig)
    pretrained: PretrainedConfig = field(default_factory=PretrainedConfig)
    regions: RegionsConfig = field(default_factory=RegionsConfig)
    masks: MaskConfig = field(default_factory=MaskConfig)
    matching: MatchingConfig = field(default_factory=MatchingConfig)
    dictionary: DictionaryConfig = field(default_factory=DictionaryConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    segment: SegmentConfig = field(default_factory=SegmentConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    detector: DetectorConfig = field(default_factory=DetectorConfig, metadata={"before": {}})
    explain: ExplainConfig = field(default_factory=ExplainConfig, metadata={"before": {}})
    plugins: dict[str, Any] = field(default_factory=dict, metadata={"before": {}})
    """Settings of bases and matchers, by the plug-in's name: those that somebody has set."""

    def of(self, plugin: Plugin) -> Any:
        """The settings of a base or matcher, its defaults where nobody has set any; None where it has none."""
        if plugin.settings is None:
            return None
        return self.plugins.get(plugin.name) or plugin.settings()


def sections() -> dict[str, type[Section]]:
    """The sections that stages have, by name; those of bases and matchers are the plug-ins' own."""
    hints = typing.get_type_hints(Settings)
    return {
        name: kind for name, kind in hints.items() if isinstance(kind, type) and issubclass(kind, Section)
    }


def plugin_sections() -> Iterator[tuple[str, type[Section]]]:
    """The sections that bases and matchers have, by name; imports all of them."""
    for name in {**BASES, **MATCHERS}:
        kind = find_plugin({**BASES, **MATCHERS}, name, "").settings
        if kind is not None:
            yield name, kind


def build(layer: Layer) -> Settings:
    """Settings with a layer's values in place of the defaults.

    Raises:
        UsageError: a name is unknown, or a value has the wrong type or is out of range.
    """
    known = {**BASES, **MATCHERS}
    plugins: dict[str, Any] = {}
    for name in [name for name in layer if name in known]:
        kind = find_plugin(known, name, "").settings
        if kind is None:
            raise UsageError(f"[{name}] has no settings: leave it out")
        if not isinstance(layer[name], dict):
            raise UsageError(f"{name} must be a section, [{name}]")
        plugins[name] = fill(kind, layer[name], name)
    own = {name: value for name, value in layer.items() if name not in known}
    if own.get("plugins") == {}:  # what `before` says of a run that was made without any
        del own["plugins"]
    elif "plugins" in own:
        raise UsageError("plugins is no section: each base or matcher has its own, by its name")
    _check_top(own)
    return replace(fill(Settings, own), plugins=plugins)


def _check_top(layer: Layer) -> None:
    """Raise UsageError where a layer has a section that there is not, or a setting outside of any."""
    settings, known = list(declared(Settings)), sections()
    for name in (name for name in layer if name not in known and name not in settings):
        every = [*known, *(plugin for plugin, _ in plugin_sections())]
        if isinstance(layer[name], dict):
            raise UsageError(f"unknown section [{name}]{meant(name, every)}: there are {', '.join(every)}")
        raise UsageError(
            f"unknown setting {name} at the top{meant(name, settings)}: there are {', '.join(settings)}; others stand in a "
            "section, see `pdsn list settings`"
        )


def load_file(path: Path) -> Layer:
    """Settings from a TOML file.

    Raises:
        UsageError: it is missing, is no TOML, or sets something that does not exist or cannot be.
    """
    layer = read_toml(path)
    try:
        build(layer)
    except PdsnError as error:
        raise UsageError(f"--config {path}: {error}") from error
    return layer


def before(in_use: Layer) -> Layer:
    """The settings that something made with `in_use`, by an older pdsn, did not know, as they reproduce it.

    Args:
        in_use: all settings that there were then.
    """
    layer: Layer = {name: value for name, value in Settings.BEFORE.items() if name not in in_use}
    for name, kind in sections().items():
        missing = {later: value for later, value in kind.BEFORE.items() if later not in in_use.get(name, {})}
        layer |= {name: missing} if missing else {}
    return layer
