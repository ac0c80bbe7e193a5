"""What the operators of an ONNX graph compute, in torch: those that face recognisers consist of.

Each takes its node and its inputs, as the operator's specification at onnx.ai has them, and gives what it computes. Everything
computes as in inference: BatchNorm by its stored statistics, dropout not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pdsn.networks.imported.onnx_attributes import NotUnderstood, axes, whole
from pdsn.networks.imported.onnx_graph import Node
from pdsn.networks.imported.onnx_layers import LAYERS, plain
from pdsn.networks.imported.onnx_shaping import SHAPING, part_of, slice_of

OPERATORS: dict[str, Callable[..., Any]] = {**LAYERS, **SHAPING}
"""By type."""
BY_NUMBERS: dict[str, int] = {
    **dict.fromkeys(("ConstantOfShape", "Range"), 0),
    **dict.fromkeys(
        (
            "CumSum", "Dropout", "Expand", "Pad", "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum",
            "ReduceSumSquare", "Reshape", "Resize", "Slice", "Split", "Squeeze", "Tile", "Unsqueeze",
        ),
        1,
    ),
}  # fmt: skip
"""The place of the input from which on those take shapes, axes or places."""
OF_SHAPES: dict[str, Callable[..., Any]] = {
    "Add": plain(np.add),
    "Concat": lambda node, *parts: np.concatenate(parts, whole(node, "axis", 0)),
    "Div": plain(np.floor_divide),
    "Equal": plain(np.equal),
    "Gather": lambda node, x, places: np.take(x, places.astype(np.int64), whole(node, "axis", 0)),
    "Identity": plain(lambda x: x),
    "Mod": plain(np.mod),
    "Mul": plain(np.multiply),
    "Reshape": plain(lambda x, shape: x.reshape(shape.tolist())),
    "Slice": slice_of,
    "Squeeze": lambda node, x, *given: np.squeeze(x, tuple(axes(node, given)) or None),
    "Sub": plain(np.subtract),
    "Unsqueeze": lambda node, x, *given: np.expand_dims(x, tuple(axes(node, given))),
    "Where": plain(lambda which, a, b: np.where(which.astype(bool), a, b)),
}
"""Those that compute shapes of shapes, on the CPU: their numbers may be torch's symbols while a network is exported."""
SEVERAL = ("Dropout", "Split")
"""Those that may have several outputs; of Dropout only the first is computed."""


def compute(node: Node, given: Sequence[Any], faces: int | None = None) -> Any:
    """What a node gives: a tensor, an array of numbers, or a tuple of tensors where it has several outputs.

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
    if len(node.outputs) > 1 and any(node.outputs[1:]) and node.op not in SEVERAL:
        raise NotUnderstood(f"{node.op} with several outputs")
    if faces is not None:
        if node.op == "Shape":
            return np.array(part_of(node, given[0].shape), dtype=object)
        if node.op == "Cast" and isinstance(given[0], np.ndarray) and node.attributes.get("to") in (6, 7):
            return given[0]
        if node.op == "ConstantOfShape" and _is_shape(node, given[0]):
            return np.full(given[0].tolist(), node.attributes["value"][0], dtype=object)  # type: ignore[index]
        if node.op in OF_SHAPES and all(isinstance(one, np.ndarray) for one in given if one is not None):
            return np.array(OF_SHAPES[node.op](node, *given), dtype=object)
        given = _tensors(node, given)
        node, given = _for_all(node, given, faces)
    return OPERATORS[node.op](node, *given)


def _is_shape(node: Node, wanted: Any) -> bool:
    """Whether a constant is a few whole numbers in a row, of which exporters make shapes."""
    value = node.attributes.get("value")
    few = (
        isinstance(wanted, np.ndarray) and len(wanted) == 1 and isinstance(wanted[0], int) and wanted[0] < 10
    )
    return few and isinstance(value, list) and type(value[0]) is int


def _tensors(node: Node, given: Sequence[Any]) -> list[Any]:
    """Inputs as an operator takes them: numbers as tensors, unless it asks for numbers, and all where the map is."""
    device = next((one.device for one in given if isinstance(one, Tensor)), None)
    found = []
    for place, one in enumerate(given):
        if isinstance(one, np.ndarray) and place < BY_NUMBERS.get(node.op, len(given)):
            kind = {"f": torch.float32, "b": torch.bool}.get(one.dtype.kind, torch.int64)
            found.append(torch.tensor(one.tolist(), dtype=kind, device=device))
        else:
            found.append(one.to(device) if isinstance(one, Tensor) and one.device != device else one)
    return found


def _for_all(node: Node, given: Sequence[Any], faces: int) -> tuple[Node, Sequence[Any]]:
    """A node and its inputs for N faces, where a graph that was exported for one face says 1."""
    # Others are not looked at: an exporter would write down that N is none of the sizes that it was compared with.
    x = given[0] if node.op in ("Reshape", "Squeeze") else None
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.shape[:1] != (faces,):
        return node, given
    if node.op == "Reshape":
        first, *others = given[1].tolist()
        # An exporter's symbol for N is no int.
        if isinstance(first, int) and first == 1:
            return node, [x, np.array([faces, *others], dtype=object)]
    if node.op == "Squeeze" and not axes(node, given[1:]):
        gone = [axis for axis, size in enumerate(x.shape) if size == 1 and axis > 0]
        return replace(node, attributes={**node.attributes, "axes": gone}), [x]
    return node, given
