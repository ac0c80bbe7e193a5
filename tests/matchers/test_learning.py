"""Batches of photos and twins, and how a learner is judged."""

import re
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from pdsn.errors import UsageError
from pdsn.masks.maps import Twins
from pdsn.matchers.learning import LearningConfig, TwinBatches, judge
from pdsn.matchers.training_photos import FacePhotos, MapPhotos
from pdsn.occlusion.occluders import Nothing

SIZE = (6, 4)
LABELS = np.array([2, 0, 0, 1, 2, 0, 1, 1, 2, 5, 0, 1])
"""Person 5 has one photo."""
CONFIG = LearningConfig(steps=12, batch=8, validations=4)


def painted(draw: int, row: int) -> np.ndarray:
    """What is covered (6, 4) bool of a twin: other pixels in each."""
    return np.random.default_rng((draw, row)).random(SIZE) < 0.5


def map_photos(labels: np.ndarray = LABELS, draws: int = 2) -> MapPhotos:
    """Maps that say what they are of: row, 100 + row in a gallery, 1000 (draw + 1) + row of a twin."""
    rows = np.arange(len(labels), dtype=np.float16).reshape(-1, 1, 1, 1)
    twins = [
        Twins(
            1000 * (draw + 1) + rows,
            np.stack([np.packbits(painted(draw, row)) for row in range(len(labels))]),
            SIZE,
        )
        for draw in range(draws)
    ]
    return MapPhotos(rows, 100 + rows, twins, labels.astype(np.int64))


@dataclass
class Processes:
    """Stands for an accelerator of several processes."""

    num_processes: int = 1
    process_index: int = 0
    device: str = "cpu"


def batches(seed=0, processes=None, config=CONFIG, photos=None):
    return TwinBatches(photos or map_photos(), config, "unmask", seed, processes or Processes())


def unlike(a, b) -> bool:
    return any(not torch.equal(one[0], other[0]) for one, other in zip(a, b, strict=True))


def test_a_batch_follows_from_seed_and_step_alone():
    once, again = (list(batches().epoch(1)) for _ in range(2))
    assert len(once) == len(batches()) == 3
    for one, other in zip(once, again, strict=True):
        assert all(torch.equal(*both) for both in zip(one, other, strict=True))
    assert unlike(once, batches().epoch(0)) and unlike(once, batches(seed=1).epoch(1))
    longer = list(batches(config=LearningConfig(steps=6, batch=8, validations=1)).epoch(0))
    assert torch.equal(longer[3][0], once[0][0]), "steps are numbered through, whenever it is validated"


@pytest.mark.parametrize(("steps", "validations", "length"), [(10, 4, 3), (12, 4, 3), (1, 4, 1)])
def test_an_epoch_lasts_from_one_validation_to_the_next(steps, validations, length):
    made = batches(config=LearningConfig(steps=steps, batch=4, validations=validations))
    assert len(made) == len(list(made.epoch(0))) == length


def test_probes_are_photos_or_twins_and_the_gallery_another_photo_of_the_same_person():
    free, twins = 0, 0
    for epoch in range(40):
        for probes, covered, gallery, labels in batches().epoch(epoch):
            assert probes.dtype == gallery.dtype == torch.float32
            assert covered.shape == (8, *SIZE) and covered.dtype == torch.bool and labels.dtype == torch.int64
            seen, enrolled = probes.flatten().int().tolist(), (gallery.flatten().int() - 100).tolist()
            assert len({number % 1000 for number in seen}) == 8, "each photo once"
            for number, hidden, other, label in zip(seen, covered, enrolled, labels.tolist(), strict=True):
                draw, row = number // 1000 - 1, number % 1000
                assert LABELS[row] == LABELS[other] == label
                assert (row == other) == (label == 5), "of which there is no other"
                if draw < 0:
                    free += 1
                    assert not hidden.any()
                else:
                    twins += 1
                    assert np.array_equal(hidden.numpy(), painted(draw, row))
    assert free / (free + twins) == pytest.approx(0.2, abs=0.04)


def test_every_twin_and_every_other_photo_comes_up():
    drawn, met = set(), set()
    for epoch in range(40):
        for probes, _, gallery, _ in batches().epoch(epoch):
            numbers = probes.flatten().int().tolist()
            drawn |= set(numbers)
            met |= {
                (one % 1000, int(other) - 100) for one, other in zip(numbers, gallery.flatten(), strict=True)
            }
    assert drawn == {1000 * draw + row for draw in range(3) for row in range(12)}
    others = {(a, b) for a in range(12) for b in range(12) if LABELS[a] == LABELS[b] and a != b}
    assert met == others | {(9, 9)}


def test_processes_share_each_batch():
    for step, whole in enumerate(batches().epoch(2)):
        shares = [list(batches(processes=Processes(3, rank)).epoch(2))[step] for rank in range(3)]
        assert [len(share[0]) for share in shares] == [3, 3, 2]
        numbers = [set((share[0].flatten() % 1000).tolist()) for share in shares]
        assert sum(len(one) for one in numbers) == len(set().union(*numbers)) == 8
        for part, joined in zip(whole, map(torch.cat, zip(*shares, strict=True)), strict=True):
            order = [0, 3, 6, 1, 4, 7, 2, 5]
            assert torch.equal(joined, part[order])


def test_a_batch_too_small_for_the_processes_is_refused():
    line = "[unmask] batch = 8 is too small for 5 processes: give at least 10"
    with pytest.raises(UsageError, match=f"^{re.escape(line)}$"):
        batches(processes=Processes(5))


class Knowing:
    """Takes from the numbers in the maps whom they show; of some it says the contrary."""

    most_pairs: int | None = None

    def __init__(self, *, free: bool = True, hidden: bool = True) -> None:
        self.right = {False: free, True: hidden}
        self.asked: list[tuple[int, int]] = []

    def scores(self, probes, covered, gallery):
        self.asked.append((len(probes), len(gallery)))
        people = torch.from_numpy(LABELS)
        ours = people[probes.flatten().long() % 1000]
        theirs = people[gallery.flatten().long() - 100]
        same = (ours[:, None] == theirs[None]).float()
        sign = torch.tensor([1.0 if self.right[bool(one.any())] else -1.0 for one in covered])
        return sign[:, None] * same


def judged(learner):
    return judge(learner, map_photos(), map_photos(draws=1), torch.device("cpu"))


def test_a_perfect_learner_names_everybody_and_a_contrary_one_nobody():
    assert judged(Knowing()) == {"rank1": 1.0, "occluded": 1.0, "score": 1.0}
    assert judged(Knowing(free=False, hidden=False)) == {"rank1": 0.0, "occluded": 0.0, "score": 0.0}
    assert judged(Knowing(hidden=False)) == {"rank1": 1.0, "occluded": 0.0, "score": 0.5}


@pytest.mark.parametrize("most", [5, 12])
def test_the_gallery_is_one_photo_of_each_person_and_probes_come_some_at_a_time(monkeypatch, most):
    monkeypatch.setattr("pdsn.matchers.learning.PROBES", most)
    learner = Knowing()
    assert judged(learner)["score"] == 1.0
    assert learner.asked == ([(5, 4), (5, 4), (2, 4)] if most == 5 else [(12, 4)]) * 2


def test_where_pairs_are_dear_few_people_and_photos_are_judged(monkeypatch):
    monkeypatch.setattr("pdsn.matchers.learning.PEOPLE", 1)
    learner = Knowing()
    learner.most_pairs = 6
    assert judged(learner)["score"] == 1.0
    # Two people and three of their photos, one gallery photo at a time.
    assert learner.asked == [(3, 1), (3, 1)] * 2


def test_faces_come_in_batches_too(dataset):
    rows = dataset.rows("train")
    photos = FacePhotos(dataset, rows, Nothing(), dataset.labels[rows], draws=2, seed=0)
    probes, covered, gallery, labels = next(batches(photos=photos).epoch(0))
    assert probes.shape == gallery.shape == (8, 3, *dataset.size) and not covered.any()
    everybody = dataset.tensor(rows).float()
    for probe, other, label in zip(probes, gallery, labels.tolist(), strict=True):
        places = [int((everybody == one).flatten(1).all(1).nonzero()) for one in (probe, other)]
        assert places[0] != places[1]
        assert [dataset.labels[rows[place]] for place in places] == [label, label]
