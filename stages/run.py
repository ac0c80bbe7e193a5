"""Stage `run`: all stages in order, skipping what is done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pdsn.artefact import MODEL
from pdsn.errors import PdsnError, UsageError
from pdsn.run.directory import SYNTHETIC
from pdsn.run.stages import all_steps
from pdsn.run.strategies import preferred
from stages import asking, base_import, base_train, evaluate, evaluated, making, prepare, report
from stages.command import BEGINNING, EVERYTHING, command
from stages.options import AnyStrategies, Force, Layer, whole_paths
from stages.session import Session, Shared


def main(
    shared: Shared, options: Layer, *, photos: Path | None, strategies: Sequence[str] | None, force: bool
) -> None:
    """Prepare (with `photos`), train or import the base, train masks, build dictionaries, tune the head
    (where the preset says so), train the segmentation, evaluate."""
    began = time.perf_counter()
    if photos is not None and shared.data == SYNTHETIC:
        raise UsageError("--photos and --data synthetic exclude each other: leave one out")
    own = str(shared.run / "data") if photos is not None and shared.data is None else None
    session = Session(shared, options, force=force, data=own, all_stages=True)
    asked = strategies or session.settings.dictionary.strategies
    names = session.strategy_names(asked, "" if strategies else "dictionary.strategies")
    asking.check_names(session, ())
    session.strategy(session.head_strategy, "head.strategy")
    (base_import if session.settings.pretrained.arch else base_train).check(session)
    if photos is not None:
        elsewhere = "--run" if shared.data is None else "--run and --data"
        _prepare(session, photos, force=force, elsewhere=elsewhere)
    asking.check_data(session, session.settings.eval)  # not after hours of training
    if force and photos is None:
        session.begin(rebuilding=True)
    steps = all_steps(session, names)
    making.announce(session, [step.left() for step in steps if step.missing], "to do")
    for step in steps:
        making.run(session, step)
    _make_tables(session)
    if session.run.rebuilding and session.accelerator.is_main_process:
        session.run.rebuilt()
    if session.accelerator.is_main_process:
        try:
            session.say(f"page to look at: {report.main([session.run.root], None, faces=True)}")
        except (PdsnError, OSError) as error:  # what was made counts without its page
            session.say(f"no page: {error}")
    known = session.run.dictionaries()
    taken = next((name for name in preferred(session.settings.dictionary) if name in known), None)
    if taken is not None:
        session.say(f"`pdsn identify` and `pdsn verify` compare new photos under {taken}")
    session.say(f"run: done in {time.perf_counter() - began:.0f} s, everything is in {session.run.root}")


def _prepare(session: Session, photos: Path, *, force: bool, elsewhere: str) -> None:
    """Prepare the photos, see `prepare.prepare`; what can be found wrong at once is, before that."""
    from pdsn.bases.imported import check_weights
    from pdsn.data.photos import list_photos

    new, earlier = not session.run.about, session.run.preparing
    if force and not new:
        list_photos(photos)  # before the run remembers that it is made anew
        session.begin(rebuilding=True)
    pretrained = session.settings.pretrained
    if pretrained.arch and not (session.run.base / MODEL).is_file():
        check_weights(pretrained)  # not after minutes of preparing
    root = session.run.data_set(session.data)
    config = prepare.for_architecture(session.settings.prepare, pretrained.architecture)
    if new:
        session.begin_preparing()
    try:
        prepare.prepare(
            photos,
            root,
            config,
            session.accelerator,
            force=force,
            replace_other=session.replace,
            elsewhere=elsewhere,
        )
    except PdsnError:
        if new:
            session.stop_preparing(earlier)
        raise


def _make_tables(session: Session) -> None:
    """The run's own tables: they have every strategy that there is, not only those that this call names."""
    names, left_out = asking.usable(session)
    for reason in left_out:
        session.say(f"left out of the table: {reason}")
    table = evaluate.main(session, names, skip_done=True, quiet=True)
    painted = None
    # The honest case beside the usual one, wherever there are photos to paint on.
    if session.settings.eval.align == "clean" and session.data != SYNTHETIC:
        try:
            _ = session.original_photos
        except PdsnError as error:
            session.say(f"no table of photos painted before detection: {error}")
        else:
            painted = evaluate.main(session, names, skip_done=True, align="occluded", quiet=True)
    if table is not None:
        evaluated.show_short(session, table, painted)


@command("run", EVERYTHING, BEGINNING, settings={"pretrained": ("arch", "weights")})
def run(
    shared: Shared,
    options: Layer,
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Photos, a folder per person: prepared with the preset's settings first."
        ),
    ] = None,
    strategy: AnyStrategies = None,
    force: Force = False,
) -> None:
    """Do all stages, skipping what is done.

    [bold]Examples[/bold]

    pdsn run

    pdsn run --photos lfw --run runs/lfw

    pdsn run --photos lfw --arch mobilefacenet --weights mobilefacenet.npz --run runs/mobilefacenet
    """
    main(shared, whole_paths(options), photos=photos, strategies=strategy, force=force)
