"""The people of a store as those whom strangers could be taken for: what thresholds are calibrated with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pdsn.calibration.rivals import MATCHING, Nearest, as_one
from pdsn.calibration.strangers import KeptScores
from pdsn.files import atomic_path
from pdsn.matchers.embedding import Embedded
from pdsn.matchers.matcher import Prepared, Signature, by_signature, known_as
from pdsn.store.joint import own_bits
from pdsn.store.snapshot import BLOCK, Snapshot
from pdsn.store.variants import Variants


class StoreRivals:
    """The people of a store; see `pdsn.calibration.rivals.Rivals`.

    A stranger is compared with the photos that show covered nothing that is not covered of the stranger, too: with the others
    it would share another signature. Where there is no such photo, with all of them.

    What strangers score is kept. After an enrolment only the new photos are compared with, since the highest score is that of
    the old ones or of the new; where people count by their means, or somebody was removed or renamed, all are.

    Args:
        snapshot: the store.
        variants: of the matcher that the strangers were seen by.
        kept: names what the scores depend on besides the store.
    """

    def __init__(self, snapshot: Snapshot, variants: Variants, kept: KeptScores) -> None:
        self.snapshot = snapshot
        self.variants = variants
        self._kept = kept
        self._known: dict[Hashable, np.ndarray] = {}
        self._one = as_one(snapshot.people)

    @property
    def people(self) -> Sequence[str]:
        """See `Rivals`."""
        return self.snapshot.people

    @property
    def former(self) -> Mapping[str, int]:
        """See `Rivals`."""
        return self.snapshot.former

    def nearest(self, probes: Prepared, own: np.ndarray) -> Nearest:
        """See `Rivals`."""
        return self._nearest(known_as(probes, Embedded), own, 0)

    def highest(self, name: Hashable, probes: Callable[[], Prepared], own: np.ndarray) -> np.ndarray:
        """See `Rivals`."""
        # Whose own person each is can change without any of the old photos: somebody new has the name of a stranger.
        owners = hashlib.sha256(np.ascontiguousarray(own, np.int64).tobytes()).hexdigest()
        key = ("store", MATCHING, name, owners)
        if key not in self._known:
            self._known[key] = self._highest(key, probes, own)
        return self._known[key]

    def among(self, rows: np.ndarray, signature: Signature) -> Nearest:
        """What some photos of the store (P,) score in it under a signature; `own` is to other photos of their own person."""
        known = self.snapshot.rows(self.variants.place(signature), rows)
        return self._compare(signature, known, self.snapshot.labels[rows], 0, rows)

    def _highest(
        self, key: tuple[Hashable, ...], probes: Callable[[], Prepared], own: np.ndarray
    ) -> np.ndarray:
        snapshot, folder = self.snapshot, self.snapshot.scores
        if folder is None:
            return self._kept.get(
                (*key, snapshot.state), lambda: self._nearest(known_as(probes(), Embedded), own, 0).other
            )
        path = folder / f"{self._kept.digest(key)}.npz"
        first, before = 0, np.full(len(own), -np.inf, np.float32)
        with suppress(OSError, ValueError, KeyError, EOFError), np.load(path, allow_pickle=False) as stored:
            known, scores = int(stored["photos"]), stored["scores"]
            if known == len(snapshot) and len(scores) == len(own):
                return np.asarray(scores)
            # Of those who count by their means the old scores are of other means; and where all of the old photos were
            # covered, they may have counted for want of others.
            free = known > np.searchsorted(snapshot.touched, known)
            if (
                snapshot.comparison == "nearest"
                and known < len(snapshot)
                and free
                and len(scores) == len(own)
            ):
                first, before = known, scores
        found = np.maximum(before, self._nearest(known_as(probes(), Embedded), own, first).other)
        _save(path, found, len(snapshot))
        return found

    def _nearest(self, probes: Embedded, own: np.ndarray, first: int) -> Nearest:
        """Compare probes with the photos from a row on."""
        other, whom = np.full(len(own), -np.inf, np.float32), np.zeros(len(own), np.int64)
        mine = np.full(len(own), -np.inf, np.float32)
        for signature, rows in by_signature(probes.signatures).items():
            known = probes.under(signature, rows).cpu()
            other[rows], whom[rows], mine[rows] = self._compare(signature, known, own[rows], first)
        return Nearest(other, whom, mine)

    def _compare(
        self,
        signature: Signature,
        known: Tensor,
        own: np.ndarray,
        first: int,
        themselves: np.ndarray | None = None,
    ) -> Nearest:
        """See `_nearest`, of probes (P, E) under one signature; those that are photos of the store (P,) are not compared with themselves."""
        snapshot = self.snapshot
        hidden = self._hidden(signature)
        other, mine = torch.full((len(known),), -torch.inf), torch.full((len(known),), -torch.inf)
        whom = torch.zeros(len(known), dtype=torch.int64)
        own = np.where(own < 0, own, self._one[own])
        theirs = torch.from_numpy(own)
        place = self.variants.place(signature)
        for start, products in snapshot.products(place, known.numpy(), BLOCK, first):
            scores = torch.from_numpy(products)
            labels = snapshot.labels[start : start + scores.shape[1]]
            low, high = np.searchsorted(hidden, (start, start + len(labels)))
            scores[:, hidden[low:high] - start] = -torch.inf
            if themselves is not None:
                here = np.flatnonzero((themselves >= start) & (themselves < start + len(labels)))
                scores[here, themselves[here] - start] = -torch.inf
            # Few photos are of somebody who is among the strangers.
            people = self._one[labels]
            known_here = np.flatnonzero(np.isin(people, own))
            if len(known_here):
                part = scores[:, known_here]
                same = theirs[:, None] == torch.from_numpy(people[known_here])
                mine = torch.maximum(mine, part.masked_fill(~same, -torch.inf).amax(1))
                scores[:, known_here] = part.masked_fill(same, -torch.inf)
            best, row = scores.max(1)
            better = best > other
            other = torch.where(better, best, other)
            whom = torch.where(better, torch.from_numpy(labels)[row], whom)
        return Nearest(other.numpy(), whom.numpy(), mine.numpy())

    def _hidden(self, signature: Signature) -> np.ndarray:
        """Rows, sorted, of the photos that a probe under a signature is not compared with."""
        snapshot, matcher = self.snapshot, self.variants.matcher
        if not matcher.masked:
            return np.empty(0, np.int64)
        more = (own_bits(snapshot, matcher) & ~np.array(signature, bool)).any(1)
        hidden = snapshot.touched[more]
        return hidden if len(hidden) < len(snapshot) else np.empty(0, np.int64)


class PersonRivals:
    """One person of a store, for whom strangers could be taken; see `Rivals`.

    Args:
        snapshot: the store.
        variants: of the matcher that the strangers were seen by.
        person: index in `Snapshot.people`.
    """

    def __init__(self, snapshot: Snapshot, variants: Variants, person: int) -> None:
        self.people: Sequence[str] = [snapshot.people[person]]
        self.former: Mapping[str, int] = {name: 0 for name, one in snapshot.former.items() if one == person}
        self._snapshot = snapshot
        self._variants = variants
        self._members = snapshot.members(person)
        self._known: dict[Hashable, np.ndarray] = {}

    def nearest(self, probes: Prepared, own: np.ndarray) -> Nearest:
        """See `Rivals`; the person's own photos are nobody's here."""
        seen = known_as(probes, Embedded)
        scores = np.full(len(own), -np.inf, np.float32)
        for signature, rows in by_signature(seen.signatures).items():
            known = seen.under(signature, rows).cpu()
            photos = self._snapshot.rows(self._variants.place(signature), self._members)
            scores[rows] = (known[:, : photos.shape[1]] @ photos.T).amax(1).numpy()
        nobody = np.full(len(own), -np.inf, np.float32)
        return Nearest(
            np.where(own < 0, scores, nobody), np.zeros(len(own), np.int64), np.where(own < 0, nobody, scores)
        )

    def highest(self, name: Hashable, probes: Callable[[], Prepared], own: np.ndarray) -> np.ndarray:
        """See `Rivals`."""
        if name not in self._known:
            self._known[name] = self.nearest(probes(), own).other
        return self._known[name]


def _save(path: Path, scores: np.ndarray, photos: int) -> None:
    """Keep scores; a store that cannot be written to can be searched all the same."""
    with suppress(OSError), atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, scores=scores, photos=np.array(photos))
