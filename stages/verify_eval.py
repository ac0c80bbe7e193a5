"""Stage `verify-eval`: how well pairs of photos are told to show one person or two, clean and occluded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pdsn.errors import UsageError
from pdsn.run.stages import lacking
from stages.asking import check_names, find_occluders, made_from, question, usable
from stages.command import MAKING, RECOGNITION, command
from stages.making import make, refuse
from stages.options import AnyStrategies, Json, Layer
from stages.session import Session, Shared
from stages.tables import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from torch import Tensor

    from pdsn.evaluation.pair_lists import PairList
    from pdsn.evaluation.pairs import PairScorer, ScoredPairs
    from pdsn.evaluation.settings import EvalConfig
    from pdsn.occlusion.occluder import Occluder

ASKED = ("occlusions", "split", "source", "mirror", "head", "unmasked", "bootstrap", "matchers", "fuse")
"""The settings of a table that mean something to pairs of photos."""
DEFAULT = "LM2"
RESAMPLES = 200
"""Behind each interval, at most: a resample goes through all pairs."""
FIXED = 0.01
"""FMR among clean validation pairs at which the fixed threshold lies."""


def main(
    session: Session, strategies: Sequence[str] | None, pairs: Path | None = None, photos: Path | None = None
) -> dict[str, Any] | None:
    """Score pairs by some strategies (default: all that have a dictionary) beside no FDM, and print the figures.

    The pairs are those of the test photos, painted over, or with `pairs` those of a list, of photos in `photos` as they are.

    Returns:
        What is in table.json; None in other processes than the main one.
    """
    from pdsn.artefact import describe
    from pdsn.calibration.strangers import Strangers
    from pdsn.evaluation.pairs import PairScorer, paired_rows
    from pdsn.evaluation.question import name_of
    from pdsn.files import sha256_of
    from pdsn.masks.strategy import NO_FDM
    from pdsn.report.verification import write_verification
    from pdsn.run.strategies import refuse_closed

    asked = _of_pairs(session.settings.eval)
    given = check_names(session, strategies or ())
    refuse_closed(session.columns)
    listed = _read_list(session, pairs, photos)
    wanted = given if strategies is not None else [] if session.run.dictionaries() else [DEFAULT]
    steps = lacking(
        session, dictionaries=wanted, matchers=session.columns, segmenter=asked.source == "segmenter"
    )
    refuse(session, steps)
    rows = paired_rows(session.dataset, asked.split if listed is None else "val", session.settings.split)
    make(session, steps)
    every, _ = usable(session)
    names = every if strategies is None else given
    occluders = find_occluders(session, asked)
    session.begin()
    if not session.accelerator.is_main_process:
        return None
    further = {name: session.matcher(name) for name in session.columns}
    matchers = {NO_FDM: session.matcher(NO_FDM), **{name: session.fdm(name) for name in names}, **further}
    find_covered = session.segmenter().covered if asked.source == "segmenter" else None
    scorer = PairScorer(matchers, Strangers.of(session.dataset, session.settings.split))
    thresholds = _fixed_thresholds(session, scorer, find_covered)
    missed: list[str] = []
    if listed is None:
        found = _scored(session, scorer, rows, occluders, find_covered)
    else:
        assert photos is not None and find_covered is not None
        found, missed = _scored_list(session, scorer, listed, photos, find_covered)
    records = _records(session, found, thresholds, listed)
    config = question(session, session.settings, asked, names)
    own = question(session, session.own, _of_pairs(session.own.eval), every)
    if pairs is not None:
        config |= {"pairs": f"{pairs.stem}-{sha256_of(pairs)[:8]}"}
    folder = session.run.verification(name_of(config, own))
    inputs = made_from(session, names, session.columns, segmenter=find_covered is not None)
    table = {
        "photos": len(rows) if listed is None else len(listed.files),
        "records": records,
        "missed": missed,
        **describe(config, inputs),
    }
    write_verification(folder, found, table)
    _show(session, table)
    session.say(f"table and plots: {folder}")
    return table


def _of_pairs(asked: EvalConfig) -> EvalConfig:
    """The settings of a table as they hold for pairs: a pair is of two photos, nobody's other photos count."""
    return replace(asked, compare="nearest", align="clean", draws=1)


def _records(
    session: Session,
    found: Mapping[tuple[str, str, str], ScoredPairs],
    thresholds: Mapping[str, float | None],
    listed: PairList | None,
) -> list[dict[str, Any]]:
    """The figures of each occlusion, kind of pairs and strategy, kind by kind."""
    from pdsn.evaluation.pairs import KINDS
    from pdsn.evaluation.verification import DISTANCES, figures, intervals, separation

    draws, seed = min(session.settings.eval.bootstrap, RESAMPLES), session.settings.seed
    records = [
        {
            "occlusion": occlusion,
            "kind": kind,
            "strategy": name,
            **figures(scored.scores, threshold=thresholds[name]),
            "ci95": intervals(scored.scores, draws=draws, seed=seed),
            "distances": {distance: separation(scored.cosines, distance) for distance in DISTANCES},
            **_by_folds(listed, scored),
        }
        for (occlusion, kind, name), scored in found.items()
    ]
    return sorted(records, key=lambda record: KINDS.index(str(record["kind"])))


def _read_list(session: Session, pairs: Path | None, photos: Path | None) -> PairList | None:
    """The list of pairs that was asked for, None for the run's test photos."""
    if pairs is None and photos is None:
        return None
    if pairs is None or photos is None:
        raise UsageError("--pairs FILE and --photos DIR go together: give both, or none")
    if "occlusions" in session.asked.get("eval", {}):
        raise UsageError("--occlusion paints on the run's test photos: leave it out with --pairs")
    if session.settings.eval.source != "segmenter":
        raise UsageError("--occlusion-source oracle knows what was painted; with --pairs take segmenter")
    from pdsn.evaluation.pair_lists import read_pairs

    return read_pairs(pairs, photos)


def _scored_list(
    session: Session,
    scorer: PairScorer,
    listed: PairList,
    photos: Path,
    find_covered: Callable[[Tensor], Tensor],
) -> tuple[dict[tuple[str, str, str], ScoredPairs], list[str]]:
    """What the pairs of a list score, and which photos show no face, with the reason."""
    import numpy as np

    from pdsn.evaluation.pair_lists import read_faces
    from pdsn.evaluation.pairs import LISTED
    from pdsn.matchers.matcher import Faces
    from pdsn.progress import progress_bar

    crop, detect = session.finding_faces()
    with progress_bar("verify-eval", len(listed.files), "photos") as advance:
        pixels, reasons = read_faces(photos, listed.files, crop, detect, lambda count: advance(count))
    faces, seen = Faces(pixels, find_covered(pixels)), np.array([not reason for reason in reasons])
    sides = scorer.side(faces, seen, "probe"), scorer.side(faces, seen, "gallery")
    scored = scorer.score_listed(*sides, listed.pairs, listed.same, listed.people())
    missed = [f"{file}: {reason}" for file, reason in zip(listed.files, reasons, strict=True) if reason]
    return {("photos", LISTED, name): own for name, own in scored.items()}, missed


def _by_folds(listed: PairList | None, scored: ScoredPairs) -> dict[str, dict[str, float]]:
    """Accuracy by the folds of a list, where it has some."""
    from pdsn.evaluation.verification import folds_accuracy

    if listed is None or listed.folds is None:
        return {}
    mean, error = folds_accuracy(scored.scores, listed.folds[listed.same], listed.folds[~listed.same])
    return {"folds": {"accuracy": mean, "standard_error": error}}


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
            scorer,
            session.dataset.labels[rows].astype("int64"),
            occluders,
            make_probes=aligned_probes(session.dataset, rows, session.settings.seed),
            find_covered=find_covered,
            on_scored=lambda occlusion, kind: advance(1, note=f"{occlusion}, {kind}"),
        )


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
    listed = "pairs" in table["config"]
    of = "photos of a list" if listed else f"{table['config']['split']} photos of {whom}"
    session.say(f"pairs of {table['photos']} {of}")
    if table["missed"]:
        first = ", ".join(table["missed"][:3])
        session.say(f"{len(table['missed'])} photos without a face, whose pairs count as no match: {first}")
    for kind in dict.fromkeys(record["kind"] for record in records):
        own = {(r["occlusion"], r["strategy"]): r for r in records if r["kind"] == kind}
        for figure, title in (("eer", "EER, %"), ("tar1e-2", "TAR at FAR 1e-2, %")):
            if all(record[figure] is None for record in own.values()):
                continue
            rows = [
                (occlusion, *(percent(own[occlusion, name][figure]) for name in names))
                for occlusion in dict.fromkeys(occlusion for occlusion, _ in own)
            ]
            head = ("photos" if listed else "occlusion", *map(heading, names))
            print_table(session.console, head, rows, title=f"{kind}: {title}")

    for record in records:
        if "folds" in record:
            mean, error = (100 * record["folds"][name] for name in ("accuracy", "standard_error"))
            session.say(
                f"{heading(record['strategy'])}: accuracy by folds {mean:.2f} % (standard error {error:.2f})"
            )


@command(
    "verify-eval",
    RECOGNITION,
    MAKING,
    settings={"eval": ASKED, "regions": ("share",)},
    default="what the run has",
    shared_help={"seed": "Seed of the occlusions, for this table alone. Default: the run's."},
)
def verify_eval(
    shared: Shared,
    options: Layer,
    strategy: AnyStrategies = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A list of pairs of photos: `a.jpg b.jpg 1` a line, LFW's pairs.txt, or MFR2's.",
        ),
    ] = None,
    photos: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder that the photos of --pairs lie in.")
    ] = None,
    json: Json = False,
) -> None:
    """Say how well pairs of photos are told to show one person or two: ROC, EER, TAR, distances.

    Pairs are of two clean photos, of a clean and an occluded one, and of two occluded ones. Of each person at most 20 photos count.

    [bold]Examples[/bold]

    pdsn verify-eval

    pdsn verify-eval --occlusion face-mask --occlusion clean --strategy matched --run runs/people-apart

    pdsn verify-eval --pairs pairs.txt --photos lfw --run runs/mine
    """
    session = Session(shared, options, keep=False)
    if json:
        session.console = Console(stderr=True)
    table = main(session, strategy, pairs, photos)
    if json and table is not None:
        print_json(table)
