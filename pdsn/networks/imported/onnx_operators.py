"""What the operators of an ONNX graph compute, in torch: those that face recognisers consist of.

Each takes its node and its inputs, as the operator's specification at onnx.ai has them, and gives one tensor. Everything
computes as in inference: BatchNorm by its stored statistics, dropout not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.networks.imported.onnx_graph import Node

Given = Tensor | None
KINDS = {
    1: torch.float32,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float32,
    11: torch.float32,
}
"""ONNX's numbers of types, as far as they occur; half and double precision become float32."""

LARGEST = 1_000_000
"""Numbers in a constant that a file describes by its shape alone; exporters need a dozen, a hostile file fills the memory."""


class NotUnderstood(Exception):
    """An operator, or a way to use one, that no recogniser was known to have."""


def _pair(node: Node, name: str, default: int = 1) -> list[int]:
    found = node.attributes.get(name, [default, default])
    assert isinstance(found, list)
    return [int(one) for one in found]


def _padded(node: Node, x: Tensor, value: float = 0.0) -> tuple[Tensor, list[int]]:
    """The map with uneven borders added, and the even padding that is left to do."""
    if node.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise NotUnderstood(f"{node.op} with auto_pad {node.attributes['auto_pad']}")
    top, left, bottom, right = _int_list(node, "pads", [0, 0, 0, 0])
    if (top, left) == (bottom, right):
        return x, [top, left]
    return F.pad(x, (left, right, top, bottom), value=value), [0, 0]


def _int_list(node: Node, name: str, default: Sequence[int] = ()) -> list[int]:
    found = node.attributes.get(name, list(default))
    return [int(one) for one in found] if isinstance(found, list) else [int(found)]


def _number(node: Node, name: str, default: float) -> float:
    found = node.attributes.get(name, default)
    assert isinstance(found, (int, float))
    return float(found)


def _conv(node: Node, x: Tensor, weight: Tensor, bias: Given = None) -> Tensor:
    x, padding = _padded(node, x)
    groups = int(_number(node, "group", 1))
    return F.conv2d(x, weight, bias, _pair(node, "strides"), padding, _pair(node, "dilations"), groups)


def _batch_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    # Exporters of old set spatial to 0 and meant each channel all the same: the statistics tell.
    if _number(node, "training_mode", 0) or mean.ndim != 1:
        raise NotUnderstood("BatchNormalization by the statistics of the batch, or of each pixel")
    return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, _number(node, "epsilon", 1e-5))


def _prelu(node: Node, x: Tensor, slope: Tensor) -> Tensor:
    del node
    return torch.where(x >= 0, x, x * slope)  # the slope's shape may be (C, 1, 1)


def _max_pool(node: Node, x: Tensor) -> Tensor:
    x, padding = _padded(node, x, -torch.inf)
    ceil = bool(_number(node, "ceil_mode", 0))
    return F.max_pool2d(
        x, _pair(node, "kernel_shape"), _pair(node, "strides"), padding, _pair(node, "dilations"), ceil
    )


def _average_pool(node: Node, x: Tensor) -> Tensor:
    if set(_pair(node, "dilations")) != {1}:
        raise NotUnderstood("AveragePool with dilations")
    counted = bool(_number(node, "count_include_pad", 0))
    before = x
    x, padding = _padded(node, x)
    if x is not before and not counted:
        raise NotUnderstood("AveragePool with uneven borders that do not count")
    ceil = bool(_number(node, "ceil_mode", 0))
    return F.avg_pool2d(x, _pair(node, "kernel_shape"), _pair(node, "strides"), padding, ceil, counted)


def _gemm(node: Node, a: Tensor, b: Tensor, c: Given = None) -> Tensor:
    a = a.T if _number(node, "transA", 0) else a
    b = b.T if _number(node, "transB", 0) else b
    found = _number(node, "alpha", 1.0) * (a @ b)
    return found if c is None else found + _number(node, "beta", 1.0) * c


def _flatten(node: Node, x: Tensor) -> Tensor:
    axis = int(_number(node, "axis", 1))
    axis += x.ndim if axis < 0 else 0
    return x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:]))


def _reshape(node: Node, x: Tensor, shape: Tensor | np.ndarray) -> Tensor:
    wanted = shape.tolist()
    if not _number(node, "allowzero", 0):
        wanted = [x.shape[place] if one == 0 else one for place, one in enumerate(wanted)]
    return x.reshape(wanted)


def _axes(node: Node, given: Sequence[Given]) -> list[int]:
    """Axes of a reduction, a squeeze: an attribute in older versions, an input in later ones."""
    if given and given[0] is not None:
        return [int(one) for one in given[0].tolist()]
    return _int_list(node, "axes")


def _reduce(how: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def reduced(node: Node, x: Tensor, *given: Given) -> Tensor:
        axes = _axes(node, given)
        if not axes and _number(node, "noop_with_empty_axes", 0):
            raise NotUnderstood(f"{node.op} that reduces nothing")
        axes = axes or list(range(x.ndim))
        return how(x, dim=axes, keepdim=bool(_number(node, "keepdims", 1)))

    return reduced


def _squeeze(node: Node, x: Tensor, *given: Given) -> Tensor:
    axes = _axes(node, given) or [axis for axis, size in enumerate(x.shape) if size == 1]
    return x.squeeze(tuple(axes))


def _unsqueeze(node: Node, x: Tensor, *given: Given) -> Tensor:
    axes = _axes(node, given)
    for axis in sorted(range(x.ndim + len(axes))[one] for one in axes):
        x = x.unsqueeze(axis)
    return x


def _clip(node: Node, x: Tensor, low: Given = None, high: Given = None) -> Tensor:
    least = node.attributes.get("min") if low is None else low
    most = node.attributes.get("max") if high is None else high
    if least is None and most is None:
        return x
    return torch.clamp(x, least, most)  # type: ignore[arg-type]


def _slice(node: Node, x: Tensor, *given: Given) -> Tensor:
    if given:
        starts, ends, axes, steps = (
            [int(v) for v in one.tolist()] if one is not None else None for one in (*given, None, None)[:4]
        )
    else:
        starts, ends, axes, steps = (
            _int_list(node, "starts"),
            _int_list(node, "ends"),
            _int_list(node, "axes") or None,
            None,
        )
    assert starts is not None and ends is not None
    for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis, step = (axes[place] if axes else place), (steps[place] if steps else 1)
        if step < 0:
            kept = range(x.shape[axis])[start:end:step]
            x = x.index_select(axis, torch.tensor(kept, dtype=torch.int64, device=x.device))
            continue
        index: list[slice] = [slice(None)] * x.ndim
        index[axis] = slice(start, end, step)
        x = x[tuple(index)]
    return x


def _gather(node: Node, x: Tensor, places: Tensor) -> Tensor:
    axis = range(x.ndim)[int(_number(node, "axis", 0))]
    places = torch.where(places < 0, places + x.shape[axis], places).to(x.device)
    found = x.index_select(axis, places.flatten())
    return found.reshape((*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))


def _pad(node: Node, x: Tensor, pads: Given = None, value: Given = None, axes: Given = None) -> Tensor:
    if node.attributes.get("mode", "constant") != "constant" or axes is not None:
        raise NotUnderstood("Pad that repeats or that names axes")
    wide = _int_list(node, "pads") if pads is None else [int(one) for one in pads.tolist()]
    filled = _number(node, "value", 0.0) if value is None else float(value)
    half = len(wide) // 2
    both = [part for axis in reversed(range(half)) for part in (wide[axis], wide[axis + half])]
    return F.pad(x, both, value=filled)


def _transpose(node: Node, x: Tensor) -> Tensor:
    return x.permute(_int_list(node, "perm", list(reversed(range(x.ndim)))))


def _concat(node: Node, *parts: Tensor) -> Tensor:
    return torch.cat(parts, int(_number(node, "axis", 0)))


def _cast(node: Node, x: Tensor) -> Tensor:
    kind = int(_number(node, "to", 1))
    if kind not in KINDS:
        raise NotUnderstood(f"Cast to type {kind}")
    return x.to(KINDS[kind])


def _constant_of_shape(node: Node, shape: Tensor) -> Tensor:
    wanted, value = shape.tolist(), node.attributes.get("value", [0.0])
    if not isinstance(value, list) or prod(wanted) > LARGEST:
        raise NotUnderstood(f"ConstantOfShape of {wanted}")
    kind = torch.int64 if isinstance(value[0], int) else torch.float32
    return torch.full(wanted, value[0], dtype=kind)


def _expand(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    del node
    wanted = shape.tolist()
    longer = max(len(wanted), x.ndim)
    wanted, sizes = [1] * (longer - len(wanted)) + wanted, [1] * (longer - x.ndim) + list(x.shape)
    return x.expand([more if size == 1 else size for size, more in zip(sizes, wanted, strict=True)])


def _norm(node: Node, x: Tensor) -> Tensor:
    order, axis = int(_number(node, "p", 2)), int(_number(node, "axis", -1))
    return x / x.norm(order, axis, keepdim=True).clamp_min(1e-12)


def _shape(node: Node, x: Tensor) -> Tensor:
    return torch.tensor(_part(node, x.shape))


def _part(node: Node, shape: Sequence[int]) -> list[int]:
    """What `Shape` gives of a shape."""
    start, end = int(_number(node, "start", 0)), node.attributes.get("end")
    return list(shape[start : None if end is None else int(end)])  # type: ignore[arg-type]


def _dropout(node: Node, x: Tensor, ratio: Given = None, training: Given = None) -> Tensor:
    del node, ratio
    if training is not None and bool(training):
        raise NotUnderstood("Dropout that is in training")
    return x


def _divide(node: Node, a: Tensor, b: Tensor) -> Tensor:
    del node
    return torch.div(a, b, rounding_mode=None if a.is_floating_point() else "trunc")


def _power(node: Node, x: Tensor, exponent: Tensor) -> Tensor:
    del node
    return torch.pow(x, exponent).to(x.dtype)


def _hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    return (_number(node, "alpha", 0.2) * x + _number(node, "beta", 0.5)).clamp(0, 1)


def _plain(compute: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An operator without attributes."""

    def computed(node: Node, *given: Given) -> Tensor:
        del node
        return compute(*given)

    return computed


OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Add": _plain(torch.add),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Conv": _conv,
    "Div": _divide,
    "Dropout": _dropout,
    "Exp": _plain(torch.exp),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _plain(lambda x: x.mean((2, 3), keepdim=True)),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _plain(F.hardswish),
    "Identity": _plain(lambda x: x),
    "LeakyRelu": lambda node, x: F.leaky_relu(x, _number(node, "alpha", 0.01)),
    "LpNormalization": _norm,
    "MatMul": _plain(torch.matmul),
    "MaxPool": _max_pool,
    "Mul": _plain(torch.mul),
    "PRelu": _prelu,
    "Pad": _pad,
    "Pow": _power,
    "ReduceL2": _reduce(torch.linalg.vector_norm),
    "ReduceMean": _reduce(torch.mean),
    "ReduceSum": _reduce(torch.sum),
    "Relu": _plain(torch.relu),
    "Reshape": _reshape,
    "Shape": _shape,
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": _slice,
    "Sqrt": _plain(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _plain(torch.sub),
    "Tanh": _plain(torch.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""By type."""
BY_NUMBERS = (
    "ConstantOfShape", "Dropout", "Expand", "Pad", "ReduceL2", "ReduceMean", "ReduceSum", "Reshape", "Slice", "Squeeze", "Unsqueeze"
)  # fmt: skip
"""Those whose further inputs are shapes, axes or places."""
OF_SHAPES: dict[str, Callable[..., Any]] = {
    "Add": _plain(np.add),
    "Concat": lambda node, *parts: np.concatenate(parts, int(_number(node, "axis", 0))),
    "Div": _plain(np.floor_divide),
    "Gather": lambda node, x, places: np.take(x, places.astype(np.int64), int(_number(node, "axis", 0))),
    "Identity": _plain(lambda x: x),
    "Mul": _plain(np.multiply),
    "Reshape": _plain(lambda x, shape: x.reshape(shape.tolist())),
    "Slice": _slice,
    "Squeeze": lambda node, x, *given: np.squeeze(x, tuple(_axes(node, given)) or None),
    "Sub": _plain(np.subtract),
    "Unsqueeze": lambda node, x, *given: np.expand_dims(x, tuple(_axes(node, given))),
}
"""Those that compute shapes of shapes, on the CPU: their numbers may be torch's symbols while a network is exported."""


def compute(node: Node, given: Sequence[Any], faces: int | None = None) -> Any:
    """What a node gives.

    Args:
        node: the operator.
        given: its inputs, None for one that is left out.
        faces: N of the tensors (N, ...) that it is given, beside which shapes are arrays of numbers; None where the faces
            have no part in it and everything is a tensor.

    Raises:
        NotUnderstood: there is no such operator here, or it is used in an unusual way.
    """
    if node.op not in OPERATORS:
        raise NotUnderstood(f"the operator {node.op}")
    if len(node.outputs) > 1 and any(node.outputs[1:]) and node.op != "Dropout":
        raise NotUnderstood(f"{node.op} with several outputs")
    if faces is not None:
        if node.op == "Shape":
            return np.array(_part(node, given[0].shape), dtype=object)
        if node.op == "Cast" and isinstance(given[0], np.ndarray) and node.attributes.get("to") in (6, 7):
            return given[0]
        if node.op in OF_SHAPES and all(isinstance(one, np.ndarray) for one in given if one is not None):
            return np.array(OF_SHAPES[node.op](node, *given), dtype=object)
        given = _tensors(node, given)
        node, given = _for_all(node, given, faces)
    return OPERATORS[node.op](node, *given)


def _tensors(node: Node, given: Sequence[Any]) -> list[Any]:
    """Inputs as an operator takes them: numbers as tensors, unless it asks for numbers, and all where the map is."""
    device = next((one.device for one in given if isinstance(one, Tensor)), None)
    found = []
    for place, one in enumerate(given):
        if isinstance(one, np.ndarray) and not (
            node.op in BY_NUMBERS and (place or node.op == "ConstantOfShape")
        ):
            kind = {"f": torch.float32, "b": torch.bool}.get(one.dtype.kind, torch.int64)
            found.append(torch.tensor(one.tolist(), dtype=kind, device=device))
        else:
            found.append(one.to(device) if isinstance(one, Tensor) and one.device != device else one)
    return found


def _for_all(node: Node, given: Sequence[Any], faces: int) -> tuple[Node, Sequence[Any]]:
    """A node and its inputs for N faces, where a graph that was exported for one face says 1."""
    x = given[0] if given else None
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.shape[:1] != (faces,):
        return node, given
    if node.op == "Reshape":
        first, *others = given[1].tolist()
        # An exporter's symbol for N is no int.
        if isinstance(first, int) and first == 1:
            return node, [x, np.array([faces, *others], dtype=object)]
    if node.op == "Squeeze" and not _axes(node, given[1:]):
        axes = [axis for axis, size in enumerate(x.shape) if size == 1 and axis > 0]
        return replace(node, attributes={**node.attributes, "axes": axes}), [x]
    return node, given
