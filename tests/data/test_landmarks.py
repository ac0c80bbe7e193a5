"""Landmarks of covered faces: placed by a further network where it says so, MTCNN's elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pdsn.data.detector import MTCNN, Detection, Detector
from pdsn.data.landmarks import EDGE, PLACES, cut, place_landmarks
from pdsn.data.template import TEMPLATE
from pdsn.data.weights import load_networks, save_networks

BOX = np.array([70.0, 60.0, 160.0, 190.0])
TRUE = TEMPLATE * 1.1 + (60, 50)


class Marked(nn.Module):
    """Finds the five bright dots of a face, and takes it for covered where the upper left corner of the crop is blue."""

    def forward(self, crops: torch.Tensor) -> tuple[None, torch.Tensor, torch.Tensor]:
        assert crops.shape[1:] == (3, EDGE, EDGE) and crops.abs().max() <= 1
        places, covered = [], []
        y, x = torch.meshgrid(torch.arange(EDGE) + 0.5, torch.arange(EDGE) + 0.5, indexing="ij")
        for crop in crops:
            light = (crop[0] + 1).clamp_min(0)
            near = [light * (((x - px) ** 2 + (y - py) ** 2) < 36) for px, py in PLACES]
            places.append([float((one * axis).sum() / one.sum()) / EDGE for axis in (x, y) for one in near])
            covered.append(float(crop[2, 2, 2] > 0))
        cover = torch.tensor(covered)
        return None, torch.tensor(places), torch.stack([1 - cover, cover], 1)


def face(landmarks: np.ndarray) -> Detection:
    return Detection(BOX, 0.99, landmarks)


def dotted(blue: int) -> np.ndarray:
    """A photo with a red dot at each of the true landmarks."""
    y, x = np.mgrid[:260, :240] + 0.5
    photo = np.zeros((260, 240, 3))
    for px, py in TRUE:
        photo[..., 0] += 255 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 30)
    photo[..., 2] = blue
    return photo.clip(0, 255).astype(np.uint8)


def placed(photos: list[np.ndarray], found: list[list[Detection]]) -> list[list[Detection]]:
    return place_landmarks(Marked(), torch.device("cpu"), photos, found)  # type: ignore[arg-type]


def test_a_crop_shows_the_face_where_its_landmarks_are_put():
    crop, matrix = cut(dotted(0), TRUE)
    assert crop.shape == (EDGE, EDGE, 3)
    assert TRUE @ matrix[:2, :2].T + matrix[:2, 2] == pytest.approx(PLACES, abs=1e-6)
    for x, y in PLACES:
        assert crop[int(y), int(x), 0] > 150


def test_covered_faces_get_other_landmarks_and_free_ones_keep_theirs():
    angle = np.deg2rad(8)
    turn = 1.08 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    guess = (TRUE - TRUE.mean(0)) @ turn.T + TRUE.mean(0) + (2.0, -1.5)
    nowhere = np.full((5, 2), 100.0)
    found = placed([dotted(200), dotted(0), dotted(200)], [[face(guess), face(nowhere)], [face(guess)], []])
    (covered, formless), (free,), none = found
    assert np.abs(guess - TRUE).max() > 4
    assert covered.landmarks == pytest.approx(TRUE, abs=1.0) and covered.box is BOX
    assert free.landmarks is guess and formless.landmarks is nowhere and none == []


def test_a_file_without_that_network_leaves_all_landmarks_as_they_are(tmp_path):
    published = Detector(40, networks=MTCNN)
    old, new = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    save_networks(old, published.refine, published.output, None, {})
    save_networks(new, published.refine, published.output, published.output, {})
    again = [Detector(40, networks=MTCNN) for _ in range(3)]
    nets = again[0].refine, again[1].output, again[2].output
    assert load_networks(new, *nets) and not load_networks(old, *nets)
    portrait = np.ascontiguousarray(pytest.importorskip("skimage.data").astronaut()[20:220, 120:320])
    [[face]], [[same]] = published([portrait]), Detector(40, networks=str(old))([portrait])
    assert np.array_equal(same.landmarks, face.landmarks)
