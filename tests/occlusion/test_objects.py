import numpy as np
import pytest
import torch

from pdsn.data.template import template
from pdsn.occlusion import objects
from pdsn.occlusion.artwork import SPLITS
from pdsn.occlusion.canvas import Canvas
from pdsn.occlusion.hands import GESTURES
from pdsn.occlusion.objects import HELD, OBJECTS, HeldObject

SIZE = (64, 48)
POINTS = torch.from_numpy(template(SIZE))
EVERY = [draw for split in SPLITS for draw in OBJECTS[split]]


def photo() -> torch.Tensor:
    return torch.randint(60, 200, (3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def place(unit: float = 20.0, angle: float = 0.0) -> objects._Place:
    right, up = np.array([np.cos(angle), np.sin(angle)]), np.array([np.sin(angle), -np.cos(angle)])
    return objects._Place(np.array([60.0, 60.0]), right * unit, up * unit, unit)


def test_no_thing_is_in_two_splits():
    assert set(OBJECTS) == set(SPLITS) and all(OBJECTS.values())
    assert len(set(EVERY)) == len(EVERY)
    assert set(HELD) < set(EVERY)
    assert set(EVERY) - set(HELD) == {objects._shoulder}, "nobody holds a shoulder"


@pytest.mark.parametrize("split", SPLITS)
def test_every_thing_of_the_split_is_shown_and_no_other(split, monkeypatch):
    shown, gestures = [], []
    spies = {
        one: tuple(lambda canvas, place, rng, draw=draw: shown.append(draw.__name__) for draw in OBJECTS[one])
        for one in SPLITS
    }
    held = tuple(
        spy for one in SPLITS for spy, draw in zip(spies[one], OBJECTS[one], strict=True) if draw in HELD
    )
    monkeypatch.setattr(objects, "OBJECTS", spies)
    monkeypatch.setattr(objects, "HELD", held)
    monkeypatch.setattr(
        objects, "draw_hand", lambda canvas, pose, gesture, skin, rng: gestures.append((shown[-1], gesture))
    )
    for seed in range(100):
        HeldObject(split)(photo(), POINTS, np.random.default_rng(seed))
    assert len(shown) == 100 and set(shown) == {draw.__name__ for draw in OBJECTS[split]}
    assert {gesture for _, gesture in gestures} == set(GESTURES[split])
    assert "_shoulder" not in {name for name, _ in gestures}
    count = sum(name != "_shoulder" for name in shown)
    assert 0.4 < len(gestures) / count < 0.8, "most things are held by a hand, some are not seen to be"


@pytest.mark.parametrize("draw", EVERY, ids=[draw.__name__ for draw in EVERY])
def test_a_thing_lies_where_it_is_put(draw):
    for seed in range(8):
        canvas = Canvas(120, 120)
        draw(canvas, place(angle=0.3 * (seed - 4)), np.random.default_rng(seed))
        assert canvas.alpha.min() >= 0 and canvas.alpha.max() <= 1 + 1e-5
        assert np.isfinite(canvas.colours).all() and canvas.colours.min() >= -1e-3
        assert not canvas.colours[:, canvas.alpha == 0].any(), "nothing is painted where nothing is"
        solid = canvas.alpha >= 0.5
        assert 0.02 < solid.mean() < 0.9
        if draw in HELD and draw is not objects._bottle:
            assert solid[55:65, 55:65].any(), "about its middle"


@pytest.mark.parametrize("draw", EVERY, ids=[draw.__name__ for draw in EVERY])
def test_a_thing_that_is_twice_as_large_covers_four_times_as_much(draw):
    shares = []
    for unit in (8.0, 16.0):
        areas = []
        for seed in range(4):
            canvas = Canvas(240, 240)
            at = place(unit)
            at = objects._Place(np.array([120.0, 120.0]), at.right, at.up, unit)
            draw(canvas, at, np.random.default_rng(seed))
            areas.append(float((canvas.alpha >= 0.5).sum()))
        shares.append(np.mean(areas))
    assert 3.2 < shares[1] / shares[0] < 4.8


@pytest.mark.parametrize("draw", EVERY, ids=[draw.__name__ for draw in EVERY])
def test_things_of_a_kind_do_not_look_alike(draw):
    drawn = set()
    for seed in range(6):
        canvas = Canvas(60, 60)
        at = objects._Place(np.array([30.0, 30.0]), np.array([9.0, 0.0]), np.array([0.0, -9.0]), 9.0)
        draw(canvas, at, np.random.default_rng(seed))
        drawn.add(canvas.colours.tobytes())
    assert len(drawn) == 6


def test_colours_are_dark_pale_or_any():
    colours = np.array([objects._colour(np.random.default_rng(seed)).ravel() for seed in range(300)])
    assert colours.min() >= 0 and colours.max() <= 255
    grey = np.ptp(colours, axis=1) < 1e-3
    assert 0.55 < grey.mean() < 0.78
    assert 0.25 < (grey & (colours.mean(1) < 75)).mean() < 0.42
