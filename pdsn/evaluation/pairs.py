"""Pairs of photos, clean or occluded, scored by every matcher: what verification is measured on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from pdsn.calibration.strangers import Strangers
from pdsn.data.dataset import FaceDataset, evenly
from pdsn.errors import PdsnError
from pdsn.evaluation.probes import MakeProbes
from pdsn.evaluation.verification import PairScores
from pdsn.matchers.matcher import Faces, Matcher, Signature, boxes_of
from pdsn.occlusion.occluders import CLEAN, Nothing, Occluder

KINDS = ("clean-clean", "clean-occluded", "occluded-occluded")
"""What the two photos of a pair are. In the second kind the clean photo is the gallery's, the occluded one the probe."""
MOST_PHOTOS = 20
"""Photos of a person that are paired; of more, as many spread evenly: else one person's pairs are most of all (papers/001)."""


@dataclass(frozen=True)
class Side:
    """One of the two photos of each pair.

    Attributes:
        faces: N faces with what is covered of them.
        found: (N,) bool, in which a face was found.
    """

    faces: Faces
    found: np.ndarray


@dataclass(frozen=True)
class ScoredPairs:
    """Pairs of one kind under one occlusion as one matcher scores them.

    Attributes:
        scores: in standard deviations above the mean of pairs of strangers that are covered alike, so that pairs with
            different regions covered can share a threshold.
        cosines: as they are, for distances.
    """

    scores: PairScores
    cosines: PairScores


def paired_rows(dataset: FaceDataset, split: str, by: str) -> np.ndarray:
    """The photos that are paired: of the split's people, at most `MOST_PHOTOS` each.

    Args:
        dataset: the faces.
        split: "test" or "val".
        by: "person" or "photo", the split.

    Raises:
        PdsnError: there are no two people, or nobody has two photos.
    """
    rows = dataset.rows(split, by=by)
    labels = dataset.labels[rows]
    kept = [evenly(rows[labels == person], MOST_PHOTOS) for person in np.unique(labels)]
    if len(kept) < 2 or max(map(len, kept)) < 2:
        raise PdsnError(
            f"{dataset.root}: the {split} photos of the split by {by} make no pairs of one person and of two; prepare more "
            "photos of more people"
        )
    return np.sort(np.concatenate(kept))


class PairNormal:
    """Mean and deviation of what pairs of strangers score, by signature; each is computed once.

    Args:
        matcher: whose scores count.
        strangers: the validation photos. Each signature's regions are covered by a block of grey in one photo of a pair.
    """

    def __init__(self, matcher: Matcher, strangers: Strangers) -> None:
        self.matcher = matcher
        _, self._few = strangers.few
        names = np.array(self._few.names)
        self._different = names[:, None] != names[None]
        if not self._different.any():
            raise PdsnError(
                "no scores can be compared: the run's validation photos show fewer than two people"
            )
        self._gallery = matcher.prepare(Faces.free(self._few.faces), "gallery")
        self._known: dict[Signature, tuple[float, float]] = {}

    def of(self, signature: Signature) -> tuple[float, float]:
        """Mean and deviation of the scores of pairs of two people under a signature."""
        if signature not in self._known:
            boxes = boxes_of(signature, self.matcher.regions)
            probes = self.matcher.prepare(Faces.free(self._few.blocked(boxes)).also_under(boxes), "probe")
            scores = self.matcher.compare(probes, self._gallery).numpy()[self._different]
            self._known[signature] = float(scores.mean()), max(float(scores.std()), 1e-9)
        return self._known[signature]


def score_pairs(
    matcher: Matcher, normal: PairNormal, probes: Side, gallery: Side, people: np.ndarray, *, twice: bool
) -> ScoredPairs:
    """Score all pairs of a probe and a gallery photo but those of a photo with itself.

    Args:
        matcher: scores them, under what is covered in either.
        normal: of the matcher.
        probes, gallery: the same N photos on either side, covered or not.
        people: (N,) int64, whom they show.
        twice: whether each two photos are paired both ways round, as they differ by what covers them.
    """
    scores = matcher.compare(
        matcher.prepare(probes.faces, "probe"), matcher.prepare(gallery.faces, "gallery")
    )
    cosines = scores.numpy().astype(np.float64)
    signatures, places = matcher.joint(probes.faces, gallery.faces)
    normals = np.array([normal.of(signature) for signature in signatures])
    mean, deviation = normals[places.numpy()].transpose(2, 0, 1)
    unseen = ~(probes.found[:, None] & gallery.found[None])
    cosines[unseen] = np.nan
    count = len(people)
    counted = ~np.eye(count, dtype=bool) if twice else np.triu(np.ones((count, count), bool), 1)
    same = people[:, None] == people[None]
    return ScoredPairs(
        *(_pairs(values, counted, same, people) for values in ((cosines - mean) / deviation, cosines))
    )


def _pairs(values: np.ndarray, counted: np.ndarray, same: np.ndarray, people: np.ndarray) -> PairScores:
    first, second = np.nonzero(counted & ~same)
    own = counted & same
    return PairScores(
        values[own],
        values[first, second],
        people[np.nonzero(own)[0]],
        np.stack([people[first], people[second]], 1),
    )


def verify_pairs(
    dataset: FaceDataset,
    rows: np.ndarray,
    matchers: Mapping[str, Matcher],
    occluders: Mapping[str, Occluder],
    strangers: Strangers,
    *,
    make_probes: MakeProbes,
    find_covered: Callable[[Tensor], Tensor] | None,
    on_scored: Callable[[str, str, str], None],
) -> dict[tuple[str, str, str], ScoredPairs]:
    """Score the pairs of every kind under every occlusion by every matcher.

    Args:
        dataset: the faces.
        rows: (N,) the photos, see `paired_rows`.
        matchers: by name.
        occluders: by name; "clean" gives the pairs of two clean photos.
        strangers: from whom scores are made comparable.
        make_probes: makes the occluded faces of `rows`; draw 0 is one photo's of a pair, draw 1 the other's.
        find_covered: the covered pixels of faces; None takes the exact ones.
        on_scored: told of each occlusion, kind and matcher when it is done.

    Returns:
        By occlusion, kind and matcher.
    """
    people = dataset.labels[rows].astype(np.int64)
    normals = {name: PairNormal(matcher, strangers) for name, matcher in matchers.items()}

    def side(name: str, occluder: Occluder, draw: int) -> Side:
        asked = make_probes(name, occluder, draw)
        covered = asked.exact if find_covered is None else find_covered(asked.faces)
        return Side(Faces(asked.faces, covered), asked.found)

    clean, found = side(CLEAN, Nothing(), 0), {}
    for occlusion, occluder in occluders.items():
        kinds: dict[str, tuple[Side, Side, bool]]
        if occlusion == CLEAN:
            kinds = {KINDS[0]: (clean, clean, False)}
        else:
            first, second = side(occlusion, occluder, 0), side(occlusion, occluder, 1)
            kinds = {KINDS[1]: (first, clean, True), KINDS[2]: (first, second, True)}
        for kind, (probes, gallery, twice) in kinds.items():
            for name, matcher in matchers.items():
                found[occlusion, kind, name] = score_pairs(
                    matcher, normals[name], probes, gallery, people, twice=twice
                )
                on_scored(occlusion, kind, name)
    return found
