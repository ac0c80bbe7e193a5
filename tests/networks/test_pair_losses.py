"""Losses on pairs, recomputed one by one and by pytorch-metric-learning."""

import math

import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import ContrastiveLoss, TripletMarginLoss
from pytorch_metric_learning.reducers import MeanReducer
from torch.nn import functional as F

from pdsn.networks.margins import LMCL
from pdsn.networks.pair_losses import (
    contrastive_loss,
    listed_contrastive_loss,
    margin_in_batch,
    self_restrained_triplet_loss,
    triplet_loss,
)


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
    found = contrastive_loss(a, b, same, 1.2, "near").item()
    distance = torch.cdist(F.normalize(a), F.normalize(b))
    near = distance[~same & (distance < 1.2)]
    wanted = (distance[same].square().mean() + (1.2 - near).square().mean()) / 2
    assert found == pytest.approx(wanted.item(), abs=1e-5) and found > whole


@pytest.mark.parametrize("margin", [1.0, 1.4])
def test_of_two_people_each_faces_nearest_pair_is_averaged(margin):
    torch.manual_seed(14)
    a, b = torch.randn(4, 5), torch.randn(6, 5)
    ours, theirs = [0, 0, 0, 1], [0, 1, 0, 2, 1, 0]
    same = torch.tensor(ours)[:, None] == torch.tensor(theirs)[None]
    rows, columns = F.normalize(a).tolist(), F.normalize(b).tolist()
    genuine, nearest = [], []
    for one, person in zip(rows, ours, strict=True):
        distances = [(math.dist(one, other), who) for other, who in zip(columns, theirs, strict=True)]
        genuine += [distance**2 / 2 for distance, who in distances if who == person]
        nearest.append(min(distance for distance, who in distances if who != person))
    for other, person in zip(columns, theirs, strict=True):
        nearest.append(
            min(math.dist(one, other) for one, who in zip(rows, ours, strict=True) if who != person)
        )
    costs = [max(0.0, margin - distance) ** 2 / 2 for distance in nearest]
    wanted = sum(genuine) / len(genuine) + sum(costs) / len(costs)
    assert sum(costs) > 0
    assert contrastive_loss(a, b, same, margin, "nearest").item() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("impostors", ["nearest", "near", "all"])
def test_faces_of_nobody_else_cost_by_their_own_person_alone(impostors):
    a, b = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(15)).requires_grad_()
    same = torch.ones(3, 3, dtype=torch.bool)
    found = contrastive_loss(a, b, same, 1.2, impostors)
    assert found.item() == pytest.approx(by_hand(a.detach(), b.detach(), same, 1.2), abs=1e-5)


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


def squared_distances(a, p, n):
    """Of a and p, a and n, p and n, each a list."""
    a, p, n = (F.normalize(one).tolist() for one in (a, p, n))
    return [
        [math.dist(*both) ** 2 for both in zip(one, other, strict=True)]
        for one, other in ((a, p), (a, n), (p, n))
    ]


def triplets(seed, near=None):
    """Three triplets whose anchors lie about the "positives" or the "negatives", or anywhere."""
    torch.manual_seed(seed)
    p, n, noise = torch.randn(3, 6) * 2, torch.randn(3, 6), torch.randn(3, 6)
    return {"positives": p, "negatives": n, None: 0 * p}[near] + 0.8 * noise, p, n


@pytest.mark.parametrize("margin", [0.0, 0.5, 2.0])
def test_triplets_cost_what_the_reference_library_says(margin):
    a, p, n = triplets(5)
    theirs = TripletMarginLoss(
        margin, distance=LpDistance(normalize_embeddings=True, power=2), reducer=MeanReducer()
    )
    rows = torch.arange(3)
    wanted = theirs(
        torch.cat([a, p, n]), torch.tensor([0, 1, 2, 0, 1, 2, 3, 4, 5]), (rows, rows + 3, rows + 6)
    )
    assert triplet_loss(a, p, n, margin).item() == pytest.approx(wanted.item(), abs=1e-5)


def test_triplets_by_hand_cost_no_less_than_nothing():
    a, p, n = triplets(6, near="positives")
    genuine, impostor, _ = squared_distances(a, p, n)
    costs = [max(0.0, one + 2.5 - other) for one, other in zip(genuine, impostor, strict=True)]
    assert 0 < costs.count(0.0) < 3
    assert triplet_loss(a, p, n, 2.5).item() == pytest.approx(sum(costs) / 3, abs=1e-5)


@pytest.mark.parametrize("margin", [2.0, 0.2])
@pytest.mark.parametrize(
    ("seed", "near", "restrained"),
    [(12, None, True), (13, None, True), (8, None, False), (7, "negatives", False)],
)
def test_the_self_restrained_loss_has_two_sides(seed, near, restrained, margin):
    a, p, n = triplets(seed, near)
    genuine, impostor, between = squared_distances(a, p, n)
    assert (sum(impostor) >= sum(between)) == restrained
    far = [sum(between) / 3] * 3 if restrained else impostor
    wanted = sum(max(0.0, one + margin - other) for one, other in zip(genuine, far, strict=True)) / 3
    assert self_restrained_triplet_loss(a, p, n, margin).item() == pytest.approx(wanted, abs=1e-5)
    plain = triplet_loss(a, p, n, margin).item()
    assert (plain == pytest.approx(wanted, abs=1e-3)) == (not restrained)


def test_as_far_as_the_positives_is_far_enough():
    _, p, n = triplets(9)
    between = squared_distances(p, p, n)[2]
    wanted = 2.5 - sum(between) / 3
    assert self_restrained_triplet_loss(p.clone(), p, n, 2.5).item() == pytest.approx(wanted, abs=1e-5)
    assert triplet_loss(p.clone(), p, n, 2.5).item() != pytest.approx(wanted, abs=1e-2)


def test_once_restrained_the_positives_alone_pull():
    _, p, n = triplets(10)
    a = (F.normalize(p) - F.normalize(n)).requires_grad_()
    loss = self_restrained_triplet_loss(a, p, n, 4.0)
    (pulled,) = torch.autograd.grad(loss, a)
    apart = (F.normalize(a) - F.normalize(p)).square().sum(1).mean()
    torch.testing.assert_close(pulled, torch.autograd.grad(apart, a)[0])
    # A negative turned half around its positive is as far from it as before, but not from the anchor.
    axis = F.normalize(p)
    turned = 2 * (n * axis).sum(1, keepdim=True) * axis - n
    assert squared_distances(a, p, turned)[2] == pytest.approx(squared_distances(a, p, n)[2], abs=1e-5)
    assert sum(squared_distances(a, p, turned)[1]) < sum(squared_distances(a, p, n)[1]) - 0.1
    further = F.normalize(a.detach() - 3 * (F.normalize(n) + F.normalize(turned)))
    losses = [self_restrained_triplet_loss(further, p, one, 4.0).item() for one in (n, turned)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def margin_by_hand(scores, labels, scale, margin):
    total = 0.0
    for i, row in enumerate(scores.tolist()):
        own = math.exp(scale * (row[i] - margin))
        others = sum(math.exp(scale * one) for j, one in enumerate(row) if labels[j] != labels[i])
        total -= math.log(own / (own + others))
    return total / len(scores)


@pytest.mark.parametrize("labels", [[0, 1, 2, 3, 4], [0, 1, 0, 2, 1], [3, 3, 3, 3, 1]])
@pytest.mark.parametrize(("scale", "margin"), [(30.0, 0.2), (8.0, 0.0)])
def test_the_margin_loss_of_a_batch_by_hand(labels, scale, margin):
    scores = 2 * torch.rand(5, 5, generator=torch.Generator().manual_seed(11)) - 1
    found = margin_in_batch(scores, torch.tensor(labels), scale, margin).item()
    assert found == pytest.approx(margin_by_hand(scores, labels, scale, margin), rel=1e-5)


def test_a_second_photo_of_ones_own_person_does_not_count():
    scores = 2 * torch.rand(4, 4, generator=torch.Generator().manual_seed(12)) - 1
    labels = torch.tensor([0, 1, 0, 2])
    more = scores.clone().requires_grad_()
    with torch.no_grad():
        more[0, 2], more[2, 0] = 1.0, -1.0
    loss = margin_in_batch(more, labels, 30.0, 0.2)
    assert loss.item() == margin_in_batch(scores, labels, 30.0, 0.2).item()
    loss.backward()
    assert torch.isfinite(more.grad).all() and more.grad[0, 2] == more.grad[2, 0] == 0


def test_where_all_people_differ_it_is_lmcl_with_the_gallery_for_weights():
    torch.manual_seed(13)
    probes, gallery = torch.randn(7, 16) * 3, torch.randn(7, 16)
    loss = LMCL(16, 7, 30.0, 0.35)
    loss.weight.data = gallery
    labels = torch.tensor([40, 2, 9, 1, 0, 7, 5])
    found = margin_in_batch(F.normalize(probes) @ F.normalize(gallery).T, labels, 30.0, 0.35)
    torch.testing.assert_close(found, loss(probes, torch.arange(7)).detach())
