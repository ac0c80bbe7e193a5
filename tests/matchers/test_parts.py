"""Parts of the base's maps and parts as crops, recomputed face by face and part by part."""

import pytest
import torch
from torch.nn import functional as F

from pdsn.masks.maps import Twins
from pdsn.matchers.matcher import Faces
from pdsn.matchers.memory import MapMemory
from pdsn.matchers.parts import HeadParts, HeadPartsConfig, PartsMatcher, centre_of
from pdsn.matchers.parts_cnn import CroppedParts, CropsConfig, CropsMatcher
from pdsn.matchers.training_photos import MapPhotos
from pdsn.occlusion.layouts import Box, Layout
from tests.matchers.tiny import (
    CLOSE,
    REGIONS,
    SIZE,
    UNEVEN,
    covered,
    faces,
    free_parts,
    settled,
    tiny_encoder,
)

KINDS = ("head", "crops")
RAISED = torch.tensor([0.5, 0.5, -0.6]).exp()
"""Weights up to a factor: the left and the right one count alike."""
OTHER_SIDE = (1, 0, 2)
PROBES = ("", "left", "left+below", "right", "left+right+below")
GALLERY = ("", "below", "right", "left+right+below", "left", "")


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder()


def model(kind, encoder, layout=UNEVEN):
    torch.manual_seed(1)
    if kind == "head":
        made = HeadParts(encoder, layout, 0.5, HeadPartsConfig())
        made.centre.copy_(0.3 * torch.rand(made.centre.shape))
    else:
        made = CroppedParts(layout, 0.5, CropsConfig(side=16, width=4, embedding=8))
        batch = faces(8, 2).float(), covered(*["left"] * 8), faces(8, 3).float(), torch.arange(8)
        settled(made, batch, batch)
    made.weights.logits.data = torch.tensor([0.7, 0.3, -0.6])[: len(layout.regions)]
    return made.eval().requires_grad_(False)


def matcher(kind, encoder, *, mirror=True, compare="nearest", layout=UNEVEN):
    made = PartsMatcher if kind == "head" else CropsMatcher
    return made(MapMemory(encoder, mirror=mirror), model(kind, encoder, layout), compare)


@torch.inference_mode()
def vectors_by_hand(kind, encoder, photos, mirror, side):
    """Unit vectors of the three parts of each face."""
    own, net = model(kind, encoder), encoder.net.eval()
    views = []
    for flipped in (False, True)[: 1 + mirror]:
        if kind == "head":
            maps = net.features(photos.flip(3)) if flipped else net.features(photos)
            means = []
            for part, box in enumerate(REGIONS.values()):
                inside = torch.zeros(SIZE)
                inside[box.top : box.bottom, box.left : box.right] = 1
                kept = F.avg_pool2d(inside[None], 8)[0]
                other = OTHER_SIDE[part] if flipped else part
                means.append(net.head(maps * (kept.flip(1) if flipped else kept)) - own.centre[side, other])
        else:
            crops = [
                photos[:, :, box.top : box.bottom, box.left : box.right].float() for box in REGIONS.values()
            ]
            small = [F.interpolate(one, (16, 16), mode="bilinear", antialias=True) for one in crops]
            means = [own.cnn(one.flip(3) if flipped else one) for one in small]
        views.append(means)
    return torch.stack([F.normalize(sum(parts)) for parts in zip(*views, strict=True)], 1)


def scores_by_hand(kind, encoder, a, b, mirror):
    ours, theirs = (
        vectors_by_hand(kind, encoder, one.pixels, mirror, side) for side, one in enumerate((a, b))
    )
    weights = RAISED
    found = torch.zeros(len(a), len(b))
    for row, one in enumerate(free_parts(a.covered)):
        for column, other in enumerate(free_parts(b.covered)):
            parts = [part for part in range(3) if one[part] and other[part]]
            whole = sum(weights[part] for part in parts)
            for part in parts:
                cosine = F.cosine_similarity(ours[row, part], theirs[column, part], dim=0)
                found[row, column] += weights[part] / whole * cosine
    return found


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_score_is_the_weighted_mean_of_the_parts_that_are_free_in_both(encoder, kind, mirror):
    made = matcher(kind, encoder, mirror=mirror)
    a, b = Faces(faces(5, 10), covered(*PROBES)), Faces(faces(6, 11), covered(*GALLERY))
    wanted = scores_by_hand(kind, encoder, a, b, mirror)
    probes, gallery = made.prepare(a, "probe"), made.prepare(b, "gallery")
    torch.testing.assert_close(made.compare(probes, gallery), wanted, **CLOSE)
    torch.testing.assert_close(made.pairs(probes, gallery[:5]), wanted.diagonal(), **CLOSE)
    free = made.prepare(Faces.free(b.pixels), "gallery")
    wanted = scores_by_hand(kind, encoder, a, Faces.free(b.pixels), mirror)
    torch.testing.assert_close(made.compare(probes, free), wanted, **CLOSE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", ["probe", "gallery"])
def test_a_part_that_is_covered_in_one_photo_changes_nothing(encoder, kind, side):
    made = matcher(kind, encoder)
    probes, gallery = Faces(faces(4, 12), covered(*["left"] * 4)), Faces.free(faces(4, 13))
    a, b = made.prepare(probes, "probe"), made.prepare(gallery, "gallery")
    before = made.compare(a, b)

    def with_another(part):
        again = made.prepare(probes, "probe"), made.prepare(gallery, "gallery")
        seen = again[side == "gallery"].known
        vectors = seen.views[0].clone()
        vectors[:, part] = F.normalize(torch.randn(4, vectors.shape[2]))
        seen.views = [vectors]
        return made.compare(*again)

    assert torch.equal(with_another(0), before)
    assert (with_another(1) - before).abs().max() > 0.01


def test_pixels_under_the_occlusion_change_no_crop_but_their_own(encoder):
    made, hidden = matcher("crops", encoder), covered("left", "left+below", "left")
    photos, gallery = faces(3, 14), made.prepare(Faces.free(faces(4, 15)), "gallery")
    painted = torch.where(hidden[:, None], faces(3, 16), photos)
    before, after = (
        made.compare(made.prepare(Faces(one, hidden), "probe"), gallery) for one in (photos, painted)
    )
    torch.testing.assert_close(after, before, **CLOSE)
    unaware = made.compare(made.prepare(Faces.free(painted), "probe"), gallery)
    assert (unaware - before).abs().max() > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_faces_without_a_part_that_is_free_in_both_score_0(encoder, kind):
    made = matcher(kind, encoder)
    a = made.prepare(Faces(faces(3, 17), covered("left+right+below", "left+below", "")), "probe")
    b = made.prepare(Faces(faces(3, 17), covered("left+right+below", "right", "left+right+below")), "gallery")
    assert made.pairs(a, b).tolist() == [0, 0, 0]
    assert (made.compare(a, b) == 0).tolist() == [[True] * 3, [True] * 3, [True, False, True]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_has_the_parts_of_its_mirror_image_on_the_other_side(encoder, kind):
    halves = Layout("halves", SIZE, {"left": Box(0, 0, 64, 24), "right": Box(0, 24, 64, 48)}, {})
    made = matcher(kind, encoder, layout=halves)
    if kind == "head":
        made.model.centre[:, 1] = made.model.centre[:, 0]
    photos = faces(3, 18)
    (upright,), (turned,) = (made.look(one, "gallery") for one in (photos, photos.flip(3)))
    torch.testing.assert_close(upright[:, [1, 0]], turned, **CLOSE)
    assert not torch.allclose(upright, turned, atol=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_from_the_scores_that_it_gives(encoder, kind):
    made = matcher(kind, encoder, mirror=False)
    a, b = Faces(faces(5, 19), covered(*PROBES)), Faces.free(faces(6, 20))
    wanted = made.compare(made.prepare(a, "probe"), made.prepare(b, "gallery"))
    seen = [encoder.maps(one.pixels) if kind == "head" else one.pixels.float() for one in (a, b)]
    torch.testing.assert_close(made.model.scores(seen[0], a.covered, seen[1]), wanted, **CLOSE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hidden", [("", "", ""), ("left", "", "below"), ("left", "left+right+below", "")])
def test_whatever_is_covered_there_is_something_to_learn(encoder, kind, hidden):
    made = model(kind, encoder).requires_grad_()
    shape = (3, *encoder.net.map_shape) if kind == "head" else (3, 3, *SIZE)
    a, b = torch.rand(2, *shape, generator=torch.Generator().manual_seed(21)) * 255
    loss = made(a, covered(*hidden), b, torch.arange(3))["loss"]
    loss.backward()
    slopes = [one.grad for one in made.parameters() if one.grad is not None]
    assert torch.isfinite(loss) and all(torch.isfinite(one).all() for one in slopes)
    assert made.weights.logits.grad.abs().max() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_weights_add_up_to_1_in_the_order_of_the_regions(encoder, kind):
    made = matcher(kind, encoder)
    assert made.weights == pytest.approx((RAISED / RAISED.sum()).tolist(), abs=1e-6)
    assert list(made.regions) == ["left", "right", "below"] and sum(made.weights) == pytest.approx(
        1, abs=1e-5
    )


def test_the_centre_is_the_mean_of_the_photos_on_a_side(encoder):
    own = model("head", encoder)
    seen = [encoder.maps(faces(300, seed)).half().numpy() for seed in (22, 23)]
    photos = MapPhotos(*seen, [Twins(seen[0], torch.zeros(300, 384).numpy(), SIZE)], torch.zeros(300).numpy())
    for maps, role in zip(seen, ("probe", "gallery"), strict=True):
        for part, kept in enumerate(own.kept):
            wanted = encoder.embed(torch.from_numpy(maps).float() * kept).mean(0)
            torch.testing.assert_close(centre_of(own, photos, role)[part], wanted, **CLOSE)


def test_the_centre_leaves_the_network_where_it_is(encoder, monkeypatch):
    """Weights that are moved to a GPU in inference mode cannot be trained; no CPU would show it."""
    own = model("head", encoder)
    seen = encoder.maps(faces(4, 24)).half().numpy()
    photos = MapPhotos(seen, seen, [Twins(seen, torch.zeros(4, 384).numpy(), SIZE)], torch.zeros(4).numpy())
    moved = []
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, *to, **how: moved.append(to) or self)
    centre_of(own, photos, "probe")
    assert not moved
