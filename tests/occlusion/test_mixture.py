import numpy as np
import pytest
import torch

from pdsn.data.template import template
from pdsn.occlusion.layouts import Box
from pdsn.occlusion.mixture import (
    WORN_WEIGHTS,
    Mixture,
    Patch,
    texture,
    worn_occluders,
)
from pdsn.occlusion.occluders import Block, Nothing

SIZE = (64, 48)
POINTS = torch.from_numpy(template(SIZE))


def photo() -> torch.Tensor:
    return torch.randint(1, 255, (3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("seed", range(40))
def test_a_patch_changes_nothing_outside_its_mask(seed):
    image = photo()
    occluded, covered = Patch()(image, POINTS, np.random.default_rng(seed))
    assert torch.equal(occluded[:, ~covered], image[:, ~covered])
    assert covered.any()
    assert (occluded[:, covered] != image[:, covered]).any(0).float().mean() > 0.9


def test_bands_reach_across_and_lie_everywhere():
    rows = torch.zeros(SIZE[0])
    for seed in range(200):
        _, covered = Patch((0.08, 0.4), (1.0, 1.0))(photo(), POINTS, np.random.default_rng(seed))
        assert torch.equal(covered.all(1), covered.any(1)), "a band must reach from edge to edge"
        rows += covered[:, 0]
    # The first and the last rows are covered at least half as often as those in the middle.
    assert rows[[0, -1]].min() > rows[24:40].mean() / 3


def test_patches_are_of_many_kinds():
    drawn = [Patch(white=0.5)(photo(), POINTS, np.random.default_rng(seed)) for seed in range(100)]
    white = [bool((image[:, covered] == 255).all()) for image, covered in drawn]
    assert 30 < sum(white) < 70
    boxes = 0
    for _, covered in drawn:
        rows, columns = covered.any(1).sum(), covered.any(0).sum()
        boxes += int(covered.sum() == rows * columns)
    assert 30 < boxes < 90, "boxes and ellipses are both drawn"


@pytest.mark.parametrize("seed", range(20))
def test_textures_have_their_size_and_stay_finite(seed):
    surface = texture(17, 5, np.random.default_rng(seed))
    assert surface.shape == (17, 5, 3) and np.isfinite(surface).all()


def test_a_mixture_follows_its_weights():
    first, second = Block((Box(0, 0, 10, 48),)), Block((Box(50, 0, 64, 48),))
    mixture = Mixture({"a": first, "b": second, "clean": Nothing()}, {"a": 3, "b": 1, "clean": 0}, twice=0)
    drawn = [mixture(photo(), POINTS, np.random.default_rng(seed))[1] for seed in range(200)]
    share = np.mean([bool(covered[0, 0]) for covered in drawn])
    assert 0.65 < share < 0.85
    assert all(covered.any() for covered in drawn)


def test_two_at_once_are_covered_together():
    both = Mixture(
        {"a": Block((Box(0, 0, 10, 48),)), "b": Block((Box(50, 0, 64, 48),))}, {"a": 1, "b": 1}, 1.0
    )
    masks = [both(photo(), POINTS, np.random.default_rng(seed))[1] for seed in range(30)]
    assert any(mask[0, 0] and mask[63, 0] for mask in masks)


def test_every_occluder_of_the_segmentation_has_a_weight():
    for split in ("train", "val", "test"):
        assert set(worn_occluders(split)) == set(WORN_WEIGHTS)
    assert sum(WORN_WEIGHTS.values()) == pytest.approx(1)
