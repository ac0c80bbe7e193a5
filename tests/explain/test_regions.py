"""What each region adds to a score: leaving one out, and Shapley values."""

import json
from itertools import permutations

import pytest
import torch

from pdsn.data.template import template
from pdsn.explain.regions import MOST, REST, Players, contributions, shapley_values
from pdsn.explain.score import PairScore
from pdsn.occlusion.layouts import LAYOUTS, Box, LandmarkStatistics, Layout, make_layout
from tests.explain.tiny import LEFT, matcher, references
from tests.matchers.tiny import REGIONS, UNEVEN, faces, tiny_encoder

OVERLAPPING = Layout("two", (4, 6), {"wide": Box(0, 0, 2, 6), "tall": Box(0, 0, 4, 2)}, {})


def real(name):
    """A layout of faces of 128x96 whose landmarks vary a little."""
    points = template((128, 96)) + torch.randn(500, 5, 2, generator=torch.Generator().manual_seed(0)).numpy()
    return make_layout(name, LandmarkStatistics.of(points, (128, 96)), 0.57)


def present(count):
    """(2^R, R) bool: all sets of so many players."""
    return torch.tensor([[bool(code >> r & 1) for r in range(count)] for code in range(2**count)])


@pytest.mark.parametrize("name", LAYOUTS)
def test_players_cover_the_whole_face(name):
    layout = real(name)
    players = Players.of(layout)
    assert players.inside.any(0).all() and len(players.names) == len(players.inside)
    assert players.names[: len(layout.regions)] == list(layout.regions)
    for row, box in enumerate(layout.regions.values()):
        inside = players.inside[row]
        assert inside[box.top : box.bottom, box.left : box.right].all() and inside.sum() == box.area
    # What lies in no region is a player only where there is such.
    gaps = name == "LM1"
    assert (players.names[-1] == REST) == gaps == (len(players.names) > len(layout.regions))
    if gaps:
        assert torch.equal(players.inside[-1], ~players.inside[:-1].any(0))
    else:
        assert (players.inside.sum(0) == 1).all(), "each pixel belongs to one"


def test_a_pixel_of_two_regions_is_hidden_with_either():
    players = Players.of(OVERLAPPING)
    assert players.names == ["wide", "tall", REST]
    face, instead = torch.full((3, 4, 6), 200, dtype=torch.uint8), torch.full((3, 4, 6), 50)
    sets = torch.tensor([[1, 1, 1], [0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 0]]).bool()
    shown = players.hide(face, instead, sets)
    assert shown.shape == (5, 3, 4, 6) and shown.dtype == torch.float32
    assert (shown == shown[:, :1]).all(), "all colours alike"
    there = shown[:, 0] == 200
    assert (there | (shown[:, 0] == 50)).all()
    assert there[0].all() and not there[4].any()
    assert there[1].int().tolist() == [[0] * 6] * 2 + [[1] * 6] * 2
    assert there[2].int().tolist() == [[0, 0, 1, 1, 1, 1]] * 4
    assert there[3].int().tolist() == [[1] * 6] * 2 + [[1, 1, 0, 0, 0, 0]] * 2


@pytest.mark.parametrize(("columns", "refused"), [(9, False), (10, True), (11, True)])
def test_more_than_ten_are_refused(columns, refused):
    boxes = {f"column {c}": Box(0, c, 4, c + 1) for c in range(columns)}
    layout = Layout("many", (4, 12), boxes, {})
    assert MOST == 10
    if refused:  # ten regions and the rest are eleven
        with pytest.raises(ValueError, match=f"many has {columns + 1} regions, more than 10"):
            Players.of(layout)
    else:
        assert Players.of(layout).names == [*boxes, REST]


def test_values_are_the_average_over_all_orders_of_arrival():
    count = 5
    game = torch.randn(2**count, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    total, orders = torch.zeros(count, dtype=torch.float64), list(permutations(range(count)))
    for order in orders:
        there = 0
        for player in order:
            total[player] += game[there + (1 << player)] - game[there]
            there += 1 << player
    found = shapley_values(game)
    torch.testing.assert_close(found, total / len(orders))
    assert float(found.sum()) == pytest.approx(float(game[-1] - game[0]))


def test_a_glove_game_by_hand():
    # Two left gloves and a right one: a pair is worth 1. The right one gets 2/3, each left one 1/6.
    worth = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1], dtype=torch.float64)
    assert shapley_values(worth).tolist() == pytest.approx([1 / 6, 1 / 6, 2 / 3])
    assert shapley_values(torch.tensor([2.0, 5.0]).double()).tolist() == [3.0]


def bent(shown):
    """A score of faces that is no sum over their pixels."""
    weights = torch.randn((2, *shown.shape[1:]), generator=torch.Generator().manual_seed(1)) / 255
    one, other = (shown[None] * weights[:, None]).flatten(2).sum(2) / 10
    return torch.tanh(one) * other + 0.3 * other.square()


def test_contributions_are_captums_shapley_values():
    from captum.attr import ShapleyValues

    players, (face, instead) = Players.of(UNEVEN), faces(2, 4)
    which = players.inside.int().argmax(0)
    theirs = ShapleyValues(bent).attribute(
        face[None].float(), baselines=instead[None].float(), feature_mask=which.repeat(1, 3, 1, 1)
    )
    found = contributions(players, face, instead, bent)
    wanted = [float(theirs[0, 0][inside][0]) for inside in players.inside]
    assert found.shapley.tolist() == pytest.approx(wanted, abs=1e-5)
    assert min(map(abs, wanted)) > 1e-3


def test_what_is_left_out_alone_by_hand():
    players, (face, instead) = Players.of(UNEVEN), faces(2, 4)
    found = contributions(players, face, instead, bent)
    assert found.names == list(REGIONS)
    assert found.whole == pytest.approx(float(bent(face[None].float())), abs=1e-6)
    assert found.empty == pytest.approx(float(bent(instead[None].float())), abs=1e-6)
    for row, box in enumerate(REGIONS.values()):
        without = face.clone()
        without[:, box.top : box.bottom, box.left : box.right] = instead[
            :, box.top : box.bottom, box.left : box.right
        ]
        lost = bent(face[None].float()) - bent(without[None].float())
        assert float(found.ablation[row]) == pytest.approx(float(lost), abs=1e-6)
    assert (found.ablation - found.shapley).abs().max() > 1e-3


def test_of_a_sum_over_pixels_each_region_adds_its_own_pixels():
    players, (face, instead) = Players.of(UNEVEN), faces(2, 5)
    weights = torch.randn(face.shape, generator=torch.Generator().manual_seed(2)) / 1000
    found = contributions(players, face, instead, lambda shown: (shown * weights).flatten(1).sum(1))
    gains = ((face.double() - instead.double()) * weights * players.inside[:, None]).flatten(1).sum(1)
    torch.testing.assert_close(found.shapley, gains, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.ablation, gains, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["grid3x3", "LM1"])
def test_every_set_is_asked_about_once_and_not_all_at_a_time(name):
    layout = real(name)
    players = Players.of(layout)
    seen = []

    def score(shown):
        seen.append(shown)
        return shown.mean((1, 2, 3))

    face, instead = torch.ones(3, *layout.size), torch.zeros(3, *layout.size)
    found = contributions(players, face, instead, score)
    assert max(map(len, seen)) <= 64 and sum(map(len, seen)) == 2 ** len(players.names)
    assert len(torch.cat(seen)[:, 0].flatten(1).unique(dim=0)) == 2 ** len(players.names)
    assert float(found.shapley.sum()) == pytest.approx(found.whole - found.empty) == pytest.approx(1)
    assert float(found.ablation.sum()) >= 1 - 1e-6


def test_they_add_up_for_a_network_and_ask_for_no_gradient():
    encoder = tiny_encoder()
    score = PairScore(matcher("weighed", encoder), LEFT)
    known, (face, instead) = references(score, 1), faces(2, 12)
    graphs = []

    def of(shown):
        graphs.append(torch.is_grad_enabled())
        return score(shown, known)

    found = contributions(Players.of(UNEVEN), face, instead, of)
    assert float(found.shapley.sum()) == pytest.approx(found.whole - found.empty, abs=1e-6)
    assert not any(graphs)
    with torch.no_grad():
        whole, empty = (float(score(one[None].float(), known)) for one in (face, instead))
    assert (found.whole, found.empty) == pytest.approx((whole, empty), abs=1e-6)
    assert whole != pytest.approx(empty, abs=1e-4)


def test_what_json_says():
    found = contributions(Players.of(UNEVEN), *faces(2, 4), bent)
    said = json.loads(json.dumps(found.as_dict()))
    assert list(said) == ["ablation", "shapley", "whole", "empty"]
    assert list(said["shapley"]) == list(said["ablation"]) == list(REGIONS)
    assert list(said["shapley"].values()) == pytest.approx(found.shapley.tolist(), abs=1e-6)
    assert said["whole"] - said["empty"] == pytest.approx(sum(said["shapley"].values()), abs=1e-5)
