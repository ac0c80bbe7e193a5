"""The open questions: asked while recognising, shown, and answered by enrolling the face or closing them."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from PIL import Image

from pdsn.api import PhotoError, Run
from pdsn.web.answers import Enrolment, Face, OpenQuestion
from pdsn.web.directory import Directory
from pdsn.web.enrolling import Enrolling
from pdsn.web.photos import around, face_at, png
from pdsn.web.questions import Question, Questions
from pdsn.web.refused import RefusedError

if TYPE_CHECKING:
    from pdsn.people.photo import FoundFace, SearchedPhoto


class Answering:
    """The open questions, for a page.

    Args:
        run: finds a face again in the picture of its question.
        questions: where they are kept.
        directory: who is enrolled.
        enrolling: enrols the face of a question that is answered.
    """

    def __init__(self, run: Run, questions: Questions, directory: Directory, enrolling: Enrolling) -> None:
        self._run = run
        self._questions = questions
        self._directory = directory
        self._enrolling = enrolling

    def ask(self, face: Face, seen: FoundFace, searched: SearchedPhoto) -> int | None:
        """Keep a question about a face of a photo; its id, see `Questions.ask`."""
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

    def settle(self, seen: FoundFace) -> None:
        """Forget the question about a face that is recognised now."""
        self._questions.settle(_fingerprint(seen))

    def count(self) -> int:
        """Number of open questions."""
        return len(self._questions.waiting(self._directory.is_there))

    def list(self) -> list[OpenQuestion]:
        """The open questions, the oldest first."""
        found = []
        for one in self._questions.waiting(self._directory.is_there):
            with suppress(RefusedError):  # removed this moment: the question goes with the person
                found.append(self._shown(one))
        return found

    def _shown(self, one: Question) -> OpenQuestion:
        return OpenQuestion(
            id=one.id,
            asked=one.asked,
            source=one.source,
            person=None if one.person is None else self._directory.named(one.person),
            photo=one.photo
            if one.photo is not None and self._directory.crop(one.photo) is not None
            else None,
            cosine=one.cosine,
            threshold=one.threshold,
            covered=one.covered,
        )

    def picture(self, number: int) -> bytes:
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
            name = self._directory.named(question.person).name
        try:
            searched = self._run.search(picture, question.source)
        except PhotoError as error:
            raise RefusedError(
                422,
                "The face is not found again in what was kept of its photo: enrol it from the whole photo, and reject this question.",
            ) from error
        done = self._enrolling.enrol(
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
