"""The detector's own weights: those that come with pdsn, and files of others."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pdsn.data import weights
from pdsn.data.crop import crop_settings
from pdsn.data.detector import LOOKS, MTCNN, Detector
from pdsn.data.landmarks import apart
from pdsn.data.prepare import prepare_photos
from pdsn.data.searching import METHOD, method_of
from pdsn.data.settings import PrepareConfig
from pdsn.data.weights import COVERED, load_networks, save_networks, weights_of
from pdsn.errors import PdsnError


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return np.ascontiguousarray(pytest.importorskip("skimage.data").astronaut()[20:220, 120:320])


def test_networks_come_back_as_they_were_written(tmp_path, astronaut):
    one = Detector(40, networks=MTCNN)
    path = tmp_path / "same.safetensors"
    save_networks(path, one.refine, one.output, None, {"made": "by a test"})
    two = Detector(40, networks=str(path))
    [before], [after] = (detector.look([astronaut], LOOKS[MTCNN][0])[0] for detector in (one, two))
    assert after.box == pytest.approx(before.box, abs=0.5), "half precision"
    assert path.stat().st_size < 1_100_000


def test_what_is_no_network_is_said_in_a_line(tmp_path, monkeypatch):
    detector = Detector(40, networks=MTCNN)
    with pytest.raises(PdsnError, match=r"is missing: make it with `pdsn detector-train"):
        Detector(40, networks=str(tmp_path / "nowhere.safetensors"))
    wrong = tmp_path / "wrong.safetensors"
    save_networks(wrong, detector.output, detector.refine, None, {})
    with pytest.raises(PdsnError, match="holds no networks of the detector"):
        load_networks(wrong, detector.refine, detector.output, detector.output)
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "pdsn" / "data" / "weights.py"))
    with pytest.raises(PdsnError, match="install the package again"):
        weights_of(COVERED)


def test_covered_faces_are_found_that_mtcnn_loses(astronaut):
    published, covered = Detector(40, networks=MTCNN), Detector(40)
    [[face]] = published([astronaut])
    [[same]] = covered([astronaut])
    assert np.array_equal(same.landmarks, face.landmarks), "what MTCNN is sure of stays as it is"
    for top, bottom, grey in ((60, 100, 255), (65, 110, 128)):  # the eyes; the eyes and the nose
        photo = astronaut.copy()
        photo[top:bottom, 46:176] = grey
        assert published([photo]) == [[]]
        [[found]] = covered([photo])
        middle = (found.box[:2] + found.box[2:]) / 2
        assert found.further and np.abs(middle - (face.box[:2] + face.box[2:]) / 2).max() < 25


def test_covered_faces_are_aligned_more_like_the_free_one(astronaut):
    published, covered = Detector(40, networks=MTCNN), Detector(40)
    [[free]] = published([astronaut])
    for top, bottom, grey in ((110, 160, 200), (115, 170, 60)):  # nose, mouth and chin; mouth and chin
        photo = astronaut.copy()
        photo[top:bottom, 46:176] = grey
        [[before]], [[after]] = published([photo]), covered([photo])
        assert np.array_equal(after.box, before.box) and after.probability == before.probability
        assert apart(free.landmarks, after.landmarks) < 0.75 * apart(free.landmarks, before.landmarks)


def test_a_data_set_says_who_found_its_faces(tmp_path, astronaut):
    for index in range(3):
        path = tmp_path / "photos" / "ann" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(astronaut[:, 10 * index :]).save(path)
    old = prepare_photos(tmp_path / "photos", tmp_path / "old", PrepareConfig(min_photos=3, detector=MTCNN))
    new = prepare_photos(tmp_path / "photos", tmp_path / "new", PrepareConfig(min_photos=3))
    # One that was made before there was a choice looks like `old`: it goes on as it began.
    assert "detector" not in old.dataset.settings and old.dataset.settings["method"] == METHOD
    assert crop_settings(old.dataset).detector == MTCNN
    assert new.dataset.settings["detector"] == COVERED
    assert new.dataset.settings["method"] == method_of(COVERED) != METHOD
    assert crop_settings(new.dataset).detector == COVERED
    again = prepare_photos(tmp_path / "photos", tmp_path / "old", PrepareConfig(min_photos=3, detector=MTCNN))
    assert again.reused and not again.outdated
    with pytest.raises(PdsnError, match="made with --detector mtcnn"):
        prepare_photos(tmp_path / "photos", tmp_path / "old", PrepareConfig(min_photos=3))
