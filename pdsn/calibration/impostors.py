"""What strangers score in a gallery, signature by signature, and the thresholds that follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pdsn.artefact import load_tensors, making, save_tensors
from pdsn.calibration.strangers import (
    LOOKS,
    KeptScores,
    Strangers,
    check_rate,
    finest_rate,
    threshold_at,
)
from pdsn.errors import PdsnError
from pdsn.matchers.matcher import Faces, Matcher, Prepared, Signature, boxes_of, by_signature
from pdsn.metrics import best_per_person
from pdsn.occlusion.occluders import CLEAN

RARE = 50
"""Strangers found under a signature that stand for themselves; beside fewer, blocks over its regions count too."""
FORMAT = "2"
"""Of what `Seen` writes: a file of another one is made again."""


@dataclass(frozen=True)
class Seen:
    """Strangers under everything they wear, as a matcher compares them.

    Attributes:
        looks: what they were seen under, see `strangers.LOOKS`.
        prepared: L V probes, those of V strangers under each of L looks, look after look.
    """

    looks: tuple[str, ...]
    prepared: Prepared

    @cached_property
    def places(self) -> dict[Signature, np.ndarray]:
        """For each signature found (n,) int64 numbers: look times the number of strangers, plus the stranger."""
        groups = by_signature(self.prepared.signatures)
        return {signature: np.array(rows) for signature, rows in groups.items()}

    def found(self, signature: Signature) -> Prepared:
        """The strangers who were found under a signature, in the order of their `places`."""
        return self.prepared[self.places[signature].tolist()]

    def missing(self, signature: Signature, count: int) -> np.ndarray:
        """Rows (n,) of the strangers, of `count`, to put a block on where a signature is rare.

        All of them; where nothing is covered a block is none, and those who were found so as they are count once.
        """
        rows = np.arange(count)
        if any(signature):
            return rows
        return np.setdiff1d(rows, self.places.get(signature, rows[:0]))

    def save(self, path: Path) -> None:
        """Write one safetensors file atomically."""
        save_tensors(path, self.prepared.kept(), {"looks": " ".join(self.looks), "format": FORMAT})

    @classmethod
    def load(cls, path: Path, matcher: Matcher) -> Seen:
        """Read what `save` wrote of strangers whom this matcher saw.

        Raises:
            PdsnError: it is missing, damaged, or written by an older pdsn.
        """
        remake = "pdsn identify"
        tensors, about = load_tensors(path, remake)
        try:
            if about["format"] == FORMAT:
                return cls(tuple(about["looks"].split()), matcher.restored(tensors))
        except KeyError:
            pass
        raise PdsnError(f"{path} is of another version of pdsn: make it again with `{making(remake, path)}`")


def _nothing(look: str) -> None:
    """Progress nobody wants to hear of."""
    del look


def look_at(
    strangers: Strangers,
    matchers: Mapping[str, Matcher],
    cover: Callable[[Tensor], Tensor] | None,
    *,
    looks: Sequence[str] = LOOKS,
    on_look: Callable[[str], None] = _nothing,
) -> dict[str, Seen]:
    """See strangers under each look, by every matcher.

    Args:
        strangers: the photos.
        matchers: by name; those that share a base share its maps.
        cover: finds the covered pixels (N, H, W) of faces (N, 3, H, W); None takes the exact ones.
        looks: what is worn.
        on_look: told of each look when it is done.
    """
    kept: dict[str, list[dict[str, Tensor]]] = {name: [] for name in matchers}
    for look in looks:
        pixels, exact = strangers.wearing(look)
        faces = Faces(pixels, exact if cover is None else cover(pixels))
        for name, matcher in matchers.items():
            kept[name].append(matcher.prepare(faces, "probe").kept())
        on_look(look)
    return {
        name: Seen(tuple(looks), matcher.restored(_after_one_another(kept[name])))
        for name, matcher in matchers.items()
    }


def seen_by(
    matcher: Matcher,
    strangers: Strangers,
    cover: Callable[[Tensor], Tensor] | None,
    looks: Sequence[str] = LOOKS,
) -> Seen:
    """See strangers under each look by one matcher; arguments as for `look_at`."""
    return look_at(strangers, {"": matcher}, cover, looks=looks)[""]


def _after_one_another(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """What is kept of several lots of faces as that of all."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


class Impostors:
    """The highest scores of strangers in a gallery, each without its own person.

    Args:
        matcher: whose scores count.
        gallery: the G photos of the gallery as it compares them; nothing of them is covered.
        people: K names of the gallery's people.
        labels: (G,) int64, whose photo each gallery photo is.
        strangers: whoever among them has the name of somebody in the gallery is a stranger to everybody else there.
        seen: the strangers as the matcher compares them, or what gives them when they are needed.
        kept: where scores are kept.
        key: what the scores depend on besides the signature.

    Raises:
        PdsnError: everybody among the strangers has the name of the only person in the gallery.
    """

    def __init__(
        self,
        matcher: Matcher,
        gallery: Prepared,
        people: Sequence[str],
        labels: Tensor,
        strangers: Strangers,
        seen: Seen | Callable[[], Seen],
        kept: KeptScores | None = None,
        key: Sequence[str] = (),
    ) -> None:
        self.matcher = matcher
        self.gallery = gallery
        self.people = list(people)
        self.labels = labels
        self.strangers = strangers
        self._seen = seen
        self._kept = KeptScores() if kept is None else kept
        self._key = tuple(key)
        self._limits: dict[float, float] = {}
        number = {name: index for index, name in enumerate(self.people)}
        self._own = np.array([number.get(name, -1) for name in strangers.names], dtype=np.int64)
        # With one person enrolled, that person's photos have nobody left to be compared with.
        self._usable = self._own < 0 if len(number) == 1 else np.ones(len(strangers), bool)
        if not self._usable.any():
            raise PdsnError(
                "no threshold can be calibrated: the run's validation photos show nobody who is a stranger "
                "to the gallery"
            )

    @property
    def seen(self) -> Seen:
        """The strangers as the matcher compares them."""
        return self._seen() if callable(self._seen) else self._seen

    @property
    def finest_fpr(self) -> float:
        """The smallest false-positive rate that the strangers can tell."""
        return finest_rate(int(self._usable.sum()))

    def check(self, fpr: float) -> None:
        """Raise UsageError unless the strangers are enough for a false-positive rate."""
        check_rate(fpr, int(self._usable.sum()), "validation photos of strangers")

    def scores(self, signature: Signature) -> np.ndarray:
        """The highest scores (n,) of strangers who are covered over a signature.

        Those who were found under this very signature count; where they are fewer than `RARE`, some with a block over
        its regions count too.
        """
        found = self._found(signature)
        if len(found) >= RARE:
            return found
        blocks = self._kept.get((*self._key, "blocked", signature), lambda: self._blocked(signature))
        return np.concatenate([found, blocks])

    def normal(self, signature: Signature) -> tuple[float, float]:
        """Mean and standard deviation of `scores`: what makes scores of different signatures comparable."""
        return mean_and_deviation(self.scores(signature))

    def threshold(self, signature: Signature, fpr: float) -> float:
        """The score that has to be passed under a signature.

        In deviations above the mean it is the same for all signatures: the one that the share `fpr` of all strangers
        passes, under whatever they wear, see `threshold_at`. A signature's own few hundred scores tell its mean and
        deviation well, but not what one in a hundred of them passes.
        """
        mean, deviation = self.normal(signature)
        if fpr not in self._limits:
            self._limits[fpr] = threshold_at(self._common, fpr)
        return mean + deviation * self._limits[fpr]

    @cached_property
    def _common(self) -> np.ndarray:
        """Scores (n,) of all strangers, each in deviations above the mean of its signature, those of rare ones left out.

        Where these are fewer than there are strangers, the rare ones count too.
        """
        for least in (RARE, 1):
            parts = [np.empty(0)]
            for signature, places in self.seen.places.items():
                if len(places) >= least and len(scores := self._found(signature)) >= least:
                    mean, deviation = self.normal(signature)
                    parts.append((scores - mean) / deviation)
            if sum(map(len, parts)) >= self._usable.sum():
                break
        return np.concatenate(parts)

    def _found(self, signature: Signature) -> np.ndarray:
        """Scores (n,) of the strangers who were found under a signature."""
        return self._kept.get((*self._key, "found", signature), lambda: self._score_found(signature))

    def _score_found(self, signature: Signature) -> np.ndarray:
        places = self.seen.places.get(signature)
        if places is None:
            return np.empty(0, np.float32)
        return self._highest(self.seen.found(signature), places % len(self.strangers))

    def _blocked(self, signature: Signature) -> np.ndarray:
        rows, few = self.strangers.few
        missing = np.isin(rows, self.seen.missing(signature, len(self.strangers)))
        if not missing.any():
            return np.empty(0, np.float32)
        boxes = boxes_of(signature, self.matcher.regions)
        prepared = self.matcher.prepare(Faces.free(few.blocked(boxes)).also_under(boxes), "probe")
        return self._highest(prepared[np.flatnonzero(missing).tolist()], rows[missing])

    def _highest(self, probes: Prepared, rows: np.ndarray) -> np.ndarray:
        """The highest scores of some strangers to people other than themselves; unusable ones are left out."""
        scores = self.matcher.compare(probes, self.gallery)
        best = best_per_person(scores, self.labels, len(self.people)).numpy()
        own = self._own[rows]
        known = np.flatnonzero(own >= 0)
        best[known, own[known]] = -np.inf
        return best[self._usable[rows]].max(1)


def two_names(impostors: Impostors) -> list[tuple[str, str]]:
    """(name in the run, name in the gallery) of people who seem to be known under two names.

    Under another name than the run's, somebody's own photos count as a stranger's, and the threshold rises above
    themselves. Somebody is taken for the other where most of at least two clean calibration photos are nearest to
    that one gallery person, and at least as near as to their own: to the gallery photos of their own name or, where
    it is not there, to their other calibration photos.
    """
    seen = impostors.seen
    clean = next((signature for signature in seen.places if not any(signature)), None)
    if clean is None or seen.looks[0] != CLEAN:
        return []
    strangers, matcher = impostors.strangers, impostors.matcher
    rows = seen.places[clean][seen.places[clean] < len(strangers)]
    shown = seen.prepared[rows.tolist()]
    scores = matcher.compare(shown, impostors.gallery)
    best = best_per_person(scores, impostors.labels, len(impostors.people)).numpy()
    names = np.array([strangers.names[row] for row in rows])
    number = {name: index for index, name in enumerate(impostors.people)}
    photos = matcher.prepare(Faces.free(strangers.faces), "gallery")[rows.tolist()]
    among = matcher.compare(shown, photos).numpy()
    np.fill_diagonal(among, -np.inf)
    found = []
    for name in dict.fromkeys(names.tolist()):
        mine = np.flatnonzero(names == name)
        if len(mine) < 2:
            continue
        others = best[mine].copy()
        own = among[np.ix_(mine, mine)].max(1)
        if name in number:
            own = others[:, number[name]].copy()
            others[:, number[name]] = -np.inf
        nearest = others.argmax(1)
        near = others.max(1) >= own
        counts = np.bincount(nearest[near], minlength=len(impostors.people))
        if 2 * counts.max() > len(mine):
            found.append((name, impostors.people[int(counts.argmax())]))
    return found


def mean_and_deviation(scores: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of impostor scores; a deviation of at least 1e-6, to divide by."""
    return float(scores.mean()), max(float(scores.std()), 1e-6)
