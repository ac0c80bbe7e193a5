import torch

from pdsn.training.augment import Augmentation


def faces() -> torch.Tensor:
    return torch.randint(
        0, 256, (64, 3, 32, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def test_no_augmentation_is_the_identity():
    still = Augmentation(mirror=0, rotate=0, zoom=0, shift=0, light=0)
    torch.testing.assert_close(still(faces(), generator()), faces().float(), atol=0.01, rtol=0)


def test_the_mirror_flips_its_share_exactly():
    flips = Augmentation(mirror=0.5, rotate=0, zoom=0, shift=0, light=0)(faces(), generator())
    same = (flips - faces().float()).abs().amax((1, 2, 3)) < 0.05
    flipped = (flips - faces().flip(3).float()).abs().amax((1, 2, 3)) < 0.05
    assert (same ^ flipped).all()
    assert 20 <= flipped.sum() <= 44


def test_a_shift_moves_by_its_share_of_the_face():
    image = torch.zeros(200, 3, 32, 24, dtype=torch.uint8)
    image[:, :, 14:18, 10:14] = 255
    moved = Augmentation(mirror=0, rotate=0, zoom=0, shift=0.125, light=0)(image, generator())
    weight = moved.sum(1)
    rows = (weight.sum(2) * torch.arange(32)).sum(1) / weight.sum((1, 2)) - 15.5
    columns = (weight.sum(1) * torch.arange(24)).sum(1) / weight.sum((1, 2)) - 11.5
    assert 3.5 < rows.abs().max() <= 4.05 and 2.5 < columns.abs().max() <= 3.05


def test_a_rotation_keeps_the_shape_at_any_aspect():
    image = torch.zeros(100, 3, 64, 24, dtype=torch.uint8)
    image[:, :, 20:44, 11:13] = 255
    turned = Augmentation(mirror=0, rotate=20, zoom=0, shift=0, light=0)(image, generator())
    # Area survives a rotation; a shear by a wrong aspect would change it.
    areas = turned.sum((1, 2, 3)) / image[0].float().sum()
    torch.testing.assert_close(areas, torch.ones(100), atol=0.06, rtol=0)


def test_draws_follow_the_generator_and_stay_in_range():
    first, second = (Augmentation()(faces(), generator()) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, Augmentation()(faces(), torch.Generator().manual_seed(8)))
    assert first.min() >= 0 and first.max() <= 255
