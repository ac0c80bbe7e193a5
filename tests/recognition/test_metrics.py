import numpy as np
import pytest
import torch

from pdsn.recognition.metrics import (
    best_per_person,
    bootstrap_interval,
    identification_rate,
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


def test_open_set_rates_by_hand():
    # Ten strangers' scores, of which one or two may be exceeded: the threshold is 0.9, 0.8 or 0.7.
    strangers = np.array([0.3, 0.9, 0.1, 0.8, 0.2, 0.7, 0.0, 0.4, 0.5, 0.6])
    ranks = np.array([1, 1, 1, 1, 2, 1, 1, 1, 1, 11])
    scores = np.array([0.95, 0.9, 0.85, 0.75, 0.99, 0.71, 0.7, 0.2, 0.1, np.nan])
    assert identification_rate(ranks, scores, strangers, 0.0) == 0.1  # 0.95 alone passes 0.9
    assert identification_rate(ranks, scores, strangers, 0.099) == 0.1
    assert identification_rate(ranks, scores, strangers, 0.1) == 0.3  # 0.9 and 0.85 pass 0.8
    assert identification_rate(ranks, scores, strangers, 0.2) == 0.5  # 0.75 and 0.71 pass 0.7, 0.7 does not
    assert identification_rate(ranks, scores, strangers, 1.0) == 0.8  # whoever ranks first


def test_missed_faces_are_not_identified_and_are_no_strangers():
    ranks, scores = np.array([1, 1, 5]), np.array([0.6, 0.4, np.nan])
    assert identification_rate(ranks, scores, np.array([0.5, np.nan, np.nan]), 0.1) == pytest.approx(1 / 3)
    nothing = np.full(3, np.nan)
    assert identification_rate(np.full(3, 5), nothing, nothing, 0.1) == 0


def test_equal_strangers_never_let_more_of_them_pass_than_allowed():
    # Two of four score alike: passing both would be half of them.
    rate = identification_rate(np.ones(4), np.full(4, 0.5), np.array([0.5, 0.5, 0.1, 0.1]), 0.25)
    assert rate == 0


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
