import math

import pytest
import torch

from pdsn.networks.parts import PartWeights, cell_shares


def weights(*logits: float) -> PartWeights:
    made = PartWeights(range(len(logits)))
    made.logits.data = torch.tensor(logits)
    return made


def test_of_the_cells_that_a_part_is_it_has_all():
    boxes = torch.tensor([[8, 24, 16, 32], [0, 64, 0, 48]])
    some, whole = cell_shares(boxes, (64, 48), (8, 6))
    wanted = torch.zeros(8, 6)
    wanted[1:3, 2:4] = 1
    torch.testing.assert_close(some, wanted)
    torch.testing.assert_close(whole, torch.ones(8, 6))


def test_of_a_cell_that_a_part_cuts_in_half_it_has_half():
    found = cell_shares(torch.tensor([[0, 12, 8, 16], [4, 8, 4, 24]]), (64, 48), (8, 6))
    wanted = torch.zeros(2, 8, 6)
    wanted[0, 0, 1], wanted[0, 1, 1] = 1, 1 / 2
    wanted[1, 0, 0], wanted[1, 0, 1], wanted[1, 0, 2] = 1 / 4, 1 / 2, 1 / 2
    torch.testing.assert_close(found, wanted)


def test_cells_that_are_no_whole_pixels_are_cut_too():
    boxes = torch.tensor([[0, 3, 0, 9], [2, 9, 1, 5], [9, 10, 8, 9], [0, 10, 0, 9]])
    found = cell_shares(boxes, (10, 9), (4, 6))
    # A cell is 2.5 by 1.5 pixels: of half pixels each lies in one.
    rows, columns = (torch.arange(20) // 5)[:, None], (torch.arange(18) // 3)[None]
    for share, (top, bottom, left, right) in zip(found, (2 * boxes).tolist(), strict=True):
        places = (rows * 6 + columns)[top:bottom, left:right].flatten()
        torch.testing.assert_close(share.flatten(), torch.bincount(places, minlength=24) / 15)


def test_weights_add_up_to_1():
    assert torch.equal(PartWeights(range(4))(), torch.full((4,), 1 / 4))
    found = weights(0.0, math.log(2), math.log(5))()
    torch.testing.assert_close(found, torch.tensor([1 / 8, 2 / 8, 5 / 8]))


def test_a_part_and_that_of_the_other_side_count_alike():
    made = PartWeights([1, 0, 2])
    made.logits.data = torch.tensor([math.log(9), 0.0, math.log(2)])
    torch.testing.assert_close(made(), torch.tensor([3 / 8, 3 / 8, 2 / 8]))
    made()[2].backward()
    assert made.logits.grad[0] == made.logits.grad[1] != 0


def test_weights_among_free_parts_and_factors_whose_squares_they_are():
    free = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=torch.bool)
    made = weights(0.0, math.log(2), math.log(5))
    wanted = torch.tensor([[1 / 8, 2 / 8, 5 / 8], [1 / 6, 0, 5 / 6], [0, 1, 0], [0, 0, 0]])
    torch.testing.assert_close(made.among(free), wanted)
    factors = made.factors(free)
    torch.testing.assert_close(factors.square(), wanted)
    assert (factors >= 0).all() and (factors[~free] == 0).all()


def test_an_inner_product_of_two_faces_is_the_weighted_mean_of_their_cosines():
    a, b = torch.randn(2, 5, 3, 7, generator=torch.Generator().manual_seed(0))
    a, b = (one / one.norm(dim=2, keepdim=True) for one in (a, b))
    free = torch.tensor([[True, False, True]])
    factors = weights(0.0, math.log(2), math.log(5)).factors(free)[..., None]
    cosines = (a * b).sum(2)
    torch.testing.assert_close(
        ((a * factors) * (b * factors)).sum((1, 2)), (cosines[:, 0] + 5 * cosines[:, 2]) / 6
    )


@pytest.mark.parametrize("free", [[True, False, True], [False, False, False]])
def test_covered_parts_leave_a_finite_slope(free):
    made = weights(0.3, -0.2, 0.1)
    made.among(torch.tensor([[True, True, True], free]))[:, 0].sum().backward()
    assert torch.isfinite(made.logits.grad).all()
