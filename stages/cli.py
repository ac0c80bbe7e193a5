"""The command line, `pdsn`: its commands in the order of the help. What a command offers and does stands in its file.

Nothing heavy is imported here: `pdsn --help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from pdsn import __version__
from stages import (
    arcface_train,
    base_import,
    base_train,
    build_dictionary,
    compare,
    detector_train,
    enrol,
    evaluate,
    explain,
    export,
    figures,
    head_train,
    identify,
    listing,
    mask_train,
    matcher_train,
    people,
    pool,
    prepare,
    report,
    run,
    segment_train,
    serve,
    show,
    siamese_train,
    verify,
    verify_eval,
)
from stages.command import RECOGNITION
from stages.errors import OneLineErrors

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
    pretty_exceptions_enable=False,
)

COMMANDS = (
    run.run,
    show.show,
    report.report,
    prepare.prepare_photos,
    listing.list_names,
    base_train.base_train,
    arcface_train.arcface_train,
    siamese_train.siamese_train,
    base_import.base_import,
    mask_train.mask_train,
    build_dictionary.build_dictionary,
    head_train.head_train,
    matcher_train.parts_train,
    matcher_train.zeroing_train,
    matcher_train.xcos_train,
    matcher_train.unmask_train,
    matcher_train.cross_encoder_train,
    segment_train.segment_train,
    detector_train.detector_train,
    evaluate.evaluate,
    pool.pool,
    compare.compare,
    enrol.enrol,
    identify.identify,
    verify.verify,
    serve.serve,
    verify_eval.verify_eval,
    explain.explain,
    figures.figures,
    export.export,
)
"""Every command there is."""


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"pdsn {__version__}")
        raise typer.Exit


for command in COMMANDS:
    command.add_to(app)
group = typer.Typer(
    cls=OneLineErrors,
    help="Who is in a store of people, and changes to it.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
for command in people.COMMANDS:
    command.add_to(group)
app.add_typer(group, name="people", rich_help_panel=RECOGNITION)

if __name__ == "__main__":
    app()
