"""SENet50: the counts of papers/001, what trains, and that a cut changes nothing."""

import pytest
import torch
from torch import nn

from pdsn.errors import PdsnError
from pdsn.networks.senet import BLOCKS, LAST_LAYERS, MEAN, SENet50


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = SENet50((64, 48), side=64).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):  # so that every block changes what passes it
            nn.init.uniform_(module.weight, 0.5, 1.0)
    return net


@pytest.fixture
def faces():
    return torch.randint(
        0, 256, (2, 3, 64, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


def test_it_has_as_many_weights_as_the_keras_network(net):
    running = sum(
        b.numel() for name, b in net.network.named_buffers() if not name.endswith("num_batches_tracked")
    )
    assert sum(p.numel() for p in net.parameters()) + running == 26_092_144


# The counts of the Keras network, in millions where the paper's text gives no more.
@pytest.mark.parametrize(
    ("layers", "count"), [(10, 0.526464), (20, 4.98), (40, 12.06), (50, 13.64), (60, 16.59), (70, 17.51)]
)
def test_the_last_layers_have_as_many_weights_as_theirs(net, layers, count):
    net.train_last(layers)
    trainable = [(name, p.numel()) for name, p in net.named_parameters() if p.requires_grad]
    assert sum(size for _, size in trainable) / 1e6 == pytest.approx(count, abs=0.005 if layers > 10 else 0)
    assert not any(".bn" in name or "downsample.1" in name for name, _ in trainable)


def test_more_layers_hold_the_fewer_and_none_train_at_zero(net):
    before: set[str] = set()
    for layers in LAST_LAYERS:
        net.train_last(layers)
        now = {name for name, p in net.named_parameters() if p.requires_grad}
        assert before < now
        before = now
    assert net.train_last(0) == len(BLOCKS) and not any(p.requires_grad for p in net.parameters())


@pytest.mark.parametrize("layers", [0, 10, 30, 40, 50, 60, 70])
def test_a_cut_changes_nothing_and_all_that_trains_lies_behind_it(net, faces, layers):
    block = net.train_last(layers)
    with torch.no_grad():
        whole = net.features(faces)
        torch.testing.assert_close(net.behind(net.before(faces, block), block), whole)
    trained = {name for name, p in net.network.named_parameters() if p.requires_grad}
    assert all(any(name.startswith(f"{own}.") for own in BLOCKS[block:]) for name in trained)
    if layers:
        assert any(name.startswith(f"{BLOCKS[block]}.") for name in trained), (
            "the cut is as late as it can be"
        )


def test_its_embedding_is_a_mean_that_is_nowhere_negative(net, faces):
    maps = net.features(faces)
    assert tuple(maps.shape[1:]) == net.map_shape == (2048, 2, 2) and maps.min() >= 0
    torch.testing.assert_close(net.head(maps), maps.flatten(2).sum(2) / 4)


@pytest.mark.parametrize(
    ("colours", "wanted"),
    [
        ("mixed", [200 - MEAN[2], 100 - MEAN[1], 50 - MEAN[0]]),
        ("rgb", [200 - MEAN[0], 100 - MEAN[1], 50 - MEAN[2]]),
        ("bgr", [50 - MEAN[2], 100 - MEAN[1], 200 - MEAN[0]]),
    ],
)
def test_what_is_subtracted_from_which_colour(colours, wanted):
    net, seen = SENet50((32, 32), 32, colours), []
    net.network.layer0.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    net.before(torch.tensor([200, 100, 50], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 32, 32), 0)
    torch.testing.assert_close(seen[0][0, :, 5, 5], torch.tensor(wanted))


def test_weights_of_timm_load_and_others_are_named(faces):
    import timm

    torch.manual_seed(2)
    theirs = timm.create_model("legacy_seresnet50", num_classes=7).eval()
    ours = SENet50((64, 48), 64, "rgb").eval()
    ours.load(theirs.state_dict(), "weights.safetensors")
    seen = []
    ours.network.layer0.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    torch.testing.assert_close(ours.features(faces), theirs.forward_features(seen[0]))
    less = {name: value for name, value in theirs.state_dict().items() if name != "layer3.2.conv1.weight"}
    with pytest.raises(
        PdsnError, match="w.safetensors is no SENet50: there is no tensor layer3.2.conv1.weight"
    ):
        ours.load(less, "w.safetensors")
    with pytest.raises(PdsnError, match=r"layer0.conv1.weight is \(3, 3\), not \(64, 3, 7, 7\)"):
        ours.load({**less, "layer0.conv1.weight": torch.zeros(3, 3)}, "w.safetensors")
