"""What `pdsn eval`, `verify-eval` and `explain --evaluate` left in a run directory: tables, and what lies behind them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pdsn.artefact import MODEL, making, read_json
from pdsn.errors import PdsnError, UsageError
from pdsn.evaluation.scores_file import SCORES, StoredScores
from pdsn.evaluation.verification import PairScores
from pdsn.files import sha256_of
from pdsn.matchers.table import COMMANDS
from pdsn.run.directory import RunDir

RANKS = ("rank", "photo_rank")

Key = tuple[str, str]


class StaleTable(PdsnError):
    """A table was made from other weights than the run has now: what it says is of something that is gone."""


@dataclass(frozen=True)
class RunTable:
    """The table of one run and the ranks behind it.

    Attributes:
        root: the run directory.
        about: content of run.json.
        table: content of table.json.
        ranks: by occlusion and strategy (D, P), see `rates.hits`.
        photo_ranks: likewise, see `metrics.photo_rank`.
        files: (P,) the photo behind each column of `ranks`.
        people: (P,) the true person of each.
    """

    root: Path
    about: dict[str, Any]
    table: dict[str, Any]
    ranks: dict[Key, np.ndarray]
    photo_ranks: dict[Key, np.ndarray]
    files: list[str]
    people: np.ndarray


def read_table(root: Path, align: str = "clean", name: str = "") -> RunTable:
    """A table that `pdsn eval` left in a run directory.

    Args:
        root: the run directory.
        align: "clean", or "occluded" for the table of photos painted before detection.
        name: "" for the run's own table, or the name of another one, see `RunDir.table`.

    Raises:
        PdsnError: there is no run or no table, or it is damaged.
        StaleTable: the run has changed since.
    """
    run = RunDir.open(root)
    run.check_made("")
    if name and name != Path(name).name:
        raise UsageError(f"--table {name} is no name of a table: give one that `pdsn eval` printed")
    folder = run.table(name, align)
    remake = f"pdsn eval --align {align}{' OPTIONS' if name else ''}"
    if name and not (folder / "table.json").is_file():
        known = ", ".join(run.tables(align)) or "no table but its own"
        raise PdsnError(
            f"{folder} holds no table (this run has {known}): make it with "
            f"`{making(remake, folder)}`, where the name tells the options, or choose another --table"
        )
    table = read_json(folder / "table.json", remake)
    _check_current(run, folder / "table.json", table, remake)
    if len(table.get("photographs", {}).get("probes", ())) > 1:
        raise UsageError(
            f"{folder} is of photographs, other ones in each row: ask about one --probes at a time to set tables side by side"
        )
    path = folder / "probes.csv"
    lines: dict[Key, list[tuple[int, str, str, list[int]]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                line = (int(row["draw"]), row["file"], row["person"], [int(row[name]) for name in RANKS])
                lines.setdefault((row["occlusion"], row["strategy"]), []).append(line)
        ranks: dict[Key, np.ndarray] = {}
        photo_ranks: dict[Key, np.ndarray] = {}
        photos: list[tuple[str, str]] = []
        for key, found in lines.items():
            draws = max(draw for draw, *_ in found) + 1
            ranks[key], photo_ranks[key] = np.array([pair for *_, pair in found]).T.reshape(2, draws, -1)
            asked = [(file, person) for _, file, person, _ in found]
            photos = photos or asked[: ranks[key].shape[1]]
            if asked != photos * draws:
                raise ValueError(f"{key[0]}, {key[1]} was asked about other photos than the first")
        if list(ranks) != [(record["occlusion"], record["strategy"]) for record in table["records"]]:
            raise ValueError("it does not go with table.json")
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise PdsnError(
            f"{path} cannot be used ({error}): make it again with `{making(remake, path)}`"
        ) from error
    people = np.array([person for _, person in photos])
    return RunTable(root, run.about, table, ranks, photo_ranks, [file for file, _ in photos], people)


def _check_current(run: RunDir, path: Path, table: dict[str, Any], remake: str) -> None:
    """Raise StaleTable if what the table was made from has been made anew since."""
    trained = {"base": run.base, "head": run.head, "segmentation": run.segmenter}
    files = {name: folder / MODEL for name, folder in trained.items()}
    files |= {f"dictionary {name}": run.dictionary(name) for name in run.dictionaries()}
    files |= {f"matcher {name}": run.matcher(name) / MODEL for name in COMMANDS}
    # A head that was trained since would be taken now, unless it was told not to be.
    head = {"head": ""} if table["config"].get("head") else {}
    for name, sha256 in {**head, **table["inputs"]}.items():
        if name in files and files[name].is_file() and sha256_of(files[name]) != sha256:
            raise StaleTable(
                f"{path} was made from another {name} than the run has now: "
                f"make it again with `{making(remake, path)}`"
            )


def check_once(tables: Sequence[RunTable]) -> None:
    """Raise UsageError where a run is named twice."""
    if len({table.root.resolve() for table in tables}) < len(tables):
        raise UsageError(f"{roots_of(tables)}: name each run once")


def check_same_photos(first: RunTable, other: RunTable) -> None:
    """Raise UsageError unless two runs were asked about the same photos."""
    if other.files != first.files:
        raise UsageError(f"{other.root} was asked about other photos than {first.root}")


def roots_of(tables: Sequence[RunTable]) -> str:
    """The runs' directories in words."""
    return ", ".join(str(table.root) for table in tables)


@dataclass(frozen=True)
class RunVerification:
    """What `pdsn verify-eval` left in a run directory.

    Attributes:
        root: the run directory.
        table: content of table.json.
        scores: by occlusion, kind of pair and strategy.
    """

    root: Path
    table: dict[str, Any]
    scores: Mapping[tuple[str, str, str], PairScores]


def read_verification(root: Path, name: str = "") -> RunVerification | None:
    """The table of verification of a run and the scores behind it; None where the run has none.

    Args:
        root: the run directory.
        name: "" for the run's own table, or the name of another one, see `RunDir.verification`.

    Raises:
        PdsnError: it is damaged.
        StaleTable: the run has changed since.
    """
    run = RunDir.open(root)
    folder = run.verification(name)
    if not (folder / "table.json").is_file():
        return None
    remake = f"pdsn verify-eval{' OPTIONS' if name else ''}"
    table = read_json(folder / "table.json", remake)
    _check_current(run, folder / "table.json", table, remake)
    return RunVerification(root, table, StoredScores(folder / SCORES, remake))


def read_explanations(root: Path) -> dict[str, Any] | None:
    """The run's own table of `pdsn explain --evaluate`, content of table.json; None where the run has none.

    Raises:
        PdsnError: it is damaged.
        StaleTable: the run has changed since.
    """
    run = RunDir.open(root)
    path = run.explanations() / "table.json"
    if not path.is_file():
        return None
    remake = "pdsn explain --evaluate"
    table = read_json(path, remake)
    _check_current(run, path, table, remake)
    return table
