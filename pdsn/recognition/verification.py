"""Whether two photos show the same person, under the FDM of what is covered in one or the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdsn.errors import PdsnError
from pdsn.occlusion.regions import Box
from pdsn.recognition.calibration import DEFAULT_FPR, KeptScores, Strangers, check_rate, threshold_at
from pdsn.recognition.gallery import readable
from pdsn.recognition.photo import Cover, SearchedPhoto
from pdsn.recognition.recogniser import Recogniser


@dataclass(frozen=True)
class Verification:
    """Whether two photos show the same person.

    Attributes:
        photos: both, each with the face that was compared.
        faces: number of faces found in each; of several the largest was compared.
        covered_pixels: (2, H, W) bool, what of each crop is covered.
        covered: names of the regions that were left out, covered in one photo or the other.
        cosine: of the two faces under that FDM.
        threshold: the cosine above which two photos count as the same person's.
        impostors: number of pairs of different people behind the threshold.
    """

    photos: tuple[SearchedPhoto, SearchedPhoto]
    faces: tuple[int, int]
    covered_pixels: np.ndarray
    covered: list[str]
    cosine: float
    threshold: float
    impostors: int

    @property
    def same(self) -> bool:
        """The verdict."""
        return self.cosine > self.threshold

    def as_dict(self) -> dict[str, object]:
        """What JSON says of the pair."""
        return {
            "same": self.same,
            "cosine": round(self.cosine, 6),
            "threshold": round(self.threshold, 6),
            "impostors": self.impostors,
            "covered": self.covered,
            "photos": [
                {
                    "photo": readable(str(photo.path)),
                    "faces": count,
                    **photo.faces[0].as_dict(),
                    "covered_share": round(float(covered.mean()), 4),
                }
                for photo, count, covered in zip(self.photos, self.faces, self.covered_pixels, strict=True)
            ],
        }


class Verifier:
    """Tells whether two photos show the same person.

    Args:
        recogniser: whose scores count; it is enrolled here, with one photo or with the strangers.
        strangers: pairs of different people among them are what the threshold is calibrated from.
        cover: finds the covered pixels.
        regions: the boxes of the regions that the recogniser can leave out, by name.
        kept: where the pairs' scores are kept.

    Raises:
        PdsnError: there are no two people among the strangers.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        strangers: Strangers,
        cover: Cover,
        regions: Mapping[str, Box],
        kept: KeptScores | None = None,
    ) -> None:
        self.recogniser = recogniser
        self.cover = cover
        self.regions = regions
        self._strangers = strangers
        number = {name: index for index, name in enumerate(dict.fromkeys(strangers.names))}
        labels = torch.tensor([number[name] for name in strangers.names], dtype=torch.int64)
        self._different = labels[:, None] != labels[None]
        if not self._different.any():
            raise PdsnError(
                "no threshold can be calibrated: the run's validation photos show fewer than two people"
            )
        self._kept = KeptScores() if kept is None else kept

    def verify(self, a: SearchedPhoto, b: SearchedPhoto, fpr: float = DEFAULT_FPR) -> Verification:
        """Compare the largest face of each photo.

        A pixel that is covered in one photo cannot be compared, whatever the other shows: the regions of
        the FDM are those of which more than the recogniser's share is covered in one photo or the other.

        Args:
            a, b: the photos.
            fpr: share of pairs of different people that may pass for the same, see `threshold_at`.

        Raises:
            UsageError: `fpr` is not within what the pairs can tell.
        """
        check_rate(fpr, int(self._different.sum()) // 2, "pairs of validation photos of different people")
        photos = (a.largest(), b.largest())
        crops = [photo.crops() for photo in photos]
        covered = self.cover(torch.cat(crops))
        either = covered.any(0, keepdim=True)
        impostors = self._impostor_scores(covered, either)
        self.recogniser.enrol(crops[1], torch.zeros(1, dtype=torch.int64))
        cosine = float(self.recogniser.scores(crops[0], either)[0, 0])
        return Verification(
            photos,
            (len(a.faces), len(b.faces)),
            covered.numpy(),
            self.recogniser.region_names(either)[0],
            cosine,
            threshold_at(impostors, fpr),
            len(impostors),
        )

    def _impostor_scores(self, covered: Tensor, either: Tensor) -> np.ndarray:
        """Cosines of pairs of different people who are covered as the two photos are.

        Args:
            covered: (2, H, W) bool.
            either: (1, H, W) bool, what is covered in one or the other.
        """
        names = self.recogniser.region_names(torch.cat([covered, either]))
        key = tuple(tuple(part) for part in names)

        def compute() -> np.ndarray:
            alike = key[0] == key[1]
            first = self._strangers.covered(tuple(self.regions[name] for name in key[0]))
            second = first if alike else self._strangers.covered(tuple(self.regions[n] for n in key[1]))
            # Pairs of photos are compared: each stands for itself, whoever it shows.
            self.recogniser.enrol(second, torch.arange(len(second)))
            scores = self.recogniser.scores(first, either.expand(len(first), -1, -1)).cpu()
            # Covered alike, a pair is the same both ways round.
            return scores[self._different.triu() if alike else self._different].numpy()

        return self._kept.get(("pairs", *key), compute)
