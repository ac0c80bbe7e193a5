"""What `identify` does with films and cameras."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdsn.errors import UsageError
from stages.errors import complain
from stages.picture_files import draw
from stages.recognising import shown
from stages.session import Session
from stages.tables import print_table

if TYPE_CHECKING:
    from pdsn.api import IdentifiedTrack, IdentifiedVideo, People
    from pdsn.store.people import PeopleStore

ROWS = 100
"""Tracks of a film that the table shows."""

Every = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS", help="Of a video: from one frame that is searched to the next. Default 0.5."
    ),
]
Camera = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Watch a camera until Ctrl-C: /dev/video0 on Linux, a number on a Mac, a name on Windows.",
    ),
]
Seconds = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Of a video: how much of it is watched. Default all.")
]


@dataclass(frozen=True)
class Watching:
    """How films are watched.

    Attributes:
        every: seconds from one frame to the next; None for the default.
        seconds: how much of each; None for all.
        camera: a camera's name; None for none.
    """

    every: float | None = None
    seconds: float | None = None
    camera: str | None = None


def check_watching(asked: Watching, films: Sequence[Path]) -> None:
    """Raise UsageError where an option is out of range, or has no film to be about."""
    for name, value, least in (("--every", asked.every, 0.0), ("--seconds", asked.seconds, 0.001)):
        if value is None:
            continue
        if not films and asked.camera is None:
            raise UsageError(f"{name} {value:g} is about videos, and none is given: leave it out")
        if not least <= value <= 1e6:
            raise UsageError(f"{name} {value:g} is out of range: {least:g} to 1000000")


def watch(
    session: Session,
    people: People | PeopleStore,
    film: Path,
    fpr: float,
    asked: Watching,
    target: Path | None,
    *,
    as_json: bool,
) -> dict[str, Any]:
    """Name the faces of a film or of the camera, say who they are, and draw the picture.

    Returns:
        What JSON says of it.

    Raises:
        VideoError: it cannot be read.
    """
    from pdsn.people.video import EVERY
    from pdsn.progress import progress_if_any

    camera = asked.camera is not None and film == Path(asked.camera)
    every = EVERY if asked.every is None else asked.every
    live = camera and not as_json
    if live:
        session.say(f"watching {shown(film)} until Ctrl-C")
    with progress_if_any(film.name, "s") as report, ctrl_c(camera) as stop:
        answer = people.identify_video(
            film,
            every=every,
            seconds=asked.seconds,
            camera=camera,
            fpr=fpr,
            stop=stop,
            on_track=partial(_say_track, session) if live else None,
            on_progress=report,
        )
    if answer.damaged:
        complain(
            "identify",
            f"{shown(film)}: {answer.damaged} pieces of it are damaged and were left out, the rest is searched",
        )
    written = draw("identify", partial(people.draw, answer), target) if answer.tracks else None
    if not as_json:
        _show(session, answer, fpr)
        if written is not None:
            _say(session, f"picture: {shown(written)}")
    return {**answer.as_dict(), "every": every, "picture": None if written is None else shown(written)}


@contextmanager
def ctrl_c(wanted: bool) -> Iterator[Callable[[], bool] | None]:
    """Whether Ctrl-C was pressed since; the second one stops as ever. Elsewhere than in the main thread all are as ever."""
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield None
        return
    pressed = False
    before = signal.getsignal(signal.SIGINT)

    def press(*_: object) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _show(session: Session, answer: IdentifiedVideo, fpr: float) -> None:
    from pdsn.people.tracks import clock

    count = len(answer.tracks)
    faces = f"{count} face{'s' * (count != 1)} followed"
    _say(
        session,
        f"{answer.name}: {faces} over {answer.frames} frames in {clock(answer.seconds)}, known where at most "
        f"{100 * fpr:.2g} % of strangers pass",
    )
    if not answer.tracks:
        return
    rows = [(str(number), *_row(track)) for number, track in enumerate(answer.tracks[:ROWS], 1)]
    words = ("person", "covered", "nearest people")
    head = ("face", "from", "to", "frames", "person", "score (threshold)", *words[1:])
    print_table(session.console, head, rows, text=words)
    if count > ROWS:
        session.say(f"and {count - ROWS} more: --json has all")


def _row(track: IdentifiedTrack) -> tuple[str, ...]:
    from pdsn.people.tracks import clock

    return (
        clock(track.track.first),
        clock(track.track.last),
        str(track.track.frames),
        track.person or "unknown",
        f"{track.score:.2f} ({track.threshold:.2f})",
        ", ".join(track.best.covered) or "-",
        ", ".join(f"{name} {score:.2f}" for name, score in track.nearest),
    )


def _say_track(session: Session, track: IdentifiedTrack) -> None:
    first, last, frames, person, score, covered, _ = _row(track)
    _say(session, f"{first} to {last}: {person}, score {score}, {frames} frames, covered: {covered}")


def _say(session: Session, line: str) -> None:
    from rich.markup import escape

    session.say(escape(line))
