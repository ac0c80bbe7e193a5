"""Embedding unmasking: which faces pass the model, and what it learns from."""

from functools import cache

import pytest
import torch
from torch.nn import functional as F

from pdsn.matchers.cosine import Cosine
from pdsn.matchers.matcher import Faces
from pdsn.matchers.memory import MapMemory
from pdsn.matchers.unmask import Unmask, UnmaskConfig, Unmasking
from pdsn.networks.pair_losses import self_restrained_triplet_loss, triplet_loss
from tests.matchers.tiny import CLOSE, UNEVEN, covered, faces, settled, tiny_encoder

PROBES = ("", "left", "left+below", "", "left+right+below")


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder()


@cache
def model(encoder, loss="srt"):
    torch.manual_seed(1)
    made = Unmasking(encoder, UNEVEN, 0.5, UnmaskConfig(width=24, loss=loss))
    batches = [
        (encoder.maps(faces(8, seed)), None, encoder.maps(faces(8, seed + 1)), torch.arange(8))
        for seed in (2, 4)
    ]
    return settled(made, *batches * 5)


def matcher(encoder, *, mirror=True, compare="nearest"):
    return Unmask(MapMemory(encoder, mirror=mirror), model(encoder), compare)


@torch.inference_mode()
def by_hand(encoder, photos, names, mirror):
    """Unit embeddings of one face at a time: the sum over its views, through the layers if covered."""
    layers, found = list(model(encoder).unmask), []
    for photo, name in zip(photos, names, strict=True):
        total = 0
        for view in (photo, photo.flip(2))[: 1 + mirror]:
            one = encoder.net.eval().head(encoder.net.features(view[None]))
            if name:
                one = F.normalize(one)
                for layer in layers:
                    one = layer(one)
                one = F.normalize(one)
            total = total + one
        found.append(F.normalize(total))
    return torch.cat(found)


def test_free_faces_score_as_without_it(encoder):
    made, plain = matcher(encoder), Cosine(MapMemory(encoder, mirror=True), UNEVEN, 0.5)
    a, b = Faces.free(faces(5, 10)), Faces.free(faces(6, 11))
    found, wanted = (one.compare(one.prepare(a, "probe"), one.prepare(b, "gallery")) for one in (made, plain))
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("mirror", [False, True])
def test_covered_faces_pass_the_model_on_either_side(encoder, mirror):
    made = matcher(encoder, mirror=mirror)
    photos, others, theirs = faces(5, 12), faces(5, 13), tuple(reversed(PROBES))
    a = made.prepare(Faces(photos, covered(*PROBES)), "probe")
    ours = by_hand(encoder, photos, PROBES, mirror)
    for names in (theirs, [""] * 5):
        b = made.prepare(Faces(others, covered(*names)), "gallery")
        wanted = ours @ by_hand(encoder, others, names, mirror).T
        torch.testing.assert_close(made.compare(a, b), wanted, **CLOSE)
        torch.testing.assert_close(made.pairs(a, b), wanted.diagonal(), **CLOSE)
    unaware = by_hand(encoder, photos, [""] * 5, mirror)
    assert ((ours - unaware).abs().amax(1) > 0.05).tolist() == [bool(name) for name in PROBES]


def test_too_little_under_the_occlusion_leaves_a_face_as_it_is(encoder):
    made, photos = matcher(encoder), faces(1, 14)
    little = torch.zeros(1, 64, 48, dtype=torch.bool)
    little[0, 40:52] = True  # half of what is below
    b = made.prepare(Faces.free(faces(3, 15)), "gallery")
    free, same = (
        made.compare(made.prepare(one, "probe"), b) for one in (Faces.free(photos), Faces(photos, little))
    )
    assert torch.equal(free, same)


@pytest.mark.parametrize(
    ("loss", "function"), [("srt", self_restrained_triplet_loss), ("triplet", triplet_loss)]
)
@pytest.mark.parametrize(
    ("labels", "negatives"),
    [
        ([0, 1, 2, 3, 4], [1, 2, 3, 4, 0]),
        ([7, 7, 2, 7, 2], [2, 2, 3, 4, 0]),
        ([5, 5, 5, 5, 1], [4, 4, 4, 4, 0]),
        ([1, 5, 5, 5, 5], [1, 0, 0, 0, 0]),
        ([6, 6, 6, 6, 6], [0, 1, 2, 3, 4]),  # there is nobody else
    ],
)
def test_the_negative_is_the_next_other_persons_gallery_photo(encoder, loss, function, labels, negatives):
    own, photos, others = model(encoder, loss), faces(5, 16), faces(5, 17)
    anchors = by_hand(encoder, photos, ["left"] * 5, False)
    gallery = by_hand(encoder, others, [""] * 5, False)
    wanted = function(anchors, gallery, gallery[negatives], 2.0)
    hidden = covered(*PROBES)  # free probes are anchors too
    found = own(encoder.maps(photos), hidden, encoder.maps(others), torch.tensor(labels))["loss"]
    torch.testing.assert_close(found, wanted, **CLOSE)


def test_the_model_alone_learns(encoder):
    own = model.__wrapped__(encoder).requires_grad_()
    before = {name: value.clone() for name, value in encoder.net.state_dict().items()}
    own.train()
    own(encoder.maps(faces(4, 18)), covered(*[""] * 4), encoder.maps(faces(4, 19)), torch.arange(4))[
        "loss"
    ].backward()
    assert {name.split(".")[0] for name, _ in own.named_parameters()} == {"unmask"}
    assert all(torch.isfinite(one.grad).all() for one in own.parameters())
    assert own.unmask[0].weight.grad.abs().max() > 0
    assert all(torch.equal(value, before[name]) for name, value in encoder.net.state_dict().items())


def test_it_is_judged_by_what_it_scores(encoder):
    photos, others = faces(5, 20), faces(6, 21)
    wanted = by_hand(encoder, photos, PROBES, False) @ by_hand(encoder, others, [""] * 6, False).T
    hidden = covered(*PROBES)
    hidden[0, 0, 0] = True  # a pixel covers no region
    found = model(encoder).scores(encoder.maps(photos), hidden, encoder.maps(others))
    torch.testing.assert_close(found, wanted, **CLOSE)
