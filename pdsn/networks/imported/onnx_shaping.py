"""Operators of an ONNX graph that move numbers without computing: shapes, parts, places, types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.networks.imported.onnx_attributes import Given, NotUnderstood, axes, number, numbers, only, whole
from pdsn.networks.imported.onnx_graph import Node

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


def _flatten(node: Node, x: Tensor) -> Tensor:
    axis = whole(node, "axis", 1)
    axis += x.ndim if axis < 0 else 0
    return x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:]))


def _reshape(node: Node, x: Tensor, shape: Tensor | np.ndarray) -> Tensor:
    wanted = shape.tolist()
    if not number(node, "allowzero", 0):
        wanted = [x.shape[place] if one == 0 else one for place, one in enumerate(wanted)]
    return x.reshape(wanted)


def _squeeze(node: Node, x: Tensor, *given: Given) -> Tensor:
    gone = axes(node, given) or [axis for axis, size in enumerate(x.shape) if size == 1]
    return x.squeeze(tuple(gone))


def _unsqueeze(node: Node, x: Tensor, *given: Given) -> Tensor:
    new = axes(node, given)
    for axis in sorted(range(x.ndim + len(new))[one] for one in new):
        x = x.unsqueeze(axis)
    return x


def slice_of(node: Node, x: Any, *given: Any) -> Any:
    """A part of a tensor, or of an array of numbers."""
    along: list[int] | None
    steps: list[int] | None
    if given:
        starts, ends, along, steps = (
            [int(v) for v in one.tolist()] if one is not None else None for one in (*given, None, None)[:4]
        )
    else:
        starts, ends = numbers(node, "starts"), numbers(node, "ends")
        along, steps = numbers(node, "axes") or None, None
    assert starts is not None and ends is not None
    for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis, step = (along[place] if along else place), (steps[place] if steps else 1)
        if step < 0:
            kept = range(x.shape[axis])[start:end:step]
            if isinstance(x, Tensor):
                x = x.index_select(axis, torch.tensor(kept, dtype=torch.int64, device=x.device))
            else:
                x = x.take(kept, axis)
            continue
        index: list[slice] = [slice(None)] * x.ndim
        index[axis] = slice(start, end, step)
        x = x[tuple(index)]
    return x


def _split(node: Node, x: Tensor, sizes: Any = None) -> tuple[Tensor, ...]:
    axis = range(x.ndim)[whole(node, "axis", 0)]
    wide = numbers(node, "split") if sizes is None else [int(one) for one in sizes.tolist()]
    return x.split(wide or -(-x.shape[axis] // len(node.outputs)), axis)


def _gather(node: Node, x: Tensor, places: Tensor) -> Tensor:
    axis = range(x.ndim)[whole(node, "axis", 0)]
    places = torch.where(places < 0, places + x.shape[axis], places).to(x.device)
    found = x.index_select(axis, places.flatten())
    return found.reshape((*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))


def _pad(node: Node, x: Tensor, pads: Given = None, value: Given = None, along: Given = None) -> Tensor:
    only(node, "mode", "constant")
    if along is not None:
        raise NotUnderstood("Pad that names axes")
    wide = numbers(node, "pads") if pads is None else [int(one) for one in pads.tolist()]
    filled = number(node, "value", 0.0) if value is None else float(value)
    half = len(wide) // 2
    both = [part for axis in reversed(range(half)) for part in (wide[axis], wide[axis + half])]
    return F.pad(x, both, value=filled)


def _transpose(node: Node, x: Tensor) -> Tensor:
    return x.permute(numbers(node, "perm", list(reversed(range(x.ndim)))))


def _concat(node: Node, *parts: Tensor) -> Tensor:
    return torch.cat(parts, whole(node, "axis", 0))


def _cast(node: Node, x: Tensor) -> Tensor:
    kind = whole(node, "to", 1)
    if kind not in KINDS:
        raise NotUnderstood(f"Cast to type {kind}")
    return x.to(KINDS[kind])


def _constant_of_shape(node: Node, shape: Tensor) -> Tensor:
    wanted, value = shape.tolist(), node.attributes.get("value", [0.0])
    # An exporter's symbol for N is no int, and must not be compared.
    if not isinstance(value, list) or prod(one for one in wanted if isinstance(one, int)) > LARGEST:
        raise NotUnderstood(f"ConstantOfShape of {wanted}")
    kinds = {bool: torch.bool, int: torch.int64}
    return torch.full(wanted, value[0], dtype=kinds.get(type(value[0]), torch.float32))


def _range(node: Node, start: Tensor, limit: Tensor, step: Tensor) -> Tensor:
    del node
    first, last, by = (one.item() for one in (start, limit, step))
    if not by or (isinstance(last, (int, float)) and (last - first) / by > LARGEST):
        raise NotUnderstood(f"Range to {last} by {by}")
    return torch.arange(first, last, by)


def _expand(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    del node
    wanted = shape.tolist()
    longer = max(len(wanted), x.ndim)
    wanted, sizes = [1] * (longer - len(wanted)) + wanted, [1] * (longer - x.ndim) + list(x.shape)
    return x.expand([more if size == 1 else size for size, more in zip(sizes, wanted, strict=True)])


def _tile(node: Node, x: Tensor, repeats: Tensor) -> Tensor:
    del node
    often = repeats.tolist()
    if prod(often) > LARGEST:
        raise NotUnderstood(f"Tile by {often}")
    return x.tile(often)


def _shape(node: Node, x: Tensor) -> Tensor:
    return torch.tensor(part_of(node, x.shape))


def part_of(node: Node, shape: Sequence[int]) -> list[int]:
    """What `Shape` gives of a shape."""
    start, end = whole(node, "start", 0), node.attributes.get("end")
    return list(shape[start : None if end is None else int(end)])  # type: ignore[arg-type]


SHAPING: dict[str, Callable[..., Any]] = {
    "Cast": _cast,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": slice_of,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""By type; Split gives several tensors."""
