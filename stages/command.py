"""How a function becomes a command: its own options, those for settings, and the shared ones."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from pdsn.config.layers import presets
from pdsn.plugin import find_plugin
from pdsn.run.directory import DEFAULT
from stages.errors import complain, exit_code_and_line
from stages.options import OWN_OPTIONS, Offered, collect, section_parameters, setting_parameters
from stages.session import Shared

RUN_PANEL = "Run"
EVERYTHING, DATA, TRAINING, RECOGNITION, DEPLOYMENT = (
    "Everything",
    "Data",
    "Training",
    "Recognition",
    "Deployment",
)
"""Under which commands are listed."""

BEGINNING = ("run", "data", "preset", "config", "device", "precision", "seed", "split_by", "debug")
"""The shared options of what can begin a run."""
MAKING = (*BEGINNING[:-1], "no_make", "debug")
"""Of stages that make what they lack: each can begin a run, too."""
GOING_ON = ("run", "config", "device", "precision", "no_make", "debug")
"""Of what recognises: it goes on with a run, and reads there what that was made with."""
ALONE = ("debug",)
"""Of what needs no run, or is told which one as an argument."""

# Type, default, the option's name, its metavar and its help.
_SHARED: dict[str, tuple[Any, Any, str, str | None, str]] = {
    "run": (
        Path,
        DEFAULT,
        "--run",
        "DIR",
        "The run directory: everything made goes here.",
    ),
    "data": (
        str | None,
        None,
        "--data",
        "DIR",
        "A prepared data set, or 'synthetic' for the embedded people. Remembered.",
    ),
    "preset": (
        str | None,
        None,
        "--preset",
        "NAME",
        f"{', '.join(presets())}; by default demo for the embedded people, pretrained with an imported base, else "
        "lfw10. Remembered.",
    ),
    "config": (
        Path | None,
        None,
        "--config",
        "FILE",
        "Settings in TOML, see `pdsn list settings`; they beat the preset's.",
    ),
    "device": (str, "auto", "--device", "NAME", "auto, cpu, cuda or mps."),
    "precision": (
        str,
        "auto",
        "--precision",
        "NAME",
        "auto, fp32 or bf16; auto is bf16 on CUDA and on CPUs with AMX, or AMD's with AVX512-BF16.",
    ),
    "seed": (
        int | None,
        None,
        "--seed",
        "N",
        "Seed of training and occlusions. Default 0. Remembered.",
    ),
    "split_by": (
        str | None,
        None,
        "--split-by",
        "NAME",
        "photo (recognise other photos of the people trained on) or person (recognise people never trained on). "
        "Default photo. Remembered.",
    ),
    "no_make": (
        bool,
        False,
        "--no-make",
        None,
        "Refuse where something is missing, instead of making it first.",
    ),
    "debug": (bool, False, "--debug", None, "Show the traceback of an error."),
}


@dataclass(frozen=True)
class Command:
    """A command of `pdsn`: a function, and what it offers.

    Attributes:
        name: as it is typed, after that of its group if it has one: "people list".
        panel: under which it is listed.
        function: takes a `Shared` first, then, where it offers settings, the layer of those that were typed as
            `options`, then its own arguments and options.
        offered: the settings that are options.
        default: what their help says of the default, see `options.setting_parameters`.
        plugins: a table whose plug-ins' settings are options, too.
        shared: the shared options that mean something to it; no other is offered.
        shared_help: help of a shared option where it means something particular here.
    """

    name: str
    panel: str
    function: Callable[..., None]
    offered: Offered
    default: str
    plugins: Mapping[str, str]
    shared: Sequence[str]
    shared_help: Mapping[str, str]
    _typed: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def add_to(self, app: typer.Typer) -> None:
        """Make it a command of the application.

        Whatever goes wrong inside ends as one line on standard error with exit code 1 or 2, Ctrl-C with 130; `--debug` lets
        the traceback through.
        """
        hints = inspect.get_annotations(self.function, eval_str=True)
        own = [
            p
            for p in inspect.signature(self.function).parameters.values()
            if p.name not in ("shared", "options")
        ]
        parameters = [p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        parameters += setting_parameters(self.offered, self.default)
        parameters += [_shared_parameter(option, self.shared_help.get(option)) for option in self.shared]
        invoke = _with_signature(self._invoke, parameters, self.function.__doc__)
        kind = _with_plugins(self.plugins, self.name, self._typed) if self.plugins else TyperCommand
        app.command(
            self.name.rpartition(" ")[2], cls=kind, rich_help_panel=self.panel, no_args_is_help=False
        )(invoke)

    def _invoke(self, **given: Any) -> None:
        given |= self._typed
        shared = Shared(
            **{option: given.pop(option, default) for option, (_, default, *_) in _SHARED.items()}
        )
        if self.panel == RECOGNITION:
            # Faces come one by one there, and threads that wait for each other at every layer take four times as long where
            # they spin for a processor that another program has. Read when torch is imported, which is later.
            os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        try:
            layer = collect(given)
            if self.offered or self.plugins:
                given["options"] = layer
            self.function(shared, **given)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read the output, such as `head`, has enough of it: what is left goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt:
            same = "the same command, without --force," if given.get("force") else "the same command"
            complain(self.name, f"stopped; {same} goes on from here")
            raise typer.Exit(130) from None
        except Exception as error:
            if shared.debug:
                raise
            code, line = exit_code_and_line(error, shared, self.name)
            complain(self.name, line)
            raise typer.Exit(code) from None


def command(
    name: str,
    panel: str,
    shared: Sequence[str],
    *,
    settings: Offered | None = None,
    default: str = "",
    plugins: Mapping[str, str] | None = None,
    shared_help: Mapping[str, str] | None = None,
) -> Callable[[Callable[..., None]], Command]:
    """Make a function a `Command`; the arguments are its attributes."""

    def make(function: Callable[..., None]) -> Command:
        return Command(
            name, panel, function, settings or {}, default, plugins or {}, shared, shared_help or {}
        )

    return make


def _with_signature(
    run: Callable[..., None], parameters: Sequence[inspect.Parameter], text: str | None
) -> Callable[..., None]:
    """A function with these parameters, as Typer reads them."""

    def invoke(**given: Any) -> None:
        run(**given)

    invoke.__signature__ = inspect.Signature(list(parameters))  # type: ignore[attr-defined]
    invoke.__annotations__ = {one.name: one.annotation for one in parameters}
    invoke.__doc__ = text
    return invoke


def _with_plugins(table: Mapping[str, str], command: str, typed: dict[str, Any]) -> type[TyperCommand]:
    """A kind of command that has an option for each setting of the plug-ins of a table.

    They are looked for when the command is used, not when `pdsn` starts: a plug-in's module imports torch. Typer passes on
    only what it has made itself, so what is typed goes into `typed`.
    """

    class WithPlugins(TyperCommand):
        def get_params(self, ctx: Any) -> list[Any]:
            """See `click.Command.get_params`."""
            unprefixed = OWN_OPTIONS.get(command, ())
            # A command may have an option of its own for a setting.
            taken = {one.name for one in super().get_params(ctx)}
            parameters = [
                one
                for name in table
                if (kind := find_plugin(table, name, "").settings) is not None
                for one in section_parameters(name, kind, prefix="" if name in unprefixed else f"{name}-")
                if name not in unprefixed or one.name.partition("__")[2] not in taken
            ]
            app = typer.Typer(add_completion=False)
            app.command()(_with_signature(lambda: None, parameters, None))
            further = [one for one in typer.main.get_command(app).params if one.name != "help"]
            return [*super().get_params(ctx), *_each_once(further)]

        def invoke(self, ctx: Any) -> Any:
            """See `click.Command.invoke`."""
            known = {one.name for one in self.params}
            typed.clear()
            typed.update({name: ctx.params.pop(name) for name in list(ctx.params) if name not in known})
            return super().invoke(ctx)

    return WithPlugins


def _each_once(options: Sequence[Any]) -> list[Any]:
    """Options without those that an earlier one is called like; it says what the default of the other is, where that differs.

    Where a command trains one of several plug-ins, what they have in common is typed alike for all of them.
    """
    kept: dict[str, Any] = {}
    for option in options:
        first = kept.setdefault(option.opts[0], option)
        default, other = (one.help.rpartition("Default: ")[2].rstrip(".") for one in (first, option))
        if default != other:
            plugin = str(option.name).partition("__")[0].replace("_", "-")
            first.help = f"{first.help.rstrip('.')}, of {plugin} {other}."
    return list(kept.values())


def _shared_parameter(option: str, other_help: str | None) -> inspect.Parameter:
    kind, default, flag, metavar, text = _SHARED[option]
    text = other_help or text
    declared = Annotated[kind, typer.Option(flag, metavar=metavar, help=text, rich_help_panel=RUN_PANEL)]  # type: ignore[valid-type]
    return inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=declared)
