"""The contrastive loss, recomputed pair by pair and by pytorch-metric-learning."""

import math

import pytest
import torch
from pytorch_metric_learning.losses import ContrastiveLoss
from torch.nn import functional as F

from pdsn.networks.pair_losses import contrastive_loss, listed_contrastive_loss


def by_hand(a, b, same, margin):
    kinds = {True: [], False: []}
    for i, one in enumerate(F.normalize(a)):
        for j, other in enumerate(F.normalize(b)):
            distance = math.dist(one.tolist(), other.tolist())
            alike = bool(same[i, j])
            kinds[alike].append(distance**2 / 2 if alike else max(0.0, margin - distance) ** 2 / 2)
    return sum(sum(costs) / len(costs) for costs in kinds.values() if costs)


@pytest.mark.parametrize("margin", [0.5, 1.0, 1.9])
def test_every_pair_costs_what_the_equation_says(margin):
    torch.manual_seed(0)
    a, b = torch.randn(5, 7) * 3, torch.randn(4, 7)
    same = torch.tensor([0, 1, 2, 0, 1])[:, None] == torch.tensor([0, 1, 1, 2])[None]
    assert contrastive_loss(a, b, same, margin).item() == pytest.approx(by_hand(a, b, same, margin), abs=1e-5)


def test_of_two_people_only_near_pairs_are_averaged():
    torch.manual_seed(4)
    a, b = torch.randn(6, 5), torch.randn(7, 5)
    same = torch.tensor([0, 1, 2, 0, 1, 2])[:, None] == torch.tensor([0, 1, 1, 2, 3, 4, 5])[None]
    whole = contrastive_loss(a, b, same, 1.2).item()
    found = contrastive_loss(a, b, same, 1.2, near=True).item()
    distance = torch.cdist(F.normalize(a), F.normalize(b))
    near = distance[~same & (distance < 1.2)]
    wanted = (distance[same].square().mean() + (1.2 - near).square().mean()) / 2
    assert found == pytest.approx(wanted.item(), abs=1e-5) and found > whole


def test_pytorch_metric_learning_says_the_same_of_distances():
    """Its loss takes the distance as it is, not squared: with one pair of each kind the squares can be undone."""
    torch.manual_seed(1)
    a = torch.randn(1, 6)
    b = torch.cat([a + 0.3 * torch.randn(1, 6), a + 0.8 * torch.randn(1, 6)])
    theirs = ContrastiveLoss(pos_margin=0, neg_margin=1.5)
    twice, zeros = a.repeat(2, 1), torch.zeros(2, dtype=torch.int64)  # of a single pair it makes nothing
    near = theirs(twice, zeros, ref_emb=b[:1], ref_labels=zeros[:1]).item()
    far = theirs(twice, zeros, ref_emb=b[1:], ref_labels=zeros[:1] + 1).item()
    ours = contrastive_loss(a, b, torch.tensor([[True, False]]), 1.5).item()
    assert near > 0 and far > 0
    assert ours == pytest.approx((near**2 + far**2) / 2, abs=1e-5)


def test_without_a_pair_of_a_kind_its_mean_is_nothing():
    torch.manual_seed(2)
    a, b = torch.randn(3, 4), torch.randn(2, 4)
    same = torch.ones(3, 2, dtype=torch.bool)
    assert contrastive_loss(a, b, same, 1.0).item() == pytest.approx(by_hand(a, b, same, 1.0), abs=1e-5)


def test_a_photo_that_meets_itself_has_a_finite_slope():
    a = torch.randn(2, 4, requires_grad=True)
    contrastive_loss(a, a, torch.zeros(2, 2, dtype=torch.bool), 1.0).backward()
    assert torch.isfinite(a.grad).all()


@pytest.mark.parametrize("squared", [True, False])
def test_listed_pairs_cost_what_the_paper_says(squared):
    torch.manual_seed(3)
    a, b, same = torch.randn(6, 5) * 2, torch.randn(6, 5), torch.tensor([1, 0, 1, 0, 0, 1], dtype=torch.bool)
    margin = 5.0 if squared else 1.2
    costs = []
    for one, other, alike in zip(F.normalize(a), F.normalize(b), same, strict=True):
        distance = math.dist(one.tolist(), other.tolist()) ** (2 if squared else 1)
        costs.append(distance**2 if alike else max(0.0, margin - distance) ** 2)
    found = listed_contrastive_loss(a, b, same, margin, squared=squared).item()
    assert found == pytest.approx(sum(costs) / len(costs), abs=1e-5)


def test_with_001s_margin_two_people_are_never_far_enough_apart():
    a = torch.tensor([[1.0, 0.0]], requires_grad=True)
    listed_contrastive_loss(a, torch.tensor([[-0.99, 0.1]]), torch.tensor([False]), 5.0).backward()
    assert a.grad.abs().max() > 0.1
