"""Stage `segment-train`: the segmentation that finds what is covered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pdsn.errors import UsageError
from pdsn.run.directory import RunDir
from pdsn.run.stages import lacking
from stages.command import BEGINNING, TRAINING, command
from stages.making import make
from stages.options import Force, Layer
from stages.session import Session, Shared
from stages.tables import print_table


def main(session: Session, source: Path | None = None) -> None:
    """Train the segmentation, take that of another run, or say that it is there; prints its validation figures."""
    from pdsn.coverage.segmenter import segmenter_folder
    from pdsn.coverage.settings import BASE
    from pdsn.coverage.training import train_segmenter
    from pdsn.report.figures import plot_training
    from pdsn.training.batches import check_batch
    from pdsn.training.loop import read_metrics

    check_batch("segment.batch", session.settings.segment.batch, session.accelerator)
    on_base = session.settings.segment.encoder == BASE
    if on_base:
        make(session, lacking(session))
    folder = session.segmenter_folder
    done = folder.open(force=session.force, replace_other=session.replace)
    if source is not None:
        run = RunDir.open(source)
        run.check_made()
        other = segmenter_folder(
            run.segmenter,
            session.settings.segment,
            session.training,
            session.settings.seed,
            session.base_folder.sha256() if on_base else None,
        )
        if done and folder.sha256() != other.sha256():
            raise UsageError(
                f"--from {source}: {folder.root} holds another segmentation already: add --force to replace it"
            )
        if not done and session.accelerator.is_main_process:
            folder.take_over(other)
        session.accelerator.wait_for_everyone()
        done = True
    triggers = session.layout("LM2")
    session.begin()
    if done:
        best = folder.best()
        how = f"trained already, {folder.model}" if source is None else f"taken from {source}"
        session.say(f"segmentation: {how}")
    else:
        best = train_segmenter(
            session.training,
            session.settings.segment,
            folder,
            session.accelerator,
            session.settings.seed,
            triggers,
            session.memory.encoder.net if on_base else None,
        )
        if session.accelerator.is_main_process:
            plot_training(read_metrics(folder), folder.root / "training.png", "val_iou", "validation IoU")
    rows = []
    for name in (key.removeprefix("accuracy ") for key in best if key.startswith("accuracy ")):
        iou = best.get(f"iou {name}")
        rows.append((name, "-" if iou is None else f"{iou:.3f}", f"{100 * best[f'accuracy {name}']:.2f} %"))
    if session.accelerator.is_main_process:
        head = ("occlusion", "foreground IoU", "pixel accuracy")
        print_table(session.console, head, rows, title="Segmentation, validation photos and styles")
    session.say(
        f"segmentation: mean IoU {best['iou']:.3f}; of photos of which nothing is covered {100 * best['triggered']:.1f} % "
        f"have a region that counts as covered -> {folder.model}"
    )


@command("segment-train", TRAINING, BEGINNING, settings={"segment": None})
def segment_train(
    shared: Shared,
    options: Layer,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Take the segmentation of another run with the same data set, split, seed and settings, instead of training one.",
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Train the segmentation, which finds what is covered.

    [bold]Examples[/bold]

    pdsn segment-train

    pdsn segment-train --data data/lfw --run runs/lfw --steps 4000 --height 128

    pdsn segment-train --from runs/lfw --data data/lfw --run runs/another-base
    """
    main(Session(shared, options, force=force), source)
