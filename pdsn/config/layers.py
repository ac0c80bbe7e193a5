"""Settings from presets, TOML files and options: an option beats the file, which beats the preset."""

from __future__ import annotations

import tomllib
import types
import typing
from dataclasses import fields, is_dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from pdsn.bases.table import BASES
from pdsn.config.sections import SettingError, Settings
from pdsn.errors import PdsnError, UsageError
from pdsn.matchers.table import MATCHERS
from pdsn.plugin import find_plugin

Layer = dict[str, Any]
"""Settings by section, {"seed": 1, "base": {"epochs": 32}}: only what somebody has set."""


def presets() -> list[str]:
    """Names of the presets that come with the package."""
    return sorted(
        path.name.removesuffix(".toml") for path in _folder().iterdir() if path.name.endswith(".toml")
    )


def load_preset(name: str) -> Layer:
    """A preset's settings.

    Raises:
        UsageError: there is no preset of that name.
    """
    if name not in presets():
        raise UsageError(f"--preset {name} is unknown: choose from {', '.join(presets())}")
    return tomllib.loads((_folder() / f"{name}.toml").read_text(encoding="utf-8"))


def load_file(path: Path) -> Layer:
    """Settings from a TOML file.

    Raises:
        UsageError: it is missing, is no TOML, or sets something that does not exist or cannot be.
    """
    try:
        layer = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path} is not valid TOML: {error}") from error
    try:
        build(layer)
    except PdsnError as error:
        raise UsageError(f"--config {path}: {error}") from error
    return layer


def merge(*layers: Layer) -> Layer:
    """One layer of several; later ones win, value by value."""
    merged: Layer = {}
    for layer in layers:
        for name, value in layer.items():
            known = merged.get(name)
            merged[name] = (
                {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
            )
    return merged


def build(layer: Layer) -> Settings:
    """Settings with a layer's values in place of the defaults.

    Raises:
        UsageError: a name is unknown, or a value has the wrong type or is out of range.
    """
    known = {**BASES, **MATCHERS}
    plugins = {}
    for name in [name for name in layer if name in known]:
        kind = find_plugin(known, name, "").settings
        if kind is None:
            raise UsageError(f"[{name}] has no settings: leave it out")
        if not isinstance(layer[name], dict):
            raise UsageError(f"{name} must be a section, [{name}]")
        plugins[name] = _build(kind, layer[name], name)
    own = {name: value for name, value in layer.items() if name not in known}
    if own.get("plugins") == {}:  # what `before` says of a run that was made without any
        del own["plugins"]
    elif "plugins" in own:
        raise UsageError("plugins is no section: each base or matcher has its own, by its name")
    return replace(_build(Settings, own, ""), plugins=plugins)


def before(in_use: Layer) -> Layer:
    """The settings that something made with `in_use`, by an older pdsn, did not know, as they reproduce it.

    Args:
        in_use: all settings that there were then.
    """
    layer: Layer = {name: value for name, value in Settings.BEFORE.items() if name not in in_use}
    for section, kind in typing.get_type_hints(Settings).items():
        later: Layer = getattr(kind, "BEFORE", {})  # a plain setting has none of its own
        known = in_use.get(section, {})
        missing = {name: value for name, value in later.items() if name not in known}
        layer |= {section: missing} if missing else {}
    return layer


def _folder() -> Any:
    return files("pdsn.config") / "presets"


def _build(kind: Any, values: Layer, section: str) -> Any:
    hints = typing.get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    unknown = sorted(set(values) - set(names))
    if unknown:
        where = f"in [{section}]" if section else "at the top"
        raise UsageError(f"unknown setting {unknown[0]} {where}: there are {', '.join(names)}")
    made = {}
    for name, value in values.items():
        hint = hints[name]
        label = f"{section}.{name}" if section else name
        if is_dataclass(hint):
            if not isinstance(value, dict):
                raise UsageError(f"{label} must be a section, [{label}]")
            made[name] = _build(hint, value, name)
        else:
            made[name] = _coerce(hint, value, label)
    return kind(**made)


def _coerce(hint: Any, value: Any, label: str) -> Any:
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        if isinstance(value, list | tuple):
            return tuple(_coerce(item, part, label) for part in value)
        raise SettingError(label, repr(value), "must be a list")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
        raise SettingError(label, repr(value), f"must be {names[hint]}")
    return value
