"""Stage `show`: what a run holds, with which settings, its figures, and what to run next."""

from __future__ import annotations

import shlex
from itertools import pairwise
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pdsn.artefact import MODEL, making, read_json, read_object
from pdsn.masks.strategy import heading
from pdsn.matchers.table import COMMANDS
from pdsn.run.directory import DEFAULT, RunDir
from stages.command import ALONE, EVERYTHING, command
from stages.options import Json
from stages.session import Shared
from stages.tables import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@command("show", EVERYTHING, ALONE)
def show(
    shared: Shared,
    root: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")] = DEFAULT,
    json: Json = False,
) -> None:
    """Say what a run holds, with which settings, its headline figures, and what to run next. Opens no network.

    [bold]Examples[/bold]

    pdsn show

    pdsn show runs/lfw --json
    """
    del shared
    main(root, as_json=json)


def main(root: Path, *, as_json: bool) -> None:
    """Print what `about` finds, as a table or as JSON alone."""
    run = RunDir.open(root)
    run.check_made("")
    found = about(run)
    if as_json:
        print_json(found)
        return
    console = Console()
    print_table(
        console, ("part", "what there is"), list(_parts(found)), title=str(root), text=["what there is"]
    )
    if found["settings"]:
        rows = [(name, str(value)) for name, value in found["settings"].items()]
        print_table(
            console,
            ("setting", "value"),
            rows,
            title=f"Set beside the preset {found['preset']}",
            text=["value"],
        )
    if found["table"]:
        figures = [(name, *(f"{100 * value:.1f}" for value in row)) for name, row in found["table"].items()]
        print_table(console, ("strategy", "clean", "mean of the others"), figures, title="Rank-1, %")
    console.print(f"next: {found['next']}", highlight=False, soft_wrap=True)


def about(run: RunDir) -> dict[str, Any]:
    """What a run holds, for `--json`.

    Returns:
        "format" (1), "run", "data", "preset", "people" and "photos" (None where the data set is gone), "base" (whether
        there is one), "masks" and "dictionaries" (strategies), "matchers" (those that were trained), "segmenter", "head" (whether there is one), "settings"
        (those set beside the preset's, by name), "table" (strategy: rank-1 of clean photos and the mean of the other
        rows), "tables" (names of the others), "megabytes", and "next", a command.
    """
    data = run.data_set(run.about["data"]) / "dataset.json"
    described = read_object(data, run.restoring()) if data.is_file() else {}
    settings = {
        f"{section}.{name}" if isinstance(values, dict) else section: value
        for section, values in run.about.get("settings", {}).items()
        for name, value in (values.items() if isinstance(values, dict) else [("", values)])
    }
    found: dict[str, Any] = {
        "format": 1,
        "run": str(run.root),
        "data": run.about["data"],
        "preset": run.about["preset"],
        "people": described.get("people"),
        "photos": described.get("faces"),
        "base": (run.base / MODEL).is_file(),
        "masks": sorted(path.name for path in (run.root / "masks").glob("*") if any(path.rglob(MODEL))),
        "dictionaries": run.dictionaries(),
        "matchers": [name for name in COMMANDS if (run.matcher(name) / MODEL).is_file()],
        "segmenter": (run.segmenter / MODEL).is_file(),
        "head": (run.head / MODEL).is_file(),
        "settings": settings,
        "table": _figures(run.table() / "table.json"),
        "tables": run.tables(),
        "megabytes": round(sum(path.stat().st_size for path in run.root.rglob("*") if path.is_file()) / 1e6),
    }
    return found | {"next": _next(run, found)}


def _figures(path: Path) -> dict[str, tuple[float, float]]:
    """Rank-1, 0 to 1, of clean photos and the mean of the other rows, by strategy; empty where there is no table."""
    if not path.is_file():
        return {}
    from pdsn.report.table import rank1_clean, rank1_covered, strategies_of

    records = read_json(path, "pdsn eval")["records"]
    figures = {}
    for name in strategies_of(records):
        clean, covered = rank1_clean(records, name), rank1_covered(records, name)
        if clean is not None and covered is not None:
            figures[heading(name)] = (clean, covered)
    return figures


def _next(run: RunDir, found: dict[str, Any]) -> str:
    """The command to give next."""
    if found["table"]:
        return making("pdsn identify PHOTO", run.base)
    typed = [shlex.split(str(entry.get("command", ""))) for entry in run.about.get("history", [])]
    if runs := [words for words in typed if words[:2] == ["pdsn", "run"]]:
        # What else was typed is remembered.
        named = [f"--strategy {quote(name)}" for name in _strategies(runs[-1])]
        return making(" ".join(["pdsn run", *named]), run.base)
    return making("pdsn eval" if found["dictionaries"] else "pdsn build-dictionary --strategy LM2", run.base)


def _strategies(words: Sequence[str]) -> list[str]:
    """What stands after --strategy in a command."""
    after = [word for before, word in pairwise(words) if before == "--strategy"]
    return after + [word.partition("=")[2] for word in words if word.startswith("--strategy=")]


def _parts(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The rows of the first table."""
    photos = (
        "the data set is gone"
        if found["people"] is None
        else f"{found['photos']} photos of {found['people']} people"
    )
    yield "data", f"{found['data']}: {photos}"
    yield "preset", str(found["preset"])
    for part in ("base", "head", "segmenter"):
        yield part, "there" if found[part] else "-"
    for part in ("masks", "dictionaries", "matchers"):
        yield part, ", ".join(found[part]) or "-"
    yield "tables", ", ".join([*(["the run's own"] if found["table"] else []), *found["tables"]]) or "-"
    yield "on disk", f"{found['megabytes']} MB"
