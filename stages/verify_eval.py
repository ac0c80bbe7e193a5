"""Stage `verify-eval`: how well pairs of photos are told to show one person or two, clean and occluded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pdsn.run.stages import lacking
from stages.command import MAKING, RECOGNITION, command
from stages.evaluate import check_names, find_occluders, question, usable
from stages.making import make, refuse
from stages.options import AnyStrategies, Json, Layer
from stages.session import Session, Shared
from stages.tables import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from torch import Tensor

    from pdsn.evaluation.pairs import PairScorer, ScoredPairs
    from pdsn.occlusion.occluders import Occluder

ASKED = ("occlusions", "split", "source", "mirror", "head", "unmasked", "bootstrap", "matchers")
"""The settings of a table that mean something to pairs of photos."""
DEFAULT = "LM2"
RESAMPLES = 500
"""Behind each interval, at most: a resample goes through all pairs."""
FIXED = 0.01
"""FMR among clean validation pairs at which the fixed threshold lies."""


def main(session: Session, strategies: Sequence[str] | None) -> dict[str, Any] | None:
    """Score pairs by some strategies (default: all that have a dictionary) beside no FDM, and print the figures.

    Returns:
        What is in table.json; None in other processes than the main one.
    """
    from pdsn.artefact import describe
    from pdsn.calibration.strangers import Strangers
    from pdsn.evaluation.pairs import KINDS, PairScorer, paired_rows
    from pdsn.evaluation.question import name_of
    from pdsn.evaluation.verification import DISTANCES, figures, intervals, separation
    from pdsn.masks.strategy import NO_FDM
    from pdsn.report.verification import write_verification

    # A pair is of two photos: nobody's other photos count.
    asked = replace(session.settings.eval, compare="nearest", align="clean", draws=1)
    given = check_names(session, strategies or ())
    wanted = given if strategies is not None else [] if session.run.dictionaries() else [DEFAULT]
    steps = lacking(session, dictionaries=wanted, segmenter=asked.source == "segmenter")
    refuse(session, steps)
    rows = paired_rows(session.dataset, asked.split, session.settings.split)
    make(session, steps)
    every, _ = usable(session)
    names = every if strategies is None else given
    occluders = find_occluders(session, asked)
    session.begin()
    if not session.accelerator.is_main_process:
        return None
    further = {name: session.matcher(name) for name in asked.matchers}
    matchers = {NO_FDM: session.matcher(NO_FDM), **{name: session.fdm(name) for name in names}, **further}
    find_covered = session.segmenter().covered if asked.source == "segmenter" else None
    scorer = PairScorer(matchers, Strangers.of(session.dataset, session.settings.split))
    found = _scored(session, scorer, rows, occluders, find_covered)
    thresholds = _fixed_thresholds(session, scorer, find_covered)
    records = [
        {
            "occlusion": occlusion,
            "kind": kind,
            "strategy": name,
            **figures(scored.scores, threshold=thresholds[name]),
            "ci95": intervals(
                scored.scores, draws=min(asked.bootstrap, RESAMPLES), seed=session.settings.seed
            ),
            "distances": {distance: separation(scored.cosines, distance) for distance in DISTANCES},
        }
        for (occlusion, kind, name), scored in found.items()
    ]
    records.sort(key=lambda record: KINDS.index(str(record["kind"])))
    config = question(session, session.settings, asked, names)
    own = question(
        session, session.own, replace(session.own.eval, compare="nearest", align="clean", draws=1), every
    )
    folder = session.run.verification(name_of(config, own))
    _, networks = session.tuned
    table = {
        "photos": len(rows),
        "records": records,
        **describe(config, {**networks, "data set": session.dataset.sha256}),
    }
    write_verification(folder, found, table)
    _show(session, table)
    session.say(f"table and plots: {folder}")
    return table


def _scored(
    session: Session,
    scorer: PairScorer,
    rows: np.ndarray,
    occluders: Mapping[str, Occluder],
    find_covered: Callable[[Tensor], Tensor] | None,
) -> dict[tuple[str, str, str], ScoredPairs]:
    from pdsn.evaluation.pairs import verify_pairs
    from pdsn.evaluation.probes import aligned_probes
    from pdsn.occlusion.occluders import CLEAN
    from pdsn.progress import progress_bar

    total = sum(1 if name == CLEAN else 2 for name in occluders)
    with progress_bar("verify-eval", total, "kinds of pairs") as advance:
        return verify_pairs(
            scorer, session.dataset.labels[rows].astype("int64"), occluders,
            make_probes=aligned_probes(session.dataset, rows, session.settings.seed),
            find_covered=find_covered,
            on_scored=lambda occlusion, kind: advance(1, note=f"{occlusion}, {kind}"),
        )  # fmt: skip


def _fixed_thresholds(
    session: Session, scorer: PairScorer, find_covered: Callable[[Tensor], Tensor] | None
) -> dict[str, float | None]:
    """Of each matcher, the threshold that `FIXED` of the clean validation pairs of two people pass; None if these are few."""
    from pdsn.evaluation.pairs import KINDS, paired_rows
    from pdsn.evaluation.verification import threshold_at, told
    from pdsn.occlusion.occluders import CLEAN, Nothing

    rows = paired_rows(session.dataset, "val", session.settings.split)
    found = _scored(session, scorer, rows, {CLEAN: Nothing()}, find_covered)
    scores = {name: found[CLEAN, KINDS[0], name].scores for name in scorer.matchers}
    return {
        name: threshold_at(own, FIXED) if told(len(own.impostor), FIXED) else None
        for name, own in scores.items()
    }


def _show(session: Session, table: dict[str, Any]) -> None:
    """A table for each kind of pair: EER and TAR at a FAR of 1 %, a row for each occlusion, a column for each strategy."""
    from pdsn.masks.strategy import heading
    from pdsn.report.verification import percent

    records = table["records"]
    names = list(dict.fromkeys(record["strategy"] for record in records))
    by_person = table["config"]["split_by"] == "person"
    whom = "people never seen" if by_person else "the run's people"
    session.say(f"pairs of {table['photos']} {table['config']['split']} photos of {whom}")
    for kind in dict.fromkeys(record["kind"] for record in records):
        own = {(r["occlusion"], r["strategy"]): r for r in records if r["kind"] == kind}
        for figure, title in (("eer", "EER, %"), ("tar1e-2", "TAR at FAR 1e-2, %")):
            if all(record[figure] is None for record in own.values()):
                continue
            rows = [
                (occlusion, *(percent(own[occlusion, name][figure]) for name in names))
                for occlusion in dict.fromkeys(occlusion for occlusion, _ in own)
            ]
            head = ("occlusion", *map(heading, names))
            print_table(session.console, head, rows, title=f"{kind}: {title}")


@command(
    "verify-eval",
    RECOGNITION,
    MAKING,
    settings={"eval": ASKED, "regions": ("share",)},
    default="what the run has",
    shared_help={"seed": "Seed of the occlusions, for this table alone. Default: the run's."},
)
def verify_eval(shared: Shared, options: Layer, strategy: AnyStrategies = None, json: Json = False) -> None:
    """Say how well pairs of photos are told to show one person or two: ROC, EER, TAR, distances.

    Pairs are of two clean photos, of a clean and an occluded one, and of two occluded ones. Of each person at most 20 photos count.

    [bold]Examples[/bold]

    pdsn verify-eval

    pdsn verify-eval --occlusion face-mask --occlusion clean --strategy matched --run runs/people-apart
    """
    session = Session(shared, options, keep=False)
    if json:
        session.console = Console(stderr=True)
    table = main(session, strategy)
    if json and table is not None:
        print_json(table)
