"""What `identify` prints of photos: of one each face with the nearest people, of several a line for each face."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from pdsn.masks.strategy import heading
from pdsn.matchers.table import SIGN
from stages.recognising import shown
from stages.session import Session
from stages.tables import print_table

if TYPE_CHECKING:
    from pdsn.api import IdentifiedPhoto
    from pdsn.people.identification import IdentifiedFace

ROWS = 20
"""Faces of a photo that the table shows."""


def show_photo(
    session: Session, answer: IdentifiedPhoto, picture: Path | None, fpr: float, strategy: str
) -> None:
    """Print a table of the faces of one photo, the nearest people of each below each other."""
    faces = answer.faces
    count = f"{len(faces)} face{'s' * (len(faces) > 1)}"
    session.say(escape(f"{shown(answer.photo.path)}: {count}, {_compared(fpr, strategy)}"))
    rows = [
        (
            str(number),
            face.person or "unknown",
            *_score_and_cover(face),
            "\n".join(f"{match.person} {match.cosine:.2f}" for match in face.nearest),
        )
        for number, face in enumerate(faces[:ROWS], 1)
    ]
    head = ("face", "person", *_headings(strategy), "nearest people")
    print_table(session.console, head, rows, text=("person", "covered"), lists=("nearest people",))
    if len(faces) > ROWS:
        session.say(f"and {len(faces) - ROWS} more faces: --json has all")
    if picture is not None:
        session.say(f"picture: {escape(shown(picture))}")


class Several:
    """The answers to several photos, to be printed as one table.

    Args:
        paths: all photos that are asked about: the table calls them as they are called in the folder that they share.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        try:
            self._folder = os.path.commonpath([path.parent for path in paths])
        except ValueError:  # such as a path from the root beside one from here
            self._folder = ""
        self._rows: list[tuple[str, ...]] = []
        self._cut: list[str] = []
        self._pictures: set[Path] = set()
        self.photos = self.faces = self.named = 0

    def add(self, answer: IdentifiedPhoto, picture: Path | None) -> None:
        """Note the faces of a photo; the photo itself is not kept."""
        path, faces = answer.photo.path, answer.faces
        name = shown(path.relative_to(self._folder) if self._folder else path)
        for number, face in enumerate(faces[:ROWS], 1):
            which = f"{name}, face {number}" if len(faces) > 1 else name
            person = face.person or f"unknown, nearest {face.nearest[0].person}"
            self._rows.append((which, person, *_score_and_cover(face)))
        if len(faces) > ROWS:
            self._cut.append(f"and {len(faces) - ROWS} more faces on {name}: --json has all")
        if picture is not None:
            self._pictures.add(picture.parent)
        self.photos += 1
        self.faces += len(faces)
        self.named += sum(face.person is not None for face in faces)

    def show(self, session: Session, fpr: float, strategy: str, failed: int) -> None:
        """Print the table, and how many photos, faces and names there are.

        Args:
            session: the call.
            fpr: share of strangers who may pass.
            strategy: by which they were compared.
            failed: photos without an answer.
        """
        if not self._rows:
            return
        session.say(escape(f"{self._folder + ': ' if self._folder else ''}{_compared(fpr, strategy)}"))
        head = ("photo", "person", *_headings(strategy))
        print_table(session.console, head, self._rows, text=("person", "covered"), files=("photo",))
        for line in self._cut:
            session.say(escape(line))
        for folder in sorted(self._pictures):
            session.say(f"pictures: {escape(shown(folder))}")
        photos, faces = (
            f"{count} {what}{'s' * (count != 1)}"
            for count, what in ((self.photos, "photo"), (self.faces, "face"))
        )
        session.say(
            f"{photos}, {faces}: {self.named} named, {self.faces - self.named} unknown; {failed} failed"
        )


def _compared(fpr: float, strategy: str) -> str:
    return f"compared by {heading(strategy)}, known where at most {100 * fpr:.2g} % of strangers pass"


def _headings(strategy: str) -> tuple[str, str]:
    return f"{'log odds' if SIGN in strategy else 'cosine'} (threshold)", "covered"


def _score_and_cover(face: IdentifiedFace) -> tuple[str, str]:
    return f"{face.cosine:.3f} ({face.threshold:.3f})", ", ".join(face.covered) or "-"
