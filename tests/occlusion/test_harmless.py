import numpy as np
import pytest
import torch

from pdsn.data.template import template
from pdsn.occlusion import harmless
from pdsn.occlusion.artwork import SPLITS
from pdsn.occlusion.harmless import (
    POOR,
    Beard,
    Eyeglasses,
    HardShadow,
    Light,
    MakeUp,
    Poor,
    TightCrop,
    crop_edges,
    cropped,
    harmless_changes,
)
from pdsn.occlusion.placing import pose_of

SIZE = (64, 48)
NAMES = list(harmless_changes("train"))
ON_FACES = ("eyeglasses", "beard", "make-up")
"""Those that lie where the landmarks say."""
FACES = {
    "template": template(SIZE),
    "edge": template(SIZE) + np.array([30, 0]),
    "away": template(SIZE) + 900,
    "tiny": (template(SIZE) - (24, 32)) * 0.25 + (24, 32),
    "huge": (template(SIZE) - (24, 32)) * 20 + (24, 32),
    "upside down": SIZE[::-1] - template(SIZE),
    "profile": np.array([[24, 20], [24, 20], [30, 30], [24, 40], [24, 40.0]]),
    "nan": np.full((5, 2), np.nan),
    "one place": np.full((5, 2), 20.0),
}


def photo(size: tuple[int, int] = SIZE, seed: int = 0) -> torch.Tensor:
    return torch.randint(
        60, 200, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def smooth(size: tuple[int, int] = SIZE) -> torch.Tensor:
    """A photo of colours that change slowly."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    return torch.from_numpy(np.stack([60 + 2 * y, 40 + 3 * x, 200 - y - x]).astype(np.uint8))


def draw(occluder, image, seed=0, face="template"):
    return occluder(image, torch.from_numpy(FACES[face]), np.random.default_rng(seed))


def differs(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """(H, W) bool, where any channel does."""
    return (one != other).any(0)


def at(found: torch.Tensor, *point: float) -> bool:
    x, y = pose_of(FACES["template"]).project(np.array([[*point, 0.0]]))[0]
    return bool(found[int(y), int(x)])


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_covered_whatever_the_face(name, face):
    for seed, split in enumerate(SPLITS * 2):
        image = photo()
        changed, covered = draw(harmless_changes(split)[name], image, seed, face)
        assert torch.equal(image, photo()), "the photo must be left as it is"
        assert changed.shape == image.shape and changed.dtype == torch.uint8
        assert covered.shape == SIZE and covered.dtype == torch.bool and not covered.any()
        if name in ON_FACES and face in ("nan", "one place"):
            assert torch.equal(changed, image)


@pytest.mark.parametrize("size", [SIZE, (112, 96), (250, 250), (65, 47)])
@pytest.mark.parametrize("name", NAMES)
def test_photos_of_any_size_are_changed(name, size):
    shares = []
    for seed in range(9):
        image = photo(size)
        changed, covered = harmless_changes(SPLITS[seed % 3])[name](
            image, torch.from_numpy(template(size)), np.random.default_rng(seed)
        )
        assert changed.shape == image.shape and not covered.any()
        shares.append(float(differs(changed, image).float().mean()))
    assert np.mean(np.array(shares) > 0.01) > 0.6 and np.mean(shares) > 0.04


@pytest.mark.parametrize("name", NAMES)
def test_a_draw_depends_on_the_generator_alone(name):
    occluder = harmless_changes("train")[name]
    first, again = draw(occluder, photo(), 5)[0], draw(occluder, photo(), 5)[0]
    assert torch.equal(first, again)
    assert len({draw(occluder, photo(), seed)[0].numpy().tobytes() for seed in range(10)}) > 8


@pytest.mark.parametrize("kind", [Eyeglasses, Beard])
def test_each_split_has_its_own(kind):
    for seed in range(4):
        drawn = {draw(kind(split), photo(), seed)[0].numpy().tobytes() for split in SPLITS}
        assert len(drawn) == 3


def test_glasses_are_about_the_eyes_and_leave_the_mouth_alone():
    for split in SPLITS:
        rims = 0
        for seed in range(10):
            image = photo()
            found = differs(draw(Eyeglasses(split), image, seed)[0], image)
            eyes, mouth = FACES["template"][:2, 1].mean(), FACES["template"][3:, 1].mean()
            assert not found[int(mouth) - 1 :].any() and found[int(eyes) - 4 : int(eyes) + 4].any()
            rims += at(found, 0, -0.02)  # the bridge
        assert rims >= 7


def test_half_rims_end_halfway_down():
    size = (200, 160)
    points = template(size)
    image = torch.full((3, *size), 128, dtype=torch.uint8)
    below = {}
    for split in ("train", "val"):
        dark = torch.zeros(size)
        for seed in range(12):
            changed, _ = Eyeglasses(split)(image, torch.from_numpy(points), np.random.default_rng(seed))
            # Rims are painted almost opaquely, lenses hardly.
            dark += ((changed.int() - 128).abs().amax(0) > 70).float()
        eye = int(points[0, 1])
        below[split] = float(dark[eye + 12 :].sum()) / float(dark.sum())
    assert below["val"] < 0.02 < 0.15 < below["train"]


def test_lenses_are_seen_through():
    # Whatever is drawn over the pupils, the photo's own contrast is still there.
    image = photo()
    for seed in range(12):
        changed, _ = draw(Eyeglasses(SPLITS[seed % 3]), image, seed)
        x, y = FACES["template"][0].astype(int)
        before, after = (one[:, y - 1 : y + 2, x - 1 : x + 2].float().flatten() for one in (image, changed))
        assert np.corrcoef(before, after)[0, 1] > 0.5


def test_a_beard_lies_below_the_eyes_and_leaves_the_mouth_free():
    for split in SPLITS:
        parts = torch.zeros(SIZE)
        for seed in range(20):
            image = photo()
            found = differs(draw(Beard(split), image, seed)[0], image)
            assert not at(found, 0, 1.12), "lips are seen"
            assert not found[: int(FACES["template"][:2, 1].mean())].any()
            parts += found
        if split == "val":  # on the chin alone
            assert parts[:, :8].sum() == 0 and parts[:, 40:].sum() == 0 and parts.sum() > 0
        if split == "test":  # beside it
            assert not at(parts > 0, 0, 1.4) and parts.sum() > 0
        if split == "train":
            assert at(parts > 0, 0, 0.88) and at(parts > 0, 0, 1.5)


def test_skin_is_seen_through_a_beard():
    image = torch.full((3, *SIZE), 200, dtype=torch.uint8)
    levels = np.concatenate(
        [np.unique(draw(Beard("train"), image, seed)[0].numpy().mean(0).round()) for seed in range(6)]
    )
    assert len(np.unique(levels)) > 40, "from skin to hair in many shades"


def test_make_up_is_on_lips_lids_and_cheeks():
    image, marked = torch.full((3, *SIZE), 150, dtype=torch.uint8), 0
    for seed in range(20):
        found = (draw(MakeUp(), image, seed)[0].int() - 150).abs().amax(0) > 3
        assert at(found, 0, 1.11)
        assert not at(found, 0, 0.3)
        marked += at(found, 0, -0.45)
    assert 2 <= marked <= 15


def test_a_shadow_only_darkens_and_leaves_some_light():
    image, edges = torch.full((3, *SIZE), 200, dtype=torch.uint8), 0
    for seed in range(20):
        changed = draw(HardShadow(), image, seed)[0]
        assert changed.max() <= 200 and changed.min() >= 20
        edges += bool((changed < 190).any() and (changed > 195).all(0).any())
    assert edges > 10


def test_light_keeps_the_order_of_grey_levels():
    ramp = torch.arange(256, dtype=torch.uint8)[None, None].expand(3, 1, 256)
    gains = []
    for seed in range(30):
        changed = draw(Light(), ramp, seed)[0].int()
        assert (changed.diff(dim=2) >= 0).all() and (changed[:, 0, 0] == 0).all()
        gains.append(float(changed.float().mean()))
    assert min(gains) < 50 and max(gains) > 120


def test_a_poor_photo_is_poor_in_one_way_or_two(monkeypatch):
    seen = []
    spies = tuple(
        lambda pixels, rng, number=number: (seen.append(number), pixels)[1] for number in range(len(POOR))
    )
    monkeypatch.setattr(harmless, "POOR", spies)
    counts = set()
    for seed in range(60):
        before = len(seen)
        changed, _ = draw(Poor(), photo(), seed)
        assert torch.equal(changed, photo()), "nothing else is done to it"
        counts.add(len(seen) - before)
        assert len(set(seen[before:])) == len(seen) - before
    assert counts == {1, 2} and set(seen) == set(range(len(POOR)))


@pytest.mark.parametrize("poor", POOR, ids=[poor.__name__ for poor in POOR])
def test_poor_photos_keep_shape_and_brightness(poor):
    for seed in range(12):
        pixels = smooth().numpy().astype(np.float32)
        found = poor(pixels.copy(), np.random.default_rng(seed))
        assert found.shape == pixels.shape and found.dtype == np.float32 and np.isfinite(found).all()
        assert abs(float(found.mean() - pixels.mean())) < 6
        assert np.abs(found - pixels).mean() < 60
        # One poor thing after another: what a first one makes too bright does not stop the second.
        again = poor(np.full_like(pixels, 255) + 9, np.random.default_rng(seed))
        assert np.isfinite(again).all()


def test_grey_photos_have_equal_channels_and_others_less_colour():
    whole = 0
    for seed in range(40):
        pixels = smooth().numpy().astype(np.float32)
        found = harmless._grey(pixels, np.random.default_rng(seed))
        np.testing.assert_allclose(found.mean(0), pixels.mean(0), atol=1e-3)
        assert np.ptp(found, axis=0).mean() < 0.65 * np.ptp(pixels, axis=0).mean()
        whole += np.ptp(found, axis=0).max() < 1e-3
    assert 15 < whole < 33


def test_blurred_and_coarse_photos_lose_detail():
    def detail(pixels):
        return np.abs(np.diff(pixels, axis=1)).mean() + np.abs(np.diff(pixels, axis=2)).mean()

    pixels = photo((128, 96)).numpy().astype(np.float32)
    for poor, least in ((harmless._blurred, 0.95), (harmless._coarse, 0.7)):
        shares = [detail(poor(pixels, np.random.default_rng(seed))) / detail(pixels) for seed in range(12)]
        assert max(shares) < least and min(shares) < 0.4


def test_noise_has_the_strength_that_was_drawn():
    pixels = np.full((3, 64, 48), 120, np.float32)
    deviations = [
        float((harmless._noisy(pixels, np.random.default_rng(seed)) - pixels).std()) for seed in range(30)
    ]
    assert 1.9 < min(deviations) < 6 and 11 < max(deviations) < 16.5


@pytest.mark.parametrize("size", [SIZE, (65, 47), (250, 250)])
@pytest.mark.parametrize(
    "ends", [(0.303, -0.5, -0.5, -0.5), (-0.5, 0.172, -0.5, 0.223), (0.211, 0.133, 0.091, 0.243), (-0.5,) * 4]
)
def test_a_crop_that_is_not_turned_repeats_its_edges(size, ends):
    pixels = photo(size).numpy()
    found = cropped(pixels, np.array([*ends, 0.0]))
    rows, columns = size
    top, left = (max(round(end * length - 0.5), 0) for end, length in ((ends[0], rows), (ends[2], columns)))
    bottom, right = (
        max(round(end * length - 0.5), 0) for end, length in ((ends[1], rows), (ends[3], columns))
    )
    within = pixels[:, top : rows - bottom, left : columns - right]
    wanted = np.pad(within, ((0, 0), (top, bottom), (left, right)), mode="edge")
    assert found.dtype == pixels.dtype and np.array_equal(found, wanted)


@pytest.mark.parametrize("seed", range(12))
def test_a_turned_crop_repeats_the_nearest_pixel_within(seed):
    rows, columns = SIZE
    edges = crop_edges(np.random.default_rng(seed))
    numbers = np.arange(rows * columns, dtype=np.int64).reshape(1, rows, columns)
    found = cropped(numbers, edges)[0]
    y, x = np.mgrid[0:rows, 0:columns].reshape(2, -1) - np.array([[(rows - 1) / 2], [(columns - 1) / 2]])
    cos, sin = np.cos(edges[4]), np.sin(edges[4])
    own = np.stack([y * cos - x * sin, x * cos + y * sin])
    top, bottom, left, right = (edges[:4] - 0.5) * (rows, rows, columns, columns)
    least, most = np.array([[top], [left]]), -np.array([[bottom], [right]])
    within = ((own >= least) & (own <= most)).all(0)
    assert np.array_equal(found.ravel()[within], numbers.ravel()[within]), "what is within stays"
    # By search: no pixel within lies nearer than the one that is repeated, but for half a pixel of rounding.
    places = np.stack([y, x], 1)
    outside = np.flatnonzero(~within)[::7]
    taken = np.linalg.norm(places[outside] - places[found.ravel()[outside]], axis=1)
    nearest = np.linalg.norm(places[outside][:, None] - places[within], axis=2).min(1)
    assert len(outside) and (np.abs(taken - nearest) < 1.6).all()


def test_crops_end_at_the_top_most_often_and_leave_the_middle():
    edges = np.array([crop_edges(np.random.default_rng(seed)) for seed in range(400)])
    near = edges[:, :4] >= 0
    assert 0.72 < near[:, 0].mean() < 0.88 and (np.abs(near[:, 1:].mean(0) - 0.5) < 0.1).all()
    assert (edges[:, :4].max(0) <= (0.38, 0.2, 0.25, 0.25)).all()
    assert (edges[:, :4][~near] == -0.5).all() and 0.15 < edges[:, 4].std() < 0.25
    for seed in range(10):
        image = photo()
        changed, covered = draw(TightCrop(), image, seed)
        assert torch.equal(changed[:, 28:34, 22:26], image[:, 28:34, 22:26]) and not covered.any()
