"""One line on standard error for whatever goes wrong, and its exit code."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from pdsn.config.setting import SettingError
from pdsn.errors import PdsnError
from stages.options import option_of
from stages.session import Shared


class OneLineErrors(TyperGroup):
    """A group of commands whose usage errors are one line too, not a panel."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **more: Any) -> Any:
        """See `typer.core.TyperGroup.main`."""
        more["standalone_mode"] = False
        for stream in (sys.stdout, sys.stderr):
            # A name whose letters the output's code page lacks is written with escapes: the answer counts.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            code = super().main(args, *rest, **more)
        except SystemExit as error:
            # Rich, and Typer's help, end so where whoever read the output has enough of it: see `Command`.
            if isinstance(error.__context__, OSError) and error.__context__.errno == errno.EPIPE:
                sys.exit(0)
            raise
        except typer.Abort:
            _print("pdsn stopped")
            sys.exit(1)
        except Exception as error:
            # Typer carries its own copy of click or imports it, by version: both errors look like this.
            if not hasattr(error, "format_message"):
                raise
            context = getattr(error, "ctx", None)
            path = context.command_path if context is not None else "pdsn"
            _print(f"{path}: {error.format_message()} (see {path} --help)")
            sys.exit(getattr(error, "exit_code", 2))
        sys.exit(code if isinstance(code, int) else 0)


def complain(command: str, line: str) -> None:
    """A line on standard error about what went wrong in a command, or is left out by it."""
    _print(f"pdsn {command}: {line}")


def _print(line: str) -> None:
    print(" ".join(line.split()), file=sys.stderr)


def exit_code_and_line(error: Exception, shared: Shared, command: str) -> tuple[int, str]:
    """Exit code and the line for an exception of a command."""
    if isinstance(error, SettingError):
        where = shared.origin(error.setting)
        line = error.line(option_of(error.setting, command)) if where == "" else str(error)
        return error.exit_code, f"{where}: {line}" if where else line
    if isinstance(error, PdsnError):
        return error.exit_code, str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return (
            1,
            f"{where}{error.strerror or error}; free space or fix permissions, then give the same command again",
        )
    if type(error).__name__ == "OutOfMemoryError":
        smaller = {"run": "a smaller batch in a --config FILE, or ", "base-import": "", "export": ""}
        smaller |= dict.fromkeys(
            ("base-train", "mask-train", "head-train", "segment-train"), "a smaller --batch or "
        )
        return 1, f"the device is out of memory: take {smaller.get(command, '')}--device cpu"
    return (
        1,
        f"unexpected {type(error).__name__}: {error} (add --debug for the traceback, and please report it)",
    )
