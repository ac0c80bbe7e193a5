"""Identification: closed-set rank-k rates per photo and per person with intervals, and open-set rates."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def best_per_person(scores: Tensor, people: Tensor, count: int) -> Tensor:
    """The best score of each person's gallery photos (nearest neighbour).

    Args:
        scores: (P, G) of probes against gallery photos, higher is nearer.
        people: (G,) int64 in 0 to count - 1.
        count: K, number of people.

    Returns:
        (P, K); -inf for a person without a gallery photo.
    """
    best = torch.full((len(scores), count), -torch.inf, dtype=scores.dtype, device=scores.device)
    index = people.to(scores.device)[None].expand_as(scores)
    return best.scatter_reduce(1, index, scores, "amax")


def true_rank(best: Tensor, labels: Tensor) -> Tensor:
    """Place of the true person, 1 for the nearest; ties, and scores that are no number, count against it.

    Args:
        best: (P, K) from `best_per_person`.
        labels: (P,) int64, the true person of each probe.

    Returns:
        (P,) int64 in 1 to K.
    """
    own = best.gather(1, labels.to(best.device)[:, None])
    return (~(best < own)).sum(1)


def nearest_ranks(probes: Tensor, gallery: Tensor, labels: Tensor, people: Tensor, count: int) -> np.ndarray:
    """Ranks (P,) of the true person by nearest neighbour and cosine.

    Args:
        probes: (P, E) embeddings of length 1.
        gallery: (G, E) likewise.
        labels: (P,) int64, the true person of each probe.
        people: (G,) int64, whose photo each is.
        count: K, number of people; labels are 0 to K - 1.
    """
    return true_rank(best_per_person(probes @ gallery.T, people, count), labels).cpu().numpy()


def stranger_scores(best: Tensor, labels: Tensor) -> Tensor:
    """What each probe would score as a stranger: its highest score in the gallery without its own person.

    Args:
        best: (P, K) from `best_per_person`.
        labels: (P,) int64, the true person of each probe.

    Returns:
        (P,); -inf where nobody else is enrolled.
    """
    return best.scatter(1, labels.to(best.device)[:, None], -torch.inf).amax(1)


def identification_rate(ranks: np.ndarray, scores: np.ndarray, strangers: np.ndarray, fpir: float) -> float:
    """TPIR at FPIR: the true positive identification rate at a false positive identification rate.

    The threshold t is the smallest for which at most the share `fpir` of the strangers' scores exceeds it:
    the (m + 1)-th largest of their n scores, m = floor(fpir * n). Identified is who ranks first with a score
    above t. Every probe is asked both ways, as itself and as a stranger (leave one person out).

    Args:
        ranks: (P,) place of the true person, see `true_rank`.
        scores: (P,) the highest score of each probe, NaN where no face was found: it is not identified.
        strangers: (P,) see `stranger_scores`; NaN where no face was found: it does not count.
        fpir: share of strangers who may be taken for somebody, 0 to 1.

    Returns:
        Share of all P probes that are identified, 0 to 1.
    """
    known = np.sort(strangers[~np.isnan(strangers)])
    # 0.29 * 100 is 28.999…: what is whole on paper must stay whole.
    allowed = math.floor(fpir * len(known) + 1e-9)
    threshold = known[-1 - allowed] if allowed < len(known) else -np.inf
    return float(((ranks == 1) & (scores > threshold)).mean())


def rank_rate(ranks: np.ndarray, k: int) -> float:
    """Share of probes whose true person is among the k nearest: rank-k, 0 to 1."""
    return float((ranks <= k).mean())


def rank_rate_per_person(ranks: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Mean over people of each one's rank-k rate, so that nobody counts more for having more photos."""
    hits = ranks <= k
    return float(np.mean([hits[labels == person].mean() for person in np.unique(labels)]))


def bootstrap_interval(
    values: np.ndarray, *, draws: int = 2000, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean, over photos.

    Args:
        values: (P,) one value a photo: a hit (0 or 1), the share of hits among its draws, or the difference
            of two systems' hits. Draws of one photo are averaged first: they are not independent.
        draws: resamples.
        seed: of the resampling; the same for every system, so that photos are resampled alike.
        level: probability that the interval is to cover.

    Returns:
        Low and high end.
    """
    rng = np.random.default_rng(seed)
    means = np.empty(draws)
    for first in range(0, draws, 100):
        chosen = rng.integers(len(values), size=(min(100, draws - first), len(values)))
        means[first : first + len(chosen)] = values[chosen].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
