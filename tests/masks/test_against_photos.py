"""Masks learned against single clean photos: the loss, who is enrolled, and what a training leaves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pdsn.masks.against_photos import POOLED, PhotoBatches, one_each, pooled_loss
from pdsn.masks.groups import GroupBatches
from pdsn.masks.matched import MatchedMasks, learned_masks
from pdsn.masks.settings import PHOTOS, MatchingConfig
from pdsn.runtime import start


class Flat(nn.Module):
    """A head that takes the features as they are."""

    def head(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.flatten(1)


def slow_pooled(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The loss as its docstring has it, sum by sum."""
    count = len(logits)
    impostors = sum(
        math.exp(logits[j, k]) for j in range(count) for k in range(logits.shape[1]) if k != labels[j]
    )
    return sum(math.log(1 + impostors / count / math.exp(logits[i, labels[i]])) for i in range(count)) / count


def test_the_pooled_loss_is_that_of_its_formula() -> None:
    logits, labels = torch.randn(5, 7, dtype=torch.float64), torch.tensor([0, 6, 2, 2, 1])
    assert float(pooled_loss(logits, labels)) == pytest.approx(slow_pooled(logits, labels))


def test_photos_take_the_place_of_the_people_and_mask_logits_add_up() -> None:
    torch.manual_seed(0)
    module = MatchedMasks(2, Flat(), torch.zeros(9, 3, 2, 2), scale=10.0, margin=0.1, shared=True)  # type: ignore[arg-type]
    with torch.no_grad():
        for value in module.learned().values():
            value.normal_()
    theta, channel, cell = (module.learned()[name] for name in ("theta", "channel", "cell"))
    masks = (theta + channel + cell).sigmoid()
    torch.testing.assert_close(learned_masks(module.learned()), masks)
    maps, photos, labels = torch.randn(4, 3, 2, 2), torch.randn(5, 3, 2, 2), torch.tensor([3, 0, 4, 1])
    found = module(maps, labels, torch.tensor([False, True]), photos)
    cosines = F.normalize((maps * masks[1]).flatten(1)) @ F.normalize((photos * masks[1]).flatten(1)).T
    logits = 10 * cosines
    logits[torch.arange(4), labels] -= 10 * 0.1
    plain = float(F.cross_entropy(logits, labels).detach())
    expected = (1 - POOLED) * plain + POOLED * slow_pooled(logits.detach(), labels)
    assert float(found["loss"].detach()) == pytest.approx(expected, abs=1e-5)


def test_one_photo_of_each_person_is_drawn() -> None:
    photos = np.array([[0, 0], [0, 1], [1, 1], [0, 2], [1, 3]])
    labels = np.array([4, 4, 7, 9])
    seen = set()
    for seed in range(30):
        drawn = one_each(photos, labels, np.random.default_rng(seed))
        assert sorted(labels[drawn[:, 1]]) == [4, 7, 9]
        seen |= {tuple(photo) for photo in drawn.tolist()}
    assert seen == {tuple(photo) for photo in photos.tolist()}


def test_nobody_is_found_by_their_own_photo_unless_they_have_no_other() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2, -1, 3, 3])
    clean = np.arange(9, dtype=np.float16).reshape(9, 1, 1, 1)
    photos = np.array([[0, row] for row in (0, 1, 3, 5)])
    regions = np.array([True])
    config = MatchingConfig(steps=40, batch=2, validations=1, against=PHOTOS)
    given = GroupBatches([clean], [(regions, photos)], labels, config, 0, start("cpu", "fp32"))
    batches = PhotoBatches(given, clean)
    met = set()
    for maps, places, occluded, gallery in batches.epoch(0):
        rows, enrolled = maps.flatten().long().numpy(), gallery.flatten().long().numpy()
        assert len(rows) == 2 and torch.equal(occluded, torch.tensor([True]))
        assert sorted(labels[enrolled]) == [0, 1, 2, 3]
        assert (labels[enrolled[places]] == labels[rows]).all()
        assert all(own != other or own == 5 for own, other in zip(rows, enrolled[places], strict=True))
        met |= set(enrolled.tolist())
    assert met == {0, 1, 2, 3, 4, 5, 7, 8}
    again = [part for batch in batches.epoch(0) for part in batch]
    assert all(
        torch.equal(a, b) for a, b in zip(again, [p for b in batches.epoch(0) for p in b], strict=True)
    )
