import pytest
import torch

from pdsn.masks.controls import covered_share, geometric_mask, mean_difference, random_mask
from pdsn.masks.dictionary import binarise
from pdsn.occlusion.layouts import Box


def test_random_drops_the_same_share_elsewhere_for_each_seed():
    masks = [binarise(random_mask((64, 4, 3), seed), 30) for seed in (0, 0, 1)]
    assert torch.equal(masks[0], masks[1]) and not torch.equal(masks[0], masks[2])
    assert masks[2].float().mean() == pytest.approx(0.7, abs=0.002)


def test_covered_share_of_each_cell():
    # Rows of 32 px: a band of rows 48 to 68 covers half of the second and an eighth of the third.
    share = covered_share(Box(48, 0, 68, 96), (128, 96), (4, 3))
    assert share.tolist() == [[0, 0, 0], [0.5, 0.5, 0.5], [0.125, 0.125, 0.125], [0, 0, 0]]
    corner = covered_share(Box(0, 0, 32, 16), (128, 96), (4, 3))
    assert corner[0].tolist() == [0.5, 0, 0]


def test_geometric_drops_all_channels_of_the_cells_under_the_region():
    mean, kept = geometric_mask((5, 4, 3), Box(64, 0, 128, 96), (128, 96))
    assert kept[:, :2].all() and not kept[:, 2:].any()
    assert mean[0, :, 0].tolist() == [1, 1, 0, 0]


def test_geometric_takes_the_most_covered_cells_where_none_is_half_covered():
    _, kept = geometric_mask((2, 4, 3), Box(64, 0, 74, 96), (128, 96))
    assert kept[0].tolist() == [[True] * 3, [True] * 3, [False] * 3, [True] * 3]


def test_difference_ranks_by_mean_absolute_change():
    clean = torch.rand(20, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    occluded = clean.clone()
    occluded[:, 0] += 2.0
    occluded[::2, 1] += 1.0
    mean = mean_difference([(clean[:7], occluded[:7]), (clean[7:], occluded[7:])], relative=False)
    torch.testing.assert_close(mean[0], torch.zeros(2, 2))
    torch.testing.assert_close(mean[1], torch.full((2, 2), 0.75))
    torch.testing.assert_close(mean[2], torch.ones(2, 2))


def test_relative_divides_by_the_features_own_spread():
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(500, 2, 1, 1, generator=generator) * torch.tensor([10.0, 1.0]).view(1, 2, 1, 1)
    occluded = clean + 1.0
    plain = mean_difference([(clean, occluded)], relative=False)
    relative = mean_difference([(clean, occluded)], relative=True)
    assert plain[0] == pytest.approx(plain[1], abs=1e-6)
    ratio = (1 - relative[0]) / (1 - relative[1])
    assert float(ratio) == pytest.approx(float(clean[:, 1].std() / clean[:, 0].std()), rel=0.01)


def test_relative_with_features_that_never_vary():
    clean = torch.ones(10, 3, 1, 1)
    clean[:, 2, 0, 0] = torch.arange(10.0)
    occluded = clean.clone()
    occluded[:, 1] += 1
    mean = mean_difference([(clean, occluded)], relative=True)
    assert mean.isfinite().all()
    assert mean.flatten().tolist()[0] == 1 and mean.flatten().tolist()[1] == 0
