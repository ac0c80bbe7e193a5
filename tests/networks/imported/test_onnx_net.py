"""A graph as a network: what is folded, where it is cut, that it computes for N faces what onnxruntime does."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch import Tensor

from pdsn.errors import PdsnError
from pdsn.networks.backbone import freeze
from pdsn.networks.imported import onnx_net
from pdsn.networks.imported.onnx_graph import Graph, read_onnx
from pdsn.networks.imported.onnx_net import OnnxNet, folded
from tests.networks.imported.graphs import (
    SIZE,
    answer,
    ask,
    ints,
    model_of,
    net_of,
    some,
    step,
    tiny_nodes,
    write,
    write_tiny,
)


def faces(count: int, size: tuple[int, int] = SIZE) -> Tensor:
    return torch.from_numpy(some(count, 3, *size))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "net.onnx"


def built(file: Path, nodes: list[onnx.NodeProto], tensors: dict[str, np.ndarray] | None = None, **more):
    """The network of a graph, which must compute what onnxruntime does."""
    write(file, model_of(nodes, tensors, **more))
    net = net_of(file)
    assert_same(net, file, 3)
    return net


def assert_same(net: OnnxNet, file: Path, count: int) -> None:
    given = faces(count, net.graph.size)
    # On some processors sums of 384 products differ by 2e-5.
    torch.testing.assert_close(answer(net, given), ask(file, given).flatten(1), rtol=5e-5, atol=5e-5)


TRUNK = [step("Conv", "x w b", "c", kernel_shape=[8, 8], strides=[8, 8]), step("PRelu", "c s", "m")]
"""To a map "m" of 8x8x6."""
END = step("Gemm", "f v", "y", transB=1)
"""From 384 numbers "f" to the embedding."""


def test_maps_and_embeddings(file):
    net = built(file, *tiny_nodes())
    assert net.cut.name == "m"
    maps = net.features(faces(3))
    assert maps.shape == (3, 8, 8, 6) and net.head(maps).shape == (3, 16)
    assert torch.equal(net.head(maps), answer(net, faces(3)))
    assert not torch.allclose(net.head(torch.zeros_like(maps)), net.head(maps))
    assert_same(net, file, 1)


def test_masks_can_be_learned_through_the_head_and_weights_stay(file):
    net = built(file, *tiny_nodes())
    freeze(net)
    maps = net.features(faces(2)).detach().requires_grad_()
    net.train()
    net.head(maps).sum().backward()
    assert maps.grad.abs().sum() > 0 and all(p.grad is None for p in net.parameters())


# Folding.


def test_what_the_faces_have_no_part_in_is_computed_once(file):
    nodes = [
        step("Mul", "w two", "doubled"),
        step("Shape", "w", "shape"),
        step("Gather", "shape zero", "channels"),
        step("Unsqueeze", "channels zeros", "row"),
        step("Concat", "row ones", "wanted", axis=0),
        step("Reshape", "slopes wanted", "s"),
        step("Reshape", "flat bias", "b4"),
        step("Squeeze", "b4", "b"),
        step("Conv", "x doubled b", "c", kernel_shape=[8, 8], strides=[8, 8]),
        step("PRelu", "c s", "m"),
        step("Flatten", "m", "f"),
        END,
    ]
    stored = tiny_nodes()[1]
    tensors = {
        "w": stored["w"], "v": stored["v"], "two": np.float32(2), "zero": np.array(0), "zeros": ints(0), "ones": ints(1, 1),
        "slopes": some(8), "flat": some(8, seed=1), "bias": ints(1, 8, 1, 1),
    }  # fmt: skip
    net = built(file, nodes, tensors)
    assert [node.op for node in net.graph.nodes] == ["Conv", "PRelu", "Flatten", "Gemm"]
    assert net.graph.tensors["doubled"] == ((8, 3, 8, 8), "float32")
    assert net.graph.tensors["s"] == ((8, 1, 1), "float32") and net.graph.tensors["b"][0] == (8,)
    assert not {"w", "two", "shape", "slopes", "b4"} & net.graph.tensors.keys()


def test_one_face_alone_among_constants_is_not_taken_for_n(file):
    """(1, 6, 1, 1) of six numbers is meant as it stands."""
    nodes = [
        step("Reshape", "six shape", "slopes"),
        step("Conv", "x w", "c", kernel_shape=[8, 8], strides=[8, 8]),
    ]
    nodes += [step("Mul", "c slopes", "m"), step("Flatten", "m", "f"), step("Gemm", "f v", "y")]
    tensors = {"six": some(6), "shape": ints(1, 6, 1, 1), "w": some(6, 3, 8, 8), "v": some(288, 4) / 20}
    assert built(file, nodes, tensors).cut.name == "m"


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (step("Hardmax", "v", "u"), "the operator Hardmax is not understood: convert the network to a --arch FILE.py"),
        (step("Reshape", "v shape", "u"), "Reshape (u) fails: "),
        (step("RandomNormal", "", "u", shape=[16, 384]), "the operator RandomNormal is not understood"),
    ],
)  # fmt: skip
def test_folding_that_fails_is_one_line(file, node, message):
    nodes = [node, *TRUNK, step("Flatten", "m", "f"), step("Gemm", "f u", "y", transB=1)]
    write(file, model_of(nodes, {**tiny_nodes()[1], "shape": ints(5, 5)}))
    graph, tensors = read_onnx(file)
    with pytest.raises(PdsnError) as caught:
        folded(graph, tensors, str(file))
    assert str(caught.value).startswith(f"{file}: {message}") and "\n" not in str(caught.value)


# A batch of one.


@pytest.mark.parametrize(
    "middle",
    [
        [step("Reshape", "m rest", "f")],
        [step("Reshape", "m whole", "f")],
        [step("Reshape", "m keep", "f")],
        [step("Unsqueeze", "m two", "u"), step("Squeeze", "u", "n"), step("Reshape", "n rest", "f")],
        [step("Flatten", "m", "f")],
    ],
    ids=["1,-1", "1,384", "0,-1", "squeeze", "flatten"],
)
def test_a_file_for_one_face_takes_n(file, middle):
    stored = tiny_nodes()[1] | {
        "rest": ints(1, -1),
        "whole": ints(1, 384),
        "keep": ints(0, -1),
        "two": ints(2),
    }
    write(file, model_of([*TRUNK, *middle, END], stored, takes=(1, 3, *SIZE), gives=(1, 16)))
    net = net_of(file)
    given = faces(4)
    wanted = torch.cat([ask(file, face) for face in given.split(1)])
    torch.testing.assert_close(answer(net, given), wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(answer(net, given[:1]), wanted[:1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ([step("Reshape", "e all", "y")], "takes one face alone: export it with a batch of any size"),
        ([step("Gather", "e first", "y", axis=0)], "takes one face alone"),
        ([step("ReduceMean", "e", "y", axes=[0])], "takes one face alone"),
        ([step("ReduceMean", "e", "y", keepdims=0)], "takes one face alone"),
        ([step("Reshape", "e four", "y")], "takes one face alone"),
        ([step("Reshape", "e five", "y")], "Reshape (y) fails: "),
    ],
    ids=["flat", "first", "mean", "number", "shape", "none"],
)
def test_what_takes_one_face_alone_or_none_is_refused(file, end, message):
    stored = tiny_nodes()[1] | {"all": ints(-1), "first": np.array(0), "four": ints(4, 4), "five": ints(5, 5)}
    nodes = [*TRUNK, step("Flatten", "m", "f"), step("Gemm", "f v", "e", transB=1), *end]
    write(file, model_of(nodes, stored, takes=(1, 3, *SIZE), gives=("N",)))
    with pytest.raises(PdsnError) as caught:
        _ = net_of(file).cut
    assert message in str(caught.value) and str(file) in str(caught.value) and "\n" not in str(caught.value)


# The cut.


def test_the_cut_is_the_last_map(file):
    nodes = [*TRUNK, step("Relu", "m", "r"), step("Flatten", "r", "f"), END]
    assert built(file, nodes, tiny_nodes()[1]).cut.name == "r"


def test_a_way_around_the_last_map_moves_the_cut_before_it(file):
    nodes = [
        *TRUNK,
        step("Relu", "m", "r"),
        step("Sigmoid", "r", "g"),
        step("ReduceMean", "m", "pooled", axes=[2, 3], keepdims=0),
        step("Flatten", "g", "f"),
        step("Gemm", "f v", "e", transB=1),
        step("Gemm", "pooled q", "p"),
        step("Add", "e p", "y"),
    ]
    assert built(file, nodes, {**tiny_nodes()[1], "q": some(8, 16)}).cut.name == "m"


def test_a_sum_of_two_ways_is_the_last_map(file):
    nodes = [*TRUNK, step("Relu", "m", "r"), step("Add", "r m", "a"), step("Flatten", "a", "f"), END]
    assert built(file, nodes, tiny_nodes()[1]).cut.name == "a"


@pytest.mark.parametrize("asked", ["x", "c", "m"])
def test_how_many_faces_there_are_is_no_other_way(file, asked):
    """A head may ask the faces, or any map, for the size of the batch."""
    nodes = [*TRUNK, step("Shape", asked, "sizes"), step("Gather", "sizes zero", "batch")]
    nodes += [step("Unsqueeze", "batch zeros", "row"), step("Concat", "row rest", "shape", axis=0)]
    nodes += [step("Reshape", "m shape", "f"), END]
    more = {"zero": np.array(0), "zeros": ints(0), "rest": ints(-1)}
    net = built(file, nodes, tiny_nodes()[1] | more)
    assert net.cut.name == "m"
    assert_same(net, file, 1)


def test_a_map_of_one_place_is_none(file):
    nodes = [
        *TRUNK,
        step("Conv", "m d", "one", kernel_shape=[8, 6], group=8),
        step("Relu", "one", "r"),
        step("Conv", "r p", "e", kernel_shape=[1, 1]),
        step("Flatten", "e", "y"),
    ]
    net = built(file, nodes, {**tiny_nodes()[1], "d": some(8, 1, 8, 6), "p": some(16, 8, 1, 1)})
    assert net.cut.name == "m"


def test_a_map_with_its_channels_last_is_none(file):
    """Graphs that TensorFlow's users export turn the map before they flatten it."""
    nodes = [*TRUNK, step("Transpose", "m", "t", perm=[0, 2, 3, 1]), step("Flatten", "t", "f"), END]
    assert built(file, nodes, tiny_nodes()[1]).cut.name == "m"
    nodes[3:4] = [step("Relu", "t", "r"), step("Flatten", "r", "f")]
    assert built(file, nodes, tiny_nodes()[1]).cut.name == "m"


def test_embeddings_with_places_are_flattened(file):
    nodes = [*TRUNK, step("Conv", "m d", "y", kernel_shape=[8, 6])]
    net = built(file, nodes, {**tiny_nodes()[1], "d": some(16, 8, 8, 6)}, gives=("N", "E", 1, 1))
    assert net.cut.name == "m" and answer(net, faces(2)).shape == (2, 16)


@pytest.mark.parametrize(
    "nodes",
    [
        [step("Flatten", "x", "f"), step("Gemm", "f v", "y")],
        [step("GlobalAveragePool", "x", "p"), step("Flatten", "p", "f"), step("Gemm", "f u", "y")],
        [step("ReduceMean", "x", "f", axes=[2, 3], keepdims=0), step("Gemm", "f u", "y")],
    ],
)
def test_without_a_spatial_map_it_is_refused(file, nodes):
    write(file, model_of(nodes, {"v": some(9216, 4), "u": some(3, 4)}))
    with pytest.raises(PdsnError, match=r"net.onnx has no spatial map \(N, C, h, w\) before its embeddings"):
        _ = net_of(file).cut


# What fails.


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (step("Hardmax", "m", "r"), "the operator Hardmax is not understood: convert the network to a --arch FILE.py"),
        (step("Pad", "m pads", "r", mode="edge"), "Pad with mode edge is not understood"),
        (step("MatMul", "m big", "r"), "MatMul (r) fails: "),
        (step("Conv", "m big", "r"), "Conv (r) fails: "),
        (step("Unsqueeze", "m far", "r"), "Unsqueeze (r) fails: "),
        (step("Gather", "m pads", "r", axis=9), "Gather (r) fails: "),
    ],
)  # fmt: skip
def test_what_fails_is_one_line(file, node, message):
    nodes = [*TRUNK, node, step("Flatten", "r", "f"), END]
    write(
        file,
        model_of(
            nodes,
            {**tiny_nodes()[1], "pads": ints(0, 0, 1, 1, 0, 0, 1, 1), "far": ints(99), "big": some(5, 5)},
        ),
    )
    with pytest.raises(PdsnError) as caught:
        _ = net_of(file).cut
    assert f"{file}: {message}" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("op", ["If", "Loop"])
@pytest.mark.parametrize("asked", ["x", "c"])
def test_choices_and_loops_are_refused(file, op, asked):
    """Whether they depend on the faces or not."""
    shape = ("N", 3, *SIZE)
    if op == "If":
        inner = helper.make_graph(
            [step("Relu", asked, "z")], "inner", [], [helper.make_tensor_value_info("z", 1, shape)]
        )
        node = step("If", "yes", "r", then_branch=inner, else_branch=inner)
    else:
        inner = helper.make_graph(
            [step("Identity", "go", "on"), step("Relu", "now", "z")],
            "inner",
            [
                helper.make_tensor_value_info("i", 7, ()),
                helper.make_tensor_value_info("go", 9, ()),
                helper.make_tensor_value_info("now", 1, shape),
            ],
            [helper.make_tensor_value_info("on", 9, ()), helper.make_tensor_value_info("z", 1, shape)],
        )
        node = step("Loop", f"often yes {asked}", "r", body=inner)
    stored = {**tiny_nodes()[1], "yes": np.array(True), "often": np.array(2), "c": some(1, 3, 1, 1)}
    nodes = [
        node,
        step("Mul", "x r", "h"),
        step("Conv", "h w b", "m", strides=[8, 8]),
        step("Flatten", "m", "f"),
        END,
    ]
    write(file, model_of(nodes, stored))
    with pytest.raises(PdsnError, match=f"the operator {op} is not understood") as caught:
        _ = net_of(file).cut
    assert "\n" not in str(caught.value)


def test_a_tensor_that_nothing_gives_is_named(file):
    graph, _ = read_onnx(write_tiny(file))
    about = {name: found for name, found in graph.tensors.items() if name != "v"}
    net = OnnxNet(Graph(graph.nodes, "x", "y", SIZE, about, 17), "net.onnx")
    with pytest.raises(PdsnError, match="net.onnx: nothing gives v"):
        net.features(faces(1))


def test_maps_that_are_used_up_take_no_memory(file, monkeypatch):
    """A hundred layers of a hundred faces would take ten gigabytes."""
    chain = [step("Relu", f"m{place}", f"m{place + 1}") for place in range(20)]
    nodes = [step("Conv", "x w b", "m0", strides=[8, 8]), *chain, step("Add", "m20 m0", "m")]
    net = built(file, [*nodes, step("Flatten", "m", "f"), END], tiny_nodes()[1])
    made, most = [], 0
    real = onnx_net.compute

    def watched(*given):
        nonlocal most
        found = real(*given)
        made.append(weakref.ref(found))
        most = max(most, sum(one() is not None for one in made))
        return found

    monkeypatch.setattr(onnx_net, "compute", watched)
    net.features(faces(2))
    assert len(made) == 22 and most <= 3  # the first for the sum, the last, and the next


# Weights.


def test_names_of_any_kind_are_kept(file):
    odd = {"w": "trunk/conv.weight:0", "b": "training", "s": "0.s", "v": "forward"}
    nodes = [
        helper.make_node(
            node.op_type,
            [odd.get(name, name) for name in node.input],
            node.output,
            **{one.name: helper.get_attribute_value(one) for one in node.attribute},
        )
        for node in tiny_nodes()[0]
    ]
    net = built(file, nodes, {odd[name]: array for name, array in tiny_nodes()[1].items()})
    assert set(net.keys) == set(odd.values()) and set(net.state_dict()) == {"t0", "t1", "t2", "t3"}


def test_weights_and_graph_come_back(file):
    net = net_of(write_tiny(file))
    again = OnnxNet(Graph.from_json(net.graph.to_json()), "again")
    again.load_state_dict({name: value.clone() for name, value in net.state_dict().items()})
    given = faces(2)
    assert torch.equal(answer(net, given), answer(again.eval(), given))
    lacking = net.state_dict()
    del lacking["t0"]
    with pytest.raises(RuntimeError, match="Missing key"):
        again.load_state_dict(lacking)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        again.load_state_dict({**net.state_dict(), "t9": torch.zeros(1)})


def test_whole_numbers_belong_to_the_graph(file):
    """A network is built, and cut, before it has its weights."""
    stored = tiny_nodes()[1] | {"rest": ints(0, -1), "places": ints(2, 0, -1)}
    nodes = [
        *TRUNK,
        step("Gather", "m places", "g", axis=1),
        step("Reshape", "g rest", "f"),
        step("MatMul", "f u", "y"),
    ]
    net = built(file, nodes, stored | {"u": some(144, 16)})
    assert net.graph.numbers == {"places": ("int64", [2, 0, -1]), "rest": ("int64", [0, -1])}
    assert net.state_dict().keys() == set(net.keys.values()) and "rest" not in net.keys
    again = OnnxNet(Graph.from_json(net.graph.to_json()), "again")
    assert again.graph == net.graph and again.cut.name == "g"
    again.load_state_dict(net.half().float().state_dict())
    assert torch.equal(answer(again, faces(2)), answer(net, faces(2)))


def test_drawing_weights_anew_changes_the_answer_and_repeats(file):
    net = net_of(write_tiny(file))
    given = faces(2)
    before, stay = answer(net, given), {name: getattr(net, net.keys[name]).clone() for name in ("b", "s")}
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        net.reset_parameters()
        found.append(answer(net, given))
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], before) and not torch.allclose(found[0], found[2])
    assert all(torch.equal(getattr(net, net.keys[name]), value) for name, value in stay.items())


@pytest.mark.parametrize(
    ("op", "normalises"), [("Sub", True), ("Mul", True), ("Div", True), ("Add", True), ("Relu", False)]
)
def test_whether_a_graph_shifts_or_scales_its_faces_itself(file, op, normalises):
    begin = step(op, "x" if op == "Relu" else "x one", "x1")
    nodes = [begin, step("Conv", "x1 w b", "m", strides=[8, 8]), step("Flatten", "m", "f"), END]
    net = built(file, nodes, {**tiny_nodes()[1], "one": np.float32(1.5)})
    assert net.normalises is normalises
    assert not net_of(write_tiny(file)).normalises
