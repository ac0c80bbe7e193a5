import pytest
import torch
from torchvision.models import resnet18, resnet34

from pdsn.networks.backbone import MEAN, STD, FaceNet, freeze, load_trunk, standardised


def faces(count: int = 4, size: tuple[int, int] = (64, 48)) -> torch.Tensor:
    return torch.randint(
        0, 256, (count, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


@pytest.mark.parametrize(
    ("stem", "last_stride", "shape"),
    [
        ("standard", 2, (64, 4, 3)),
        ("fine", 2, (64, 8, 6)),
        ("standard", 1, (64, 8, 6)),
        ("fine", 1, (64, 16, 12)),
    ],
)
def test_map_and_embedding_shapes(stem, last_stride, shape):
    net = FaceNet((128, 96), "resnet18", 8, stem, last_stride, embedding=32).eval()
    maps = net.features(faces(2, (128, 96)))
    assert net.map_shape == shape == maps.shape[1:]
    assert net.head(maps).shape == (2, 32)
    assert (maps >= 0).all()


@pytest.mark.parametrize("size", [(64, 48), (112, 112), (77, 61)])
@pytest.mark.parametrize("last_stride", [1, 2])
def test_map_shape_holds_at_any_size(size, last_stride):
    net = FaceNet(size, "resnet18", width=8, last_stride=last_stride).eval()
    assert net.features(faces(1, size)).shape[1:] == net.map_shape


@pytest.mark.parametrize(("arch", "maker"), [("resnet18", resnet18), ("resnet34", resnet34)])
def test_trunk_is_torchvisions(arch, maker):
    torch.manual_seed(0)
    oracle = maker(weights=None).eval()
    net = FaceNet((64, 48), arch).eval()
    load_trunk(net, oracle.state_dict())
    batch = faces()
    x = (batch.float() / 255 - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    expected = torch.nn.Sequential(*list(oracle.children())[:-2])(x)
    with torch.inference_mode():
        torch.testing.assert_close(net.features(batch), expected, rtol=1e-4, atol=1e-4)


def test_wrong_trunk_weights_name_the_tensor():
    net = FaceNet((64, 48), "resnet18", width=8)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(ValueError, match=r"conv1\.weight is \(64, 3, 7, 7\)"):
        load_trunk(net, resnet18(weights=None).state_dict())
    with pytest.raises(ValueError, match="no tensor named conv1.weight"):
        load_trunk(net, {})
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_frozen_net_does_not_move_even_in_train_mode():
    net = FaceNet((64, 48), "resnet18", width=8)
    freeze(net)
    holder = torch.nn.Sequential(net)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    holder.train()
    first, second = holder(faces()), holder(faces())
    assert torch.equal(first, second), "dropout must be off"
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_the_head_is_affine_in_evaluation_mode():
    net = FaceNet((64, 48), "resnet18", width=8, embedding=16)
    for _ in range(3):
        net(faces())  # move BatchNorm's statistics off their start
    net.eval()
    a, b = (torch.rand(1, *net.map_shape, generator=torch.Generator().manual_seed(i)) for i in (1, 2))
    with torch.inference_mode():
        torch.testing.assert_close(
            net.head(0.3 * a + 0.7 * b), 0.3 * net.head(a) + 0.7 * net.head(b), rtol=1e-4, atol=1e-4
        )


def test_two_faces_enter_as_six_channels_both_standardised_alike():
    torch.manual_seed(0)
    one = FaceNet((64, 48), "resnet18", width=8, stem="fine", embedding=16)
    for seed in range(3):
        one(faces(8) if seed else faces(8).flip(0))
    both = FaceNet((64, 48), "resnet18", width=8, stem="fine", embedding=16, faces=2)
    one.eval(), both.eval()
    assert both.conv1.weight.shape == (8, 6, 3, 3)
    weights = one.state_dict()
    kernel, nothing = weights["conv1.weight"], torch.zeros_like(weights["conv1.weight"])
    a, b = faces(), faces().flip(0, 2)
    with torch.inference_mode():
        wanted = {"first": one(a), "second": one(b)}
        for side, seen in (("first", [kernel, nothing]), ("second", [nothing, kernel])):
            both.load_state_dict({**weights, "conv1.weight": torch.cat(seen, 1)})
            torch.testing.assert_close(both(torch.cat([a, b], 1)), wanted[side], rtol=1e-4, atol=1e-5)


def test_standardised_channels_by_hand():
    batch = torch.cat([faces(), faces().flip(0)], 1)
    found = standardised(batch)
    assert found.shape == batch.shape and found.dtype == torch.float32
    for channel in range(6):
        wanted = (batch[:, channel] / 255 - MEAN[channel % 3]) / STD[channel % 3]
        torch.testing.assert_close(found[:, channel], wanted, rtol=1e-5, atol=1e-5)
