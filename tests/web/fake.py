"""A run and a store of pattern people in memory, with the names of `pdsn.api`, and photos of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from pdsn.api import IdentifiedFace, IdentifiedPhoto, PdsnError, UsageError
from pdsn.data.settings import PrepareConfig
from pdsn.people.identification import Match
from pdsn.people.photo import SearchedPhoto, search_photo
from pdsn.store.enrolling import EnrolReport
from pdsn.store.names import checked_name
from pdsn.store.records import PersonPhotos, PersonRecord, PhotoRecord
from tests.people.photos import PlainDetector, save_photo

CROP = PrepareConfig(size=(64, 48), min_face=40)
THRESHOLD = 0.9
NOW = "2026-01-02T03:04:05+00:00"


def pattern(person: int, photo: int = 0, *, noise: float = 12.0, poor: bool = False) -> np.ndarray:
    """An aligned face (64, 48, 3) uint8 of a person; a poor one has a first pixel of pure red."""
    coarse = np.random.default_rng(person).uniform(30, 225, (8, 6, 3))
    rng = np.random.default_rng((person, photo))
    face = np.clip(np.kron(coarse, np.ones((8, 8, 1))) + rng.normal(0, noise, (64, 48, 3)), 0, 255)
    face = face.astype(np.uint8)
    if poor:
        face[:32, :24] = (255, 0, 0)
    return face


def photo_of(path: Path, *faces: np.ndarray) -> bytes:
    """The content of a PNG of some faces, which is at `path`, too."""
    return save_photo(path, *faces).read_bytes()


def _unit(crop: np.ndarray) -> np.ndarray:
    small = np.asarray(Image.fromarray(crop).resize((6, 8), Image.Resampling.BOX), np.float64)
    centred = small - small.mean()
    return centred.ravel() / np.linalg.norm(centred)


class FakeRun:
    """Finds faces on plain grey."""

    strategy = "LM2"

    def search(self, photo: bytes, name: str | None = None) -> SearchedPhoto:
        """See `Run.search`."""
        assert isinstance(photo, bytes), "no path from a client is ever opened"
        return search_photo(photo, CROP, PlainDetector(), name)


@dataclass
class FakePeople:
    """A store; the lower half of a face that is all white counts as covered."""

    folder: Path
    run: FakeRun = field(default_factory=FakeRun)
    names: dict[int, str] = field(default_factory=dict)
    former: dict[str, int] = field(default_factory=dict)
    photos: dict[int, tuple[PhotoRecord, np.ndarray]] = field(default_factory=dict)
    given: int = 0
    trained: bool = False
    default_fpr: float = 0.01
    finest_fpr: float = 0.002

    def list(self) -> list[PersonRecord]:
        """See `PeopleStore`, as all that follows."""
        owners = [photo.person for photo, _ in self.photos.values()]
        found = [PersonRecord(id, name, owners.count(id), NOW) for id, name in self.names.items()]
        return sorted(found, key=lambda person: person.name)

    def two_names(self) -> list[tuple[str, str]]:
        """See `Naming`: whoever is called Ben was trained on as ben_2."""
        return [("ben_2", "Ben")] if "Ben" in self.names.values() and self.trained else []

    def show(self, name: int) -> PersonPhotos:
        if name not in self.names:
            raise UsageError(f"there is nobody called {name}")
        (person,) = (one for one in self.list() if one.id == name)
        photos = [photo for photo, _ in self.photos.values() if photo.person == name]
        return PersonPhotos(person, photos, [old for old, one in self.former.items() if one == name])

    def as_dict(self) -> dict[str, object]:
        return {"source": str(self.folder), "people": len(self.names), "photos": len(self.photos)}

    def photo(self, number: int) -> PhotoRecord:
        if number not in self.photos:
            raise UsageError("there is no such photo")
        return self.photos[number][0]

    def enrol_photo(self, photo, name, *, source=None, face=None, accept_poor=False, keep_crops=False):
        name = checked_name(name)
        searched = self.run.search(photo, source)
        if face is not None and face > len(searched.faces):
            raise UsageError(f"{source} shows {len(searched.faces)} faces: there is no face {face}")
        found = searched.faces[0 if face is None else face - 1]
        vector = _unit(found.crop)
        for known, other in self.photos.values():
            if np.allclose(other, vector, atol=1e-9):
                return EnrolReport(known=[(source, f"enrolled already as {known.name} ({known.source})")])
        if (found.crop[2, 2] == (255, 0, 0)).all() and not accept_poor:
            return EnrolReport(refused=[(source, "its face is blurred")])
        given, number = name, self.former.get(name, 0)
        name = self.names.get(number, name)
        number = number or next((id for id, one in self.names.items() if one == name), 0)
        if not number:
            self.given += 1
            number = self.given
            self.names[number] = name
        self.given += 1
        crop = self.folder / f"{self.given}.png" if keep_crops else None
        if crop is not None:
            Image.fromarray(found.crop).save(crop)
        left, top, right, bottom = found.box.tolist()
        record = PhotoRecord(
            name, source, "", "", (left, top, right, bottom), 0.99, 96.0, 0.3, 0.0, [], [], self.given, number, NOW, crop
        )  # fmt: skip
        self.photos[self.given] = record, vector
        return EnrolReport(added=[record], renamed={} if name == given else {given: name})

    def identify(self, photo, *, fpr=None, name=None) -> IdentifiedPhoto:
        if fpr is not None and fpr < self.finest_fpr:
            raise UsageError(f"--fpr {fpr} is finer than the strangers can tell")
        if not self.photos:
            raise PdsnError(f"--people {self.folder} is empty")
        searched = self.run.search(photo, name)
        return IdentifiedPhoto(searched, [self._face(face) for face in searched.faces])

    def _face(self, face) -> IdentifiedFace:
        best: dict[str, Match] = {}
        for number, (record, vector) in self.photos.items():
            score = float(_unit(face.crop) @ vector)
            if record.name not in best or score > best[record.name].cosine:
                best[record.name] = Match(record.name, score, record.source, number)
        nearest = sorted(best.values(), key=lambda match: -match.cosine)
        covered = np.zeros(face.crop.shape[:2], bool)
        if (face.crop[40:] == 255).mean() > 0.8:
            covered[40:] = True
        known = nearest[0].person if nearest[0].cosine > THRESHOLD else None
        return IdentifiedFace(
            face, covered, ["mouth"] if covered.any() else [], known, nearest[0].cosine, 3.0, THRESHOLD, 99, nearest[:5], 0.1
        )  # fmt: skip

    def rename(self, name: int, new: str) -> None:
        new = checked_name(new)
        self.former = {old: one for old, one in self.former.items() if old != new} | {self.names[name]: name}
        self.names[name] = new
        self._each(lambda record: replace(record, name=new) if record.person == name else record)

    def merge(self, name: int, into: int) -> None:
        whose = self.names[into]
        self._each(
            lambda record: replace(record, person=into, name=whose) if record.person == name else record
        )
        del self.names[name]

    def remove(self, name: int) -> int:
        gone = [number for number, (record, _) in self.photos.items() if record.person == name]
        for number in gone:
            del self.photos[number]
        del self.names[name]
        self.former = {old: one for old, one in self.former.items() if one != name}
        return len(gone)

    def remove_photo(self, number: int) -> bool:
        record, _ = self.photos.pop(number)
        left = any(other.person == record.person for other, _ in self.photos.values())
        if not left:
            del self.names[record.person]
        return left

    def _each(self, change) -> None:
        self.photos = {number: (change(record), vector) for number, (record, vector) in self.photos.items()}
