"""The progress bar of everything that takes long: share done, rate, time left, last figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text


def unheard(*told: object) -> None:
    """Take what is told of progress where nobody wants to hear of it."""
    del told


class Advance(Protocol):
    """Tells the bar that `count` more are done, what to print beside it, and of how many."""

    def __call__(self, count: int = 1, note: str = "", total: int | None = None) -> None: ...


class _Rate(ProgressColumn):
    """Steps per second since the start."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(
            "" if speed is None else f"{speed:,.1f} {task.fields['unit']}/s", style="progress.data.speed"
        )


@contextmanager
def progress_bar(
    title: str, total: int, unit: str, *, done: int = 0, console: Console | None = None, quiet: bool = False
) -> Iterator[Advance]:
    """Show a bar while the block runs.

    Args:
        title: what is going on.
        total: how many steps there are; 0 if nobody knows yet.
        unit: what a step is, in the plural ("photos").
        done: how many were done before (a resumed run).
        console: where it goes; standard error by default, so that results alone are on standard output.
        quiet: show nothing (every process but the main one).
    """
    # One line whatever the width: the note has what room is left. Columns of text alone do not wrap by themselves.
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=10),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        _Rate(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True, ratio=1)),
    )
    with Progress(*columns, expand=True, console=console or Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task(title, total=total, completed=done, unit=unit, note="")

        def advance(count: int = 1, note: str = "", total: int | None = None) -> None:
            if note:
                progress.update(task, note=note)
            if total is not None:
                progress.update(task, total=total)
            progress.advance(task, count)

        yield advance


def counted(advance: Advance) -> Callable[[int, int], None]:
    """What takes the number of steps done so far and of all, and moves a bar by the difference."""
    done = 0

    def report(now: int, total: int) -> None:
        nonlocal done
        advance(now - done, total=total)
        done = now

    return report


@contextmanager
def progress_if_any(title: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """What takes the number of steps done and of all, and shows a bar from the first time on that it is told."""
    with ExitStack() as stack:
        told: list[Callable[[int, int], None]] = []

        def report(now: int, total: int) -> None:
            if not told:
                told.append(counted(stack.enter_context(progress_bar(title, total, unit))))
            told[0](now, total)

        yield report
