import gc
import weakref

import pytest
import torch
from torch.nn import functional as F

from pdsn.bases.encoder import Encoder
from pdsn.masks.dictionary import MaskDictionary
from pdsn.matchers.cosine import Cosine
from pdsn.matchers.fdm import FDM
from pdsn.matchers.matcher import Faces
from pdsn.matchers.memory import MapMemory
from pdsn.networks.backbone import FaceNet
from pdsn.occlusion.layouts import Box, Layout, mirrored
from pdsn.runtime import start

SIZE = (64, 48)
HALVES = Layout("LM2-split", SIZE, {"left": Box(0, 0, 64, 24), "right": Box(0, 24, 64, 48)}, {})


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(0)
    net = FaceNet(SIZE, "resnet18", width=8, stem="fine", embedding=16)
    for seed in range(3):
        net(faces(8, seed))
    return Encoder(net, start("cpu", "fp32"), batch=5)


def faces(count: int, seed: int) -> torch.Tensor:
    return torch.randint(
        0, 256, (count, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def masks(encoder: Encoder) -> MaskDictionary:
    shape = (2, *encoder.net.map_shape)
    binary = torch.rand(shape, generator=torch.Generator().manual_seed(5)) > 0.4
    return MaskDictionary(HALVES, binary.float(), binary, "base")


def covered(*sides: str) -> torch.Tensor:
    result = torch.zeros(len(sides), *SIZE, dtype=torch.bool)
    for row, side in enumerate(sides):
        result[row, :, :24] |= side in ("left", "both")
        result[row, :, 24:] |= side in ("right", "both")
    return result


def scores(matcher: Cosine, probes, sides, gallery, people=None) -> torch.Tensor:
    """What probes with covered pixels score in a free gallery."""
    enrolled = matcher.prepare(Faces.free(gallery, people), "gallery")
    return matcher.compare(matcher.prepare(Faces(probes, sides), "probe"), enrolled)


@torch.inference_mode()
def expected(
    encoder: Encoder, dictionary: MaskDictionary | None, probes, gallery, sides, mirror
) -> torch.Tensor:
    """The definition, without any sharing: mask probe and gallery maps, embed, cosine."""
    net = encoder.net.eval()
    rows = []
    for probe, side in zip(probes, sides, strict=True):
        regions = torch.tensor([side in ("left", "both"), side in ("right", "both")])

        def embed(batch, regions=regions):
            fdm = torch.ones(net.map_shape) if dictionary is None else dictionary.combine(regions).float()
            total = net.head(net.features(batch) * fdm)
            if mirror:
                flipped = (
                    torch.ones(net.map_shape)
                    if dictionary is None
                    else dictionary.combine(regions.flip(0)).float()
                )
                total = total + net.head(net.features(batch.flip(3)) * flipped)
            return F.normalize(total)

        rows.append(embed(probe[None]) @ embed(gallery).T)
    return torch.cat(rows)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_scores_are_cosines_under_each_probes_own_fdm(encoder, mirror, masked):
    dictionary = masks(encoder) if masked else None
    gallery, probes, sides = faces(7, 10), faces(6, 11), ["none", "left", "right", "both", "left", "none"]
    memory = MapMemory(encoder, mirror=mirror)
    matcher = FDM(memory, dictionary) if dictionary else Cosine(memory)
    found = scores(matcher, probes, covered(*sides), gallery)
    torch.testing.assert_close(
        found, expected(encoder, dictionary, probes, gallery, sides, mirror), rtol=1e-4, atol=1e-5
    )


def test_a_probe_is_compared_with_photos_with_people_or_with_both(encoder):
    gallery, people, probes = faces(6, 10), torch.tensor([0, 2, 0, 2, 2, 1]), faces(4, 11)
    sides = covered("none", "left", "both", "left")
    found = {}
    for compare in ("nearest", "mean", "both"):
        matcher = FDM(MapMemory(encoder, mirror=True), masks(encoder), compare=compare)
        found[compare] = scores(matcher, probes, sides, gallery, people)
    # The definition: cosine to the normalised mean of a person's unit embeddings, under the probe's own FDM.
    for row, side in enumerate(("none", "left", "both", "left")):
        under = [side] * len(gallery)
        among = expected(encoder, masks(encoder), gallery, gallery, under, True)  # cosines among the gallery
        for photo, person in enumerate(people):
            members = people == person
            length = among[members][:, members].sum().sqrt()  # of the sum of a person's unit embeddings
            to_mean = found["nearest"][row, members].sum() / length
            torch.testing.assert_close(found["mean"][row, photo], to_mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["both"], (found["nearest"] + found["mean"]) / 2, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found["nearest"], found["mean"], atol=1e-3)


@pytest.mark.parametrize("compare", ["nearest", "both"])
def test_the_comparison_without_fdm_weighs_what_it_is_told_to(encoder, compare):
    gallery, people, probes = faces(6, 10), torch.tensor([0, 2, 0, 2, 2, 1]), faces(4, 11)
    sides = covered("none", "left", "both", "left")

    memory = MapMemory(encoder, mirror=True)

    def weighed(unmasked):
        matcher = FDM(memory, masks(encoder), 0.5, compare, unmasked)
        enrolled = matcher.prepare(Faces.free(gallery, people), "gallery")
        asked = matcher.prepare(Faces(probes, sides), "probe")
        found = matcher.compare(asked, enrolled)
        assert torch.equal(matcher.compare(matcher.restored(asked.kept()), enrolled), found)
        return found

    under = weighed(0.0)
    without = scores(Cosine(memory, HALVES, 0.5, compare), probes, sides, gallery, people)
    assert not torch.allclose(under[1:], without[1:], atol=1e-3)
    found = weighed(0.3)
    torch.testing.assert_close(found[0], without[0])  # nothing is covered
    if compare == "nearest":
        torch.testing.assert_close(found, 0.7 * under + 0.3 * without, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weighed(1.0), without, rtol=1e-4, atol=1e-5)


def test_the_regions_matter(encoder):
    matcher, probe = FDM(MapMemory(encoder, mirror=False), masks(encoder)), faces(1, 11)
    by_side = [scores(matcher, probe, covered(side), faces(7, 10)) for side in ("none", "left", "both")]
    assert not torch.allclose(by_side[0], by_side[1], atol=1e-3)
    assert not torch.allclose(by_side[1], by_side[2], atol=1e-3)


def test_a_photo_finds_itself(encoder):
    gallery = faces(9, 12)
    matcher = FDM(MapMemory(encoder, mirror=True), masks(encoder))
    found = scores(matcher, gallery.clone(), covered(*["left"] * 9), gallery)
    assert found.argmax(1).tolist() == list(range(9))
    torch.testing.assert_close(found.diagonal(), torch.ones(9))


def test_a_pair_is_compared_under_what_is_covered_in_either_photo(encoder):
    matcher = FDM(MapMemory(encoder, mirror=True), masks(encoder))
    probes, gallery = faces(4, 20), faces(4, 21)
    sides, others = ("none", "left", "right", "left"), ("right", "right", "none", "left")
    a = matcher.prepare(Faces(probes, covered(*sides)), "probe")
    b = matcher.prepare(Faces(gallery, covered(*others)), "gallery")
    wanted = torch.empty(4, 4)
    for row, side in enumerate(sides):
        for column, other in enumerate(others):
            both = {side, other} - {"none"}
            under = "both" if len(both) == 2 else next(iter(both), "none")
            pair = probes[row : row + 1], gallery[column : column + 1]
            wanted[row, column] = expected(encoder, masks(encoder), *pair, [under], True)[0, 0]
    torch.testing.assert_close(matcher.compare(a, b), wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(matcher.pairs(a, b), wanted.diagonal(), rtol=1e-4, atol=1e-5)


def test_halves_of_a_region_covered_in_each_photo_make_it_a_covered_one(encoder):
    matcher = FDM(MapMemory(encoder, mirror=False), masks(encoder))
    upper, lower = torch.zeros(1, *SIZE, dtype=torch.bool), torch.zeros(1, *SIZE, dtype=torch.bool)
    upper[:, :32, :24], lower[:, 32:, :24] = True, True
    a, b = Faces(faces(1, 22), upper), Faces(faces(1, 23), lower)
    assert matcher.signatures(a) == matcher.signatures(b) == [(False, False)]
    assert matcher.signatures(a, b) == [(True, False)]
    signatures, places = matcher.joint(a, b)
    assert signatures == [(True, False)] and places.tolist() == [[0]]
    found = matcher.compare(matcher.prepare(a, "probe"), matcher.prepare(b, "gallery"))
    wanted = expected(encoder, masks(encoder), a.pixels, b.pixels, ["left"], False)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_embeddings_of_a_gallery_are_kept_with_it_and_its_rows(encoder, monkeypatch):
    matcher, embedded = FDM(MapMemory(encoder, mirror=False), masks(encoder)), []
    embed = matcher.embed
    monkeypatch.setattr(
        matcher, "embed", lambda views, *under: embedded.append(len(views[0])) or embed(views, *under)
    )
    enrolled = matcher.prepare(Faces.free(faces(7, 24)), "gallery")
    probes = matcher.prepare(Faces(faces(2, 25), covered("left", "left")), "probe")
    whole = matcher.compare(probes, enrolled)
    assert embedded == [2, 7]
    assert torch.equal(matcher.compare(probes, enrolled), whole) and embedded == [2, 7, 2]
    torch.testing.assert_close(matcher.compare(probes, enrolled[[6, 0]]), whole[:, [6, 0]])
    assert embedded == [2, 7, 2, 2], "rows of a gallery take what is kept of all"
    monkeypatch.setattr("pdsn.matchers.embedding.EMBEDDINGS_KEPT", 1)
    matcher.compare(matcher.prepare(Faces(faces(2, 25), covered("right", "both")), "probe"), enrolled)
    assert len(enrolled.known._kept) == 1, "the last one alone"


def test_mirrored_halves_swap():
    assert mirrored(HALVES) == [[1], [0]]


def test_of_a_mirrored_photo_nothing_is_dropped_where_no_region_is_covered(encoder):
    left = Layout("left", HALVES.size, {"left": Box(0, 0, HALVES.size[0], HALVES.size[1] // 2 - 4)}, {})
    kept = torch.zeros((1, *encoder.net.map_shape), dtype=torch.bool)
    kept[:, ::2] = True
    dictionary = MaskDictionary(left, kept.float(), kept, "base")
    matcher = FDM(MapMemory(encoder, mirror=True), dictionary)
    probe, gallery = faces(1, 30), faces(3, 31)

    def embedded(photos: torch.Tensor) -> torch.Tensor:
        upright = encoder.embed(encoder.maps(photos), kept[0])
        return torch.nn.functional.normalize(upright + encoder.embed(encoder.maps(photos.flip(3)), None))

    wanted = embedded(probe) @ embedded(gallery).T
    torch.testing.assert_close(scores(matcher, probe, covered("left"), gallery), wanted, rtol=1e-4, atol=1e-5)


def test_kept_maps_go_with_their_faces(encoder):
    memory = MapMemory(encoder, mirror=True)
    gallery, strangers = faces(3, 40), faces(2, 41)
    maps = weakref.ref(memory.keep(gallery)[0])
    others = memory.keep(strangers)
    assert memory.views(gallery)[0] is maps()
    memory.views(faces(2, 42))  # others in between
    assert memory.views(gallery)[0] is maps() and memory.views(strangers) is others
    del gallery
    gc.collect()
    assert maps() is None
    assert memory.views(strangers) is others
