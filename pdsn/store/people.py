"""The people of a store, as programs use them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pdsn.data.faces import Detect
from pdsn.data.given import PhotoLike
from pdsn.data.listing import sha256_or_nothing
from pdsn.data.photos import normal_name
from pdsn.data.settings import PrepareConfig
from pdsn.errors import UsageError
from pdsn.people.gallery import readable
from pdsn.people.identification import Match
from pdsn.people.naming import Naming, Search, SearchFrame
from pdsn.store.answers import PersonVerification, StoreIdentifier
from pdsn.store.checking import CheckReport
from pdsn.store.doubts import in_seconds
from pdsn.store.enrolling import Enroller, EnrolReport, enrol_folder, made_here
from pdsn.store.kinds import AnyStore, check_kept
from pdsn.store.making import Task, candidate_of
from pdsn.store.records import PersonPhotos, PersonRecord, PhotoRecord
from pdsn.store.spread import Spread, Tools, made_by_workers

People = list[PersonRecord]
Pairs = list[tuple[str, str]]
Photos = list[PhotoRecord]
Doubts = dict[int, list[str]]


@dataclass(frozen=True)
class Finding:
    """How faces are found in photos.

    Attributes:
        search, frame: see `Naming`.
        crop: size and alignment.
        detect: gives the detector.
        elsewhere: opens the run in another process.
    """

    search: Search
    frame: SearchFrame
    crop: PrepareConfig
    detect: Callable[[], Detect]
    elsewhere: Callable[[], Tools]


class PeopleStore(Naming):
    """People who stay enrolled; made by `Run.people`.

    Everything is as the store is at the moment of a call, whoever else changes it; it can be used by several threads.
    A person is given by name, or by id.

    Attributes:
        root: the folder; of a table its address.
    """

    _identifier: StoreIdentifier

    def __init__(
        self, store: AnyStore, identifier: StoreIdentifier, enroller: Enroller, finding: Finding
    ) -> None:
        super().__init__(identifier, finding.search, finding.frame)
        self.root = store.root
        self._store = store
        self._enroller = enroller
        self._finding = finding

    # Enrolling.

    def enrol(
        self,
        folder: str | Path,
        *,
        accept_poor: bool = False,
        keep_crops: bool = False,
        spread: Spread | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> EnrolReport:
        """Enrol what is new in a folder that holds a folder of photos per person.

        Args:
            folder: the photos.
            accept_poor: enrol what the gate refuses, too, with a warning; see `pdsn.store.quality`.
            keep_crops: keep the aligned faces as pictures. Otherwise no picture of anybody is kept.
            spread: by whom photos are searched and made ready, see `pdsn.store.spread`; None for this process.
            on_progress: told the photos done and the photos in all.

        Raises:
            PdsnError: the folder cannot be read, or the store not be changed.
        """
        task = Task(Path(folder), self._finding.crop, accept_poor, keep_crops)
        if spread is None:
            make = partial(made_here, self._enroller.maker, self._finding.detect())
        else:
            spread.check()
            made, widths = self._store.made, self._store.widths
            make = partial(made_by_workers, spread, self._finding.elsewhere, made, widths)
        return enrol_folder(self._enroller, task, make, on_progress=on_progress)

    def enrol_photo(
        self,
        photo: PhotoLike,
        name: str,
        *,
        source: str | None = None,
        face: int | None = None,
        accept_poor: bool = False,
        keep_crops: bool = False,
    ) -> EnrolReport:
        """Enrol one photo of a person, who need not be there yet.

        Args:
            photo: a path, the bytes of an image file, an image of Pillow, or an array of uint8.
            name: whom it shows.
            source: what the photo is called; None for its path.
            face: number of the face, from left to right, 1 for the first; None for the one that is clearly the largest.
            accept_poor, keep_crops: see `enrol`.

        Raises:
            PhotoError: it cannot be read or shows no face.
            UsageError: no face is clearly the largest, or nobody can be called so.
        """
        digest = ""
        if isinstance(photo, str | Path):
            digest = sha256_or_nothing(Path(photo))
        elif isinstance(photo, bytes):
            digest = hashlib.sha256(photo).hexdigest()
        searched = self._finding.search(photo, source)
        candidate = candidate_of(searched, name, digest, face, accept_poor=accept_poor)
        return self._enroller.enrol([candidate], accept_poor=accept_poor, keep_crops=keep_crops)

    # Who is there.

    def list(self) -> People:
        """Everybody, by name."""
        return self._store.people()

    def show(self, name: str | int) -> PersonPhotos:
        """A person with all photos.

        Raises:
            UsageError: there is nobody of that name.
        """
        return self._store.show(name)

    def photo(self, number: int) -> PhotoRecord:
        """A photo by its id, which is the `row` of a `Match`.

        Raises:
            UsageError: there is none.
        """
        return self._store.photo(number)

    def photos(self, numbers: Iterable[int]) -> Photos:
        """Photos by their ids; those that were just removed are left out."""
        return self._store.photos(list(numbers))

    def rename(self, name: str | int, new: str) -> None:
        """Call a person something else; the name until now stays known, so that strangers and new photos of that name are the person's.

        Raises:
            UsageError: there is nobody of the old name, or somebody of the new one.
        """
        self._store.rename(name, new)

    def merge(self, name: str | int, into: str | int) -> None:
        """Give all photos of a person to another one: both are one, who is called by the second name, and known by the first.

        Raises:
            UsageError: there is nobody of one of the names, or both are one.
        """
        self._store.merge(name, into)

    def forget(self, name: str) -> dict[str, str]:
        """Forget a former name, in any spelling, with every trace: what those are called who had it, by that name.

        Raises:
            UsageError: nobody had it.
        """
        return self._store.forget(name)

    def remove(self, name: str | int) -> int:
        """Remove a person with every trace; the number of photos that were removed.

        Raises:
            UsageError: there is nobody of that name.
        """
        return self._store.remove(name)

    def remove_photo(self, number: int) -> bool:
        """Remove a photo with every trace, by its id; of a person with no other one the person, too.

        Returns:
            Whether the person is still there.

        Raises:
            UsageError: there is no such photo.
        """
        return self._store.remove_photo(number)

    def check(self) -> CheckReport:
        """Whether everything in the store's folder is as it must be: nobody lost, and no trace of anybody removed."""
        return check_kept(self._store)

    def doubts(self, photos: Sequence[PhotoRecord], fpr: float | None = None) -> Doubts:
        """What speaks against the names of some enrolled photos, by their ids, such as those that `enrol` has added.

        A photo may look like somebody else who is enrolled, or not like the other photos of its name. See
        `pdsn.store.doubts.find_doubts` for those that cannot be asked about.

        Args:
            photos: the photos.
            fpr: see `identify`.

        Raises:
            UsageError: `fpr` is out of range.
        """
        return self._identifier.doubts(photos, self._rate(fpr))

    def in_seconds(self, photos: Sequence[PhotoRecord]) -> Photos:
        """Of some enrolled photos those that `doubts` can be asked about in seconds: all, or some, spread evenly."""
        return in_seconds(photos, self._store.counts()[1])

    def spelled_alike(self, names: Iterable[str]) -> Pairs:
        """(name, other name) of some enrolled people whose names differ in spelling alone from somebody else's, now or before, see `normal_name`."""
        known: dict[str, list[str]] = {}
        for person in self._store.people():
            known.setdefault(normal_name(person.name), []).append(person.name)
        for old, now in self._store.former().items():
            known.setdefault(normal_name(old), []).append(now)
        pairs: dict[frozenset[str], tuple[str, str]] = {}
        for name in dict.fromkeys(names):
            for other in known.get(normal_name(name), []):
                if other != name:
                    pairs.setdefault(frozenset((name, other)), (name, other))
        return list(pairs.values())

    # Recognising.

    def default_fpr_of(self, name: str | int) -> float:
        """The false-positive rate of `verify` that is told none: 0.01, or the finest that the strangers to this person can tell.

        Raises:
            UsageError: nobody is called so.
            PdsnError: all strangers are that person.
        """
        return self._identifier.default_fpr(name)

    def verify(
        self, photo: PhotoLike, name: str | int, *, fpr: float | None = None, source: str | None = None
    ) -> PersonVerification:
        """Whether a photo shows the person whom it is said to show; of several faces the largest counts.

        Args:
            photo: see `enrol_photo`.
            name: the person.
            fpr: share of strangers who may pass for this very person, above 0 and below 1; None for `default_fpr_of`.
            source: what the answer calls the photo; None for its path.

        Raises:
            PhotoError: it cannot be read or shows no face.
            UsageError: nobody is called so, or `fpr` is out of range.
        """
        self._store.show(name)
        return self._identifier.verify(self._finding.search(photo, source), name, fpr)

    def crop_of(self, match: Match) -> np.ndarray | None:
        """See `Naming`."""
        from PIL import Image

        try:
            path = self._store.photo(match.row).crop
            return None if path is None else np.asarray(Image.open(path).convert("RGB"))
        except (UsageError, OSError):  # removed meanwhile
            return None

    def draw_verification(self, answer: PersonVerification, path: str | Path) -> None:
        """Write the picture of a verification as PNG."""
        from pdsn.pictures import save_picture
        from pdsn.store.pictures import draw_claim

        save_picture(draw_claim(answer, self.crop_of(answer.nearest)), Path(path))

    def as_dict(self) -> dict[str, object]:
        """What JSON says of the store."""
        people, photos = self._store.counts()
        return {"source": readable(str(self.root)), "people": people, "photos": photos}
