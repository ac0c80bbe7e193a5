"""Saliency, Grad-CAM and LayerCAM: by hand, and as others compute them."""

from functools import partial

import pytest
import torch
from torch import nn

from pdsn.errors import UsageError
from pdsn.explain.attribution import attribution, grad_cam, layer_cam, layer_of, saliency, to_pixels
from pdsn.explain.score import PairScore
from pdsn.networks.backbone import standardised
from tests.explain.tiny import (
    FREE,
    KINDS,
    LEFT,
    TWO,
    asked,
    maps_by_hand,
    matcher,
    mean_weights,
    positive_weights,
    references,
    score_of_maps,
    two_branches,
)
from tests.matchers.tiny import CELLS, faces, tiny_encoder

CAMS = {"gradcam": (grad_cam, mean_weights), "layercam": (layer_cam, positive_weights)}
CLOSE = {"rtol": 1e-4, "atol": 1e-7}


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder()


@pytest.fixture(params=["gradcam", "layercam"])
def method(request):
    return request.param


def behind(net, layer):
    """The base up to a layer, and from its output to the last map."""

    def first(pixels):
        x = net.conv1(standardised(pixels))
        if layer == "conv1":
            return x
        x = net.bn1(x)
        if layer == "bn1":
            return x
        x = net.layer2(net.layer1(net.maxpool(net.relu(x))))
        return x if layer == "layer2" else net.layer4(net.layer3(x))

    def rest(x):
        if layer == "conv1":
            x = net.bn1(x)
        if layer in ("conv1", "bn1"):
            x = net.layer2(net.layer1(net.maxpool(x.clamp_min(0))))
        return net.layer4(net.layer3(x)) if layer != "map" else x

    return first, rest


def views(pixels, mirror):
    return [pixels, pixels.flip(3)] if mirror else [pixels]


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_saliency_is_the_size_of_autograds_gradient(encoder, kind, mirror):
    score = PairScore(matcher(kind, encoder, mirror=mirror), TWO)
    pixels, known = asked(), references(score)
    maps = [encoder.net.eval().features(one) for one in views(pixels, mirror)]
    scores = score_of_maps(kind, encoder, TWO, maps, known)
    (gradient,) = torch.autograd.grad(scores.sum(), pixels)
    found = saliency(score, faces(3, 10), known)
    assert found.shape == (3, 64, 48) and not found.requires_grad
    torch.testing.assert_close(found, gradient.abs().max(1).values, **CLOSE)
    assert found.std() > 1e-6 and found.min() >= 0
    # One reference stands for all, and each face has its own map.
    alone = saliency(score, faces(3, 10)[1:2], known[1:2])
    torch.testing.assert_close(alone[0], found[1], **CLOSE)
    torch.testing.assert_close(saliency(score, faces(3, 10), known[:1])[0], found[0], **CLOSE)


@pytest.mark.parametrize("layer", ["map", "layer4", "layer2", "bn1", "conv1"])
@pytest.mark.parametrize("mirror", [False, True])
def test_class_activation_is_the_formula(encoder, method, mirror, layer):
    compute, weigh = CAMS[method]
    score = PairScore(matcher("fdm", encoder, mirror=mirror), LEFT)
    known = references(score)
    first, rest = behind(encoder.net.eval(), layer if layer != "layer4" else "map")
    outputs = [first(one) for one in views(faces(3, 10), mirror)]
    # Of a layer before an in-place ReLU these are the values before it.
    assert (outputs[0].min() < 0) == (layer in ("bn1", "conv1"))
    wanted = maps_by_hand(
        lambda maps: score_of_maps("fdm", encoder, LEFT, [rest(one) for one in maps], known), outputs, weigh
    )
    found = compute(score, faces(3, 10), known, layer)
    assert not found.requires_grad and found.min() >= 0
    torch.testing.assert_close(found, wanted, **CLOSE)
    assert found.shape == {"map": (3, *CELLS), "layer4": (3, *CELLS), "layer2": (3, 16, 12)}.get(
        layer, (3, 32, 24)
    )
    assert found.flatten(1).max(1).values.min() > 1e-5


@pytest.mark.parametrize("mirror", [False, True])
def test_of_a_layer_that_others_are_added_to_in_place_its_own_values_count(encoder, method, mirror):
    compute, weigh = CAMS[method]
    score = PairScore(matcher("fdm", encoder, mirror=mirror), LEFT)
    known, net = references(score), encoder.net.eval()
    first, _ = behind(net, "layer2")
    before = [net.layer4[0](net.layer3(first(one))) for one in views(faces(3, 10), mirror)]
    block = net.layer4[1]
    outputs = [block.bn2(block.conv2(block.bn1(block.conv1(x)).clamp_min(0))) for x in before]

    def scores(maps):
        last = [(one + x).clamp_min(0) for one, x in zip(maps, before, strict=True)]
        return score_of_maps("fdm", encoder, LEFT, last, known)

    wanted = maps_by_hand(scores, outputs, weigh)
    torch.testing.assert_close(compute(score, faces(3, 10), known, "layer4.1.bn2"), wanted, **CLOSE)


@pytest.mark.parametrize("kind", KINDS)
def test_the_matcher_and_its_masks_are_within_what_is_explained(encoder, method, kind):
    compute, weigh = CAMS[method]
    made, found = matcher(kind, encoder), {}
    for signature in (FREE, LEFT, TWO):
        score = PairScore(made, signature)
        known = references(score)
        maps = [encoder.net.eval().features(one) for one in views(faces(3, 10), True)]
        scores = partial(score_of_maps, kind, encoder, signature, references=known)
        wanted = maps_by_hand(lambda maps, scores=scores: scores(views=maps), maps, weigh)
        found[signature] = compute(score, faces(3, 10), known)
        torch.testing.assert_close(found[signature], wanted, **CLOSE)
    same = torch.allclose(found[FREE], found[TWO], rtol=1e-3, atol=1e-6)
    assert same == (kind == "cosine")


def test_of_two_branches_the_one_on_its_side_is_looked_into(method):
    apart = two_branches()
    compute, weigh = CAMS[method]
    score = PairScore(matcher("cosine", apart, mirror=False), FREE)
    known = references(score)
    probe = apart.net.probe.eval()

    def scores(maps):
        return (nn.functional.normalize(probe.head(maps[0])) * known).sum(1)

    wanted = maps_by_hand(scores, [probe.features(faces(3, 10))], weigh)
    torch.testing.assert_close(compute(score, faces(3, 10), known, "layer4"), wanted, **CLOSE)
    assert layer_of(score, "layer4") is probe.layer4


@pytest.mark.parametrize("name", ["saliency", "gradcam", "layercam"])
def test_a_mirror_image_has_the_map_mirrored_where_mirror_images_count(encoder, name):
    score = PairScore(matcher("cosine", encoder), FREE)
    known = references(score)
    found = attribution(name, score, faces(3, 10), known)
    turned = attribution(name, score, faces(3, 10).flip(3), known)
    torch.testing.assert_close(turned, found.flip(2), rtol=1e-3, atol=1e-6)
    score = PairScore(matcher("cosine", encoder, mirror=False), FREE)
    known = references(score)
    found, turned = (attribution(name, score, one, known) for one in (faces(3, 10), faces(3, 10).flip(3)))
    assert not torch.allclose(turned, found.flip(2), rtol=1e-3, atol=1e-6)


class Scores(nn.Module):
    """The scores (N, 1) as a network with one class, as torchcam wants it."""

    def __init__(self, score, known):
        super().__init__()
        self.score, self.known = score, known

    def forward(self, pixels):
        return self.score(pixels, self.known)[:, None]


@pytest.mark.parametrize("layer", ["map", "layer3", "layer4.1.conv2"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_torchcams_map(encoder, method, kind, layer):
    from torchcam.methods import GradCAM, LayerCAM

    score = PairScore(matcher(kind, encoder, mirror=False), LEFT)
    known = references(score)
    model = Scores(score, known).eval()
    with {"gradcam": GradCAM, "layercam": LayerCAM}[method](model, layer_of(score, layer)) as theirs:
        (wanted,) = theirs(0, model(asked()), normalized=False)
    found = CAMS[method][0](score, faces(3, 10), known, layer)
    torch.testing.assert_close(found, wanted, **CLOSE)
    assert found.flatten(1).max(1).values.min() > 1e-5


def test_layers_have_torchs_names(encoder):
    score = PairScore(matcher("cosine", encoder), FREE)
    assert layer_of(score, "layer3.0.conv1") is encoder.net.layer3[0].conv1
    assert layer_of(score, "map") is score.map
    for name in ("layer9", "net.layer3", "map.0", ""):
        with pytest.raises(UsageError, match=f"--layer {name} is unknown: one of map, conv1, bn1, .*neck"):
            layer_of(score, name)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("layer", ["neck", "neck.2", "neck.3", "layer1.0.relu"])
def test_a_layer_that_gives_no_map_is_refused(encoder, method, layer, mirror):
    score = PairScore(matcher("weighed", encoder, mirror=mirror), LEFT)
    with pytest.raises(UsageError, match=f"--layer {layer} gives no map .*, or map for the last map"):
        CAMS[method][0](score, faces(2, 10), references(score, 2), layer)
    assert not any(one._forward_hooks for one in encoder.net.modules()), "nothing is left behind"


def test_by_name_and_saliency_asks_for_no_layer(encoder):
    score = PairScore(matcher("fdm", encoder), LEFT)
    known = references(score)
    for name, compute in (("gradcam", grad_cam), ("layercam", layer_cam)):
        found = attribution(name, score, faces(3, 10), known, "layer2")
        torch.testing.assert_close(found, compute(score, faces(3, 10), known, "layer2"), **CLOSE)
        assert found.shape != attribution(name, score, faces(3, 10), known).shape
    torch.testing.assert_close(
        attribution("saliency", score, faces(3, 10), known, "nowhere"), saliency(score, faces(3, 10), known)
    )


def test_cells_become_pixels():
    cells = torch.tensor([[[0.0, 4.0]]])
    assert to_pixels(cells, (1, 4)).tolist() == [[[0.0, 1.0, 3.0, 4.0]]]
    assert to_pixels(cells, (2, 2)).tolist() == [[[0.0, 4.0], [0.0, 4.0]]]
    assert to_pixels(cells, (1, 2)) is cells
