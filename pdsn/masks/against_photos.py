"""Masks learned against single clean photos, as people are enrolled, in place of mean maps; for `pdsn.masks.matched`.

A mean map of a person's photos holds the clean photo of the very twin that is asked about, and a gallery holds no
means. Here each step enrols one clean photo of each of some people, never the twin's own, and asks about one twin of a
person at most.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.bases.map_files import to_tensor
from pdsn.masks.groups import GroupBatches

RIVALS = 256
"""People who are enrolled in a step; more where more are asked about."""
POOLED = 0.5
"""Share of the loss that sets a photo against the impostors of its whole batch, as one threshold would."""


@dataclass(frozen=True)
class PhotoBatches:
    """Occluded photos that share their occluded regions, and clean photos to find them among, see `batches.Batches`.

    Attributes:
        occluded: the occluded photos.
        clean: maps (N, C, h, w) of the clean ones.
    """

    occluded: GroupBatches
    clean: np.ndarray

    def __len__(self) -> int:
        return len(self.occluded)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, ...]]:
        """See `batches.Batches`; the labels are rows of the clean maps, which come last."""
        given = self.occluded
        accelerator, labels = given.accelerator, given.labels
        rows_of = {int(person): np.flatnonzero(labels == person) for person in np.unique(labels[labels >= 0])}
        for step in range(number * len(self), (number + 1) * len(self)):
            rng = np.random.default_rng((given.seed, step))
            regions, photos = given.group(rng)
            photos = one_each(photos, labels, rng)[: given.config.batch]
            asked = labels[photos[:, 1]]
            others = rng.permutation(np.setdiff1d(list(rows_of), asked))[: max(RIVALS - len(asked), 0)]
            enrolled = [
                _another(rows_of[int(person)], own, rng)
                for person, own in zip([*asked, *others], [*photos[:, 1], *[-1] * len(others)], strict=True)
            ]
            # Of few people each process gets one all the same.
            places = np.arange(max(len(photos), accelerator.num_processes)) % len(photos)
            places = places[accelerator.process_index :: accelerator.num_processes]
            maps = np.stack([given.draws[draw][row] for draw, row in photos[places]])
            yield (
                to_tensor(maps, accelerator.device),
                torch.from_numpy(places).to(accelerator.device),
                torch.from_numpy(regions).to(accelerator.device),
                to_tensor(self.clean[enrolled], accelerator.device),
            )


def one_each(photos: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One photo of each person, drawn at random, in random order.

    Args:
        photos: (M, 2) draw and row.
        labels: (N,) who is on each row.
        rng: of the draw.
    """
    order = rng.permutation(len(photos))
    _, first = np.unique(labels[photos[order, 1]], return_index=True)
    return photos[order[rng.permutation(first)]]


def _another(rows: np.ndarray, own: int, rng: np.random.Generator) -> int:
    """A random one of a person's photos, not their own unless there is no other."""
    others = rows[rows != own]
    return int(rng.choice(others if len(others) else rows))


def pooled_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """How far each photo's own person stays below the impostors of all photos of the batch: a scalar.

    With the logits z_ik of N photos and K people and the own person y_i of each

        l = 1/N sum_i log(1 + sum over j and k other than y_j of exp(z_jk) / (N exp(z_iy_i)))

    which one threshold for all photos has to tell apart; the class loss tells apart those of each photo alone.

    Args:
        logits: (N, K), of which the own person's have the margin taken off.
        labels: (N,) int64 in 0 to K - 1.
    """
    own = F.one_hot(labels, logits.shape[1]).bool()
    impostors = logits.masked_fill(own, -torch.inf).flatten().logsumexp(0) - math.log(len(logits))
    return F.softplus(impostors - logits[own]).mean()
