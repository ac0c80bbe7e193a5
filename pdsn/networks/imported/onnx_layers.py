"""Operators of an ONNX graph that compute: convolutions, normalisations, pooling, products, what is done to each number."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.networks.imported.onnx_attributes import (
    Given,
    NotUnderstood,
    axes,
    number,
    numbers,
    only,
    pair,
    whole,
)
from pdsn.networks.imported.onnx_graph import FLATTENED, Node


def _padded(node: Node, x: Tensor, value: float = 0.0) -> tuple[Tensor, list[int]]:
    """The map with uneven borders added, and the even padding that is left to do."""
    only(node, "auto_pad", "NOTSET", "VALID")
    top, left, bottom, right = numbers(node, "pads", [0, 0, 0, 0])
    if (top, left) == (bottom, right):
        return x, [top, left]
    return F.pad(x, (left, right, top, bottom), value=value), [0, 0]


def _conv(node: Node, x: Tensor, weight: Tensor, bias: Given = None) -> Tensor:
    x, padding = _padded(node, x)
    groups = whole(node, "group", 1)
    return F.conv2d(x, weight, bias, pair(node, "strides"), padding, pair(node, "dilations"), groups)


def _batch_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    # Exporters of old set spatial to 0 and meant each channel all the same: the statistics tell.
    if number(node, "training_mode", 0) or mean.ndim != 1:
        raise NotUnderstood("BatchNormalization by the statistics of the batch, or of each pixel")
    return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, number(node, "epsilon", 1e-5))


def _layer_norm(node: Node, x: Tensor, scale: Tensor, bias: Given = None) -> Tensor:
    shape = x.shape[whole(node, "axis", -1) % x.ndim :]
    found = F.layer_norm(x, shape, eps=number(node, "epsilon", 1e-5)) * scale
    return found if bias is None else found + bias


def _rms_norm(node: Node, x: Tensor, scale: Tensor) -> Tensor:
    shape = x.shape[whole(node, "axis", -1) % x.ndim :]
    return F.rms_norm(x, shape, eps=number(node, "epsilon", 1e-5)) * scale


def _instance_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return F.instance_norm(x, weight=scale, bias=bias, eps=number(node, "epsilon", 1e-5))


def _group_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    groups, channels = whole(node, "num_groups", 1), x.shape[1]
    if len(scale) != channels:  # one for each group, before opset 21
        scale, bias = (one.repeat_interleave(channels // groups) for one in (scale, bias))
    return F.group_norm(x, groups, scale, bias, number(node, "epsilon", 1e-5))


def _prelu(node: Node, x: Tensor, slope: Tensor) -> Tensor:
    del node
    return torch.where(x >= 0, x, x * slope)  # the slope's shape may be (C, 1, 1)


def _max_pool(node: Node, x: Tensor) -> Tensor:
    x, padding = _padded(node, x, -torch.inf)
    ceil = bool(number(node, "ceil_mode", 0))
    return F.max_pool2d(
        x, pair(node, "kernel_shape"), pair(node, "strides"), padding, pair(node, "dilations"), ceil
    )


def _average_pool(node: Node, x: Tensor) -> Tensor:
    if set(pair(node, "dilations")) != {1}:
        raise NotUnderstood("AveragePool with dilations")
    counted = bool(number(node, "count_include_pad", 0))
    before = x
    x, padding = _padded(node, x)
    if x is not before and not counted:
        raise NotUnderstood("AveragePool with uneven borders that do not count")
    ceil = bool(number(node, "ceil_mode", 0))
    return F.avg_pool2d(x, pair(node, "kernel_shape"), pair(node, "strides"), padding, ceil, counted)


SCALED: dict[tuple[str, str, str], dict[str, Any]] = {
    ("nearest", "asymmetric", "floor"): {"mode": "nearest"},
    ("linear", "half_pixel", ""): {"mode": "bilinear", "align_corners": False},
    ("linear", "pytorch_half_pixel", ""): {"mode": "bilinear", "align_corners": False},
    ("linear", "align_corners", ""): {"mode": "bilinear", "align_corners": True},
}
"""The ways to make a map larger or smaller that are torch's too: mode, coordinates, rounding."""


def _resize(node: Node, x: Tensor, *given: Any) -> Tensor:
    sizes, scales = (given[place] if len(given) > place else None for place in (2, 1))
    mode, rounding = (
        node.attributes.get("mode", "nearest"),
        node.attributes.get("nearest_mode", "round_prefer_floor"),
    )
    where = node.attributes.get("coordinate_transformation_mode", "half_pixel")
    how = SCALED.get((str(mode), str(where), str(rounding) if mode == "nearest" else ""))
    if how is None or number(node, "antialias", 0) or "axes" in node.attributes or x.ndim != 4:
        raise NotUnderstood(f"Resize by {mode}, {where}, {rounding}")
    only(node, "keep_aspect_ratio_policy", "stretch")
    # The one that is not asked for may be there and empty.
    if sizes is not None and len(sizes):
        return F.interpolate(x, sizes.tolist()[2:], **how)
    assert scales is not None, "one of both is given"
    factors = scales.tolist()
    if factors[:2] != [1, 1]:
        raise NotUnderstood("Resize of channels")
    goal = [int(side * factor) for side, factor in zip(x.shape[2:], factors[2:], strict=True)]
    return F.interpolate(x, goal, **how)


def _gemm(node: Node, a: Tensor, b: Tensor, c: Given = None) -> Tensor:
    a = a.T if number(node, "transA", 0) else a
    b = b.T if number(node, "transB", 0) else b
    found = number(node, "alpha", 1.0) * (a @ b)
    return found if c is None else found + number(node, "beta", 1.0) * c


def _einsum(node: Node, *given: Tensor) -> Tensor:
    return torch.einsum(str(node.attributes["equation"]), *given)


def _attention(node: Node, query: Tensor, key: Tensor, value: Tensor, mask: Given = None) -> Tensor:
    """Of queries, keys and values (N, heads, T, C); the other forms are those of language."""
    odd = {"is_causal", "softcap", "qk_matmul_output_mode", "q_num_heads", "kv_num_heads"} & {
        name for name, value in node.attributes.items() if value
    }
    if odd or query.ndim != 4 or query.shape[1] != key.shape[1]:
        raise NotUnderstood("Attention of language")
    scale = node.attributes.get("scale")
    return F.scaled_dot_product_attention(
        query, key, value, mask, scale=None if scale is None else number(node, "scale", 1.0)
    )


def _softmax(node: Node, x: Tensor) -> Tensor:
    axis = whole(node, "axis", -1)
    if node.attributes.get(FLATTENED):
        return x.flatten(axis).softmax(-1).reshape(x.shape)
    return x.softmax(axis)


def _reduce(how: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def reduced(node: Node, x: Tensor, *given: Given) -> Tensor:
        along = axes(node, given)
        if not along and number(node, "noop_with_empty_axes", 0):
            raise NotUnderstood(f"{node.op} that reduces nothing")
        along = along or list(range(x.ndim))
        return how(x, dim=along, keepdim=bool(number(node, "keepdims", 1)))

    return reduced


def _length_of_1(node: Node, x: Tensor) -> Tensor:
    order, axis = whole(node, "p", 2), whole(node, "axis", -1)
    return x / x.norm(order, axis, keepdim=True).clamp_min(1e-12)


def _cumulated(node: Node, x: Tensor, axis: Any) -> Tensor:
    if number(node, "exclusive", 0) or number(node, "reverse", 0):
        raise NotUnderstood("CumSum from the end, or of what comes before")
    return x.cumsum(int(axis), dtype=x.dtype)


def _clip(node: Node, x: Tensor, low: Given = None, high: Given = None) -> Tensor:
    least = node.attributes.get("min") if low is None else low
    most = node.attributes.get("max") if high is None else high
    if least is None and most is None:
        return x
    return torch.clamp(x, least, most)  # type: ignore[arg-type]


def _dropout(node: Node, x: Tensor, ratio: Given = None, training: Given = None) -> Tensor:
    del node, ratio
    if training is not None and bool(training):
        raise NotUnderstood("Dropout that is in training")
    return x


def _divide(node: Node, a: Tensor, b: Tensor) -> Tensor:
    del node
    return torch.div(a, b, rounding_mode=None if a.is_floating_point() else "trunc")


def _rest(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return torch.fmod(a, b) if number(node, "fmod", 0) else torch.remainder(a, b)


def _power(node: Node, x: Tensor, exponent: Tensor) -> Tensor:
    del node
    return torch.pow(x, exponent).to(x.dtype)


def _hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    return (number(node, "alpha", 0.2) * x + number(node, "beta", 0.5)).clamp(0, 1)


def plain(compute: Callable[..., Any]) -> Callable[..., Any]:
    """An operator without attributes."""

    def computed(node: Node, *given: Any) -> Any:
        del node
        return compute(*given)

    return computed


def _of_all(compute: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """An operator of any number of inputs, from one of two."""
    return plain(lambda *given: reduce(compute, given))


LAYERS: dict[str, Callable[..., Tensor]] = {
    "Abs": plain(torch.abs),
    "Add": plain(torch.add),
    "And": plain(torch.logical_and),
    "Attention": _attention,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Conv": _conv,
    "Cos": plain(torch.cos),
    "CumSum": _cumulated,
    "Div": _divide,
    "Dropout": _dropout,
    "Einsum": _einsum,
    "Elu": lambda node, x: F.elu(x, number(node, "alpha", 1.0)),
    "Equal": plain(torch.eq),
    "Erf": plain(torch.erf),
    "Exp": plain(torch.exp),
    "Gelu": lambda node, x: F.gelu(x, approximate=str(node.attributes.get("approximate", "none"))),
    "Gemm": _gemm,
    "GlobalAveragePool": plain(lambda x: x.mean((2, 3), keepdim=True)),
    "GlobalMaxPool": plain(lambda x: x.amax((2, 3), keepdim=True)),
    "Greater": plain(torch.gt),
    "GreaterOrEqual": plain(torch.ge),
    "GroupNormalization": _group_norm,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": plain(F.hardswish),
    "Identity": plain(lambda x: x),
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": lambda node, x: F.leaky_relu(x, number(node, "alpha", 0.01)),
    "Less": plain(torch.lt),
    "LessOrEqual": plain(torch.le),
    "Log": plain(torch.log),
    "LpNormalization": _length_of_1,
    "MatMul": plain(torch.matmul),
    "Max": _of_all(torch.maximum),
    "MaxPool": _max_pool,
    "Min": _of_all(torch.minimum),
    "Mish": plain(F.mish),
    "Mod": _rest,
    "Mul": plain(torch.mul),
    "Neg": plain(torch.neg),
    "Not": plain(torch.logical_not),
    "Or": plain(torch.logical_or),
    "PRelu": _prelu,
    "Pow": _power,
    "RMSNormalization": _rms_norm,
    "Reciprocal": plain(torch.reciprocal),
    "ReduceL1": _reduce(lambda x, **how: x.abs().sum(**how)),
    "ReduceL2": _reduce(torch.linalg.vector_norm),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMean": _reduce(torch.mean),
    "ReduceMin": _reduce(torch.amin),
    "ReduceSum": _reduce(torch.sum),
    "ReduceSumSquare": _reduce(lambda x, **how: x.square().sum(**how)),
    "Relu": plain(torch.relu),
    "Resize": _resize,
    "Sigmoid": plain(torch.sigmoid),
    "Sin": plain(torch.sin),
    "Softmax": _softmax,
    "Softplus": plain(F.softplus),
    "Sqrt": plain(torch.sqrt),
    "Sub": plain(torch.sub),
    "Sum": _of_all(torch.add),
    "Tanh": plain(torch.tanh),
    "Where": plain(torch.where),
}
"""By type."""
