"""The nearest people of a store: block by block, with one matrix product for each signature among the probes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdsn.matchers.embedding import Embedded
from pdsn.matchers.matcher import Signature, by_signature
from pdsn.store.joint import Joint, joint_with
from pdsn.store.snapshot import BLOCK, Snapshot
from pdsn.store.variants import Variants


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
        order = np.argsort(-scores, kind="stable")
        _, first = np.unique(labels[order], return_index=True)
        best = order[np.sort(first)][: self.count]
        found = {hit.person: hit for hit in self.hits}
        for place in best.tolist():
            person, score = int(labels[place]), float(scores[place])
            if person not in found or score > found[person].score:
                found[person] = Hit(person, int(rows[place]), score, signature)
        self.hits = sorted(found.values(), key=lambda hit: -hit.score)[: self.count]


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
        if members is not None:
            for row, probe in zip(rows, known, strict=True):
                alike = np.setdiff1d(members, joints[row].rows)
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
    for start, block in snapshot.blocks(variants.place(signature)):
        scores = known[:, : block.shape[1]] @ block.T
        for probe, joint in enumerate(joints):
            if len(joint.rows):
                first, last = np.searchsorted(joint.rows, (start, start + len(block)))
                scores[probe, joint.rows[first:last] - start] = -torch.inf
        best = scores.amax(1).tolist()
        for probe, one in enumerate(found):
            if best[probe] > one.least:
                values = scores[probe].numpy()
                chosen = np.flatnonzero(values > one.least)
                one.offer(values[chosen], start + chosen, snapshot.labels[start + chosen], signature)
