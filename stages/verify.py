"""Stage `verify`: whether two photos show the same person."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdsn.errors import UsageError
from stages.command import GOING_ON, RECOGNITION, command
from stages.errors import complain
from stages.options import Json, Layer, OneStrategy
from stages.photo_options import Picture, Pictures, Rate, Source, StrangersDir
from stages.picture_files import NAME_BYTES, draw, picture_path, short
from stages.recognising import (
    Common,
    about_run,
    begin,
    check_rate_asked,
    open_run,
    see_strangers,
    shown,
    told_rate,
)
from stages.session import Session, Shared
from stages.tables import print_json

if TYPE_CHECKING:
    from pdsn.people.verification import Verdict, Verification
    from pdsn.store.answers import PersonVerification


def main(session: Session, a: Path, b: Path, common: Common, *, maps: bool) -> None:
    """Compare the largest face of each photo and print the verdict."""
    from pdsn.calibration.strangers import DEFAULT_FPR
    from pdsn.people.photo import check_photo

    if not session.accelerator.is_main_process:
        return
    fpr = DEFAULT_FPR if common.fpr is None else common.fpr
    steps = begin(session, common)
    target = _target(a, b, common.picture, session.run.root / "identify") if common.pictures else None
    for photo in (a, b):
        check_photo(photo)
    check_rate_asked(session, common, fpr, pairs=True)
    run = open_run(session, common, steps)
    see_strangers(run.get_ready)
    answer = run.verify(a, b, fpr=fpr)
    if maps and answer.maps is None:
        raise UsageError(
            f"--maps: {run.strategy} does not say where its score comes from; give --strategy xcos"
        )
    for compared, count in zip(answer.photos, answer.faces, strict=True):
        if count > 1:
            complain("verify", f"{shown(compared.path)} shows {count} faces: the largest is compared")
    target = draw("verify", partial(run.draw, answer, maps=maps), target)
    about = about_run(session, run, fpr)
    if common.as_json:
        _print_json(about, answer, target)
        return
    verdict = "same person" if answer.same else "not shown to be the same person"
    _say(
        session,
        answer,
        f"{verdict}: cosine {answer.cosine:.3f}",
        f"{100 * fpr:g} % of pairs of different people",
        target,
    )


def claim(session: Session, photo: Path, people: str, name: str, common: Common) -> None:
    """Compare the largest face of a photo with a person of a store and print the verdict."""
    from pdsn.people.photo import check_photo
    from pdsn.store.kinds import open_store

    if not session.accelerator.is_main_process:
        return
    steps = begin(session, common)
    default = session.run.root / "identify"
    file = f"{short(photo.stem, NAME_BYTES - len('-verified.png'))}-verified.png"
    target = picture_path(common.picture, default, file, (photo,)) if common.pictures else None
    check_photo(photo)
    open_store(people).show(name)
    check_rate_asked(session, common, common.fpr)
    run = open_run(session, common, steps)
    enrolled = run.people(people)
    see_strangers(run.get_ready)
    fpr = told_rate("verify", run, enrolled.default_fpr_of(name)) if common.fpr is None else common.fpr
    answer = enrolled.verify(photo, name, fpr=fpr)
    if answer.faces > 1:
        complain("verify", f"{shown(photo)} shows {answer.faces} faces: the largest is compared")
    target = draw("verify", partial(enrolled.draw_verification, answer), target)
    about = about_run(session, run, fpr)
    if common.as_json:
        _print_json(about, answer, target)
        return
    verdict = answer.person if answer.same else f"not shown to be {answer.person}"
    found = f"{verdict}: cosine {answer.cosine:.3f} to {answer.nearest.photo}"
    _say(session, answer, found, f"{100 * fpr:g} % of strangers", target)


def _print_json(
    about: dict[str, Any], answer: Verification | PersonVerification, picture: Path | None
) -> None:
    print_json({**about, **answer.as_dict(), "picture": None if picture is None else shown(picture)})


def _say(session: Session, answer: Verdict, found: str, passing: str, picture: Path | None) -> None:
    """The verdict in one line, and where the picture is.

    Args:
        session: says it.
        answer: the verdict.
        found: what was found, in words.
        passing: who passes the threshold, in words.
        picture: the picture, if it was drawn.
    """
    from rich.markup import escape

    covered = ", ".join(answer.covered) or "nothing"
    session.say(
        escape(
            f"{found}, threshold {answer.threshold:.3f} (passed by {passing}, {answer.impostors} of them covered alike), "
            f"covered: {covered}"
        )
    )
    if picture is not None:
        session.say(f"picture: {escape(shown(picture))}")


def _target(a: Path, b: Path, asked: Path | None, default: Path) -> Path:
    """Where the picture goes, see `picture_path`."""
    most = (NAME_BYTES - len("--verified.png")) // 2
    name = f"{short(a.stem, most)}-{short(b.stem, most)}-verified.png"
    return picture_path(asked, default, name, (a, b))


@command("verify", RECOGNITION, GOING_ON, settings={"prepare": ("min_face",)}, default="the run's")
def verify(
    shared: Shared,
    options: Layer,
    a: Annotated[Path, typer.Argument(metavar="A", help="A photo.")],
    b: Annotated[
        Path | None,
        typer.Argument(metavar="[B]", help="Another one; none with --people.", show_default=False),
    ] = None,
    people: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Instead of B: compare with all photos of a person of a store, see `pdsn enrol`.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whom A is said to show, with --people."),
    ] = None,
    strategy: OneStrategy = None,
    occlusion_source: Source = None,
    fpr: Rate = None,
    strangers: StrangersDir = None,
    picture: Picture = None,
    draw: Pictures = True,
    maps: Annotated[
        bool,
        typer.Option(
            "--maps",
            help="Show in the picture where the score comes from, with --strategy xcos: how much each part of the face counts, and "
            "how alike the two faces are there. The JSON has both in any case.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Say whether two photos show the same person, or a photo the person it is said to show; of several faces the largest counts.

    With --people and --name the photo is compared with all photos of that person in the store, and --fpr is the share of
    strangers who may pass for that very person. `pdsn identify` names somebody of whom nothing is said.

    [bold]Examples[/bold]

    pdsn verify badge.jpg door.jpg --run runs/lfw

    pdsn verify door.jpg --people team --name Ann --run runs/lfw

    pdsn verify badge.jpg door.jpg --run runs/lfw --fpr 0.001 --json
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
    session = Session(shared, options, keep=False)
    if people is None and b is not None and name is None:
        main(session, a, b, common, maps=maps)
        return
    if people is None or name is None or b is not None:
        raise UsageError("give two photos, or one with --people DIR and --name NAME")
    if maps:
        raise UsageError("--maps is for two photos: leave it out with --people")
    claim(session, a, people, name, common)
