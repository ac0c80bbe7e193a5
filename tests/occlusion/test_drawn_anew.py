"""What every occluder that draws anew each time must do: hands, things, hair and pieces of photos."""

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation

from pdsn.data.template import template
from pdsn.occlusion.artwork import SPLITS
from pdsn.occlusion.cutouts import CutOut
from pdsn.occlusion.hands import PosedHand
from pdsn.occlusion.locks import HAIRLINE, HairOverFace
from pdsn.occlusion.objects import HeldObject
from pdsn.occlusion.placing import pose_of

SIZE = (64, 48)


def photo(size: tuple[int, int] = SIZE, seed: int = 0) -> torch.Tensor:
    return torch.randint(
        60, 200, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


PIECES = torch.stack([photo(seed=seed) for seed in range(1, 4)])
KINDS = {
    "posed-hand": PosedHand,
    "object": HeldObject,
    "hair": HairOverFace,
    "cut-out": lambda split: CutOut(PIECES, split),
}
ON_FACES = ("posed-hand", "object", "hair")
"""Those that lie where the landmarks say."""
SHARES = {"posed-hand": (0.2, 0.5), "object": (0.2, 0.6), "hair": (0.05, 0.4), "cut-out": (0.05, 0.35)}
"""Share of a photo that each covers on average, at least and at most."""


def turned(landmarks: np.ndarray, degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (landmarks - landmarks.mean(0)) @ spin.T + landmarks.mean(0)


FACES = {
    "at the right edge": template(SIZE) + np.array([30, 0]),
    "at the lower edge": template(SIZE) + np.array([0, 45]),
    "out of the photo": template(SIZE) + 900,
    "tiny": (template(SIZE) - (24, 32)) * 0.25 + (24, 32),
    "huge": (template(SIZE) - (24, 32)) * 20 + (24, 32),
    "upside down": turned(template(SIZE), 180),
    "lying": turned(template(SIZE), 90),
    "profile": np.array([[24, 20], [24, 20], [30, 30], [24, 40], [24, 40.0]]),
    "left and right swapped": template(SIZE)[[1, 0, 2, 4, 3]],
}
NO_FACES = {
    "nan": np.full((5, 2), np.nan),
    "inf": np.where(np.arange(10).reshape(5, 2) == 3, np.inf, template(SIZE)),
    "one place": np.full((5, 2), 20.0),
}


def check(image: torch.Tensor, before: torch.Tensor, drawn: tuple[torch.Tensor, torch.Tensor]) -> None:
    occluded, covered = drawn
    assert torch.equal(image, before), "the occluder must leave its input alone"
    assert occluded.shape == image.shape and occluded.dtype == torch.uint8
    assert covered.shape == image.shape[1:] and covered.dtype == torch.bool
    if covered.any():
        # On a photo of noise a painted pixel is as it was only by coincidence, all three channels at once.
        assert (occluded[:, covered] != image[:, covered]).any(0).float().mean() > 0.95


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_fair_share_of_the_photo_is_covered_and_changed(kind, split):
    shares, masks = [], set()
    for seed in range(50):
        image = photo(seed=seed)
        drawn = KINDS[kind](split)(image, torch.from_numpy(template(SIZE)), np.random.default_rng(seed))
        check(image, photo(seed=seed), drawn)
        shares.append(float(drawn[1].float().mean()))
        masks.add(drawn[1].numpy().tobytes())
    least, most = SHARES[kind]
    assert least < np.mean(shares) < most and max(shares) < 0.97
    assert np.mean(np.array(shares) > 0) > 0.85, "hardly ever nothing"
    assert len(masks) > 43, "no two are alike"


@pytest.mark.parametrize("size", [(112, 96), (250, 250), (65, 47)])
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("kind", KINDS)
def test_photos_of_any_size(kind, split, size):
    image = photo(size)
    drawn = KINDS[kind](split)(image, torch.from_numpy(template(size)), np.random.default_rng(11))
    check(image, photo(size), drawn)
    assert drawn[1].any()


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("kind", KINDS)
def test_faces_of_any_kind(kind, face):
    for seed, split in enumerate(SPLITS * 2):
        image = photo()
        drawn = KINDS[kind](split)(image, torch.from_numpy(FACES[face]), np.random.default_rng(seed))
        check(image, photo(), drawn)


@pytest.mark.parametrize("kind", KINDS)
def test_random_landmarks_raise_nothing(kind):
    rng = np.random.default_rng(0)
    for split in SPLITS * 3:
        image = photo()
        check(image, photo(), KINDS[kind](split)(image, torch.from_numpy(rng.uniform(-50, 150, (5, 2))), rng))


@pytest.mark.parametrize("face", NO_FACES)
@pytest.mark.parametrize("kind", ON_FACES)
def test_landmarks_that_are_no_face_leave_the_photo_clean(kind, face):
    image = photo()
    for split in SPLITS:
        occluded, covered = KINDS[kind](split)(
            image, torch.from_numpy(NO_FACES[face]), np.random.default_rng(0)
        )
        assert torch.equal(occluded, image) and not covered.any()
        assert occluded.data_ptr() != image.data_ptr()


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_draw_depends_on_the_generator_alone(kind, split):
    def draw(seed):
        return KINDS[kind](split)(photo(), torch.from_numpy(template(SIZE)), np.random.default_rng(seed))

    first, again, other = draw(5), draw(5), draw(6)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0]) and not torch.equal(first[1], other[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_that_is_not_contiguous_is_occluded_alike(kind):
    stored = photo().permute(1, 2, 0).contiguous().permute(2, 0, 1)
    points = torch.from_numpy(template(SIZE))
    one, two = (KINDS[kind]("train")(image, points, np.random.default_rng(1)) for image in (photo(), stored))
    assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_plain_to_see_is_in_the_mask(kind):
    # A shadow takes 35 % of the light at most: what changes a plain photo by more was painted. It is not grey: on grey photos
    # what is painted has no colour, and less of it is plain to see.
    plain = torch.tensor([128, 120, 136], dtype=torch.uint8)[:, None, None]
    image, missed, seen = plain.repeat(1, *SIZE), 0, 0
    top = float(pose_of(template(SIZE)).project(np.array([[0, HAIRLINE, 0]]))[0, 1])
    for seed in range(24):
        occluded, covered = KINDS[kind](SPLITS[seed % 3])(
            image, torch.from_numpy(template(SIZE)), np.random.default_rng(seed)
        )
        strong = ((occluded.int() - plain.int()).abs().amax(0) > 60).numpy()
        if kind == "hair":
            strong[: int(top) + 1] = False  # everybody has some there
        missed += int((strong & ~binary_dilation(covered.numpy(), iterations=2)).sum())
        seen += int(strong.sum())
    assert seen > 500 and missed < 0.01 * seen


@pytest.mark.parametrize("kind", ["posed-hand", "object"])
def test_brightness_follows_the_photo(kind):
    points, means = torch.from_numpy(template(SIZE)), {}
    for level in (40, 190):
        image = torch.full((3, *SIZE), level, dtype=torch.uint8)
        drawn = [KINDS[kind]("train")(image, points, np.random.default_rng(seed)) for seed in range(12)]
        means[level] = np.mean([float(one[:, mask].float().mean()) for one, mask in drawn if mask.any()])
    assert means[40] < 0.7 * means[190]


@pytest.mark.parametrize("kind", ON_FACES)
def test_what_lies_on_a_face_goes_where_the_face_goes(kind):
    size = (96, 96)
    places, means = {"left": 8, "right": 36}, {}
    for name, right in places.items():
        landmarks = torch.from_numpy(template(SIZE) + np.array([right, 16]))
        masks = [
            KINDS[kind]("train")(photo(size), landmarks, np.random.default_rng(seed))[1] for seed in range(12)
        ]
        columns = torch.stack(masks).float().mean((0, 1))
        means[name] = float((columns * torch.arange(96)).sum() / columns.sum())
    assert 12 < means["right"] - means["left"] < 36
