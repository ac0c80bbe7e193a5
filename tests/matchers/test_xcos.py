"""The explainable cosine, pair by pair."""

from functools import cache

import pytest
import torch
from torch.nn import functional as F

from pdsn.matchers.matcher import Faces
from pdsn.matchers.memory import MapMemory
from pdsn.matchers.xcos import XCos, XCosConfig, XCosMatcher
from pdsn.networks.pair_losses import margin_in_batch
from tests.matchers.tiny import CELLS, CLOSE, UNEVEN, covered, faces, settled, tiny_encoder

PROBES = ("", "left", "left+below", "right", "left+right+below")
GALLERY = ("", "below", "right", "left", "left+below")


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder()


@cache
def model(encoder, rule):
    torch.manual_seed(1)
    made = XCos(encoder, XCosConfig(width=8, covered=rule))
    batches = [
        (
            encoder.maps(faces(8, seed)),
            covered(*["left"] * 8),
            encoder.maps(faces(8, seed + 1)),
            torch.arange(8),
        )
        for seed in (2, 4, 6)
    ]
    settled(made, *batches * 10)
    made.net.weigh[1].weight.data.fill_(1.5)
    return made


def matcher(encoder, rule="left-out"):
    return XCosMatcher(MapMemory(encoder, mirror=True), model(encoder, rule), UNEVEN, 0.5)


def some_faces():
    return Faces(faces(5, 10), covered(*PROBES)), Faces(faces(5, 11), covered(*GALLERY))


def hidden_cells(pixels):
    """(N, 48) bool: the cells of 8x8 pixels of which more than half is covered."""
    blocks = pixels.float().unfold(1, 8, 8).unfold(2, 8, 8)
    return (blocks.mean((3, 4)) > 0.5).flatten(1)


@torch.inference_mode()
def maps_by_hand(encoder, rule, a, b):
    """Attention and cosine (48,) of one pair of faces, by the convolution that sees both."""
    net = model(encoder, rule).net
    reduced = [net.reduce(encoder.net.eval().features(one.pixels)) for one in (a, b)]
    both = net.both(torch.cat([net.look(one) for one in reduced], 1))
    raised = net.weigh(net.both_after(both)).flatten().exp()
    gone = (hidden_cells(a.covered) | hidden_cells(b.covered))[0]
    if rule == "left-out" and not gone.all():
        raised[gone] = 0
    return raised / raised.sum(), F.cosine_similarity(*reduced, dim=1).flatten()


@pytest.mark.parametrize("rule", ["left-out", "seen"])
def test_a_score_is_the_sum_of_attention_times_cosine(encoder, rule):
    made, (a, b) = matcher(encoder, rule), some_faces()
    probes, gallery = made.prepare(a, "probe"), made.prepare(b, "gallery")
    attention, local = made.explained(probes, gallery)
    assert attention.shape == local.shape == (5, *CELLS)
    torch.testing.assert_close(made.pairs(probes, gallery), (attention * local).sum((1, 2)), **CLOSE)
    scores = made.compare(probes, gallery)
    for row in range(5):
        for column in range(5):
            wanted = maps_by_hand(encoder, rule, a[[row]], b[[column]])
            assert scores[row, column] == pytest.approx(float(wanted[0] @ wanted[1]), abs=1e-5)
            if row == column:
                torch.testing.assert_close(attention[row].flatten(), wanted[0], **CLOSE)
                torch.testing.assert_close(local[row].flatten(), wanted[1], **CLOSE)
    assert scores.std() > 1e-3


def test_cells_that_are_covered_in_either_photo_count_nothing_unless_they_are_seen(encoder):
    a, b = some_faces()
    gone = (hidden_cells(a.covered) | hidden_cells(b.covered)).view(5, *CELLS)
    assert gone.flatten(1).sum(1).tolist()[1:3] == [2 * 5 + 3 * 6, 43]
    attention = {}
    for rule in ("left-out", "seen"):
        made = matcher(encoder, rule)
        attention[rule], _ = made.explained(made.prepare(a, "probe"), made.prepare(b, "gallery"))
        torch.testing.assert_close(attention[rule].sum((1, 2)), torch.ones(5))
    assert (attention["seen"] > 0).all()
    for row in range(5):
        everywhere = gone[row].all()
        assert ((attention["left-out"][row] == 0) == (gone[row] & ~everywhere)).all()
    # Where nothing, or everything, is covered both say the same.
    whole = [row for row in range(5) if gone[row].all() or not gone[row].any()]
    assert whole == [0, 4]
    torch.testing.assert_close(attention["left-out"][whole], attention["seen"][whole], **CLOSE)


@pytest.mark.parametrize("block", [1, 7, 12])
def test_a_large_comparison_is_done_in_blocks(encoder, monkeypatch, block):
    made, (a, b) = matcher(encoder), some_faces()
    probes, gallery = made.prepare(a, "probe"), made.prepare(b, "gallery")
    whole, pairs = made.compare(probes[:3], gallery), made.pairs(probes, gallery)
    monkeypatch.setattr("pdsn.matchers.xcos.BLOCK", block)
    torch.testing.assert_close(made.compare(probes[:3], gallery), whole, **CLOSE)
    torch.testing.assert_close(made.pairs(probes, gallery), pairs, **CLOSE)
    assert made.pairs(probes[[]], gallery[[]]).shape == (0,)


def test_what_was_restored_is_a_probe_alone(encoder):
    made, (a, b) = matcher(encoder), some_faces()
    restored = made.restored(made.prepare(a, "probe").kept())
    gallery = made.prepare(b, "gallery")
    torch.testing.assert_close(
        made.explained(restored, gallery), made.explained(made.prepare(a, "probe"), gallery), **CLOSE
    )
    with pytest.raises(ValueError, match="restored faces are probes"):
        made.compare(gallery, restored)


@pytest.mark.parametrize("rule", ["left-out", "seen"])
def test_it_learns_from_the_scores_that_it_gives_and_from_the_bases_cosine(encoder, rule):
    own, made = model(encoder, rule), matcher(encoder, rule)
    a, b = Faces(faces(4, 12), covered("", "left", "", "below")), Faces.free(faces(4, 13))
    wanted = made.compare(made.prepare(a, "probe"), made.prepare(b, "gallery"))
    seen = encoder.maps(a.pixels), a.covered, encoder.maps(b.pixels)
    scores = own.scores(*seen)
    torch.testing.assert_close(scores, wanted, **CLOSE)
    labels = torch.tensor([0, 1, 2, 0])
    found = own(*seen, labels)
    torch.testing.assert_close(found["margin"], margin_in_batch(wanted, labels, 30.0, 0.35), **CLOSE)
    ours, theirs = (F.normalize(encoder.embed_faces(one.pixels)) for one in (a, b))
    apart = (wanted - ours @ theirs.T).square()[[0, 2]].mean()
    torch.testing.assert_close(found["teacher"], apart, **CLOSE)
    torch.testing.assert_close(found["loss"], found["margin"] + found["teacher"], **CLOSE)


def test_a_batch_of_covered_probes_has_no_teacher(encoder):
    own = model.__wrapped__(encoder, "left-out").requires_grad_()
    seen = (
        encoder.maps(faces(2, 14)).clone(),
        covered("left", "left+right+below"),
        encoder.maps(faces(2, 15)).clone(),
    )
    found = own(*seen, torch.arange(2))
    assert found["teacher"] == 0
    found["loss"].backward()
    assert all(torch.isfinite(one.grad).all() for one in own.parameters())
