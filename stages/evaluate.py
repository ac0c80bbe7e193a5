"""Stage `eval`: the table of recognition under occlusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from pdsn.run.stages import lacking
from stages import evaluated, photographs
from stages.asking import check_data, check_names, in_order, made_from, question, usable
from stages.command import MAKING, RECOGNITION, command
from stages.eval_table import make_table
from stages.making import make, refuse
from stages.options import AnyStrategies, Json, Layer
from stages.photo_options import StrangersDir
from stages.session import Session, Shared
from stages.tables import print_json

DEFAULT = "LM2"
"""The strategy that is made where a run has none."""


def main(
    session: Session,
    strategies: Sequence[str] | None,
    *,
    skip_done: bool = False,
    align: str | None = None,
    gallery: Path | None = None,
    probes: Sequence[Path] = (),
    strangers: Path | None = None,
    quiet: bool = False,
) -> dict[str, Any] | None:
    """Evaluate some strategies (default: all that have a dictionary) beside no FDM, and print the table.

    What the run itself asks (its own settings, all strategies) makes the run's own table; anything else goes to
    a folder of its own. With `skip_done`, a table that was made from the same inputs and settings is printed
    again. `align` takes the place of the setting. With `gallery` and `probes`, folders of a folder per person, these
    photographs are enrolled and asked about as they are; thresholds follow from the people of `strangers`, a folder, too.
    With `quiet` the table is not printed.

    Returns:
        What is in the table's table.json; None in other processes than the main one.
    """
    from pdsn.artefact import describe, done_from
    from pdsn.evaluation.evaluation import PROTOCOL
    from pdsn.evaluation.question import name_of
    from pdsn.run.strategies import refuse_closed

    asked = session.settings.eval if align is None else replace(session.settings.eval, align=align)
    given = check_names(session, strategies or ())
    if strategies is not None:
        strategies = given
    listed = photographs.listed(session, gallery, probes, strangers)
    if listed is not None:
        refuse_closed(session.columns)
        asked = photographs.of_photographs(asked)
    wanted = strategies if strategies is not None else [] if session.run.dictionaries() else [DEFAULT]
    steps = lacking(
        session, dictionaries=wanted, matchers=session.columns, segmenter=asked.source == "segmenter"
    )
    refuse(session, steps)
    if listed is None:
        check_data(session, asked)
    make(session, steps)
    names = in_order(session, session.run.dictionaries()) if strategies is None else list(strategies)
    for name in names:
        session.strategy(name)
    _ = session.tuned
    masked = {name: session.fdm(name) for name in names}
    segmenter = session.segmenter() if asked.source == "segmenter" else None
    session.begin()
    if not session.accelerator.is_main_process:
        return None
    every, _ = usable(session)
    if set(names) == set(every):
        names = every  # the same question, whatever the order
    config = question(session, session.settings, asked, names)
    if listed is not None:
        config |= listed.asked()
    own = question(session, session.own, replace(session.own.eval, align=asked.align), every)
    other = name_of(config, own)
    inputs = made_from(session, names, session.columns, segmenter=segmenter is not None)
    inputs["protocol"] = PROTOCOL
    folder = session.run.table(other, asked.align)
    table = done_from(folder / "table.json", config, inputs, asked.BEFORE) if skip_done else None
    if table is None:
        described = describe(config, inputs)
        table = make_table(session, asked, masked, segmenter, listed, folder, described)
    if not quiet:
        evaluated.show(session, table, folder)
    if other:
        session.say(f"asked by options, as {other}: the run's own table, in {session.run.eval}, is as it was")
    return table


@command(
    "eval",
    RECOGNITION,
    MAKING,
    settings={"eval": None, "regions": ("share",)},
    default="what the run has",
    shared_help={"seed": "Seed of the occlusions, for this table alone. Default: the run's."},
)
def evaluate(
    shared: Shared,
    options: Layer,
    strategy: AnyStrategies = None,
    gallery: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Photographs to enrol instead of the run's own: a folder per person."
        ),
    ] = None,
    probes: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Photographs of the same people to recognise as they are: a folder per person. Several times for a row each, "
            "called as the folder is.",
        ),
    ] = None,
    strangers: StrangersDir = None,
    json: Json = False,
) -> None:
    """Recognise occluded test photos and print the table, one column per strategy.

    Without options it makes the run's own table, in eval/; what options ask for goes to a folder of its own in eval/asked.

    [bold]Examples[/bold]

    pdsn eval --occlusion all

    pdsn eval --occlusion sunglasses --strategy LM2

    pdsn eval --align occluded

    pdsn eval --run runs/people-apart --enrol 3 --draws 5

    pdsn eval --gallery passports --probes doors/masked --probes doors/unmasked --run runs/mine
    """
    session = Session(shared, options, keep=False)
    if json:
        session.console = Console(stderr=True)
    table = main(session, strategy, gallery=gallery, probes=probes or (), strangers=strangers)
    if json and table is not None:
        print_json({"format": 1, **table})
