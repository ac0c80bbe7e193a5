import math

import pytest
import torch
from pytorch_metric_learning.losses import ArcFaceLoss, CosFaceLoss

from pdsn.networks.margins import LMCL, ArcFace


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("scale", "margin"), [(30.0, 0.35), (64.0, 0.0), (16.0, 0.2)])
def test_lmcl_agrees_with_the_reference_library(dtype, scale, margin):
    torch.manual_seed(0)
    loss = LMCL(16, 7, scale, margin)
    oracle = CosFaceLoss(7, 16, margin=margin, scale=scale)
    oracle.W.data = loss.weight.data.T.clone()
    embeddings, labels = torch.randn(12, 16, dtype=dtype), torch.arange(12) % 7
    torch.testing.assert_close(
        loss(embeddings, labels).double(), oracle(embeddings.float(), labels).double(), rtol=1e-5, atol=1e-5
    )


def test_lmcl_by_hand():
    loss = LMCL(2, 2, scale=10.0, margin=0.5)
    loss.weight.data = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    # cos = (.6, .8); the true class loses .5: logits (1, 8).
    logits = loss.logits(torch.tensor([[3.0, 4.0]]), torch.tensor([0]))
    torch.testing.assert_close(logits, torch.tensor([[1.0, 8.0]]))


def test_cosines_stay_in_float32_under_autocast():
    torch.manual_seed(0)
    loss = LMCL(512, 100)
    embeddings, labels = torch.randn(8, 512), torch.arange(8)
    with torch.autocast("cpu", torch.bfloat16):
        logits = loss.logits(embeddings, labels)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, loss.logits(embeddings, labels))


def test_half_the_margin_is_the_loss_of_half_the_margin():
    embeddings, labels = torch.randn(5, 16), torch.tensor([0, 3, 6, 1, 3])
    whole, half = LMCL(16, 7, 30.0, 0.4), LMCL(16, 7, 30.0, 0.2)
    half.load_state_dict(whole.state_dict())
    assert torch.allclose(whole(embeddings, labels, 0.5), half(embeddings, labels))
    assert not torch.allclose(whole(embeddings, labels), half(embeddings, labels))


@pytest.mark.parametrize(("scale", "margin"), [(64.0, 0.5), (30.0, 0.0), (16.0, 1.2)])
def test_arcface_agrees_with_the_reference_library(scale, margin):
    torch.manual_seed(0)
    loss = ArcFace(16, 7, scale, margin)
    oracle = ArcFaceLoss(7, 16, margin=math.degrees(margin), scale=scale)
    oracle.W.data = loss.weight.data.T.clone()
    labels = torch.arange(12) % 7
    # Some embeddings point away from their class, where the margin would pass pi.
    embeddings = torch.randn(12, 16)
    embeddings[:4] = -loss.weight.data[labels[:4]] + 0.1 * torch.randn(4, 16)
    torch.testing.assert_close(loss(embeddings, labels), oracle(embeddings, labels), rtol=1e-4, atol=1e-4)


def test_arcface_by_hand():
    loss = ArcFace(2, 2, scale=10.0, margin=0.5)
    loss.weight.data = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    angle = math.radians(30)
    logits = loss.logits(torch.tensor([[4 * math.cos(angle), 4 * math.sin(angle)]]), torch.tensor([0]))
    torch.testing.assert_close(logits, torch.tensor([[10 * math.cos(angle + 0.5), 10 * math.sin(angle)]]))


def test_arcface_falls_with_the_angle_and_has_a_slope_everywhere():
    loss = ArcFace(2, 2, scale=1.0, margin=0.5)
    loss.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    angles = torch.linspace(0, math.pi, 50)
    faces = torch.stack([angles.cos(), angles.sin()], 1).requires_grad_()
    logits = loss.logits(faces, torch.zeros(50, dtype=torch.int64))[:, 0]
    assert (logits.diff() < 0).all()
    logits.sum().backward()
    assert torch.isfinite(faces.grad).all()


def test_hits_do_not_count_the_margin():
    loss = ArcFace(2, 2, margin=1.0)
    loss.weight.data = torch.eye(2)
    embeddings = torch.tensor([[1.0, 0.9], [0.9, 1.0], [1.0, 0.9]])
    assert float(loss.hit_rate(embeddings, torch.tensor([0, 1, 1]))) == pytest.approx(2 / 3)
