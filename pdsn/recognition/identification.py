"""Who is on a photo, or nobody known: the nearest people under the FDM of what is covered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdsn.errors import PdsnError
from pdsn.occlusion.regions import Box
from pdsn.recognition.calibration import (
    DEFAULT_FPR,
    KeptScores,
    Strangers,
    check_rate,
    finest_rate,
    threshold_at,
)
from pdsn.recognition.gallery import Gallery
from pdsn.recognition.metrics import best_per_person
from pdsn.recognition.photo import Cover, FoundFace, SearchedPhoto
from pdsn.recognition.recogniser import Recogniser

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
        covered: names of the regions that were left out of the comparison for it.
        person: the nearest person, or None if nobody is near enough.
        cosine: to the nearest photo of the nearest person, known or not.
        threshold: the cosine above which the nearest person is named.
        impostors: number of strangers' scores behind the threshold.
        nearest: up to five people, nearest first.
    """

    found: FoundFace
    covered_pixels: np.ndarray
    covered: list[str]
    person: str | None
    cosine: float
    threshold: float
    impostors: int
    nearest: list[Match]

    def as_dict(self) -> dict[str, object]:
        """What JSON says of the face."""
        return {
            **self.found.as_dict(),
            "person": self.person,
            "cosine": round(self.cosine, 6),
            "threshold": round(self.threshold, 6),
            "impostors": self.impostors,
            "covered": self.covered,
            "covered_share": round(float(self.covered_pixels.mean()), 4),
            "nearest": [
                {"person": match.person, "cosine": round(match.cosine, 6), "photo": match.photo}
                for match in self.nearest
            ],
        }


class Identifier:
    """Names the faces of photos.

    Args:
        recogniser: whose answers count; it is enrolled here.
        gallery: the people who can be named.
        strangers: from whom the thresholds are calibrated. Whoever has the name of somebody in the
            gallery counts as a stranger to everybody else there.
        cover: finds the covered pixels.
        regions: the boxes of the regions that the recogniser can leave out, by name.
        kept: where the strangers' scores are kept.

    Raises:
        PdsnError: everybody among the strangers has the name of the only person in the gallery.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        gallery: Gallery,
        strangers: Strangers,
        cover: Cover,
        regions: Mapping[str, Box],
        kept: KeptScores | None = None,
    ) -> None:
        self.recogniser = recogniser
        self.gallery = gallery
        self.cover = cover
        self.regions = regions
        number = {name: index for index, name in enumerate(gallery.people)}
        self._own = torch.tensor([number.get(name, -1) for name in strangers.names], dtype=torch.int64)
        # With one person enrolled, that person's photos have nobody left to be compared with.
        self._usable = self._own < 0 if len(gallery.people) == 1 else torch.ones_like(self._own) > 0
        if not self._usable.any():
            raise PdsnError(
                "no threshold can be calibrated: the run's validation photos show nobody who is a stranger "
                "to the gallery"
            )
        self._strangers = strangers
        self._members = [
            torch.nonzero(gallery.labels == person)[:, 0] for person in range(len(gallery.people))
        ]
        self._kept = KeptScores() if kept is None else kept
        self._digest = gallery.digest()
        recogniser.enrol(gallery.faces, gallery.labels)

    @property
    def finest_fpr(self) -> float:
        """The smallest false-positive rate that the strangers can tell."""
        return finest_rate(int(self._usable.sum()))

    def check(self, fpr: float) -> None:
        """Raise UsageError unless the strangers are enough for a false-positive rate."""
        check_rate(fpr, int(self._usable.sum()), "validation photos of strangers")

    def identify(self, photo: SearchedPhoto, fpr: float = DEFAULT_FPR) -> list[IdentifiedFace]:
        """Name every face of a photo, in its order.

        Args:
            photo: the photo.
            fpr: share of strangers who may be taken for somebody in the gallery, see `threshold_at`.

        Raises:
            UsageError: `fpr` is not within what the strangers can tell.
        """
        self.check(fpr)
        answers = []
        for first in range(0, len(photo.faces), BATCH):
            part = slice(first, first + BATCH)
            crops = photo.crops(part)
            covered = self.cover(crops)
            scores = self.recogniser.scores(crops, covered).cpu()
            best = best_per_person(scores, self.gallery.labels, len(self.gallery.people))
            nearest = best.topk(min(NEAREST, best.shape[1]))
            regions = self.recogniser.region_names(covered)
            for row, found in enumerate(photo.faces[part]):
                impostors = self._impostor_scores(regions[row], covered[row])
                threshold = threshold_at(impostors, fpr)
                matches = [self._match(scores[row], person) for person in nearest.indices[row].tolist()]
                top = matches[0]
                answers.append(
                    IdentifiedFace(
                        found,
                        covered[row].numpy(),
                        regions[row],
                        top.person if top.cosine > threshold else None,
                        top.cosine,
                        threshold,
                        len(impostors),
                        matches,
                    )
                )
        return answers

    def _match(self, scores: Tensor, person: int) -> Match:
        """The nearest photo of a person, of one probe's scores (G,)."""
        members = self._members[person]
        row = int(members[scores[members].argmax()])
        return Match(self.gallery.people[person], float(scores[row]), self.gallery.files[row], row)

    def _impostor_scores(self, regions: list[str], covered: Tensor) -> np.ndarray:
        """The highest cosines to other people of strangers who are covered as a probe (H, W) is."""

        def compute() -> np.ndarray:
            faces = self._strangers.covered(tuple(self.regions[name] for name in regions))
            scores = self.recogniser.scores(faces, covered.expand(len(faces), -1, -1)).cpu()
            best = best_per_person(scores, self.gallery.labels, len(self.gallery.people))
            known = torch.nonzero(self._own >= 0)[:, 0]
            best[known, self._own[known]] = -torch.inf
            return best[self._usable].max(1).values.numpy()

        return self._kept.get(("identification", self._digest, *regions), compute)
