import pytest
import torch
from pytorch_metric_learning.losses import CosFaceLoss

from pdsn.networks.margins import LMCL


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
