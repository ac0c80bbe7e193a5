"""Verification figures against scikit-learn and by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_curve

from pdsn.evaluation.verification import (
    Curve,
    PairScores,
    equal_error_rate,
    figures,
    fnmr_at,
    folds_accuracy,
    intervals,
    resampled_eer,
    separation,
    threshold_at,
    threshold_of_eer,
    told,
)


def pairs(genuine, impostor):
    genuine, impostor = np.asarray(genuine, float), np.asarray(impostor, float)
    whose = np.arange(len(impostor))
    return PairScores(
        genuine,
        impostor,
        np.arange(len(genuine)) % 7,
        np.stack([whose % 7, (whose + 1 + whose // 7 % 6) % 7], 1),
    )


@pytest.fixture(params=["apart", "mixed", "ties"])
def scores(request):
    rng = np.random.default_rng(0)
    shift = {"apart": 3.0, "mixed": 1.0, "ties": 1.0}[request.param]
    genuine, impostor = rng.normal(shift, 1, 300), rng.normal(0, 1, 2000)
    if request.param == "ties":
        genuine, impostor = genuine.round(1), impostor.round(1)
    return pairs(genuine, impostor)


def whole(scores):
    return Curve(scores).rates(np.ones(len(scores.genuine)), np.ones(len(scores.impostor)))


def test_the_curve_is_that_of_scikit_learn(scores):
    fmr, fnmr = whole(scores)
    same = np.repeat([1, 0], [len(scores.genuine), len(scores.impostor)])
    every = np.concatenate([scores.genuine, scores.impostor])
    theirs = roc_curve(same, every, drop_intermediate=False)
    np.testing.assert_allclose(fmr, theirs[0])
    np.testing.assert_allclose(1 - fnmr, theirs[1])
    np.testing.assert_allclose(Curve(scores).thresholds[1:], theirs[2][1:])


def test_weights_are_as_good_as_repeated_pairs(scores):
    rng = np.random.default_rng(1)
    genuine, impostor = rng.integers(0, 4, len(scores.genuine)), rng.integers(0, 4, len(scores.impostor))
    fmr, fnmr = Curve(scores).rates(genuine, impostor)
    repeated = pairs(scores.genuine.repeat(genuine), scores.impostor.repeat(impostor))
    again = whole(repeated)
    assert equal_error_rate(fmr, fnmr) == pytest.approx(equal_error_rate(*again))
    for most in (0.1, 0.01):
        assert fnmr_at(fmr, fnmr, most) == pytest.approx(fnmr_at(*again, most))


def test_the_equal_error_rate_is_where_the_rates_meet(scores):
    fmr, fnmr = whole(scores)
    eer = equal_error_rate(fmr, fnmr)
    after = int(np.argmax(fmr >= fnmr))
    assert fmr[after - 1] <= eer <= fmr[after] and fnmr[after] <= eer <= fnmr[after - 1]
    # By another way: the crossing of two lines through the same four points.
    x = np.linspace(0, 1, 100_001)
    difference = np.interp(x, [0, 1], fmr[after - 1 : after + 1]) - np.interp(
        x, [0, 1], fnmr[after - 1 : after + 1]
    )
    at = x[np.argmin(np.abs(difference))]
    assert eer == pytest.approx(np.interp(at, [0, 1], fmr[after - 1 : after + 1]), abs=1e-4)


def test_by_hand():
    scores = pairs([0.9, 0.8, 0.4, 0.2], [0.7, 0.5, 0.3, 0.1, 0.0])
    fmr, fnmr = whole(scores)
    assert fnmr_at(fmr, fnmr, 0.0) == 0.5 and threshold_at(scores, 0.0) == 0.8
    assert fnmr_at(fmr, fnmr, 0.2) == 0.5 and fnmr_at(fmr, fnmr, 0.4) == 0.25
    assert threshold_at(scores, 0.4) == 0.4, "the lowest whose FMR is no more"
    assert threshold_of_eer(scores) == 0.5 and (fmr[4], fnmr[4]) == (0.4, 0.5)
    found = figures(scores, threshold=0.45)
    assert found["genuine"] == 4 and found["impostors"] == 5
    assert found["accuracy"] == pytest.approx(1 - (0.0 + 0.5) / 2)
    assert (found["fixed_fmr"], found["fixed_fnmr"]) == (0.4, 0.5)
    assert found["fixed_accuracy"] == pytest.approx(0.55)
    assert found["tar1e-1"] is None, "five impostors tell nothing"


def test_perfect_scores_make_no_error():
    fmr, fnmr = whole(pairs([0.9, 0.8], [0.1, 0.2]))
    assert equal_error_rate(fmr, fnmr) == 0 and fnmr_at(fmr, fnmr, 0) == 0


def test_a_face_that_was_not_found_never_matches():
    scores = pairs([0.9, np.nan], [0.1, np.nan])
    fmr, fnmr = whole(scores)
    assert fnmr_at(fmr, fnmr, 0) == 0.5
    found = figures(scores, threshold=-1.0)
    assert (found["fixed_fmr"], found["fixed_fnmr"]) == (0.5, 0.5)
    assert separation(scores, "cosine")["gmean"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("count", "far", "wanted"), [(1000, 1e-2, True), (999, 1e-2, False), (10**5, 1e-4, True)]
)
def test_ten_errors_have_to_be_allowed(count, far, wanted):
    assert told(count, far) == wanted


def test_intervals_are_over_people():
    rng = np.random.default_rng(2)
    # One person of ten is never recognised: an interval over pairs would hardly see it.
    genuine_people = np.repeat(np.arange(10), 50)
    genuine = rng.normal(np.where(genuine_people == 3, -1.0, 4.0), 0.3)
    whose = rng.integers(0, 10, (4000, 2))
    whose = whose[whose[:, 0] != whose[:, 1]]
    impostor = rng.normal(0, 0.3, len(whose))
    scores = PairScores(genuine, impostor, genuine_people, whose)
    low, high = intervals(scores, draws=300)["tar1e-2"]
    value = figures(scores)["tar1e-2"]
    assert value == pytest.approx(0.9, abs=0.01) and low < 0.75 and high == pytest.approx(1.0)
    assert intervals(scores, draws=300) == intervals(scores, draws=300)


@pytest.mark.parametrize("distance", ["cosine", "l2", "squared-l2"])
def test_distances_are_those_of_unit_vectors(distance):
    rng = np.random.default_rng(3)
    a, b = (rng.normal(size=(40, 5)) for _ in range(2))
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    by_hand = {
        "cosine": 1 - (a * b).sum(1), "l2": np.linalg.norm(a - b, axis=1), "squared-l2": ((a - b) ** 2).sum(1),
    }[distance]  # fmt: skip
    found = separation(pairs((a * b).sum(1)[:20], (a * b).sum(1)[20:]), distance)
    genuine, impostor = by_hand[:20], by_hand[20:]
    assert found["gmean"] == pytest.approx(genuine.mean()) and found["imedian"] == pytest.approx(
        np.median(impostor)
    )
    assert found["gap"] == pytest.approx(np.median(impostor) - np.median(genuine))
    fisher = (genuine.mean() - impostor.mean()) ** 2 / (genuine.var() + impostor.var())
    assert found["fdr"] == pytest.approx(fisher)


def test_each_fold_is_judged_by_the_others():
    # In the first fold everything lies lower: the others' threshold, 0.5, tells it half right.
    genuine, impostor = [0.4, 0.45, 0.9, 0.8, 0.9, 0.8], [0.3, 0.2, 0.1, 0.2, 0.1, 0.2]
    folds = np.repeat([0, 1, 2], 2)
    mean, error = folds_accuracy(pairs(genuine, impostor), folds, folds)
    assert mean == pytest.approx((0.5 + 1 + 1) / 3)
    assert error == pytest.approx(np.std([0.5, 1, 1], ddof=1) / np.sqrt(3))


def test_pairs_of_one_kind_tell_nothing():
    with pytest.raises(ValueError, match="0 genuine and 2 impostor pairs: both are needed"):
        pairs([], [0.1, 0.2])


def test_the_figures_are_those_of_torchmetrics(scores):
    from torchmetrics.functional.classification import binary_accuracy, binary_eer, binary_roc

    every = torch.from_numpy(np.concatenate([scores.genuine, scores.impostor]))
    same = torch.arange(len(every)) < len(scores.genuine)
    # It wants probabilities, and takes no others: the order is what counts.
    ordered = torch.unique(every, return_inverse=True)[1].double() / (len(every) + 1)
    theirs, ours = binary_roc(ordered, same.int()), whole(scores)
    known = {round(float(far), 9): float(tar) for far, tar in zip(theirs[0], theirs[1], strict=True)}
    for fmr, fnmr in zip(*ours, strict=True):
        assert known.get(round(float(fmr), 9), 1 - fnmr) >= 1 - fnmr - 1e-6
    # Its equal error rate is the mean of both rates where they are nearest, ours the point where they meet.
    gap = np.abs(ours[0] - ours[1]).min()
    assert figures(scores)["eer"] == pytest.approx(float(binary_eer(ordered, same.int())), abs=gap)
    threshold = threshold_at(scores, 0.01)
    found = figures(scores, threshold=threshold)
    passed = (every >= threshold).int()
    parts = [float(binary_accuracy(passed[same == kind], same[same == kind].int())) for kind in (True, False)]
    assert found["fixed_accuracy"] == pytest.approx(np.mean(parts))


def test_a_resample_that_draws_everybody_once_is_the_table_s_own_and_twice_counts_as_two():
    rng = np.random.default_rng(3)
    people = np.repeat(np.arange(6), 4)
    impostors = np.array([(a, b) for a in range(6) for b in range(6) if a != b])
    scores = PairScores(rng.normal(1, 1, 24), rng.normal(0, 1, 30), people, impostors)
    once = np.ones((1, 6), np.int64)
    assert resampled_eer(scores, once)[0] == pytest.approx(figures(scores)["eer"])
    times = np.array([2, 0, 1, 3, 1, 1])
    repeats = times[impostors[:, 0]] * times[impostors[:, 1]]
    copied = PairScores(
        np.repeat(scores.genuine, times[people]), np.repeat(scores.impostor, repeats),
        np.repeat(people, times[people]), np.repeat(impostors, repeats, axis=0),
    )  # fmt: skip
    assert resampled_eer(scores, times[None])[0] == pytest.approx(figures(copied)["eer"])
    alone = np.array([[6, 0, 0, 0, 0, 0]])
    assert np.isnan(resampled_eer(scores, alone)).all(), "one person makes no impostor pairs"
