"""Closed-set rates of a matcher from the ranks of its answers, with what it gains over another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pdsn.metrics import bootstrap_interval, rank_rate, rank_rate_per_person


def hits(ranks: np.ndarray, k: int) -> np.ndarray:
    """For each photo the share (P,) of its answers, 0 to 1, with the true person among the k nearest.

    Args:
        ranks: (D, P) of D answers to each of P photos: several draws of an occlusion, several training seeds.
        k: how many nearest people count.
    """
    return (ranks <= k).mean(0)


def mean_told(rates: Sequence[float | None]) -> float | None:
    """The mean of rates; None where one of them could not be told."""
    known = [rate for rate in rates if rate is not None]
    return float(np.mean(known)) if len(known) == len(rates) else None


RATES = (0, 1)
DIFFERENCES = (-1, 1)


def closed_set(
    ranks: np.ndarray,
    photo_ranks: np.ndarray,
    people: np.ndarray,
    plain: np.ndarray | None,
    *,
    bootstrap: int,
    seed: int,
) -> dict[str, object]:
    """Rank-1 and rank-5, as fractions.

    `rank1` and `rank5` are the shares of the answers with the true person among the one or five nearest people,
    `rank5_photos` with a photo of theirs among the five nearest photos. `_per_person` is the mean over people of each
    one's share. `ci95` is of rank-1, by bootstrap over people: a person's photos, and a photo's answers, are not
    independent and stay together. With `plain`, `gain` is rank-1 above it on the same photos, `gain_ci95` the interval
    of that paired difference.

    Args:
        ranks: (D, P), see `hits`.
        photo_ranks: (D, P), see `metrics.photo_rank`.
        people: (P,) the true person of each photo.
        plain: (E, P) ranks without an FDM on the same photos.
        bootstrap: resamples.
        seed: of the resampling.
    """
    whose = np.tile(people, len(ranks))
    found: dict[str, object] = {
        "rank1": rank_rate(ranks, 1),
        "rank5": rank_rate(ranks, 5),
        "rank5_photos": rank_rate(photo_ranks, 5),
        "rank1_per_person": rank_rate_per_person(ranks.ravel(), whose, 1),
        "rank5_per_person": rank_rate_per_person(ranks.ravel(), whose, 5),
        "ci95": list(bootstrap_interval(hits(ranks, 1), people, RATES, draws=bootstrap, seed=seed)),
    }
    if plain is not None:
        gain = hits(ranks, 1) - hits(plain, 1)
        found["gain"] = float(gain.mean())
        found["gain_ci95"] = list(bootstrap_interval(gain, people, DIFFERENCES, draws=bootstrap, seed=seed))
    return found


def mean_gain(
    occlusions: Sequence[str],
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    people: np.ndarray,
    *,
    bootstrap: int,
    seed: int,
) -> dict[str, object]:
    """Rank-1 above no FDM, averaged over occlusions; the interval resamples people.

    Args:
        occlusions: their names.
        pairs: for each occlusion the `hits` (P,) at rank 1 with and without an FDM.
        people: (P,) the true person of each photo.
        bootstrap: resamples.
        seed: of the resampling.
    """
    gains = np.mean([ours - plain for ours, plain in pairs], axis=0)
    return {
        "occlusions": list(occlusions),
        "gain": float(gains.mean()),
        "ci95": list(bootstrap_interval(gains, people, DIFFERENCES, draws=bootstrap, seed=seed)),
    }
