"""Stage `report`: one page on a run, or on several, in a single HTML file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console

from pdsn.errors import PdsnError
from pdsn.files import check_writable
from pdsn.run.directory import DEFAULT
from stages.command import ALONE, EVERYTHING, command
from stages.session import Shared

if TYPE_CHECKING:
    from pdsn.report.page import Picture, Section
    from pdsn.run.tables import RunTable

Found = TypeVar("Found")
NAME = "report.html"
"""Of the page, in the first run's directory."""


def main(runs: Sequence[Path], out: Path | None, *, faces: bool) -> Path:
    """Write the page of some runs, from what they hold.

    A table that a section alone shows costs that section where it was made from other weights than the run has now.

    Args:
        runs: run directories; of the first one the page tells everything, the others are set beside it.
        out: the file; None for report.html in the first run.
        faces: whether photos of people are shown.

    Returns:
        The file.

    Raises:
        PdsnError: a run has no table or one of other weights, or the runs were asked about different probes.
    """
    from pdsn.report.page import write_page
    from pdsn.report.results_sections import headline
    from pdsn.run.tables import read_table

    target = runs[0] / NAME if out is None else out
    check_writable("--out", target)
    aligns = [_align(run) for run in runs]
    tables = [read_table(run, align) for run, align in zip(runs, aligns, strict=True)]
    strategy = _strategy(tables[0])
    first = tables[0].table
    sections = _sections(tables, aligns[0], strategy, faces=faces)
    if len(tables) > 1:
        sections.insert(1, _comparison(tables))
    title = f"Recognition under occlusion: {runs[0].resolve().name}"
    write_page(target, title, headline(first["records"], strategy, first["mean_gain"]), sections)
    return target


def _align(run: Path) -> str:
    """How the run's own table is aligned: that of aligned faces where there are both."""
    from pdsn.run.directory import RunDir

    own = RunDir.open(run)
    clean, occluded = (own.table("", align) / "table.json" for align in ("clean", "occluded"))
    return "occluded" if occluded.is_file() and not clean.is_file() else "clean"


def _sections(tables: Sequence[RunTable], align: str, strategy: str, *, faces: bool) -> list[Section]:
    from pdsn.report import making_sections as making
    from pdsn.report import results_sections as results
    from pdsn.report import threshold_sections as thresholds
    from pdsn.run.directory import SYNTHETIC, RunDir
    from pdsn.run.tables import read_explanations, read_table, read_verification

    table, run = tables[0].table, RunDir.open(tables[0].root)
    folder = run.table("", align)
    records, drawn = table["records"], run.about["data"] == SYNTHETIC
    before = run.table("", "occluded") / "table.json"
    picture = run.explanations() / "figures/covered.png"
    return [
        results.recognition(records, strategy),
        thresholds.open_set_section(records, thresholds.thresholds_in_force(folder / "probes.csv", strategy)),
        _unless_stale(
            lambda: read_verification(run.root),
            lambda found: (
                thresholds.verification_section(None, [])
                if found is None
                else thresholds.verification_section(found.table, _curves(run.verification()))
            ),
        ),
        results.segmentation_section(table["segmentation"]),
        _unless_stale(
            lambda: read_table(run.root, "occluded") if before.is_file() and align == "clean" else None,
            lambda found: results.painted_section([] if found is None else found.table["records"], strategy),
        ),
        _unless_stale(
            lambda: read_explanations(run.root), lambda found: results.explanations_section(found, picture)
        ),
        making.masks(run, strategy, faces=faces),
        *([making.examples(folder), making.probes(folder)] if faces else []),
        making.trainings(run),
        making.what_was_run(run, table, drawn=drawn),
        making.limits(table, drawn=drawn),
    ]


def _curves(folder: Path) -> list[Picture]:
    """The ROC curves that `verify-eval` drew."""
    from pdsn.report.page import photograph

    names = {path: path.stem.removeprefix("roc-") for path in sorted((folder / "figures").glob("roc-*.png"))}
    return [photograph(path, f"ROC curves, {name}", name) for path, name in names.items()]


def _unless_stale(read: Callable[[], Found | None], show: Callable[[Found | None], Section]) -> Section:
    """The section on a table, empty where there is none; of other weights than the run's, one sentence that says so."""
    from pdsn.run.tables import StaleTable

    try:
        return show(read())
    except StaleTable as error:
        return replace(show(None), blocks=[f"Left out: {error}."])


def _comparison(tables: Sequence[RunTable]) -> Section:
    from pdsn.masks.strategy import heading
    from pdsn.report.results_sections import comparison_section
    from pdsn.run.comparison import check_comparable, identification, systems_of

    check_comparable(tables)
    systems = systems_of(tables, [[_strategy(table)] for table in tables], None)
    labels = [f"{system.name}, {heading(system.strategy)}" for system in systems]
    return comparison_section(labels, identification(tables, systems))


def _strategy(table: RunTable) -> str:
    """The strategy that a page is about: the one whose answers the table's pictures show."""
    from pdsn.masks.strategy import NO_FDM
    from pdsn.report.table import strategies_of

    shown: str | None = table.table.get("shown")
    known = [
        name for name in strategies_of(table.table["records"]) if name in table.table["config"]["strategies"]
    ]
    return shown if shown is not None else [NO_FDM, *known][-1]


@command("report", EVERYTHING, ALONE)
def report(
    shared: Shared,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN...", help="Run directories: the page is about the first, others are set beside it."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The HTML file. Default: the first run's report.html."),
    ] = None,
    faces: Annotated[
        bool, typer.Option("--faces/--no-faces", help="Show photos of people, or leave out every one.")
    ] = True,
) -> None:
    """Write one HTML page on a run: what it recognises, with intervals and pictures, and how it was made.

    The page is one file that needs nothing else: it can be sent by mail. It shows photos of people unless --no-faces is given.

    [bold]Examples[/bold]

    pdsn report runs/lfw

    pdsn report runs/lfw runs/unseen --no-faces --out lfw.html
    """
    del shared
    chosen = runs or [DEFAULT]
    if out is not None and out.is_dir():
        raise PdsnError(f"--out {out} is a folder: give a file such as {out / NAME}")
    written = main(chosen, out, faces=faces)
    Console().print(f"page: {written}", highlight=False, soft_wrap=True, markup=False)
