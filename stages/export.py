"""Stage `export`: the networks of a finished run as ONNX, with their masks and a model card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pdsn.errors import UsageError
from pdsn.files import check_writable
from pdsn.run.stages import lacking
from stages.command import DEPLOYMENT, command
from stages.making import make
from stages.options import OneStrategy
from stages.session import Session, Shared
from stages.tables import print_table

if TYPE_CHECKING:
    from pdsn.deploy.exported import Exported


def main(session: Session, folder: Path, *, strategy: str | None, with_segmenter: bool) -> None:
    """Write the export, check it against torch, and print what was written."""
    from rich.markup import escape

    from pdsn.deploy.bundle import check_target, write_export
    from pdsn.deploy.onnx import BATCHES, TOLERANCE, require_onnx
    from pdsn.networks.branches import has_branches
    from pdsn.progress import progress_bar

    if not session.accelerator.is_main_process:
        return
    require_onnx()
    check_target(folder)
    check_writable("--onnx", folder)
    exported = parts_of_run(session, strategy, with_segmenter)
    count = 2 * (1 + has_branches(exported.net)) + with_segmenter
    with progress_bar("export", count, "networks") as advance:
        written = write_export(exported, folder, on_part=lambda name: advance(1, note=name))
    rows = [(part.file, f"{part.size / 1e6:.1f}", f"{part.difference:.1e}") for part in written]
    print_table(session.console, ("file", "MB", "largest difference"), rows, title="Checked against torch")
    batches = " and ".join(map(str, BATCHES))
    session.say(
        f"differences in standard deviations of each output, on batches of {batches} faces; {TOLERANCE:g} are allowed"
    )
    session.say(f"networks, masks and model card: {escape(str(folder))}")


def parts_of_run(session: Session, strategy: str | None, with_segmenter: bool) -> Exported:
    """The parts of a run that an export is made from.

    Raises:
        PdsnError: one of them is missing or does not belong to the others; the line names the command.
    """
    from pdsn.deploy.exported import Exported
    from pdsn.masks.strategy import NO_FDM
    from pdsn.matchers.table import SIGN
    from pdsn.run.strategies import choose_strategy, further_matchers

    session.run.check_made()
    chosen = choose_strategy(
        session.run, session.shortest(strategy), session.settings.dictionary, missing=True
    )
    if SIGN in chosen or chosen in further_matchers():
        raise UsageError(
            f"--strategy {chosen}: only the cosine and PDSN can be exported; give a strategy or none"
        )
    wanted = [] if chosen == NO_FDM else [chosen]
    make(session, lacking(session, dictionaries=wanted, segmenter=with_segmenter))
    model, networks = session.tuned
    base = networks["base"]
    return Exported(
        run=session.run,
        settings=session.settings,
        dataset=session.dataset,
        training=session.training,
        net=model.net,
        base=session.base_folder,
        head=session.head_folder(base) if "head" in networks else None,
        strategy=chosen,
        dictionary=None if chosen == NO_FDM else session.dictionary(chosen, base),
        segmenter=session.segmenter().net if with_segmenter else None,
        segmentation=session.segmenter_folder if with_segmenter else None,
    )


@command("export", DEPLOYMENT, ("run", "config", "no_make", "debug"))
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
    strategy: OneStrategy = None,
    segmenter: Annotated[
        bool,
        typer.Option(
            "--segmenter/--no-segmenter", help="Export the segmentation that finds what is covered, too."
        ),
    ] = True,
) -> None:
    """Write the networks as ONNX, with the masks and a model card, checked against torch.

    Needs the extra: pip install "pdsn\\[onnx]"

    [bold]Examples[/bold]

    pdsn export --onnx exported --run runs/lfw

    pdsn export --onnx exported --run runs/lfw --strategy none --no-segmenter
    """
    main(Session(shared, {}), onnx, strategy=strategy, with_segmenter=segmenter)
