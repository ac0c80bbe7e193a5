"""`pdsn explain --evaluate`: explanations of the test photos, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pdsn.errors import PdsnError, UsageError
from stages.asking import check_names, enrolment_of, find_occluders, made_from, question
from stages.making import make
from stages.recognising import check_parts
from stages.session import Session
from stages.tables import print_table

if TYPE_CHECKING:
    from pdsn.run.settings import Settings

ASKED = (
    "occlusions", "split", "source", "mirror", "head", "unmasked", "bootstrap", "enrol", "split_by", "strategies", "floor", "share", "seed",
)  # fmt: skip
"""Of the settings of a table, those that mean something to explanations."""


def main(session: Session, strategy: str | None) -> dict[str, Any] | None:
    """Explain the test photos without an FDM and by a strategy, write the table and print it.

    Args:
        session: the run.
        strategy: None for the one that `identify` takes.

    Returns:
        What is in table.json; None in other processes than the main one.
    """
    import torch
    from rich.markup import escape

    from pdsn.artefact import describe
    from pdsn.data.dataset import evenly
    from pdsn.evaluation.probes import aligned_probes
    from pdsn.evaluation.question import name_of
    from pdsn.explain.asking import check_strategy, explainer_of
    from pdsn.explain.evaluation import Task, measure
    from pdsn.masks.strategy import NO_FDM
    from pdsn.progress import progress_bar
    from pdsn.report.explanations import write_explanations
    from pdsn.run.strategies import choose_strategy

    settings = session.settings
    check_names(session, ())
    if strategy is not None:
        check_strategy(strategy)
    chosen = choose_strategy(session.run, session.shortest(strategy), settings.dictionary, missing=True)
    # Without masks it makes no difference what is covered.
    found_by_unet = settings.eval.source == "segmenter" and chosen != NO_FDM
    steps = check_parts(session, strategy, "segmenter" if found_by_unet else "none")
    enrolment = enrolment_of(session, settings.eval)
    make(session, steps)
    explainer = explainer_of(session, chosen, methods=settings.explain.methods)
    segmenter = session.segmenter() if found_by_unet else None
    if not session.accelerator.is_main_process:
        return None
    config = _asked(session, settings, chosen)
    folder = session.run.explanations(
        name_of(config, _asked(session, session.own, _default(session, chosen)))
    )
    strategies = [name for name in explainer.matchers if name != NO_FDM]
    inputs = made_from(session, strategies, segmenter=found_by_unet)
    probes = evenly(enrolment.probes, settings.explain.probes)
    task = Task(
        session.dataset,
        enrolment.gallery,
        probes,
        explainer.matchers,
        None if segmenter is None else segmenter.covered,
        torch.from_numpy(session.example_face()).permute(2, 0, 1),
        settings.explain,
    )
    occluders = find_occluders(session, settings.eval)
    count = len(occluders) * len(settings.explain.methods) * len(explainer.matchers)
    with progress_bar("explain", count, "maps") as advance:
        made = aligned_probes(session.dataset, probes, settings.seed)
        found = measure(task, occluders, made, lambda note: advance(1, note=note))
    table = {
        "records": found.records(bootstrap=settings.eval.bootstrap, seed=settings.seed),
        **describe(config, inputs),
    }
    files = [session.dataset.files[row] for row in probes]
    write_explanations(folder, table, found.measured, files)
    _show(session, table["records"])
    session.say(escape(f"table and picture: {folder}"))
    return table


def check_none(probe: str, others: Sequence[str]) -> None:
    """Raise UsageError where one score is asked about, or something that belongs to one score alone.

    Args:
        probe: "" for none.
        others: options of one score that were given.
    """
    if probe or others:
        raise UsageError(
            f"--evaluate explains the test photos: leave out {probe or others[0]}, or --evaluate"
        )


def _default(session: Session, chosen: str) -> str:
    """The strategy that is taken where nobody asks for one; where there is none to take, the one that was chosen."""
    from pdsn.run.strategies import choose_strategy

    try:
        return choose_strategy(session.run, None, session.settings.dictionary)
    except PdsnError:
        return chosen


def _asked(session: Session, settings: Settings, strategy: str) -> dict[str, Any]:
    """What is asked: the settings of explanations, and some of a table's."""
    from pdsn.artefact import plain

    table = question(session, settings, settings.eval, [strategy])
    return {**plain(settings.explain), **{name: table[name] for name in ASKED}}


def _show(session: Session, records: list[dict[str, Any]]) -> None:
    """Two tables for each method: where its maps lie, and how good they are."""
    from pdsn.masks.strategy import heading
    from pdsn.report.explanations import HEADINGS, told

    names = list(dict.fromkeys(record["strategy"] for record in records))
    columns = [heading(name) for name in names]
    for method in dict.fromkeys(record["method"] for record in records):
        by_row: dict[str, list[dict[str, Any]]] = {}
        for record in records:
            if record["method"] == method:
                by_row.setdefault(record["occlusion"], []).append(record)
        rows = [
            [
                name,
                told(row[0], "area"),
                told({**row[0], "bare_ci95": None}, "bare"),
                *(told({**one, "covered_ci95": None}, "covered") for one in row),
                *(told(one, "change") for one in row[1:]),
            ]
            for name, row in by_row.items()
            if row[0]["area"]
        ]
        if rows:
            head = ("occlusion", "its area", "uncovered", *columns, *(["change"] * (len(names) - 1)))
            title = f"{method}: share on what is covered, %, {records[0]['photos']} photos a row"
            print_table(session.console, head, rows, title=title)
        figures = ("deletion", "insertion", "random", "other")
        rows = [[name, *(_each(row, figure) for figure in figures)] for name, row in by_row.items()]
        head = ("occlusion", *(HEADINGS[figure] for figure in figures))
        print_table(session.console, head, rows, title=f"{method}: {', '.join(columns)}")
    empty = sum(record["photos"] - record["maps"] for record in records)
    if empty:
        whole = sum(record["photos"] for record in records)
        session.say(f"{empty} of {whole} maps are 0 everywhere and left out: nothing there raises the score")


def _each(records: list[dict[str, Any]], figure: str) -> str:
    return ", ".join("" if record[figure] is None else f"{record[figure]:.2f}" for record in records)
