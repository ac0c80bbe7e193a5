"""Identification: closed-set rank-k rates per photo and per person with intervals, and open-set rates."""

from __future__ import annotations

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


def photo_rank(scores: Tensor, people: Tensor, labels: Tensor) -> Tensor:
    """Place of the nearest photo of the true person among all gallery photos, 1 for the nearest.

    Rank-k by photo counts a probe as right if one of its k nearest gallery photos shows the true person; rank-k by
    person, see `true_rank`, if the true person is among the k nearest people. They agree at k = 1; beyond, several
    photos of one other person take several places here and one there. Ties, and scores that are no number, count
    against the true person.

    Args:
        scores: (P, G) of probes against gallery photos, higher is nearer.
        people: (G,) int64, whose photo each is.
        labels: (P,) int64, the true person of each probe.

    Returns:
        (P,) int64 in 1 to G.
    """
    own = people.to(scores.device)[None] == labels.to(scores.device)[:, None]
    best = scores.masked_fill(~own, -torch.inf).amax(1, keepdim=True)
    return (~(scores < best) & ~own).sum(1) + 1


def open_set_rates(
    ranks: np.ndarray, scores: np.ndarray, strangers: np.ndarray, thresholds: np.ndarray
) -> tuple[float, float]:
    """TPIR and FPIR: the true and the false positive identification rate at given thresholds.

    Identified is who ranks first with a score above the threshold of its probe. Every probe is asked both ways, as
    itself and as a stranger (leave one person out). The thresholds come from other photos, see
    `pdsn.calibration.strangers`: the FPIR that is achieved differs from the one that was asked for.

    Args:
        ranks: (P,) place of the true person, see `true_rank`.
        scores: (P,) the highest score of each probe, NaN where no face was found: it is not identified.
        strangers: (P,) see `stranger_scores`; NaN where no face was found: it does not count.
        thresholds: (P,) the score that each probe has to pass.

    Returns:
        Share of all P probes that are identified, and share of the strangers in whom a face was found who are taken for
        somebody, both 0 to 1; the second is NaN where there is none.
    """
    seen = ~np.isnan(strangers)
    passed = strangers[seen] > thresholds[seen]
    return float(((ranks == 1) & (scores > thresholds)).mean()), float(
        passed.mean()
    ) if seen.any() else np.nan


def rank_rate(ranks: np.ndarray, k: int) -> float:
    """Share of probes whose true person is among the k nearest: rank-k, 0 to 1."""
    return float((ranks <= k).mean())


def rank_rate_per_person(ranks: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Mean over people of each one's rank-k rate, so that nobody counts more for having more photos."""
    hits = ranks <= k
    return float(np.mean([hits[labels == person].mean() for person in np.unique(labels)]))


def bootstrap_interval(
    values: np.ndarray,
    people: np.ndarray,
    limits: tuple[float, float],
    *,
    draws: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean, over people: photos of one person stand or fall together.

    Where all values are equal no resample differs, and the bootstrap would say that there is no doubt. The interval is
    then the exact one of a rate of which no case was seen (Clopper & Pearson, 1934): as far from the value as events
    of a probability p may lie hidden, (1 - p)^P = (1 - level) / 2. What was never seen says nothing of how it
    clusters: photos count as independent there. Where one or two values differ the percentiles stand as they are: narrower
    than that interval, and rather too narrow, as bootstraps of so few events are.

    Args:
        values: (P,) one value a photo: a hit (0 or 1), the share of hits among its draws, or the difference
            of two systems' hits. Draws of one photo are averaged first: they are not independent.
        people: (P,) whom each photo shows.
        limits: least and largest mean possible: (0, 1) for hits, (-1, 1) for differences.
        draws: resamples.
        seed: of the resampling; the same for every system, so that people are resampled alike.
        level: probability that the interval is to cover.

    Returns:
        Low and high end.
    """
    tail = (1 - level) / 2
    if (values == values[0]).all():
        hidden = 1 - tail ** (1 / len(values))
        return max(float(values[0]) - hidden, limits[0]), min(float(values[0]) + hidden, limits[1])
    _, whose = np.unique(people, return_inverse=True)
    counts = np.bincount(whose)
    sums = np.bincount(whose, weights=values)
    rng = np.random.default_rng(seed)
    # How often each of the K people is drawn in each of the resamples (draws, K).
    drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=draws)
    means = drawn @ sums / (drawn @ counts)
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)
