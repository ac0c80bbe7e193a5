import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from pdsn.coverage.segmenter import SegmentationNet
from pdsn.coverage.trunk import TrunkSegmentationNet
from pdsn.deploy.onnx import OPSET, largest_difference, parts_of, require_onnx, write_part
from pdsn.errors import PdsnError
from pdsn.networks.backbone import FaceNet, freeze
from pdsn.networks.branches import TwoBranches
from pdsn.networks.imported.architecture import Architecture
from pdsn.networks.imported.net import PretrainedNet
from pdsn.networks.vit import ViTNet


def ask(path, inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: inputs.numpy()})[0])


class TinyTrunk(torch.nn.Module):
    """A little of what pretrained recognisers have: PReLU, depthwise convolution, a flattening head."""

    def __init__(self):
        super().__init__()
        self.trunk = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, stride=8, padding=1), torch.nn.BatchNorm2d(8), torch.nn.PReLU(8),
            torch.nn.Conv2d(8, 8, 3, padding=1, groups=8),
        )  # fmt: skip
        self.neck = torch.nn.Linear(8 * 5 * 4, 16)

    def features(self, x):
        return self.trunk(x)

    def head(self, maps):
        return self.neck(maps.flatten(1))


def pretrained():
    return PretrainedNet(Architecture("tiny", TinyTrunk, size=(40, 32), mean=(90.0, 110.0, 130.0), bgr=True))


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("name", ["trunk", "head", "segmenter"])
def test_an_exported_run_answers_as_torch_does(networks, export, name, batch):
    part = next(part for part in networks if part.name == name)
    torch.manual_seed(batch)
    inputs = torch.rand(batch, *part.shape) * (4 if name == "head" else 255)
    with torch.no_grad():
        wanted = part.network(inputs)
    found = ask(export / part.file, inputs)
    assert found.shape == wanted.shape and found.dtype == torch.float32
    assert (found - wanted).abs().max() < 1e-4 * wanted.std()


def test_files_have_a_free_batch_a_fixed_opset_and_no_paths(networks, export):
    for part in networks:
        model = onnx.load(export / part.file)
        assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
        for value, name in ((model.graph.input[0], part.takes), (model.graph.output[0], part.gives)):
            shape = value.type.tensor_type.shape.dim
            assert value.name == name and shape[0].dim_param and all(d.dim_value for d in shape[1:])
        assert b"/pdsn/" not in (export / part.file).read_bytes(), "no path of the machine that exported"


def test_a_pretrained_base_frozen_and_channels_last(tmp_path):
    torch.manual_seed(0)
    net = pretrained()
    freeze(net)
    net.to(memory_format=torch.channels_last)
    trunk, head = parts_of(net, None, net.size)
    faces = torch.rand(5, 3, 40, 32) * 255
    with torch.no_grad():
        maps = net.features(faces)
        embeddings = net.head(maps)
    files = [write_part(part, tmp_path) for part in (trunk, head)]
    for batch in (1, 2, 5):
        found = ask(files[0], faces[:batch])
        assert (found - maps[:batch]).abs().max() < 1e-4 * maps.std()
        assert (ask(files[1], found) - embeddings[:batch]).abs().max() < 1e-4 * embeddings.std()
    assert net.head.__self__ is net and not any(module.training for module in net.modules())


@pytest.mark.slow
def test_the_unet_at_a_size_that_is_padded_alone(tmp_path):
    torch.manual_seed(0)
    net = SegmentationNet("vgg11_bn", 48).eval()
    part = parts_of(FaceNet((33, 47), "resnet18", 8), net, (33, 47))[2]
    path = write_part(part, tmp_path)
    assert largest_difference(part, path, torch.rand(3, 3, 33, 47) * 255) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    [
        lambda: FaceNet((65, 47), "resnet18", 8),
        lambda: ViTNet((64, 48), width=24, depth=2, heads=3),
        lambda: TwoBranches(FaceNet((64, 48), "resnet18", 8), FaceNet((64, 48), "resnet18", 8)),
    ],
    ids=["odd size", "vit", "two branches"],
)
def test_a_segmentation_that_looks_through_a_base(tmp_path, build):
    torch.manual_seed(0)
    net = build()
    freeze(net)
    segmenter = TrunkSegmentationNet(net).to(memory_format=torch.channels_last).eval()
    part = parts_of(net, segmenter, net.size)[-1]
    path = write_part(part, tmp_path)
    faces = torch.rand(5, 3, *net.size) * 255
    with torch.no_grad():
        logits = segmenter(faces)
    assert part.name == "segmenter" and logits.std() > 0
    for batch in (1, 2, 5):
        assert (ask(path, faces[:batch]) - logits[:batch]).abs().max() < 1e-4 * logits.std()


@pytest.mark.slow
def test_a_transformers_batch_is_free(tmp_path):
    torch.manual_seed(0)
    net = ViTNet((64, 48), width=24, depth=1, heads=3)
    freeze(net)
    part = parts_of(net, None, net.size)[0]
    assert largest_difference(part, write_part(part, tmp_path), torch.rand(3, 3, 64, 48) * 255) < 1e-4


def test_the_check_sees_a_file_that_answers_otherwise(networks, export):
    head = next(part for part in networks if part.name == "head")
    inputs = torch.rand(3, *head.shape)
    assert largest_difference(head, export / head.file, inputs) < 1e-4
    with torch.no_grad():
        last = head.network.net.neck[-1]
        kept = last.bias.clone()
        last.bias += 0.1
        assert largest_difference(head, export / head.file, inputs) > 1e-3
        last.bias.fill_(np.nan)
        assert not largest_difference(head, export / head.file, inputs) <= 1e-3
        last.bias.copy_(kept)


def test_what_onnx_cannot_say_is_one_line(tmp_path, networks):
    class Odd(torch.nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    part = type(networks[0])("trunk", Odd().eval(), (4,), "faces", "maps")
    with pytest.raises(PdsnError, match="cannot be written as ONNX") as caught:
        write_part(part, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_names_the_extra(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PdsnError, match=r'pip install "pdsn\[onnx\]"'):
        require_onnx()
