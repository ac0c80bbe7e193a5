import pytest
import torch
from torch.nn import functional as F

from pdsn.networks.xcos import XCosNet, local_cosines


def maps(seed, count=4):
    return torch.rand(count, 12, 5, 4, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def net() -> XCosNet:
    torch.manual_seed(0)
    net = XCosNet(12, 8)
    for seed in range(30):  # move BatchNorm's statistics off their start
        net.attention(halves(net, 10 + seed, 20 + seed))
    for slope in (module for module in net.modules() if isinstance(module, torch.nn.PReLU)):
        slope.weight.data.uniform_(0.1, 0.6)
    net.weigh[1].weight.data.fill_(1.5)  # cells differ
    return net.eval().requires_grad_(False)


def halves(net, first, second):
    """What the convolution that sees both makes of the maps of two seeds."""
    return net.cells(maps(first), second=False)[1] + net.cells(maps(second), second=True)[1]


def test_two_halves_add_up_to_the_convolution_that_sees_both(net):
    looked = [net.look(net.reduce(maps(seed))) for seed in (1, 2)]
    torch.testing.assert_close(halves(net, 1, 2), net.both(torch.cat(looked, 1)), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(halves(net, 1, 2), halves(net, 2, 1), atol=1e-2)


def test_cells_are_the_reduced_maps_at_length_1(net):
    cells, half = net.cells(maps(1), second=False)
    assert cells.shape == (4, 20, 8) and half.shape == (4, 4, 5, 4)
    reduced = net.reduce(maps(1))
    for place, vector in enumerate(cells[2]):
        wanted = reduced[2, :, place // 4, place % 4]
        torch.testing.assert_close(vector, wanted / wanted.norm())
    assert torch.equal(cells, net.cells(maps(1), second=True)[0])


def test_attention_is_a_share_of_each_cell(net):
    both = halves(net, 1, 2)
    found = net.attention(both)
    assert found.shape == (4, 20) and (found > 0).all() and found.std(1).min() > 1e-3
    torch.testing.assert_close(found.sum(1), torch.ones(4))
    raised = net.weigh(net.both_after(both))[:, 0].flatten(1).exp()
    torch.testing.assert_close(found, raised / raised.sum(1, keepdim=True))


def test_cells_that_are_left_out_count_nothing_and_the_others_share_what_they_had(net):
    both = halves(net, 3, 4)
    left_out = torch.rand(4, 5, 4, generator=torch.Generator().manual_seed(5)) < 0.4
    found, whole = net.attention(both, left_out), net.attention(both)
    gone = left_out.flatten(1)
    assert gone.any(1).all() and (found[gone] == 0).all() and (found[~gone] > 0).all()
    kept = whole * ~gone
    torch.testing.assert_close(found, kept / kept.sum(1, keepdim=True))


def test_where_all_cells_are_left_out_none_is(net):
    both = halves(net, 3, 4)
    left_out = torch.zeros(4, 5, 4, dtype=torch.bool)
    left_out[1] = True
    left_out[2] = True
    left_out[2, 3, 1] = False
    found, whole = net.attention(both, left_out), net.attention(both)
    assert torch.equal(found[[0, 1, 3]], whole[[0, 1, 3]])
    assert found[2].tolist() == [float(place == 13) for place in range(20)]


def test_local_cosines_are_those_of_the_reduced_maps(net):
    found = local_cosines(net.cells(maps(6), second=False)[0], net.cells(maps(7), second=True)[0])
    wanted = F.cosine_similarity(net.reduce(maps(6)), net.reduce(maps(7)), dim=1)
    torch.testing.assert_close(found, wanted.flatten(1))
    assert found.std() > 0.05
