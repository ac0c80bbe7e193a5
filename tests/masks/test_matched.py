"""Masks learned in the match: what they drop, how they combine, what is trained on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pdsn.bases.encoder import Encoder
from pdsn.bases.settings import BaseConfig
from pdsn.bases.trained import new_base
from pdsn.data.dataset import FaceDataset
from pdsn.errors import PdsnError
from pdsn.masks.dictionary import MaskDictionary
from pdsn.masks.maps import PairMaps
from pdsn.masks.matched import (
    MatchedMasks,
    learned_masks,
    matching_folder,
    mean_maps,
    train_matched,
)
from pdsn.masks.settings import MatchingConfig
from pdsn.networks.margins import LMCL
from pdsn.occlusion.layouts import Box, LandmarkStatistics, make_layout
from pdsn.occlusion.mixture import MovedRegions, matching_mixture
from pdsn.runtime import start


class Flat(nn.Module):
    """A head that takes the features as they are."""

    def head(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.flatten(1)


def test_the_loss_is_that_of_the_match_under_the_product_of_the_masks() -> None:
    torch.manual_seed(0)
    people = torch.randn(3, 2, 2, 2)
    module = MatchedMasks(2, Flat(), people, scale=10.0, margin=0.1)  # type: ignore[arg-type]
    with torch.no_grad():
        module.theta.normal_()
    maps, labels = torch.randn(4, 2, 2, 2), torch.tensor([0, 2, 1, 1])
    masks = module.theta.sigmoid()
    for occluded, fdm in (
        (torch.tensor([True, False]), masks[0]),
        (torch.tensor([True, True]), masks[0] * masks[1]),
    ):
        known = F.normalize((people * fdm).flatten(1))
        asked = F.normalize((maps * fdm).flatten(1))
        classifier = LMCL(8, 3, 10.0, 0.1)
        with torch.no_grad():
            classifier.weight.copy_(known)
        found = module(maps, labels, occluded)
        assert float(found["loss"]) == pytest.approx(float(classifier(asked, labels)), abs=1e-5)
        right = ((asked @ known.T).argmax(1) == labels).float().mean()
        assert float(found["accuracy"]) == pytest.approx(float(right))


def test_learning_drops_what_an_occlusion_spoils_and_keeps_what_it_leaves() -> None:
    generator = torch.Generator().manual_seed(0)
    people = torch.randn(20, 1, 4, 4, generator=generator)
    module = MatchedMasks(1, Flat(), people, scale=10.0, margin=0.2)  # type: ignore[arg-type]
    optimizer = torch.optim.Adam([module.theta], lr=0.1)
    for _ in range(150):
        labels = torch.randint(20, (32,), generator=generator)
        maps = people[labels].clone()
        maps[:, :, :2] = 3 * torch.randn(32, 1, 2, 4, generator=generator)  # the upper half is covered
        loss = module(maps, labels, torch.tensor([True]))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    mask = module.theta.sigmoid()[0, 0]
    # Only the proportion of the masks matters to a cosine.
    assert float(mask[:2].max()) < 0.3 * float(mask[2:].min())


@pytest.fixture
def prepared(tmp_path: Path, dataset: FaceDataset):
    """A random base, its maps, and the LM2 bands."""
    accelerator = start("cpu", "fp32")
    torch.manual_seed(0)
    model = new_base(
        BaseConfig(arch="resnet18", width=8, embedding=16), dataset.size, len(dataset.people)
    ).eval()
    maps = PairMaps(tmp_path / "cache", dataset, Encoder(model.net, accelerator), "0" * 64, 0, -1)
    statistics = LandmarkStatistics.of(dataset.landmarks[dataset.rows("train")], dataset.size)
    return accelerator, model, maps, make_layout("LM2", statistics, 0.57)


@pytest.mark.parametrize("against", ["means", "photos"])
def test_training_moves_the_masks_alone_and_repeats(tmp_path: Path, prepared, against: str) -> None:
    accelerator, model, maps, layout = prepared
    before = {name: value.clone() for name, value in model.state_dict().items()}
    config = MatchingConfig(steps=8, batch=16, draws=2, validations=2, against=against)
    found = []
    for number in range(2):
        folder = matching_folder(tmp_path / str(number), config, layout, 0.5, "0" * 64, 0)
        assert not folder.open()
        best = train_matched(maps, model, layout, 0.5, config, folder, accelerator, 0)
        assert 0 <= best["accuracy"] <= 1 and best["loss"] > 0
        found.append(learned_masks(folder.load()))
    assert torch.equal(found[0], found[1])
    assert found[0].shape == (5, *model.net.map_shape)
    assert float(found[0].std()) > 0 and float(found[0].min()) >= 0 and float(found[0].max()) <= 1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_masks_made_before_there_was_a_choice_are_those_against_means(tmp_path: Path, prepared) -> None:
    accelerator, model, maps, layout = prepared
    config = MatchingConfig(steps=2, batch=4, draws=1, validations=1)
    folder = matching_folder(tmp_path, config, layout, 0.5, "0" * 64, 0)
    folder.open()
    train_matched(maps, model, layout, 0.5, config, folder, accelerator, 0)
    described = json.loads(folder.described.read_text())
    del described["config"]["against"]
    folder.described.write_text(json.dumps(described))
    assert matching_folder(tmp_path, config, layout, 0.5, "0" * 64, 0).open()
    other = replace(config, against="photos")
    with pytest.raises(PdsnError, match="against"):
        matching_folder(tmp_path, other, layout, 0.5, "0" * 64, 0).open()


def test_a_share_that_nothing_reaches_is_one_line(tmp_path: Path, prepared) -> None:
    accelerator, model, maps, layout = prepared
    config = MatchingConfig(steps=2, batch=4, draws=1, validations=1)
    folder = matching_folder(tmp_path / "none", config, layout, 1.0, "0" * 64, 0)
    folder.open()
    with pytest.raises(PdsnError, match="lower --share"):
        train_matched(maps, model, layout, 1.0, config, folder, accelerator, 0)


def test_mixed_twins_differ_by_draw_and_are_kept(prepared) -> None:
    _, _, maps, layout = prepared
    first, second = maps.mixed(layout, "train", 2)
    assert first.maps.shape == second.maps.shape and not np.array_equal(first.maps, second.maps)
    shares = first.shares(layout)
    assert shares.shape == (len(first.maps), 5) and shares.max() > 0.5
    [again] = maps.mixed(layout, "train", 1)
    assert np.array_equal(again.maps, first.maps) and np.array_equal(again.packed, first.packed)


def test_mean_maps_leave_out_whom_they_are_told_to() -> None:
    maps = np.arange(4, dtype=np.float16).reshape(4, 1, 1, 1)
    means = mean_maps(maps, np.array([0, 1, 0, -1]), 3)
    assert means.flatten().tolist() == [1.0, 1.0, 0.0]


def test_soft_masks_multiply(tmp_path: Path, prepared) -> None:
    layout = prepared[3]
    mean = torch.rand(5, 2, 2, 2)
    made = MaskDictionary(layout, mean, mean > 0.5, "0" * 64, soft=True)
    two = torch.tensor([True, False, True, False, False])
    torch.testing.assert_close(made.combine(two), mean[0] * mean[2])
    assert torch.equal(made.combine(torch.zeros(5, dtype=torch.bool)), torch.ones(2, 2, 2))
    made.save(tmp_path / "matched.safetensors")
    found = MaskDictionary.load(
        tmp_path / "matched.safetensors", base="0" * 64, regions_now=lambda name: layout, remake="x"
    )
    assert found.soft and torch.equal(found.mean, mean)
    torch.testing.assert_close(made.kept_share(), mean.mean(1))


def test_moved_regions_stay_near_and_span_what_the_region_spans() -> None:
    band = MovedRegions((Box(20, 0, 30, 48),), more=0.0)
    image, points = torch.zeros((3, 64, 48), dtype=torch.uint8), torch.zeros(5, 2)
    tops = set()
    for seed in range(30):
        _, covered = band(image, points, np.random.default_rng(seed))
        rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
        assert 17 <= rows[0] <= 23 and 27 <= rows[-1] + 1 <= 33
        assert (columns[0], columns[-1]) == (0, 47)
        tops.add(int(rows[0]))
    assert len(tops) > 2


def test_the_mixture_shows_every_kind() -> None:
    mixture = matching_mixture([Box(0, 0, 10, 48)], "train")
    assert set(mixture.parts) == set(mixture.weights)
    assert sum(mixture.weights.values()) == pytest.approx(1.0)
