"""The gate says of each photo what is wrong with it, and lets good ones through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from pdsn.data.template import template
from pdsn.drawn.dataset import draw_people, photo_of
from pdsn.store.quality import DULL, SOFT, Quality, pose_of, sharpness_of

GOOD = Quality(size=100, sharpness=0.3, pose=0.1, faces=1, covered=[], regions=5)


def test_a_good_photo_passes_without_a_word():
    assert GOOD.reasons() == GOOD.warnings() == []


@pytest.mark.parametrize(
    ("change", "reason", "warning"),
    [
        ({"size": 19}, "its face is 19 px large, and 20 are needed", None),
        ({"size": 30}, None, "small face (30 px)"),
        ({"sharpness": 0.03}, "its face is blurred (sharpness 0.030, 0.05 is needed)", None),
        ({"sharpness": 0.07}, None, "soft (sharpness 0.070)"),
        ({"pose": 0.8}, "its face is turned away (pose 0.80, at most 0.75)", None),
        ({"pose": 0.5}, None, "turned aside (pose 0.50)"),
        ({"faces": 3}, None, "shows 3 faces: the largest is enrolled"),
        ({"covered": ["eyes", "nose"]}, None, "covered: eyes, nose"),
        ({"covered": list("abcde")}, "its face is covered altogether", None),
        ({"regions": 0}, None, None),
    ],
)
def test_what_is_wrong_is_said(change, reason, warning):
    quality = replace(GOOD, **change)
    assert quality.reasons() == ([reason] if reason else [])
    # What is enrolled in spite of its reasons has them as warnings.
    assert quality.warnings() == [one for one in (reason, warning) if one]


def test_sharpness_falls_with_blur_and_not_with_contrast():
    (person,) = draw_people(1)
    face, _ = photo_of(person, 0, 0, (112, 96))
    blurred = [
        sharpness_of(np.asarray(Image.fromarray(face).filter(ImageFilter.GaussianBlur(radius))))
        for radius in (0, 1, 2, 4, 12)
    ]
    assert blurred == sorted(blurred, reverse=True) and blurred[0] > SOFT and blurred[4] < DULL
    pale = (face.astype(float) * 0.5 + 60).astype(np.uint8)
    assert sharpness_of(pale) == pytest.approx(sharpness_of(face), rel=0.1)
    assert sharpness_of(np.full((20, 20, 3), 7, np.uint8)) < DULL


def test_pose_is_how_far_the_nose_is_from_the_middle():
    front = template((112, 96)).astype(float)
    assert pose_of(front) < 0.1
    apart = front[1, 0] - front[0, 0]
    for share in (0.3, -0.6):
        turned = front.copy()
        turned[2, 0] = (front[0, 0] + front[1, 0]) / 2 + share * apart
        assert pose_of(turned) == pytest.approx(abs(share), abs=0.05)
        angle = np.radians(30)
        about = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        assert pose_of(turned @ about.T) == pytest.approx(
            pose_of(turned), abs=1e-6
        )  # a tilted head is not turned


def test_drawn_people_pass():
    for index, person in enumerate(draw_people(4)):
        face, landmarks = photo_of(person, index, 0, (64, 48))
        assert not Quality(100, sharpness_of(face), pose_of(landmarks), 1, [], 5).reasons()
