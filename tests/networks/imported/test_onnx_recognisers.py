"""Whole recognisers with random weights, as torch's two exporters write them: they compute what they did, and are cut where they were."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from pdsn.coverage.trunk import tapped, taps
from pdsn.errors import PdsnError
from pdsn.networks.imported.inception_resnet import InceptionResnet
from pdsn.networks.imported.iresnet import BLOCKS, IResNet
from pdsn.networks.imported.mobilefacenet import MobileFaceNet
from pdsn.networks.imported.onnx_architecture import NEAR, check_parity
from pdsn.networks.imported.onnx_graph import Cut, read_onnx
from pdsn.networks.imported.onnx_net import OnnxNet, folded
from tests.networks.imported.graphs import SIZE, answer, net_of
from tests.networks.imported.test_onnx_net import faces


class Timm(nn.Module):
    """A network of timm: its maps, however their axes lie, and what follows them."""

    # nn.Module's own type does not know timm's methods.
    model: Any

    def __init__(self, model: nn.Module, grid: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.model, self.grid = model, grid

    def features(self, x: Tensor) -> Tensor:
        found = self.model.forward_features(x)
        if self.grid is not None:
            return found.transpose(1, 2).unflatten(2, self.grid)
        return found.permute(0, 3, 1, 2) if isinstance(self.model, SwinTransformer) else found

    def head(self, maps: Tensor) -> Tensor:
        if self.grid is not None:
            maps = maps.flatten(2).transpose(1, 2)
        elif isinstance(self.model, SwinTransformer):
            maps = maps.permute(0, 2, 3, 1)
        return self.model.forward_head(maps)


class Whole(nn.Module):
    """Faces to embeddings."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.network, Timm):
            return self.network.model(x)
        return self.network.head(self.network.features(x))


def randomised(network: nn.Module) -> nn.Module:
    """With statistics and slopes of its own in every BatchNorm and PReLU."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            if module.affine:
                nn.init.uniform_(module.weight, 0.6, 1.4, generator=generator)
                nn.init.normal_(module.bias, 0, 0.2, generator=generator)
        elif isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, 0, 0.5, generator=generator)
    return network.eval()


def export(network: nn.Module, file: Path, size: tuple[int, int], dynamo: bool, batch: bool = True) -> None:
    """As `torch.onnx.export` writes it; for one face alone, unless `batch`."""
    free = {0: torch.export.Dim("batch")} if dynamo else {0: "batch"}
    more = {"dynamic_shapes": (free,)} if dynamo else {"dynamic_axes": {"x": free, "y": free}}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Whole(network).eval(), (torch.zeros(2 if batch else 1, 3, *size),), file,
            input_names=["x"], output_names=["y"], dynamo=dynamo, verbose=False, **(more if batch else {}),
        )  # fmt: skip


class Squeezing(nn.Module):
    """What else recognisers do: channels weighed, maps joined, padded and pooled, lengths of 1."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.PReLU(8))
        self.down = nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1, groups=4), nn.Hardswish())
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 4, 1), nn.ReLU6(), nn.Conv2d(4, 8, 1), nn.Hardsigmoid()
        )
        self.neck = nn.Sequential(nn.Dropout(0.3), nn.Linear(17 * 9 * 7, 12), nn.BatchNorm1d(12))

    def features(self, x: Tensor) -> Tensor:
        x = self.down(self.stem(x))
        x = x * self.weigh(x)
        x = torch.cat([x, nn.functional.leaky_relu(x, 0.1), x.mean(1, keepdim=True)], 1)
        return nn.functional.pad(x, (0, 1, 1, 0))

    def head(self, maps: Tensor) -> Tensor:
        found = self.neck(maps.view(maps.shape[0], -1))
        return nn.functional.normalize(found)


class AdaFace(nn.Module):
    """The form of AdaFace's IR networks: a pooled shortcut, and BatchNorm, Linear, BatchNorm behind the last map."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.PReLU(8))
        self.block = nn.Sequential(
            nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.PReLU(8),
            nn.Conv2d(8, 8, 3, 8, 1, bias=False), nn.BatchNorm2d(8),
        )  # fmt: skip
        self.shortcut = nn.MaxPool2d(1, 8)
        self.output = nn.Sequential(
            nn.BatchNorm2d(8), nn.Dropout(0.4), nn.Flatten(), nn.Linear(384, 16), nn.BatchNorm1d(16, affine=False)
        )  # fmt: skip

    def features(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.block(x) + self.shortcut(x)

    def head(self, maps: Tensor) -> Tensor:
        return nn.functional.normalize(self.output(maps))


class Patches(VisionTransformer):
    """The form of InsightFace's vision transformer, which TransFace has too: all tokens, in a row, make the embedding."""

    def __init__(self, **more: Any) -> None:
        super().__init__(
            img_size=SIZE, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=0, class_token=False, global_pool="", **more
        )  # fmt: skip
        self.feature = nn.Sequential(
            nn.Linear(48 * 32, 32, bias=False), nn.BatchNorm1d(32, eps=2e-5), nn.Linear(32, 16), nn.BatchNorm1d(16)
        )  # fmt: skip

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        return self.feature(x.flatten(1))


def of_timm(name: str) -> Callable[[], nn.Module]:
    return lambda: Timm(timm.create_model(name, num_classes=16))


def swin() -> nn.Module:
    small = SwinTransformer(
        img_size=SIZE, embed_dim=16, depths=(2, 2), num_heads=(2, 2), window_size=4, num_classes=16
    )
    return Timm(small)


RECOGNISERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int], tuple[int, int, int]]] = {
    "squeezing": (Squeezing, SIZE, (17, 9, 7)),
    "mobilefacenet": (MobileFaceNet, (112, 96), (512, 7, 6)),
    "iresnet18": (lambda: IResNet(BLOCKS["iresnet18"]), (112, 112), (512, 7, 7)),
    "inception_resnet_v1": (InceptionResnet, (160, 160), (1792, 3, 3)),
    "adaface": (AdaFace, SIZE, (8, 8, 6)),
    "edgeface": (of_timm("edgenext_xx_small"), (112, 112), (168, 3, 3)),
    "ghostnet": (of_timm("ghostnetv2_100"), (112, 112), (960, 4, 4)),
    "mobilenetv3": (of_timm("mobilenetv3_small_050"), (112, 112), (288, 4, 4)),
    "convnext": (of_timm("convnext_atto"), (112, 112), (320, 3, 3)),
    "transface": (lambda: Timm(Patches(), (8, 6)), SIZE, (32, 8, 6)),
    "swin": (swin, SIZE, (32, 8, 6)),
}
QUICK = ("adaface", "transface", "swin", "edgeface")


@pytest.mark.parametrize(
    ("name", "dynamo", "batch"),
    [
        pytest.param(
            name,
            dynamo,
            batch,
            marks=() if name == "squeezing" or (name in QUICK and not dynamo) else pytest.mark.slow,
        )
        for name in RECOGNISERS
        for dynamo in ((False, True) if name in ("squeezing", *QUICK) else (False,))
        for batch in ((True, False) if name in ("squeezing", "mobilefacenet", "transface") else (True,))
        # Written for one face alone, its attention takes the number of faces for a part of its shapes: see below.
        if not (name == "transface" and dynamo and not batch)
    ],
)
def test_an_exported_recogniser_computes_what_it_did(tmp_path, name, dynamo, batch):
    build, size, map_shape = RECOGNISERS[name]
    torch.manual_seed(0)
    network = randomised(build())
    file = tmp_path / "net.onnx"
    export(network, file, size, dynamo, batch)
    net = net_of(file)
    given = faces(3, size)
    with torch.inference_mode():
        wanted = network.head(network.features(given))
        maps = net.features(given)
        # The cut is where the recogniser's own is.
        assert float((maps - network.features(given)).abs().max() / maps.std()) < 1e-4
        found, part = net.head(maps), maps.clone()
        part[:, :, :2] = 0
        # The head acts on a map of which a part is gone as the recogniser's own does.
        masked = network.head(part)
        assert float((net.head(part) - masked).abs().max() / masked.std()) < 1e-4
    assert maps.shape == (3, *map_shape) and found.shape == wanted.shape
    assert float((found - wanted).abs().max() / wanted.std()) < 1e-4
    assert check_parity(net, file, given) < NEAR


class Trunk(nn.Module):
    """A recogniser as the segmentation behind a base sees it."""

    def __init__(self, network: Any, size: tuple[int, int], map_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.network, self.size, self.map_shape = network, size, map_shape

    def features(self, x: Tensor) -> Tensor:
        return self.network.features(x)


@pytest.mark.parametrize("name", ["squeezing", pytest.param("mobilefacenet", marks=pytest.mark.slow)])
def test_the_maps_at_every_scale_can_be_listened_to(tmp_path, name):
    build, size, map_shape = RECOGNISERS[name]
    network = randomised(build())
    export(network, tmp_path / "net.onnx", size, False)
    found, wanted = (Trunk(one, size, map_shape).eval() for one in (net_of(tmp_path / "net.onnx"), network))
    heard = taps(found)
    scales = {shape[1:] for shape in taps(wanted).values()}
    assert {shape[1:] for shape in heard.values()} >= scales and len(scales) > 1
    with torch.inference_mode(), tapped(found, list(heard)) as maps:
        found.features(faces(2, size))
    assert [one.shape for one in maps] == [(2, *shape) for shape in heard.values()]


@pytest.mark.slow
def test_one_whose_shapes_hold_for_one_face_alone_is_refused_in_one_line(tmp_path):
    build, size, _ = RECOGNISERS["transface"]
    file = tmp_path / "net.onnx"
    export(randomised(build()), file, size, True, False)
    with (
        pytest.raises(PdsnError, match="net.onnx takes one face alone: export it with a batch") as caught,
        torch.inference_mode(),
    ):
        net_of(file).features(faces(3, size))
    assert "\n" not in str(caught.value)


# Transformers.


def test_tokens_are_a_map_and_their_places_are_the_patches(tmp_path):
    """A change of one patch of the face changes the token of this place most."""
    torch.manual_seed(0)
    network = Timm(Patches(), (8, 6)).eval()
    export(network, tmp_path / "net.onnx", SIZE, dynamo=False)
    net = net_of(tmp_path / "net.onnx")
    assert (net.cut.kind, net.cut.grid) == ("tokens", (8, 6))
    given = faces(1)
    changed = given.clone()
    changed[:, :, 24:32, 16:24] += 1
    with torch.inference_mode():
        moved = (net.features(changed) - net.features(given)).abs().mean(1)[0]
    assert divmod(int(moved.argmax()), 6) == (3, 2)


class Tokens(VisionTransformer):
    def __init__(self, **more: Any) -> None:
        super().__init__(
            img_size=SIZE, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=16, **more
        )


@pytest.mark.parametrize("registers", [0, 4])
def test_a_class_token_that_gives_the_embedding_is_refused(tmp_path, registers):
    export(Timm(Tokens(reg_tokens=registers)).eval(), tmp_path / "net.onnx", SIZE, dynamo=False)
    with pytest.raises(PdsnError) as caught:
        net_of(tmp_path / "net.onnx")
    line = str(caught.value)
    assert "layers come after its last spatial map, as in a transformer whose class token" in line
    assert (
        "take a convolutional network, or a transformer whose embedding follows from its patch tokens" in line
    )
    assert "\n" not in line


def test_a_class_token_that_is_left_out_of_the_mean_is_no_hindrance(tmp_path):
    """The advice of the refusal above, followed."""
    torch.manual_seed(0)
    network = Timm(Tokens(global_pool="avg")).eval()
    export(network, tmp_path / "net.onnx", SIZE, dynamo=False)
    net = net_of(tmp_path / "net.onnx")
    assert net.cut.kind == "tokens" and net.features(faces(2)).shape == (2, 32, 8, 6)
    with torch.inference_mode():
        torch.testing.assert_close(answer(net, faces(2)), network.model(faces(2)), rtol=1e-4, atol=1e-4)
    # `pdsn export` traces it for any number of faces, which the class token is repeated for.
    found = torch.export.export(
        Whole(net), (faces(2),), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False
    ).module()
    with torch.inference_mode():
        torch.testing.assert_close(found(faces(5)), answer(net, faces(5)), rtol=1e-4, atol=1e-4)


# Bases that were imported before a graph kept its cut.


def test_an_earlier_base_is_cut_where_it_was(tmp_path):
    """Behind the BatchNorm: its masks were learned there."""
    network = randomised(AdaFace())
    file = tmp_path / "net.onnx"
    export(network, file, SIZE, dynamo=False)
    graph, tensors = folded(*read_onnx(file), str(file))
    assert graph.cut is None
    earlier = OnnxNet(graph, "earlier").eval()
    earlier.load_state_dict({earlier.keys[name]: tensor for name, tensor in tensors.items()})
    with torch.inference_mode():
        maps = network.features(faces(2))
        torch.testing.assert_close(earlier.features(faces(2)), network.output[0](maps), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(net_of(file).features(faces(2)), maps, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(answer(earlier, faces(2)), network.head(maps), rtol=1e-4, atol=1e-4)


def test_a_cut_that_the_graph_has_not_is_named(tmp_path):
    export(AdaFace().eval(), tmp_path / "net.onnx", SIZE, dynamo=False)
    net = net_of(tmp_path / "net.onnx")
    broken = OnnxNet(replace(net.graph, cut=Cut("none", "map", (8, 6))), "net.onnx")
    with pytest.raises(PdsnError, match="net.onnx: nothing gives none"):
        broken.features(faces(1))
