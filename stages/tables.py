"""Tables and lines that several stages print."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pdsn.errors import UsageError
from pdsn.files import check_writable

FILE = 20
"""Letters of a file's name that a line of a table has room for at least."""


def check_out(out: Path, ours: Sequence[str]) -> None:
    """Raise UsageError unless --out is a new folder, or holds what a stage leaves there and nothing else."""
    if out.exists() and (not out.is_dir() or any(path.name not in ours for path in out.iterdir())):
        raise UsageError(f"--out {out} holds something else: give a new folder")
    check_writable("--out", out)


def print_table(
    console: Console,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    text: Collection[str] = (),
    lists: Collection[str] = (),
    files: Collection[str] = (),
) -> None:
    """Print a table whole, however narrow the console is.

    Columns that do not fit beside each other go into blocks below each other; each repeats the first column. Headings
    and text are wrapped between words; a word is broken only where it is wider than the console leaves it.

    Args:
        console: where to.
        head: a heading for each column.
        rows: cells of each row, one for each column.
        title: a line above the table.
        text: headings of the further columns that hold words; the others hold figures, which are never wrapped.
        lists: headings of those that hold several lines, which are wrapped only where they are wider than the console.
        files: headings of those that hold names of files, which have few spaces: longer ones than `FILE` are broken too.
    """
    columns = [
        _Column(name, [row[place] for row in rows], place == 0 or name in text, name in lists, name in files)
        for place, name in enumerate(head)
    ]
    if title:
        console.print(Text(title, style="italic"))
    first, rest = columns[0], columns[1:]
    # Where each block begins among the further columns, and where the last one ends.
    edges = [0]
    for end in range(1, len(rest)):
        if _least([first, *rest[edges[-1] : end + 1]]) > console.width:
            edges.append(end)
    for begin, end in pairwise([*edges, len(rest)]):
        console.print(_block([first, *rest[begin:end]], console.width))


class _Column:
    """A column, the width it would like, and the least that it can do with.

    Args:
        name: the heading.
        cells: the cells below it.
        is_text: whether they hold words, which may be wrapped.
        is_list: whether they hold lines, which are kept whole.
        is_file: whether they hold names of files, which may be broken.
    """

    def __init__(
        self, name: str, cells: Sequence[str], is_text: bool, is_list: bool = False, is_file: bool = False
    ) -> None:
        self.name, self.cells, self.is_text, self.is_file = name, cells, is_text or is_list, is_file
        lines = [line for cell in cells for line in cell.splitlines()]
        self.wide = max(map(cell_len, (name, *lines)))
        words = [word for part in (name, *(lines if is_text else ())) for word in part.split()]
        self.least = max(map(cell_len, (*words, *(() if is_text else lines))), default=1)
        if is_file:
            self.least = min(self.least, FILE)


def _frame(columns: Sequence[_Column]) -> int:
    """What the lines and spaces around the cells take."""
    return 3 * len(columns) + 1


def _least(columns: Sequence[_Column]) -> int:
    return sum(column.least for column in columns) + _frame(columns)


def _block(columns: Sequence[_Column], width: int) -> Table:
    """Some columns as one table of at most `width`."""
    room = max(width - _frame(columns), len(columns))
    widths = [column.wide for column in columns]
    for floors in ([column.least for column in columns], [1] * len(columns)):
        while sum(widths) > room and any(w > f for w, f in zip(widths, floors, strict=True)):
            places = [place for place, floor in enumerate(floors) if widths[place] > floor]
            widths[max(places, key=lambda place: widths[place])] -= 1
    wrapped = any(
        cell_len(cell) > width or "\n" in cell
        for column, width in zip(columns, widths, strict=True)
        for cell in column.cells
    )
    table = Table(show_lines=wrapped)
    for column, width in zip(columns, widths, strict=True):
        justify = "left" if column.is_text else "right"
        # Names come from folders and may hold what rich takes for markup: none of it is a plain string.
        table.add_column(Text(column.name), width=width, overflow="fold", justify=justify)  # type: ignore[arg-type]
    shown = [
        [_broken(cell, width) for cell in column.cells] if column.is_file else column.cells
        for column, width in zip(columns, widths, strict=True)
    ]
    for cells in zip(*shown, strict=True):
        table.add_row(*map(Text, cells))
    return table


def _broken(name: str, width: int) -> str:
    """The name of a file in lines of at most `width`, broken where its parts end."""
    lines = []
    while cell_len(name) > width:
        room = next((n for n in range(len(name), 1, -1) if cell_len(name[:n]) <= width), 1)
        end = max(name.rfind(mark, 0, room) for mark in " /_-,") + 1 or room
        lines.append(name[:end])
        name = name[end:]
    return "\n".join([*lines, name])


def print_rank1(console: Console, records: Sequence[dict[str, Any]], title: str) -> None:
    """Rank-1 of every strategy under every occlusion, then the gains over no FDM, see `Evaluation.records`."""
    from pdsn.report.table import strategies_of, table_rows

    names, rows = strategies_of(list(records)), table_rows(list(records))
    print_table(
        console,
        ["occlusion", *map(_column, names)],
        [[name, *("" if r is None else f"{100 * r['rank1']:.1f}" for r in row)] for name, row in rows],
        title=title,
    )
    gaining = [place for place, name in enumerate(names) if any(_gain(row[place]) for _, row in rows)]
    if gaining:
        print_table(
            console,
            ["occlusion", *(_column(names[place]) for place in gaining)],
            [[name, *(_gain(row[place]) for place in gaining)] for name, row in rows],
            title="Gain over no FDM in points, 95 % interval",
        )


def print_open_set(console: Console, records: Sequence[dict[str, Any]]) -> None:
    """The open-set rates of every strategy under every occlusion, a table for each rate that was asked for."""
    from pdsn.evaluation.evaluation import FPIRS
    from pdsn.report.table import open_set, strategies_of, table_rows

    names, rows = strategies_of(list(records)), table_rows(list(records))
    for key, fpir in FPIRS.items():
        if all(record[f"tpir{key}"] is None for record in records):
            text = f"Open set at {100 * fpir:g} %: too few calibration photos to tell"
            console.print(text, highlight=False, soft_wrap=True)
            continue
        print_table(
            console,
            ["occlusion", *map(_column, names)],
            [[name, *(open_set(record, key) for record in row)] for name, row in rows],
            title=f"Open set, {100 * fpir:g} % of strangers named asked for: % named right (% of strangers named)",
        )


def _column(strategy: str) -> str:
    """What the column of a strategy is called; of one that nobody learned it says so."""
    from pdsn.masks.makers import is_control
    from pdsn.masks.strategy import heading

    return heading(strategy) + " (control)" * is_control(strategy)


def _gain(record: Mapping[str, Any] | None) -> str:
    """The gain over no FDM with its interval, in points; empty where there is none."""
    from pdsn.report.table import points

    return "" if record is None or "gain" not in record else points(record["gain"], record["gain_ci95"])


def gain_line(strategy: str, gain: Mapping[str, Any]) -> str:
    """What a strategy gains on average, see `rates.mean_gain`."""
    low, high = gain["ci95"]
    return (
        f"{strategy}: {100 * gain['gain']:+.1f} points over no FDM, mean of {', '.join(gain['occlusions'])} "
        f"(95 % interval {100 * low:+.1f} to {100 * high:+.1f})"
    )


def print_json(answer: dict[str, Any]) -> None:
    """Print JSON, alone on standard output."""
    print(json.dumps(answer, indent=2, allow_nan=False))
