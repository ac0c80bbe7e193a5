"""Stage `enrol`: photos of people into a store, where they stay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pdsn.errors import UsageError
from stages.command import GOING_ON, RECOGNITION, command
from stages.errors import complain
from stages.options import Json, Layer, OneStrategy
from stages.photo_options import PeopleDir, Source, StrangersDir
from stages.recognising import (
    FEW,
    NAMED,
    Common,
    begin,
    complain_files,
    complain_mistaken,
    complain_two_names,
    expand,
    few_of,
    open_run,
    see_strangers,
    shown,
)
from stages.session import Session, Shared
from stages.tables import print_json

if TYPE_CHECKING:
    from pdsn.store.enrolling import EnrolReport
    from pdsn.store.people import PeopleStore
    from pdsn.store.records import PhotoRecord
    from pdsn.store.spread import Spread

LINES = 20
"""Warnings that are a line each; the JSON has all."""
FEW_PHOTOS = 1000
"""Photos up to which those, too, are asked about that were enrolled before: maybe by a call that was stopped before it asked."""


def main(
    session: Session,
    photos: Path,
    people: str,
    name: str | None,
    common: Common,
    *,
    spread: Spread | None,
    vectors: str | None,
    accept_poor: bool,
    keep_crops: bool,
) -> bool:
    """Enrol what is new in a folder of people, or the photos of one person, and say what became of each photo.

    Returns:
        Whether anybody of them is enrolled now.
    """
    from pdsn.data.photos import list_photos
    from pdsn.store.kinds import check_free, check_vectors, folder_of
    from pdsn.store.lance.place import is_lance
    from pdsn.store.names import checked_name

    folder = folder_of(people)
    if folder is not None and folder.resolve().is_relative_to(photos.resolve()):
        raise UsageError(
            f"--people {people} lies among the photos: give a folder outside of {photos} for the store"
        )
    check_free(people)
    check_vectors(people, vectors)
    if keep_crops and is_lance(people):
        raise UsageError(f"--people {people} keeps no pictures: leave --keep-crops out")
    if spread is not None:
        spread.check()
        if name is not None or keep_crops:
            other = "--keep-crops" if name is None else "--name"
            raise UsageError(f"{other} is for one process: leave it out, or leave --workers and --ray out")
    if name is None and photos.is_file():
        raise UsageError(f"{photos} is a file: say whom it shows by --name, or give a folder per person")
    paths: list[Path] = []
    if name is None:
        list_photos(photos)
    else:
        checked_name(name)
        paths, others = expand([photos])
        complain_files("enrol", [(shown(path), reason) for path, reason in others])
    steps = begin(session, common)
    if not session.accelerator.is_main_process:
        return True
    run = open_run(session, common, steps)
    store = run.people(people, create=True, vectors=vectors)
    if name is None:
        report = _enrol(store, photos, spread=spread, accept_poor=accept_poor, keep_crops=keep_crops)
    else:
        report = _enrol_person(store, paths, name, accept_poor=accept_poor, keep_crops=keep_crops)
    _complain(report, people)
    spelled_alike = store.spelled_alike(photo.name for photo in report.added)
    _complain_spelled_alike(people, spelled_alike)
    about = store.as_dict()
    if not common.as_json:
        noted = sum(bool(photo.notes) for photo in report.added)
        elsewhere = f", {len(report.elsewhere)} as somebody else" if report.elsewhere else ""
        session.say(
            f"{len(report.added)} photos enrolled, {noted} of them with a warning; {len(report.refused)} refused, "
            f"{len(report.known)} known already{elsewhere}; {about['people']} people with {about['photos']} photos in {people}"
        )
    # Last, since it takes minutes once: whoever stops it has been told what was enrolled, and the same command goes on here.
    same: list[tuple[str, str]] = []
    asked: list[PhotoRecord] = []
    doubts: dict[int, list[str]] = {}
    to_ask = _to_ask(store, report)
    if report.added or report.known:
        see_strangers(run.get_ready)
        same = store.two_names()
        complain_mistaken("enrol", run, store, store.default_fpr)
        asked = store.in_seconds(to_ask)
        doubts = store.doubts(asked)
    complain_two_names("enrol", run, same, people)
    doubted = [(photo, doubts[photo.id]) for photo in asked if photo.id in doubts]
    _complain_doubts(doubted)
    if len(asked) < len(to_ask):
        complain(
            "enrol",
            f"whether they look like somebody else was asked of {len(asked)} of {len(to_ask)} photos, spread evenly: of all it would "
            "take too long",
        )
    if common.as_json:
        twins = [{"run": theirs, "people": ours} for theirs, ours in same]
        unsure = [{"id": photo.id, "photo": photo.source, "doubts": lines} for photo, lines in doubted]
        alike = [{"name": one, "other": other} for one, other in spelled_alike]
        share = {"photos": len(asked), "of": len(to_ask)}
        more = {"two_names": twins, "doubts": unsure, "asked": share, "spelled_alike": alike}
        print_json({"format": 1, "people": about, **report.as_dict(), **more})
    return bool(report.added or report.known)


def _to_ask(store: PeopleStore, report: EnrolReport) -> list[PhotoRecord]:
    """The photos whose names are to be doubted: the new ones, and those that were enrolled before where all are few."""
    known: list[PhotoRecord] = []
    numbers = report.known_ids - {photo.id for photo in report.added}
    if len(report.added) + len(numbers) <= FEW_PHOTOS:
        known = store.photos(numbers)
    return [*report.added, *sorted(known, key=lambda photo: photo.source)]


def _enrol(
    store: PeopleStore, photos: Path, *, spread: Spread | None, accept_poor: bool, keep_crops: bool
) -> EnrolReport:
    from pdsn.progress import progress_if_any

    with progress_if_any("enrol", "photos") as report:
        return store.enrol(
            photos, accept_poor=accept_poor, keep_crops=keep_crops, spread=spread, on_progress=report
        )


def _enrol_person(
    store: PeopleStore, photos: Sequence[Path], name: str, *, accept_poor: bool, keep_crops: bool
) -> EnrolReport:
    """Enrol the photos of one person."""
    from pdsn.people.photo import PhotoError
    from pdsn.progress import progress_bar
    from pdsn.store.enrolling import EnrolReport

    whole = EnrolReport()
    with progress_bar("enrol", len(photos), "photos", quiet=len(photos) == 1) as advance:
        for path in photos:
            try:
                report = store.enrol_photo(path, name, accept_poor=accept_poor, keep_crops=keep_crops)
            except (PhotoError, UsageError) as error:
                whole.refused.append((shown(path), str(error).removeprefix(shown(path)).lstrip(": ")))
                continue
            finally:
                advance()
            whole.extend(report)
    return whole


def _complain(report: EnrolReport, people: str) -> None:
    """A line for each photo that was refused, and for the first of those that were taken with a warning."""
    from pdsn.store.names import how_to_forget, how_to_remove

    complain_files("enrol", report.refused)
    noted = [photo for photo in report.added if photo.notes]
    for photo in noted[:LINES]:
        complain("enrol", f"{photo.source}: {'; '.join(photo.notes)}")
    if len(noted) > LINES:
        complain(
            "enrol", f"and {len(noted) - LINES} more with a warning: pdsn people show, and --json, have all"
        )
    _complain_known(report)
    for given, added in report.renamed.items():
        removals = few_of(how_to_remove(people, photo.id) for photo in added)
        complain(
            "enrol",
            f"photos given as {given} are enrolled as {added[0].name}, who was called so before: if they show somebody else, "
            f"have the name forgotten by {how_to_forget(people, given)}, remove them there by {removals}, and enrol them again",
        )
    for person in report.left_out:
        others = dict.fromkeys(name for _, given, name in report.elsewhere if given == person)
        why = f"all usable photos are enrolled already as {few_of(others)}" if others else "no usable photo"
        complain("enrol", f"{person} cannot be named: {why}")


def _complain_spelled_alike(people: str, pairs: Sequence[tuple[str, str]]) -> None:
    """A line for each of the first two people whose names differ in spelling alone."""
    from pdsn.store.names import how_to_merge

    for name, other in pairs[:FEW]:
        complain(
            "enrol",
            f"{name} and {other} are enrolled as two people: if they are one, {how_to_merge(people, name, other)}",
        )
    if len(pairs) > FEW:
        more = few_of(f"{name} and {other}" for name, other in pairs[FEW:])
        complain("enrol", f"and {len(pairs) - FEW} more pairs of names that are spelled alike: {more}")


def _complain_doubts(doubted: Sequence[tuple[PhotoRecord, list[str]]]) -> None:
    """A line for each of the first photos whose names something speaks against."""
    for photo, lines in doubted[:NAMED]:
        complain("enrol", f"{photo.source}: {'; '.join(lines)}")
    if len(doubted) > NAMED:
        complain("enrol", f"and {len(doubted) - NAMED} more photos that raise such a doubt: --json has all")


def _complain_known(report: EnrolReport) -> None:
    """A line for each of the first photos that were enrolled already, but as somebody else."""
    whose = dict(report.known)
    for file, _, _ in report.elsewhere[:FEW]:
        complain("enrol", f"{file} is {whose[file]}")
    if len(report.elsewhere) > FEW:
        more = [file for file, _, _ in report.elsewhere[FEW:]]
        complain("enrol", f"and {len(more)} more are enrolled already as somebody else: {few_of(more)}")


@command("enrol", RECOGNITION, GOING_ON, settings={"prepare": ("min_face",)}, default="the run's")
def enrol(
    shared: Shared,
    options: Layer,
    photos: Annotated[
        Path,
        typer.Argument(
            metavar="PHOTOS",
            help="A folder that holds a folder of photos per person; with --name a photo, or a folder of photos, of one.",
        ),
    ],
    people: PeopleDir,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Whom all these photos show.")] = None,
    strategy: OneStrategy = None,
    occlusion_source: Source = None,
    strangers: StrangersDir = None,
    accept_poor: Annotated[
        bool,
        typer.Option(
            "--accept-poor",
            help="Enrol photos, too, that are refused otherwise: small, blurred, turned away, or of several people.",
        ),
    ] = False,
    keep_crops: Annotated[
        bool,
        typer.Option(
            "--keep-crops", help="Keep the aligned faces as pictures. Without it no picture is kept."
        ),
    ] = False,
    vectors: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="How a new store keeps embeddings: float16, or int8 in half the room, which changes scores a little. Default float16; a store that is there keeps its own.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Search the photos with so many processes, through Ray Data (the extra scale). Default: this one; with --ray as many as the cluster has processors.",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Search them on the machines of a cluster of Ray's; auto takes the one in RAY_ADDRESS, or that this machine is in. Run and photos must be at the same place on all.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Enrol people who stay enrolled: what is new among the photos goes into the store that `identify --people` asks.

    Photos are told by their content: enrolled ones are passed over whatever they are called, and a stopped call goes on. A store
    belongs to the run, and to the strategy, that it was made with. What cannot be used is refused with the reason; what is
    worse than it might be is enrolled with a warning.

    [bold]Examples[/bold]

    pdsn enrol team-photos --people team --run runs/lfw

    pdsn enrol ann.jpg --name Ann --people team --run runs/lfw

    pdsn enrol archive --people lance://archive-people --run runs/lfw --workers 8
    """
    from pdsn.store.spread import Spread

    spread = None if workers is None and ray is None else Spread(workers, ray)
    common = Common.asked(options, strategy, occlusion_source, strangers=strangers, as_json=json)
    session = Session(shared, options, keep=False)
    somebody = main(
        session,
        photos,
        people,
        name,
        common,
        spread=spread,
        vectors=vectors,
        accept_poor=accept_poor,
        keep_crops=keep_crops,
    )
    if not somebody:
        raise typer.Exit(1)
