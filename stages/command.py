"""How a function becomes a command: the shared options, and one line for every error."""

from __future__ import annotations

import inspect
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pdsn.errors import PdsnError
from stages.session import Shared

RUN_PANEL = "Run"


def _option(*names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=RUN_PANEL, **more)


# Name of each shared option, its type and its default.
_SHARED: dict[str, tuple[Any, Any]] = {
    "run": (
        Annotated[Path, _option("--run", metavar="DIR", help="The run directory: everything made goes here.")],
        Path("runs/default"),
    ),
    "data": (
        Annotated[
            str | None,
            _option("--data", metavar="DIR", help="A prepared data set, or 'synthetic' for the embedded people. Remembered."),
        ],
        None,
    ),
    "preset": (
        Annotated[
            str | None,
            _option(
                "--preset", metavar="NAME",
                help="demo, lfw10, lfw10-gpu, lfw10-clean, johnston or pretrained; by default demo for the embedded people, pretrained with --arch, else lfw10. Remembered.",
            ),
        ],
        None,
    ),
    "config": (
        Annotated[Path | None, _option("--config", metavar="FILE", help="Settings in TOML; they beat the preset's.")],
        None,
    ),
    "device": (Annotated[str, _option("--device", metavar="NAME", help="auto, cpu, cuda or mps.")], "auto"),
    "precision": (
        Annotated[str, _option("--precision", metavar="NAME", help="auto, fp32 or bf16 (CPUs with AMX or AVX512-BF16, CUDA).")],
        "auto",
    ),
    "seed": (Annotated[int | None, _option("--seed", metavar="N", help="Seed of training and occlusions. Default 0. Remembered.")], None),
    "split_by": (
        Annotated[
            str | None,
            _option(
                "--split-by", metavar="NAME",
                help="photo (recognise other photos of the people trained on) or person (recognise people never trained on). Default photo. Remembered.",
            ),
        ],
        None,
    ),
    "debug": (Annotated[bool, _option("--debug", help="Show the traceback of an error.")], False),
}  # fmt: skip


def command(
    app: typer.Typer, name: str, panel: str, *, shared_options: Sequence[str] = tuple(_SHARED)
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command of `app`.

    The function takes a `Shared` first and its own options, all keyword parameters with defaults or
    arguments; the shared options, or those named, are added behind them. Whatever goes wrong inside ends as one line
    on standard error with exit code 1 or 2, Ctrl-C with 130; `--debug` lets the traceback through.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        hints = inspect.get_annotations(function, eval_str=True)
        own = list(inspect.signature(function).parameters.values())[1:]

        def invoke(**given: Any) -> None:
            shared = Shared(**{
                option: given.pop(option) if option in shared_options else default
                for option, (_, default) in _SHARED.items()
            })  # fmt: skip
            try:
                function(shared, **given)
            except (typer.Exit, typer.Abort):
                raise
            except KeyboardInterrupt:
                same = "the same command, without --force," if given.get("force") else "the same command"
                _complain(f"{name}: stopped; {same} goes on from here")
                raise typer.Exit(130) from None
            except Exception as error:
                if shared.debug:
                    raise
                code, line = _explain(error)
                _complain(f"{name}: {line}")
                raise typer.Exit(code) from None

        parameters = [p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        parameters += [
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for option, (kind, default) in _SHARED.items()
            if option in shared_options
        ]
        invoke.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        invoke.__annotations__ = {p.name: p.annotation for p in parameters}
        invoke.__doc__ = function.__doc__
        app.command(name, rich_help_panel=panel, no_args_is_help=False)(invoke)
        return function

    return register


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
        except typer.Abort:
            _complain("stopped")
            sys.exit(1)
        except Exception as error:
            # Typer carries its own copy of click or imports it, by version: both errors look like this.
            if not hasattr(error, "format_message"):
                raise
            context = getattr(error, "ctx", None)
            path = context.command_path if context is not None else "pdsn"
            _complain(f"{path}: {error.format_message()} (see {path} --help)", prefix="")
            sys.exit(getattr(error, "exit_code", 2))
        sys.exit(code if isinstance(code, int) else 0)


def _complain(line: str, prefix: str = "pdsn ") -> None:
    print(f"{prefix}{' '.join(line.split())}", file=sys.stderr)


def _explain(error: Exception) -> tuple[int, str]:
    """Exit code and the line for an exception."""
    if isinstance(error, PdsnError):
        return error.exit_code, str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return (
            1,
            f"{where}{error.strerror or error}; free space or fix permissions, then give the same command again",
        )
    if type(error).__name__ == "OutOfMemoryError":
        return 1, "the device is out of memory: take a smaller --batch or --device cpu"
    return (
        1,
        f"unexpected {type(error).__name__}: {error} (add --debug for the traceback, and please report it)",
    )
