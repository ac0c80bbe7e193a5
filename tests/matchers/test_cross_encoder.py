"""Both faces in one network, pair by pair."""

import pytest
import torch
from torch.nn import functional as F

from pdsn.matchers.cross_encoder import CrossEncoder, CrossEncoderConfig, CrossEncoderMatcher
from pdsn.matchers.matcher import Faces
from tests.matchers.tiny import CLOSE, SIZE, UNEVEN, covered, faces, settled, tiny_encoder

STACKS = ("channels", "vertical")


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder()


@pytest.fixture(scope="module", params=STACKS)
def model(request):
    torch.manual_seed(1)
    made = CrossEncoder(SIZE, CrossEncoderConfig(stack=request.param, width=4, height=32))
    batches = [
        (faces(6, seed).float(), covered(*[""] * 6), faces(6, seed + 1), torch.arange(6)) for seed in (2, 4)
    ]
    return settled(made, *batches * 3)


@torch.inference_mode()
def by_hand(model, a, b):
    """The score of one pair of faces."""
    small = [
        F.interpolate(one[None].float(), (32, 24), mode="bilinear", antialias=True).round() for one in (a, b)
    ]
    both = torch.cat(small, 1 if model.own.stack == "channels" else 2)
    assert both.shape == ((1, 6, 32, 24) if model.own.stack == "channels" else (1, 3, 64, 24))
    return float(model.net(both) @ model.score.weight[0] + model.score.bias)


def test_each_pair_passes_the_network_by_itself(encoder, model):
    matcher = CrossEncoderMatcher(encoder, model, UNEVEN, 0.5)
    photos, others = faces(3, 10), faces(7, 11)
    a = matcher.prepare(Faces(photos, covered("", "left", "")), "probe")
    b = matcher.prepare(Faces.free(others), "gallery")
    wanted = torch.tensor([[by_hand(model, one, other) for other in others] for one in photos])
    assert wanted.std() > 1e-3
    torch.testing.assert_close(matcher.compare(a, b), wanted, **CLOSE)
    torch.testing.assert_close(matcher.pairs(a, b[4:]), wanted[range(3), range(4, 7)], **CLOSE)
    torch.testing.assert_close(model.scores(photos.float(), None, others.float()), wanted, **CLOSE)
    assert matcher.pairs(a[[]], b[[]]).shape == (0,) and matcher.compare(a, b[[]]).shape == (3, 0)
    assert matcher.prepare(Faces.free(photos[:0]), "probe").faces.shape[0] == 0


def test_each_probe_is_in_a_pair_of_one_person_and_in_one_of_two(model):
    photos, others, labels = faces(4, 12), faces(4, 13), torch.tensor([3, 3, 1, 3])
    costs = []
    for row, other in enumerate([2, 2, 3, 2]):
        same, different = by_hand(model, photos[row], others[row]), by_hand(model, photos[row], others[other])
        costs += [F.softplus(torch.tensor(-same)), F.softplus(torch.tensor(different))]
    found = model(photos.float(), covered(*[""] * 4), others.float(), labels)["loss"]
    torch.testing.assert_close(found, torch.stack(costs).mean(), **CLOSE)


def test_in_a_batch_of_one_person_all_pairs_are_of_one(model):
    photos, others = faces(2, 14), faces(1, 15).expand(2, -1, -1, -1)
    found = model(photos.float(), covered("", ""), others.float(), torch.tensor([4, 4]))["loss"]
    costs = [F.softplus(torch.tensor(-by_hand(model, photos[row], others[row]))) for row in range(2)]
    torch.testing.assert_close(found, torch.stack(costs).mean(), **CLOSE)
