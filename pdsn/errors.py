"""The errors a user can cause, each carrying one line that says what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class PdsnError(Exception):
    """Something outside the program is wrong: a file, a device, a missing artefact (exit code 1).

    The message is one line: it names the file or option, what is wrong with it, and what to do.
    """

    exit_code = 1


class UsageError(PdsnError):
    """The command itself is wrong: an option out of range, an unknown name (exit code 2)."""

    exit_code = 2


def one_of(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise UsageError unless `value` is one of `choices`; the line names the option and the choices."""
    if value not in choices:
        raise UsageError(f"{option} {value} {unknown(choices)}")


def unknown(choices: tuple[str, ...]) -> str:
    """The end of a line about a name that is none of `choices`, which it lists."""
    return f"is unknown: choose from {', '.join(choices)}"


def meant(name: str, choices: Iterable[str]) -> str:
    """Which of `choices` may be meant by an unknown name, to stand after it in a line; empty if none is like it."""
    found = get_close_matches(name, list(choices), 1)
    return f" (is {found[0]} meant?)" if found else ""
