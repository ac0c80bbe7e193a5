"""What strangers score in a gallery, signature by signature, and the thresholds that follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pdsn.artefact import load_tensors, save_tensors
from pdsn.calibration.strangers import (
    LOOKS,
    KeptScores,
    Strangers,
    check_rate,
    finest_rate,
    threshold_at,
)
from pdsn.errors import PdsnError
from pdsn.matchers.fdm import Recogniser, Signature, by_signature, names_of
from pdsn.metrics import best_per_person
from pdsn.occlusion.occluders import CLEAN

RARE = 50
"""Strangers found under a signature that stand for themselves; beside fewer, blocks over its regions count too."""


@dataclass(frozen=True)
class Seen:
    """Strangers under everything they wear, as a recogniser compares them.

    Attributes:
        looks: what they were seen under, see `strangers.LOOKS`.
        places: for each signature found (n,) int64 numbers: look times the number of strangers, plus the stranger.
        embeddings: for each signature (n, E), under it.
    """

    looks: tuple[str, ...]
    places: dict[Signature, np.ndarray]
    embeddings: dict[Signature, Tensor]

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
        tensors = {}
        for signature, places in self.places.items():
            name = "".join("01"[bit] for bit in signature)
            tensors[f"places {name}"] = torch.from_numpy(places)
            tensors[f"embeddings {name}"] = self.embeddings[signature]
        save_tensors(path, tensors, {"looks": " ".join(self.looks)})

    @classmethod
    def load(cls, path: Path) -> Seen:
        """Read what `save` wrote.

        Raises:
            PdsnError: it is missing or damaged.
        """
        tensors, about = load_tensors(path, "pdsn identify")
        parts: dict[str, dict[Signature, Tensor]] = {"places": {}, "embeddings": {}}
        for name in sorted(tensors):
            part, _, bits = name.partition(" ")
            parts[part][tuple(bit == "1" for bit in bits)] = tensors[name]
        places = {signature: found.numpy() for signature, found in parts["places"].items()}
        return cls(tuple(about["looks"].split()), places, parts["embeddings"])


def _nothing(look: str) -> None:
    """Progress nobody wants to hear of."""
    del look


def look_at(
    strangers: Strangers,
    recognisers: Mapping[str, Recogniser],
    cover: Callable[[Tensor], Tensor] | None,
    *,
    looks: Sequence[str] = LOOKS,
    on_look: Callable[[str], None] = _nothing,
) -> dict[str, Seen]:
    """See strangers under each look, by every recogniser.

    Args:
        strangers: the photos.
        recognisers: by name; those that share a base share its maps.
        cover: finds the covered pixels (N, H, W) of faces (N, 3, H, W); None takes the exact ones.
        looks: what is worn.
        on_look: told of each look when it is done.
    """
    places: dict[str, dict[Signature, list[int]]] = {name: {} for name in recognisers}
    embeddings: dict[str, dict[Signature, list[Tensor]]] = {name: {} for name in recognisers}
    for number, look in enumerate(looks):
        faces, exact = strangers.wearing(look)
        covered = exact if cover is None else cover(faces)
        for name, recogniser in recognisers.items():
            for signature, rows in by_signature(recogniser.signatures(covered)).items():
                found = [number * len(strangers) + row for row in rows]
                places[name].setdefault(signature, []).extend(found)
                embedded = recogniser.embed(faces, rows, signature)
                embeddings[name].setdefault(signature, []).append(embedded)
        on_look(look)
    return {
        name: Seen(
            tuple(looks),
            {signature: np.array(found) for signature, found in places[name].items()},
            {signature: torch.cat(parts) for signature, parts in embeddings[name].items()},
        )
        for name in recognisers
    }


class Impostors:
    """The highest scores of strangers in a gallery, each without its own person.

    Args:
        recogniser: enrolled with the gallery.
        people: K names of the gallery's people.
        labels: (G,) int64, whose photo each gallery photo is.
        strangers: whoever among them has the name of somebody in the gallery is a stranger to everybody else there.
        seen: the strangers as the recogniser compares them, or what gives them when they are needed.
        kept: where scores are kept.
        key: what the scores depend on besides the signature.

    Raises:
        PdsnError: everybody among the strangers has the name of the only person in the gallery.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        people: Sequence[str],
        labels: Tensor,
        strangers: Strangers,
        seen: Seen | Callable[[], Seen],
        kept: KeptScores | None = None,
        key: Sequence[str] = (),
    ) -> None:
        self.recogniser = recogniser
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
        """The strangers as the recogniser compares them."""
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
        blocks = self._kept.get((*self._key, "blocks", signature), lambda: self._blocked(signature))
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
        return self._highest(self.seen.embeddings[signature], places % len(self.strangers), signature)

    def _blocked(self, signature: Signature) -> np.ndarray:
        rows, few = self.strangers.few
        missing = np.isin(rows, self.seen.missing(signature, len(self.strangers)))
        if not missing.any():
            return np.empty(0, np.float32)
        boxes = [self.recogniser.regions[name] for name in names_of(signature, self.recogniser.regions)]
        faces = few.blocked(tuple(boxes))
        embeddings = self.recogniser.embed(faces, np.flatnonzero(missing).tolist(), signature)
        return self._highest(embeddings, rows[missing], signature)

    def _highest(self, embeddings: Tensor, rows: np.ndarray, signature: Signature) -> np.ndarray:
        """The highest scores of some strangers to people other than themselves; unusable ones are left out."""
        scores = self.recogniser.compare(embeddings, signature)
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
    places, strangers = seen.places[clean], impostors.strangers
    rows = places[places < len(strangers)]
    embeddings = seen.embeddings[clean][torch.from_numpy(places < len(strangers))]
    scores = impostors.recogniser.compare(embeddings, clean)
    best = best_per_person(scores, impostors.labels, len(impostors.people)).numpy()
    names = np.array([strangers.names[row] for row in rows])
    number = {name: index for index, name in enumerate(impostors.people)}
    among = (embeddings @ embeddings.T).numpy()
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
