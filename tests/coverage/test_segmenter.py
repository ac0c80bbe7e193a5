import numpy as np
import pytest
import torch

from pdsn.coverage.segmenter import SegmentationNet, load_segmenter, segmenter_folder
from pdsn.coverage.settings import SegmentConfig
from pdsn.coverage.training import OccludedBatches, SegmentationLoss, train_segmenter
from pdsn.errors import PdsnError
from pdsn.occlusion.layouts import LandmarkStatistics, make_layout
from pdsn.runtime import start

CONFIG = SegmentConfig(encoder="vgg11_bn", height=32, steps=4, batch=4, validations=2)


@pytest.fixture(scope="module")
def accelerator():
    return start("cpu", "fp32")


def triggers(dataset):
    return make_layout("LM2", LandmarkStatistics.of(dataset.landmarks, dataset.size), 0.57)


@pytest.mark.parametrize("encoder", ["vgg11_bn", "resnet18"])
@pytest.mark.parametrize("size", [(64, 48), (112, 96), (33, 47)])
def test_logits_have_the_size_of_the_faces(size, encoder):
    torch.manual_seed(0)
    net = SegmentationNet(encoder, 32).eval()
    faces = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    with torch.inference_mode():
        logits = net(faces)
    net.train()(faces).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())  # none is there for nothing
    assert logits.shape == (2, *size) and logits.dtype == torch.float32 and logits.isfinite().all()


def no_base():
    raise AssertionError("a U-Net needs no base")


def test_the_loss_is_cross_entropy_plus_dice():
    class Fixed(torch.nn.Module):
        def forward(self, faces):
            return torch.tensor([[[2.0, -1.0]], [[0.5, -3.0]]])

    covered = torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]]])
    losses = SegmentationLoss(Fixed())(torch.zeros(2, 3, 1, 2), covered)
    p = 1 / (1 + np.exp(-np.array([[2.0, -1.0], [0.5, -3.0]])))
    y = covered[:, 0].numpy()
    entropy = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
    dice = 1 - np.mean((2 * (p * y).sum(1) + 1) / (p.sum(1) + y.sum(1) + 1))
    assert losses["loss"].item() == pytest.approx(entropy + dice, rel=1e-5)


def test_batches_follow_from_the_seed_and_the_step(dataset, accelerator):
    rows = dataset.rows("train")
    one, same, other = (OccludedBatches(dataset, rows, CONFIG, seed, accelerator) for seed in (0, 0, 1))
    assert len(one) == 2
    first, second = list(one.epoch(0)), list(one.epoch(1))
    assert len(first) == len(second) == 2
    faces, covered = first[0]
    assert faces.shape == (4, 3, 64, 48) and covered.shape == (4, 64, 48)
    assert faces.min() >= 0 and faces.max() <= 255 and covered.min() >= 0 and covered.max() <= 1
    assert all(torch.equal(a[0], b[0]) for a, b in zip(first, same.epoch(0), strict=True))
    assert not torch.equal(faces, second[0][0]) and not torch.equal(faces, next(iter(other.epoch(0)))[0])


def test_training_ends_with_figures_and_loads_again(dataset, accelerator, tmp_path):
    folder = segmenter_folder(tmp_path, CONFIG, dataset, 0, None)
    assert not folder.open()
    best = train_segmenter(dataset, CONFIG, folder, accelerator, 0, triggers(dataset))
    assert 0 <= best["iou"] <= 1 and 0 <= best["triggered"] <= 1
    assert {"iou face-mask", "accuracy clean", "iou band"} <= set(best)
    assert "iou clean" not in best
    segmenter = load_segmenter(folder, accelerator, no_base)
    faces = dataset.tensor(dataset.rows("test")[:5])
    found = segmenter.covered(faces)
    assert found.shape == (5, 64, 48) and found.dtype == torch.bool
    whole = segmenter.net(faces) > 0
    assert torch.equal(found, whole)
    segmenter.batch = 2
    assert torch.equal(segmenter.covered(faces), found), "batches must not change the answer"
    assert segmenter.covered(faces[:0]).shape == (0, 64, 48)


def test_a_missing_or_foreign_segmentation_names_the_command(dataset, accelerator, tmp_path):
    folder = segmenter_folder(tmp_path, CONFIG, dataset, 0, None)
    with pytest.raises(PdsnError, match="make it with `pdsn segment-train`"):
        load_segmenter(folder, accelerator, no_base)


@pytest.mark.slow
def test_it_learns_to_find_what_is_covered(dataset, accelerator, tmp_path):
    config = SegmentConfig(
        encoder="vgg11_bn", height=32, occlusions="worn", steps=100, batch=8, validations=1
    )
    folder = segmenter_folder(tmp_path, config, dataset, 0, None)
    folder.open()
    best = train_segmenter(dataset, config, folder, accelerator, 0, triggers(dataset))
    assert best["iou"] > 0.6 and best["triggered"] < 0.1
