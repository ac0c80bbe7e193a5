"""Stage `verify`: whether two photos show the same person."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pdsn.errors import UsageError
from stages.command import GOING_ON, RECOGNITION, command
from stages.identify import (
    NAME_BYTES,
    about_run,
    check_parts,
    check_picture,
    check_pictures,
    check_rate_asked,
    complain,
    draw,
    is_file_name,
    open_run,
    short,
    shown,
)
from stages.making import make
from stages.options import Json, Layer, OneStrategy
from stages.photo_options import Picture, Pictures, Rate, Source
from stages.session import Session, Shared
from stages.tables import print_json


def main(
    session: Session,
    a: Path,
    b: Path,
    *,
    strategy: str | None,
    source: str | None,
    fpr: float | None,
    min_face: int | None,
    picture: Path | None,
    pictures: bool,
    maps: bool,
    as_json: bool,
) -> None:
    """Compare the largest face of each photo and print the verdict."""
    from rich.markup import escape

    from pdsn.calibration.strangers import DEFAULT_FPR
    from pdsn.people.photo import check_photo

    if not session.accelerator.is_main_process:
        return
    if as_json:
        session.console = Console(stderr=True)
    fpr = DEFAULT_FPR if fpr is None else fpr
    steps = check_parts(session, strategy, source)
    check_pictures(picture, pictures)
    target = _target(a, b, picture, session.run.root / "identify") if pictures else None
    for photo in (a, b):
        check_photo(photo)
    check_rate_asked(session, fpr, pairs=True)
    make(session, steps)
    run = open_run(session, strategy, source, min_face)
    answer = run.verify(a, b, fpr=fpr)
    if maps and answer.maps is None:
        raise UsageError(
            f"--maps: {run.strategy} does not say where its score comes from; give --strategy xcos"
        )
    for compared, count in zip(answer.photos, answer.faces, strict=True):
        if count > 1:
            complain("verify", f"{shown(compared.path)} shows {count} faces: the largest is compared")
    target = draw("verify", partial(run.draw, answer, maps=maps), target)
    if as_json:
        print_json(
            {
                **about_run(session, run, fpr),
                **answer.as_dict(),
                "picture": None if target is None else shown(target),
            }
        )
        return
    verdict = "same person" if answer.same else "not shown to be the same person"
    covered = ", ".join(answer.covered) or "nothing"
    session.say(
        f"{verdict}: cosine {answer.cosine:.3f}, threshold {answer.threshold:.3f} "
        f"(passed by {100 * fpr:g} % of pairs of different people, {answer.impostors} of them covered alike), covered: {covered}"
    )
    if target is not None:
        session.say(f"picture: {escape(shown(target))}")


def _target(a: Path, b: Path, asked: Path | None, default: Path) -> Path:
    """Where the picture goes: a file or a folder that was asked for, else the default folder."""
    if asked is not None and is_file_name(asked):
        target = asked
    else:
        most = (NAME_BYTES - len("--verified.png")) // 2
        name = f"{short(a.stem, most)}-{short(b.stem, most)}-verified.png"
        target = (default if asked is None else asked) / name
    if asked is not None:
        check_picture(target, (a, b))
    return target


@command("verify", RECOGNITION, GOING_ON, settings={"prepare": ("min_face",)}, default="the run's")
def verify(
    shared: Shared,
    options: Layer,
    a: Annotated[Path, typer.Argument(metavar="A", help="A photo.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    strategy: OneStrategy = None,
    occlusion_source: Source = None,
    fpr: Rate = None,
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
    """Say whether two photos show the same person; of several faces the largest is compared.

    [bold]Examples[/bold]

    pdsn verify badge.jpg door.jpg --run runs/lfw

    pdsn verify badge.jpg door.jpg --run runs/lfw --fpr 0.001 --json
    """
    main(
        Session(shared, options, keep=False), a, b, strategy=strategy, source=occlusion_source, fpr=fpr,
        min_face=options.get("prepare", {}).get("min_face"), picture=picture, pictures=draw, maps=maps, as_json=json,
    )  # fmt: skip
