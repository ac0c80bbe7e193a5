from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.ndimage import label

from pdsn.data.template import template
from pdsn.occlusion import hands
from pdsn.occlusion.artwork import SPLITS
from pdsn.occlusion.canvas import Canvas
from pdsn.occlusion.hands import FINGERS, GESTURES, KNUCKLES, Gesture, PosedHand, draw_hand, skin_tone
from pdsn.occlusion.lighting import Light
from pdsn.occlusion.placing import pose_of

SIZE = (64, 48)
SKIN = np.array([200.0, 150.0, 120.0], np.float32)
LIT = Light(0.9, np.ones(3, np.float32), 1.0, 0.0, SKIN)


def photo(colour: tuple[int, int, int] = (200, 150, 120)) -> torch.Tensor:
    return torch.tensor(colour, dtype=torch.uint8)[:, None, None].expand(3, *SIZE).contiguous()


def test_no_gesture_is_in_two_splits():
    assert set(GESTURES) == set(SPLITS) and all(GESTURES.values())
    every = [gesture for split in SPLITS for gesture in GESTURES[split]]
    assert len({gesture.bent for gesture in every}) == len(every)
    assert all(len(gesture.bent) == 4 for gesture in every)
    assert all(0 <= least <= most <= 100 for gesture in every for least, most in gesture.bent)


@pytest.mark.parametrize("split", SPLITS)
def test_every_gesture_of_the_split_is_shown_and_no_other(split, monkeypatch):
    shown = []
    monkeypatch.setattr(hands, "draw_hand", lambda canvas, pose, gesture, skin, rng: shown.append(gesture))
    hands_at_once = []
    for seed in range(80):
        before = len(shown)
        PosedHand(split)(photo(), torch.from_numpy(template(SIZE)), np.random.default_rng(seed))
        hands_at_once.append(len(shown) - before)
    assert set(shown) == set(GESTURES[split])
    assert set(hands_at_once) == {1, 2} and hands_at_once.count(2) < 30


@pytest.mark.parametrize("seed", range(5))
def test_a_bent_finger_is_shortened_and_never_longer_than_it_is(seed):
    def lengths(bent):
        fingers = hands._fingers(Gesture((bent,) * 4, (0.0, 10.0)), np.random.default_rng(seed))
        for finger, knuckle in zip(fingers, KNUCKLES, strict=True):
            assert finger[0].start == knuckle
            assert all(one.end == other.start for one, other in pairwise(finger))
            assert [one.tip for one in finger] == [False, False, True]
        return np.array([[np.hypot(*np.subtract(b.end, b.start)) for b in finger] for finger in fingers])

    straight, curled = lengths((0.0, 0.0)), lengths((70.0, 70.0))
    np.testing.assert_allclose(straight, FINGERS)
    away = np.cos(np.radians(np.cumsum(70 * np.array([0.8, 1.0, 0.7]))))
    np.testing.assert_allclose(curled, np.abs(FINGERS * away))
    assert (curled <= straight).all()


def test_spread_fingers_fan_out():
    def gap(spread):
        fingers = hands._fingers(Gesture(((0.0, 0.0),) * 4, (spread, spread)), np.random.default_rng(0))
        return fingers[3][-1].end[0] - fingers[0][-1].end[0]

    assert gap(12.0) > gap(0.0) + 0.5


@pytest.mark.parametrize("split", SPLITS)
def test_a_hand_is_in_one_piece_with_its_arm(split):
    pose = pose_of(template(SIZE) + 60)
    for seed, gesture in enumerate(GESTURES[split] * 2):
        canvas = Canvas(200, 180)
        draw_hand(canvas, pose, gesture, SKIN, np.random.default_rng(seed))
        assert canvas.alpha.min() >= 0 and canvas.alpha.max() <= 1 + 1e-5
        pieces, count = label(canvas.alpha >= 0.5)
        sizes = np.bincount(pieces.ravel())[1:]
        assert count >= 1 and sizes.max() > 0.99 * sizes.sum()


def test_an_arm_does_not_end_in_the_air():
    for seed in range(30):
        _, covered = PosedHand("train")(
            photo(), torch.from_numpy(template(SIZE)), np.random.default_rng(seed)
        )
        assert covered[0].any() or covered[-1].any() or covered[:, 0].any() or covered[:, -1].any()


def test_most_hands_have_the_colour_of_the_face_and_some_another():
    colours = np.array([skin_tone(LIT, np.random.default_rng(seed)) for seed in range(400)])
    assert colours.shape == (400, 3) and colours.min() >= 5 and colours.max() <= 250
    own = np.abs(colours / SKIN - 1).max(1) < 0.25
    # The face's own hue, whatever its brightness: seven of ten.
    shares = colours / colours.sum(1, keepdims=True)
    same_hue = np.abs(shares - SKIN / SKIN.sum()).max(1) < 1e-3
    assert 0.62 < same_hue.mean() < 0.78 and own.mean() > 0.65
    assert (np.abs(shares - SKIN / SKIN.sum()).max(1) > 0.15).any(), "a glove has any colour"


def test_a_grey_photo_gets_a_grey_hand():
    grey = Light(0.9, np.ones(3, np.float32), 0.0, 0.0, np.full(3, 140.0, np.float32))
    for seed in range(40):
        assert np.ptp(skin_tone(grey, np.random.default_rng(seed))) < 1e-3


def test_a_hand_is_seen_by_its_own_shading_on_skin_of_its_colour():
    # A face of one colour, and a hand of the same: folds and round fingers are all that tells it.
    spreads = []
    for seed in range(20):
        occluded, covered = PosedHand("train")(
            photo(), torch.from_numpy(template(SIZE)), np.random.default_rng(seed)
        )
        spreads.append(float(occluded[:, covered].float().mean(0).std()))
    assert min(spreads) > 4
