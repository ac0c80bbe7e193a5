"""Who of a store is on a photo, and whether a photo shows the person of the store that it is said to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from shlex import quote

import numpy as np
from torch import Tensor

from pdsn.calibration.impostors import Impostors, Seen, two_names
from pdsn.calibration.mistaken import MOST_PHOTOS, Mistaken
from pdsn.calibration.strangers import DEFAULT_FPR, KeptScores, Strangers
from pdsn.data.dataset import evenly
from pdsn.errors import PdsnError, UsageError
from pdsn.matchers.embedding import EmbeddingMatcher
from pdsn.matchers.matcher import Faces, names_of
from pdsn.people.gallery import readable
from pdsn.people.identification import NEAREST, IdentifiedFace, Match, answer, in_batches
from pdsn.people.photo import Cover, FoundFace, SearchedPhoto
from pdsn.people.verification import Verdict
from pdsn.store.doubts import find_doubts
from pdsn.store.joint import own_bits
from pdsn.store.kinds import AnyStore, current
from pdsn.store.records import PhotoRecord
from pdsn.store.rivals import PersonRivals, StoreRivals
from pdsn.store.search import Hit, nearest_people
from pdsn.store.snapshot import Snapshot
from pdsn.store.variants import Variants


@dataclass(frozen=True)
class PersonVerification(Verdict):
    """Whether a photo shows the person whom it is said to show.

    Attributes:
        photo: with the face that was compared.
        faces: number of faces found; of several the largest was compared.
        covered_pixels: (H, W) bool, what of the crop is covered.
        covered: names of the regions that count as covered in the photo, or jointly with the person's nearest one.
        person: the person.
        nearest: the person's nearest photo; its `row` is the photo's id.
        cosine: to that photo or, as the run compares, to the person's mean.
        score: the cosine in standard deviations above the mean of strangers who are covered alike.
        threshold: the cosine above which the photo counts as the person's.
        impostors: number of scores of strangers behind the threshold.
    """

    photo: SearchedPhoto
    faces: int
    covered_pixels: np.ndarray
    covered: list[str]
    person: str
    nearest: Match
    cosine: float
    score: float
    threshold: float
    impostors: int

    def as_dict(self) -> dict[str, object]:
        """What JSON says of the answer."""
        return {
            "person": self.person,
            **self._verdict(),
            "photo": readable(str(self.photo.path)),
            "faces": self.faces,
            **self.photo.faces[0].as_dict(),
            "covered_share": round(float(self.covered_pixels.mean()), 4),
            "nearest": self.nearest.photo,
        }


class StoreIdentifier:
    """Names the faces of photos by a store, as it is at each call.

    Args:
        store: who can be named.
        variants: of the matcher whose answers count.
        strangers: gives those from whom the thresholds are calibrated.
        seen: gives them as the matcher sees them.
        cover: finds the covered pixels.
        kept: names what scores depend on besides the store.
        free: nothing counts as covered of the store's photos.
    """

    def __init__(
        self,
        store: AnyStore,
        variants: Variants,
        strangers: Callable[[], Strangers],
        seen: Callable[[], Seen],
        cover: Cover,
        kept: KeptScores,
        *,
        free: bool = False,
    ) -> None:
        self.store = store
        self.variants = variants
        self.matcher: EmbeddingMatcher = variants.matcher
        self.cover = cover
        self._strangers = strangers
        self._seen = seen
        self._kept = kept
        self._free = free
        self._snapshot: Snapshot | None = None
        self._calibrated: tuple[StoreRivals, Impostors] | None = None

    @property
    def snapshot(self) -> Snapshot:
        """The store as it is now."""
        self._snapshot = current(self.store, self._snapshot, self.matcher.comparison)
        return self._snapshot

    def impostors(self, snapshot: Snapshot) -> Impostors:
        """What strangers score in the store as it is in a snapshot.

        Raises:
            PdsnError: nobody is enrolled, or nobody else than the strangers themselves.
        """
        return self._calibrate(snapshot)[1]

    def _calibrate(self, snapshot: Snapshot) -> tuple[StoreRivals, Impostors]:
        """The people of a snapshot, and what strangers score against them; kept until the store changes."""
        if not len(snapshot):
            place, strategy = quote(str(self.store.root)), self.store.made.get("strategy")
            raise PdsnError(
                f"--people {self.store.root} is empty: enrol people with `pdsn enrol PHOTOS --people {place} --run RUN"
                f"{f' --strategy {strategy}' if strategy else ''}`"
            )
        if self._calibrated is None or self._calibrated[0].snapshot is not snapshot:
            rivals = StoreRivals(snapshot, self.variants, self._kept)
            self._calibrated = rivals, Impostors(self.matcher, rivals, self._strangers(), self._seen)
        return self._calibrated

    @property
    def finest_fpr(self) -> float:
        """The smallest false-positive rate that the strangers can tell."""
        return self.impostors(self.snapshot).finest_fpr

    def check(self, fpr: float) -> None:
        """Raise UsageError unless the strangers are enough for a false-positive rate."""
        self.impostors(self.snapshot).check(fpr)

    def default_fpr(self, name: str | int) -> float:
        """The false-positive rate of `verify` that is told none: fewer strangers count where the person is among them.

        Raises:
            UsageError: nobody is called so.
        """
        _, impostors = self._person(self.snapshot, name)
        return impostors.default_fpr

    def two_names(self) -> list[tuple[str, str]]:
        """Who seems to be in the run under one name and in the store under another, see `impostors.two_names`."""
        return two_names(self.impostors(self.snapshot))

    def mistaken(self, fpr: float) -> Mistaken | None:
        """How many photos of the store pass for somebody else, of those that have no region covered; see `Identifier.mistaken`."""
        snapshot = self.snapshot
        if snapshot.comparison != "nearest":
            return None
        rivals, impostors = self._calibrate(snapshot)
        hidden = own_bits(snapshot, self.matcher).any(1) & (not self._free)
        free = np.setdiff1d(np.arange(len(snapshot)), snapshot.touched[hidden])
        rows = evenly(free, MOST_PHOTOS)
        signature = (False,) * len(self.matcher.regions)
        found = rivals.among(rows, signature)
        return Mistaken.of(found.other, snapshot.labels[rows], impostors.threshold(signature, fpr), fpr)

    def doubts(self, photos: Sequence[PhotoRecord], fpr: float) -> dict[int, list[str]]:
        """See `find_doubts`."""
        snapshot = self.snapshot
        rivals, impostors = self._calibrate(snapshot)
        return find_doubts(rivals, impostors, photos, fpr, str(self.store.root))

    def identify(self, photo: SearchedPhoto, fpr: float = DEFAULT_FPR) -> list[IdentifiedFace]:
        """Name every face of a photo, in its order.

        Args:
            photo: the photo.
            fpr: share of strangers who may be taken for somebody in the store, see `threshold_at`.

        Raises:
            UsageError: `fpr` is not within what the strangers can tell.
            PdsnError: nobody is enrolled.
        """
        snapshot = self.snapshot
        impostors = self.impostors(snapshot)
        impostors.check(fpr)
        return in_batches(photo, lambda faces, crops: self._name(snapshot, impostors, faces, crops, fpr))

    def _name(
        self, snapshot: Snapshot, impostors: Impostors, faces: list[FoundFace], crops: Tensor, fpr: float
    ) -> list[IdentifiedFace]:
        covered = self.cover(crops)
        probes = self.matcher.prepare(Faces(crops, covered), "probe")
        found = nearest_people(snapshot, self.variants, probes, NEAREST, free=self._free)
        sources = self._sources(snapshot, [hit.row for hits in found for hit in hits])
        answers = []
        for row, (face, hits) in enumerate(zip(faces, found, strict=True)):
            names = names_of(probes.signatures[row], self.matcher.regions)
            matches = [self._match(snapshot, hit, sources) for hit in hits]
            # What is covered of either photo is compared in neither: the threshold goes by that.
            answers.append(answer(face, covered[row], names, matches, impostors, hits[0].signature, fpr))
        return answers

    def _person(self, snapshot: Snapshot, name: str | int) -> tuple[int, Impostors]:
        """A person's index in a snapshot, and what strangers score against that person alone."""
        shown = self.store.show(name).person.name
        if shown not in snapshot.numbers:
            raise UsageError(f"--people {self.store.root} has nobody called {shown} any more")
        person = snapshot.numbers[shown]
        rivals = PersonRivals(snapshot, self.variants, person)
        return person, Impostors(self.matcher, rivals, self._strangers(), self._seen)

    def verify(self, photo: SearchedPhoto, name: str | int, fpr: float | None = None) -> PersonVerification:
        """Whether the largest face of a photo is a person of the store.

        Args:
            photo: the photo.
            name: the person.
            fpr: share of strangers who may pass for this very person, see `threshold_at`; None for `default_fpr`.

        Raises:
            UsageError: nobody is called so, or `fpr` is not within what the strangers can tell.
        """
        snapshot = self.snapshot
        person, impostors = self._person(snapshot, name)
        fpr = impostors.default_fpr if fpr is None else fpr
        impostors.check(fpr)
        largest = photo.largest()
        crops = largest.crops()
        covered = self.cover(crops)
        probes = self.matcher.prepare(Faces(crops, covered), "probe")
        ((hit,),) = nearest_people(
            snapshot, self.variants, probes, 1, free=self._free, members=snapshot.members(person)
        )
        mean, deviation = impostors.normal(hit.signature)
        return PersonVerification(
            largest,
            len(photo.faces),
            covered[0].numpy(),
            names_of(hit.signature, self.matcher.regions),
            snapshot.people[person],
            self._match(snapshot, hit, self._sources(snapshot, [hit.row])),
            hit.score,
            (hit.score - mean) / deviation,
            impostors.threshold(hit.signature, fpr),
            len(impostors.scores(hit.signature)),
        )

    def _sources(self, snapshot: Snapshot, rows: list[int]) -> dict[int, str]:
        """The files, as they were given, of some rows; a photo that was just removed has none."""
        numbers = {row: int(snapshot.photos[row]) for row in set(rows)}
        known = self.store.sources(set(numbers.values()))
        return {row: known.get(number, "") for row, number in numbers.items()}

    def _match(self, snapshot: Snapshot, hit: Hit, sources: dict[int, str]) -> Match:
        return Match(snapshot.people[hit.person], hit.score, sources[hit.row], int(snapshot.photos[hit.row]))
