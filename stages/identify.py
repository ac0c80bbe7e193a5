"""Stage `identify`: who is on new photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdsn.errors import UsageError
from stages.command import GOING_ON, RECOGNITION, command
from stages.errors import complain
from stages.named import Several, show_photo
from stages.options import Json, Layer, OneStrategy
from stages.photo_options import Picture, Pictures, Rate, Source, StrangersDir
from stages.picture_files import draw, picture_paths
from stages.recognising import (
    Common,
    about_run,
    begin,
    check_rate_asked,
    complain_files,
    complain_mistaken,
    complain_two_names,
    expand,
    open_run,
    see_strangers,
    shown,
    told_rate,
)
from stages.session import Session, Shared
from stages.tables import print_json
from stages.video import Camera, Every, Seconds, Watching, check_watching, watch

if TYPE_CHECKING:
    from pdsn.api import IdentifiedPhoto, People, Run
    from pdsn.store.people import PeopleStore

SMALL = 20_000
"""Photos of a store up to which it is looked for people under two names at each call, in a fraction of a second; `enrol` looks in any."""


@dataclass(frozen=True)
class Given:
    """What somebody is looked for in.

    Attributes:
        paths: photos, videos and the camera that can be used.
        films: the videos and the camera among them.
        targets: where the picture of each goes.
        failed: what JSON says of those that nobody can be looked for in, as it turns out.
    """

    paths: Sequence[Path]
    films: Sequence[Path]
    targets: Mapping[Path, Path]
    failed: list[dict[str, str]]


def main(
    session: Session,
    photos: Sequence[Path],
    gallery: Path | None,
    people: str | None,
    common: Common,
    watching: Watching,
    *,
    by_index: bool = False,
) -> bool:
    """Name the faces of some photos and videos; a folder stands for the photos in it.

    A photo that nobody can be looked for in is one line on standard error, and the others go on; one that is not
    there is said at once, as are the files of a folder that are no photos. All that is cheap is checked before the
    gallery is embedded.

    Returns:
        Whether there was a face in any of them.
    """
    from pdsn.people.gallery import check_gallery
    from pdsn.people.video import check_pyav, is_video
    from pdsn.run.strategies import strategy_for_own_people
    from pdsn.store.kinds import open_store

    if gallery is not None and people is not None:
        raise UsageError("--gallery and --people exclude each other: both say who can be named")
    paths, others = expand(photos)
    check_watching(watching, [path for path in paths if is_video(path)])
    camera = None if watching.camera is None else Path(watching.camera)
    if camera is not None:
        check_pyav(f"--camera {watching.camera}")
        paths.append(camera)
    elif not paths:
        raise UsageError("give a PHOTO, a video or a folder of photos, or --camera NAME")
    if not session.accelerator.is_main_process:
        return True
    if gallery is None and people is None and common.strategy is None:
        common = replace(common, strategy=strategy_for_own_people(session.run, session.settings.dictionary))
    steps = begin(session, common)
    check_rate_asked(session, common, common.fpr)
    if gallery is not None:
        check_gallery(gallery)
    small = False
    if people is not None:
        small = open_store(people, by_index=by_index).counts()[1] <= SMALL
    elif by_index:
        raise UsageError("--index is for people of a table: give --people lance://… too")
    given = _usable(session, paths, others, camera, common)
    if not given.paths:
        if common.as_json:
            print_json({"format": 1, "run": shown(session.run.root), "photos": [], "failed": given.failed})
        return False
    run = open_run(session, common, steps)
    known = _enrol(run, gallery) if people is None else run.people(people, by_index=by_index)
    fpr = told_rate("identify", run, known.default_fpr) if common.fpr is None else common.fpr
    known.check_fpr(fpr)
    see_strangers(run.get_ready)
    if small:
        complain_two_names("identify", run, known.two_names(), people)
    if small or gallery is not None:
        complain_mistaken("identify", run, known, fpr)
    answers, films = _name(session, run, known, given, replace(common, fpr=fpr), watching)
    if common.as_json:
        about = about_run(session, run, fpr) | {"gallery": known.as_dict()}
        watched = {"videos": films} if films else {}
        print_json({**about, "photos": answers, **watched, "failed": given.failed})
    return bool(answers) or any(film["tracks"] for film in films)


def _as_dict(answer: IdentifiedPhoto, picture: Path | None) -> dict[str, Any]:
    """What JSON says of a photo."""
    return {
        "photo": shown(answer.photo.path),
        "picture": None if picture is None else shown(picture),
        "faces": [face.as_dict() for face in answer],
    }


def _usable(
    session: Session,
    paths: Sequence[Path],
    others: Sequence[tuple[Path, str]],
    camera: Path | None,
    common: Common,
) -> Given:
    """What somebody can be looked for in; the rest is told at once.

    Args:
        session: the run.
        paths: photos and videos, the camera among them.
        others: (file, reason) of what is no photo.
        camera: the camera; None without one.
        common: where pictures go.
    """
    from pdsn.people.photo import PhotoError, check_photo
    from pdsn.people.video import check_video, is_video

    targets = {}
    if common.pictures:
        targets = picture_paths(paths, common.picture, session.run.root / "identify")
    failed = [{"photo": shown(path), "reason": f"{shown(path)}: {reason}"} for path, reason in others]
    complain_files("identify", [(shown(path), reason) for path, reason in others])
    usable: list[Path] = []
    for path in paths:
        try:
            if path != camera:
                (check_video if is_video(path) else check_photo)(path)
        except PhotoError as error:
            failed.append({"photo": shown(path), "reason": str(error)})
            complain("identify", str(error))
        else:
            usable.append(path)
    films = [path for path in usable if path == camera or is_video(path)]
    return Given(usable, films, targets, failed)


def _name(
    session: Session, run: Run, known: People | PeopleStore, given: Given, common: Common, watching: Watching
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Name everybody, print who it is, and return what JSON says of photos and of films; `common` has a rate."""
    from pdsn.calibration.strangers import DEFAULT_FPR
    from pdsn.people.photo import PhotoError
    from pdsn.progress import progress_bar

    answers: list[dict[str, Any]] = []
    films: list[dict[str, Any]] = []
    fpr = DEFAULT_FPR if common.fpr is None else common.fpr
    still = [path for path in given.paths if path not in given.films]
    several = Several(still) if len(still) > 1 and not common.as_json else None

    def name(path: Path) -> None:
        target = given.targets.get(path)
        if path in given.films:
            films.append(watch(session, known, path, fpr, watching, target, as_json=common.as_json))
            return
        answer = known.identify(path, fpr=fpr)
        written = draw("identify", partial(known.draw, answer), target)
        answers.append(_as_dict(answer, written))
        if several is not None:
            several.add(answer, written)
        elif not common.as_json:
            show_photo(session, answer, written, fpr, run.strategy)

    quiet = len(given.paths) == 1 or bool(given.films)  # a film has a bar of its own
    try:
        with progress_bar("identify", len(given.paths), "photos", quiet=quiet) as advance:
            for path in given.paths:
                try:
                    name(path)
                except PhotoError as error:
                    given.failed.append({"photo": shown(path), "reason": str(error)})
                    complain("identify", str(error))
                advance()
    finally:  # after Ctrl-C, too
        if several is not None:
            several.show(session, fpr, run.strategy, len(given.failed))
    return answers, films


def _enrol(run: Run, folder: Path | None) -> People:
    """Enrol the run's people, or those of a folder; say whom or what could not be."""
    from pdsn.progress import progress_if_any

    with progress_if_any("gallery", "photos") as report:
        people = run.enrol(folder, on_progress=report)
    complain_files("identify", people.gallery.skipped, "gallery: ")
    for file, note in people.gallery.notes:
        complain("identify", f"gallery: {file} {note}")
    for person in people.gallery.left_out:
        complain("identify", f"gallery: {person} cannot be named: no usable photo")
    same: list[tuple[str, str]] = []
    if folder is not None:
        see_strangers(run.get_ready)
        same = people.two_names()
    complain_two_names("identify", run, same, None)
    return people


@command("identify", RECOGNITION, GOING_ON, settings={"prepare": ("min_face",)}, default="the run's")
def identify(
    shared: Shared,
    options: Layer,
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PHOTO...", help="Photos, a folder for those in it, or videos (the extra video)."
        ),
    ] = None,
    gallery: Annotated[
        Path | None,
        typer.Option(
            metavar="PHOTOS",
            help="Who can be named: a folder per person, or a prepared data set. Default: the run's people.",
        ),
    ] = None,
    people: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Who can be named: the people of a store, a folder or a table (lance://…), see `pdsn enrol`.",
        ),
    ] = None,
    index: Annotated[
        bool,
        typer.Option(
            "--index",
            help="Of a table compare those photos alone that its index finds near, see `pdsn people index`. Without it all are compared.",
        ),
    ] = False,
    strategy: OneStrategy = None,
    occlusion_source: Source = None,
    fpr: Rate = None,
    strangers: StrangersDir = None,
    picture: Picture = None,
    draw: Pictures = True,
    every: Every = None,
    camera: Camera = None,
    seconds: Seconds = None,
    json: Json = False,
) -> None:
    """Name every face of new photos, or say that nobody known is near enough. Exit code 1 if no photo shows a face.

    In a video, or in front of a camera, each face is followed and named once, from several frames. Needs PyAV: pip install "pdsn\\[video]"

    [bold]Examples[/bold]

    pdsn identify meeting.jpg --run runs/lfw

    pdsn identify door/ --run runs/lfw --gallery team-photos --fpr 0.002 --json

    pdsn identify door.jpg --run runs/lfw --people team

    pdsn identify film.mp4 --run runs/lfw --every 1
    """
    common = Common.asked(
        options,
        strategy,
        occlusion_source,
        fpr=fpr,
        strangers=strangers,
        picture=picture,
        pictures=draw,
        as_json=json,
    )
    watching = Watching(every, seconds, camera)
    session = Session(shared, options, keep=False)
    if not main(session, photos or [], gallery, people, common, watching, by_index=index):
        raise typer.Exit(1)
