import numpy as np
import pytest
import torch

from pdsn.data.template import template
from pdsn.errors import UsageError
from pdsn.occlusion.artwork import SPLITS, styles, styles_of
from pdsn.occlusion.layouts import LEFT_EYE, LEFT_MOUTH, NOSE, RIGHT_EYE, RIGHT_MOUTH
from pdsn.occlusion.placing import MOUTH_Y, NOSE_Y, NOSE_Z, Pose, pose_of
from pdsn.occlusion.worn import KINDS, SURFACES, Worn, wear

SIZE = (128, 96)
ALL = [pytest.param(style, id=f"{style.kind}-{style.name}") for style in styles()]
HEAD = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, NOSE_Y, NOSE_Z], [-0.42, MOUTH_Y, 0], [0.42, MOUTH_Y, 0]])
"""(5, 3) landmarks of a head in face units."""


def photo(size: tuple[int, int] = SIZE, seed: int = 0) -> torch.Tensor:
    return torch.randint(
        60, 200, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def plain(level: int = 128, size: tuple[int, int] = SIZE) -> torch.Tensor:
    return torch.full((3, *size), level, dtype=torch.uint8)


def turned(landmarks: np.ndarray, roll: float) -> np.ndarray:
    angle = np.deg2rad(roll)
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = landmarks.mean(0)
    return (landmarks - centre) @ spin.T + centre


def head(yaw: float, scale: float = 36.0, at: tuple[float, float] = (48, 56)) -> np.ndarray:
    """Landmarks of a head that looks to the photo's right by `yaw` degrees."""
    angle = np.deg2rad(yaw)
    x = HEAD[:, 0] * np.cos(angle) + HEAD[:, 2] * np.sin(angle)
    return np.stack([x, HEAD[:, 1]], axis=1) * scale + at


FACES = {
    "template": (SIZE, template(SIZE)),
    "roll-left": (SIZE, turned(template(SIZE), -20)),
    "roll-right": (SIZE, turned(template(SIZE), 20)),
    "small": ((64, 48), template((64, 48))),
    "insightface": ((112, 96), template((112, 96))),
    "off-centre": ((1000, 800), template(SIZE) * 1.3 + (580, 620)),
    "yaw-left": (SIZE, head(-30)),
    "yaw-right": (SIZE, head(30)),
    "double-yaw": (SIZE, head(45, at=(40, 56))),
}


def at(covered: torch.Tensor, point: np.ndarray) -> bool:
    return bool(covered[int(point[1]), int(point[0])])


@pytest.mark.parametrize("style", ALL)
def test_the_mask_is_exactly_what_changed(style):
    image = photo()
    before = image.clone()
    occluded, covered = wear(style, image, torch.from_numpy(template(SIZE)), np.random.default_rng(3))
    assert torch.equal(image, before), "the occluder must leave its input alone"
    assert occluded.shape == image.shape and occluded.dtype == torch.uint8
    assert covered.shape == SIZE and covered.dtype == torch.bool and covered.any()
    assert torch.equal(occluded[:, ~covered], image[:, ~covered])
    # A painted pixel is as it was only by coincidence, all three channels at once.
    assert (occluded[:, covered] != image[:, covered]).any(0).float().mean() > 0.99


@pytest.mark.parametrize("style", ALL[::9])
def test_a_photo_that_is_not_contiguous_is_occluded_alike(style):
    image = photo()
    stored = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    expected = wear(style, image, template(SIZE), np.random.default_rng(1))
    found = wear(style, stored, template(SIZE), np.random.default_rng(1))
    assert torch.equal(expected[0], found[0]) and torch.equal(expected[1], found[1])


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("style", ALL)
def test_each_kind_covers_what_it_is_worn_over(style, face):
    size, landmarks = FACES[face]
    pose = pose_of(landmarks)
    _, covered = wear(style, plain(size=size), landmarks, np.random.default_rng(len(face)))
    on = [at(covered, point) for point in landmarks]
    eyes, mouth = (on[LEFT_EYE], on[RIGHT_EYE]), (on[LEFT_MOUTH], on[RIGHT_MOUTH])
    if style.kind == "sunglasses":
        assert all(eyes) and not any(mouth) and not on[NOSE]
    elif style.kind == "face-mask":
        assert all(mouth) and not any(eyes) and on[NOSE] is not style.below_nose
    elif style.kind == "scarf":
        chin = pose.project(np.array([[0, 1.75, 0.25]]))[0]
        assert not any(eyes)
        assert all(mouth) or chin[1] >= size[0] or at(covered, chin)
    elif style.kind == "cap":
        brow, eye = pose.project(np.array([[0, -0.85, 0.3], [0, 0, 0.1]]))
        assert at(covered, brow) and not any(eyes) and not at(covered, eye) and not on[NOSE]
    else:
        (left, top), (right, bottom) = landmarks.min(0).astype(int), landmarks.max(0).astype(int)
        wide = int(0.5 * pose.scale)
        middle = covered[top : bottom + wide, max(left - wide, 0) : right + wide].float().mean()
        assert 0.04 < middle < 0.8, "part of the face, never all of it"


@pytest.mark.parametrize("style", [style for style in styles() if style.kind in ("scarf", "hand")])
def test_cloth_and_arms_go_on_to_the_edge(style):
    # A small face high up in a large photo: far more room below than the artwork is long.
    for roll in (-15, 0, 15):
        landmarks = turned(template(SIZE) * 0.8 + (160, 20), roll)
        _, covered = wear(style, plain(size=(500, 400)), landmarks, np.random.default_rng(0))
        rows = covered.any(1)
        assert rows[int(landmarks[:, 1].max()) + 10 :].all(), "it must not end in the air"
        centre = covered[-1].nonzero().float().mean()
        assert abs(centre - landmarks[:, 0].mean()) < 80, "it hangs down and does not follow the head's roll"


def test_the_far_side_of_a_turned_head_is_foreshortened():
    style = next(s for s in styles() if s.name == "surgical")
    widths = {}
    for yaw in (-35, 0, 35):
        landmarks = head(yaw)
        _, covered = wear(style, plain(), landmarks, np.random.default_rng(0))
        columns = covered[int(landmarks[3, 1])].nonzero().flatten().float()
        middle = landmarks[[3, 4], 0].mean()
        widths[yaw] = (float(middle - columns.min()), float(columns.max() - middle))
    assert abs(widths[0][0] - widths[0][1]) < 6
    # Looking to the right, the right half is the far one.
    assert widths[35][1] < 0.7 * widths[35][0] and widths[-35][0] < 0.7 * widths[-35][1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("yaw", [0, 25])
def test_a_mirrored_face_wears_the_mirror_image(kind, yaw, monkeypatch):
    for name in ("SHIFT", "SIZE", "ROLL"):
        monkeypatch.setattr(f"pdsn.occlusion.worn.{name}", 0.0)
    landmarks = head(yaw)
    flipped = landmarks[[1, 0, 2, 4, 3]] * (-1, 1) + (SIZE[1], 0)
    for style in styles_of(kind, "train"):
        best = 0.0
        straight = wear(style, plain(), landmarks, np.random.default_rng(0))[1]
        for seed in range(6):
            # The generator decides whether the artwork is mirrored too; one of a few seeds does as wanted.
            mirrored = wear(style, plain(), flipped, np.random.default_rng(seed))[1].flip(1)
            best = max(best, float((straight & mirrored).sum() / (straight | mirrored).sum()))
            if best > 0.95:
                break
        assert best > 0.95, style.name


def test_swapped_left_and_right_are_put_right():
    landmarks = template(SIZE)
    swapped = pose_of(landmarks[[1, 0, 2, 4, 3]])
    np.testing.assert_allclose(swapped.axes, pose_of(landmarks).axes)


def test_the_pose_projects_onto_the_landmarks():
    for yaw in (-40, 0, 20):
        landmarks = turned(head(yaw), 12)
        pose = pose_of(landmarks)
        np.testing.assert_allclose(pose.project(HEAD)[:3], landmarks[:3], atol=1e-6)
        assert np.rad2deg(np.arctan(pose.turn[0])) == pytest.approx(yaw, abs=1e-6)


@pytest.mark.parametrize(
    "landmarks",
    [
        np.full((5, 2), 40.0),
        np.full((5, 2), np.nan),
        np.where(np.arange(10).reshape(5, 2) == 3, np.inf, template(SIZE)),
        template(SIZE) * 0.01,
    ],
    ids=["one point", "nan", "inf", "tiny"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_landmarks_that_are_no_face_leave_the_photo_clean(kind, landmarks):
    image = photo()
    occluded, covered = Worn(kind, "train")(image, landmarks, np.random.default_rng(0))
    assert torch.equal(occluded, image) and not covered.any()


@pytest.mark.parametrize("kind", KINDS)
def test_no_landmarks_raise(kind):
    rng = np.random.default_rng(0)
    cases = [template(SIZE) + shift for shift in ((70, 0), (-60, 30), (0, 90), (0, -90), (900, 900))]
    cases += [head(yaw) for yaw in (-90, -75, 75, 90, 180)]
    cases += [turned(template(SIZE), roll) for roll in (90, 180, 270)]
    cases += [rng.uniform(-50, 150, (5, 2)) for _ in range(12)]
    cases += [np.array([[40, 50], [40, 50], [40, 60], [40, 70], [40, 70]])]
    for landmarks in cases:
        image = photo()
        occluded, covered = Worn(kind, "test")(image, landmarks, rng)
        assert torch.equal(occluded[:, ~covered], image[:, ~covered])


@pytest.mark.parametrize("kind", KINDS)
def test_a_draw_depends_on_the_generator_alone(kind):
    def draw(seed):
        return Worn(kind, "train")(photo(), template(SIZE), np.random.default_rng(seed))

    first, again = draw(5), draw(5)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    masks = {draw(seed)[1].numpy().tobytes() for seed in range(12)}
    assert len(masks) == 12, "style and place must vary"


@pytest.mark.parametrize("kind", KINDS)
def test_only_styles_of_the_split_are_worn(kind, monkeypatch):
    for split in SPLITS:
        worn = set()
        monkeypatch.setattr(
            "pdsn.occlusion.worn.wear", lambda style, *rest, seen=worn: (seen.add(style), rest[0])[1:] * 2
        )
        for seed in range(80):
            Worn(kind, split)(photo(), template(SIZE), np.random.default_rng(seed))
        assert worn == set(styles_of(kind, split)), "every style of the split, and no other"


@pytest.mark.parametrize("style", ALL)
def test_brightness_follows_the_photo(style):
    def painted(image):
        occluded, covered = wear(style, image, template(SIZE), np.random.default_rng(2))
        return occluded[:, covered].float().mean()

    dark, bright = painted(plain(40)), painted(plain(190))
    assert dark < 0.7 * bright


@pytest.mark.parametrize("name", ["surgical", "duckbill", "tartan", "straw", "over-mouth", "spread"])
def test_a_side_light_falls_on_the_object_too(name):
    style = next(s for s in styles() if s.name == name)
    lit = torch.linspace(60, 200, SIZE[1]).round().to(torch.uint8).expand(3, *SIZE).contiguous()
    assert painted_halves(style, lit) - painted_halves(style, lit.flip(2)) > 8


def painted_halves(style, image) -> float:
    """How much brighter the object's right half is than its left."""
    occluded, covered = wear(style, image, template(SIZE), np.random.default_rng(2))
    columns = torch.arange(SIZE[1]).expand(SIZE)
    middle = columns[covered].float().median()
    grey = occluded.float().mean(0)
    return float(grey[covered & (columns > middle)].mean() - grey[covered & (columns <= middle)].mean())


@pytest.mark.parametrize("style", ALL)
def test_a_grey_photo_gets_a_grey_object(style):
    image = photo()[:1].expand(3, -1, -1).contiguous()
    occluded, covered = wear(style, image, template(SIZE), np.random.default_rng(0))
    assert int((occluded[0].int() - occluded[2].int()).abs()[covered].max()) <= 1
    assert not torch.equal(occluded, image)


def test_colour_follows_the_light():
    style = next(s for s in styles() if s.name == "folding-respirator")
    means = {}
    for name, colour in {"warm": (200, 130, 70), "cool": (140, 140, 160)}.items():
        image = torch.tensor(colour, dtype=torch.uint8)[:, None, None].expand(3, *SIZE).contiguous()
        occluded, covered = wear(style, image, template(SIZE), np.random.default_rng(0))
        red, _, blue = occluded[:, covered].float().mean(1)
        means[name] = float(red / blue)
    assert means["warm"] > 1.1 * means["cool"]


def test_a_hand_has_the_colour_of_the_face():
    for colour in ((210, 160, 130), (95, 62, 48)):
        image = torch.tensor(colour, dtype=torch.uint8)[:, None, None].expand(3, *SIZE).contiguous()
        for style in (s for s in styles() if s.kind == "hand"):
            occluded, covered = wear(style, image, template(SIZE), np.random.default_rng(0))
            middle = occluded[:, covered].float().median(1).values
            assert (middle / torch.tensor(colour) - 1).abs().max() < 0.15


def test_a_strong_reduction_does_not_alias():
    # The checks are about one pixel wide on so small a face: they must melt into one colour.
    style = next(s for s in styles() if s.name == "checked")
    landmarks = (template(SIZE) - (48, 64)) * 0.16 + (48, 64)
    occluded, covered = wear(style, plain(), landmarks, np.random.default_rng(0))
    x, y = landmarks[NOSE:].mean(0).astype(int)
    assert covered[y - 1 : y + 3, x - 2 : x + 3].all()
    # Checks picked at random would differ by eighteen grey levels and more.
    assert occluded[:, y - 1 : y + 3, x - 2 : x + 3].float().std((1, 2)).max() < 10


def test_glasses_show_the_arm_on_the_near_side_only():
    style = next(s for s in styles() if s.name == "wayfarer")
    landmarks = head(35, at=(60, 56))
    _, covered = wear(style, plain(), landmarks, np.random.default_rng(0))
    columns = covered.nonzero()[:, 1]
    left, right = landmarks[:2, 0]
    assert left - int(columns.min()) > 1.6 * (int(columns.max()) - right)


@pytest.mark.parametrize(
    ("kind", "split", "said"),
    [("veil", "train", "face-mask, sunglasses, scarf, cap, hand"), ("cap", "holdout", "train, val, test")],
)
def test_unknown_kinds_and_splits_say_which_exist(kind, split, said):
    with pytest.raises(UsageError, match=said):
        Worn(kind, split)


def test_surfaces_are_sound():
    for surface in SURFACES.values():
        assert len(surface.y) == len(surface.ridge) == len(surface.bend)
        assert (np.diff(surface.y) > 0).all()
    assert {style.surface or style.kind for style in styles()} == set(SURFACES)


def test_unturned_keeps_the_place():
    pose = pose_of(head(40))
    plainly = pose.unturned()
    assert isinstance(plainly, Pose)
    assert np.linalg.norm(plainly.axes[:, 0]) == pytest.approx(np.linalg.norm(plainly.axes[:, 1]))
    nose = np.array([[0, NOSE_Y, NOSE_Z]])
    np.testing.assert_allclose(plainly.project(nose), pose.project(nose), atol=1e-9)
