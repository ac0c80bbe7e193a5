"""Who is enrolled: names in pages, one person with all photos, and what can be changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pdsn.api import UsageError
from pdsn.web.answers import EnrolledPhoto, Named, PeoplePage, PersonDetails, PersonSummary, Removed
from pdsn.web.questions import Questions
from pdsn.web.rates import Rates
from pdsn.web.refused import RefusedError

if TYPE_CHECKING:
    from pdsn.store.people import PeopleStore
    from pdsn.store.records import PersonPhotos, PersonRecord, PhotoRecord


class Directory:
    """The people of a store, for a page.

    Args:
        people: who is enrolled.
        questions: the open questions, which follow a person who is merged, and go with one who is removed.
        rates: looked up anew after each change.
    """

    def __init__(self, people: PeopleStore, questions: Questions, rates: Rates) -> None:
        self._people = people
        self._questions = questions
        self._rates = rates

    # Looking.

    def page(self, search: str = "", start: int = 0, count: int = 100) -> PeoplePage:
        """Some people, by name in the order of the alphabet; whose name begins with what is searched for come first.

        Args:
            search: part of the name, in capitals or not; "" for everybody.
            start: how many are left out before the first.
            count: how many at most.
        """
        wanted = search.strip().casefold()

        def place(person: PersonRecord) -> tuple[bool, str, str]:
            name = person.name.casefold()
            return not name.startswith(wanted), name, person.name

        found = [person for person in self._people.list() if wanted in person.name.casefold()]
        found.sort(key=place)
        people = [
            PersonSummary(id=person.id, name=person.name, photos=person.photos, added=person.added)
            for person in found[start : start + count]
        ]
        return PeoplePage(total=len(found), people=people)

    def show(self, person: int) -> PersonDetails:
        """A person with all photos."""
        found = self._shown(person)
        photos = [
            EnrolledPhoto(
                id=photo.id,
                source=photo.source,
                added=photo.added,
                size=round(photo.size, 1),
                sharpness=round(photo.sharpness, 4),
                covered=photo.covered,
                notes=photo.notes,
                picture=photo.crop is not None,
            )
            for photo in found.photos
        ]
        return PersonDetails(
            id=person,
            name=found.person.name,
            added=found.person.added,
            former=found.former,
            photos=photos,
        )

    def named(self, person: int) -> Named:
        """A person's name."""
        return Named(id=person, name=self._shown(person).person.name)

    def is_there(self, person: int) -> bool:
        """Whether somebody is enrolled."""
        try:
            self._people.show(person)
        except UsageError:
            return False
        return True

    def photo(self, photo: int) -> PhotoRecord | None:
        """An enrolled photo; None where there is none of this id, or no more."""
        try:
            return self._people.photo(photo)
        except UsageError:
            return None

    def crop(self, photo: int) -> Path | None:
        """Where the kept face of an enrolled photo is."""
        found = self.photo(photo)
        return None if found is None else found.crop

    def picture(self, photo: int) -> bytes:
        """The kept face of an enrolled photo, PNG."""
        path = self.crop(photo)
        if path is None:
            raise RefusedError(404, "No picture of this photo is kept.")
        try:
            return path.read_bytes()
        except OSError as error:  # removed meanwhile
            raise RefusedError(404, "No picture of this photo is kept.") from error

    # Changing.

    def rename(self, person: int, name: str) -> Named:
        """Call a person something else."""
        self.named(person)
        name = name.strip()
        if any(other.name == name and other.id != person for other in self._people.list()):
            raise RefusedError(
                409, f"There is already somebody called {name}. If both are one person, merge them."
            )
        self._people.rename(person, name)
        self._rates.changed()
        return self.named(person)

    def merge(self, person: int, into: int) -> Named:
        """Give all photos of a person to another one."""
        self.named(person)
        target = self.named(into)
        if person == into:
            raise RefusedError(
                409, f"{target.name} cannot be merged with {target.name}: choose somebody else."
            )
        # First, since whoever reads the questions deletes those about people who are gone.
        followed = self._questions.merged(person, into)
        try:
            self._people.merge(person, into)
        except BaseException:
            if self.is_there(person):  # it may have failed after the two became one
                self._questions.suggest(followed, person)
            raise
        self._rates.changed()
        return target

    def remove(self, person: int) -> Removed:
        """Remove a person with every trace, open questions too."""
        self.named(person)
        count = self._people.remove(person)
        self._forget_removed()
        return Removed(photos=count, person=True)

    def remove_photo(self, photo: int) -> Removed:
        """Remove a photo; with the last one of a person the person, too."""
        if self.photo(photo) is None:
            raise RefusedError(404, "There is no such photo. It may have been removed.")
        left = self._people.remove_photo(photo)
        self._forget_removed()
        return Removed(photos=1, person=not left)

    def _forget_removed(self) -> None:
        self._questions.waiting(self.is_there)
        self._rates.changed()

    def _shown(self, person: int) -> PersonPhotos:
        try:
            return self._people.show(person)
        except UsageError as error:
            raise RefusedError(
                404, "There is no such person. They may have been removed or merged."
            ) from error
