"""Losses on pairs of embeddings."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

IMPOSTORS = ("near", "nearest", "all")
"""Which pairs of two people `contrastive_loss` averages."""


def contrastive_loss(a: Tensor, b: Tensor, same: Tensor, margin: float, impostors: str = "all") -> Tensor:
    """Contrastive loss over all pairs of two sets of faces (Hadsell, Chopra, LeCun, CVPR 2006, equation 4).

    With D the Euclidean distance of the unit embeddings, a pair of one person costs D^2 / 2, a pair of two people
    max(0, margin - D)^2 / 2. Of N x M pairs few show one person: each kind is averaged by itself, and the loss is the
    sum of both means.

    Args:
        a: (N, E) embeddings, of any length.
        b: (M, E) embeddings, of any length.
        same: (N, M) bool, whether both show one person; there is a pair of each kind, or its mean counts as 0.
        margin: distance from which two people are far enough apart, above 0 and at most 2.
        impostors: the mean of two people's pairs is of "all" of them; of those "near", nearer than the margin, as the others
            cost nothing, and the more there are the less the near ones weigh; or of each face's "nearest" one alone: the few
            that are hard to tell apart, which among many easy ones hardly count.

    Returns:
        The loss, a scalar, at least 0.
    """
    # Half precision would eat small distances.
    with torch.autocast(a.device.type, enabled=False):
        cosine = F.normalize(a.float()) @ F.normalize(b.float()).T
        squared = (2 - 2 * cosine).clamp_min(0)
        # The root has no slope at 0, where one photo meets itself.
        distance = (squared + 1e-12).sqrt()
        apart = (margin - distance).clamp_min(0).square()
    if impostors == "nearest":
        apart = apart.masked_fill(same, 0)
        others = ~same
        cost = torch.cat([apart.amax(0)[others.any(0)], apart.amax(1)[others.any(1)]])
        return (_mean(squared, same) + cost.sum() / max(len(cost), 1)) / 2
    different = ~same & (distance < margin) if impostors == "near" else ~same
    return (_mean(squared, same) + _mean(apart, different)) / 2


def listed_contrastive_loss(
    a: Tensor, b: Tensor, same: Tensor, margin: float, *, squared: bool = True
) -> Tensor:
    """The mean over pairs of y D^2 + (1 - y) max(0, A - D)^2 (papers/001, chapter 3); y is 1 for a pair of one person.

    001 takes the squared Euclidean distance of the unit embeddings for D and A = 5, so the distance is squared twice, and
    since D is at most 4, no pair of two people is ever far enough apart. `squared` False takes the distance itself.

    Args:
        a, b: (N, E) embeddings, of any length.
        same: (N,) bool, whether a pair shows one person.
        margin: A.
        squared: D is the squared distance.

    Returns:
        The loss, a scalar, at least 0.
    """
    with torch.autocast(a.device.type, enabled=False):
        distance = (F.normalize(a.float()) - F.normalize(b.float())).square().sum(1)
        if not squared:
            distance = (distance + 1e-12).sqrt()
        return torch.where(same, distance, (margin - distance).clamp_min(0)).square().mean()


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    return (values * chosen).sum() / chosen.sum().clamp_min(1)


def triplet_loss(anchors: Tensor, positives: Tensor, negatives: Tensor, margin: float) -> Tensor:
    """The mean over triplets of max(0, d(a, p) + m - d(a, n)) (Schroff, Kalenichenko, Philbin, CVPR 2015, equation 3).

    d is the squared Euclidean distance of the unit embeddings, 0 to 4.

    Args:
        anchors: (N, E) embeddings, of any length.
        positives: (N, E) of the anchors' people.
        negatives: (N, E) of other people.
        margin: m.

    Returns:
        The loss, a scalar, at least 0.
    """
    genuine, impostor, _ = _triplet_distances(anchors, positives, negatives)
    return (genuine + margin - impostor).clamp_min(0).mean()


def self_restrained_triplet_loss(
    anchors: Tensor, positives: Tensor, negatives: Tensor, margin: float
) -> Tensor:
    """The self-restrained triplet loss (Boutros, Damer, Kirchbuchner, Kuijper, Pattern Recognition 124, 2022, section 3.2).

    Once the anchors of a batch are, in the mean, as far from the negatives as the positives are, pushing the negatives away
    further gains nothing: from then on the mean of d(p, n) takes the place of d(a, n), and only the positives pull.

    Args:
        anchors, positives, negatives, margin: see `triplet_loss`.

    Returns:
        The loss, a scalar, at least 0.
    """
    genuine, impostor, between = _triplet_distances(anchors, positives, negatives)
    far = between.mean() if impostor.mean() >= between.mean() else impostor
    return (genuine + margin - far).clamp_min(0).mean()


def _triplet_distances(a: Tensor, p: Tensor, n: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Squared distances (N,) of a and p, of a and n, and of p and n."""
    with torch.autocast(a.device.type, enabled=False):
        a, p, n = (F.normalize(one.float()) for one in (a, p, n))
        return tuple((one - other).square().sum(1) for one, other in ((a, p), (a, n), (p, n)))  # type: ignore[return-value]


def margin_in_batch(scores: Tensor, labels: Tensor, scale: float, margin: float) -> Tensor:
    """The large margin cosine loss (Wang et al., CVPR 2018, equation 4) whose classes are the photos of a batch.

    Probe i has to score higher with the gallery's photo i, which shows the same person, than with those of everybody else,
    by the margin. Further photos of one's own person do not count.

    Args:
        scores: (N, N) of each probe with each gallery photo, -1 to 1.
        labels: (N,) int64, whom probe and photo i show.
        scale, margin: s and m.

    Returns:
        The loss, a scalar.
    """
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    again = (labels[:, None] == labels[None]) & ~own
    logits = (scale * (scores.float() - margin * own)).masked_fill(again, float("-inf"))
    return F.cross_entropy(logits, torch.arange(len(labels), device=labels.device))
