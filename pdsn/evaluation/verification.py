"""Verification: how well scores tell pairs of one person from pairs of two, at which threshold, with intervals.

Scores are cosines or whatever else is higher for faces that are more alike. FMR, the false match rate, is the share of
impostor pairs that pass a threshold; FNMR, the false non-match rate, that of genuine pairs that do not; TAR = 1 - FNMR and
FAR = FMR.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

FARS = {"1e-1": 1e-1, "1e-2": 1e-2, "1e-3": 1e-3, "1e-4": 1e-4}
"""False accept rates at which the TAR is told, by what a table calls them."""
ERRORS = 10
"""Impostor pairs that have to be allowed to pass before a TAR is told: of fewer nobody knows the threshold."""
QUANTILES = (5, 25, 75, 95)
"""Percentiles of distances that are told beside the median."""
MOST_RESAMPLED = 50_000
"""Impostor pairs that a resample of `resampled_eer` goes through."""
DISTANCES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "cosine": lambda cosine: 1 - cosine,
    "l2": lambda cosine: np.sqrt(np.maximum(2 - 2 * cosine, 0)),
    "squared-l2": lambda cosine: 2 - 2 * cosine,
}
"""Distances of two unit embeddings by their cosine: 1 - cos, 0 to 2; L2, 0 to 2; squared L2, 0 to 4."""


@dataclass(frozen=True)
class PairScores:
    """Scores of pairs, and whom they show.

    Attributes:
        genuine: (N,) of pairs of one person; NaN where a face was not found: such a pair never matches.
        impostor: (M,) of pairs of two people; likewise.
        genuine_people: (N,) int64, the person of each.
        impostor_people: (M, 2) int64, the two people of each.
    """

    genuine: np.ndarray
    impostor: np.ndarray
    genuine_people: np.ndarray
    impostor_people: np.ndarray

    def __post_init__(self) -> None:
        if len(self.genuine) == 0 or len(self.impostor) == 0:
            raise ValueError(
                f"{len(self.genuine)} genuine and {len(self.impostor)} impostor pairs: both are needed"
            )


class Curve:
    """FMR and FNMR at every threshold that makes a difference.

    A pair matches when its score is at or above the threshold. Pairs can have weights, as in a resample of people.

    Args:
        scores: of the pairs.

    Attributes:
        thresholds: (T + 1,) descending; the first, infinity, lets nobody pass.
    """

    def __init__(self, scores: PairScores) -> None:
        genuine, impostor = (np.nan_to_num(part, nan=-np.inf) for part in (scores.genuine, scores.impostor))
        every = np.concatenate([genuine, impostor])
        self._order = np.argsort(-every, kind="stable")
        ordered = every[self._order]
        self._split = len(genuine)
        # Where several pairs score alike they pass together: the last of them counts.
        self._last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        self.thresholds = np.append(np.inf, ordered[self._last])

    def rates(self, genuine: np.ndarray, impostor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """FMR and FNMR (T + 1,) of pairs that weigh `genuine` (N,) and `impostor` (M,)."""
        weights = np.concatenate([genuine, np.zeros(len(impostor))])[self._order]
        others = np.concatenate([np.zeros(len(genuine)), impostor])[self._order]
        passed = np.append(0.0, np.cumsum(weights)[self._last]) / genuine.sum()
        false = np.append(0.0, np.cumsum(others)[self._last]) / impostor.sum()
        return false, 1 - passed


def equal_error_rate(fmr: np.ndarray, fnmr: np.ndarray) -> float:
    """EER: where FMR and FNMR meet, by a straight line between the two thresholds about it.

    Args:
        fmr, fnmr: (T,) at descending thresholds, see `Curve.rates`.
    """
    after = int(np.argmax(fmr >= fnmr))
    if after == 0:
        return float(fmr[0])
    before = after - 1
    gap = fnmr[before] - fmr[before], fnmr[after] - fmr[after]
    share = gap[0] / (gap[0] - gap[1])
    return float(fmr[before] + share * (fmr[after] - fmr[before]))


def fnmr_at(fmr: np.ndarray, fnmr: np.ndarray, most: float) -> float:
    """The lowest FNMR of a threshold whose FMR is at most `most`: FMR100 for .01, FMR1000 for .001; 1 - it is the TAR."""
    return float(fnmr[np.searchsorted(fmr, most + 1e-12, side="right") - 1])


def threshold_at(scores: PairScores, most: float) -> float:
    """The lowest threshold whose FMR is at most `most`; infinity where even the best impostor must not pass."""
    curve = Curve(scores)
    fmr, _ = curve.rates(np.ones(len(scores.genuine)), np.ones(len(scores.impostor)))
    return float(curve.thresholds[np.searchsorted(fmr, most + 1e-12, side="right") - 1])


def threshold_of_eer(scores: PairScores) -> float:
    """The threshold at which FMR and FNMR are nearest to one another."""
    curve = Curve(scores)
    fmr, fnmr = curve.rates(np.ones(len(scores.genuine)), np.ones(len(scores.impostor)))
    return float(curve.thresholds[int(np.argmin(np.abs(fmr - fnmr)))])


def told(count: int, far: float) -> bool:
    """Whether so many impostor pairs tell a TAR at a FAR: `ERRORS` of them are allowed to pass."""
    return count * far >= ERRORS


def figures(scores: PairScores, *, threshold: float | None = None) -> dict[str, float | None]:
    """What scores tell, rates as fractions.

    Args:
        scores: of the pairs.
        threshold: one that was fixed on other pairs, None for none.

    Returns:
        "genuine" and "impostors", numbers of pairs; "eer"; "tar1e-1" to "tar1e-4" and "fmr100", "fmr1000", None where the
        impostors are too few; "accuracy", the mean of TAR and 1 - FAR at the best threshold (pairs of one person and of
        two count alike, however many there are of each); with `threshold` "fixed_accuracy", "fixed_fmr" and
        "fixed_fnmr" at it.
    """
    curve = Curve(scores)
    fmr, fnmr = curve.rates(np.ones(len(scores.genuine)), np.ones(len(scores.impostor)))
    found: dict[str, float | None] = {
        "genuine": len(scores.genuine),
        "impostors": len(scores.impostor),
        **_rates(fmr, fnmr, len(scores.impostor)),
    }
    if threshold is not None:
        # A face that was not found matches nobody: comparisons with NaN are false.
        missed, passed = 1 - (scores.genuine >= threshold).mean(), (scores.impostor >= threshold).mean()
        found |= {
            "fixed_accuracy": float(1 - (missed + passed) / 2),
            "fixed_fmr": float(passed),
            "fixed_fnmr": float(missed),
        }
    return found


def _rates(fmr: np.ndarray, fnmr: np.ndarray, impostors: int) -> dict[str, float | None]:
    tars = {
        f"tar{name}": 1 - fnmr_at(fmr, fnmr, far) if told(impostors, far) else None
        for name, far in FARS.items()
    }
    lowest = {
        f"fmr{1 / most:.0f}": fnmr_at(fmr, fnmr, most) if told(impostors, most) else None
        for most in (1e-2, 1e-3)
    }
    return {
        "eer": equal_error_rate(fmr, fnmr),
        **tars,
        **lowest,
        "accuracy": float(1 - ((fmr + fnmr) / 2).min()),
    }


def intervals(
    scores: PairScores, *, draws: int = 500, seed: int = 0, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap intervals of the rates of `figures`, over people.

    A resample draws people; a genuine pair counts as often as its person was drawn, an impostor pair as often as its first
    times its second. All pairs of one person stand or fall together.

    Args:
        scores: of the pairs.
        draws: resamples.
        seed: of the resampling.
        level: probability that an interval is to cover.
    """
    people, whose = np.unique(
        np.concatenate([scores.genuine_people, scores.impostor_people.ravel()]), return_inverse=True
    )
    count = len(scores.genuine)
    own, pairs = whose[:count], whose[count:].reshape(-1, 2)
    curve, rng = Curve(scores), np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    for _ in range(draws):
        drawn = rng.multinomial(len(people), np.full(len(people), 1 / len(people)))
        genuine, impostor = drawn[own], drawn[pairs[:, 0]] * drawn[pairs[:, 1]]
        if not genuine.any() or not impostor.any():
            continue
        for name, value in _rates(*curve.rates(genuine, impostor), len(scores.impostor)).items():
            if value is not None:
                found.setdefault(name, []).append(value)
    tail = (1 - level) / 2
    return {
        name: (float(low), float(high))
        for name, values in found.items()
        for low, high in [np.quantile(values, [tail, 1 - tail])]
    }


def resampled_eer(scores: PairScores, drawn: np.ndarray) -> np.ndarray:
    """The equal error rate (R,) in each of R resamples of people, see `intervals`; NaN where one has no pair of a kind.

    Of many impostor pairs `MOST_RESAMPLED` count, spread evenly: the interval is as wide as people differ, which more pairs
    of the same people do not change.

    Args:
        scores: of the pairs.
        drawn: (R, K) int64, how often each of K people was drawn; the pairs name people by numbers below K.
    """
    kept = slice(None, None, max(len(scores.impostor) // MOST_RESAMPLED, 1))
    fewer = PairScores(
        scores.genuine, scores.impostor[kept], scores.genuine_people, scores.impostor_people[kept]
    )
    curve, found = Curve(fewer), np.full(len(drawn), np.nan)
    first, second = fewer.impostor_people.T
    for place, times in enumerate(drawn):
        genuine, impostor = times[fewer.genuine_people], times[first] * times[second]
        if genuine.any() and impostor.any():
            found[place] = equal_error_rate(*curve.rates(genuine, impostor))
    return found


def separation(scores: PairScores, distance: str) -> dict[str, float]:
    """How far genuine and impostor distances lie apart; pairs in which a face was not found do not count.

    Args:
        scores: cosines of the pairs.
        distance: a key of `DISTANCES`.

    Returns:
        Mean, median and standard deviation of either kind ("gmean", "gmedian", "gstd", "imean", "imedian", "istd"), what 5, 25,
        75 and 95 % of it lie below ("gq5" to "gq95", "iq5" to "iq95"), "gap", the median of impostors less that of genuine pairs,
        and "fdr", Fisher's discriminant ratio (gmean - imean)^2 / (gstd^2 + istd^2).
    """
    genuine, impostor = (
        DISTANCES[distance](part[~np.isnan(part)]) for part in (scores.genuine, scores.impostor)
    )
    found: dict[str, float] = {}
    for letter, values in (("g", genuine), ("i", impostor)):
        found |= {
            f"{letter}mean": float(values.mean()),
            f"{letter}median": float(np.median(values)),
            f"{letter}std": float(values.std()),
            **{f"{letter}q{percent}": float(np.percentile(values, percent)) for percent in QUANTILES},
        }
    spread = found["gstd"] ** 2 + found["istd"] ** 2
    return {
        **found,
        "gap": found["imedian"] - found["gmedian"],
        "fdr": float((found["gmean"] - found["imean"]) ** 2 / spread) if spread else float("inf"),
    }


def folds_accuracy(
    scores: PairScores, genuine_folds: np.ndarray, impostor_folds: np.ndarray
) -> tuple[float, float]:
    """Accuracy by folds, LFW's view 2: each fold is judged at the threshold that is best on all others.

    Args:
        scores: of the pairs.
        genuine_folds, impostor_folds: (N,) and (M,) the fold of each pair.

    Returns:
        Mean of the folds' accuracies, the share of a fold's pairs that is told right, and its standard error.
    """
    every = np.concatenate([scores.genuine, scores.impostor])
    same = np.arange(len(every)) < len(scores.genuine)
    folds = np.concatenate([genuine_folds, impostor_folds])
    found = []
    for fold in np.unique(folds):
        others = folds != fold
        threshold = _best_threshold(every[others], same[others])
        found.append(float(((every[~others] >= threshold) == same[~others]).mean()))
    return float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(len(found)))


def _best_threshold(values: np.ndarray, same: np.ndarray) -> float:
    """The threshold that tells most pairs right, in the middle between the scores about it."""
    values = np.nan_to_num(values, nan=-np.inf)
    order = np.argsort(-values, kind="stable")
    ordered, right = values[order], same[order]
    # With the first n pairs matching: those of them that are genuine, and the impostors among the rest.
    correct = (
        np.append(0, np.cumsum(right)) + np.append(0, np.cumsum(~right))[-1] - np.append(0, np.cumsum(~right))
    )
    between = np.append(np.append(True, ordered[1:] != ordered[:-1]), True)
    best = int(np.argmax(np.where(between, correct, -1)))
    if best == 0:
        return float("inf")
    if best == len(ordered) or not np.isfinite(ordered[best]):
        return float(ordered[best - 1])
    return float((ordered[best - 1] + ordered[best]) / 2)
