"""Figures of maps, by hand and against scipy."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from pdsn.explain.measures import area, order_curve, rank_correlation, region_shares, share_inside


def test_a_map_that_is_the_same_everywhere_has_the_share_of_the_area():
    covered = torch.zeros(2, 4, 5, dtype=torch.bool)
    covered[0, 1, :3] = True
    covered[1, :, :4] = True
    assert share_inside(torch.full((2, 4, 5), 0.3), covered).tolist() == pytest.approx([3 / 20, 4 / 5])


def test_share_inside_by_hand():
    covered = torch.zeros(3, 2, 4, dtype=torch.bool)
    covered[:, :, 0] = True  # a quarter of the face
    maps = torch.zeros(3, 2, 4)
    maps[0, :, 0] = 5  # all of it on what is covered
    maps[1, :, 1:] = 7  # nothing of it
    maps[2, 0] = torch.tensor([3.0, 1.0, 1.0, 1.0])  # half of it
    assert share_inside(maps, covered).tolist() == pytest.approx([1, 0, 0.5])
    torch.testing.assert_close(share_inside(maps * 1e-6, covered), share_inside(maps, covered))
    assert share_inside(maps, covered).dtype == torch.float64


def test_no_share_is_told_of_nothing():
    covered = torch.zeros(3, 2, 4, dtype=torch.bool)
    covered[1], covered[2, 0] = True, True  # nothing, all, a half
    maps = torch.rand(3, 2, 4)
    maps[2] = 0
    assert share_inside(maps, covered).isnan().all()
    assert not share_inside(torch.rand(3, 2, 4), covered)[2].isnan()


def test_shares_of_regions():
    cells = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    inside = torch.tensor([[[1, 0], [0, 0]], [[0, 1], [0, 1]], [[1, 1], [1, 1]], [[0, 0], [0, 0]]]).bool()
    assert region_shares(cells, inside).tolist() == pytest.approx([0.1, 0.6, 1, 0])
    assert region_shares(torch.zeros(2, 2), inside).tolist() == [0, 0, 0, 0]


FACE = torch.tensor([[[10, 20, 30], [40, 50, 60]]]).expand(3, -1, -1).to(torch.uint8)
INSTEAD = torch.full((3, 2, 3), 1)
WEIGHTS = torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
MAP = torch.tensor([[0.5, 0.9, 0.1], [0.7, 0.2, 0.3]])
ORDER = (1, 3, 0, 5, 4, 2)
"""Of the pixels, by MAP."""


def linear(shown):
    """A score that is a weighted sum of the first colour."""
    assert shown.dtype == torch.float32
    return (shown[:, 0] * WEIGHTS).flatten(1).sum(1)


def gains():
    """What each pixel adds in the order of MAP."""
    values = (FACE[0].double() - INSTEAD[0].double()) * WEIGHTS
    return values.flatten()[list(ORDER)].numpy()


@pytest.mark.parametrize(("steps", "counts"), [(2, [0, 3, 6]), (3, [0, 2, 4, 6]), (6, range(7))])
def test_deletion_and_insertion_of_a_linear_score(steps, counts):
    added = np.array([gains()[:count].sum() for count in counts])
    whole, empty = float(linear(FACE[None].float())), float(linear(INSTEAD[None].float()))
    found = {kind: order_curve(FACE, INSTEAD, MAP, linear, steps, kind) for kind in ("deletion", "insertion")}
    np.testing.assert_allclose(found["deletion"], whole - added)
    np.testing.assert_allclose(found["insertion"], empty + added)
    for curve in found.values():
        assert curve.shape == (steps + 1,) and curve.dtype == torch.float64
        assert {float(curve[0]), float(curve[-1])} == {whole, empty}
    assert (found["deletion"][0], found["insertion"][0]) == (whole, empty)


def test_a_better_order_has_less_under_deletion_and_more_under_insertion():
    values = (FACE[0].float() - 1) * WEIGHTS
    orders = {"best": values, "worst": -values}
    areas = {
        (name, kind): area(order_curve(FACE, INSTEAD, cells, linear, 6, kind))
        for name, cells in orders.items()
        for kind in ("deletion", "insertion")
    }
    assert areas["best", "deletion"] < areas["worst", "deletion"]
    assert areas["best", "insertion"] > areas["worst", "insertion"]


def test_equal_pixels_go_from_the_upper_left_on():
    curve = order_curve(FACE, INSTEAD, torch.zeros(2, 3), linear, 6, "deletion")
    lost = ((FACE[0].double() - 1) * WEIGHTS).flatten()
    np.testing.assert_allclose(curve[:-1] - curve[1:], lost)


def test_steps_that_do_not_divide_the_pixels_still_take_each_once():
    sizes = []

    def score(shown):
        sizes.extend((shown[:, 0] == 1).flatten(1).sum(1).tolist())
        return shown.mean((1, 2, 3))

    order_curve(FACE, INSTEAD, MAP, score, 4, "deletion")
    assert sizes == [0, 2, 3, 4, 6] or sizes == [0, 1, 3, 5, 6]


def test_area_by_hand():
    assert area(torch.full((9,), 0.7, dtype=torch.float64)) == pytest.approx(0.7)
    assert area(torch.tensor([1.0, 0.0])) == pytest.approx(0.5)
    assert area(torch.tensor([0.0, 1.0, 1.0])) == pytest.approx(0.75)
    assert area(torch.linspace(0, 1, 11).square()) == pytest.approx(1 / 3, abs=2e-3)


@pytest.mark.parametrize("ties", [False, True])
def test_rank_correlation_is_scipys(ties):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4, 6, 5)), rng.normal(size=(4, 6, 5))
    b[1], b[2] = np.exp(a[1]), -a[2]
    if ties:
        a, b = a.round(), b.round()
    found = rank_correlation(torch.from_numpy(a), torch.from_numpy(b))
    wanted = [spearmanr(one.ravel(), other.ravel()).statistic for one, other in zip(a, b, strict=True)]
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    if not ties:
        assert found[1:3].tolist() == pytest.approx([1, -1])


def test_of_a_map_that_is_the_same_everywhere_no_likeness_is_told():
    cells = torch.rand(3, 3, 4)
    flat = torch.stack([torch.ones(3, 4), torch.zeros(3, 4), cells[2]])
    found, turned = rank_correlation(flat, cells), rank_correlation(cells, flat)
    assert found.isnan().tolist() == turned.isnan().tolist() == [True, True, False]
    assert found[2] == turned[2] == pytest.approx(1)
    assert rank_correlation(torch.zeros(1, 3, 4), torch.zeros(1, 3, 4)).isnan().all()
