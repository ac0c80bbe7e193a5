import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion
from skimage.morphology import convex_hull_image

from pdsn.occlusion.artwork import SPLITS
from pdsn.occlusion.cutouts import CutOut, _piece

SIZE = (96, 80)
NOWHERE = torch.full((5, 2), torch.nan)


def photo() -> torch.Tensor:
    return torch.randint(60, 200, (3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def plain(*colour: int) -> torch.Tensor:
    return torch.tensor(colour, dtype=torch.uint8)[:, None, None].expand(3, 50, 40)


def masks(split: str, count: int = 40) -> list[torch.Tensor]:
    occluder = CutOut(plain(250, 0, 0)[None], split)
    drawn = [occluder(photo(), NOWHERE, np.random.default_rng(seed))[1] for seed in range(count)]
    return [mask for mask in drawn if mask.any()]


@pytest.mark.parametrize("split", SPLITS)
def test_what_is_laid_on_comes_from_the_photos(split):
    occluder = CutOut(torch.stack([plain(200, 0, 0), plain(0, 0, 200)]), split)
    colours = set()
    for seed in range(20):
        occluded, covered = occluder(photo(), NOWHERE, np.random.default_rng(seed))
        within = torch.from_numpy(binary_erosion(covered.numpy(), iterations=4))  # behind the soft edge
        if within.sum() < 20:
            continue
        red, green, blue = occluded[:, within].float().median(1).values.tolist()
        assert green < 10 and min(red, blue) < 10 and 0.6 * 200 < max(red, blue) < 1.25 * 200
        colours.add(red > blue)
    assert colours == {True, False}, "of all photos"


def test_landmarks_do_not_matter():
    occluder = CutOut(photo()[None], "train")
    one, two = (occluder(photo(), points, np.random.default_rng(0)) for points in (NOWHERE, torch.ones(5, 2)))
    assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])


def test_outlines_are_round_in_training_straight_in_validation_bands_in_the_test():
    def hollow(mask):
        return (
            1 - float(mask.float().mean()) / convex_hull_image(mask.numpy(), offset_coordinates=False).mean()
        )

    def edges(mask):
        return sum(bool(side.any()) for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))

    large = {split: [mask for mask in masks(split) if mask.sum() > 400] for split in SPLITS}
    assert max(hollow(mask) for mask in large["train"]) > 0.05, "blobs have hollows"
    assert max(hollow(mask) for mask in large["val"]) < 0.001, "triangles to hexagons have none"
    assert max(hollow(mask) for mask in large["test"]) < 0.01
    assert all(edges(mask) >= 2 for mask in large["test"]), "a band goes from edge to edge"
    assert np.mean([edges(mask) >= 2 for mask in large["train"]]) < 0.5


def test_pieces_lie_everywhere():
    shares = torch.stack(masks("train", 150)).float().mean(0)
    assert shares.min() > 0 and shares[40:56, 32:48].mean() < 5 * shares[:16, :16].mean().clamp_min(1e-6)


@pytest.mark.parametrize("rows", [True, False])
def test_a_piece_is_one_to_three_times_as_large(rows):
    ramp = torch.linspace(0, 240, 60 if rows else 40).to(torch.uint8)
    ramp = (ramp[:, None].expand(60, 40) if rows else ramp[None].expand(60, 40)).expand(3, 60, 40)
    shown, mirrored = [], set()
    for seed in range(60):
        piece = _piece(ramp, SIZE, np.random.default_rng(seed))
        assert piece.shape == (3, *SIZE)
        line = piece[0, :, 0] if rows else piece[0, 0]
        shown.append(float(line.max() - line.min()) / 240)
        mirrored.add(bool(line[0] > line[-1]))
    assert 0.27 < min(shown) < 0.45 and 0.85 < max(shown) <= 1.0
    assert mirrored == {True, False}
