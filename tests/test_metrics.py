import numpy as np
import pytest
import torch

from pdsn.metrics import (
    best_per_person,
    bootstrap_interval,
    open_set_rates,
    photo_rank,
    rank_rate,
    rank_rate_per_person,
    stranger_scores,
    true_rank,
)


def test_best_per_person_is_the_nearest_photo():
    scores = torch.tensor([[0.1, 0.9, 0.4, 0.3], [0.5, 0.2, 0.1, 0.7]])
    best = best_per_person(scores, torch.tensor([0, 0, 2, 2]), 3)
    assert torch.equal(best, torch.tensor([[0.9, -torch.inf, 0.4], [0.5, -torch.inf, 0.7]]))


def test_rank_counts_people_and_not_photos():
    # Three photos of person 1 are nearer than person 0's, but that is one person: rank 2.
    scores = torch.tensor([[0.5, 0.9, 0.8, 0.7]])
    best = best_per_person(scores, torch.tensor([0, 1, 1, 1]), 2)
    assert true_rank(best, torch.tensor([0])).tolist() == [2]


def test_ties_count_against_the_true_person():
    # A matcher that gives everybody the same score must not look perfect.
    assert true_rank(torch.ones(4, 5), torch.tensor([0, 1, 2, 4])).tolist() == [5, 5, 5, 5]


def test_a_score_that_is_no_number_is_no_hit():
    nan = float("nan")
    best = torch.tensor([[nan, 0.5, 0.1], [nan, nan, nan], [0.4, nan, 0.3]])
    assert true_rank(best, torch.tensor([0, 1, 0])).tolist() == [3, 3, 2]


def test_a_stranger_scores_its_highest_cosine_to_anybody_else():
    best = torch.tensor([[0.9, 0.2, 0.4], [0.1, 0.7, 0.8], [0.5, -torch.inf, -torch.inf]])
    scores = stranger_scores(best, torch.tensor([0, 2, 0]))
    assert torch.equal(scores, torch.tensor([0.4, 0.7, -torch.inf]))


def test_rank_by_photo_counts_the_photos_of_others_that_are_nearer():
    people = torch.tensor([0, 0, 1, 1, 1, 2])
    scores = torch.tensor([
        [0.9, 0.1, 0.3, 0.2, 0.1, 0.5],  # the nearest photo is their own
        [0.1, 0.4, 0.9, 0.8, 0.7, 0.2],  # three photos of one other person come first
        [0.5, 0.2, 0.5, 0.1, 0.1, 0.1],  # a tie counts against the true person
        [float("nan"), 0.2, 0.1, 0.1, 0.1, 0.1],
    ])  # fmt: skip
    labels = torch.zeros(4, dtype=torch.int64)
    assert photo_rank(scores, people, labels).tolist()[:3] == [1, 4, 2]
    assert true_rank(best_per_person(scores[:3], people, 3), labels[:3]).tolist() == [1, 2, 2]
    nothing = torch.full((1, 6), float("nan"))
    assert photo_rank(nothing, people, labels[:1]).tolist() == [5], "no number is no hit"


def test_open_set_rates_by_hand():
    ranks = np.array([1, 1, 1, 1, 2, 1])
    scores = np.array([0.95, 0.8, 0.6, 0.3, 0.99, np.nan])
    strangers = np.array([0.9, 0.3, 0.61, 0.1, 0.2, np.nan])
    thresholds = np.array([0.9, 0.8, 0.5, 0.2, 0.2, 0.2])
    # Named: 0, 2 and 3; 1 does not pass but only reaches its threshold, 4 ranks second, 5 shows no face.
    tpir, fpir = open_set_rates(ranks, scores, strangers, thresholds)
    assert tpir == 3 / 6
    assert fpir == 1 / 5, "the third stranger alone passes its own probe's threshold"
    nobody = np.full(6, np.nan)
    tpir, fpir = open_set_rates(ranks, nobody, nobody, thresholds)
    assert tpir == 0 and np.isnan(fpir)


def test_rates_per_photo_and_per_person():
    ranks, labels = np.array([1, 1, 1, 3, 7]), np.array([0, 0, 0, 1, 1])
    assert rank_rate(ranks, 1) == 0.6 and rank_rate(ranks, 5) == 0.8
    assert rank_rate_per_person(ranks, labels, 1) == 0.5
    assert rank_rate_per_person(ranks, labels, 5) == 0.75


def test_bootstrap_interval_has_the_binomial_width_where_everybody_has_one_photo():
    hits = np.array([1.0] * 564 + [0.0] * 99)  # 85 % of 663: standard error 1.39 points
    low, high = bootstrap_interval(hits, np.arange(663), (0, 1), draws=4000, seed=0)
    assert (high - low) / 2 == pytest.approx(1.96 * 0.01387, rel=0.08)
    assert low < 564 / 663 < high


def test_photos_of_a_person_stand_or_fall_together():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(60), 10)
    alike = np.repeat(rng.random(60) < 0.8, 10).astype(float)  # ten photos of a person tell no more than one
    low, high = bootstrap_interval(alike, people, (0, 1), draws=4000)
    one_each = alike[::10]
    error = 1.96 * one_each.std() / 60**0.5
    assert (high - low) / 2 == pytest.approx(error, rel=0.08)
    # Against an independent computation: resample people one by one, and pool their photos.
    unequal = np.concatenate([np.repeat(person, 1 + person % 7) for person in range(60)])
    values = rng.random(len(unequal)) + unequal % 3
    means = []
    for _ in range(3000):
        chosen = rng.integers(60, size=60)
        means.append(np.concatenate([values[unequal == person] for person in chosen]).mean())
    expected = np.quantile(means, [0.025, 0.975])
    assert bootstrap_interval(values, unequal, (0, 4), draws=3000) == pytest.approx(expected, abs=0.02)


def test_where_nothing_differs_there_is_still_doubt():
    people = np.arange(50) // 5
    # Clopper & Pearson: 50 of 50 right, the rate may be as low as 92.89 %.
    assert bootstrap_interval(np.ones(50), people, (0, 1)) == pytest.approx((0.9289, 1.0), abs=1e-4)
    assert bootstrap_interval(np.zeros(50), people, (0, 1)) == pytest.approx((0.0, 0.0711), abs=1e-4)
    assert bootstrap_interval(np.zeros(50), people, (-1, 1)) == pytest.approx((-0.0711, 0.0711), abs=1e-4)


def test_the_bootstrap_is_seeded():
    values, people = np.random.default_rng(0).random(40), np.arange(40)
    first, again, other = (bootstrap_interval(values, people, (0, 1), seed=seed) for seed in (3, 3, 4))
    assert first == again != other
