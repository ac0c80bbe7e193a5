"""How the table of `eval` is made: all matchers are asked about painted photos, or about photographs as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages import photographs, table_pictures
from stages.asking import enrolment_of, find_occluders
from stages.session import Session

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pdsn.calibration.strangers import Strangers
    from pdsn.coverage.segmenter import Segmenter
    from pdsn.data.dataset import FaceDataset
    from pdsn.evaluation.answers import Answer
    from pdsn.evaluation.enrolment import Enrolment
    from pdsn.evaluation.evaluation import Evaluation
    from pdsn.evaluation.photographs import Listed, Photographs
    from pdsn.evaluation.probes import MakeProbes, Probes
    from pdsn.evaluation.settings import EvalConfig
    from pdsn.matchers.fdm import FDM
    from pdsn.matchers.matcher import Matcher
    from pdsn.occlusion.layouts import Layout
    from pdsn.occlusion.occluder import Occluder


def make_table(
    session: Session,
    asked: EvalConfig,
    masked: Mapping[str, FDM],
    segmenter: Segmenter | None,
    listed: Listed | None,
    folder: Path,
    described: Mapping[str, Any],
) -> dict[str, Any]:
    """Ask all matchers, and write the table with its pictures; the old ones stay until the new ones are complete.

    Args:
        session: the run.
        asked: the settings of the table.
        masked: the matchers with a mask dictionary, by strategy.
        segmenter: finds what is covered; None for the exact masks.
        listed: photographs to ask about; None for the run's own photos, painted over.
        folder: where the table goes.
        described: what the table is made from.

    Returns:
        What is in the table's table.json.
    """
    from pdsn.masks.strategy import NO_FDM
    from pdsn.occlusion.occluders import BANDS
    from pdsn.report.table import drafting, write_report

    further = {name: session.matcher(name) for name in session.columns}
    matchers = {NO_FDM: session.matcher(NO_FDM), **masked, **further}
    layouts = {name: matcher.dictionary.layout for name, matcher in masked.items()}
    find_covered = None if segmenter is None else segmenter.covered
    probed = _painted(session, asked) if listed is None else _photographed(session, listed)
    seed = session.settings.seed
    with drafting(folder) as figures:
        evaluation = _evaluate(session, matchers, layouts, probed, find_covered, asked.draws, figures)
        # Photographs have other photos in each row, whatever their folders are called: no mean of these.
        bands = [name for name in BANDS if name in probed.occluders and probed.photographs is None]
        table: dict[str, Any] = {
            "records": evaluation.records(bootstrap=asked.bootstrap, seed=seed),
            "segmentation": [] if segmenter is None else evaluation.segmentation,
            "mean_gain": evaluation.mean_gains(bands, bootstrap=asked.bootstrap, seed=seed),
            "left_out": evaluation.left_out,
            "shown": table_pictures.shown_strategy(session, matchers),
        }
        if probed.photographs is not None:
            table["photographs"] = photographs.described(probed.photographs)
        table |= described
        table_pictures.draw_table(session, layouts, table["records"], figures)
        if probed.photographs is None and asked.align == "clean":
            table_pictures.draw_examples(
                session, evaluation.answers, matchers, probed.occluders, find_covered, figures
            )
        write_report(folder, evaluation, table)
    return table


@dataclass(frozen=True)
class Probed:
    """What a table asks about.

    Attributes:
        dataset: holds the faces of gallery and probes.
        enrolment: who is enrolled and who is asked about.
        occluders: by the rows of the table.
        make_probes: makes the probes of a row.
        strangers: whom the thresholds follow from.
        photographs: what was read, where probes are not painted.
    """

    dataset: FaceDataset
    enrolment: Enrolment
    occluders: Mapping[str, Occluder]
    make_probes: MakeProbes
    strangers: Strangers
    photographs: Photographs | None = None


def _painted(session: Session, asked: EvalConfig) -> Probed:
    """The run's own photos, painted over."""
    enrolment = enrolment_of(session, asked)
    photos = session.original_photos if asked.align == "occluded" else None
    make_probes = _probes(session, enrolment.probes, photos)
    strangers = photographs.strangers_of(session, None)
    return Probed(session.dataset, enrolment, find_occluders(session, asked), make_probes, strangers)


def _photographed(session: Session, listed: Listed) -> Probed:
    """Photographs as they are: each folder of probes is a row."""
    from pdsn.occlusion.occluders import Nothing

    found = photographs.read(session, listed)
    rows = {name: Nothing() for name in listed.probes}
    strangers = photographs.strangers_of(session, listed)
    return Probed(found.dataset, found.enrolment, rows, found.make_probes, strangers, found)


def _evaluate(
    session: Session,
    matchers: dict[str, Matcher],
    layouts: dict[str, Layout],
    probed: Probed,
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
            probed.dataset,
            answers[shown],
            answers[NO_FDM],
            probes.faces,
            covered,
            layouts.get(shown),
            figures / f"probes-{file}.png",
        )

    asked = sum(1 if is_fixed(occluder) else draws for occluder in probed.occluders.values())
    with progress_bar("eval", asked * len(matchers) + len(LOOKS), "answers") as advance:
        return evaluate(
            probed.dataset,
            matchers,
            probed.occluders,
            probed.enrolment,
            probed.strangers,
            make_probes=probed.make_probes,
            find_covered=find_covered,
            triggers=session.layout("LM2"),
            share=session.settings.regions.share,
            draws=draws,
            on_look=lambda look: advance(1, note=f"thresholds, {look}"),
            on_answer=lambda answer: advance(1, note=f"{answer.occlusion}, {answer.strategy}"),
            on_first_draw=picture,
        )


def _probes(session: Session, rows: np.ndarray, photos: Path | None) -> MakeProbes:
    from pdsn.evaluation.probes import PhotoProbes, aligned_probes

    if photos is None:
        return aligned_probes(session.dataset, rows, session.settings.seed)
    made, detect = session.finding_faces()
    return PhotoProbes(session.dataset, rows, session.settings.seed, photos, detect, made)
