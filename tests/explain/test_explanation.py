"""One pair of faces explained, by every method."""

import json

import numpy as np
import pytest
import torch

from pdsn.errors import UsageError
from pdsn.explain.attribution import attribution, to_pixels
from pdsn.explain.explanation import Explainer, Pair, check_methods
from pdsn.explain.names import METHODS
from pdsn.explain.regions import REST
from pdsn.matchers.matcher import Faces
from pdsn.matchers.memory import MapMemory
from pdsn.matchers.xcos import XCos, XCosConfig, XCosMatcher
from pdsn.occlusion.layouts import Box, Layout
from tests.explain.tiny import FREE, LEFT, masks, matcher
from tests.matchers.tiny import CELLS, REGIONS, SIZE, UNEVEN, covered, faces, settled, tiny_encoder

GAPS = Layout("gaps", SIZE, {"brow": Box(0, 0, 20, 48), "side": Box(0, 0, 64, 10)}, {})
"""Two regions that overlap, and a rest."""


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder()


@pytest.fixture(scope="module")
def xcos(encoder):
    torch.manual_seed(1)
    made = XCos(encoder, XCosConfig(width=8))
    maps = [encoder.maps(faces(8, seed)) for seed in (2, 3)]
    settled(made, *[(maps[0], covered(*["left"] * 8), maps[1], torch.arange(8))] * 10)
    return XCosMatcher(MapMemory(encoder, mirror=True), made, UNEVEN, 0.5)


def explainer(encoder, layout=UNEVEN, kinds=("cosine", "fdm"), xcos=None, layer="map"):
    matchers = {"none" if kind == "cosine" else kind: matcher(kind, encoder) for kind in kinds}
    return Explainer(matchers, layout, torch.full((3, *SIZE), 120, dtype=torch.uint8), layer, xcos)


def pair(mean=False):
    """A face whose left is covered, and one of which nothing is, or three of a person."""
    return Pair(
        Faces(faces(1, 40), covered("left")), Faces.free(faces(3, 41) if mean else faces(1, 41)), mean
    )


def test_methods_are_those_that_a_run_has_the_parts_for(encoder, xcos):
    assert explainer(encoder, xcos=xcos).methods == list(METHODS)
    assert explainer(encoder).methods == [name for name in METHODS if name != "xcos"]
    maps = ["saliency", "gradcam", "layercam", "regions"]
    assert explainer(encoder, kinds=("cosine",)).methods == maps
    assert explainer(encoder, kinds=("cosine",), xcos=xcos).methods == [*maps, "xcos"]


def test_columns_are_the_scores_of_the_pair(encoder):
    shown = pair()
    plain, masked = explainer(encoder).columns(shown)
    assert (plain.name, masked.name) == ("no FDM", "fdm")
    for column, kind in ((plain, "cosine"), (masked, "fdm")):
        made = matcher(kind, encoder)
        wanted = made.compare(made.prepare(shown.probe, "probe"), made.prepare(shown.reference, "gallery"))
        assert column.cosine == pytest.approx(float(wanted), abs=1e-6)
        assert column.score.signature == LEFT and column.covered == ["left"]
        found = column.of(torch.cat([shown.probe.pixels, faces(1, 42)]).float())
        assert float(found[0]) == pytest.approx(column.cosine, abs=1e-6) and found[1] != found[0]
    assert abs(plain.cosine - masked.cosine) > 1e-3


def test_what_is_covered_in_either_photo_counts_but_of_a_person_in_the_probe_alone(encoder):
    made = matcher("fdm", encoder)
    probe, other = Faces(faces(1, 40), covered("left")), Faces(faces(1, 41), covered("below"))
    assert Pair(probe, other).signature(made) == (True, False, True)
    assert Pair(probe, other, mean=True).signature(made) == LEFT
    assert Pair(Faces.free(faces(1, 40)), Faces.free(faces(1, 41))).signature(made) == FREE


def test_a_persons_score_is_that_with_the_mean(encoder):
    shown = pair(mean=True)
    for column, kind in zip(explainer(encoder).columns(shown), ("cosine", "fdm"), strict=True):
        made = matcher(kind, encoder, compare="mean")
        theirs = Faces(shown.reference.pixels, shown.reference.covered, torch.zeros(3, dtype=torch.int64))
        scores = made.compare(made.prepare(shown.probe, "probe"), made.prepare(theirs, "gallery"))
        assert column.cosine == pytest.approx(float(scores[0, 0]), abs=1e-6)
        assert column.reference.shape == (1, 16)


def blurred(cells):
    """A map (H, W) under a Gaussian of 1.5 pixels, reflected at the edges."""
    reach = 6
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    for axis in (0, 1):
        wide = np.pad(cells, [(reach, reach) if one == axis else (0, 0) for one in (0, 1)], "symmetric")
        cells = np.apply_along_axis(lambda line: np.convolve(line, weights, "valid"), axis, wide)
    return cells


@pytest.mark.parametrize("method", ["saliency", "gradcam", "layercam"])
def test_maps_come_with_their_shares(encoder, method):
    made, shown = explainer(encoder, layer="layer3"), pair()
    columns = made.columns(shown)
    found = made.explain(method, shown, columns)
    assert (found.method, found.signed, list(found.maps)) == (method, False, ["no FDM", "fdm"])
    for column in columns:
        cells = attribution(method, column.score, shown.probe.pixels, column.reference, "layer3")
        wanted = blurred(cells[0].double().numpy()) if method == "saliency" else cells[0]
        np.testing.assert_allclose(found.maps[column.name], wanted, rtol=1e-4)
        large = to_pixels(cells, SIZE)[0].double().numpy()
        said = found.said["columns"][column.name]
        shares = {name: large[b.top : b.bottom, b.left : b.right].sum() for name, b in REGIONS.items()}
        assert said["regions"] == pytest.approx(
            {name: share / large.sum() for name, share in shares.items()}, abs=1e-5
        )
        assert said["covered"] == pytest.approx(shares["left"] / large.sum(), abs=1e-4)
        assert ("cells" in said) == (method != "saliency")
        if method != "saliency":
            np.testing.assert_allclose(said["cells"], cells[0], atol=1e-6)
    assert list(found.said) == (["columns"] if method == "saliency" else ["layer", "columns"])
    assert list(found.said["columns"]) == ["no FDM", "fdm"]
    assert found.said.get("layer") == (None if method == "saliency" else "layer3")
    json.dumps(found.said, allow_nan=False)


def test_where_nothing_is_covered_no_share_of_it_is_told(encoder):
    made = explainer(encoder)
    shown = Pair(Faces.free(faces(1, 40)), Faces.free(faces(1, 41)))
    found = made.explain("saliency", shown, made.columns(shown))
    assert [found.said["columns"][name]["covered"] for name in ("no FDM", "fdm")] == [None, None]
    json.dumps(found.said, allow_nan=False)


def test_a_map_of_zeros_is_told_without_a_crash(encoder, monkeypatch):
    made, shown = explainer(encoder), pair()
    columns = made.columns(shown)
    monkeypatch.setattr(
        "pdsn.explain.explanation.attribution", lambda *asked: torch.zeros(1, *CELLS, dtype=torch.float32)
    )
    for method in ("saliency", "gradcam"):
        found = made.explain(method, shown, columns)
        for name in ("no FDM", "fdm"):
            said = found.said["columns"][name]
            assert said["covered"] is None and said["regions"] == dict.fromkeys(REGIONS, 0)
            assert not found.maps[name].any()
        json.dumps(found.said, allow_nan=False)


def test_regions_are_painted_by_what_they_add(encoder):
    made, shown = explainer(encoder, GAPS), pair()
    columns = made.columns(shown)
    found = made.explain("regions", shown, columns)
    assert found.signed and list(found.said) == ["layout", "columns"] and found.said["layout"] == "gaps"
    instead = torch.full((1, 3, *SIZE), 120.0)
    for column in columns:
        said, cells = found.said["columns"][column.name], found.maps[column.name]
        assert said["whole"] == pytest.approx(column.cosine, abs=1e-5)
        assert said["empty"] == pytest.approx(float(column.of(instead).detach()), abs=1e-5)
        values = said["shapley"]
        assert list(values) == ["brow", "side", REST]
        assert sum(values.values()) == pytest.approx(said["whole"] - said["empty"], abs=1e-5)
        # Two of the boxes overlap: there the mean of the two is shown.
        painted = [cells[0, 30], cells[30, 5], cells[5, 5], cells[40, 30]]
        wanted = [values["brow"], values["side"], (values["brow"] + values["side"]) / 2, values[REST]]
        assert painted == pytest.approx(wanted, abs=1e-5)
        assert len(np.unique(cells)) == 4 and cells.shape == SIZE
    json.dumps(found.said, allow_nan=False)


def test_what_the_fdm_drops_is_told_by_cell(encoder):
    made, shown = explainer(encoder), pair()
    found = made.explain("fdm", shown, made.columns(shown))
    dropped = 1 - masks(encoder).binary[0].double().mean(0).numpy()
    assert found.maps["share dropped"].shape == CELLS
    np.testing.assert_allclose(found.maps["share dropped"], dropped, atol=1e-6)
    assert found.said["covered"] == ["left"]
    assert found.said["covered_share"] == pytest.approx(40 * 20 / (64 * 48), abs=1e-4)
    assert found.said["dropped_share"] == pytest.approx(dropped.mean(), abs=1e-4)
    np.testing.assert_allclose(found.said["dropped"], dropped, atol=1e-6)
    free = Pair(Faces.free(faces(1, 40)), Faces.free(faces(1, 41)))
    found = made.explain("fdm", free, made.columns(free))
    assert found.said["covered"] == [] and found.said["dropped_share"] == 0
    assert found.maps["share dropped"].shape == CELLS and not found.maps["share dropped"].any()


@pytest.mark.parametrize("mean", [False, True])
def test_xcos_gives_its_two_maps(encoder, xcos, mean):
    made, shown = explainer(encoder, xcos=xcos), pair(mean)
    found = made.explain("xcos", shown, made.columns(shown))
    attention, local = found.maps.values()
    assert attention.shape == local.shape == CELLS and attention.sum() == pytest.approx(1, abs=1e-5)
    # Of a person it is the photo that is shown.
    a, b = xcos.prepare(shown.probe, "probe"), xcos.prepare(shown.reference[:1], "gallery")
    cosine = float(xcos.pairs(a, b))
    assert found.said["cosine"] == pytest.approx(cosine, abs=1e-5)
    assert (np.array(found.said["attention"]) * found.said["local_cosine"]).sum() == pytest.approx(
        cosine, abs=1e-4
    )


def test_a_layer_is_one_of_the_base(encoder):
    made, shown = explainer(encoder, layer="nowhere"), pair()
    columns = made.columns(shown)
    made.explain("saliency", shown, columns)  # has none
    for method in ("gradcam", "layercam"):
        with pytest.raises(UsageError, match="--layer nowhere is unknown"):
            made.explain(method, shown, columns)


def test_methods_that_are_asked_for():
    some = ["saliency", "regions"]
    assert check_methods((), some, "runs/a") == some
    assert check_methods(["regions", "saliency", "regions"], some, "runs/a") == ["regions", "saliency"]
    with pytest.raises(
        UsageError,
        match="--method lime is unknown: one of saliency, gradcam, layercam, regions, xcos, fdm",
    ):
        check_methods(["saliency", "lime"], some, "runs/a")
    with pytest.raises(UsageError, match="--method xcos needs .*`pdsn xcos-train --run runs/a`"):
        check_methods(["xcos"], some, "runs/a")
    with pytest.raises(UsageError, match="--method fdm needs .*give a --strategy that has a dictionary"):
        check_methods(["fdm"], some, "runs/a")
