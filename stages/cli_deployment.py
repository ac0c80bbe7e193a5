"""The commands that hand a run on: `pdsn export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.cli_recognition import Strategy
from stages.command import command
from stages.session import Session, Shared

PANEL = "Deployment"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    command(app, "export", PANEL)(export)


def export(
    shared: Shared,
    onnx: Annotated[
        Path,
        typer.Option(
            "--onnx",
            metavar="DIR",
            help="Where the ONNX files go: a new or empty folder, or an earlier export, which is replaced.",
        ),
    ],
    strategy: Strategy = None,
    segmenter: Annotated[
        bool,
        typer.Option("--segmenter/--no-segmenter", help="Export the U-Net that finds what is covered, too."),
    ] = True,
) -> None:
    """Write the networks as ONNX, with the masks and a model card, checked against torch.

    Needs the extra: pip install "pdsn\\[onnx]"

    [bold]Examples[/bold]

    pdsn export --onnx exported --run runs/lfw

    pdsn export --onnx exported --run runs/lfw --strategy none --no-segmenter
    """
    from stages.export import main

    main(Session(shared, {}), onnx, strategy=strategy, with_segmenter=segmenter)
