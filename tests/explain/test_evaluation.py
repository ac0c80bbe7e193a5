"""Explanations of many probes: the records by hand, and the measurements on a tiny base and data set."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn
from torch.nn import functional as F

from pdsn.bases.encoder import Encoder
from pdsn.config.setting import SettingError
from pdsn.errors import UsageError
from pdsn.evaluation.probes import aligned_probes
from pdsn.explain import evaluation
from pdsn.explain.evaluation import ExplainedProbes, Measured, Task, measure
from pdsn.explain.settings import ExplainConfig
from pdsn.explain.untrained import at_random
from pdsn.matchers.matcher import Faces
from pdsn.networks.imported.architecture import Architecture
from pdsn.networks.imported.net import PretrainedNet
from pdsn.networks.vit import ViTNet
from pdsn.occlusion.occluders import Block, Nothing
from pdsn.runtime import start
from tests.explain.tiny import FREE, LEFT, masks, matcher, score_of_maps, two_branches
from tests.matchers.tiny import REGIONS, SIZE, covered, faces, tiny_encoder

NAN = np.nan
OCCLUDERS = {"clean": Nothing(), "left": Block((REGIONS["left"],))}


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder()


SHARES = ("covered", "bare", "area", "random", "other")
CURVES = ("deletion", "insertion", "deletion_any", "insertion_any")


def figures(strategy, method="saliency", occlusion="eyes", photos=4, curves=None, blank=None, **values):
    """Figures of four photos; those that are not given are NaN."""
    known = {name: np.array(values.get(name, [NAN] * photos), float) for name in SHARES}
    given = curves or {}
    drawn = {name: np.array(given.get(name, [[NAN] * 3] * photos), float) for name in CURVES}
    empty = np.array(blank or [False] * photos)
    return Measured(method, occlusion, strategy, **known, curves=drawn, blank=empty)


def records(*measured, people=(0, 0, 5, 5), bootstrap=500):
    return ExplainedProbes(np.array(people), list(measured)).records(bootstrap=bootstrap, seed=0)


def test_records_are_means_over_photos():
    (record,) = records(figures("none", covered=[0.1, 0.3, 0.5, 0.7], bare=[0.5] * 4, random=[1, 0, -1, 0.4]))
    assert (record["method"], record["occlusion"], record["strategy"], record["photos"]) == (
        "saliency", "eyes", "none", 4,
    )  # fmt: skip
    assert record["covered"] == pytest.approx(0.4) and record["bare"] == 0.5
    assert record["random"] == pytest.approx(0.1)
    assert (
        record["area"]
        is record["ratio"]
        is record["ratio_ci95"]
        is record["other"]
        is record["other_ci95"]
        is None
    )
    # Of two people an interval would say too much.
    assert record["covered_ci95"] is record["bare_ci95"] is record["random_ci95"] is None
    assert "change" not in record and record["maps"] == 4


def test_intervals_are_over_people_and_of_ten_at_least():
    rng = np.random.default_rng(3)
    people = np.arange(12).repeat(2)
    own = rng.uniform(0.1, 0.6, 12)
    covered = own.repeat(2) + np.tile([0.05, -0.05], 12)
    (record,) = records(
        figures("none", photos=24, covered=covered, bare=[0.5] * 24), people=people, bootstrap=20_000
    )
    low, high = record["covered_ci95"]
    # What the central limit theorem says of twelve people, whose two photos each stand or fall together.
    half = 1.96 * own.std() / 12**0.5
    assert (low, high) == pytest.approx((own.mean() - half, own.mean() + half), abs=0.012)
    assert high - low > 1.2 * 2 * 1.96 * covered.std() / 24**0.5
    # Where all photos agree: as far as events of a probability p may hide, (1 - p)^24 = 0.025.
    hidden = 1 - 0.025 ** (1 / 24)
    assert record["bare_ci95"] == pytest.approx([0.5 - hidden, 0.5 + hidden])
    for known, told in ((10, True), (9, False)):
        some = np.where(people < known, covered, NAN)
        (record,) = records(figures("none", photos=24, covered=some), people=people)
        assert record["covered"] == pytest.approx(own[:known].mean())
        assert (record["covered_ci95"] is not None) == told


def test_photos_that_have_no_figure_do_not_count():
    one, other = records(
        figures(
            "none", covered=[0.1, NAN, NAN, 0.3], random=[NAN, 1, 1, 0], blank=[True, False, False, False]
        ),
        figures("LM2", covered=[0.2, NAN, NAN, 0.6]),
    )
    assert one["covered"] == pytest.approx(0.2) and other["covered"] == pytest.approx(0.4)
    assert other["change"] == pytest.approx(0.2)
    assert one["random"] == pytest.approx(2 / 3) and other["random"] is None
    for name in ("bare", "ratio", "other"):
        assert one[name] is one[f"{name}_ci95"] is None
    assert one["maps"] == 3


def test_shares_are_divided_by_the_area_photo_by_photo():
    # The third photo has no map, and of the fourth nothing is covered.
    covered, area = [0.1, 0.6, NAN, NAN], [0.2, 0.3, 0.5, 0]
    (record,) = records(figures("none", covered=covered, area=area))
    assert record["ratio"] == pytest.approx((0.5 + 2) / 2) and record["area"] == pytest.approx(0.25)
    assert "area_ci95" not in record, "what was painted is no estimate"


def test_maps_are_counted_whatever_the_random_network_shows():
    # With random weights every map may be 0: a likeness cannot be told then, but the map is there.
    (record,) = records(figures("none", covered=[0.1] * 4, blank=[False, False, True, False]))
    assert record["maps"] == 3 and record["random"] is None


def test_changes_are_of_the_same_photos():
    found = records(
        figures("none", covered=[0.1, 0.2, 0.3, 0.4]), figures("LM2", covered=[0.2, 0.2, NAN, 0.8]),
        figures("none", "gradcam", covered=[0.9] * 4), figures("LM2", "gradcam", covered=[0.9, 0.8, 0.9, 0.9]),
        figures("LM2", "gradcam", "hat", covered=[0.1] * 4),
    )  # fmt: skip
    assert [record.get("change") for record in found] == [
        None, pytest.approx((0.1 + 0 + 0.4) / 3), None, pytest.approx(-0.1 / 4), None,
    ]  # fmt: skip
    assert found[1]["covered"] == pytest.approx(0.4)
    assert "change" not in found[4], "no FDM was not measured there"
    # With people enough the interval is of the differences: constant ones leave little doubt whatever the values are.
    people, values = np.arange(40), np.linspace(0.1, 0.9, 40)
    _, masked = records(
        figures("none", photos=40, covered=values),
        figures("LM2", photos=40, covered=values - 0.05 + 0.002 * np.cos(people)),
        people=people,
    )
    low, high = masked["change_ci95"]
    assert low < masked["change"] < high and high - low < 0.002
    wide = masked["covered_ci95"]
    assert wide[1] - wide[0] > 0.1


def test_areas_are_of_the_mean_curves_from_nothing_to_the_whole_face():
    curves = {
        "deletion": [[1.1, 0.3, 0.3], [NAN] * 3, [0.7, 0.5, 0.1], [NAN] * 3],
        "insertion": [[0.3, 0.9, 1.1], [NAN] * 3, [0.1, 0.7, 0.7], [NAN] * 3],
        "deletion_any": [[1.1, 0.7, 0.3], [NAN] * 3, [0.7, 0.4, 0.1], [NAN] * 3],
        "insertion_any": [[0.3, 0.4, 1.1], [NAN] * 3, [0.1, 0.3, 0.7], [NAN] * 3],
    }
    (record,) = records(figures("none", curves=curves))
    assert record["curved"] == 2
    # The means go from 0.9 to 0.2: trapezoids of (1, 2/7, 0), (0, 6/7, 1), (1, 1/2, 0) and (0, 3/14, 1).
    assert record["deletion"] == pytest.approx((1 + 2 * 2 / 7) / 4)
    assert record["insertion"] == pytest.approx((2 * 6 / 7 + 1) / 4)
    assert record["deletion_any"] == pytest.approx(0.5)
    assert record["insertion_any"] == pytest.approx((2 * 3 / 14 + 1) / 4)
    assert list(record["curves"]) == list(CURVES)
    assert record["curves"]["deletion"] == pytest.approx([0.9, 0.4, 0.2])
    assert record["curves"]["insertion"] == pytest.approx([0.2, 0.8, 0.9])
    assert not any(f"{name}_ci95" in record for name in CURVES)


def test_without_curves_or_without_a_difference_no_area_is_made_up():
    (record,) = records(figures("none"))
    assert record["curved"] == 0
    assert record["curves"] is None and all(record[name] is None for name in CURVES)
    level = {name: [[0.5, 0.7, 0.5]] * 4 for name in CURVES}
    (record,) = records(figures("none", curves=level))
    assert record["curved"] == 4 and all(record[name] == 0 for name in CURVES)


def test_what_was_not_measured_is_not_found():
    result = ExplainedProbes(np.arange(4), [figures("none")])
    assert result.find("saliency", "eyes", "none") is result.measured[0]
    assert result.find("saliency", "eyes", "LM2") is result.find("gradcam", "eyes", "none") is None


@pytest.fixture(scope="module")
def rows(dataset):
    """Of the enrolled photos, and of some test photos, two of a person."""
    return dataset.rows("train"), dataset.rows("test")[:4]


def task_of(encoder, dataset, rows, find_covered=None, **own):
    gallery, probes = rows
    instead = torch.from_numpy(np.asarray(dataset.faces[gallery].mean(0)).astype(np.uint8)).permute(2, 0, 1)
    matchers = {"none": matcher("cosine", encoder), "fdm": matcher("fdm", encoder)}
    given = {"methods": ("saliency",), "probes": 4, "curves": 2, "steps": 2}
    return Task(dataset, gallery, probes, matchers, find_covered, instead, ExplainConfig(**given | own))


@pytest.fixture(scope="module")
def found(encoder, dataset, rows):
    """Two methods measured under two occlusions, and what was told meanwhile."""
    told = []
    task = task_of(encoder, dataset, rows, methods=("saliency", "layercam"))
    return task, measure(task, OCCLUDERS, aligned_probes(dataset, rows[1], 0), told.append), told


def test_each_method_is_measured_under_each_occlusion_for_each_matcher(found, dataset, rows):
    _, result, told = found
    names = [(one.occlusion, one.strategy, one.method) for one in result.measured]
    assert names == [
        (occlusion, strategy, method)
        for occlusion in OCCLUDERS
        for strategy in ("none", "fdm")
        for method in ("saliency", "layercam")
    ]
    assert told == [f"{occlusion}, {method}" for occlusion, _, method in names]
    assert result.people.tolist() == dataset.labels[rows[1]].tolist()
    for one in result.measured:
        assert all(getattr(one, name).shape == (4,) for name in SHARES)
        for share in (one.covered, one.bare):
            assert np.isnan(share).all() == (one.occlusion == "clean")
        left = 40 * 20 / (64 * 48)
        np.testing.assert_allclose(one.area, 0 if one.occlusion == "clean" else left, rtol=1e-6)
        # Two of four photos, spread evenly, have curves.
        assert list(one.curves) == list(CURVES)
        for scores in one.curves.values():
            assert np.isnan(scores).tolist() == [[gone] * 3 for gone in (False, True, True, False)]
        assert (np.abs(one.random) <= 1).all() and (np.abs(one.other) <= 1).all()
        assert not one.blank.any()


def test_nothing_is_masked_where_nothing_is_covered(found):
    _, result, _ = found
    for method in ("saliency", "layercam"):
        plain, masked = (result.find(method, "clean", name) for name in ("none", "fdm"))
        for name in ("random", "other"):
            np.testing.assert_allclose(getattr(plain, name), getattr(masked, name), rtol=1e-5)
        for name in CURVES:
            np.testing.assert_allclose(plain.curves[name], masked.curves[name], rtol=1e-5)
        plain, masked = (result.find(method, "left", name) for name in ("none", "fdm"))
        assert np.abs(plain.covered - masked.covered).min() > 1e-3
        np.testing.assert_array_equal(plain.bare, masked.bare)


def embedded(encoder, pixels):
    """Unit embeddings (N, E) of faces with their mirror images."""
    return F.normalize(encoder.embed_faces(pixels) + encoder.embed_faces(pixels.flip(3)))


def score_by_hand(encoder, kind, pixels, reference):
    """Scores (N,) of faces whose left is covered with one free face."""
    net = encoder.net.eval()

    def views(some):
        return [net.features(some), net.features(some.flip(3))]

    signature = LEFT if kind == "fdm" else FREE
    # The reference's embedding, a coordinate at a time.
    with torch.no_grad():
        theirs = views(reference)
        basis = torch.eye(net.embedding)
        known = torch.stack([score_of_maps(kind, encoder, signature, theirs, row) for row in basis], 1)
    return score_of_maps(kind, encoder, signature, views(pixels), known)


def saliency_by_hand(encoder, kind, shown, gallery, data, places):
    """The saliency (H, W) of some faces and the faces that each is compared with: the nearest of its person."""
    alike = embedded(encoder, shown) @ embedded(encoder, data.tensor(gallery)).T
    found = []
    for place, probe in places:
        own = np.flatnonzero(data.labels[gallery] == data.labels[probe])
        reference = data.tensor([gallery[own[int(alike[place, own].argmax())]]])
        pixels = shown[[place]].float().requires_grad_()
        score_by_hand(encoder, kind, pixels, reference).sum().backward()
        found.append((pixels.grad[0].abs().amax(0), reference))
    return found


@pytest.mark.parametrize("kind", ["cosine", "fdm"])
def test_figures_by_hand(found, encoder, dataset, rows, kind):
    task, result, _ = found
    one = result.find("saliency", "left", "none" if kind == "cosine" else kind)
    gallery, probes = rows
    places = list(enumerate(probes))
    clean, left = dataset.tensor(probes), covered("left")[0]
    shown = clean.clone()
    shown[..., left] = 255
    maps = saliency_by_hand(encoder, kind, shown, gallery, dataset, places)
    # Of the clean photos without an FDM, whatever the matcher.
    free = saliency_by_hand(encoder, "cosine", clean, gallery, dataset, places)
    generator = torch.Generator().manual_seed(0)
    anywhere = torch.rand(SIZE, generator=generator)
    for place, (cells, reference) in enumerate(maps):
        assert one.covered[place] == pytest.approx(float(cells[left].sum() / cells.sum()), rel=1e-4)
        bare = free[place][0]
        assert one.bare[place] == pytest.approx(float(bare[left].sum() / bare.sum()), rel=1e-4)
        # Photos 0 and 1 show one person, 2 and 3 another.
        stranger = maps[(2, 2, 0, 0)[place]][0]
        other = spearmanr(cells.flatten(), stranger.flatten()).statistic
        assert one.other[place] == pytest.approx(other, abs=1e-3)
        if place not in (0, 3):
            continue
        # Half of the pixels gone, the highest ones first, or any.
        face, instead = shown[place], task.instead
        for order, end in ((cells, ""), (anywhere, "_any")):
            high = torch.zeros(cells.numel(), dtype=torch.bool)
            high[order.flatten().argsort(descending=True)[: cells.numel() // 2]] = True
            high = high.view(cells.shape)
            for name, moved, ends in (("deletion", high, 1), ("insertion", ~high, -1)):
                faces_ = torch.stack([face, torch.where(moved, instead, face), instead][::ends])
                with torch.no_grad():
                    wanted = score_by_hand(encoder, kind, faces_, reference)
                np.testing.assert_allclose(one.curves[name + end][place], wanted, atol=1e-4)


def test_likeness_is_to_the_maps_of_the_same_network_with_random_weights(found, encoder, dataset, rows):
    _, result, _ = found
    shown = dataset.tensor(rows[1])
    alike = embedded(encoder, shown) @ embedded(encoder, dataset.tensor(rows[0])).T
    random = at_random(matcher("cosine", encoder)).memory.encoder
    for place, probe in enumerate(rows[1]):
        own = np.flatnonzero(dataset.labels[rows[0]] == dataset.labels[probe])
        reference = dataset.tensor([rows[0][own[int(alike[place, own].argmax())]]])
        maps = []
        for base in (encoder, random):
            pixels = shown[[place]].float().requires_grad_()
            score_by_hand(base, "cosine", pixels, reference).sum().backward()
            maps.append(pixels.grad[0].abs().amax(0).flatten().numpy())
        wanted = spearmanr(*maps).statistic
        assert result.find("saliency", "clean", "none").random[place] == pytest.approx(wanted, abs=1e-3)
        assert wanted < 0.9


def test_what_is_found_to_be_covered_decides_about_the_fdm_and_not_where_the_maps_should_lie(
    encoder, dataset, rows
):
    def nothing(pixels):
        return torch.zeros((len(pixels), *pixels.shape[2:]), dtype=torch.bool)

    task = task_of(encoder, dataset, rows, find_covered=nothing, curves=0)
    result = measure(task, {"left": OCCLUDERS["left"]}, aligned_probes(dataset, rows[1], 0))
    plain, masked = (result.find("saliency", "left", name) for name in ("none", "fdm"))
    np.testing.assert_allclose(plain.covered, masked.covered, rtol=1e-5)
    assert not np.isnan(plain.covered).any() and not np.isnan(plain.bare).any()
    np.testing.assert_allclose(plain.area, 40 * 20 / (64 * 48))
    assert all(np.isnan(scores).all() for scores in plain.curves.values())


def test_batches_do_not_matter(encoder, dataset, rows, monkeypatch):
    task = task_of(encoder, dataset, rows, curves=0, methods=("gradcam",), layer="layer3")
    made = aligned_probes(dataset, rows[1], 0)
    whole = measure(task, OCCLUDERS, made)
    monkeypatch.setattr("pdsn.explain.evaluation.BATCH", 3)
    parts = measure(task, OCCLUDERS, made)
    for one, other in zip(whole.measured, parts.measured, strict=True):
        for name in ("covered", "bare", "random", "other"):
            values = getattr(one, name), getattr(other, name)
            np.testing.assert_allclose(*values, rtol=1e-3, atol=1e-3, equal_nan=True)


def test_a_layer_that_there_is_not_is_said_before_anything_is_explained(encoder, dataset, rows):
    def painted(*asked):
        raise AssertionError("a probe was painted")

    task = task_of(encoder, dataset, rows, methods=("saliency", "gradcam"), layer="layer9")
    with pytest.raises(UsageError, match="--layer layer9 is unknown"):
        measure(task, OCCLUDERS, painted)


def test_maps_of_zeros_are_counted_and_change_no_other_figure(encoder, dataset, rows, monkeypatch):
    task = task_of(encoder, dataset, rows, curves=0)
    made = aligned_probes(dataset, rows[1], 0)
    whole = measure(task, {"left": OCCLUDERS["left"]}, made)
    real, calls = evaluation.attribution, []

    def zeroed(method, score, pixels, *more):
        found = real(method, score, pixels, *more)
        if score.net is not encoder.net:  # of random weights: nowhere anything
            return found * 0
        calls.append(score)
        if len(calls) > 1:  # of covered probes, after the clean ones
            found[2] = 0
        return found

    monkeypatch.setattr(evaluation, "attribution", zeroed)
    result = measure(task, {"left": OCCLUDERS["left"]}, made)
    for one, before, record in zip(
        result.measured, whole.measured, result.records(bootstrap=50, seed=0), strict=True
    ):
        assert one.blank.tolist() == [False, False, True, False] and record["maps"] == 3
        assert np.isnan(one.covered).tolist() == [False, False, True, False]
        np.testing.assert_array_equal(np.delete(one.covered, 2), np.delete(before.covered, 2))
        np.testing.assert_array_equal(one.bare, before.bare)
        assert np.isnan(one.random).all() and record["random"] is None
        # Neither it nor those that are compared with it have a likeness to tell.
        assert np.isnan(one.other).tolist() == [True, True, True, False]
        assert record["covered"] == pytest.approx(np.delete(before.covered, 2).mean())


def test_of_one_person_alone_there_is_no_likeness_to_others(encoder, dataset, rows):
    task = task_of(encoder, dataset, (rows[0], rows[1][:2]), curves=0)
    result = measure(task, {"left": OCCLUDERS["left"]}, aligned_probes(dataset, rows[1][:2], 0))
    for one, record in zip(result.measured, result.records(bootstrap=50, seed=0), strict=True):
        assert np.isnan(one.other).all() and record["other"] is None
        assert not np.isnan(one.random).any()


@pytest.mark.parametrize("branches", [1, 2])
@pytest.mark.parametrize("kind", ["cosine", "fdm"])
def test_random_weights_are_others_and_always_the_same(kind, branches):
    encoder = tiny_encoder() if branches == 1 else two_branches()
    made = matcher(kind, encoder)
    probes, gallery = Faces(faces(2, 30), covered("left", "")), Faces.free(faces(3, 31))

    def compared(one):
        return one.compare(one.prepare(probes, "probe"), one.prepare(gallery, "gallery"))

    before, weights = compared(made), copy.deepcopy(encoder.net.state_dict())
    torch.manual_seed(11)
    state = torch.get_rng_state()
    one = at_random(made)
    assert torch.equal(torch.get_rng_state(), state), "others' draws are as they would have been"
    torch.manual_seed(12)
    other = at_random(made)
    assert torch.equal(compared(made), before)
    after = encoder.net.state_dict()
    assert all(torch.equal(weights[key], after[key]) for key in weights)
    drawn, again = (found.memory.encoder.net.state_dict() for found in (one, other))
    assert drawn.keys() == weights.keys() and all(torch.equal(drawn[key], again[key]) for key in drawn)
    learned = [key for key in weights if key.endswith(("conv1.weight", "conv2.weight", "3.weight"))]
    assert len(learned) > 10 * branches
    assert not any(torch.allclose(drawn[key], weights[key], atol=1e-3) for key in learned)
    assert torch.equal(compared(one), compared(other))
    assert not torch.allclose(compared(one), before, atol=1e-2)
    # All else is as it was: regions, masks, mirror images.
    assert type(one) is type(made) and one.regions == made.regions and one.memory.mirror
    if kind == "fdm":
        assert torch.equal(one.dictionary.binary, masks(encoder).binary)


class Bare(nn.Module):
    """A network as a user's FILE.py may have it: its last layer is a parameter that no module draws."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Conv2d(3, 6, 8, stride=8)
        self.mixing = nn.Parameter(0.3 + 0.05 * torch.randn(6 * 8 * 6, 16))
        self.scale = nn.Parameter(torch.full((16,), 2.0))

    def features(self, x):
        return self.trunk(x)

    def head(self, maps):
        return (maps.flatten(1) @ self.mixing) * self.scale


@pytest.mark.parametrize("kind", ["vit", "file"])
def test_what_no_module_draws_is_drawn_too(kind):
    torch.manual_seed(4)
    if kind == "vit":
        net, name = ViTNet(SIZE, width=12, depth=1, heads=3, embedding=16), "transformer.pos_embed"
    else:
        own = Architecture("bare", Bare, SIZE, mean=(127.5,) * 3, std=(128,) * 3)
        net, name = PretrainedNet(own), "network.mixing"
    made = matcher("cosine", Encoder(net, start("cpu", "fp32"), batch=5))
    before = copy.deepcopy(dict(net.named_parameters()))
    one, other = (dict(at_random(made).memory.encoder.net.named_parameters()) for _ in range(2))
    assert all(torch.equal(one[key], other[key]) for key in before)
    assert all(torch.equal(value, before[key]) for key, value in net.named_parameters())
    for key, weights in before.items():
        assert weights.ndim == 1 or not torch.allclose(one[key], weights, atol=1e-4), key
    # As wide as it was, and about the same mean, but another.
    known, drawn = before[name].detach(), one[name].detach()
    assert float(drawn.std()) == pytest.approx(float(known.std()), rel=0.2)
    assert float(drawn.mean()) == pytest.approx(
        float(known.mean()), abs=4 * float(known.std()) / len(known.flatten()) ** 0.5
    )
    assert abs(np.corrcoef(known.flatten(), drawn.flatten())[0, 1]) < 0.25
    if kind == "file":
        assert torch.equal(one["network.scale"], before["network.scale"])


def test_methods_that_give_no_map_are_refused():
    with pytest.raises(SettingError, match="cannot be measured: one of saliency, gradcam, layercam"):
        replace(ExplainConfig(), methods=("saliency", "regions")).check()
    ExplainConfig().check()
