"""Stage `mask-train`: one mask generator per region, or masks learned in the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from pdsn.errors import UsageError
from pdsn.run.stages import lacking
from stages.command import MAKING, TRAINING, command
from stages.making import make
from stages.options import Force, Layer
from stages.session import Session, Shared
from stages.tables import print_table


def main(session: Session, strategies: Sequence[str] | None) -> None:
    """Train the masks of some strategies (default LM2); those that are trained are left alone."""
    from pdsn.artefact import making
    from pdsn.masks.maker import ALL
    from pdsn.training.batches import check_batch

    names = session.strategy_names(strategies or ["LM2"])
    for name in names:
        if not session.maker(name).learns:
            go_on = making(f"pdsn build-dictionary --strategy {name}", session.run.dictionary(name))
            raise UsageError(f"--strategy {name} is a control and has no generator: go on with `{go_on}`")
    make(session, lacking(session))
    for setting in dict.fromkeys(session.maker(name).setting for name in names):
        section, _, field = setting.partition(".")
        check_batch(setting, getattr(getattr(session.settings, section), field), session.accelerator)
    model, base = session.base()
    maps = session.pair_maps(model, base)
    todo = []
    for name in names:
        for label, folder in session.mask_trainings(name, base).items():
            done = folder.open(force=session.force, replace_stale=True, replace_other=session.replace)
            todo.append((name, label, folder, done))
    session.begin()
    for *_, folder, done in todo:
        # All at once: after a kill between two of them the same command, without --force, goes on with the others.
        if not done and folder.described.is_file():
            folder.begin()
    rows, mixed = [], []
    for name, label, folder, done in todo:
        train = session.maker(name).train
        assert train is not None
        best = folder.best() if done else train(session, maps, model, session.regions_of(name), label, folder)
        if "rank1_masked" in best or label != ALL:
            rows.append(
                (name, label, _percent(best, "rank1_unmasked"), _percent(best, "rank1_masked", "accuracy"))
            )
        else:
            mixed.append((name, _percent(best, "accuracy")))
    if not session.accelerator.is_main_process:
        return
    if rows:
        head = ("strategy", "region", "rank-1 without", "with the mask")
        print_table(session.console, head, rows, title="Masks, occluded validation photos", text=["region"])
    for name, rate in mixed:
        session.say(
            f"{name}: rank-1 {rate} with its masks, of validation photos under many kinds of cover; without them it was not measured"
        )


def _percent(best: dict[str, float], *names: str) -> str:
    """The first of some rates that there is, in per cent; generators that were trained before it was measured have none."""
    return next((f"{100 * best[name]:.1f} %" for name in names if name in best), "-")


@command(
    "mask-train", TRAINING, MAKING, settings={"masks": None, "regions": None, "dictionary": ("regions",)}
)
def mask_train(
    shared: Shared,
    options: Layer,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="grid3x3, LM1, LM2, LM2-split, matched or MAKER@LAYOUT; several times for several. Default LM2.",
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Train one mask generator per region of a layout, or the masks of `matched`, with the base frozen.

    --epochs, --batch, --lr, --lambda and the like are the generators'; what matched has, [matching], goes into a --config.

    [bold]Examples[/bold]

    pdsn mask-train --strategy LM2

    pdsn mask-train --strategy LM1 --strategy grid3x3 --epochs 12
    """
    main(Session(shared, options, force=force), strategy)
