"""Batches: each row once, or people evened out; made ahead of use, shared among processes."""

import re
import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from pdsn.bases.lmcl import FaceBatches
from pdsn.bases.settings import BaseConfig
from pdsn.coverage.settings import SegmentConfig
from pdsn.coverage.training import OccludedBatches
from pdsn.errors import UsageError
from pdsn.masks.groups import GroupBatches
from pdsn.masks.settings import HeadConfig, MatchingConfig
from pdsn.training.augment import Augmentation
from pdsn.training.batches import ShuffledBatches, ahead, balanced, shuffled


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


@dataclass
class Processes:
    """Stands for an accelerator of several processes."""

    num_processes: int
    process_index: int = 0
    device: str = "cpu"


def of_kind(kind, batch, processes, dataset, count=64):
    """The training batches of a stage, and how many rows a process gets of each."""
    if kind == "generators":
        made = ShuffledBatches(count, lambda rows: (rows,), batch, 0, processes)
    elif kind == "base":
        rows = dataset.rows("train")[:count]
        made = FaceBatches(dataset, rows, BaseConfig(batch=batch), Augmentation(), 0, processes)
    elif kind == "segmenter":
        config = SegmentConfig(batch=batch, steps=2, validations=1)
        made = OccludedBatches(dataset, dataset.rows("train"), config, 0, processes)
    else:
        config = (MatchingConfig if kind == "matched" else HeadConfig)(batch=batch, steps=2, validations=1)
        group = np.array([True]), np.array([[0, 0], [0, 1]])
        made = GroupBatches(
            [np.zeros((2, 1, 1, 1), np.float16)], [group], np.zeros(2, int), config, 0, processes
        )
    return [len(part[0]) for part in made.epoch(0)]


KINDS = {
    "generators": "[masks]",
    "base": "[base]",
    "segmenter": "[segment]",
    "matched": "[matching]",
    "head": "[head]",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_too_small_for_the_processes_is_refused_and_none_gets_nothing(kind, dataset):
    line = f"{KINDS[kind]} batch = 7 is too small for 4 processes: give at least 8"
    with pytest.raises(UsageError, match=f"^{re.escape(line)}$"):
        of_kind(kind, 7, Processes(4), dataset)
    for rank in range(4):  # the advice
        shares = of_kind(kind, 8, Processes(4, rank), dataset)
        assert shares and all(share == 2 for share in shares)
    assert of_kind(kind, 2, Processes(1), dataset)[0] == 2


@pytest.mark.parametrize("kind", ["generators", "base"])
def test_fewer_photos_than_the_processes_need_are_refused(kind, dataset):
    with pytest.raises(UsageError, match="^7 training photos are too few for 4 processes: start fewer$"):
        of_kind(kind, 64, Processes(4), dataset, count=7)
    assert of_kind(kind, 64, Processes(3, 2), dataset, count=7) == [2]
