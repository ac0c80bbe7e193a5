"""Every operator against onnxruntime, with its attributes at and off their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from pdsn.networks.imported.onnx_graph import Node
from pdsn.networks.imported.onnx_operators import OF_SHAPES, OPERATORS, NotUnderstood, compute
from tests.networks.imported.graphs import IR, ints, some

NUMPY = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.int64): TensorProto.INT64,
    np.dtype(np.bool_): TensorProto.BOOL,
}
KIND = {int: np.int64, float: np.float32, bool: np.bool_}
X = some(2, 4, 9, 7)
ROWS = some(3, 5)


def theirs(op: str, given: list[np.ndarray | None], attributes: Mapping[str, Any], opset: int) -> np.ndarray:
    """What onnxruntime gives; the first input is no constant, as the faces are none."""
    if op == "ConstantOfShape" and attributes:
        attributes = {
            "value": numpy_helper.from_array(
                np.array(attributes["value"]).astype(KIND[type(attributes["value"][0])])
            )
        }
    names = ["" if array is None else f"i{place}" for place, array in enumerate(given)]
    first = given[0]
    assert first is not None
    graph = helper.make_graph(
        [helper.make_node(op, names, ["y"], **attributes)],
        "graph",
        [helper.make_tensor_value_info("i0", NUMPY[first.dtype], first.shape)],
        [helper.make_empty_tensor_value_info("y")],
        [
            numpy_helper.from_array(array, name)
            for array, name in zip(given[1:], names[1:], strict=True)
            if array is not None
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"i0": first})[0]


def node_of(op: str, inputs: int, attributes: Mapping[str, Any], outputs: tuple[str, ...] = ("y",)) -> Node:
    return Node(op, tuple(f"i{place}" for place in range(inputs)), outputs, attributes)


def ours(op: str, given: list[np.ndarray | None], attributes: Mapping[str, Any]) -> torch.Tensor:
    tensors = [None if array is None else torch.from_numpy(np.array(array)) for array in given]
    return compute(node_of(op, len(given), attributes), tensors)


def case(op: str, *given: np.ndarray | None, opset: int = 17, **attributes: Any) -> Any:
    shown = [f"{key}={value}" for key, value in attributes.items()]
    name = "-".join([op, *map(str, (array.shape for array in given[1:] if array is not None)), *shown])
    return pytest.param(op, list(given), attributes, opset, id=f"{name}-{opset}".replace(" ", ""))


TOKENS = some(2, 6, 8)
STATISTICS = (some(4, seed=1), some(4, seed=2), some(4, seed=3), some(4, seed=4) ** 2 + 0.1)
KERNEL = some(6, 4, 3, 2)
WHOLE = ints(*range(-5, 7)).reshape(3, 4)
CASES = [
    *(
        case(op, X, other)
        for op in ("Add", "Sub", "Mul", "Div")
        for other in (some(2, 4, 9, 7, seed=1) + 3, some(4, 1, 1), np.float32(0.7).reshape(()))
    ),
    *(case(op, WHOLE, np.array(3)) for op in ("Add", "Sub", "Mul", "Div")),
    *(case(op, X) for op in ("Exp", "Relu", "Sigmoid", "Tanh", "Identity", "GlobalAveragePool", "HardSwish")),
    case("Sqrt", X**2),
    case("Pow", X, np.float32(2)),
    case("Pow", X**2, np.float32(0.5)),
    case("Pow", X, some(4, 1, 1).round() + 4),
    case("Pow", WHOLE, np.array(2)),
    case("Pow", WHOLE, np.float32(2)),
    case("Conv", X, KERNEL),
    case("Conv", X, KERNEL, some(6), strides=[2, 1]),
    case("Conv", X, KERNEL, some(6), pads=[1, 2, 1, 2], kernel_shape=[3, 2]),
    case("Conv", X, KERNEL, pads=[0, 1, 2, 0], dilations=[2, 3]),
    case("Conv", X, KERNEL, pads=[1, 1, 1, 1], auto_pad="NOTSET"),
    case("Conv", X, KERNEL, auto_pad="VALID"),
    case("Conv", X, some(8, 2, 3, 3), group=2),
    case("Conv", X, some(4, 1, 3, 3), some(4), group=4, pads=[1, 1, 1, 1], strides=[2, 2]),
    case("Conv", X, some(4, 4, 9, 7)),
    case("BatchNormalization", X, *STATISTICS),
    case("BatchNormalization", X, *STATISTICS, epsilon=0.01, momentum=0.5, opset=11),
    case("BatchNormalization", X, *STATISTICS, training_mode=0),
    case("BatchNormalization", some(3, 4), *STATISTICS, epsilon=2e-5),
    case("BatchNormalization", some(3, 4), *STATISTICS, spatial=0, opset=8),
    case("PRelu", X, some(4, 1, 1)),
    case("PRelu", X, some(1)),
    case("PRelu", ROWS, some(5)),
    case("LeakyRelu", X),
    case("LeakyRelu", X, alpha=0.25),
    case("HardSigmoid", 3 * X),
    case("HardSigmoid", 3 * X, alpha=0.5, beta=0.1),
    *(
        case("MaxPool", X - 3, kernel_shape=[3, 2], **more)
        for more in (
            {},
            {"strides": [2, 2]},
            {"strides": [2, 3], "pads": [1, 1, 1, 1]},
            {"strides": [2, 2], "pads": [0, 0, 1, 1]},
            {"strides": [2, 2], "pads": [1, 0, 0, 1]},
            {"strides": [2, 2], "ceil_mode": 1},
            {"strides": [2, 3], "pads": [1, 1, 1, 1], "ceil_mode": 1},
            {"strides": [2, 2], "pads": [0, 0, 1, 1], "ceil_mode": 1},
            {"strides": [3, 3], "pads": [0, 0, 0, 1], "ceil_mode": 1},
            {"strides": [3, 3], "pads": [1, 1, 0, 0], "ceil_mode": 1},
            {"dilations": [2, 1]},
            {"strides": [2, 2], "auto_pad": "VALID"},
        )
    ),
    *(
        case("AveragePool", X, kernel_shape=[3, 2], **more)
        for more in (
            {},
            {"strides": [2, 2]},
            {"strides": [2, 2], "pads": [1, 1, 1, 1]},
            {"strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1},
            {"strides": [2, 2], "pads": [0, 0, 1, 1], "count_include_pad": 1},
            {"strides": [2, 2], "ceil_mode": 1},
            {"strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1},
            {"strides": [3, 3], "pads": [1, 1, 1, 1], "ceil_mode": 1},
            {"strides": [3, 3], "pads": [1, 1, 1, 1], "ceil_mode": 1, "count_include_pad": 1},
            {"strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1, "count_include_pad": 1},
            {"strides": [2, 2], "pads": [0, 0, 1, 1], "ceil_mode": 1, "count_include_pad": 1},
            {"strides": [3, 3], "pads": [1, 1, 0, 0], "ceil_mode": 1, "count_include_pad": 1},
        )
    ),
    case("Gemm", ROWS, some(5, 2)),
    case("Gemm", ROWS, some(2, 5), transB=1),
    case("Gemm", ROWS, some(5, 2), some(2), beta=0.5, alpha=2.0),
    case("Gemm", ROWS, some(2, 3), some(5, 1), transA=1, transB=1),
    case("Gemm", ROWS, some(5, 2), np.float32(3).reshape(())),
    case("MatMul", ROWS, some(5, 2)),
    case("MatMul", X, some(7, 3)),
    *(case("Flatten", X, **({} if axis is None else {"axis": axis})) for axis in (None, 0, 1, 2, 4, -1, -3)),
    case("Reshape", X, ints(2, -1)),
    case("Reshape", X, ints(0, -1, 7)),
    case("Reshape", X, ints(0, 0, 63)),
    case("Reshape", X, ints(-1), opset=13),
    case("Reshape", X, ints(1, -1)),
    case("Reshape", some(0, 4), ints(2, 0), allowzero=1),
    case("Reshape", X, ints(2, 36, 7), allowzero=1),
    case("Transpose", X),
    case("Transpose", X, perm=[0, 2, 3, 1]),
    case("Concat", X, some(2, 4, 9, 7, seed=5), axis=1),
    case("Concat", X, some(2, 4, 9, 2), some(2, 4, 9, 1), axis=-1),
    case("Dropout", X),
    case("Dropout", X, opset=11, ratio=0.7),
    case("Dropout", X, np.float32(0.7), np.array(False)),
    case("Dropout", X, np.float32(0.7)),
    *(case("Cast", 3 * X, to=kind) for kind in (1, 6, 7, 9)),
    case("Cast", WHOLE, to=1),
    case("Gather", X, ints(0, 2, -1), axis=1),
    case("Gather", X, np.array(1), axis=0),
    case("Gather", X, np.array(-2), axis=-1),
    case("Gather", X, np.array([[0, 1], [-3, 2]], np.int32), axis=3),
    case("Clip", X, opset=11),
    case("Clip", X, opset=6, min=-0.5, max=0.25),
    case("Clip", X, opset=6, min=0.0),
    case("Clip", X, opset=6, max=0.0),
    case("Clip", X, opset=6),
    case("Clip", X, np.float32(0), np.float32(6), opset=11),
    case("Clip", X, None, np.float32(0.2)),
    case("Clip", X, np.float32(-0.2)),
    case("Clip", WHOLE, np.array(-2), np.array(3)),
    case("Slice", X, opset=9, starts=[1, 2], ends=[3, 7], axes=[1, 2]),
    case("Slice", X, opset=9, starts=[0, 1], ends=[1, 100]),
    case("Slice", X, opset=9, starts=[-3], ends=[-1], axes=[3]),
    case("Slice", X, ints(1), ints(-1), ints(2)),
    case("Slice", X, ints(0, 1), ints(2, 4)),
    case("Slice", X, ints(-4, 0), ints(2**63 - 1, 2**63 - 1), ints(-1, -2), ints(1, 3)),
    case("Slice", X, ints(0), ints(9), None, ints(1)),
    case("Slice", X, ints(-1), ints(-100), ints(2), ints(-1)),
    case("Slice", X, ints(5, 1), ints(1, -1), ints(3, 1), ints(-2, 2)),
    case("ConstantOfShape", ints(2, 3)),
    case("ConstantOfShape", ints(3), value=[-1]),
    case("ConstantOfShape", ints(1, 2), value=[0.25]),
    case("Expand", some(2, 1), ints(2, 5)),
    case("Expand", some(2, 1), ints(1, 5)),
    case("Expand", some(3), ints(2, 1, 3)),
    case("Expand", some(2, 3, 1), ints(3, 4)),
    case("Pad", X, opset=10, pads=[0, 0, 1, 2, 0, 0, 3, 0]),
    case("Pad", X, opset=10, pads=[0, 0, 1, 0, 0, 1, 0, 0], value=0.5, mode="constant"),
    case("Pad", X, ints(0, 0, 1, 2, 0, 0, 3, 0)),
    case("Pad", X, ints(0, 2, 0, 0, 0, 1, 0, 0), np.float32(-1.5)),
    case("Pad", X, ints(0, 0, -1, 0, 0, 0, 0, -2)),
    *(
        case(op, X, opset=opset, **{"axes": axes, **more})
        for op in ("ReduceMean", "ReduceSum", "ReduceL2")
        for axes in ([2, 3], [-1], [1])
        for more in ({}, {"keepdims": 0})
        for opset in (11, 12)
    ),
    *(
        case(op, X, ints(*axes), opset=18, **more)
        for op in ("ReduceMean", "ReduceSum", "ReduceL2")
        for axes in ((2, 3), (-1,), (-3,))
        for more in ({}, {"keepdims": 0})
    ),
    *(case(op, X, opset=11) for op in ("ReduceMean", "ReduceSum", "ReduceL2")),
    *(case(op, X, opset=18, keepdims=0) for op in ("ReduceMean", "ReduceSum", "ReduceL2")),
    case("ReduceSum", X, ints(1), opset=13),
    case("Squeeze", some(2, 1, 3, 1), opset=11, axes=[1, 3]),
    case("Squeeze", some(2, 1, 3, 1), opset=11, axes=[-1]),
    case("Squeeze", some(2, 1, 3, 1), ints(-1, 1)),
    case("Squeeze", some(1, 2, 3, 1)),
    case("Unsqueeze", ROWS, opset=11, axes=[2, 3]),
    case("Unsqueeze", ROWS, opset=11, axes=[0, -1]),
    case("Unsqueeze", ROWS, ints(1)),
    case("Unsqueeze", ROWS, ints(-1, 1)),
    case("Shape", X),
    case("Shape", X, start=1),
    case("Shape", X, start=-3, end=-1),
    case("Shape", X, end=100),
    case("LpNormalization", ROWS),
    case("LpNormalization", ROWS, axis=1, p=1),
    case("LpNormalization", X, axis=1, p=2),
    *(case(op, X) for op in ("Abs", "Neg", "Erf", "Sin", "Cos", "Softplus", "Elu", "GlobalMaxPool")),
    *(case(op, X**2 + 0.1) for op in ("Log", "Reciprocal")),
    case("Elu", X, alpha=0.5),
    case("Mish", X, opset=18),
    case("Gelu", X, opset=20),
    case("Gelu", X, opset=20, approximate="tanh"),
    case("Softmax", X),
    *(case("Softmax", X, axis=axis) for axis in (1, -2)),
    case("LayerNormalization", TOKENS, some(8)),
    case("LayerNormalization", TOKENS, some(8), some(8, seed=1), epsilon=0.01),
    case("LayerNormalization", X, some(4, 9, 7), some(4, 9, 7, seed=1), axis=1),
    case("RMSNormalization", TOKENS, some(8), opset=23),
    case("RMSNormalization", TOKENS, some(8), opset=23, epsilon=0.01, axis=2),
    case("InstanceNormalization", X, some(4), some(4, seed=1)),
    case("InstanceNormalization", X, some(4), some(4, seed=1), epsilon=0.01),
    case("GroupNormalization", X, some(4), some(4, seed=1), opset=21, num_groups=2),
    case("GroupNormalization", X, some(4), some(4, seed=1), opset=21, num_groups=4, epsilon=0.01),
    case("GroupNormalization", X, some(2), some(2, seed=1), opset=18, num_groups=2),
    case("Einsum", TOKENS, some(2, 5, 8), equation="btc,bsc->bts"),
    case("Einsum", TOKENS, some(8, 3), equation="...c,cd->...d"),
    case("Attention", some(2, 3, 6, 8), some(2, 3, 5, 8, seed=1), some(2, 3, 5, 4, seed=2), opset=23),
    case(
        "Attention",
        some(2, 3, 6, 8),
        some(2, 3, 5, 8, seed=1),
        some(2, 3, 5, 4),
        some(6, 5),
        opset=23,
        scale=0.5,
    ),
    case("MatMul", TOKENS, some(8, 3)),
    case("MatMul", some(2, 3, 6, 8), some(2, 3, 8, 5)),
    *(case(op, X, some(4, 1, 1), np.float32(0.1)) for op in ("Max", "Min", "Sum")),
    *(case(op, X) for op in ("Max", "Sum")),
    case("Min", WHOLE, np.array(1)),
    *(
        case(op, WHOLE, np.array(2))
        for op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Mod")
    ),
    case("Mod", WHOLE, np.array(-3)),
    case("Mod", X, some(4, 1, 1), fmod=1),
    *(case(op, WHOLE > 0, WHOLE % 2 == 0) for op in ("And", "Or")),
    case("Not", WHOLE > 0),
    case("Where", WHOLE > 0, WHOLE, np.array(9)),
    case("Where", X[0, 0] > 0, X, np.float32(-1)),
    case("CumSum", X, np.array(1)),
    case("CumSum", WHOLE, np.array(-1)),
    case("Range", np.array(2), np.array(11), np.array(3)),
    case("ConstantOfShape", ints(2, 3), value=[True]),
    case("Tile", ROWS, ints(2, 3)),
    *(
        case("Resize", X, None, np.array(factors, np.float32), **how)
        for how in (
            {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
            {"mode": "linear"},
            {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
            {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        )
        for factors in ([1, 1, 2, 2], [1, 1, 3, 2])
    ),
    case(
        "Resize",
        X,
        None,
        None,
        ints(2, 4, 20, 10),
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    ),
    case("Resize", X, None, np.array([], np.float32), ints(2, 4, 12, 9), mode="linear"),
    *(
        case(op, X, opset=12, axes=[1, 3], **more)
        for op in ("ReduceMax", "ReduceMin", "ReduceL1", "ReduceSumSquare")
        for more in ({}, {"keepdims": 0})
    ),
    case("ReduceMax", X, ints(2, 3), opset=18),
]


@pytest.mark.parametrize(("op", "given", "attributes", "opset"), CASES)
def test_an_operator_computes_what_onnxruntime_does(op, given, attributes, opset):
    wanted = torch.from_numpy(np.asarray(theirs(op, given, attributes, opset)))
    found = ours(op, given, attributes)
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_every_operator_is_tried():
    assert {case.values[0] for case in CASES} == {*OPERATORS} - {"Split"}


@pytest.mark.parametrize(
    ("outputs", "given", "attributes", "opset"),
    [
        (2, [X], {"axis": 1}, 11), (2, [X], {"axis": 1, "split": [1, 3]}, 11), (2, [X], {}, 13),
        (3, [X, ints(2, 3, 4)], {"axis": 2}, 13), (3, [X, ints(1, 1, 2)], {"axis": -3}, 17), (2, [X], {"num_outputs": 2, "axis": 3}, 18),
    ],
)  # fmt: skip
def test_a_split_has_several_outputs(outputs, given, attributes, opset):
    names = tuple(f"y{place}" for place in range(outputs))
    inputs = [f"i{place}" for place in range(len(given))]
    graph = helper.make_graph(
        [helper.make_node("Split", inputs, names, **attributes)],
        "graph",
        [helper.make_tensor_value_info("i0", TensorProto.FLOAT, X.shape)],
        [helper.make_empty_tensor_value_info(name) for name in names],
        [numpy_helper.from_array(array, "i1") for array in given[1:]],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = compute(
        node_of("Split", len(given), attributes, names), [torch.from_numpy(X), *given[1:]], faces=2
    )
    assert [part.tolist() for part in found] == [part.tolist() for part in session.run(None, {"i0": X})]


def test_double_and_half_precision_become_single():
    for kind in (TensorProto.DOUBLE, TensorProto.FLOAT16):
        assert ours("Cast", [WHOLE], {"to": kind}).dtype == torch.float32


def test_a_length_of_nothing_stays_nothing():
    rows = np.zeros((2, 5), np.float32)
    assert ours("LpNormalization", [rows], {}).eq(0).all()
    assert np.array_equal(np.nan_to_num(theirs("LpNormalization", [rows], {}, 17)), rows)


def test_maps_stay_where_they_are():
    """Whatever is computed of their shapes; the device "meta" stands for a GPU."""
    maps = torch.empty(2, 4, 3, 5, device="meta")
    shape = compute(node_of("Shape", 1, {}), [maps], faces=2)
    assert shape.tolist() == [2, 4, 3, 5]
    batch = compute(node_of("Gather", 2, {}), [shape, np.array(0)], faces=2)
    row = compute(node_of("Unsqueeze", 2, {}), [batch, ints(0)], faces=2)
    wanted = compute(node_of("Concat", 2, {"axis": 0}), [row, ints(-1)], faces=2)
    flat = compute(node_of("Reshape", 2, {}), [maps, wanted], faces=2)
    assert flat.device.type == "meta" and flat.shape == (2, 60)
    for op, other in (
        ("Gather", ints(0, 1)),
        ("Mul", torch.ones(4, 1, 1)),
        ("Mul", np.float32(2).reshape(())),
        ("Expand", shape),
        ("ReduceMean", ints(2, 3)),
    ):
        assert compute(node_of(op, 2, {}), [maps, other], faces=2).device.type == "meta"


OF_A_SHAPE = [
    *((op, [ints(2, 8, 6), ints(3, 1, 2)], {}) for op in ("Add", "Sub", "Mul", "Div", "Mod")),
    ("Equal", [ints(2, -1, 6), ints(-1, -1, 2)], {}),
    ("Where", [ints(2, -1) == -1, ints(1, 1), ints(2, 5)], {}),
    ("Concat", [ints(2), ints(-1, 3)], {"axis": 0}),
    ("Gather", [ints(2, 8, 6), np.array(-1)], {}),
    ("Gather", [ints(2, 8, 6), np.array([0, 2], np.int32)], {"axis": 0}),
    ("Identity", [ints(2, 8)], {}),
    ("Reshape", [ints(2, 8), ints(2, -1)], {}),
    ("Slice", [ints(2, 8, 6), ints(1), ints(3)], {}),
    ("Slice", [ints(2, 8, 6), ints(-1), ints(2**63 - 1), ints(0), ints(1)], {}),
    ("Squeeze", [ints(2), ints(0)], {}),
    ("Squeeze", [ints(2)], {}),
    ("Unsqueeze", [np.array(2), ints(0)], {}),
    ("Unsqueeze", [ints(2, 8), ints(0, -1)], {}),
    ("Cast", [ints(2, 8)], {"to": 7}),
]


@pytest.mark.parametrize(("op", "given", "attributes"), OF_A_SHAPE)
def test_shapes_are_computed_of_shapes_as_onnxruntime_does(op, given, attributes):
    found = compute(node_of(op, len(given), attributes), given, faces=2)
    wanted = theirs(op, given, attributes, 17)
    assert isinstance(found, np.ndarray) and found.shape == wanted.shape and found.tolist() == wanted.tolist()


def test_every_operator_on_shapes_is_tried():
    assert {op for op, *_ in OF_A_SHAPE} == {*OF_SHAPES, "Cast"}


def test_numbers_meet_faces():
    """A shape as a factor, a bound as a number: tensors of the right kind."""
    rows = torch.from_numpy(ROWS)
    size = compute(node_of("Cast", 1, {"to": 1}), [ints(3, 5)], faces=3)
    assert size.dtype == torch.float32 and size.tolist() == [3.0, 5.0]
    assert torch.equal(compute(node_of("Mul", 2, {}), [rows, np.array(0.5, np.float32)], faces=3), rows / 2)
    assert torch.equal(
        compute(node_of("Clip", 2, {}), [rows, np.array(0, np.float32)], faces=3), rows.clamp(0)
    )
    padded = compute(node_of("Pad", 3, {}), [rows, ints(0, 1, 0, 0), np.array(7, np.float32)], faces=3)
    assert padded[:, 0].eq(7).all() and torch.equal(padded[:, 1:], rows)
    filled = compute(node_of("ConstantOfShape", 1, {"value": [2.5]}), [ints(3, 2)], faces=3)
    assert filled.shape == (3, 2) and filled.eq(2.5).all()


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_what_was_exported_for_one_face_is_computed_for_all(batch):
    def of_all(op, *given, **attributes):
        tensors = [torch.from_numpy(array) for array in given]
        return compute(node_of(op, len(given), attributes), tensors, faces=batch)

    maps = some(batch, 4, 3, 2)
    flat = torch.from_numpy(maps).flatten(1)
    assert torch.equal(of_all("Reshape", maps, ints(1, -1)), flat)
    assert torch.equal(of_all("Reshape", maps, ints(1, 24)), flat)
    assert torch.equal(of_all("Reshape", maps, ints(-1, 24)), flat)
    assert torch.equal(of_all("Reshape", maps, ints(0, -1)), flat)
    # Without axes, ONNX drops every dimension of 1, also that of the faces where there is one.
    pooled = some(batch, 4, 1, 1)
    assert torch.equal(of_all("Squeeze", pooled), torch.from_numpy(pooled)[:, :, 0, 0])
    # What is no tensor of faces is left alone: a shape, a constant of another length.
    assert of_all("Squeeze", ints(7)).shape == ()
    assert of_all("Reshape", some(batch + 1, 4), ints(1, -1)).shape == (1, 4 * (batch + 1))


def test_a_constant_is_shaped_as_the_graph_says():
    assert ours("Reshape", [some(6), ints(1, 6, 1, 1)], {}).shape == (1, 6, 1, 1)
    assert ours("Squeeze", [some(1, 6)], {}).shape == (6,)


@pytest.mark.parametrize(
    ("op", "given", "attributes", "message"),
    [
        ("If", [X], {}, "the operator If"),
        ("Hardmax", [X], {"axis": 1}, "the operator Hardmax"),
        ("Resize", [X, None, ints(1, 1, 2, 2)], {"mode": "cubic"}, "Resize by cubic"),
        ("Resize", [X, None, ints(1, 1, 2, 2)], {}, "Resize by nearest, half_pixel, round_prefer_floor"),
        ("Resize", [X, None, ints(1, 2, 1, 1)], {"mode": "linear"}, "Resize of channels"),
        ("Resize", [X, None, ints(1, 1, 2, 2)], {"mode": "linear", "antialias": 1}, "Resize by linear"),
        ("CumSum", [X, np.array(1)], {"reverse": 1}, "CumSum from the end"),
        ("Attention", [some(1, 2, 3, 4)] * 3, {"is_causal": 1}, "Attention of language"),
        ("Attention", [TOKENS] * 3, {"q_num_heads": 2, "kv_num_heads": 2}, "Attention of language"),
        ("Range", [np.array(0), np.array(10**9), np.array(1)], {}, "Range to 1000000000 by 1"),
        ("Range", [np.array(0), np.array(9), np.array(0)], {}, "Range to 9 by 0"),
        ("Tile", [X, ints(10**6, 10**6, 1, 1)], {}, "Tile by"),
        ("Conv", [X, KERNEL], {"auto_pad": "SAME_UPPER"}, "Conv with auto_pad SAME_UPPER"),
        ("MaxPool", [X], {"kernel_shape": [2, 2], "auto_pad": "SAME_LOWER"}, "MaxPool with auto_pad SAME_LOWER"),
        (
            "AveragePool",
            [X],
            {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1]},
            "AveragePool with uneven borders that do not count",
        ),
        ("AveragePool", [X], {"kernel_shape": [2, 2], "dilations": [2, 1]}, "AveragePool with dilations"),
        ("BatchNormalization", [X, *STATISTICS], {"training_mode": 1}, "by the statistics of the batch"),
        ("BatchNormalization", [X, *[some(4, 9, 7)] * 4], {"spatial": 0}, "of each pixel"),
        ("Dropout", [X, np.float32(0.5).reshape(()), np.array(True)], {}, "Dropout that is in training"),
        ("ConstantOfShape", [ints(10**6, 10**6)], {}, "ConstantOfShape of"),
        ("ConstantOfShape", [ints(3)], {"value": "TensorProto"}, "ConstantOfShape of"),
        ("Pad", [X, ints(0, 0, 1, 1, 0, 0, 1, 1)], {"mode": "reflect"}, "Pad with mode reflect"),
        ("Pad", [X, ints(1, 1), None, ints(2)], {}, "Pad that names axes"),
        ("Cast", [X], {"to": TensorProto.UINT8}, "Cast to type 2"),
        ("ReduceSum", [X], {"noop_with_empty_axes": 1}, "ReduceSum that reduces nothing"),
        ("ReduceMean", [X, ints()], {"noop_with_empty_axes": 1}, "ReduceMean that reduces nothing"),
    ],
)  # fmt: skip
def test_what_is_not_understood_says_so(op, given, attributes, message):
    with pytest.raises(NotUnderstood, match=message):
        ours(op, given, attributes)


def test_several_outputs_are_not_understood():
    maps = torch.from_numpy(X)
    pool = node_of("MaxPool", 1, {"kernel_shape": [2, 2]}, ("y", "places"))
    with pytest.raises(NotUnderstood, match="MaxPool with several outputs"):
        compute(pool, [maps])
    assert compute(node_of("MaxPool", 1, {"kernel_shape": [2, 2]}, ("y", "")), [maps]).shape == (2, 4, 8, 6)
    assert torch.equal(compute(node_of("Dropout", 1, {}, ("y", "mask")), [maps]), maps)
