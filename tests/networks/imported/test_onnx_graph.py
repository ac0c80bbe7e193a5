"""What is read from an ONNX file, what is refused, and what a hostile one gets nowhere with."""

from __future__ import annotations

import json
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from pdsn.errors import PdsnError
from pdsn.networks.imported.onnx_graph import Graph, Node, read_onnx
from tests.networks.imported.graphs import (
    IR,
    SIZE,
    answer,
    ask,
    ints,
    model_of,
    net_of,
    some,
    step,
    tiny_nodes,
    value,
    write,
    write_tiny,
)


def refusal(path: Path) -> str:
    """The one line that refuses a file, without its name."""
    with pytest.raises(PdsnError) as caught:
        read_onnx(path)
    line = str(caught.value)
    assert line.startswith(str(path)) and "\n" not in line
    return line.removeprefix(str(path))


def refused_model(path: Path, model: onnx.ModelProto) -> str:
    return refusal(write(path, model))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "net.onnx"


def test_a_recogniser_is_read_whole(file):
    graph, tensors = read_onnx(write_tiny(file))
    assert (graph.input, graph.output, graph.size, graph.opset) == ("x", "y", SIZE, 17)
    assert [node.op for node in graph.nodes] == ["Conv", "PRelu", "Flatten", "Gemm"]
    assert graph.nodes[0] == Node(
        "Conv", ("x", "w", "b"), ("c",), {"kernel_shape": [8, 8], "strides": [8, 8]}
    )
    stored = tiny_nodes()[1]
    assert tensors.keys() == stored.keys() == graph.tensors.keys()
    assert all(np.array_equal(tensors[name].numpy(), array) for name, array in stored.items())
    assert graph.tensors["s"] == ((8, 1, 1), "float32")


def test_it_comes_back_from_json(file):
    nodes = [
        step("Pad", "x p -", "a", mode="constant"),
        step("Clip", "a - high", "b"),
        step("LeakyRelu", "b", "c", alpha=0.25),
        step("ReduceMean", "c", "y", axes=[2, 3], keepdims=0),
    ]
    stored = {"p": ints(0, 0, 1, 1, 0, 0, 1, 1), "high": np.float32(6)}
    graph, _ = read_onnx(write(file, model_of(nodes, stored)))
    text = graph.to_json()
    assert Graph.from_json(text) == graph
    assert json.loads(text)["tensors"] == {"p": [[8], "int64"], "high": [[], "float32"]}
    assert graph.nodes[1].inputs == ("a", "", "high") and graph.nodes[2].attributes == {"alpha": 0.25}
    for broken in (
        "",
        "[]",
        "{}",
        text.replace('"nodes"', '"other"'),
        text.replace('"size": [64, 48]', '"size": 64'),
    ):
        with pytest.raises((ValueError, KeyError, TypeError)):
            Graph.from_json(broken)


def test_files_that_are_none(tmp_path, monkeypatch):
    assert "is missing" in refusal(tmp_path / "none.onnx")
    folder = tmp_path / "folder.onnx"
    folder.mkdir()
    assert "is missing" in refusal(folder)
    whole = write_tiny(tmp_path / "whole.onnx").read_bytes()
    for name, content in {
        "empty.onnx": b"", "text.onnx": b"no network at all\n" * 9, "zip.onnx": b"PK\3\4" + b"\0" * 99,
        "half.onnx": whole[: len(whole) // 2], "cut.onnx": whole[:-3],
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
        assert "is no usable ONNX file" in refusal(tmp_path / name)
    (tmp_path / "cut.onnx").write_bytes(whole)
    read_onnx(tmp_path / "cut.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "pip install pdsn[onnx]" in refusal(tmp_path / "cut.onnx")


def test_an_invalid_graph_is_refused(file):
    nodes, stored = tiny_nodes()
    assert "is no usable ONNX file" in refused_model(file, model_of(nodes[::-1], stored))
    assert "is no usable ONNX file" in refused_model(file, model_of([step("NoSuch", "x", "y")]))
    assert "is no usable ONNX file" in refused_model(
        file, model_of([step("LeakyRelu", "x", "y", alpha="much")])
    )


@pytest.mark.parametrize(
    ("takes", "message"),
    [
        (
            ("N", 3, "height", 48),
            "its input x is (N, 3, height, 48): height and width must be known; export it",
        ),
        (("N", 3, 64, None), "(N, 3, 64, ?): height and width must be known"),
        (("N", 1, 64, 48), "its input x is (N, 1, 64, 48), and faces are (N, 3, height, width)"),
        (("N", "H", "W", 3), "its input x is (N, H, W, 3): height and width must be known"),
        ((3, 64, 48), "its input x is (3, 64, 48), and faces are"),
        ((), "its input x is (), and faces are"),
    ],
)
def test_an_input_that_is_no_faces_is_refused(file, takes, message):
    assert message in refused_model(file, model_of([step("Relu", "x", "y")], takes=takes))


def test_faces_of_whole_numbers_are_refused(file):
    nodes = [step("Cast", "x", "f", to=1), step("Relu", "f", "y")]
    message = refused_model(file, model_of(nodes, kind=TensorProto.UINT8))
    assert "its input x is of type UINT8, and faces are of type FLOAT" in message


def test_unknown_channels_and_a_batch_of_one_are_faces_too(file):
    for takes in ((1, 3, 64, 48), (None, None, 64, 48), ("N", "C", 64, 48)):
        graph, _ = read_onnx(write(file, model_of([step("Relu", "x", "y")], takes=takes)))
        assert graph.size == SIZE


def graph_with(inputs: list[str], outputs: list[str], nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    shape = ("N", 3, *SIZE)
    graph = helper.make_graph(
        nodes, "graph", [value(name, shape) for name in inputs], [value(name, ("N", "E")) for name in outputs]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=IR)


def test_one_input_and_one_output(file):
    both = [step("Add", "x z", "y"), step("Relu", "y", "r")]
    message = refused_model(file, graph_with(["x", "z"], ["y"], both))
    assert "has 2 inputs, and a recogniser takes faces alone" in message
    message = refused_model(
        file, graph_with(["x"], ["y", "r"], [step("Relu", "x", "y"), step("Relu", "y", "r")])
    )
    assert "has 2 outputs (y, r), and a recogniser gives embeddings alone" in message
    constant = [step("Constant", "", "c", value_float=1.0), step("Relu", "c", "y")]
    message = refused_model(file, graph_with(["x"], ["y"], constant))
    assert "its output y does not depend on its input x" in message
    assert "does not depend" in refused_model(file, graph_with(["x"], ["x"], []))


def test_stored_tensors_that_are_inputs_as_well_are_no_inputs(file):
    """Older files name all they store as inputs too."""
    nodes, stored = tiny_nodes()
    model = model_of(nodes, stored)
    model.graph.input.extend(value(name, array.shape) for name, array in stored.items())
    assert read_onnx(write(file, model))[0].input == "x"


def test_operators_that_are_not_onnx_are_refused(file):
    model = graph_with(["x"], ["y"], [helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")])
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    message = refused_model(file, model)
    assert "the operator com.microsoft.Gelu is not part of ONNX itself" in message


def test_an_old_opset_is_refused(file):
    assert "is of opset 6" in refused_model(file, model_of([step("Relu", "x", "y")], opset=6))
    assert read_onnx(write(file, model_of([step("Relu", "x", "y")], opset=7)))[0].opset == 7


CONSTANTS = {
    "value": (numpy_helper.from_array(some(3, 1, 1)), torch.from_numpy(some(3, 1, 1))),
    "value_int": (3, torch.tensor(3)),
    "value_float": (0.25, torch.tensor(0.25)),
    "value_ints": ([0, -1], torch.tensor([0, -1])),
    "value_floats": ([0.25, -1.0], torch.tensor([0.25, -1.0])),
}


@pytest.mark.parametrize("kind", CONSTANTS)
def test_constants_of_every_kind(file, kind):
    given, wanted = CONSTANTS[kind]
    nodes = [helper.make_node("Constant", [], ["c"], **{kind: given}), step("Concat", "x c", "y", axis=0)]
    graph, tensors = read_onnx(write(file, model_of(nodes)))
    assert [node.op for node in graph.nodes] == ["Concat"]
    assert tensors["c"].dtype == wanted.dtype and torch.equal(tensors["c"], wanted)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("value_string", "word"),
        ("value_strings", ["a", "b"]),
        (
            "sparse_value",
            helper.make_sparse_tensor(
                helper.make_tensor("v", TensorProto.FLOAT, [1], [2.0]),
                helper.make_tensor("i", TensorProto.INT64, [1], [1]),
                [3],
            ),
        ),
    ],
)
def test_other_constants_are_refused(file, kind, given):
    nodes = [helper.make_node("Constant", [], ["c"], **{kind: given}), step("Concat", "x c", "y", axis=0)]
    assert f"a constant of a kind that is not understood ({kind})" in refused_model(file, model_of(nodes))


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16])
def test_weights_of_another_precision_become_single(file, kind):
    stored = helper.make_tensor("w", kind, [2], [0.5, -1.25])
    model = model_of([step("Cast", "w", "s", to=1), step("Mul", "x s", "y")])
    model.graph.initializer.append(stored)
    graph, tensors = read_onnx(write(file, model))
    assert graph.tensors["w"] == ((2,), "float32") and tensors["w"].tolist() == [0.5, -1.25]


def test_words_are_no_weights(file):
    model = model_of([step("Concat", "x w", "y", axis=0)])
    model.graph.initializer.append(helper.make_tensor("w", TensorProto.STRING, [1], [b"word"]))
    assert "its tensor w cannot be read" in refused_model(file, model)


def test_what_the_output_does_not_need_is_left_out(file):
    nodes, stored = tiny_nodes()
    more = [
        step("Softmax", "f", "share"),
        step("Mul", "share big", "other"),
        step("Dropout", "m", "d -"),
    ]
    nodes = [*nodes[:3], *more, step("Clip", "f - high", "g"), step("Gemm", "g v", "y", transB=1)]
    stored |= {"big": some(384), "high": np.float32(6)}
    graph, tensors = read_onnx(write(file, model_of(nodes, stored)))
    assert [node.op for node in graph.nodes] == ["Conv", "PRelu", "Flatten", "Clip", "Gemm"]
    assert "big" not in tensors and "high" in tensors


def test_a_number_as_an_attribute_is_kept(file):
    number = numpy_helper.from_array(ints(7))
    larger = numpy_helper.from_array(ints(1, 2))
    for given, kept in ((number, [7]), (larger, "TensorProto")):
        nodes = [step("Shape", "x", "s"), step("ConstantOfShape", "s", "y", value=given)]
        graph, _ = read_onnx(write(file, model_of(nodes)))
        assert graph.nodes[1].attributes == {"value": kept} and Graph.from_json(graph.to_json()) == graph


# Files that mean harm, or look as if.


def with_data_elsewhere(file: Path, location: str, length: int = 1536) -> None:
    """The tiny network, whose first tensor is said to lie in another file."""
    model = model_of(*tiny_nodes())
    stored = model.graph.initializer[0]
    assert stored.name == "w"
    stored.ClearField("raw_data")
    stored.data_location = TensorProto.EXTERNAL
    for key, said in (("location", location), ("offset", "0"), ("length", str(length))):
        stored.external_data.add(key=key, value=said)
    write(file, model)


def test_tensors_in_a_file_beside_it_are_read(file):
    values = some(8, 3, 8, 8)
    (file.parent / "net.data").write_bytes(values.tobytes())
    with_data_elsewhere(file, "net.data", values.nbytes)
    assert np.array_equal(read_onnx(file)[1]["w"].numpy(), values)


def test_tensors_elsewhere_are_not_opened(tmp_path, monkeypatch):
    """Neither up, nor by a full path, nor by a link: no file of somebody else's becomes weights, or is even looked into."""
    secret = tmp_path / "secret"
    secret.write_bytes(some(8, 3, 8, 8).tobytes())
    folder = tmp_path / "given"
    (folder / "sub").mkdir(parents=True)
    (folder / "link").symlink_to(secret)
    (folder / "away").symlink_to(tmp_path)
    opened: list[str] = []
    monkeypatch.setattr(onnx, "load_external_data_for_model", lambda *given: opened.append("data"))
    for location, message in (
        ("../secret", "which lies outside of its folder"), (str(secret), "which lies outside"), ("sub/../../secret", "outside"),
        ("C:\\secret", "outside"), ("", "outside"), ("link", "which is reached by a link"), ("away/secret", "reached by a link"),
        ("none", "which is missing: put it beside the ONNX file"), ("sub", "which is missing"),
    ):  # fmt: skip
        with_data_elsewhere(folder / "net.onnx", location, secret.stat().st_size)
        assert message in refusal(folder / "net.onnx") and not opened, location


def test_tensors_elsewhere_of_a_graph_within_a_graph_are_not_opened(tmp_path):
    inner = helper.make_graph([step("Relu", "x", "z")], "inner", [], [value("z", ("N", 3, *SIZE))])
    stored = numpy_helper.from_array(some(2), "w")
    stored.ClearField("raw_data")
    stored.data_location = TensorProto.EXTERNAL
    stored.external_data.add(key="location", value="../secret")
    inner.initializer.append(stored)
    nodes = [step("If", "c", "y", then_branch=inner, else_branch=inner), step("Add", "x y", "out")]
    path = write(tmp_path / "net.onnx", model_of(nodes, {"c": np.array(True)}, output="out"))
    assert "names the data file '../secret', which lies outside" in refusal(path)


def test_faces_with_their_channels_last_are_turned(file):
    """As files have them that come from TensorFlow."""
    nodes, stored = tiny_nodes()
    turn = [step("Transpose", "x", "t", perm=[0, 3, 1, 2]), step("Conv", "t w b", "c", strides=[8, 8])]
    write(file, model_of([*turn, *nodes[1:]], stored, takes=("N", *SIZE, 3)))
    graph, _ = read_onnx(file)
    assert graph.size == SIZE and graph.nodes[0] == Node(
        "Transpose", (graph.input,), ("x",), {"perm": [0, 2, 3, 1]}
    )
    given = torch.from_numpy(some(3, 3, *SIZE))
    torch.testing.assert_close(
        answer(net_of(file), given), ask(file, given.permute(0, 2, 3, 1).contiguous()), rtol=5e-5, atol=5e-5
    )


def test_an_earlier_softmax_is_one_over_all_that_follows(file):
    nodes = [step("Conv", "x w", "m", strides=[8, 8]), step("Softmax", "m", "s"), step("Flatten", "s", "y")]
    write(file, model_of(nodes, {"w": some(4, 3, 8, 8)}, opset=11))
    given = torch.from_numpy(some(2, 3, *SIZE))
    torch.testing.assert_close(answer(net_of(file), given), ask(file, given), rtol=5e-5, atol=5e-5)


def test_a_huge_tensor_without_data_takes_no_memory(file):
    for shape in ([10**6, 10**6], [2**40], [10**6, 3, 8, 8]):
        model = model_of(*tiny_nodes())
        stored = model.graph.initializer[0]
        del stored.dims[:]
        stored.dims.extend(shape)
        for data in (b"", stored.raw_data):
            stored.raw_data = data
            write(file, model)
            tracemalloc.start()
            message = refusal(file)
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert most < 50e6 and ("cannot be read" in message or "is no usable" in message)


def test_a_graph_within_a_graph_is_plain_data(file):
    """If and Loop are read, and refused once the graph is run."""
    shape = ("N", 3, *SIZE)
    inner = helper.make_graph([step("Relu", "x", "z")], "inner", [], [value("z", shape)])
    nodes = [step("If", "c", "y", then_branch=inner, else_branch=inner), step("Add", "x y", "out")]
    model = model_of(nodes, {"c": np.array(True)}, output="out")
    graph, _ = read_onnx(write(file, model))
    assert graph.nodes[0].attributes == {"else_branch": "GraphProto", "then_branch": "GraphProto"}
    assert Graph.from_json(graph.to_json()) == graph
