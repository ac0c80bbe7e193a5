"""Settings in layers: presets, TOML files and options, each only what somebody has set, merged value by value."""

from __future__ import annotations

import tomllib
import types
import typing
from dataclasses import fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from pdsn.config.setting import SettingError
from pdsn.errors import UsageError, meant

Layer = dict[str, Any]
"""Settings by section, {"seed": 1, "base": {"epochs": 32}}: only what somebody has set."""
Kind = TypeVar("Kind")


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
    return {key: value for key, value in _preset(name).items() if key != "help"}


def preset_help(name: str) -> str:
    """What a preset is, in a line.

    Raises:
        UsageError: there is no preset of that name.
    """
    return str(_preset(name)["help"])


def _preset(name: str) -> Layer:
    if name not in presets():
        raise UsageError(f"--preset {name} is unknown: choose from {', '.join(presets())}")
    return tomllib.loads((_folder() / f"{name}.toml").read_text(encoding="utf-8"))


def read_toml(path: Path) -> Layer:
    """What a TOML file sets, unchecked.

    Raises:
        UsageError: it is missing, or no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path} is not valid TOML: {error}") from error


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


def fill(kind: type[Kind], values: Layer, section: str = "") -> Kind:
    """A dataclass of settings with a layer's values in place of the defaults.

    Args:
        kind: the dataclass; its fields may be sections of their own.
        values: by name.
        section: what the dataclass is called in messages, "" at the top.

    Raises:
        UsageError: a name is unknown, or a value has the wrong type or is out of range.
    """
    hints = typing.get_type_hints(kind)
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(names))
    if unknown:
        name, where = unknown[0], f"in [{section}]" if section else "at the top"
        raise UsageError(f"unknown setting {name} {where}{meant(name, names)}: there are {', '.join(names)}")
    made = {}
    for name, value in values.items():
        hint = hints[name]
        label = f"{section}.{name}" if section else name
        if is_dataclass(hint):
            if not isinstance(value, dict):
                raise UsageError(f"{label} must be a section, [{label}]")
            made[name] = fill(hint, value, name)  # type: ignore[arg-type]
        else:
            made[name] = _coerce(hint, value, label)
    return kind(**made)


def _folder() -> Any:
    return files("pdsn.config") / "presets"


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
