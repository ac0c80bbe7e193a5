import pytest
import torch
from torch.nn import functional as F

from pdsn.networks.backbone import FaceNet
from pdsn.networks.margins import LMCL
from pdsn.networks.mask_generator import MaskGenerator, PairwiseDifferential


@pytest.fixture
def parts():
    torch.manual_seed(0)
    net = FaceNet((64, 48), "resnet18", width=8, embedding=16)
    faces = torch.randint(0, 256, (8, 3, 64, 48), dtype=torch.uint8)
    net(faces)
    clean = net.eval().features(faces).detach()
    occluded = (clean + 0.5 * torch.rand_like(clean)).detach()
    return net, LMCL(16, 5), clean, occluded, torch.arange(8) % 5


def test_masks_lie_between_zero_and_one_and_see_only_the_difference(parts):
    _, _, clean, occluded, _ = parts
    generator = MaskGenerator(clean.shape[1]).eval()
    masks = generator(clean, occluded)
    assert masks.shape == clean.shape
    assert masks.min() > 0 and masks.max() < 1
    torch.testing.assert_close(masks, generator(clean + 3, occluded + 3), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(masks, generator(occluded, clean))


@pytest.mark.parametrize("weight", [0.0, 1.0, 10.0])
@pytest.mark.parametrize("shared", [False, True])
def test_loss_is_equations_1_to_3_under_each_pairs_mask_or_the_batchs_mean_one(parts, weight, shared):
    net, classifier, clean, occluded, labels = parts
    generator = MaskGenerator(clean.shape[1])
    network = PairwiseDifferential(generator, net, classifier, weight, shared=shared).eval()
    found = network(clean, occluded, labels)
    mask = network.generator(clean, occluded)
    if shared:
        mask = torch.stack([sum(mask) / 8] * 8)
    l_diff = ((mask * clean) - (mask * occluded)).abs().sum() / clean.numel()

    def log_p(maps):
        embedding = F.normalize(net.head(maps))
        cosine = embedding @ F.normalize(classifier.weight).T
        rows = torch.arange(8)
        logits = 30 * cosine
        logits[rows, labels] = 30 * (cosine[rows, labels] - 0.35)
        return logits.log_softmax(1)[rows, labels]

    l_cls = (-0.5 * log_p(mask * occluded) - 0.5 * log_p(mask * clean)).mean()
    torch.testing.assert_close(found["loss_diff"], l_diff)
    torch.testing.assert_close(found["loss_cls"], l_cls)
    torch.testing.assert_close(found["loss"], l_cls + weight * l_diff)


def test_only_the_generator_trains(parts):
    net, classifier, clean, occluded, labels = parts
    network = PairwiseDifferential(MaskGenerator(clean.shape[1]), net, classifier, 10.0, shared=False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network.train()
    for _ in range(3):
        optimizer.zero_grad()
        network(clean, occluded, labels)["loss"].backward()
        optimizer.step()
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved and all(name.startswith("generator.") for name in moved)
    assert any("running_mean" in name for name in moved), "the generator's own BatchNorm does learn"


def test_a_generator_learns_to_drop_what_the_occlusion_corrupts(parts):
    net, classifier, clean, _, labels = parts
    occluded = clean.clone()
    occluded[:, :16] = 4 * torch.rand(8, 16, *clean.shape[2:])
    network = PairwiseDifferential(MaskGenerator(clean.shape[1]), net, classifier, 1000.0, shared=False)
    optimizer = torch.optim.AdamW(network.generator.parameters(), lr=5e-2)
    network.train()
    for _ in range(100):
        optimizer.zero_grad()
        network(clean, occluded, labels)["loss"].backward()
        optimizer.step()
    masks = network.eval().generator(clean, occluded)
    assert masks[:, :16].mean() < masks[:, 16:].mean() - 0.2
