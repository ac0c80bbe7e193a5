"""How a setting is declared: once, in the dataclass beside what it sets, with default, range or choices, and help.

Options of commands, their help, the check of TOML files, `pdsn list settings`, and what an older run is taken to have
been made with, follow from the declaration. Standard library only.

```python
@section("siamese")
class SiameseConfig(Section):
    margin: float = setting(default=1.0, help="distance at which two people are far enough apart", low=0.01, high=2)
```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, TypeVar, dataclass_transform

from pdsn.errors import UsageError, unknown


class SettingError(UsageError):
    """A setting that cannot be, named as a file sets it; a command line says where it was set instead.

    Args:
        setting: its name with the section, "base.epochs", or without one at the top, "seed".
        value: what it is.
        wrong: the rest of the line, what is wrong with it and what is possible: "is unknown: …" or ": no such file".
        exit_code: 1 where it is not the value that is wrong, but what lies behind it, such as a download.
    """

    def __init__(self, setting: str, value: object, wrong: str, exit_code: int = 2) -> None:
        self.setting, self.value, self.wrong, self.exit_code = setting, value, wrong, exit_code
        section, _, name = setting.rpartition(".")
        super().__init__(self.line(f"[{section}] {name} =" if section else f"{name} ="))

    def line(self, name: str) -> str:
        """The line with another name of the setting, such as an option's."""
        return f"{name} {self.value}{'' if self.wrong.startswith(':') else ' '}{self.wrong}"


def setting(
    *,
    default: Any,
    help: str,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    before: Any = MISSING,
    option: str = "",
    metavar: str = "",
) -> Any:
    """A field of a section.

    Args:
        default: the value where nobody sets another.
        help: what it is, with its unit, in one or two sentences without a full stop at the end.
        low, high: the range, both within it.
        choices: the values there are.
        before: what reproduces something that was made before there was this setting; needed of every setting that is
            added later, whatever the default. As JSON has it.
        option: what the option is called where it is not the setting's name: "--lambda".
        metavar: what stands for its value in the help: "FILE".
    """
    about = {
        "help": help,
        "low": low,
        "high": high,
        "choices": tuple(choices),
        "option": option,
        "metavar": metavar,
    }
    if before is not MISSING:
        about["before"] = before
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class Section:
    """Settings of one stage: a frozen dataclass whose fields are declared by `setting`.

    Attributes:
        NAME: of the section in a TOML file.
        BEFORE: what later settings are of artefacts that were made without them, by name.

    Raises:
        SettingError: a value is out of range, or none of its choices.
    """

    NAME: ClassVar[str] = ""
    BEFORE: ClassVar[dict[str, Any]] = {}

    def __post_init__(self) -> None:
        for one in fields(self):
            _check(f"{self.NAME}.{one.name}" if self.NAME else one.name, getattr(self, one.name), one)
        self.check()

    def check(self) -> None:
        """What range and choices cannot say; raises SettingError."""


Kind = TypeVar("Kind", bound=type[Section])


@dataclass_transform(frozen_default=True, field_specifiers=(setting,))
def section(name: str) -> Callable[[Kind], Kind]:
    """Make a class of fields the section of that name, see `Section`."""

    def make(kind: Kind) -> Kind:
        kind.NAME = name
        dataclass(frozen=True)(kind)  # gives the class itself back
        kind.BEFORE = {one.name: one.metadata["before"] for one in fields(kind) if "before" in one.metadata}
        return kind

    return make


def declared(kind: type[Section]) -> Mapping[str, Field[Any]]:
    """The declarations of a section's settings, by name."""
    return {one.name: one for one in fields(kind) if "help" in one.metadata}


def possible(one: Field[Any]) -> str:
    """What values a setting takes, in words: "lmcl or siamese", "1 to 100"; empty where anything goes."""
    choices, low, high = (one.metadata[name] for name in ("choices", "low", "high"))
    if choices:
        return " or ".join(filter(None, (", ".join(choices[:-1]), choices[-1])))
    return f"{low:g} to {high:g}" if low is not None else ""


def _check(name: str, value: Any, one: Field[Any]) -> None:
    about = one.metadata
    if about.get("choices") and value not in about["choices"]:
        raise SettingError(name, value, unknown(about["choices"]))
    if about.get("low") is not None and not about["low"] <= value <= about["high"]:  # also refuses NaN
        raise SettingError(name, value, f"is out of range: from {about['low']} to {about['high']}")
