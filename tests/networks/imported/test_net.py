from dataclasses import replace

import pytest
import torch
from torch import nn

from pdsn.errors import UsageError
from pdsn.networks.backbone import freeze
from pdsn.networks.imported.architecture import Architecture
from pdsn.networks.imported.net import PretrainedNet
from tests.networks.imported.tiny import Tiny
from tests.networks.imported.tiny import architecture as TINY


def faces(count: int = 3, size: tuple[int, int] = (64, 48)) -> torch.Tensor:
    return torch.randint(
        0, 256, (count, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def built(build) -> PretrainedNet:
    return PretrainedNet(Architecture("odd", build, (64, 48)))


class Bare(nn.Module):
    """Gives the normalised face as its map."""

    def features(self, x):
        return x

    def head(self, maps):
        return maps.mean((2, 3))


@pytest.mark.parametrize(("bgr", "expected"), [(False, (0.0, 3.0, 30.0)), (True, (30.0, 3.0, 0.0))])
def test_normalisation_of_a_pixel_by_hand(bgr, expected):
    net = PretrainedNet(Architecture("bare", Bare, (64, 48), (10, 20, 30), (1, 2, 4), bgr))
    face = torch.zeros(1, 3, 64, 48, dtype=torch.uint8)
    face[0, :, 5, 7] = torch.tensor([10, 26, 150])  # red, green, blue
    for dtype in (torch.uint8, torch.float32):
        seen = net.features(face.to(dtype))
        assert seen.is_contiguous(memory_format=torch.channels_last)
        assert tuple(seen[0, :, 5, 7].tolist()) == expected


def test_shapes_and_the_cut():
    net = PretrainedNet(TINY).eval()
    maps = net.features(faces())
    assert (net.size, net.map_shape, net.embedding) == ((64, 48), (4, 8, 6), 5)
    assert maps.shape == (3, 4, 8, 6)
    assert torch.equal(net.head(maps), net(faces()))
    assert torch.equal(net(faces()), net(faces())), "dropout must be off"
    assert set(net.state_dict()) == {f"network.{name}" for name in Tiny().state_dict()}


def test_finding_the_shapes_leaves_no_trace():
    torch.manual_seed(0)
    plain, after_plain = Tiny().state_dict(), torch.rand(1)

    class Noisy(Tiny):
        def features(self, x):
            return super().features(x) + torch.rand(1)

    torch.manual_seed(0)
    net = PretrainedNet(replace(TINY, build=Noisy))
    assert torch.equal(torch.rand(1), after_plain), "the probe drew random numbers"
    assert all(torch.equal(value, plain[name]) for name, value in net.network.state_dict().items())
    assert all(module.training for module in net.modules())

    def half_frozen():
        network = Tiny()
        network.trunk[1].eval()
        return network

    modes = {name: module.training for name, module in built(half_frozen).network.named_modules()}
    assert modes == {name: name != "trunk.1" for name in modes}


def test_gradients_reach_the_trunk_and_freezing_stops_them():
    net = PretrainedNet(TINY)
    net(faces()).sum().backward()
    assert net.network.trunk[0].weight.grad.abs().sum() > 0
    freeze(net)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.train()
    assert torch.equal(net(faces()), net(faces()))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def with_methods(features=None, head=None):
    class Odd(nn.Module):
        pass

    if features:
        Odd.features = lambda self, x: features(x)
    if head:
        Odd.head = lambda self, maps: head(maps)
    return Odd


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: 1 / 0, "odd: build fails: ZeroDivisionError"),
        (lambda: 3, "odd: build gives a int, not a torch.nn.Module"),
        (with_methods(head=lambda maps: maps), "what build gives has no features"),
        (with_methods(features=lambda x: x), "what build gives has no head"),
        (
            with_methods(lambda x: x.flatten(1), lambda m: m),
            r"a map \(N, C, h, w\); one face gives \(1, 9216\)",
        ),
        (with_methods(lambda x: [x], lambda m: m), r"a map \(N, C, h, w\), not a list"),
        (
            with_methods(lambda x: x, lambda m: m),
            r"embeddings \(N, E\); one face gives \(1, 3, 64, 48\) float32",
        ),
        (with_methods(lambda x: x, lambda m: m.flatten(1).long()), "one face gives .* int64"),
        (
            with_methods(lambda x: x @ x, lambda m: m),
            r"features fails on a face \(1, 3, 64, 48\): RuntimeError",
        ),
        (with_methods(lambda x: x, lambda m: m @ m), "head fails on its map: RuntimeError"),
    ],
)
def test_what_is_no_recogniser_is_refused_in_one_line(build, message):
    with pytest.raises(UsageError, match=message) as caught:
        built(build)
    assert "\n" not in str(caught.value)
