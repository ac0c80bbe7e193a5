"""Stage `segment-train`: the U-Net that finds what is covered."""

from __future__ import annotations

from stages.command import BEGINNING, TRAINING, command
from stages.options import Force, Layer
from stages.session import Session, Shared
from stages.tables import print_table


def main(session: Session) -> None:
    """Train the segmentation, or say that it is trained; prints its validation figures."""
    from pdsn.coverage.training import train_segmenter
    from pdsn.report.figures import plot_training
    from pdsn.training.batches import check_batch
    from pdsn.training.loop import read_metrics

    check_batch("segment.batch", session.settings.segment.batch, session.accelerator)
    folder = session.segmenter_folder
    done = folder.open(force=session.force, replace_other=session.replace)
    triggers = session.layout("LM2")
    session.begin()
    if done:
        best = folder.best()
        session.say(f"segmentation: trained already, {folder.model}")
    else:
        best = train_segmenter(
            session.training, session.settings.segment, folder, session.accelerator,
            session.settings.seed, triggers,
        )  # fmt: skip
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
        f"segmentation: mean IoU {best['iou']:.3f}; {100 * best['triggered']:.1f} % of clean photos "
        f"have a region that counts as covered -> {folder.model}"
    )


@command("segment-train", TRAINING, BEGINNING, settings={"segment": None})
def segment_train(shared: Shared, options: Layer, force: Force = False) -> None:
    """Train the U-Net that finds what is covered.

    [bold]Examples[/bold]

    pdsn segment-train

    pdsn segment-train --data data/lfw --run runs/lfw --steps 4000 --height 128
    """
    main(Session(shared, options, force=force))
