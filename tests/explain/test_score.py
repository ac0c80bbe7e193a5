"""The score of a pair as a function of pixels: the matcher's own, with a gradient."""

import copy

import pytest
import torch
from torch.nn import functional as F

from pdsn.explain.score import PairScore
from pdsn.matchers.matcher import Faces
from tests.explain.tiny import (
    FREE,
    KINDS,
    LEFT,
    TWO,
    asked,
    matcher,
    references,
    score_of_maps,
    two_branches,
)
from tests.matchers.tiny import covered, faces, tiny_encoder

PROBES = ("", "left", "left+below", "right", "left+right+below", "right")
GALLERY = ("", "", "right", "left", "left", "below")


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder()


@pytest.fixture(scope="module")
def apart():
    """Of two branches."""
    return two_branches()


@pytest.fixture(params=["one", "two"])
def base(request, encoder, apart):
    return encoder if request.param == "one" else apart


def scored(made, a, b):
    """What `PairScore` gives of pairs of faces, each pair under its own signature."""
    found = []
    for row, signature in enumerate(made.signatures(a, b)):
        score = PairScore(made, signature)
        reference = score.reference(b[[row]])
        assert not reference.requires_grad
        found.append(score(a.pixels[[row]].float(), reference))
    return torch.cat(found).detach()


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_score_that_the_matcher_gives(base, kind, mirror):
    made = matcher(kind, base, mirror=mirror)
    a, b = Faces(faces(6, 20), covered(*PROBES)), Faces(faces(6, 21), covered(*GALLERY))
    assert len(set(made.signatures(a, b))) == 5
    wanted = made.pairs(made.prepare(a, "probe"), made.prepare(b, "gallery"))
    torch.testing.assert_close(scored(made, a, b), wanted, rtol=1e-5, atol=1e-6)
    assert wanted.std() > 1e-2


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_definition(encoder, kind, mirror):
    made = matcher(kind, encoder, mirror=mirror)
    for signature in (FREE, LEFT, TWO):
        score = PairScore(made, signature)
        pixels, known = faces(3, 10), references(score)
        views = [pixels, pixels.flip(3)] if mirror else [pixels]
        with torch.no_grad():
            maps = [encoder.net.eval().features(one) for one in views]
            wanted = score_of_maps(kind, encoder, signature, maps, known)
        torch.testing.assert_close(score(pixels.float(), known).detach(), wanted, rtol=1e-5, atol=1e-6)


def test_signatures_and_sides_matter(encoder, apart):
    made = matcher("fdm", encoder)
    scores = [PairScore(made, signature) for signature in (FREE, LEFT, TWO)]
    found = torch.stack([score(asked(), references(score)) for score in scores])
    assert (found[:-1] - found[1:]).abs().min() > 1e-3
    # Each branch sees faces of its own side: both branches see one photo differently.
    made = matcher("cosine", apart)
    probe = PairScore(made, FREE)
    assert probe.net is apart.net.probe and PairScore(made, FREE, "gallery").net is apart.net.gallery
    own = probe(faces(3, 10).float(), probe.reference(Faces.free(faces(3, 10))))
    assert own.max() < 0.99
    ours, theirs = (
        F.normalize(sum(apart.embed_faces(one, role) for one in (faces(3, 10), faces(3, 10).flip(3))))
        for role in ("probe", "gallery")
    )
    torch.testing.assert_close(own.detach(), (ours * theirs).sum(1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_persons_mean_is_the_one_that_galleries_are_compared_by(base, kind):
    made = matcher(kind, base, compare="mean")
    probes = Faces(faces(3, 22), covered("", "left", "right+below"))
    photos = Faces.free(faces(4, 23), torch.zeros(4, dtype=torch.int64))
    wanted = made.compare(made.prepare(probes, "probe"), made.prepare(photos, "gallery"))
    for row, signature in enumerate(made.signatures(probes)):
        score = PairScore(made, signature)
        mean = score.mean_reference(photos)
        assert mean.shape[0] == 1 and float(mean.norm()) == pytest.approx(1, abs=1e-6)
        found = score(probes.pixels[[row]].float(), mean)
        torch.testing.assert_close(found.detach().expand(4), wanted[row], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_its_gradient_is_that_of_finite_differences(base, kind, mirror):
    made = matcher(kind, base, mirror=mirror)
    score = PairScore(made, TWO)
    pixels, known = asked(1), references(score, 1)
    (gradient,) = torch.autograd.grad(score(pixels, known).sum(), pixels)
    # A patch of the face at a time goes up where that raises the score: the size of the gradient there.
    step, wanted, found = 0.005, [], []
    with torch.no_grad():
        for top in range(0, 64, 16):
            for left in range(0, 48, 16):
                part = torch.zeros_like(gradient)
                inside = (..., slice(top, top + 16), slice(left, left + 16))
                part[inside] = gradient[inside].sign()
                up, down = (score(pixels + sign * step * part, known) for sign in (1, -1))
                found.append(float(up - down) / (2 * step))
                wanted.append(float(gradient[inside].abs().sum()))
    assert min(wanted) > 1e-3
    assert found == pytest.approx(wanted, rel=0.04)


def test_what_is_compared_with_can_be_one_for_all(encoder):
    score = PairScore(matcher("fdm", encoder), LEFT)
    one = references(score, 1)
    torch.testing.assert_close(score(asked(), one), score(asked(), one.expand(3, -1)))


def test_a_base_that_was_left_in_training_is_asked_as_it_recognises(encoder):
    score = PairScore(matcher("fdm", encoder), LEFT)
    known = references(score)
    before = score(asked(), known)
    encoder.net.train()
    assert torch.equal(score(asked(), known), before)
    assert torch.equal(references(score), known)


@pytest.mark.parametrize("compare", ["nearest", "mean", "both"])
def test_photos_stand_for_themselves_however_galleries_are_compared(encoder, compare):
    score = PairScore(matcher("fdm", encoder, compare=compare), LEFT)
    theirs = Faces.free(faces(3, 11), torch.tensor([0, 0, 1]))
    torch.testing.assert_close(score.reference(theirs), references(score))
    assert score.reference(theirs).norm(dim=1).tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_networks_and_the_matcher_stay_as_they_were(base, kind):
    made = matcher(kind, base, compare="both")
    photos = Faces.free(faces(3, 24), torch.tensor([0, 0, 1]))
    probes = Faces(faces(2, 25), covered("left", ""))

    def compared():
        return made.compare(made.prepare(probes, "probe"), made.prepare(photos, "gallery"))

    before, weights, parts = compared(), copy.deepcopy(base.net.state_dict()), dict(vars(made))
    base.net.train()
    score = PairScore(made, LEFT)
    pixels = asked(2, 25)
    score(pixels, references(score, 1)).sum().backward()
    assert pixels.grad.abs().sum() > 0
    assert all(one.grad is None and not one.requires_grad for one in base.net.parameters())
    assert vars(made) == parts and made.memory.encoder is base
    after = base.net.state_dict()
    assert weights.keys() == after.keys() and all(torch.equal(weights[key], after[key]) for key in weights)
    assert torch.equal(compared(), before)


def test_what_layers_see_of_mirror_images_is_turned_back(encoder):
    cells = torch.arange(12.0).view(2, 2, 3)
    alone = PairScore(matcher("cosine", encoder, mirror=False), FREE)
    assert alone.together(cells) is cells
    both = PairScore(matcher("cosine", encoder), FREE).together(cells)
    assert both.tolist() == [[[0 + 8, 1 + 7, 2 + 6], [3 + 11, 4 + 10, 5 + 9]]]
