"""The nearest people of a store: block by block, with one matrix product for each signature among the probes.

Where a snapshot says which photos may be near, these alone are compared with, and those that are covered in another way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdsn.matchers.embedding import Embedded
from pdsn.matchers.matcher import Signature, by_signature
from pdsn.store.joint import Joint, joint_with
from pdsn.store.snapshot import BLOCK, Snapshot
from pdsn.store.variants import Variants

GROUP = 32
"""Photos of which the best one alone is looked at first."""
STEP = 8192
"""Photos that probes are multiplied with at a time: fewer take longer, as each step has its price."""
SCORES = 2**18
"""Scores that are in memory at a time, unless those of `STEP` photos are more."""


@dataclass(frozen=True)
class Hit:
    """A person near a probe: by the best photo's score.

    Attributes:
        person: index in `Snapshot.people`.
        row: the photo with the score.
        score: higher is nearer.
        signature: under which probe and photo were compared.
    """

    person: int
    row: int
    score: float
    signature: Signature


class Nearest:
    """The nearest people of one probe so far; scores of more photos come part by part.

    Args:
        count: people that are wanted.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.hits: list[Hit] = []

    @property
    def least(self) -> float:
        """The score from which a photo is of interest."""
        return self.hits[-1].score if len(self.hits) == self.count else -np.inf

    def offer(self, scores: np.ndarray, rows: np.ndarray, labels: np.ndarray, signature: Signature) -> None:
        """Take up the scores (n,) of some rows (n,) that show some people (n,)."""
        found = {hit.person: hit for hit in self.hits}
        for place in np.argsort(-scores, kind="stable").tolist():
            score = float(scores[place])
            if score <= self.least:
                break
            person = int(labels[place])
            if person not in found or score > found[person].score:
                found[person] = Hit(person, int(rows[place]), score, signature)
                self.hits = sorted(found.values(), key=lambda hit: -hit.score)[: self.count]
                found = {hit.person: hit for hit in self.hits}


def nearest_people(
    snapshot: Snapshot,
    variants: Variants,
    probes: Embedded,
    count: int,
    *,
    free: bool = False,
    members: np.ndarray | None = None,
) -> list[list[Hit]]:
    """The nearest people of each of P probes, nearest first; as `Matcher.compare` with all photos would have it.

    Args:
        snapshot: the store.
        variants: of the matcher that prepared the probes.
        probes: the probes.
        count: people for each, at most.
        free: nothing counts as covered of the store's photos.
        members: rows, sorted, of the photos that are compared with; None for all.
    """
    matcher = variants.matcher
    joints = [Joint(np.empty(0, np.int64), {})] * len(probes)
    if matcher.masked and not free and len(snapshot.touched):
        joints = [joint_with(snapshot, matcher, covered) for covered in probes.coverage()]
    found = [Nearest(count) for _ in range(len(probes))]
    for signature, rows in by_signature(probes.signatures).items():
        known = probes.under(signature, rows).cpu()
        place = variants.place(signature)
        some = snapshot.near(place, known) if members is None else [members] * len(rows)
        if some is not None:
            for row, probe, photos in zip(rows, known, some, strict=True):
                alike = np.setdiff1d(photos, joints[row].rows)
                _few(snapshot, variants, signature, probe, alike, found[row])
            continue
        _search(
            snapshot, variants, signature, known, [found[row] for row in rows], [joints[row] for row in rows]
        )
    for row, joint in enumerate(joints):
        for signature, others in joint.groups.items():
            wanted = others if members is None else np.intersect1d(others, members)
            if len(wanted):
                (probe,) = probes.under(signature, [row]).cpu()
                _few(snapshot, variants, signature, probe, wanted, found[row])
    return [one.hits for one in found]


def _few(
    snapshot: Snapshot,
    variants: Variants,
    signature: Signature,
    probe: Tensor,
    rows: np.ndarray,
    found: Nearest,
) -> None:
    """Compare a probe (E,) under a signature with some photos."""
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        photos = snapshot.rows(variants.place(signature), part)
        found.offer((photos @ probe[: photos.shape[1]]).numpy(), part, snapshot.labels[part], signature)


def _search(
    snapshot: Snapshot,
    variants: Variants,
    signature: Signature,
    known: Tensor,
    found: list[Nearest],
    joints: list[Joint],
) -> None:
    """Compare probes (P, E) of one signature with all photos but those that they are compared with under another."""
    for start, scores in _scores(snapshot, variants.place(signature), known.numpy()):
        labels = snapshot.labels[start : start + scores.shape[1]]
        for values, joint in zip(scores, joints, strict=True):
            if len(joint.rows):
                first, last = np.searchsorted(joint.rows, (start, start + len(labels)))
                values[joint.rows[first:last] - start] = -np.inf
        for values, one, least in zip(scores, found, _promising(scores, 4 * found[0].count), strict=True):
            # Among the best photos there are nearly always enough people; else every photo counts.
            chosen = np.flatnonzero(values >= max(least, one.least))
            if least > one.least and len(set(labels[chosen].tolist())) < one.count:
                chosen = np.flatnonzero(values > one.least)
            if len(chosen):
                one.offer(values[chosen], start + chosen, labels[chosen], signature)


def _scores(snapshot: Snapshot, place: int, probes: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, scores (P, n) float32) of probes (P, E) and all photos, part by part; each takes the place of the one before."""
    width = min(max(SCORES // len(probes), STEP), len(snapshot))
    found = np.empty((len(probes), width), np.float32)
    first = filled = 0
    for start, scores in snapshot.products(place, probes, STEP):
        if filled + scores.shape[1] > width:
            yield first, found[:, :filled]
            first, filled = start, 0
        found[:, filled : filled + scores.shape[1]] = scores
        filled += scores.shape[1]
    if filled:
        yield first, found[:, :filled]


def _promising(scores: np.ndarray, count: int) -> list[float]:
    """For each row of scores (P, n) a score that at least so many reach, and not many more; -inf where there are fewer."""
    groups = scores.shape[1] // GROUP
    if groups < count:
        return [-np.inf] * len(scores)
    best = torch.from_numpy(scores[:, : groups * GROUP]).unflatten(1, (groups, GROUP)).amax(2)
    least: list[float] = best.topk(count).values[:, -1].tolist()
    return least
