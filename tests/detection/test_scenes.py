"""Scenes that the detector is trained on: box and landmarks must lie where the face now is."""

from __future__ import annotations

import numpy as np
import pytest

from pdsn.data.template import TEMPLATE
from pdsn.detection import scenes
from pdsn.detection.scenes import Subject, make_scene, overlaps
from pdsn.occlusion.layouts import Box
from pdsn.occlusion.occluders import Block, Nothing, RandomBlock

COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]])
PLACE = np.array([100.0, 80.0])


@pytest.fixture
def subject() -> Subject:
    """A black photo with a coloured square at each landmark, and a white one that may be another face."""
    photo = np.zeros((256, 256, 3), np.uint8)
    landmarks = TEMPLATE + PLACE
    for (x, y), colour in zip(landmarks.round().astype(int), COLOURS, strict=True):
        photo[y - 4 : y + 4, x - 4 : x + 4] = colour
    photo[20:40, 30:50] = 255
    box = np.array([110.0, 90.0, 186.0, 200.0])
    return Subject(photo, box, landmarks, np.array([[30.0, 20.0, 50.0, 40.0]]))


def test_landmarks_and_boxes_follow_the_pixels(subject, monkeypatch):
    monkeypatch.setattr(scenes, "_relit", lambda pixels, rng: pixels)
    seen = mirrored = others = 0
    for seed in range(40):
        scene = make_scene(subject, Nothing(), np.random.default_rng(seed), widths=(90.0, 200.0))
        height, width = scene.pixels.shape[:2]
        for number, ((x, y), colour) in enumerate(zip(scene.landmarks, COLOURS, strict=True)):
            if 4 < x < width - 4 and 4 < y < height - 4:
                # Left and right change places in a mirrored face, so its colours do, too.
                swapped = COLOURS[[1, 0, 2, 4, 3][number]]
                found = scene.pixels[int(y), int(x)].astype(int)
                turned = np.abs(found - swapped).max() < 60 and number != 2
                assert turned or np.abs(found - colour).max() < 60
                seen, mirrored = seen + 1, mirrored + turned
        left, top, right, bottom = scene.others[0]
        x, y = (left + right) / 2, (top + bottom) / 2
        if 4 < x < width - 4 and 4 < y < height - 4:
            assert scene.pixels[int(y), int(x)].min() > 195
            others += 1
        assert scene.hidden == 0
        assert scene.landmarks[0, 0] < scene.landmarks[1, 0], "the left eye is the left one in the picture"
        middle, side = (scene.box[:2] + scene.box[2:]) / 2, np.ptp(scene.box.reshape(2, 2), axis=0)
        assert np.abs(scene.landmarks[2] - middle).max() < 0.35 * side.max()
    assert seen > 100 and 20 < mirrored < seen - 20 and others > 3


def test_what_is_hidden_is_counted(subject):
    whole = Block((Box(0, 0, 128, 96),))
    rng = np.random.default_rng(0)
    assert make_scene(subject, whole, rng).hidden > 0.85
    shares = [make_scene(subject, RandomBlock(), np.random.default_rng(n)).hidden for n in range(8)]
    assert 0 < min(shares) < max(shares) < 0.8


def test_the_same_draw_gives_the_same_scene(subject):
    one, two, other = (make_scene(subject, RandomBlock(), np.random.default_rng(n)) for n in (5, 5, 6))
    assert np.array_equal(one.pixels, two.pixels) and np.array_equal(one.box, two.box)
    assert one.pixels.shape != other.pixels.shape


def test_overlaps():
    boxes = np.array([[0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
    assert overlaps(boxes, boxes[:1])[:, 0] == pytest.approx([1.0, 1 / 3, 0.0])
    assert overlaps(boxes, np.zeros((0, 4))).shape == (3, 0)
