"""What the page can do, without HTTP: recognise, enrol, change the store, ask and answer."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pdsn import __version__
from pdsn.api import IdentifiedFace, PdsnError, PhotoError, Run, UsageError
from pdsn.pictures import face_picture
from pdsn.web.answers import (
    EnrolledPhoto,
    Enrolment,
    Face,
    Identified,
    Named,
    Neighbour,
    OpenQuestion,
    PersonDetails,
    PersonSummary,
    Removed,
    Status,
)
from pdsn.web.photos import around, cleaned, face_at, png
from pdsn.web.questions import Question, Questions

if TYPE_CHECKING:
    from pdsn.people.photo import FoundFace, SearchedPhoto
    from pdsn.store.enrolling import EnrolReport
    from pdsn.store.people import PeopleStore
    from pdsn.store.records import PersonPhotos, PhotoRecord

BELOW, ABOVE = 0.1, 0.25
"""A face may be on the wrong side of its threshold, so that somebody is asked, if its cosine is less than this below it, or above
it by less than this share of what is left up to 1."""
PICTURE_HEIGHT = 224
"""Pixels: height of an aligned face in an answer."""


class RefusedError(PdsnError):
    """Something that cannot be done.

    Attributes:
        status: the HTTP status that says so.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Service:
    """The people of a store, for a page.

    Args:
        run: recognises.
        people: who is enrolled.
        questions: the open questions.
        keep_crops: keep the faces of photos that are enrolled as pictures.
        drawn: the run was trained on drawn people.
        login: a token is asked for.
    """

    def __init__(
        self,
        run: Run,
        people: PeopleStore,
        questions: Questions,
        *,
        keep_crops: bool = False,
        drawn: bool = False,
        login: bool = False,
    ) -> None:
        self._run = run
        self._people = people
        self._questions = questions
        self._keep_crops = keep_crops
        self._drawn = drawn
        self._login = login
        self._rates: tuple[float, float] | None = None

    # Looking.

    def look_up_rates(self) -> None:
        """Find out which rates of strangers can be told; the first time takes a while."""
        try:
            self._rates = (self._people.default_fpr, self._people.finest_fpr)
        except PdsnError:  # nobody is enrolled
            self._rates = None

    def status(self) -> Status:
        """The server and its store."""
        people = self._people.list()
        default, finest = self._rates or (None, None)
        return Status(
            version=__version__,
            people=len(people),
            photos=sum(person.photos for person in people),
            questions=len(self._questions.waiting({person.id for person in people})),
            strategy=self._run.strategy,
            fpr=default if people else None,
            finest_fpr=finest if people else None,
            keeps_crops=self._keep_crops,
            drawn=self._drawn,
            login=self._login,
        )

    def everybody(self) -> list[PersonSummary]:
        """Everybody, by name."""
        return [
            PersonSummary(id=person.id, name=person.name, photos=person.photos, added=person.added)
            for person in self._people.list()
        ]

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
        return PersonDetails(id=person, name=found.person.name, added=found.person.added, photos=photos)

    def picture(self, photo: int) -> bytes:
        """The kept face of an enrolled photo, PNG."""
        path = self._crop(photo)
        if path is None:
            raise RefusedError(404, "No picture of this photo is kept.")
        try:
            return path.read_bytes()
        except OSError as error:  # removed meanwhile
            raise RefusedError(404, "No picture of this photo is kept.") from error

    # Recognising.

    def identify(
        self, photo: bytes, label: str, *, fpr: float | None = None, ask: bool = False, pictures: bool = False
    ) -> Identified:
        """Name every face of a photo.

        Args:
            photo: the content of an image file.
            label: what the file is called; nothing is opened by that name.
            fpr: share of strangers who may pass for somebody; None for the default.
            ask: keep a question about each face that is unknown, or near to its threshold.
            pictures: answer with pictures of the faces.

        Raises:
            PhotoError: it cannot be read or shows no face.
            UsageError: the rate is finer than can be told.
        """
        name, anybody = cleaned(label), bool(self._people.as_dict()["people"])
        if anybody:
            answer = self._people.identify(photo, fpr=fpr, name=name)
            self.look_up_rates()
            searched, found = answer.photo, [self._face(face) for face in answer]
            tints = [face.covered_pixels for face in answer]
        else:
            searched = self._run.search(photo, name)
            found = [_nobody(face) for face in searched.faces]
            tints = [np.zeros(face.crop.shape[:2], bool) for face in searched.faces]
        for number, (face, seen, tint) in enumerate(zip(found, searched.faces, tints, strict=True), 1):
            face.number = number
            if pictures:
                tinted = face_picture(seen.crop, PICTURE_HEIGHT, tint)
                face.picture = base64.b64encode(png(tinted)).decode("ascii")
            if face.person is not None and not face.near:
                self._questions.settle(_fingerprint(seen))
            elif ask:
                face.question = self._ask(face, seen, searched)
        height, width = searched.pixels.shape[:2]
        return Identified(
            width=round(width * float(searched.scale[0])),
            height=round(height * float(searched.scale[1])),
            fpr=(fpr or (self._rates or (None, None))[0]) if anybody else None,
            faces=found,
        )

    def _face(self, face: IdentifiedFace) -> Face:
        found = [(match, self._photo(match.row)) for match in face.nearest]
        # Who is not there any more was removed this moment.
        near = [(match, photo) for match, photo in found if photo is not None]
        neighbours = [
            Neighbour(
                id=photo.person,
                name=photo.name,
                cosine=round(match.cosine, 4),
                photo=match.row,
                picture=place == 0 and photo.crop is not None,
            )
            for place, (match, photo) in enumerate(near)
        ]
        known = next((photo for match, photo in near if match.person == face.person), None)
        return Face(
            number=0,
            box=[round(float(edge), 1) for edge in face.found.box],
            probability=round(face.found.probability, 4),
            person=None if known is None else Named(id=known.person, name=known.name),
            cosine=round(face.cosine, 4),
            threshold=round(face.threshold, 4),
            covered=face.covered,
            covered_share=round(float(face.covered_pixels.mean()), 4),
            near=-BELOW < face.cosine - face.threshold < ABOVE * (1 - face.threshold),
            nearest=neighbours,
            question=None,
            picture=None,
        )

    def _crop(self, photo: int) -> Path | None:
        """Where the kept face of an enrolled photo is."""
        found = self._photo(photo)
        return None if found is None else found.crop

    def _photo(self, photo: int) -> PhotoRecord | None:
        try:
            return self._people.photo(photo)
        except UsageError:  # no such photo, or no more
            return None

    # Enrolling and changing.

    def enrol(
        self, photo: bytes, label: str, name: str, *, face: int | None = None, accept_poor: bool = False
    ) -> Enrolment:
        """Enrol a face of a photo.

        Args:
            photo, label: see `identify`.
            name: whom it shows.
            face: its number, from left to right; None for the one that is clearly the largest.
            accept_poor: take it however poor it is.

        Raises:
            PhotoError: it cannot be read or shows no face.
            UsageError: there is no such face, or nobody can be called so.
        """
        report = self._people.enrol_photo(
            photo,
            name,
            source=cleaned(label),
            face=face,
            accept_poor=accept_poor,
            keep_crops=self._keep_crops,
        )
        self.look_up_rates()
        return _enrolment(report)

    def rename(self, person: int, name: str) -> Named:
        """Call a person something else."""
        self._named(person)
        name = name.strip()
        twin = next(
            (other for other in self._people.list() if other.name == name and other.id != person), None
        )
        if twin is not None:
            raise RefusedError(
                409, f"There is already somebody called {name}. If both are one person, merge them."
            )
        self._people.rename(person, name)
        return self._named(person)

    def merge(self, person: int, into: int) -> Named:
        """Give all photos of a person to another one."""
        self._named(person)
        target = self._named(into)
        if person == into:
            raise RefusedError(
                409, f"{target.name} cannot be merged with {target.name}: choose somebody else."
            )
        self._people.merge(person, into)
        self._questions.merged(person, into)
        return target

    def remove(self, person: int) -> Removed:
        """Remove a person with every trace, open questions too."""
        self._named(person)
        count = self._people.remove(person)
        self._forget_removed()
        return Removed(photos=count, person=True)

    def remove_photo(self, photo: int) -> Removed:
        """Remove a photo; with the last one of a person the person, too."""
        if self._photo(photo) is None:
            raise RefusedError(404, "There is no such photo. It may have been removed.")
        left = self._people.remove_photo(photo)
        self._forget_removed()
        return Removed(photos=1, person=not left)

    def _forget_removed(self) -> None:
        self._questions.waiting({person.id for person in self._people.list()})

    def _named(self, person: int) -> Named:
        return Named(id=person, name=self._shown(person).person.name)

    def _shown(self, person: int) -> PersonPhotos:
        try:
            return self._people.show(person)
        except UsageError as error:
            raise RefusedError(
                404, "There is no such person. They may have been removed or merged."
            ) from error

    # Questions.

    def _ask(self, face: Face, seen: FoundFace, searched: SearchedPhoto) -> int | None:
        nearest = face.nearest[0] if face.nearest and face.near else None
        part, middle = around(seen, searched)
        question = Question(
            id=0,
            face=_fingerprint(seen),
            asked=datetime.now(UTC).isoformat(timespec="seconds"),
            source=str(searched.path),
            person=None if nearest is None else nearest.id,
            photo=None if nearest is None else nearest.photo,
            cosine=face.cosine,
            threshold=face.threshold,
            covered=face.covered,
            middle=middle,
        )
        return self._questions.ask(question, png(Image.fromarray(part)))

    def questions(self) -> list[OpenQuestion]:
        """The open questions, the oldest first."""
        names = {person.id: person.name for person in self._people.list()}
        return [
            OpenQuestion(
                id=one.id,
                asked=one.asked,
                source=one.source,
                person=None if one.person is None else Named(id=one.person, name=names[one.person]),
                photo=one.photo if one.photo is not None and self._crop(one.photo) is not None else None,
                cosine=one.cosine,
                threshold=one.threshold,
                covered=one.covered,
            )
            for one in self._questions.waiting(names)
        ]

    def question_picture(self, number: int) -> bytes:
        """The face of an open question, PNG."""
        return self._open(number)[1]

    def confirm(self, number: int, name: str | None = None, *, accept_poor: bool = False) -> Enrolment:
        """Enrol the face of a question, for the person whom it suggests or for somebody by name.

        If its quality is too poor, the question stays open.
        """
        question, picture = self._open(number)
        if name is None:
            if question.person is None:
                raise RefusedError(422, "This question suggests nobody: give a name.")
            name = self._named(question.person).name
        try:
            searched = self._run.search(picture, question.source)
        except PhotoError as error:
            raise RefusedError(
                422,
                "The face is not found again in what was kept of its photo: enrol it from the whole photo, and reject this question.",
            ) from error
        done = self.enrol(
            picture, question.source, name, face=face_at(searched, question.middle), accept_poor=accept_poor
        )
        if done.outcome != "refused":
            self._questions.close(number, rejected=False)
        return done

    def reject(self, number: int) -> None:
        """Close a question without an answer; the same face is not asked about again."""
        self._open(number)
        self._questions.close(number, rejected=True)

    def _open(self, number: int) -> tuple[Question, bytes]:
        found = self._questions.get(number)
        if found is None:
            raise RefusedError(404, "This question is not open any more.")
        return found


def _fingerprint(face: FoundFace) -> str:
    return hashlib.sha256(face.crop.tobytes()).hexdigest()


def _nobody(face: FoundFace) -> Face:
    """The answer to a face while nobody is enrolled."""
    return Face(
        number=0,
        box=[round(float(edge), 1) for edge in face.box],
        probability=round(face.probability, 4),
        person=None,
        cosine=None,
        threshold=None,
        covered=[],
        covered_share=0.0,
        near=False,
        nearest=[],
        question=None,
        picture=None,
    )


def _enrolment(report: EnrolReport) -> Enrolment:
    """What became of the one photo of a report."""
    if report.added:
        (photo,) = report.added
        return Enrolment(
            outcome="added", reason="", warnings=photo.notes, person=Named(id=photo.person, name=photo.name), photo=photo.id
        )  # fmt: skip
    outcome, ((_, reason),) = ("refused", report.refused) if report.refused else ("known", report.known)
    return Enrolment(outcome=outcome, reason=reason, warnings=[], person=None, photo=None)
