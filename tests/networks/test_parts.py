import math

import pytest
import torch

from pdsn.networks.parts import PartWeights, part_vectors, pooling


def weights(*logits: float) -> PartWeights:
    made = PartWeights(range(len(logits)))
    made.logits.data = torch.tensor(logits)
    return made


def test_a_part_that_is_some_cells_takes_equal_shares_of_those():
    boxes = torch.tensor([[8, 24, 16, 32], [0, 64, 0, 48]])
    some, whole = pooling(boxes, (64, 48), (8, 6)).view(2, 8, 6)
    wanted = torch.zeros(8, 6)
    wanted[1:3, 2:4] = 1 / 4
    torch.testing.assert_close(some, wanted)
    torch.testing.assert_close(whole, torch.full((8, 6), 1 / 48))


def test_of_a_cell_that_a_part_cuts_in_half_it_takes_half():
    found = pooling(torch.tensor([[0, 12, 8, 16], [4, 8, 4, 24]]), (64, 48), (8, 6)).view(2, 8, 6)
    wanted = torch.zeros(2, 8, 6)
    wanted[0, 0, 1], wanted[0, 1, 1] = 2 / 3, 1 / 3
    wanted[1, 0, 0], wanted[1, 0, 1], wanted[1, 0, 2] = 1 / 5, 2 / 5, 2 / 5
    torch.testing.assert_close(found, wanted)


def test_cells_that_are_no_whole_pixels_share_them():
    boxes = torch.tensor([[0, 3, 0, 9], [2, 9, 1, 5], [9, 10, 8, 9], [0, 10, 0, 9]])
    found = pooling(boxes, (10, 9), (4, 6))
    torch.testing.assert_close(found.sum(1), torch.ones(4))
    # A cell is 2.5 by 1.5 pixels: of half pixels each lies in one.
    rows, columns = (torch.arange(20) // 5)[:, None], (torch.arange(18) // 3)[None]
    for share, (top, bottom, left, right) in zip(found, (2 * boxes).tolist(), strict=True):
        places = (rows * 6 + columns)[top:bottom, left:right].flatten()
        torch.testing.assert_close(share, torch.bincount(places, minlength=24) / len(places))


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


def test_vectors_of_parts_are_of_length_1_and_less_the_centre():
    torch.manual_seed(1)
    maps, pool, centre = torch.rand(4, 6, 8, 6), torch.rand(3, 48), torch.rand(3, 6)
    pool = pool / pool.sum(1, keepdim=True)
    found = part_vectors(maps, pool, centre)
    assert found.shape == (4, 3, 6)
    torch.testing.assert_close(found.norm(dim=2), torch.ones(4, 3))
    for face in range(4):
        for part in range(3):
            mean = (maps[face] * pool[part].view(8, 6)).sum((1, 2)) - centre[part]
            torch.testing.assert_close(found[face, part], mean / mean.norm(), rtol=1e-4, atol=1e-5)


def test_pooling_half_precision_maps_is_done_in_float32():
    maps, pool = torch.rand(2, 6, 4, 4).half(), torch.full((1, 16), 1 / 16)
    assert part_vectors(maps, pool, torch.zeros(1, 6)).dtype == torch.float32
