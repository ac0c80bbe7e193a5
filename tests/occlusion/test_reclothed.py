import numpy as np
import pytest
import torch

from pdsn.occlusion.layouts import Box
from pdsn.occlusion.occluders import Block, Nothing
from pdsn.occlusion.reclothed import Reclothed
from pdsn.occlusion.worn import Worn

SIZE = (112, 96)
POINTS = torch.tensor([[30.0, 51], [65, 51], [48, 71], [33, 92], [62, 92]])
BLOCK = Block((Box(60, 10, 100, 80),))


def photo() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(60, 200, (3, *SIZE), dtype=np.uint8))


@pytest.mark.parametrize("occluder", [BLOCK, Worn("face-mask", "train")], ids=["block", "face-mask"])
def test_another_cloth_covers_the_same_pixels_and_leaves_the_others(occluder):
    occluded, covered = occluder(photo(), POINTS, np.random.default_rng(3))
    other, same = Reclothed(occluder, 1.0)(photo(), POINTS, np.random.default_rng(3))
    assert torch.equal(same, covered) and other.dtype == torch.uint8
    assert torch.equal(other[:, ~covered], occluded[:, ~covered])
    assert (other[:, covered] != occluded[:, covered]).float().mean() > 0.5


def test_a_share_of_draws_has_another_cloth():
    white = [
        bool((Reclothed(BLOCK, 0.3)(photo(), POINTS, np.random.default_rng(seed))[0][:, 70, 40] == 255).all())
        for seed in range(300)
    ]
    assert 0.6 < np.mean(white) < 0.8


def test_folds_stay():
    """Where the thing itself is darker, so is its other cloth."""

    def folded(image, landmarks, rng):
        del landmarks, rng
        occluded, covered = image.clone(), torch.zeros(SIZE, dtype=torch.bool)
        covered[20:60] = True
        occluded[:, 20:40], occluded[:, 40:60] = 200, 140
        return occluded, covered

    ratios = []
    for seed in range(30):
        other, _ = Reclothed(folded, 1.0)(photo(), POINTS, np.random.default_rng(seed))
        ratios.append(float(other[:, 40:60].float().mean() / other[:, 20:40].float().mean().clamp(min=1)))
    assert np.median(ratios) == pytest.approx(140 / 200, abs=0.12)


def test_a_clean_photo_stays():
    occluded, covered = Reclothed(Nothing(), 1.0)(photo(), POINTS, np.random.default_rng(0))
    assert torch.equal(occluded, photo()) and not covered.any()


def test_one_covered_pixel_is_enough():
    one = Block((Box(5, 5, 6, 6),))
    occluded, covered = Reclothed(one, 1.0)(photo(), POINTS, np.random.default_rng(0))
    assert covered.sum() == 1 and torch.equal(occluded[:, ~covered], photo()[:, ~covered])
