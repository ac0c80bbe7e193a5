"""An ONNX file as an architecture: its size and template, its weights, what is kept of it, and the check against onnxruntime."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pdsn.deploy.onnx import parts_of, write_part
from pdsn.errors import PdsnError, UsageError
from pdsn.networks.imported import onnx_operators
from pdsn.networks.imported.iresnet import TEMPLATE
from pdsn.networks.imported.mobilefacenet import TEMPLATE_112X96
from pdsn.networks.imported.net import PretrainedNet
from pdsn.networks.imported.onnx_architecture import (
    GRAPH,
    NEAR,
    USUAL,
    Normalisation,
    check_parity,
    is_onnx,
    normalisation_of,
    normalised,
    onnx_architecture,
    onnx_weights,
    possible_normalisations,
    save_graph,
    saved_architecture,
)
from pdsn.networks.imported.table import find_architecture
from pdsn.networks.imported.weights import load_weights, read_weights
from tests.networks.imported.graphs import (
    SIZE,
    ask,
    ints,
    model_of,
    some,
    step,
    tiny_nodes,
    write,
    write_tiny,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "net.onnx")


def pixels(count: int, size: tuple[int, int] = SIZE) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8, generator=generator)


def loaded(path: Path, how: Normalisation = USUAL[0]) -> PretrainedNet:
    architecture = normalised(onnx_architecture(path), how)
    net = PretrainedNet(architecture).eval()
    load_weights(net, architecture, onnx_weights(path), str(path))
    return net


def test_a_file_is_an_architecture(file):
    found = find_architecture(str(file))
    assert (found.name, found.size, found.align, found.landmarks) == ("net.onnx", SIZE, "similarity", None)
    assert (found.mean, found.std, found.bgr) == ((127.5,) * 3, (127.5,) * 3, False)
    net = PretrainedNet(found)
    assert net.map_shape == (8, 8, 6) and net.embedding == 16
    assert is_onnx("a/b.ONNX") and not is_onnx("onnx") and not is_onnx("a.onnx.py")
    upper = write_tiny(file.with_suffix(".ONNX"))
    assert find_architecture(str(upper)).size == SIZE and len(read_weights(upper)) == 4


@pytest.mark.parametrize(
    ("size", "template"),
    [((112, 112), TEMPLATE), ((112, 96), TEMPLATE_112X96), ((160, 160), None), (SIZE, None)],
)
def test_the_template_goes_by_the_size(tmp_path, size, template):
    nodes = [step("Conv", "x w", "m", strides=[8, 8]), step("ReduceMean", "m", "y", axes=[2, 3], keepdims=0)]
    model = model_of(nodes, {"w": some(4, 3, 8, 8)}, takes=("N", 3, *size))
    assert onnx_architecture(write(tmp_path / "net.onnx", model)).landmarks == template


def test_a_size_that_no_face_has_is_refused(tmp_path):
    for size in ((8, 8), (100_000, 100_000)):
        path = write(tmp_path / "net.onnx", model_of(*tiny_nodes(), takes=("N", 3, *size)))
        with pytest.raises(UsageError, match="net.onnx: size is") as caught:
            onnx_architecture(path)
        assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_or_no_recogniser_is_one_line(tmp_path):
    with pytest.raises(PdsnError, match=r"none.onnx is missing"):
        find_architecture(str(tmp_path / "none.onnx"))
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    for reader in (lambda path: find_architecture(str(path)), read_weights):
        with pytest.raises(PdsnError, match="bad.onnx is no usable ONNX file") as caught:
            reader(tmp_path / "bad.onnx")
        assert "\n" not in str(caught.value)


def test_the_network_is_onnxruntimes(file):
    net, faces = loaded(file), pixels(5)
    with torch.inference_mode():
        found = net(faces)
    wanted = ask(file, (faces.float() - 127.5) / 127.5)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_blue_first_and_another_scale(file):
    how = Normalisation((10.0, 20.0, 30.0), (1.0, 2.0, 4.0), True)
    faces = pixels(3)
    with torch.inference_mode():
        found = loaded(file, how)(faces)
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (how.mean, how.std))
    wanted = ask(file, ((faces.float() - mean) / std).flip(1))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-4)


def test_weights_are_all_there_or_refused(file):
    architecture, weights = onnx_architecture(file), onnx_weights(file)
    assert weights.keys() == {"w", "b", "s", "v"}
    assert all(np.array_equal(weights[name].numpy(), array) for name, array in tiny_nodes()[1].items())
    net = PretrainedNet(architecture)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    for change, message in (
        ({"v": None}, "1 tensor is missing"),
        ({"more": torch.ones(1)}, r"1 tensor is not expected \(more\)"),
        ({"v": torch.ones(3, 3)}, "1 tensor is of another shape"),
        ({"v": torch.full((16, 384), float("nan"))}, "not finite"),
    ):
        given = {name: value for name, value in {**weights, **change}.items() if value is not None}
        with pytest.raises(PdsnError, match=message):
            load_weights(net, architecture, given, "net.onnx")
        assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    load_weights(net, architecture, weights, "net.onnx")


def test_whole_numbers_among_the_weights_are_no_quantised_weights(tmp_path):
    nodes = [*tiny_nodes()[0][:2], step("Reshape", "m rest", "f"), tiny_nodes()[0][3]]
    path = write(tmp_path / "net.onnx", model_of(nodes, tiny_nodes()[1] | {"rest": ints(0, -1)}))
    with torch.inference_mode():
        assert loaded(path)(pixels(2)).shape == (2, 16)


def test_a_changed_file_is_read_anew(file):
    first = onnx_weights(file)["b"]
    assert onnx_weights(file)["b"] is first, "read once"
    nodes, stored = tiny_nodes()
    write(file, model_of(nodes, stored | {"b": stored["b"] + 1}))
    os.utime(file, ns=(10**18, 10**18))
    assert torch.equal(onnx_weights(file)["b"], first + 1)


def test_what_is_given_out_can_be_changed(file):
    onnx_weights(file).clear()
    assert len(onnx_weights(file)) == 4


# What a base keeps.


def test_what_is_saved_needs_no_file_any_more(file, tmp_path):
    how = Normalisation((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), True)
    architecture = normalised(onnx_architecture(file), how)
    weights = onnx_weights(file)
    net = PretrainedNet(architecture).eval()
    load_weights(net, architecture, weights, "net.onnx")
    save_graph(tmp_path / "base", architecture)
    file.unlink()
    found = saved_architecture(tmp_path / "base", "pdsn again")
    assert normalisation_of(found) == how and found.size == SIZE
    again = PretrainedNet(found).eval()
    again.load_state_dict(net.state_dict())
    faces = pixels(3)
    with torch.inference_mode():
        assert torch.equal(again(faces), net(faces))


def test_what_was_saved_and_is_damaged_names_the_command(file, tmp_path):
    save_graph(tmp_path, onnx_architecture(file))
    whole = (tmp_path / GRAPH).read_text()
    saved_architecture(tmp_path, "pdsn again")
    about = json.loads(whole)
    for broken in (
        "", whole[:-20], "[]", "{}", json.dumps({**about, "mean": 3}), json.dumps({**about, "graph": {"nodes": [1]}})
    ):  # fmt: skip
        (tmp_path / GRAPH).write_text(broken)
        with pytest.raises(
            PdsnError, match=r"graph.json cannot be used .*make it again with `pdsn again`"
        ) as caught:
            saved_architecture(tmp_path, "pdsn again")
        assert "\n" not in str(caught.value)
    (tmp_path / GRAPH).unlink()
    with pytest.raises(PdsnError, match="make it again with `pdsn again`"):
        saved_architecture(tmp_path, "pdsn again")


# Normalisations.


def test_normalisations_say_what_they_are():
    assert str(USUAL[0]) == "(x - 127.5) / 127.5, red first"
    assert str(Normalisation((1, 2, 3), (4, 4, 4), True)) == "(x - (1, 2, 3)) / 4, blue first"
    assert len(set(USUAL)) == len(USUAL) == 10


def test_a_graph_that_normalises_wants_pixels(file, tmp_path):
    assert possible_normalisations(onnx_architecture(file)) == USUAL
    nodes, stored = tiny_nodes()
    nodes = [
        step("Sub", "x half", "x0"),
        step("Mul", "x0 scale", "x1"),
        step("Conv", "x1 w b", "c", strides=[8, 8]),
        *nodes[1:],
    ]
    stored |= {"half": np.float32(127.5), "scale": np.float32(1 / 128)}
    path = write(tmp_path / "own.onnx", model_of(nodes, stored))
    found = possible_normalisations(onnx_architecture(path))
    assert [(set(one.mean), set(one.std), one.bgr) for one in found] == [({0}, {1}, False), ({0}, {1}, True)]


# onnxruntime.


def seen(net: PretrainedNet, count: int = 8) -> Tensor:
    return net.normalised(pixels(count))


def test_parity_is_within_rounding(file):
    net = loaded(file)
    assert 0 <= check_parity(net.network, file, seen(net)) < NEAR


@pytest.mark.parametrize("batch", [1, 3, 8, 20])
def test_parity_of_a_file_for_so_many_faces(tmp_path, batch):
    path = write_tiny(tmp_path / "net.onnx", takes=(batch, 3, *SIZE), gives=(batch, 16))
    net = loaded(path)
    assert 0 <= check_parity(net.network, path, seen(net, 8)) < NEAR


def test_parity_of_files_in_half_precision(tmp_path):
    """With weights of 16 bits, and with all that is computed; faces and embeddings are of 32."""
    nodes, stored = tiny_nodes()
    half = {name: array.astype(np.float16) for name, array in stored.items()}
    widened = [step("Cast", f"{name}h", name, to=1) for name in stored]
    weights = model_of([*widened, *nodes], {f"{name}h": array for name, array in half.items()})
    nodes = [
        step("Cast", "x", "xh", to=10), step("Conv", "xh w b", "c", strides=[8, 8]), *nodes[1:3],
        step("Gemm", "f v", "yh", transB=1), step("Cast", "yh", "y", to=1),
    ]  # fmt: skip
    for model in (weights, model_of(nodes, half)):
        path = write(tmp_path / "net.onnx", model)
        os.utime(path, ns=(model.ByteSize(), model.ByteSize()))
        net = loaded(path)
        assert 0 <= check_parity(net.network, path, seen(net)) < NEAR


def test_an_operator_that_computes_something_else_is_found(file, monkeypatch):
    net = loaded(file)
    real = onnx_operators.OPERATORS["PRelu"]
    monkeypatch.setitem(
        onnx_operators.OPERATORS, "PRelu", lambda node, x, slope: real(node, x, slope) * 1.001
    )
    with pytest.raises(
        PdsnError, match=r"torch and onnxruntime differ by .* standard deviations.*--arch FILE.py"
    ) as caught:
        check_parity(net.network, file, seen(net))
    assert "\n" not in str(caught.value)
    monkeypatch.setitem(onnx_operators.OPERATORS, "PRelu", lambda node, x, slope: x * torch.nan)
    with pytest.raises(PdsnError, match="differ by nan"):
        check_parity(net.network, file, seen(net))


def test_other_weights_are_found(file):
    net = loaded(file)
    with torch.no_grad():
        net.network.get_parameter(net.network.keys["b"])[0] += 0.01
    with pytest.raises(PdsnError, match="differ by"):
        check_parity(net.network, file, seen(net))


def test_what_onnxruntime_cannot_run_is_one_line(file, tmp_path, monkeypatch):
    net = loaded(file)
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    later = model_of(*tiny_nodes())
    later.ir_version = 99
    for path in (tmp_path / "bad.onnx", tmp_path / "none.onnx", write(tmp_path / "later.onnx", later)):
        with pytest.raises(PdsnError, match="onnxruntime cannot run it: ") as caught:
            check_parity(net.network, path, seen(net))
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(PdsnError, match=r"pip install pdsn\[onnx\]"):
        check_parity(net.network, file, seen(net))


def test_an_architecture_stays_an_architecture(file):
    """Its fields can be replaced, and what it renames are names in the graph."""
    architecture = replace(onnx_architecture(file), align="box")
    assert architecture.align == "box"
    assert set(architecture.rename({"w": torch.ones(1), "other": torch.ones(1)})) == {"t0", "other"}


# Written as ONNX once more, by `pdsn export`.

TRUNK = tiny_nodes()[0][:2]
GEMM = tiny_nodes()[0][3]
MORE = {
    "zero": np.array(0), "zeros": ints(0), "rest": ints(-1), "one": ints(1, -1), "axes": ints(2, 3), "eps": np.float32(1e-12),
    "from": ints(0), "to": ints(5), "along": ints(2), "pads": ints(0, 0, 1, 0, 0, 0, 0, 0), "half": np.float32(0.5),
}  # fmt: skip
HEADS = {
    "batch": [
        step("Shape", "x", "sizes"), step("Gather", "sizes zero", "batch"), step("Unsqueeze", "batch zeros", "row"),
        step("Concat", "row rest", "shape", axis=0), step("Reshape", "m shape", "f"), GEMM,
    ],
    "flatten": [step("Flatten", "m", "f"), GEMM],
    "one face": [step("Reshape", "m one", "f"), GEMM],
    "mean": [step("ReduceMean", "m axes", "p"), step("Flatten", "p", "y")],
    "length": [
        step("Flatten", "m", "f"), step("Gemm", "f v", "e", transB=1), step("ReduceL2", "e", "l", axes=[1]), step("Clip", "l eps", "c1"),
        step("Shape", "e", "es"), step("Expand", "c1 es", "le"), step("Div", "e le", "y"),
    ],
    "part": [step("Slice", "m from to along", "p"), step("Pad", "p pads half", "t"), step("Flatten", "t", "y")],
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=() if one == "batch" else pytest.mark.slow) for one in HEADS]
)
def test_it_can_be_exported_again(tmp_path, name):
    more = {"takes": (1, 3, *SIZE), "gives": (1, 16)} if name == "one face" else {}
    nodes = [*TRUNK, *HEADS[name]]
    used = {given for node in nodes for given in node.input}
    stored = {name: array for name, array in {**tiny_nodes()[1], **MORE}.items() if name in used}
    path = write(tmp_path / "net.onnx", model_of(nodes, stored, opset=18 if name == "mean" else 17, **more))
    for part in parts_of(loaded(path), None, SIZE):
        again = write_part(part, tmp_path)
        for batch in (1, 2, 5):
            given = torch.from_numpy(some(batch, *part.shape))
            with torch.inference_mode():
                torch.testing.assert_close(ask(again, given), part.network(given), rtol=1e-4, atol=1e-4)
