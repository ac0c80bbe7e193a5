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
from pdsn.matchers.matcher import Faces, Matcher, Prepared, Signature, boxes_of
from pdsn.matchers.rerank import for_pairs
from pdsn.networks.branches import Role
from pdsn.occlusion.occluder import Occluder
from pdsn.occlusion.occluders import CLEAN, Nothing

LISTED = "listed"
KINDS = ("clean-clean", "clean-occluded", "occluded-occluded", LISTED)
"""What the two photos of a pair are. In the second kind the clean photo is the gallery's, the occluded one the probe; in the
last one they are as a list of pairs has them."""
MOST_PHOTOS = 20
"""Photos of a person that are paired; of more, as many spread evenly: else one person's pairs are most of all (papers/001)."""


@dataclass(frozen=True)
class Side:
    """One of the two photos of each pair, as every matcher compares it.

    Attributes:
        faces: N faces with what is covered of them.
        found: (N,) bool, in which a face was found.
        prepared: by matcher.
    """

    faces: Faces
    found: np.ndarray
    prepared: dict[str, Prepared]


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


class PairScorer:
    """Scores pairs of photos by several matchers that share a base: its trunk sees each lot of faces once.

    Args:
        matchers: by name.
        strangers: from whom scores are made comparable.
    """

    def __init__(self, matchers: Mapping[str, Matcher], strangers: Strangers) -> None:
        self.matchers = {name: for_pairs(matcher) for name, matcher in matchers.items()}
        self._normals = {name: PairNormal(matcher, strangers) for name, matcher in self.matchers.items()}

    def side(self, faces: Faces, found: np.ndarray, role: Role) -> Side:
        """Photos on one side of pairs; `found` (N,) says in which a face was found."""
        return Side(faces, found, {name: own.prepare(faces, role) for name, own in self.matchers.items()})

    def score(
        self, probes: Side, gallery: Side, people: np.ndarray, *, twice: bool
    ) -> dict[str, ScoredPairs]:
        """Score all pairs of a probe and a gallery photo but those of a photo with itself, by matcher.

        Args:
            probes, gallery: the same N photos on either side, covered or not.
            people: (N,) int64, whom they show.
            twice: whether each two photos are paired both ways round, as they differ by what covers them.
        """
        joint = {name: own.joint(probes.faces, gallery.faces) for name, own in self.matchers.items()}
        # Signature by signature, so that the matchers share the maps of its strangers.
        for signature in sorted(set().union(*(signatures for signatures, _ in joint.values()))):
            for name, (signatures, _) in joint.items():
                if signature in signatures:
                    self._normals[name].of(signature)
        count = len(people)
        counted = ~np.eye(count, dtype=bool) if twice else np.triu(np.ones((count, count), bool), 1)
        same, unseen = people[:, None] == people[None], ~(probes.found[:, None] & gallery.found[None])
        found = {}
        for name, matcher in self.matchers.items():
            scores = matcher.compare(probes.prepared[name], gallery.prepared[name])
            cosines = scores.numpy().astype(np.float64)
            cosines[unseen] = np.nan
            signatures, places = joint[name]
            normals = np.array([self._normals[name].of(signature) for signature in signatures])
            mean, deviation = normals[places.numpy()].transpose(2, 0, 1)
            found[name] = ScoredPairs(
                _pairs((cosines - mean) / deviation, counted, same, people),
                _pairs(cosines, counted, same, people),
            )
        return found

    def score_listed(
        self, probes: Side, gallery: Side, pairs: np.ndarray, same: np.ndarray, people: np.ndarray
    ) -> dict[str, ScoredPairs]:
        """Score pairs of a list row by row, under what is covered in either photo, by matcher.

        Args:
            probes, gallery: the same F photos on either side.
            pairs: (N, 2) the places of each pair's photos among them.
            same: (N,) bool, whether a pair shows one person.
            people: (F,) int64, whom each photo shows.
        """
        first, second = pairs[:, 0].tolist(), pairs[:, 1].tolist()
        unseen = ~(probes.found[first] & gallery.found[second])
        found = {}
        for name, matcher in self.matchers.items():
            scores = matcher.pairs(probes.prepared[name][first], gallery.prepared[name][second])
            cosines = scores.numpy().astype(np.float64)
            cosines[unseen] = np.nan
            signatures = matcher.signatures(probes.faces[first], gallery.faces[second])
            mean, deviation = np.array([self._normals[name].of(one) for one in signatures]).T
            whose = np.stack([people[first], people[second]], 1)
            found[name] = ScoredPairs(
                *(
                    PairScores(values[same], values[~same], whose[same, 0], whose[~same])
                    for values in ((cosines - mean) / deviation, cosines)
                )
            )
        return found


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
    scorer: PairScorer,
    people: np.ndarray,
    occluders: Mapping[str, Occluder],
    *,
    make_probes: MakeProbes,
    find_covered: Callable[[Tensor], Tensor] | None,
    on_scored: Callable[[str, str], None],
) -> dict[tuple[str, str, str], ScoredPairs]:
    """Score the pairs of every kind under every occlusion by every matcher.

    Args:
        scorer: the matchers.
        people: (N,) int64, whom the photos show, see `paired_rows`.
        occluders: by name; "clean" gives the pairs of two clean photos.
        make_probes: makes the occluded faces of the photos; draw 0 is one photo's of a pair, draw 1 the other's.
        find_covered: the covered pixels of faces; None takes the exact ones.
        on_scored: told of each occlusion and kind when it is done.

    Returns:
        By occlusion, kind and matcher.
    """

    def side(name: str, occluder: Occluder, draw: int, role: Role) -> Side:
        asked = make_probes(name, occluder, draw)
        covered = asked.exact if find_covered is None else find_covered(asked.faces)
        assert covered is not None, "painted probes know what was painted"
        return scorer.side(Faces(asked.faces, covered), asked.found, role)

    clean, found = side(CLEAN, Nothing(), 0, "gallery"), {}
    for occlusion, occluder in occluders.items():
        kinds: dict[str, tuple[Side, Side, bool]]
        if occlusion == CLEAN:
            kinds = {KINDS[0]: (side(CLEAN, occluder, 0, "probe"), clean, False)}
        else:
            probes, others = side(occlusion, occluder, 0, "probe"), side(occlusion, occluder, 1, "gallery")
            kinds = {KINDS[1]: (probes, clean, True), KINDS[2]: (probes, others, True)}
        for kind, (first, second, twice) in kinds.items():
            for name, scored in scorer.score(first, second, people, twice=twice).items():
                found[occlusion, kind, name] = scored
            on_scored(occlusion, kind)
    return found
