"""Stage `identify`: who is on new photos."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pdsn.errors import PdsnError, UsageError
from pdsn.files import check_writable
from pdsn.run.directory import SYNTHETIC
from pdsn.run.stages import Step, lacking
from stages.command import GOING_ON, RECOGNITION, command
from stages.making import make, refuse
from stages.options import Json, Layer, OneStrategy
from stages.photo_options import Picture, Pictures, Rate, Source
from stages.session import Session, Shared
from stages.tables import print_json, print_table

if TYPE_CHECKING:
    from pdsn.api import IdentifiedPhoto, People, Run

NAME_BYTES = 255
"""Bytes that the name of a file can have."""
ROWS = 20
"""Faces of a photo that the table shows."""
FEW = 3
"""Files that are no photos up to which each is a line; of more there is one line, and the JSON has all."""


def main(
    session: Session,
    photos: Sequence[Path],
    *,
    gallery: Path | None,
    strategy: str | None,
    source: str | None,
    fpr: float | None,
    min_face: int | None,
    picture: Path | None,
    pictures: bool,
    as_json: bool,
) -> bool:
    """Name the faces of some photos; a folder stands for the photos in it.

    A photo that nobody can be looked for in is one line on standard error, and the others go on; one that is not
    there is said at once, as are the files of a folder that are no photos. All that is cheap is checked before the
    gallery is embedded.

    Returns:
        Whether there was a face in any of them.
    """
    from pdsn.calibration.strangers import DEFAULT_FPR
    from pdsn.people.gallery import check_gallery
    from pdsn.people.photo import PhotoError, check_photo

    if as_json:
        session.console = Console(stderr=True)
    paths, others = expand(photos)
    if not session.accelerator.is_main_process:
        return True
    steps = check_parts(session, strategy, source)
    check_rate_asked(session, fpr)
    if gallery is not None:
        check_gallery(gallery)
    check_pictures(picture, pictures)
    targets = picture_paths(paths, picture, session.run.root / "identify") if pictures else {}
    failed = [{"photo": shown(path), "reason": f"{shown(path)}: {reason}"} for path, reason in others]
    complain_files("identify", [(shown(path), reason) for path, reason in others])
    for path in list(paths):
        try:
            check_photo(path)
        except PhotoError as error:
            failed.append({"photo": shown(path), "reason": str(error)})
            complain("identify", str(error))
            paths.remove(path)
    if not paths:
        if as_json:
            print_json({"format": 1, "run": shown(session.run.root), "photos": [], "failed": failed})
        return False
    make(session, steps)
    run = open_run(session, strategy, source, min_face)
    people = _enrol(run, gallery)
    if fpr is None:
        fpr = people.default_fpr
        if fpr > DEFAULT_FPR:
            complain(
                "identify",
                f"--fpr is {fpr:g}: the run has too few validation photos of strangers for {DEFAULT_FPR}",
            )
    people.check(fpr)
    answers: list[dict[str, Any]] = []
    for path in paths:
        try:
            answer = people.identify(path, fpr=fpr)
        except PhotoError as error:
            failed.append({"photo": shown(path), "reason": str(error)})
            complain("identify", str(error))
            continue
        written = draw("identify", partial(people.draw, answer), targets.get(path))
        answers.append(
            {
                "photo": shown(path),
                "picture": None if written is None else shown(written),
                "faces": [face.as_dict() for face in answer],
            }
        )
        if not as_json:
            _show(session, answer, written, fpr)
    if as_json:
        about = about_run(session, run, fpr) | {"gallery": people.gallery.as_dict()}
        print_json({**about, "photos": answers, "failed": failed})
    return bool(answers)


def expand(photos: Sequence[Path]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The photos given, each once; a folder stands for the photos in it, sorted, not those in its sub-folders.

    Returns:
        The photos, and (file, reason) of what else lies in the folders, but for what systems put there.

    Raises:
        PdsnError: a folder holds no photo.
    """
    from pdsn.data.photos import made_by_system, why_no_photo

    found: list[Path] = []
    others: dict[Path, str] = {}
    for path in photos:
        folder = False
        with suppress(OSError):  # such as a name that no file can have: said with the other photos
            folder = path.is_dir()
        if not folder:
            found.append(path)
            continue
        files = sorted(
            entry for entry in path.iterdir() if entry.is_file() and not made_by_system(entry.name)
        )
        reasons = {file: why_no_photo(file) for file in files}
        inside = [file for file in files if not reasons[file]]
        if not inside:
            raise PdsnError(
                f"{shown(path)} is a folder without a photo: give photos, or a folder that holds some"
            )
        found += inside
        others |= {file: reason for file, reason in reasons.items() if reason}
    return list(dict.fromkeys(found)), list(others.items())


def picture_paths(photos: Sequence[Path], asked: Path | None, default: Path) -> dict[Path, Path]:
    """Where the annotated picture of each photo goes, never in the place of a photo that was given.

    Args:
        photos: the photos.
        asked: a file for one photo, or a folder; None for `default`.
        default: the folder for pictures nobody asked for by name.

    Raises:
        UsageError: one file was asked for several photos, or a photo itself.
    """
    if asked is not None and is_file_name(asked):
        if len(photos) > 1:
            raise UsageError(f"--picture {asked} is one file for {len(photos)} photos: give a folder")
        check_picture(asked, photos)
        return {photos[0]: asked}
    taken = {path.resolve() for path in photos}
    folder = default if asked is None else asked
    if asked is not None:  # a run that cannot be written to answers all the same
        check_writable("--picture", folder)
    targets = {}
    for path in photos:
        stem = short(path.stem, NAME_BYTES - len("-identified-12345678.png"))
        number, target = 2, folder / f"{stem}-identified.png"
        while target.resolve() in taken:
            target = folder / f"{stem}-identified-{number}.png"
            number += 1
        taken.add(target.resolve())
        targets[path] = target
    return targets


def short(stem: str, most: int) -> str:
    """A part of a file name in at most `most` bytes; of a longer one the start, and a digest that tells it from others."""
    whole = os.fsencode(stem)
    if len(whole) <= most:
        return stem
    digest = f"-{hashlib.sha256(whole).hexdigest()[:8]}"
    while len(os.fsencode(stem)) > most - len(digest):
        stem = stem[:-1]
    return stem + digest


def draw(command: str, write: Callable[[Path], None], target: Path | None) -> Path | None:
    """Write a picture, if one is wanted; one that cannot be written is a line on standard error, and no more.

    Returns:
        Where it was written, or None.
    """
    if target is None:
        return None
    try:
        write(target)
    except OSError as error:
        complain(command, f"the picture {shown(target)} cannot be written: {error.strerror or error}")
        return None
    return target


def is_file_name(path: Path) -> bool:
    """Whether --picture means a file, not a folder."""
    return bool(path.suffix) and not path.is_dir()


def check_picture(path: Path, photos: Sequence[Path]) -> None:
    """Raise UsageError unless a picture can be written there without harm to the photos."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"--picture {path}: pictures are written as PNG, give a name that ends in .png")
    check_writable("--picture", path)
    if path.resolve() in {photo.resolve() for photo in photos}:
        raise UsageError(f"--picture {path} is one of the photos: give another name")


def check_pictures(picture: Path | None, pictures: bool) -> None:
    """Raise UsageError where a picture has a place, but is not to be drawn."""
    if picture is not None and not pictures:
        raise UsageError(f"--picture {picture} and --no-draw exclude each other: leave one out")


def check_parts(session: Session, strategy: str | None, source: str | None) -> list[Step]:
    """What the run lacks for recognition, see `lacking`; opens no network.

    Raises:
        PdsnError: a name is unknown, there is no run, or what is missing is not to be made.
    """
    from pdsn.api import SOURCES
    from pdsn.errors import one_of
    from pdsn.masks.strategy import NO_FDM
    from pdsn.run.strategies import choose_strategy

    if source is not None:
        one_of("--occlusion-source", source, SOURCES)
    session.run.check_made()
    chosen = choose_strategy(
        session.run, session.shortest(strategy), session.settings.dictionary, missing=True
    )
    plain = chosen == NO_FDM
    covered = (source or ("none" if plain else SOURCES[0])) == SOURCES[0]
    steps = lacking(session, matchers=[chosen], segmenter=covered)
    refuse(session, steps)
    return steps


def check_rate_asked(session: Session, fpr: float | None, *, pairs: bool = False) -> None:
    """Raise UsageError where a false-positive rate is out of range, or finer than the run's strangers can tell.

    Nothing is embedded: who they are is known from the data set. Of a gallery that leaves some of them out fewer
    count, and the rate is checked again.
    """
    import numpy as np

    from pdsn.calibration.strangers import MOST_STRANGERS, check_rate
    from pdsn.data.dataset import FaceDataset, evenly

    if fpr is None:
        return
    dataset = FaceDataset.load(session.run.data_set(session.data))
    rows = evenly(dataset.rows("val", session.settings.split), MOST_STRANGERS)
    count, what = len(rows), "validation photos of strangers"
    if pairs:
        same = int((np.bincount(dataset.labels[rows]) ** 2).sum()) if count else 0
        count, what = (count * count - same) // 2, "pairs of validation photos of different people"
    if count:  # a run without any says so itself
        check_rate(fpr, count, what)


def open_run(session: Session, strategy: str | None, source: str | None, min_face: int | None) -> Run:
    """The run of a session as `pdsn.api` has it."""
    from pdsn.api import Run

    run = Run(session, strategy, source, min_face)
    if session.data == SYNTHETIC:
        note = (
            f"note: {session.run.root} was trained on drawn people and tells real ones apart badly; see --run"
        )
        print(note, file=sys.stderr)
    return run


def about_run(session: Session, run: Run, fpr: float | None) -> dict[str, Any]:
    """What the JSON of both commands says of how the answers came about."""
    return {
        "format": 1,
        "run": shown(session.run.root),
        "strategy": run.strategy,
        "occlusion_source": run.occlusion_source,
        "fpr": fpr,
    }


def complain(command: str, line: str) -> None:
    """A line on standard error about something that is left out."""
    print(f"pdsn {command}: {' '.join(line.split())}", file=sys.stderr)


def complain_files(command: str, files: Sequence[tuple[str, str]], where: str = "") -> None:
    """A line for each (file, reason) that is left out; many files that are no photos share one.

    Args:
        command: whose line it is.
        files: the files.
        where: what stands before each.
    """
    from pdsn.data.photos import NO_PHOTO

    same = [file for file, reason in files if reason == NO_PHOTO]
    if len(same) > FEW:
        complain(command, f"{where}{len(same)} files are left out, such as {same[0]}: {NO_PHOTO}")
        files = [(file, reason) for file, reason in files if reason != NO_PHOTO]
    for file, reason in files:
        complain(command, f"{where}{file} is left out: {reason}")


def shown(path: Path) -> str:
    """A path that can be printed whatever bytes it has on disk."""
    from pdsn.people.gallery import readable

    return readable(str(path))


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
    same = people.two_names() if folder is not None else []
    for theirs, ours in same[:FEW]:
        complain(
            "identify",
            f"gallery: {ours} looks like {theirs} of the run under another name, and raises the thresholds: rename the "
            f"folder to {theirs} if they are one person",
        )
    if len(same) > FEW:
        complain("identify", f"gallery: and {len(same) - FEW} more that look like people of the run")
    return people


def _show(session: Session, answer: IdentifiedPhoto, picture: Path | None, fpr: float) -> None:
    from rich.markup import escape

    faces = answer.faces
    count = f"{len(faces)} face{'s' * (len(faces) > 1)}"
    session.say(
        escape(
            f"{shown(answer.photo.path)}: {count}, known where at most {100 * fpr:.2g} % of strangers pass"
        )
    )
    rows = [
        (
            str(number),
            face.person or "unknown",
            f"{face.cosine:.3f} ({face.threshold:.3f})",
            ", ".join(face.covered) or "-",
            ", ".join(f"{match.person} {match.cosine:.2f}" for match in face.nearest),
        )
        for number, face in enumerate(faces[:ROWS], 1)
    ]
    words = ("person", "covered", "nearest people")
    print_table(session.console, ("face", "person", "cosine (threshold)", *words[1:]), rows, text=words)
    if len(faces) > ROWS:
        session.say(f"and {len(faces) - ROWS} more faces: --json has all")
    if picture is not None:
        session.say(f"picture: {escape(shown(picture))}")


@command("identify", RECOGNITION, GOING_ON, settings={"prepare": ("min_face",)}, default="the run's")
def identify(
    shared: Shared,
    options: Layer,
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO...", help="Photos; a folder stands for those in it.")
    ],
    gallery: Annotated[
        Path | None,
        typer.Option(
            metavar="PHOTOS",
            help="Who can be named: a folder per person, or a prepared data set. Default: the run's people.",
        ),
    ] = None,
    strategy: OneStrategy = None,
    occlusion_source: Source = None,
    fpr: Rate = None,
    picture: Picture = None,
    draw: Pictures = True,
    json: Json = False,
) -> None:
    """Name every face of new photos, or say that nobody known is near enough. Exit code 1 if no photo shows a face.

    [bold]Examples[/bold]

    pdsn identify meeting.jpg --run runs/lfw

    pdsn identify door/ --run runs/lfw --gallery team-photos --fpr 0.002 --json
    """
    found = main(
        Session(shared, options, keep=False), photos, gallery=gallery, strategy=strategy, source=occlusion_source,
        fpr=fpr, min_face=options.get("prepare", {}).get("min_face"), picture=picture, pictures=draw, as_json=json,
    )  # fmt: skip
    if not found:
        raise typer.Exit(1)
