"""Pairs of a masked and an unmasked photo, by the rules of papers/001."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdsn.data.dataset import FaceDataset
from pdsn.data.photos import shows_mask
from pdsn.occlusion.mixture import base_mixture
from pdsn.occlusion.occluder import Occluder
from pdsn.occlusion.occluders import occlude
from pdsn.occlusion.worn import KINDS, Worn


@dataclass(frozen=True)
class MaskPairs:
    """Faces, masked and unmasked, and pairs of one of either.

    Attributes:
        dataset: the faces.
        split: "train" or "val".
        masked: (M,) rows of the masked photos.
        unmasked: (U,) rows of the unmasked photos.
        painted: whether masks are painted on the masked photos; False where they show people who wear one.
        pairs: (N, 2) int64, a masked face and an unmasked one, by their numbers: masked photos are 0 to M - 1, unmasked ones
            M to M + U - 1.
        same: (N,) bool, whether a pair shows one person; half of them do.
    """

    dataset: FaceDataset
    split: str
    masked: np.ndarray
    unmasked: np.ndarray
    painted: bool
    pairs: np.ndarray
    same: np.ndarray

    def __len__(self) -> int:
        """M + U."""
        return len(self.masked) + len(self.unmasked)

    def faces(self, numbers: np.ndarray, worn: str, seed: int) -> Tensor:
        """Faces (B, 3, H, W) uint8 by their numbers (B,).

        Args:
            numbers: 0 to M + U - 1.
            worn: what is painted on the masked ones: a kind of `worn.KINDS`, or "mixture"; in styles of the split.
            seed: of the painting.
        """
        rows = np.concatenate([self.masked, self.unmasked])[numbers]
        faces = self.dataset.tensor(rows)
        masked = np.flatnonzero(numbers < len(self.masked))
        if self.painted and len(masked):
            occluder: Occluder = Worn(worn, self.split) if worn in KINDS else base_mixture()
            own = rows[masked]
            faces[torch.from_numpy(masked)], _ = occlude(
                occluder,
                faces[torch.from_numpy(masked)],
                self.dataset.landmarks[own],
                seed=seed,
                name=f"mask pairs, {worn}",
                rows=own.tolist(),
            )
        return faces


def mask_pairs(dataset: FaceDataset, split: str, most: int, seed: int) -> MaskPairs:
    """Every pair of a masked and an unmasked photo of one person, and as many of two people; none where there are none.

    Masked are the photos in folders that say so, see `photos.shows_mask`. Where there are none, each photo counts as both: a
    mask is painted on it, and it makes no pair with itself.

    Args:
        dataset: the faces.
        split: "train" or "val": which photos.
        most: photos of a person, masked and unmasked each; more are thinned out by chance.
        seed: of what is chosen.
    """
    rows = dataset.rows(split)
    rng = np.random.default_rng((seed, len(rows), most))
    shown = np.array([shows_mask(dataset.files[row]) for row in rows], bool)
    painted = not shown.any() or bool(shown.all())
    kinds = [rows, rows] if painted else [rows[shown], rows[~shown]]
    common = np.intersect1d(*(dataset.labels[kind] for kind in kinds))
    if painted:
        chosen = _some(dataset, rows, common, most, rng)
        masked, unmasked = chosen, chosen
    else:
        masked, unmasked = (_some(dataset, kind, common, most, rng) for kind in kinds)
    whose = [dataset.labels[kind] for kind in (masked, unmasked)]
    alike = whose[0][:, None] == whose[1][None]
    genuine = np.argwhere(alike & (masked[:, None] != unmasked[None]))
    others = np.flatnonzero(~alike)
    cut = np.sort(rng.choice(others, min(len(genuine), len(others)), replace=False))
    impostor = np.stack(np.unravel_index(cut, alike.shape), axis=1)
    pairs = np.concatenate([genuine, impostor]) + np.array([0, len(masked)])
    same = np.arange(len(pairs)) < len(genuine)
    return MaskPairs(dataset, split, masked, unmasked, painted, pairs, same)


def _some(
    dataset: FaceDataset, rows: np.ndarray, people: np.ndarray, most: int, rng: np.random.Generator
) -> np.ndarray:
    """At most so many of each person's rows."""
    parts = []
    for person in people:
        own = rows[dataset.labels[rows] == person]
        parts.append(own if len(own) <= most else np.sort(rng.choice(own, most, replace=False)))
    return np.concatenate(parts) if parts else rows[:0]
