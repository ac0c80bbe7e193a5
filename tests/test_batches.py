"""Batches: each row once, or people evened out; made ahead of use, shared among processes."""

import time

import numpy as np
import pytest
import torch

from pdsn.batches import ahead, balanced, shuffled


@pytest.mark.parametrize(
    ("power", "expected"), [(0.0, (40, 10, 10)), (1.0, (20, 20, 20)), (0.5, (30, 15, 15))]
)
def test_balancing_evens_out_how_often_each_person_comes(power, expected):
    people = np.repeat([0, 1, 2], [40, 10, 10])
    rows = balanced(people, power, 0, 0)
    assert len(rows) == 60
    assert np.bincount(people[rows]) == pytest.approx(expected, abs=1)
    # As many of a person's photos as there can be: none twice while another is left out.
    counts = np.bincount(rows, minlength=60)
    for person in range(3):
        assert np.ptp(counts[people == person]) <= 1
    assert not np.array_equal(np.sort(rows), np.sort(balanced(people, power, 0, 1))) or power == 0
    assert np.array_equal(rows, balanced(people, power, 0, 0))


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_made_ahead_come_in_order_and_each_once(workers):
    made = []

    def make(step):
        time.sleep(0.003 if step % 2 else 0)
        made.append(step)
        return step * 10

    found = ahead(make, range(5, 45), workers=workers)
    assert next(found) == 50
    assert len(made) < 40, "not everything may be made before it is wanted"
    assert list(found) == [step * 10 for step in range(6, 45)]
    assert sorted(made) == list(range(5, 45))


def test_an_error_while_making_a_batch_reaches_the_training():
    def fail(step):
        raise ValueError(step)

    with pytest.raises(ValueError, match="3"):
        next(ahead(fail, range(3, 9)))


def test_processes_share_each_batch_and_cover_it():
    alone = shuffled(50, 8, seed=3, epoch=2)
    shares = [shuffled(50, 8, seed=3, epoch=2, rank=rank, world=3) for rank in range(3)]
    assert len(alone) == 6
    for whole, *parts in zip(alone, *shares, strict=True):
        assert sorted(torch.cat(parts).tolist()) == sorted(whole.tolist())
    assert len(torch.cat(alone).unique()) == 48
    assert not torch.equal(torch.cat(alone), torch.cat(shuffled(50, 8, seed=3, epoch=3)))


def test_fewer_photos_than_a_batch_are_one_batch():
    assert [len(rows) for rows in shuffled(5, 64, seed=0, epoch=0)] == [5]
