"""Stages `people …`: who is in a store, and changes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pdsn.errors import UsageError
from pdsn.store.records import LARGEST_ID
from stages.command import ALONE, RECOGNITION, command
from stages.options import Json
from stages.photo_options import PeopleDir
from stages.session import Shared
from stages.tables import print_json, print_table

if TYPE_CHECKING:
    from pdsn.store.kinds import AnyStore

Name = Annotated[str, typer.Argument(metavar="NAME", help="A person of the store.")]


def _open(people: str) -> AnyStore:
    from pdsn.store.kinds import open_store

    return open_store(people)


def _say(line: str) -> None:
    Console().print(line, highlight=False, soft_wrap=True, markup=False)


@command("people list", RECOGNITION, ALONE)
def list_people(shared: Shared, people: PeopleDir, json: Json = False) -> None:
    """List everybody in a store, with the number of photos."""
    del shared
    found = _open(people).people()
    if json:
        print_json({"format": 1, "people": [person.as_dict() for person in found]})
        return
    rows = [(person.name, str(person.photos), str(person.id), person.added) for person in found]
    print_table(Console(), ("person", "photos", "id", "since"), rows)
    _say(f"{len(found)} people with {sum(person.photos for person in found)} photos in {people}")


@command("people show", RECOGNITION, ALONE)
def show(shared: Shared, name: Name, people: PeopleDir, json: Json = False) -> None:
    """Show what a store knows of a person: each photo with its quality, what is covered, and warnings."""
    del shared
    found = _open(people).show(name)
    if json:
        print_json({"format": 1, **found.as_dict()})
        return
    rows = [
        (
            str(photo.id),
            photo.source,
            f"{photo.size:.0f}",
            f"{photo.sharpness:.2f}",
            f"{photo.pose:.2f}",
            ", ".join(photo.covered) or "-",
            "; ".join(photo.notes) or "-",
            photo.added,
        )
        for photo in found.photos
    ]
    words = ("photo", "covered", "notes")
    head = ("id", "photo", "face px", "sharpness", "pose", "covered", "notes", "since")
    former = f" (before: {', '.join(found.former)})" if found.former else ""
    print_table(Console(), head, rows, title=f"{found.person.name}{former}", text=words)


@command("people rename", RECOGNITION, ALONE)
def rename(
    shared: Shared,
    name: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="What the person is to be called.")],
    people: PeopleDir,
) -> None:
    """Call a person something else. The old name stays known: the run's photos of that name, and new ones in that folder, are this person's."""
    del shared
    _open(people).rename(name, new)
    _say(f"{name} is {new} now")


@command("people merge", RECOGNITION, ALONE)
def merge(
    shared: Shared,
    name: Name,
    into: Annotated[
        str, typer.Argument(metavar="INTO", help="The person who is the same, and keeps the name.")
    ],
    people: PeopleDir,
) -> None:
    """Make two people one: all photos of NAME become photos of INTO."""
    del shared
    store = _open(people)
    store.merge(name, into)
    _say(f"{name} is {into} now, with {store.show(into).person.photos} photos")


@command("people remove", RECOGNITION, ALONE)
def remove(
    shared: Shared,
    people: PeopleDir,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A person of the store.")] = None,
    photo: Annotated[
        int | None,
        typer.Option(
            metavar="ID",
            help="Remove this one photo instead, by its id in `people show`.",
            min=1,
            max=LARGEST_ID,
        ),
    ] = None,
) -> None:
    """Remove a person, or one photo, with every trace: record, embeddings, kept face. It cannot be undone.

    The photos that were given to `enrol` stay where they are, and so do pictures that `identify` has drawn.
    """
    del shared
    if (name is None) == (photo is None):
        raise UsageError("say who is to be removed: NAME, or --photo ID")
    store = _open(people)
    if photo is not None:
        left = store.remove_photo(photo)
        _say(f"photo {photo} is removed{'' if left else ', and the person with it: there was no other'}")
    elif name is not None:
        count = store.remove(name)
        _say(f"{name} is removed, with {count} photo{'s' * (count > 1)}")


@command("people forget", RECOGNITION, ALONE)
def forget(
    shared: Shared,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that somebody had before.")],
    people: PeopleDir,
) -> None:
    """Forget a former name, in any spelling, with every trace. Photos of that name are somebody new's from then on.

    `people show` has the former names of a person.
    """
    del shared
    for old, now in _open(people).forget(name).items():
        _say(f"{old} is forgotten: it was a former name of {now}")


@command("people check", RECOGNITION, ALONE)
def check(shared: Shared, people: PeopleDir, json: Json = False) -> None:
    """Look at every byte of a store: nobody is lost, and nothing is left of anybody removed. Exit code 1 if something is wrong.

    What a killed command has left is made good first.
    """
    from pdsn.store.kinds import check_kept

    del shared
    report = check_kept(_open(people))
    if json:
        print_json({"format": 1, **report.as_dict()})
    else:
        for line in (*report.tidied, *report.wrong):
            _say(line)
        verdict = "clean" if report.clean else f"{len(report.wrong)} things are wrong"
        _say(f"{verdict}: {report.people} people with {report.photos} photos in {people}")
    if not report.clean:
        raise typer.Exit(1)


@command("people index", RECOGNITION, ALONE)
def index(shared: Shared, people: PeopleDir) -> None:
    """Make the index of a table (lance://…) that `identify --index` asks, or bring it up to date; needs 5000 photos or more.

    A removal takes the index away with whoever was removed; make it again then.
    """
    from pdsn.progress import progress_if_any
    from pdsn.store.kinds import make_index

    del shared
    with progress_if_any("index", "sets of regions") as report:
        count = make_index(_open(people), report)
    _say(f"the index of {people} has {count} photos")


COMMANDS = (list_people, show, rename, merge, remove, forget, check, index)
"""In the order of the help."""
