import numpy as np
import pytest
import torch

from pdsn.recognition.metrics import (
    best_per_person,
    bootstrap_interval,
    rank_rate,
    rank_rate_per_person,
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


def test_rates_per_photo_and_per_person():
    ranks, labels = np.array([1, 1, 1, 3, 7]), np.array([0, 0, 0, 1, 1])
    assert rank_rate(ranks, 1) == 0.6 and rank_rate(ranks, 5) == 0.8
    assert rank_rate_per_person(ranks, labels, 1) == 0.5
    assert rank_rate_per_person(ranks, labels, 5) == 0.75


def test_bootstrap_interval_has_the_binomial_width():
    hits = np.array([1.0] * 564 + [0.0] * 99)  # 85 % of 663: standard error 1.39 points
    low, high = bootstrap_interval(hits, draws=4000, seed=0)
    assert (high - low) / 2 == pytest.approx(1.96 * 0.01387, rel=0.08)
    assert low < 564 / 663 < high


def test_bootstrap_of_a_constant_is_a_point_and_seeded():
    assert bootstrap_interval(np.ones(50)) == (1.0, 1.0)
    values = np.random.default_rng(0).random(40)
    assert (
        bootstrap_interval(values, seed=3)
        == bootstrap_interval(values, seed=3)
        != bootstrap_interval(values, seed=4)
    )
