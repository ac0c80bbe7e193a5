"""Enrolling one face of a photo, and what became of it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from pdsn.api import PdsnError
from pdsn.store.doubts import doubts_of
from pdsn.web.answers import Enrolment, Named
from pdsn.web.photos import cleaned
from pdsn.web.rates import Rates

if TYPE_CHECKING:
    from pdsn.api import IdentifiedFace, IdentifiedPhoto
    from pdsn.store.enrolling import EnrolReport
    from pdsn.store.people import PeopleStore
    from pdsn.store.records import PhotoRecord


class Enrolling:
    """Enrols faces, for a page.

    Args:
        people: who is enrolled.
        rates: looked up anew after each change.
        keep_crops: keep the faces as pictures.
    """

    def __init__(self, people: PeopleStore, rates: Rates, *, keep_crops: bool = False) -> None:
        self._people = people
        self._rates = rates
        self.keep_crops = keep_crops

    def enrol(
        self, photo: bytes, label: str, name: str, *, face: int | None = None, accept_poor: bool = False
    ) -> Enrolment:
        """Enrol a face of a photo.

        Args:
            photo: the content of an image file.
            label: what the file is called; nothing is opened by that name.
            name: whom it shows.
            face: its number, from left to right; None for the one that is clearly the largest.
            accept_poor: take it however poor it is.

        Raises:
            PhotoError: it cannot be read or shows no face.
            UsageError: there is no such face, or nobody can be called so.
        """
        label = cleaned(label)
        before = None
        with suppress(
            PdsnError
        ):  # nobody is enrolled, or nobody can be told yet; what is wrong with the photo is said below
            before = self._people.identify(photo, name=label)
        report = self._people.enrol_photo(
            photo,
            name,
            source=label,
            face=face,
            accept_poor=accept_poor,
            keep_crops=self.keep_crops,
        )
        self._rates.changed()
        done = _enrolment(report)
        if report.added and before is not None:
            done.doubts = self._doubts(before, report.added[0])
        return done

    def _doubts(self, before: IdentifiedPhoto, added: PhotoRecord) -> list[str]:
        """What speaks against the name under which a face was enrolled, by who was there before."""
        away = [np.abs(face.found.box - np.array(added.box)).sum() for face in before]
        face = before.faces[int(np.argmin(away))]
        others = len(self._people.show(added.person).photos) - 1
        own = _cosine_to(face, added.name) if others else None
        return doubts_of(added.name, face.person, own, face.threshold, "merge them under People")


def _cosine_to(face: IdentifiedFace, name: str) -> float:
    """The cosine of a face to somebody's photos; of who is not near, the last one's, which is at least as much."""
    return next((match.cosine for match in face.nearest if match.person == name), face.nearest[-1].cosine)


def _enrolment(report: EnrolReport) -> Enrolment:
    """What became of the one photo of a report."""
    if report.added:
        (photo,) = report.added
        renamed = [
            f"it was given as {given}, and is enrolled as {photo.name}, who was called so before"
            for given in report.renamed
        ]
        return Enrolment(
            outcome="added",
            reason="",
            warnings=[*photo.notes, *renamed],
            person=Named(id=photo.person, name=photo.name),
            photo=photo.id,
        )
    outcome, ((_, reason),) = ("refused", report.refused) if report.refused else ("known", report.known)
    return Enrolment(outcome=outcome, reason=reason, warnings=[], person=None, photo=None)
