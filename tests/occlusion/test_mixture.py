import numpy as np
import pytest
import torch

from pdsn.data.template import template
from pdsn.occlusion.artwork import SPLITS
from pdsn.occlusion.layouts import Box
from pdsn.occlusion.mixture import (
    VARIED_WEIGHTS,
    WORN_WEIGHTS,
    Mixture,
    Patch,
    Photographed,
    texture,
    varied_occluders,
    worn_occluders,
)
from pdsn.occlusion.occluders import Block, Nothing

SIZE = (64, 48)
POINTS = torch.from_numpy(template(SIZE))
PIECES = torch.randint(0, 255, (3, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
WHITE_BLOCK = Block((Box(0, 0, 30, 30),))


def photo() -> torch.Tensor:
    return torch.randint(1, 255, (3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("seed", range(40))
def test_a_patch_changes_nothing_outside_its_mask(seed):
    image = photo()
    occluded, covered = Patch()(image, POINTS, np.random.default_rng(seed))
    assert torch.equal(occluded[:, ~covered], image[:, ~covered])
    assert covered.any()
    assert (occluded[:, covered] != image[:, covered]).any(0).float().mean() > 0.9


def test_bands_reach_across_and_lie_everywhere():
    rows = torch.zeros(SIZE[0])
    for seed in range(200):
        _, covered = Patch((0.08, 0.4), (1.0, 1.0))(photo(), POINTS, np.random.default_rng(seed))
        assert torch.equal(covered.all(1), covered.any(1)), "a band must reach from edge to edge"
        rows += covered[:, 0]
    # The first and the last rows are covered at least half as often as those in the middle.
    assert rows[[0, -1]].min() > rows[24:40].mean() / 3


def test_patches_are_of_many_kinds():
    drawn = [Patch(white=0.5)(photo(), POINTS, np.random.default_rng(seed)) for seed in range(100)]
    white = [bool((image[:, covered] == 255).all()) for image, covered in drawn]
    assert 30 < sum(white) < 70
    boxes = 0
    for _, covered in drawn:
        rows, columns = covered.any(1).sum(), covered.any(0).sum()
        boxes += int(covered.sum() == rows * columns)
    assert 30 < boxes < 90, "boxes and ellipses are both drawn"


@pytest.mark.parametrize("seed", range(20))
def test_textures_have_their_size_and_stay_finite(seed):
    surface = texture(17, 5, np.random.default_rng(seed))
    assert surface.shape == (17, 5, 3) and np.isfinite(surface).all()


def test_a_mixture_follows_its_weights():
    first, second = Block((Box(0, 0, 10, 48),)), Block((Box(50, 0, 64, 48),))
    mixture = Mixture({"a": first, "b": second, "clean": Nothing()}, {"a": 3, "b": 1, "clean": 0}, twice=0)
    drawn = [mixture(photo(), POINTS, np.random.default_rng(seed))[1] for seed in range(200)]
    share = np.mean([bool(covered[0, 0]) for covered in drawn])
    assert 0.65 < share < 0.85
    assert all(covered.any() for covered in drawn)


def test_two_at_once_are_covered_together():
    both = Mixture(
        {"a": Block((Box(0, 0, 10, 48),)), "b": Block((Box(50, 0, 64, 48),))}, {"a": 1, "b": 1}, 1.0
    )
    masks = [both(photo(), POINTS, np.random.default_rng(seed))[1] for seed in range(30)]
    assert any(mask[0, 0] and mask[63, 0] for mask in masks)


def test_every_occluder_of_the_segmentation_has_a_weight():
    for split in ("train", "val", "test"):
        assert set(worn_occluders(split)) == set(WORN_WEIGHTS)
    assert sum(WORN_WEIGHTS.values()) == pytest.approx(1)


def test_every_varied_occluder_has_a_weight():
    for split in SPLITS:
        occluders = varied_occluders(split, PIECES)
        assert set(occluders) == set(VARIED_WEIGHTS) and set(worn_occluders(split)) < set(occluders)
        assert all(getattr(one, "split", split) == split for one in occluders.values())
    assert sum(VARIED_WEIGHTS.values()) == pytest.approx(1)


def test_a_varied_mixture_draws_all_of_its_parts():
    counts = dict.fromkeys(VARIED_WEIGHTS, 0)

    def counted(name):
        def count(image, landmarks, rng):
            counts[name] += 1
            return image, torch.zeros(SIZE, dtype=torch.bool)

        return count

    mixture = Mixture({name: counted(name) for name in varied_occluders("train", PIECES)}, VARIED_WEIGHTS)
    rng = np.random.default_rng(0)
    for _ in range(2000):
        mixture(photo(), POINTS, rng)
    for name, weight in VARIED_WEIGHTS.items():
        assert counts[name] / 2000 == pytest.approx(weight, abs=0.025)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("occluder", [WHITE_BLOCK, Patch(), Nothing()], ids=["block", "patch", "nothing"])
def test_a_photo_that_nothing_is_done_to_is_the_occluders_own(occluder, seed):
    plain = Photographed(occluder, "train", changed=0, lit=0, poor=0, tight=0)
    rng, same = np.random.default_rng(seed), np.random.default_rng(seed)
    occluded, covered = plain(photo(), POINTS, rng)
    same.random(4), same.integers(6, size=2)  # what is decided first
    wanted = occluder(photo(), POINTS, same)
    assert torch.equal(occluded, wanted[0]) and torch.equal(covered, wanted[1])
    assert rng.random() == same.random()


@pytest.mark.parametrize("split", SPLITS)
def test_no_harmless_change_ever_counts_as_covered(split):
    every = Photographed(Nothing(), split, changed=1, lit=1, poor=1, tight=1)
    for seed in range(40):
        image = photo()
        changed, covered = every(image, POINTS, np.random.default_rng(seed))
        assert torch.equal(image, photo())
        assert (
            changed.shape == image.shape and changed.dtype == torch.uint8 and not torch.equal(changed, image)
        )
        assert covered.shape == SIZE and covered.dtype == torch.bool and not covered.any()


def test_light_and_poor_photos_leave_the_mask_as_it_was():
    spoilt = Photographed(WHITE_BLOCK, "train", changed=1, lit=1, poor=1, tight=0)
    wanted = WHITE_BLOCK(photo(), POINTS, np.random.default_rng(0))[1]
    for seed in range(20):
        occluded, covered = spoilt(photo(), POINTS, np.random.default_rng(seed))
        assert torch.equal(covered, wanted) and not torch.equal(occluded[:, covered], photo()[:, covered])


def test_the_mask_moves_with_a_tight_crop():
    # White on black: the photo itself says what is covered.
    black, moved = torch.zeros((3, *SIZE), dtype=torch.uint8), 0
    tight = Photographed(WHITE_BLOCK, "train", changed=0, lit=0, poor=0, tight=1)
    before = WHITE_BLOCK(black, POINTS, np.random.default_rng(0))[1]
    for seed in range(30):
        occluded, covered = tight(black, POINTS, np.random.default_rng(seed))
        assert covered.dtype == torch.bool and torch.equal(covered, occluded[0] == 255)
        moved += not torch.equal(covered, before)
    assert moved > 14


def test_photos_are_changed_as_often_as_is_said():
    for name in ("changed", "lit", "poor", "tight"):
        chances = dict.fromkeys(("changed", "lit", "poor", "tight"), 0.0) | {name: 0.5}
        one = Photographed(Nothing(), "train", **chances)
        count = sum(
            not torch.equal(one(photo(), POINTS, np.random.default_rng(seed))[0], photo())
            for seed in range(120)
        )
        assert 40 < count < 78, name


@pytest.mark.parametrize("split", SPLITS)
def test_what_the_segmentation_learns_from_is_sound(split):
    training = Photographed(Mixture(varied_occluders(split, PIECES), VARIED_WEIGHTS), split)
    shares = []
    for seed in range(60):
        image = photo()
        occluded, covered = training(image, POINTS, np.random.default_rng(seed))
        again = training(image, POINTS, np.random.default_rng(seed))
        assert torch.equal(image, photo())
        assert torch.equal(occluded, again[0]) and torch.equal(covered, again[1])
        assert occluded.shape == (3, *SIZE) and occluded.dtype == torch.uint8 and covered.dtype == torch.bool
        shares.append(float(covered.float().mean()))
    assert 0.1 < np.mean(np.array(shares) == 0) < 0.5 and 0.1 < np.mean(shares) < 0.4
