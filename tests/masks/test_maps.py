import json

import numpy as np
import pytest
import torch

from pdsn.bases.encoder import Encoder
from pdsn.masks.maps import PairMaps, batches
from pdsn.networks.backbone import FaceNet
from pdsn.occlusion import artwork
from pdsn.occlusion.layouts import LandmarkStatistics, make_layout
from pdsn.occlusion.mixture import matching_mixture
from pdsn.occlusion.occluders import occlude
from pdsn.runtime import start


@pytest.fixture
def maps(dataset, tmp_path) -> PairMaps:
    torch.manual_seed(0)
    net = FaceNet(dataset.size, "resnet18", width=8)
    net(dataset.tensor(dataset.rows("train")))
    return PairMaps(
        tmp_path / "cache", dataset, Encoder(net, start("cpu", "fp32")), "base", seed=0, intensity=255
    )


@pytest.fixture
def bands(dataset):
    return make_layout("LM2", LandmarkStatistics.of(dataset.landmarks, dataset.size), 0.57)


def test_maps_are_those_of_the_photos_with_the_region_covered(maps, bands, dataset):
    rows = dataset.rows("val")
    faces = dataset.tensor(rows)
    box = bands.regions["eyes"]
    covered = faces.clone()
    covered[:, :, box.top : box.bottom, box.left : box.right] = 255
    for found, photos in ((maps.clean("val"), faces), (maps.occluded(bands, "eyes", "val"), covered)):
        expected = maps.encoder.maps(photos)
        assert found.dtype == np.float16 and found.shape == expected.shape
        torch.testing.assert_close(torch.from_numpy(found.astype(np.float32)), expected, rtol=2e-3, atol=1e-3)


def test_maps_are_computed_once(maps, monkeypatch):
    first = np.array(maps.clean("val"))
    monkeypatch.setattr(Encoder, "maps", lambda *args, **more: pytest.fail("computed again"))
    assert np.array_equal(maps.clean("val"), first)


@pytest.mark.parametrize(
    "changed", ["base", "data set", "box", "intensity", "jitter", "seed", "precision", "pdsn", "method"]
)
def test_maps_made_otherwise_are_made_again(maps, bands, changed, monkeypatch):
    maps.occluded(bands, "eyes", "val")
    about = maps.folder / "LM2-eyes-val.json"
    kept = json.loads(about.read_text())
    about.write_text(json.dumps({**kept, changed: "other"}))
    counted = []
    encode = Encoder.maps
    monkeypatch.setattr(
        Encoder, "maps", lambda self, faces, **more: counted.append(len(faces)) or encode(self, faces, **more)
    )
    maps.occluded(bands, "eyes", "val")
    assert sum(counted) == len(maps.dataset.rows("val"))
    assert json.loads(about.read_text()) == kept


def test_maps_under_other_artwork_are_made_again(maps, bands, monkeypatch):
    before = maps.mixed(bands, "val", 1)[0]
    counted = []
    encode = Encoder.maps
    monkeypatch.setattr(
        Encoder, "maps", lambda self, faces, **more: counted.append(len(faces)) or encode(self, faces, **more)
    )
    monkeypatch.setattr(artwork, "version", lambda: "redrawn")
    assert np.array_equal(maps.mixed(bands, "val", 1)[0].maps, before.maps)  # it was not in truth
    maps.clean("val")
    assert sum(counted) == 2 * len(maps.dataset.rows("val")), "the mixture's, and the clean photos'"
    maps.mixed(bands, "val", 1), maps.clean("val")
    assert sum(counted) == 2 * len(maps.dataset.rows("val"))


def test_twins_say_which_pixels_are_covered(maps, bands):
    twins = maps.mixed(bands, "val", 1)[0]
    rows = maps.dataset.rows("val")
    mixture = matching_mixture(list(bands.regions.values()), "val")
    _, covered = occlude(
        mixture, maps.dataset.tensor(rows), maps.dataset.landmarks[rows],
        seed=maps.seed, name="LM2-mixed0", rows=rows.tolist(),
    )  # fmt: skip
    assert covered.any() and torch.equal(twins.covered(), covered)
    assert torch.equal(twins.covered(np.array([2, 0])), covered[[2, 0]])
    assert np.array_equal(twins.shares(bands), bands.coverage(covered).numpy())
    # An older cache has no such file: the maps are made again with it.
    [beside] = maps.folder.glob("*-covered-pixels.npy")
    beside.unlink()
    assert torch.equal(maps.mixed(bands, "val", 1)[0].covered(), covered)


def test_maps_made_before_they_said_how_are_taken(maps, bands, monkeypatch):
    maps.occluded(bands, "eyes", "val")
    about = maps.folder / "LM2-eyes-val.json"
    kept = json.loads(about.read_text())
    about.write_text(json.dumps({n: v for n, v in kept.items() if n not in ("jitter", "pdsn", "method")}))
    monkeypatch.setattr(Encoder, "maps", lambda *args, **more: pytest.fail("computed again"))
    maps.occluded(bands, "eyes", "val")


def test_batches_pair_the_rows_in_order(maps, bands):
    clean, occluded = maps.clean("train"), maps.occluded(bands, "chin", "train")
    pairs = list(batches(clean, occluded, torch.device("cpu"), size=10))
    assert [len(pair[0]) for pair in pairs][:-1] == [10] * (len(clean) // 10)
    torch.testing.assert_close(
        torch.cat([pair[1] for pair in pairs]), torch.from_numpy(occluded.astype(np.float32))
    )
