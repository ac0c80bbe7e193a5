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
from pdsn.calibration.rivals import Rivals, by_name
from pdsn.calibration.strangers import DEFAULT_FPR, LOOKS, Strangers, check_rate, finest_rate, threshold_at
from pdsn.data.photos import normal_name
from pdsn.errors import PdsnError
from pdsn.matchers.matcher import Faces, Matcher, Prepared, Signature, boxes_of, by_signature
from pdsn.occlusion.occluders import CLEAN
from pdsn.progress import unheard

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


def look_at(
    strangers: Strangers,
    matchers: Mapping[str, Matcher],
    cover: Callable[[Tensor], Tensor] | None,
    *,
    looks: Sequence[str] = LOOKS,
    on_look: Callable[[str], None] = unheard,
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
        name: Seen(tuple(looks), matcher.restored(joined(kept[name]))) for name, matcher in matchers.items()
    }


def seen_by(
    matcher: Matcher,
    strangers: Strangers,
    cover: Callable[[Tensor], Tensor] | None,
    looks: Sequence[str] = LOOKS,
) -> Seen:
    """See strangers under each look by one matcher; arguments as for `look_at`."""
    return look_at(strangers, {"": matcher}, cover, looks=looks)[""]


def joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """What is kept of several lots of faces as that of all."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


class Impostors:
    """The highest scores of strangers in a gallery, each without its own person.

    Args:
        matcher: whose scores count.
        rivals: the gallery's people, and what strangers score against them.
        strangers: whoever among them has the name of somebody in the gallery, or had it before, however it is spelled, is a
            stranger to everybody else there.
        seen: the strangers as the matcher compares them, or what gives them when they are needed.

    Attributes:
        own: (V,) int64, number of the stranger's own person in the gallery; -1 for somebody who is not there.

    Raises:
        PdsnError: everybody among the strangers has the name of the only person in the gallery.
    """

    def __init__(
        self,
        matcher: Matcher,
        rivals: Rivals,
        strangers: Strangers,
        seen: Seen | Callable[[], Seen],
    ) -> None:
        self.matcher = matcher
        self.rivals = rivals
        self.strangers = strangers
        self._seen = seen
        self._limits: dict[float, float] = {}
        numbers = by_name(rivals.people, rivals.former)
        self.own = np.array([numbers.get(normal_name(name), -1) for name in strangers.names], dtype=np.int64)
        # With one person enrolled, that person's photos have nobody left to be compared with.
        self._usable = self.own < 0 if len(set(numbers.values())) == 1 else np.ones(len(strangers), bool)
        if not self._usable.any():
            raise PdsnError(
                f"no threshold can be calibrated: {strangers.source} show nobody who is a stranger to the gallery"
            )

    @property
    def seen(self) -> Seen:
        """The strangers as the matcher compares them."""
        return self._seen() if callable(self._seen) else self._seen

    @property
    def finest_fpr(self) -> float:
        """The smallest false-positive rate that the strangers can tell."""
        return finest_rate(int(self._usable.sum()))

    @property
    def default_fpr(self) -> float:
        """The false-positive rate where nobody asks for another: the usual one, or the finest where that is larger."""
        return max(DEFAULT_FPR, self.finest_fpr)

    def check(self, fpr: float) -> None:
        """Raise UsageError unless the strangers are enough for a false-positive rate."""
        check_rate(fpr, int(self._usable.sum()), f"photos of strangers ({self.strangers.source})")

    def tells(self, signature: Signature) -> bool:
        """Whether strangers tell a threshold under a signature without being covered for it: none is covered, or many were found."""
        return not any(signature) or len(self.seen.places.get(signature, ())) >= RARE

    def scores(self, signature: Signature) -> np.ndarray:
        """The highest scores (n,) of strangers who are covered over a signature.

        Those who were found under this very signature count; where they are fewer than `RARE`, some with a block over
        its regions count too.
        """
        found = self._found(signature)
        if len(found) >= RARE:
            return found
        return np.concatenate([found, self._blocked(signature)])

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
        """Scores (n,) of the strangers who were found under a signature; unusable ones are left out."""
        places = self.seen.places.get(signature)
        if places is None:
            return np.empty(0, np.float32)
        rows = places % len(self.strangers)
        usable = np.flatnonzero(self._usable[rows])
        return self.rivals.highest(
            ("found", signature), lambda: self.seen.found(signature)[usable.tolist()], self.own[rows[usable]]
        )

    def _blocked(self, signature: Signature) -> np.ndarray:
        """Scores (n,) of a few strangers with a block over the regions of a signature; unusable ones are left out."""
        rows, _ = self.strangers.few
        wanted = np.isin(rows, self.seen.missing(signature, len(self.strangers))) & self._usable[rows]
        if not wanted.any():
            return np.empty(0, np.float32)

        def probes() -> Prepared:
            boxes = boxes_of(signature, self.matcher.regions)
            faces = Faces.free(self.strangers.few[1].blocked(boxes)).also_under(boxes)
            return self.matcher.prepare(faces, "probe")[np.flatnonzero(wanted).tolist()]

        return self.rivals.highest(("blocked", signature), probes, self.own[rows[wanted]])


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
    strangers, matcher, people = impostors.strangers, impostors.matcher, impostors.rivals.people
    rows = seen.places[clean][seen.places[clean] < len(strangers)]
    shown = seen.prepared[rows.tolist()]
    names = np.array([normal_name(strangers.names[row]) for row in rows])
    scores = impostors.rivals.nearest(shown, impostors.own[rows])
    own = scores.own.copy()
    away = np.flatnonzero(impostors.own[rows] < 0)
    if len(away):
        photos = matcher.prepare(Faces.free(strangers.faces), "gallery")[rows[away].tolist()]
        among = matcher.compare(shown[away.tolist()], photos).numpy()
        among[names[away][:, None] != names[away]] = -np.inf
        np.fill_diagonal(among, -np.inf)
        own[away] = among.max(1)
    found = []
    for name in dict.fromkeys(names.tolist()):
        mine = np.flatnonzero(names == name)
        if len(mine) < 2:
            continue
        near = scores.other[mine] >= own[mine]
        counts = np.bincount(scores.whom[mine][near], minlength=len(people))
        if 2 * counts.max() > len(mine):
            found.append((strangers.names[rows[mine[0]]], people[int(counts.argmax())]))
    return found


def mean_and_deviation(scores: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of impostor scores; a deviation of at least 1e-6, to divide by."""
    return float(scores.mean()), max(float(scores.std()), 1e-6)
