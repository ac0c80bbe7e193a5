import pytest
import torch
from torch import nn

from pdsn.errors import PdsnError, UsageError
from pdsn.networks.imported.inception_resnet import InceptionResnet, without_logits
from pdsn.networks.imported.mobilefacenet import MobileFaceNet
from pdsn.networks.imported.net import PretrainedNet
from pdsn.networks.imported.table import ARCHITECTURES, find_architecture
from pdsn.networks.imported.weights import load_weights


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def parameters(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def unbuilt(name: str) -> nn.Module:
    """Names and shapes only, without the memory."""
    with torch.device("meta"):
        return ARCHITECTURES[name].build()


def faces(count: int, size: tuple[int, int]) -> torch.Tensor:
    return torch.randint(
        0, 256, (count, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def check_the_cut(net: PretrainedNet, count: int = 2) -> None:
    net.eval()
    batch = faces(count, net.size)
    with torch.inference_mode():
        maps = net.features(batch)
        whole = net(batch)
        assert maps.shape == (count, *net.map_shape)
        assert torch.equal(net.head(maps), whole)
        assert whole.shape == (count, net.embedding)
        assert torch.equal(net(batch), whole)
        assert not torch.allclose(net.head(torch.zeros_like(maps)), whole)


def test_mobilefacenet_has_the_published_names():
    def norm(prefix: str, channels: int) -> dict[str, tuple[int, ...]]:
        values = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (channels,))
        return {f"{prefix}.{name}": shape for name, shape in {**values, "num_batches_tracked": ()}.items()}

    def block(prefix: str, shape: tuple[int, ...], prelu: bool = True) -> dict[str, tuple[int, ...]]:
        slopes = {f"{prefix}.prelu.weight": shape[:1]} if prelu else {}
        return {f"{prefix}.conv.weight": shape, **norm(f"{prefix}.bn", shape[0]), **slopes}

    expected = block("conv1", (64, 3, 3, 3)) | block("dw_conv1", (64, 1, 3, 3))
    # Inputs, expanded and outputs of the fifteen inverted residuals.
    widths = [(64, 128, 64)] * 5 + [(64, 256, 128)] + [(128, 256, 128)] * 6
    widths += [(128, 512, 128)] + [(128, 256, 128)] * 2
    for index, (inputs, inner, outputs) in enumerate(widths):
        at = f"blocks.{index}.conv"
        expected |= {f"{at}.0.weight": (inner, inputs, 1, 1), f"{at}.3.weight": (inner, 1, 3, 3)}
        expected |= {f"{at}.2.weight": (inner,), f"{at}.5.weight": (inner,)}
        expected |= {f"{at}.6.weight": (outputs, inner, 1, 1)}
        expected |= norm(f"{at}.1", inner) | norm(f"{at}.4", inner) | norm(f"{at}.7", outputs)
    expected |= block("conv2", (512, 128, 1, 1))
    expected |= block("linear7", (512, 1, 7, 6), prelu=False) | block(
        "linear1", (128, 512, 1, 1), prelu=False
    )
    assert shapes(MobileFaceNet()) == expected


def test_mobilefacenet_is_cut_at_its_last_map():
    net = PretrainedNet(ARCHITECTURES["mobilefacenet"])
    assert (net.map_shape, net.embedding) == ((512, 7, 6), 128)
    assert 0.95e6 < parameters(net) < 1.05e6
    check_the_cut(net)
    assert net.network.blocks[1].shortcut and not net.network.blocks[0].shortcut
    square = MobileFaceNet(map_size=(7, 7)).eval()
    assert square.head(square.features(torch.zeros(1, 3, 112, 112))).shape == (1, 128)


def test_iresnet18_has_the_published_names():
    found = shapes(unbuilt("iresnet18"))
    published = {
        "conv1.weight": (64, 3, 3, 3),
        "bn1.running_var": (64,),
        "prelu.weight": (64,),
        "layer1.0.bn1.weight": (64,),
        "layer1.0.conv1.weight": (64, 64, 3, 3),
        "layer1.0.prelu.weight": (64,),
        "layer1.0.downsample.0.weight": (64, 64, 1, 1),
        "layer2.0.bn1.weight": (64,),
        "layer2.0.conv1.weight": (128, 64, 3, 3),
        "layer2.0.bn2.weight": (128,),
        "layer2.0.conv2.weight": (128, 128, 3, 3),
        "layer2.0.downsample.0.weight": (128, 64, 1, 1),
        "layer2.0.downsample.1.running_mean": (128,),
        "layer4.1.bn3.bias": (512,),
        "bn2.weight": (512,),
        "fc.weight": (512, 25088),
        "fc.bias": (512,),
        "norm.running_mean": (512,),
    }
    assert {name: found.get(name) for name in published} == published
    assert "layer2.1.downsample.0.weight" not in found and "conv1.bias" not in found
    assert not any(name.startswith("features.") for name in found)


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("iresnet18", (2, 2, 2, 2)),
        ("iresnet34", (3, 4, 6, 3)),
        ("iresnet50", (3, 4, 14, 3)),
        ("iresnet100", (3, 13, 30, 3)),
    ],
)
def test_iresnet_parameters_by_hand(name, blocks):
    total = 27 * 64 + 2 * 64 + 64  # stem: convolution, BatchNorm, PReLU
    inputs = 64
    for count, outputs in zip(blocks, (64, 128, 256, 512), strict=True):
        first = 2 * inputs + 9 * inputs * outputs + 3 * outputs + 9 * outputs**2 + 2 * outputs
        shortcut = inputs * outputs + 2 * outputs
        rest = 2 * outputs + 9 * outputs**2 + 3 * outputs + 9 * outputs**2 + 2 * outputs
        total += first + shortcut + (count - 1) * rest
        inputs = outputs
    total += 2 * 512 + 25088 * 512 + 512 + 2 * 512
    network = unbuilt(name)
    assert parameters(network) == total
    if name == "iresnet50":
        assert round(total / 1e6, 2) == 43.59, "as published"
    assert {module.eps for module in network.modules() if isinstance(module, nn.BatchNorm2d)} == {1e-5}


def test_iresnet18_is_cut_after_layer4_and_loads_published_names():
    architecture = ARCHITECTURES["iresnet18"]
    net = PretrainedNet(architecture)
    assert (net.map_shape, net.embedding) == ((512, 7, 7), 512)
    check_the_cut(net)
    published = {
        name.replace("norm.", "features."): value for name, value in net.network.state_dict().items()
    }
    published["features.bias"] = torch.full((512,), 7.0)
    load_weights(net, architecture, published, "backbone.pth")
    assert (net.network.norm.bias == 7).all()


def test_inception_resnet_is_facenets_own_before_its_normalisation():
    from facenet_pytorch.models.inception_resnet_v1 import InceptionResnetV1

    torch.manual_seed(0)
    net = PretrainedNet(ARCHITECTURES["inception_resnet_v1"]).eval()
    assert (net.map_shape, net.embedding) == ((1792, 3, 3), 512)
    oracle = InceptionResnetV1().eval()
    for norm in (oracle.last_bn, oracle.conv2d_4b.bn):  # fresh, it changes no direction
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.2, 2)
    published = {**oracle.state_dict(), "logits.weight": torch.ones(2, 512), "logits.bias": torch.ones(2)}
    load_weights(net, ARCHITECTURES["inception_resnet_v1"], published, "vggface2")
    face = faces(1, (160, 160))
    with torch.inference_mode():
        expected = oracle((face.float() - 127.5) / 128)
        torch.testing.assert_close(nn.functional.normalize(net(face)), expected, rtol=1e-4, atol=1e-5)
    assert set(without_logits(published)) == set(InceptionResnet().state_dict())


def test_downloads_of_facenet_use_its_cache_and_report_what_fails(tmp_path, monkeypatch):
    from facenet_pytorch.models.utils import download

    fetch = ARCHITECTURES["inception_resnet_v1"].downloads["casia-webface"]
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    asked = []

    def offline(url, target):
        asked.append(url)
        raise OSError("no route to host")

    monkeypatch.setattr(download, "download_url_to_file", offline)
    with pytest.raises(PdsnError, match=r"no route to host\); fetch https://.*casia-webface.pt elsewhere"):
        fetch()
    cached = tmp_path / "checkpoints" / "20180408-102900-casia-webface.pt"
    cached.write_bytes(b"half of it")
    with pytest.raises(PdsnError, match=r"casia-webface.pt is damaged .* delete it and run"):
        fetch()
    torch.save({"last_bn.bias": torch.ones(512)}, cached)
    assert list(fetch()) == ["last_bn.bias"]
    assert len(asked) == 1


def test_a_convolutional_network_of_timm():
    architecture = find_architecture("timm:mobilenetv3_small_050")
    assert architecture.size == (224, 224) and set(architecture.downloads) == {"pretrained"}
    assert architecture.mean == pytest.approx((123.675, 116.28, 103.53))
    assert architecture.std == pytest.approx((58.395, 57.12, 57.375))
    net = PretrainedNet(architecture)
    # Its head widens 288 channels to 1024 before the classifier.
    assert (net.map_shape, net.embedding) == ((288, 7, 7), 1024)
    check_the_cut(net)
    from timm import create_model

    whole = create_model("mobilenetv3_small_050").eval()
    load_weights(net, architecture, whole.state_dict(), "classifier.safetensors")
    face = faces(1, (224, 224))
    with torch.inference_mode():
        torch.testing.assert_close(whole.classifier(net(face)), whole((face - net.mean) / net.std))


def test_what_timm_cannot_give():
    with pytest.raises(UsageError, match=r"timm:vit_tiny_patch16_224 cannot be masked.*\(1, 197, 192\)"):
        PretrainedNet(find_architecture("timm:vit_tiny_patch16_224"))
    with pytest.raises(UsageError, match="timm:resnet10: timm has no such model; did you mean .*resnet10t"):
        find_architecture("timm:resnet10")
    with pytest.raises(UsageError, match="timm:resnet10t.nonsense: Invalid pretrained tag"):
        find_architecture("timm:resnet10t.nonsense")


def test_a_map_with_its_channels_last_is_refused():
    from pdsn.networks.imported.timm_backbone import TimmNet

    class Swin(nn.Module):
        num_features = 768

        def forward_features(self, x):
            return torch.zeros(len(x), 7, 7, 768)

    network = TimmNet.__new__(TimmNet)
    nn.Module.__init__(network)
    network.name, network.model = "swin", Swin()
    with pytest.raises(UsageError, match=r"timm:swin cannot be masked: its features are \(1, 7, 7, 768\)"):
        network.features(torch.zeros(1, 3, 224, 224))


def test_a_failed_download_of_timm_says_what_to_do(monkeypatch):
    from pdsn.networks.imported import timm_backbone

    def offline(*args, **kwargs):
        raise RuntimeError("cannot reach the hub\nat all")

    monkeypatch.setattr(timm_backbone.timm, "create_model", offline)
    with pytest.raises(
        PdsnError, match=r"resnet10t failed \(cannot reach the hub\); fetch .*--weights FILE$"
    ):
        find_architecture("timm:resnet10t").downloads["pretrained"]()
