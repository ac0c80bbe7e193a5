"""Photographs instead of painted probes: folders per person to enrol and to ask about, faces found and aligned as they come."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pdsn.data.dataset import FaceDataset
from pdsn.data.faces import Detect
from pdsn.data.listing import sha256_or_nothing
from pdsn.data.photos import Listing, list_photos
from pdsn.data.settings import PrepareConfig
from pdsn.errors import UsageError
from pdsn.evaluation.enrolment import Enrolment
from pdsn.evaluation.pair_lists import read_faces
from pdsn.evaluation.probes import Probes
from pdsn.occlusion.occluder import Occluder


@dataclass(frozen=True)
class Listed:
    """The photos to enrol and to ask about, not yet read.

    Attributes:
        gallery: the folder of the enrolled.
        probes: by the name of a row, its folder.
        listings: of each folder, the gallery's first.
        strangers: the folder whose people the thresholds come from; None for the run's.
        unknown: names of people who are asked about and not enrolled: their photos are left out.
    """

    gallery: Path
    probes: Mapping[str, Path]
    listings: Sequence[Listing]
    unknown: Sequence[str]
    strangers: Path | None = None

    @classmethod
    def of(cls, gallery: Path, probes: Sequence[Path], strangers: Path | None = None) -> Listed:
        """List the folders.

        Raises:
            PdsnError: a folder holds no photos in folders per person.
            UsageError: two rows would have one name, a folder is given twice, or nobody who is asked about is enrolled.
        """
        names = [path.resolve().name for path in probes]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(f"--probes: two folders are called {name}, and would be one row: rename one")
        folders = [gallery.resolve(), *(path.resolve() for path in probes)]
        for path in folders[1:]:
            if path == folders[0]:
                raise UsageError(f"--probes {path} is the --gallery: each photo would find itself")
        options = ["--gallery", *("--probes" for _ in names)]
        listings = [list_photos(path, option) for path, option in zip(folders, options, strict=True)]
        enrolled = {photo.person for photo in listings[0].photos}
        asked = {photo.person for listing in listings[1:] for photo in listing.photos}
        if not enrolled & asked:
            raise UsageError(
                f"--probes: nobody there ({', '.join(sorted(asked)[:3])} …) has a folder of the same name in --gallery "
                f"{gallery} ({', '.join(sorted(enrolled)[:3])} …)"
            )
        if len(enrolled) < 2:
            raise UsageError(f"--gallery {gallery} holds one person: there is nobody to tell them from")
        rows = dict(zip(names, folders[1:], strict=True))
        return cls(gallery, rows, listings, sorted(asked - enrolled), strangers)

    @property
    def fingerprint(self) -> str:
        """Eight letters that follow from the names and sizes of the photos that are enrolled and asked about."""
        return _fingerprint(self.listings)

    def asked(self) -> dict[str, Any]:
        """What is asked, as the table's settings have it: with each folder eight letters that follow from its photos."""
        about: dict[str, Any] = {
            "occlusions": list(self.probes),
            "gallery": f"{self.gallery.resolve().name}-{self.fingerprint}",
        }
        if self.strangers is not None:
            data = self.strangers / "dataset.json"
            letters = sha256_or_nothing(data)[:8] or _fingerprint([list_photos(self.strangers)])
            about["strangers"] = f"{self.strangers.resolve().name}-{letters}"
        return about

    @property
    def count(self) -> int:
        """Photos there are."""
        return sum(len(listing.photos) for listing in self.listings)


def _fingerprint(listings: Sequence[Listing]) -> str:
    """Eight letters that follow from the names and sizes of all photos."""
    lines = [f"{photo.file} {photo.bytes}" for listing in listings for photo in listing.photos]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Photographs:
    """Faces to enrol and to ask about.

    Attributes:
        dataset: all faces, those of probes without a face are black; people are those of the gallery.
        enrolment: who is enrolled, and the probes of each row.
        found: (N,) bool, in which photos of the data set a face was found.
        without_face: (file, reason) of each photo without one, the gallery's among them.
        twins: files of probes that are copies of a gallery photo, which are left out.
    """

    dataset: FaceDataset
    enrolment: Enrolment
    found: np.ndarray
    without_face: Sequence[tuple[str, str]]
    twins: Sequence[str]

    def make_probes(self, name: str, occluder: Occluder, draw: int = 0) -> Probes:
        """The probes of a row as they are, see `probes.MakeProbes`; what covers them nobody has drawn."""
        del occluder, draw
        rows = self.enrolment.asked(name)
        return Probes(self.dataset.tensor(rows), None, self.found[rows])


@dataclass(frozen=True)
class _Shown:
    """A photo that is enrolled or asked about: side 0 is the gallery, others are the rows of probes."""

    file: str
    person: str
    side: int
    face: Tensor
    found: bool


def read_photographs(
    listed: Listed, crop: PrepareConfig, detect: Detect, on_photos: Callable[[int], None]
) -> Photographs:
    """Read the photos, and find and align the face of each as `pdsn prepare` does it.

    A gallery photo without a face is not enrolled, and nobody of whom there is no other. A probe without one counts as an
    error. Photos of people who are not enrolled, and probes that are copies of a gallery photo, are left out.

    Args:
        listed: the photos.
        crop: size, alignment, and which face of several.
        detect: the detector.
        on_photos: told of so many more that are done.

    Raises:
        UsageError: the gallery shows faces of fewer than two people, or no probe is left.
    """
    folders = [listed.gallery.resolve(), *listed.probes.values()]
    people = {photo.person for photo in listed.listings[0].photos}
    shown: list[_Shown] = []
    without: list[tuple[str, str]] = []
    twins: list[str] = []
    known: set[str] = set()
    strangers = 0
    for side, (folder, listing) in enumerate(zip(folders, listed.listings, strict=True)):
        photos = [photo for photo in listing.photos if photo.person in people]
        strangers += len(listing.photos) - len(photos)
        on_photos(len(listing.photos) - len(photos))
        pixels, reasons = read_faces(folder, [photo.file for photo in photos], crop, detect, on_photos)
        for photo, face, reason in zip(photos, pixels, reasons, strict=True):
            name, hashed = f"{folder.name}/{photo.file}", sha256_or_nothing(folder / photo.file)
            if side and hashed in known:
                twins.append(name)
                continue
            if reason:
                without.append((name, reason))
            if not side and not reason:
                known.add(hashed)
            if side or not reason:
                shown.append(_Shown(name, photo.person, side, face, not reason))
        if not side:  # who shows no face in any photo is not enrolled
            people = {one.person for one in shown}
            if not people:
                raise UsageError(f"--gallery {listed.gallery} shows no face in any photo: {without[0][1]}")
            if len(people) < 2:
                raise UsageError(
                    f"--gallery {listed.gallery} shows faces of one person alone: there is nobody to tell them from"
                )
    number = {name: index for index, name in enumerate(sorted(people))}
    sides = np.array([one.side for one in shown])
    rows = {name: np.flatnonzero(sides == side) for side, name in enumerate(listed.probes, 1)}
    for name, own in rows.items():
        if not len(own):
            raise UsageError(
                f"--probes {listed.probes[name]} holds no photo of anybody enrolled that is not in the gallery itself"
            )
    array = np.stack([one.face.permute(1, 2, 0).numpy() for one in shown])
    labels, nothing = np.array([number[one.person] for one in shown], dtype=np.int64), np.full(len(shown), "")
    dataset = FaceDataset(
        root=listed.gallery,
        faces=array,
        people=list(number),
        labels=labels,
        files=[one.file for one in shown],
        split=nothing,
        person_split=nothing,
        landmarks=np.zeros((len(shown), 5, 2), np.float32),
        sha256=listed.fingerprint,
    )
    enrolment = Enrolment(np.flatnonzero(sides == 0), np.flatnonzero(sides > 0), strangers + len(twins), rows)
    return Photographs(dataset, enrolment, np.array([one.found for one in shown]), without, twins)
