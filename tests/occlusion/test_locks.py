import numpy as np
import pytest
import torch

from pdsn.data.template import template
from pdsn.occlusion import locks
from pdsn.occlusion.artwork import SPLITS
from pdsn.occlusion.canvas import Canvas
from pdsn.occlusion.locks import CROWN, HAIR, HAIRLINE, HairOverFace, hair_colour
from pdsn.occlusion.placing import on_plane, pose_of

SIZE = (96, 80)
LANDMARKS = template(SIZE)


def photo(level: int = 150) -> torch.Tensor:
    return torch.full((3, *SIZE), level, dtype=torch.uint8)


def turned(landmarks: np.ndarray, degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (landmarks - landmarks.mean(0)) @ spin.T + landmarks.mean(0)


def hair(split: str, seed: int, landmarks: np.ndarray = LANDMARKS) -> tuple[torch.Tensor, torch.Tensor]:
    return HairOverFace(split)(photo(), torch.from_numpy(landmarks), np.random.default_rng(seed))


def only(monkeypatch, region) -> None:
    monkeypatch.setattr(locks, "HAIR", {"train": (region,)})


def at(covered: torch.Tensor, *point: float) -> bool:
    x, y = pose_of(LANDMARKS).project(np.array([[*point, 0.0]]))[0]
    return bool(covered[int(y), int(x)])


def test_no_hair_is_in_two_splits():
    assert set(HAIR) == set(SPLITS) and all(HAIR.values())
    every = [region for split in SPLITS for region in HAIR[split]]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize("split", SPLITS)
def test_all_hair_of_the_split_is_worn_and_no_other(split, monkeypatch):
    worn = set()

    def spy(region):
        def draw(u, v, rng):
            worn.add(region)
            return region(u, v, rng)

        return draw

    monkeypatch.setattr(locks, "HAIR", {one: tuple(spy(region) for region in HAIR[one]) for one in SPLITS})
    for seed in range(20):
        hair(split, seed)
    assert worn == set(HAIR[split])


@pytest.mark.parametrize("roll", [0, 25, 180])
@pytest.mark.parametrize("split", SPLITS)
def test_nothing_counts_above_the_hairline(split, roll):
    landmarks = turned(LANDMARKS, roll)
    pose = pose_of(landmarks)
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]] + 0.5
    # Heights in face units by solving for each pixel.
    heights = np.linalg.solve(pose.axes, (np.stack([x.ravel(), y.ravel()], 1) - pose.origin).T)[1]
    above = torch.from_numpy(heights.reshape(SIZE) < HAIRLINE - 1e-3)
    counted, drawn = 0, 0
    for seed in range(12):
        occluded, covered = hair(split, seed, landmarks)
        assert not (covered & above).any()
        counted += int(covered.any())
        drawn += int(((occluded.int() - 150).abs().amax(0) > 20)[above].sum())
    assert counted == 12
    assert drawn > 100 or roll == 180, "there is hair, which covers nothing"


def test_face_units_are_the_inverse_of_the_projection():
    pose = pose_of(turned(LANDMARKS, 17))
    canvas = Canvas(*SIZE)
    u, v = on_plane(pose, canvas.x, canvas.y)
    assert u.shape == v.shape == SIZE
    back = pose.project(np.stack([u.ravel(), v.ravel(), np.zeros(u.size)], 1))
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]] + 0.5
    np.testing.assert_allclose(back, np.stack([x.ravel(), y.ravel()], 1), atol=1e-3)


def test_a_curtain_hangs_over_one_side(monkeypatch):
    only(monkeypatch, locks._curtain)
    sides = set()
    for seed in range(20):
        _, covered = hair("train", seed)
        left, right = covered[:, :40].float().mean(), covered[:, 40:].float().mean()
        assert max(left, right) > 2 * min(left, right)
        sides.add(bool(left > right))
    assert sides == {True, False}


def test_a_fringe_leaves_mouth_and_chin_free(monkeypatch):
    only(monkeypatch, locks._fringe)
    forehead = 0
    for seed in range(30):
        _, covered = hair("train", seed)
        assert not at(covered, 0, 1.11) and not at(covered, 0, 1.55)
        forehead += at(covered, 0, -0.6)
    assert forehead > 15


def test_locks_are_thin_and_curls_leave_the_middle_of_the_face_free(monkeypatch):
    only(monkeypatch, locks._locks)
    assert all(hair("train", seed)[1].float().mean() < 0.3 for seed in range(20))
    only(monkeypatch, locks._curls)
    for seed in range(20):
        _, covered = hair("train", seed)
        assert not at(covered, 0, 0.5) and not at(covered, 0, 1.55) and covered.any()


def test_most_hair_has_the_colour_of_the_photos_own():
    pose, pixels = pose_of(LANDMARKS), photo().numpy().copy()
    own = np.array([120, 55, 200], np.uint8)
    for x, y in pose.project(np.array([(*place, -0.3) for place in CROWN])).astype(int):
        if 0 <= y < SIZE[0] and 0 <= x < SIZE[1]:
            pixels[:, y, x] = own
    colours = np.array([hair_colour(pixels, pose, np.random.default_rng(seed)) for seed in range(200)])
    assert colours.dtype == np.float32 and colours.min() >= 4 and colours.max() <= 235
    assert 0.6 < (colours == own).all(1).mean() < 0.8


def test_where_no_hair_is_seen_it_has_a_colour_all_the_same():
    pose = pose_of(LANDMARKS - np.array([0, 60]))
    colours = {
        hair_colour(photo().numpy(), pose, np.random.default_rng(seed)).tobytes() for seed in range(20)
    }
    assert len(colours) == 20


def test_a_grey_photo_gets_grey_hair():
    for seed in range(20):
        occluded, covered = hair(SPLITS[seed % 3], seed)
        assert int((occluded[0].int() - occluded[2].int()).abs()[covered].max()) <= 1
