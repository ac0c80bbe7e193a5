"""The command line, `pdsn`: groups, options and their help. What a command does stands in its stage.

Nothing heavy is imported here: `pdsn --help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pdsn import __version__
from pdsn.errors import UsageError
from stages import cli_deployment, cli_recognition, cli_training
from stages.command import OneLineErrors, command
from stages.options import AnyStrategies, Architecture, Force, Weights, layer, recogniser
from stages.session import Shared

app = typer.Typer(
    name="pdsn",
    cls=OneLineErrors,
    help=(
        "Face recognition that goes on working when part of the face is covered.\n\n"
        "[bold]pdsn run[/bold] draws people, trains everything and prints the table. "
        "[bold]pdsn run --photos DIR[/bold] does the same with a folder of photos per person."
    ),
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

EVERYTHING, DATA = "Everything", "Data"


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"pdsn {__version__}")
        raise typer.Exit


@command(app, "run", EVERYTHING)
def run(
    shared: Shared,
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Photos, a folder per person: prepared with the preset's settings first."
        ),
    ] = None,
    strategy: AnyStrategies = None,
    arch: Architecture = None,
    weights: Weights = None,
    force: Force = False,
) -> None:
    """Do all stages, skipping what is done.

    [bold]Examples[/bold]

    pdsn run

    pdsn run --photos lfw --run runs/lfw

    pdsn run --photos lfw --arch mobilefacenet --weights mobilefacenet.npz --run runs/mobilefacenet
    """
    from stages.run import main

    main(shared, recogniser(arch, weights), photos=photos, strategies=strategy, force=force)


@command(app, "prepare", DATA)
def prepare(
    shared: Shared,
    photos: Annotated[
        Path | None, typer.Argument(metavar="[PHOTOS]", help="A folder per person, as in LFW.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Height x width of a face in pixels. Default: the preset's."),
    ] = None,
    align: Annotated[
        str | None,
        typer.Option(
            help="similarity (five points on a template) or box (crop and resize). Default: the preset's."
        ),
    ] = None,
    face: Annotated[
        str | None, typer.Option(help="Which face of several: centre or largest. Default centre.")
    ] = None,
    min_photos: Annotated[
        int | None, typer.Option(help="Leave out people with fewer photos. Default 10.")
    ] = None,
    frontal: Annotated[
        float | None,
        typer.Option(
            help="Leave out side views: largest distance of the eyes' centre from the box's, in box widths."
        ),
    ] = None,
    min_face: Annotated[
        int | None, typer.Option(help="Edge of the smallest face looked for, in pixels. Default 40.")
    ] = None,
    split_seed: Annotated[
        int | None, typer.Option(help="Seed of the splits; not the training seed. Default 0.")
    ] = None,
    arch: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="ARCH",
            help="Size, alignment and template of a pretrained recogniser, see base-import.",
        ),
    ] = None,
    lfw: Annotated[
        bool, typer.Option("--lfw", help="Download LFW (funneled) with scikit-learn and prepare it.")
    ] = False,
    force: Force = False,
) -> None:
    """Find, align and store the faces of a folder of photos in --data; no run directory is touched.

    [bold]Examples[/bold]

    pdsn prepare lfw --data data/lfw

    pdsn prepare team-photos --data data/team --min-photos 4 --face largest

    pdsn prepare lfw --data data/lfw112 --for mobilefacenet
    """
    from stages.prepare import main

    if arch is not None and (size is not None or align is not None):
        raise UsageError("--for sets size and alignment: leave out --size and --align")

    options = layer(
        "prepare", size=None if size is None else _size(size), align=align, face=face, min_photos=min_photos,
        frontal=frontal, min_face=min_face, split_seed=split_seed,
    )  # fmt: skip
    main(shared, options | recogniser(arch, None), photos=photos, lfw=lfw, force=force)


def _size(text: str) -> list[int]:
    height, _, width = text.lower().partition("x")
    if not (text.isascii() and height.isdigit() and width.isdigit()):
        raise UsageError(f"--size {text} is not HEIGHTxWIDTH, such as 128x96")
    return [int(height), int(width)]


cli_training.register(app)
cli_recognition.register(app)
cli_deployment.register(app)

if __name__ == "__main__":
    app()
