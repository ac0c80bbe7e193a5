"""Recognising: every face of a photo is named, or called unknown."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np

from pdsn.api import IdentifiedFace, Run
from pdsn.pictures import face_picture
from pdsn.web.answering import Answering
from pdsn.web.answers import Face, Identified, Named, Neighbour
from pdsn.web.directory import Directory
from pdsn.web.photos import cleaned, png
from pdsn.web.rates import Rates

if TYPE_CHECKING:
    from pdsn.people.photo import FoundFace, SearchedPhoto
    from pdsn.store.people import PeopleStore

BELOW, ABOVE = 0.1, 0.25
"""A face may be on the wrong side of its threshold, so that somebody is asked, if its cosine is less than this below it, or above
it by less than this share of what is left up to 1."""
PICTURE_HEIGHT = 224
"""Pixels: height of an aligned face in an answer."""


class Recognising:
    """Names faces, for a page.

    Args:
        run: finds faces.
        people: who can be named.
        directory: looks photos up.
        answering: takes the questions about unclear faces.
        rates: looked up anew after each photo, for others may have changed the store.
    """

    def __init__(
        self, run: Run, people: PeopleStore, directory: Directory, answering: Answering, rates: Rates
    ) -> None:
        self._run = run
        self._people = people
        self._directory = directory
        self._answering = answering
        self._rates = rates

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
            self._rates.look_up()
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
            self._settle_or_ask(face, seen, searched, ask=ask)
        height, width = searched.pixels.shape[:2]
        return Identified(
            width=round(width * float(searched.scale[0])),
            height=round(height * float(searched.scale[1])),
            fpr=(fpr or self._rates.default) if anybody else None,
            faces=found,
        )

    def _settle_or_ask(self, face: Face, seen: FoundFace, searched: SearchedPhoto, *, ask: bool) -> None:
        if face.person is not None and not face.near:
            self._answering.settle(seen)
        elif ask:
            face.question = self._answering.ask(face, seen, searched)

    def _face(self, face: IdentifiedFace) -> Face:
        found = [(match, self._directory.photo(match.row)) for match in face.nearest]
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
