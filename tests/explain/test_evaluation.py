"""Explanations of many probes: the records by hand, and the measurements on a tiny base and data set."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch.nn import functional as F

from pdsn.config.setting import SettingError
from pdsn.errors import UsageError
from pdsn.evaluation.probes import aligned_probes
from pdsn.explain.evaluation import FIGURES, ExplainedProbes, Measured, Task, at_random, measure
from pdsn.explain.settings import ExplainConfig
from pdsn.matchers.matcher import Faces
from pdsn.occlusion.occluders import Block, Nothing
from tests.explain.tiny import FREE, LEFT, masks, matcher, score_of_maps, two_branches
from tests.matchers.tiny import REGIONS, covered, faces, tiny_encoder

NAN = np.nan
OCCLUDERS = {"clean": Nothing(), "left": Block((REGIONS["left"],))}


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder()


def figures(strategy, method="saliency", occlusion="eyes", **values):
    """Figures of four photos; those that are not given are NaN."""
    known = {name: np.array(values.get(name, [NAN] * 4), float) for name in FIGURES}
    return Measured(method, occlusion, strategy, **known)


def records(*measured, people=(0, 0, 5, 5)):
    return ExplainedProbes(np.array(people), list(measured)).records(bootstrap=500, seed=0)


def test_records_are_means_over_photos_with_intervals_over_people():
    (record,) = records(figures("none", focus=[1, 3, 5, 7], deletion=[0.5] * 4))
    assert (record["method"], record["occlusion"], record["strategy"], record["photos"]) == (
        "saliency", "eyes", "none", 4,
    )  # fmt: skip
    assert record["focus"] == 4
    # Of two people, one is drawn twice in half of the resamples: their means are the ends.
    assert record["focus_ci95"] == [2, 6]
    # Where all photos agree: as far as events of a probability p may hide, (1 - p)^4 = 0.025.
    assert record["deletion"] == 0.5
    hidden = 1 - 0.025**0.25
    assert record["deletion_ci95"] == pytest.approx([0.5 - hidden, 0.5 + hidden])
    assert not any("change" in name for name in record)


def test_photos_that_have_no_figure_do_not_count():
    one, other = records(
        figures("none", deletion=[1, NAN, NAN, 3]), figures("LM2", deletion=[2, NAN, NAN, 6])
    )
    assert (one["deletion"], one["deletion_ci95"]) == (2, [1, 3])
    assert (other["deletion"], other["deletion_change"]) == (4, 2)
    assert other["deletion_change_ci95"] == [1, 3]
    for name in ("focus", "insertion", "random"):
        assert one[name] is one[f"{name}_ci95"] is other[f"{name}_change"] is None
    assert other["focus_change_ci95"] is None


def test_changes_are_of_the_same_photos():
    found = records(
        figures("none", focus=[1, 2, 3, 4]), figures("LM2", focus=[2, 2, NAN, 8]),
        figures("none", "gradcam", focus=[9, 9, 9, 9]), figures("LM2", "gradcam", focus=[9, 8, 9, 9]),
        figures("LM2", "gradcam", "hat", focus=[1, 1, 1, 1]),
    )  # fmt: skip
    assert [record.get("focus_change") for record in found] == [
        None, pytest.approx((1 + 0 + 4) / 3), None, pytest.approx(-1 / 4), None,
    ]  # fmt: skip
    assert found[1]["focus"] == 4 and found[1]["focus_ci95"] == [2, 8]
    low, high = found[1]["focus_change_ci95"]
    assert (low, high) == (0.5, 4)
    assert "focus_change" not in found[4], "no FDM was not measured there"


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
        assert all(getattr(one, name).shape == (4,) for name in FIGURES)
        assert np.isnan(one.focus).all() == (one.occlusion == "clean")
        # Two of four photos, spread evenly, have curves.
        for areas in (one.deletion, one.insertion):
            assert np.isnan(areas).tolist() == [False, True, True, False]
        assert (np.abs(one.random) <= 1).all()


def test_nothing_is_masked_where_nothing_is_covered(found):
    _, result, _ = found
    for method in ("saliency", "layercam"):
        plain, masked = (result.find(method, "clean", name) for name in ("none", "fdm"))
        for name in ("deletion", "insertion", "random"):
            np.testing.assert_allclose(getattr(plain, name), getattr(masked, name), rtol=1e-5)
        plain, masked = (result.find(method, "left", name) for name in ("none", "fdm"))
        assert np.abs(plain.focus - masked.focus).min() > 1e-3


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


@pytest.mark.parametrize("kind", ["cosine", "fdm"])
def test_figures_by_hand(found, encoder, dataset, rows, kind):
    task, result, _ = found
    one = result.find("saliency", "left", "none" if kind == "cosine" else kind)
    gallery, probes = rows
    shown, left = dataset.tensor(probes), covered("left")[0]
    shown[..., left] = 255
    alike = embedded(encoder, shown) @ embedded(encoder, dataset.tensor(gallery)).T
    for place, probe in enumerate(probes):
        own = np.flatnonzero(dataset.labels[gallery] == dataset.labels[probe])
        nearest = gallery[own[int(alike[place, own].argmax())]]
        reference = dataset.tensor([nearest])
        pixels = shown[[place]].float().requires_grad_()
        score_by_hand(encoder, kind, pixels, reference).sum().backward()
        cells = pixels.grad[0].abs().amax(0)
        wanted = float(cells[left].sum() / cells.sum()) / float(left.float().mean())
        assert one.focus[place] == pytest.approx(wanted, rel=1e-4)
        if place not in (0, 3):
            continue
        # Half of the pixels gone, the highest ones first: three points of a curve, by trapezoids.
        order = cells.flatten().argsort(descending=True)
        high = torch.zeros(cells.numel(), dtype=torch.bool)
        high[order[: cells.numel() // 2]] = True
        high = high.view(cells.shape)
        face, instead = shown[place], task.instead
        for name, moved in (("deletion", high), ("insertion", ~high)):
            faces_ = torch.stack([face, torch.where(moved, instead, face), instead])
            with torch.no_grad():
                first, middle, last = score_by_hand(encoder, kind, faces_, reference).tolist()
            area = (first + 2 * middle + last) / 4
            assert getattr(one, name)[place] == pytest.approx(area, abs=1e-4)


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
    np.testing.assert_allclose(plain.focus, masked.focus, rtol=1e-5)
    assert not np.isnan(plain.focus).any()
    assert all(np.isnan(areas).all() for areas in (plain.deletion, plain.insertion))


def test_batches_do_not_matter(encoder, dataset, rows, monkeypatch):
    task = task_of(encoder, dataset, rows, curves=0, methods=("gradcam",), layer="layer3")
    made = aligned_probes(dataset, rows[1], 0)
    whole = measure(task, OCCLUDERS, made)
    monkeypatch.setattr("pdsn.explain.evaluation.BATCH", 3)
    parts = measure(task, OCCLUDERS, made)
    for one, other in zip(whole.measured, parts.measured, strict=True):
        np.testing.assert_allclose(one.focus, other.focus, rtol=1e-3, equal_nan=True)


def test_a_layer_that_there_is_not_is_said_before_anything_is_explained(encoder, dataset, rows):
    def painted(*asked):
        raise AssertionError("a probe was painted")

    task = task_of(encoder, dataset, rows, methods=("saliency", "gradcam"), layer="layer9")
    with pytest.raises(UsageError, match="--layer layer9 is unknown"):
        measure(task, OCCLUDERS, painted)


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


def test_methods_that_give_no_map_are_refused():
    with pytest.raises(SettingError, match="cannot be measured: one of saliency, gradcam, layercam"):
        replace(ExplainConfig(), methods=("saliency", "regions")).check()
    ExplainConfig().check()
