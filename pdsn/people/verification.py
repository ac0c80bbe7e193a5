"""Whether two photos show the same person, under the FDM of what is covered in one or the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from pdsn.calibration.impostors import RARE, Seen, mean_and_deviation, seen_by
from pdsn.calibration.strangers import (
    DEFAULT_FPR,
    MOST_STRANGERS,
    KeptScores,
    Strangers,
    check_rate,
    threshold_at,
)
from pdsn.data.dataset import evenly
from pdsn.errors import PdsnError
from pdsn.matchers.matcher import Faces, Matcher, Prepared, Signature, boxes_of, names_of
from pdsn.matchers.rerank import for_pairs
from pdsn.matchers.xcos import XCosMatcher
from pdsn.people.gallery import readable
from pdsn.people.photo import Cover, SearchedPhoto


class Verdict:
    """A cosine beside the threshold that it has to pass; see `Verification`, whose attributes these are."""

    covered: list[str]
    cosine: float
    score: float
    threshold: float
    impostors: int

    @property
    def same(self) -> bool:
        """The verdict."""
        return self.cosine > self.threshold

    def _verdict(self) -> dict[str, object]:
        """What JSON says of it."""
        return {
            "same": self.same,
            "cosine": round(self.cosine, 6),
            "score": round(self.score, 4),
            "threshold": round(self.threshold, 6),
            "impostors": self.impostors,
            "covered": self.covered,
        }


@dataclass(frozen=True)
class Verification(Verdict):
    """Whether two photos show the same person.

    Attributes:
        photos: both, each with the face that was compared.
        faces: number of faces found in each; of several the largest was compared.
        covered_pixels: (2, H, W) bool, what of each crop is covered.
        covered: names of the regions that count as covered, in one photo or the other or both together.
        cosine: of the two faces, under the FDM of these regions where there are masks.
        score: the cosine in standard deviations above the mean of pairs of different people who are covered alike:
            unlike cosines, scores of pairs that are covered differently can be compared.
        threshold: the cosine above which two photos count as the same person's.
        impostors: number of pairs of different people behind the threshold.
        maps: of a matcher that says where its score comes from, attention and local cosine (h, w) of the cells of the map;
            the sum of their products is `cosine`.
    """

    photos: tuple[SearchedPhoto, SearchedPhoto]
    faces: tuple[int, int]
    covered_pixels: np.ndarray
    covered: list[str]
    cosine: float
    score: float
    threshold: float
    impostors: int
    maps: tuple[np.ndarray, np.ndarray] | None = None

    def as_dict(self) -> dict[str, object]:
        """What JSON says of the pair."""
        return {
            **self._verdict(),
            **self._maps(),
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

    def _maps(self) -> dict[str, object]:
        if self.maps is None:
            return {}
        attention, local = (np.round(one.astype(float), 6).tolist() for one in self.maps)
        return {"maps": {"attention": attention, "cosine": local}}


def explained(matcher: Matcher, probe: Prepared, enrolled: Prepared) -> tuple[np.ndarray, np.ndarray] | None:
    """Attention and local cosine (h, w) of a pair, of a matcher that has them; else None."""
    if not isinstance(matcher, XCosMatcher):
        return None
    attention, local = matcher.explained(probe, enrolled)
    return attention[0].numpy(), local[0].numpy()


class Verifier:
    """Tells whether two photos show the same person.

    Args:
        matcher: whose scores count.
        strangers: pairs of different people among them are what the threshold is calibrated from.
        cover: finds the covered pixels.
        kept: where the pairs' scores are kept.
        seen: gives the strangers as the matcher sees them; None has them looked at here, when they are needed.

    Raises:
        PdsnError: there are no two people among the strangers.
    """

    def __init__(
        self,
        matcher: Matcher,
        strangers: Strangers,
        cover: Cover,
        kept: KeptScores | None = None,
        seen: Callable[[], Seen] | None = None,
    ) -> None:
        self.matcher = for_pairs(matcher)
        self.cover = cover
        self._strangers = strangers
        self._seen = seen or cache(lambda: seen_by(matcher, strangers, cover))
        number = {name: index for index, name in enumerate(dict.fromkeys(strangers.names))}
        self._people = np.array([number[name] for name in strangers.names])
        if len(number) < 2:
            raise PdsnError(f"no threshold can be calibrated: {strangers.source} show fewer than two people")
        self._kept = KeptScores() if kept is None else kept

    def verify(self, a: SearchedPhoto, b: SearchedPhoto, fpr: float = DEFAULT_FPR) -> Verification:
        """Compare the largest face of each photo.

        A pixel that is covered in one photo cannot be compared, whatever the other shows: the regions that count are
        those of which more than the matcher's share is covered in one photo or the other.

        Args:
            a, b: the photos.
            fpr: share of pairs of different people that may pass for the same, see `threshold_at`.

        Raises:
            UsageError: `fpr` is not within what the pairs can tell.
        """
        different = self._people[:, None] != self._people[None]
        what = f"pairs of photos of different people ({self._strangers.source})"
        check_rate(fpr, int(different.sum()) // 2, what)
        photos = (a.largest(), b.largest())
        crops = [photo.crops() for photo in photos]
        covered = self.cover(torch.cat(crops))
        first, second = (Faces(crop, pixels[None]) for crop, pixels in zip(crops, covered, strict=True))
        (joint,) = self.matcher.signatures(first, second)
        impostors = self._impostor_scores(first, second, joint)
        mean, deviation = mean_and_deviation(impostors)
        probe, enrolled = self.matcher.prepare(first, "probe"), self.matcher.prepare(second, "gallery")
        cosine = float(self.matcher.compare(probe, enrolled)[0, 0])
        return Verification(
            photos,
            (len(a.faces), len(b.faces)),
            covered.numpy(),
            names_of(joint, self.matcher.regions),
            cosine,
            (cosine - mean) / deviation,
            threshold_at(impostors, fpr),
            len(impostors),
            explained(self.matcher, probe, enrolled),
        )

    def _impostor_scores(self, first: Faces, second: Faces, joint: Signature) -> np.ndarray:
        """Scores of pairs of different people who are covered as the two photos are.

        Those pairs count that have the two photos' very signature. Where they are rare, all the regions of that signature
        are taken as covered, whatever they show; where they are rare even so, every pair counts.
        """
        (one,), (other,) = self.matcher.signatures(first), self.matcher.signatures(second)

        def compute() -> np.ndarray:
            faces, people = self._covered(one)
            others, whose = (faces, people) if one == other else self._covered(other)
            different = people[:, None] != whose[None]
            if one == other and self.matcher.symmetric:
                different = np.triu(different)  # a pair is the same both ways round
            chosen = different & self._alike(faces, others, joint)
            if chosen.sum() < RARE:
                boxes = boxes_of(joint, self.matcher.regions)
                faces, others = faces.also_under(boxes), others.also_under(boxes)
                alike = different & self._alike(faces, others, joint)
                chosen = alike if alike.sum() >= RARE else different
            probes, gallery = self.matcher.prepare(faces, "probe"), self.matcher.prepare(others, "gallery")
            return self.matcher.compare(probes, gallery).numpy()[chosen]

        return self._kept.get(("joint pairs", one, other, joint), compute)

    def _alike(self, a: Faces, b: Faces, joint: Signature) -> np.ndarray:
        """Which pairs (A, B) of faces have a signature, bool."""
        signatures, places = self.matcher.joint(a, b)
        place = signatures.index(joint) if joint in signatures else -1
        return (places == place).numpy()

    def _covered(self, signature: Signature) -> tuple[Faces, np.ndarray]:
        """N strangers who were found covered over a signature, and the person (N,) of each.

        Where they are rare, all strangers with a block over its regions stand beside them.
        """
        seen, count = self._seen(), len(self._strangers)
        places = evenly(seen.places.get(signature, np.empty(0, np.int64)), MOST_STRANGERS)
        parts, rows = [], []
        for number, look in enumerate(seen.looks):
            chosen = places[places // count == number] % count
            if len(chosen):
                pixels = self._strangers.wearing(look, chosen.tolist())[0]
                parts.append(Faces(pixels, self.cover(pixels)))
                rows.append(chosen)
        if len(places) < RARE:
            boxes = boxes_of(signature, self.matcher.regions)
            missing = seen.missing(signature, count)
            parts.append(Faces.free(self._strangers.blocked(boxes)).also_under(boxes)[missing.tolist()])
            rows.append(missing)
        faces = Faces(torch.cat([part.pixels for part in parts]), torch.cat([part.covered for part in parts]))
        return faces, self._people[np.concatenate(rows)]
