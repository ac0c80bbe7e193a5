"""Stage `eval`: the table of recognition under occlusion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pdsn.run.stages import lacking
from stages import evaluated, photographs, table_pictures
from stages.asking import (
    check_data,
    check_names,
    enrolment_of,
    find_occluders,
    in_order,
    made_from,
    question,
    usable,
)
from stages.command import MAKING, RECOGNITION, command
from stages.making import make, refuse
from stages.options import AnyStrategies, Json, Layer
from stages.photo_options import StrangersDir
from stages.session import Session, Shared
from stages.tables import print_json

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pdsn.calibration.strangers import Strangers
    from pdsn.data.dataset import FaceDataset
    from pdsn.evaluation.answers import Answer
    from pdsn.evaluation.enrolment import Enrolment
    from pdsn.evaluation.evaluation import Evaluation
    from pdsn.evaluation.photographs import Listed, Photographs
    from pdsn.evaluation.probes import MakeProbes, Probes
    from pdsn.evaluation.settings import EvalConfig
    from pdsn.matchers.matcher import Matcher
    from pdsn.occlusion.layouts import Layout
    from pdsn.occlusion.occluder import Occluder

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
    from pdsn.masks.strategy import NO_FDM
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
    seed = session.settings.seed
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
    inputs = {
        **made_from(session, names, session.columns, segmenter=segmenter is not None), "protocol": PROTOCOL,
    }  # fmt: skip
    folder = session.run.table(other, asked.align)
    table = done_from(folder / "table.json", config, inputs, asked.BEFORE) if skip_done else None
    if table is None:
        from pdsn.occlusion.occluders import BANDS
        from pdsn.report.table import drafting, write_report

        further = {name: session.matcher(name) for name in session.columns}
        matchers = {NO_FDM: session.matcher(NO_FDM), **masked, **further}
        layouts = {name: matcher.dictionary.layout for name, matcher in masked.items()}
        find_covered = None if segmenter is None else segmenter.covered
        probed = _painted(session, asked) if listed is None else _photographed(session, listed)
        # The old table and its pictures stay until the new ones are complete.
        with drafting(folder) as figures:
            evaluation = _evaluate(
                session,
                matchers,
                layouts,
                probed,
                photographs.strangers_of(session, listed),
                find_covered,
                asked.draws,
                figures,
            )
            # Photographs have other photos in each row, whatever their folders are called: no mean of these.
            bands = [name for name in BANDS if name in probed.occluders and probed.photographs is None]
            table = {
                "records": evaluation.records(bootstrap=asked.bootstrap, seed=seed),
                "segmentation": [] if segmenter is None else evaluation.segmentation,
                "mean_gain": evaluation.mean_gains(bands, bootstrap=asked.bootstrap, seed=seed),
                "left_out": evaluation.left_out,
                "shown": table_pictures.shown_strategy(session, matchers),
                **(
                    {}
                    if probed.photographs is None
                    else {"photographs": photographs.described(probed.photographs)}
                ),
                **describe(config, inputs),
            }
            table_pictures.draw_table(session, layouts, table["records"], figures)
            if probed.photographs is None and asked.align == "clean":
                table_pictures.draw_examples(
                    session, evaluation.answers, matchers, probed.occluders, find_covered, figures
                )
            write_report(folder, evaluation, table)
    if not quiet:
        evaluated.show(session, table, folder)
    if other:
        session.say(f"asked by options, as {other}: the run's own table, in {session.run.eval}, is as it was")
    return table


@dataclass(frozen=True)
class Probed:
    """What a table asks about.

    Attributes:
        dataset: holds the faces of gallery and probes.
        enrolment: who is enrolled and who is asked about.
        occluders: by the rows of the table.
        make_probes: makes the probes of a row.
        photographs: what was read, where probes are not painted.
    """

    dataset: FaceDataset
    enrolment: Enrolment
    occluders: Mapping[str, Occluder]
    make_probes: MakeProbes
    photographs: Photographs | None = None


def _painted(session: Session, asked: EvalConfig) -> Probed:
    """The run's own photos, painted over."""
    enrolment = enrolment_of(session, asked)
    photos = session.original_photos if asked.align == "occluded" else None
    make_probes = _probes(session, enrolment.probes, photos)
    return Probed(session.dataset, enrolment, find_occluders(session, asked), make_probes)


def _photographed(session: Session, listed: Listed) -> Probed:
    """Photographs as they are: each folder of probes is a row."""
    from pdsn.occlusion.occluders import Nothing

    found = photographs.read(session, listed)
    rows = {name: Nothing() for name in listed.probes}
    return Probed(found.dataset, found.enrolment, rows, found.make_probes, found)


def _evaluate(
    session: Session,
    matchers: dict[str, Matcher],
    layouts: dict[str, Layout],
    probed: Probed,
    strangers: Strangers,
    find_covered: Callable[[Tensor], Tensor] | None,
    draws: int,
    figures: Path,
) -> Evaluation:
    """Ask every matcher; a picture of each occlusion's first draw, by the strategy that `identify` takes too."""
    from pdsn.calibration.strangers import LOOKS
    from pdsn.evaluation.evaluation import evaluate
    from pdsn.masks.strategy import NO_FDM
    from pdsn.occlusion.occluders import is_fixed
    from pdsn.progress import progress_bar
    from pdsn.report.probes import plot_probes

    shown = table_pictures.shown_strategy(session, matchers)

    def picture(answers: Mapping[str, Answer], probes: Probes, covered: Tensor) -> None:
        file = answers[shown].occlusion.replace("/", "-").replace(":", "-")
        plot_probes(
            probed.dataset, answers[shown], answers[NO_FDM], probes.faces, covered, layouts.get(shown),
            figures / f"probes-{file}.png",
        )  # fmt: skip

    asked = sum(1 if is_fixed(occluder) else draws for occluder in probed.occluders.values())
    with progress_bar("eval", asked * len(matchers) + len(LOOKS), "answers") as advance:
        return evaluate(
            probed.dataset, matchers, probed.occluders, probed.enrolment, strangers,
            make_probes=probed.make_probes,
            find_covered=find_covered,
            triggers=session.layout("LM2"),
            share=session.settings.regions.share,
            draws=draws,
            on_look=lambda look: advance(1, note=f"thresholds, {look}"),
            on_answer=lambda answer: advance(1, note=f"{answer.occlusion}, {answer.strategy}"),
            on_first_draw=picture,
        )  # fmt: skip


def _probes(session: Session, rows: np.ndarray, photos: Path | None) -> MakeProbes:
    from pdsn.evaluation.probes import PhotoProbes, aligned_probes

    if photos is None:
        return aligned_probes(session.dataset, rows, session.settings.seed)
    made, detect = session.finding_faces()
    return PhotoProbes(session.dataset, rows, session.settings.seed, photos, detect, made)


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
