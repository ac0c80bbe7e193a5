"""Stage `head-train`: the base's head, trained on under random FDMs."""

from __future__ import annotations

from pdsn.errors import UsageError
from pdsn.run.stages import lacking
from stages.command import MAKING, TRAINING, command
from stages.making import make
from stages.options import Force, Layer
from stages.session import Session, Shared


def main(session: Session) -> None:
    """Train the head under the FDMs of a dictionary, or say that it is trained; prints its validation figures."""
    from pdsn.masks.head_tuning import train_head
    from pdsn.report.figures import plot_training
    from pdsn.training.batches import check_batch
    from pdsn.training.loop import read_metrics

    settings = session.settings
    if settings.pretrained.arch:
        raise UsageError(
            f"the base of {session.run.root} is imported, {settings.pretrained.arch}: its head stays as it is"
        )
    if session.settings.base.kind == "siamese":
        raise UsageError(
            f"the base of {session.run.root} is siamese: it has no classifier of its own to train its head with"
        )
    check_batch("head.batch", settings.head.batch, session.accelerator)
    [name] = session.strategy_names([session.head_strategy], "head.strategy")
    make(session, lacking(session, dictionaries=[name]))
    model, base = session.base()
    dictionary = session.dictionary(name, base)
    folder = session.head_folder(base)
    done = folder.open(force=session.force, replace_stale=True, replace_other=session.replace)
    session.begin()
    if done:
        best = folder.best()
        session.say(f"head: trained already, {folder.model}")
    else:
        best = train_head(
            session.pair_maps(model, base),
            model,
            dictionary,
            settings.regions.share,
            settings.head,
            folder,
            session.accelerator,
            settings.seed,
        )
        if session.accelerator.is_main_process:
            plot_training(
                read_metrics(folder), folder.root / "training.png", "val_accuracy", "validation, named right"
            )
    session.say(
        f"head: right on {100 * best['accuracy_clean']:.2f} % of the clean validation photos and "
        f"{100 * best['accuracy_occluded']:.2f} % of the occluded ones, under the FDMs of {name} -> {folder.model}"
    )


@command("head-train", TRAINING, MAKING, settings={"head": None})
def head_train(shared: Shared, options: Layer, force: Force = False) -> None:
    """Train the base's head once more, under random FDMs of a dictionary; trunk and masks stay as they are.

    From then on every recogniser of the run takes this head; `eval --no-head` does not.

    [bold]Examples[/bold]

    pdsn head-train

    pdsn head-train --strategy LM2 --steps 1200 --run runs/lfw
    """
    main(Session(shared, options, force=force))
