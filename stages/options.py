"""Options and helpers that several files of commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from stages.session import Layer

Force = Annotated[bool, typer.Option("--force", help="Replace what was made with other settings.")]
AnyStrategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy", metavar="NAME",
        help="grid3x3, LM1, LM2, LM2-split, or a control: random, geometric, difference, relative.",
    ),
]  # fmt: skip


def layer(section: str, **values: object) -> Layer:
    """The options that were given, as a settings layer."""
    given = {name: value for name, value in values.items() if value is not None}
    return {section: given} if given else {}
