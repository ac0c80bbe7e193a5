"""Who is on a photo, or nobody known: the nearest people under the FDM of what is covered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import overload

import numpy as np
import torch
from torch import Tensor

from pdsn.calibration.impostors import Impostors, Seen, seen_by, two_names
from pdsn.calibration.mistaken import MOST_PHOTOS, Mistaken
from pdsn.calibration.rivals import GalleryRivals
from pdsn.calibration.strangers import DEFAULT_FPR, KeptScores, Strangers
from pdsn.data.dataset import evenly
from pdsn.matchers.matcher import Faces, Matcher, Signature, names_of
from pdsn.metrics import best_per_person
from pdsn.people.gallery import Gallery
from pdsn.people.photo import Cover, FoundFace, SearchedPhoto

NEAREST = 5
"""People named for each face."""
BATCH = 64
"""Faces of a photo that are segmented and compared at a time: a crowd takes no more memory than a family."""


@dataclass(frozen=True)
class Match:
    """One person of the gallery as a face's neighbour: the name, the cosine, and the nearest photo's row."""

    person: str
    cosine: float
    photo: str
    row: int


@dataclass(frozen=True)
class IdentifiedFace:
    """The answer to one face.

    Attributes:
        found: where it is, and its crop.
        covered_pixels: (H, W) bool, what of the crop is covered.
        covered: names of the regions that count as covered; the comparison leaves them out where there are masks.
        person: the nearest person, or None if nobody is near enough.
        cosine: to the nearest photo of the nearest person, known or not.
        score: the cosine in standard deviations above the mean of strangers covered alike: unlike cosines, scores of
            faces that are covered differently can be compared.
        threshold: the cosine above which the nearest person is named.
        impostors: number of scores of strangers covered alike: they tell the mean and the deviation.
        nearest: up to five people, nearest first.
        deviation: one standard deviation of these strangers' cosines.
    """

    found: FoundFace
    covered_pixels: np.ndarray
    covered: list[str]
    person: str | None
    cosine: float
    score: float
    threshold: float
    impostors: int
    nearest: list[Match]
    deviation: float

    @property
    def limit(self) -> float:
        """The threshold in the terms of `score`: the nearest person is named where the score is above it."""
        return self.score + (self.threshold - self.cosine) / self.deviation

    def as_dict(self) -> dict[str, object]:
        """What JSON says of the face."""
        return {
            **self.found.as_dict(),
            "person": self.person,
            "cosine": round(self.cosine, 6),
            "score": round(self.score, 4),
            "threshold": round(self.threshold, 6),
            "impostors": self.impostors,
            "covered": self.covered,
            "covered_share": round(float(self.covered_pixels.mean()), 4),
            "nearest": [
                {"person": match.person, "cosine": round(match.cosine, 6), "photo": match.photo}
                for match in self.nearest
            ],
        }


@dataclass(frozen=True)
class IdentifiedPhoto(Sequence[IdentifiedFace]):
    """The answers to the faces of a photo, a sequence from left to right.

    Attributes:
        photo: the photo as it was searched.
        faces: the answers, see `IdentifiedFace`.
    """

    photo: SearchedPhoto
    faces: list[IdentifiedFace]

    @overload
    def __getitem__(self, place: int) -> IdentifiedFace: ...
    @overload
    def __getitem__(self, place: slice) -> list[IdentifiedFace]: ...
    def __getitem__(self, place: int | slice) -> IdentifiedFace | list[IdentifiedFace]:
        return self.faces[place]

    def __len__(self) -> int:
        return len(self.faces)


def in_batches(
    photo: SearchedPhoto, name: Callable[[list[FoundFace], Tensor], list[IdentifiedFace]]
) -> list[IdentifiedFace]:
    """The answers to all faces of a photo.

    Args:
        photo: the photo.
        name: gives the answers to some faces (N) with their crops (N, 3, H, W).
    """
    answers = []
    for first in range(0, len(photo.faces), BATCH):
        part = slice(first, first + BATCH)
        answers += name(photo.faces[part], photo.crops(part))
    return answers


def answer(
    found: FoundFace,
    covered_pixels: Tensor,
    covered: list[str],
    nearest: list[Match],
    impostors: Impostors,
    signature: Signature,
    fpr: float,
) -> IdentifiedFace:
    """The answer to a face: the nearest person, if the cosine passes the threshold for what is covered.

    Args:
        found, covered_pixels, covered, nearest: see `IdentifiedFace`.
        impostors: what strangers score.
        signature: under which the face and the nearest photo were compared.
        fpr: share of strangers who may pass.
    """
    top = nearest[0]
    threshold = impostors.threshold(signature, fpr)
    mean, deviation = impostors.normal(signature)
    return IdentifiedFace(
        found,
        covered_pixels.numpy(),
        covered,
        top.person if top.cosine > threshold else None,
        top.cosine,
        (top.cosine - mean) / deviation,
        threshold,
        len(impostors.scores(signature)),
        nearest,
        deviation,
    )


class Identifier:
    """Names the faces of photos.

    Args:
        matcher: whose answers count.
        gallery: the people who can be named.
        strangers: from whom the thresholds are calibrated, see `Impostors`.
        cover: finds the covered pixels.
        kept: where the strangers' scores are kept.
        seen: gives the strangers as the matcher sees them; None has them looked at here, when they are needed.

    Raises:
        PdsnError: everybody among the strangers has the name of the only person in the gallery.
    """

    def __init__(
        self,
        matcher: Matcher,
        gallery: Gallery,
        strangers: Strangers,
        cover: Cover,
        kept: KeptScores | None = None,
        seen: Callable[[], Seen] | None = None,
    ) -> None:
        self.matcher = matcher
        self.gallery = gallery
        self.cover = cover
        self._members = [
            torch.nonzero(gallery.labels == person)[:, 0] for person in range(len(gallery.people))
        ]
        self._enrolled = matcher.prepare(Faces.free(gallery.faces, gallery.labels), "gallery")
        seen = seen or cache(lambda: seen_by(matcher, strangers, cover))
        key = ("identification", gallery.digest())
        rivals = GalleryRivals(matcher, self._enrolled, gallery.people, gallery.labels, kept, key)
        self.impostors = Impostors(matcher, rivals, strangers, seen)

    @property
    def finest_fpr(self) -> float:
        """The smallest false-positive rate that the strangers can tell."""
        return self.impostors.finest_fpr

    def check(self, fpr: float) -> None:
        """Raise UsageError unless the strangers are enough for a false-positive rate."""
        self.impostors.check(fpr)

    def two_names(self) -> list[tuple[str, str]]:
        """Who seems to be in the run under one name and in the gallery under another, see `impostors.two_names`."""
        return two_names(self.impostors)

    def mistaken(self, fpr: float) -> Mistaken | None:
        """How many gallery photos pass for somebody else; None where a gallery's photos cannot be asked about."""
        if not self.matcher.symmetric:
            return None
        rows = evenly(np.arange(len(self.gallery.files)), MOST_PHOTOS)
        people, free = self.gallery.labels.numpy()[rows], self._enrolled.signatures[0]
        found = self.impostors.rivals.nearest(self._enrolled[rows.tolist()], people)
        return Mistaken.of(found.other, people, self.impostors.threshold(free, fpr), fpr)

    def identify(self, photo: SearchedPhoto, fpr: float = DEFAULT_FPR) -> list[IdentifiedFace]:
        """Name every face of a photo, in its order.

        Args:
            photo: the photo.
            fpr: share of strangers who may be taken for somebody in the gallery, see `threshold_at`.

        Raises:
            UsageError: `fpr` is not within what the strangers can tell.
        """
        self.check(fpr)
        return in_batches(photo, lambda faces, crops: self._name(faces, crops, fpr))

    def _name(self, faces: list[FoundFace], crops: Tensor, fpr: float) -> list[IdentifiedFace]:
        """The answers to some faces (N) with their crops (N, 3, H, W)."""
        covered = self.cover(crops)
        probes = self.matcher.prepare(Faces(crops, covered), "probe")
        scores = self.matcher.compare(probes, self._enrolled)
        best = best_per_person(scores, self.gallery.labels, len(self.gallery.people))
        nearest = best.topk(min(NEAREST, best.shape[1])).indices.tolist()
        answers = []
        for row, (found, signature) in enumerate(zip(faces, probes.signatures, strict=True)):
            matches = [self._match(scores[row], person) for person in nearest[row]]
            names = names_of(signature, self.matcher.regions)
            answers.append(answer(found, covered[row], names, matches, self.impostors, signature, fpr))
        return answers

    def _match(self, scores: Tensor, person: int) -> Match:
        """The nearest photo of a person, of one probe's scores (G,)."""
        members = self._members[person]
        row = int(members[scores[members].argmax()])
        return Match(self.gallery.people[person], float(scores[row]), self.gallery.files[row], row)
