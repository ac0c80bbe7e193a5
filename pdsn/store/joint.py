"""Which regions count as covered in a pair of a probe and a photo of a store: in one, the other, or both together.

Of nearly all photos it is what is covered of the probe alone. How many pixels of each region a photo has covered tells
most of the others; the pixels themselves are looked at where that leaves it open.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdsn.matchers.matcher import LayoutMatcher, Signature
from pdsn.store.snapshot import Snapshot


@dataclass(frozen=True)
class Joint:
    """The photos of a store with which a probe shares another signature than its own.

    Attributes:
        rows: (n,) int64, sorted.
        groups: these rows by signature.
    """

    rows: np.ndarray
    groups: dict[Signature, np.ndarray]


def joint_with(snapshot: Snapshot, matcher: LayoutMatcher, covered: Tensor) -> Joint:
    """What a probe has jointly covered with the photos of a store; exact, as `Matcher.joint` is.

    Args:
        snapshot: the store.
        matcher: says what counts as covered.
        covered: (H, W) bool, the covered pixels of the probe.
    """
    boxes = list(matcher.regions.values())
    if not len(snapshot.touched) or not boxes:
        return Joint(np.empty(0, np.int64), {})
    areas = torch.tensor([box.area for box in boxes])
    ours = torch.tensor([int(covered[b.top : b.bottom, b.left : b.right].sum()) for b in boxes])
    theirs = torch.from_numpy(snapshot.counts)
    least, most = torch.maximum(ours, theirs), torch.minimum(ours + theirs, areas)
    sure, possible = least / areas > matcher.share, most / areas > matcher.share
    own = ours / areas > matcher.share
    open_ = (sure != possible).any(1).nonzero()[:, 0]
    bits = sure.clone()
    if len(open_):
        pixels = snapshot.covered(snapshot.touched[open_.numpy()], (covered.shape[0], covered.shape[1]))
        assert matcher.layout is not None
        bits[open_] = matcher.layout.occluded(pixels | covered, matcher.share)
    other = (bits != own).any(1).nonzero()[:, 0].numpy()
    groups: dict[Signature, list[int]] = {}
    for place in other:
        groups.setdefault(tuple(bits[place].tolist()), []).append(int(snapshot.touched[place]))
    found = {signature: np.array(rows, dtype=np.int64) for signature, rows in groups.items()}
    return Joint(np.sort(snapshot.touched[other]), found)


def own_bits(snapshot: Snapshot, matcher: LayoutMatcher) -> np.ndarray:
    """(C, R) bool: which regions count as covered of each photo in `Snapshot.touched` by itself."""
    areas = torch.tensor([box.area for box in matcher.regions.values()])
    if not len(snapshot.touched):
        return np.zeros((0, len(areas)), bool)
    return (torch.from_numpy(snapshot.counts) / areas > matcher.share).numpy()
