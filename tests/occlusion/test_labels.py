import pytest
import torch

from pdsn.occlusion.labels import difference_labels, foreground_iou, pixel_accuracy


def test_the_difference_finds_a_block_without_specks_or_holes():
    clean = torch.randint(
        60, 200, (1, 3, 64, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    occluded, exact = clean.clone(), torch.zeros(1, 64, 48, dtype=torch.bool)
    exact[:, 20:40, :] = True
    occluded[:, :, 20:40, :] = 255
    occluded[:, :, 30, 10] = clean[:, :, 30, 10]  # a pixel that the block happens to share with the face
    occluded[:, :, 5, 5] = 0  # a speck that is no occlusion
    assert torch.equal(difference_labels(clean, occluded), exact)


def test_small_changes_such_as_compression_are_no_occlusion():
    clean = torch.full((2, 3, 64, 48), 100, dtype=torch.uint8)
    noisy = clean + torch.randint(0, 10, clean.shape, dtype=torch.uint8)
    assert not difference_labels(clean, noisy).any()


def test_darkening_counts_as_much_as_brightening():
    clean = torch.full((1, 3, 64, 48), 100, dtype=torch.uint8)
    dark = clean.clone()
    dark[:, :, 40:] = 20
    assert difference_labels(clean, dark)[0, 40:].all() and not difference_labels(clean, dark)[0, :40].any()


def test_the_border_of_the_photo_takes_nothing_off_an_occlusion():
    clean = torch.full((1, 3, 128, 96), 100, dtype=torch.uint8)
    covered = clean.clone()
    covered[:, :, 100:] = 255
    found = difference_labels(clean, covered)
    assert found[0, 100:].all() and not found[0, :100].any()


def test_agreement_by_hand():
    exact = torch.tensor([[[1, 1], [0, 0]], [[0, 0], [0, 0]]], dtype=torch.bool)
    found = torch.tensor([[[1, 0], [1, 0]], [[0, 0], [0, 0]]], dtype=torch.bool)
    assert pixel_accuracy(found, exact).tolist() == [0.5, 1.0]
    iou = foreground_iou(found, exact)
    assert iou[0] == pytest.approx(1 / 3)
    assert iou[1].isnan()
