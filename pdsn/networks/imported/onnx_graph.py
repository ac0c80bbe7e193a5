"""An ONNX file as plain data: its operators in order, its tensors, and where it is cut into trunk and head.

Nothing in the file is executed. Only what recognisers consist of is understood, see `onnx_operators`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pdsn.errors import PdsnError
from pdsn.networks.imported.onnx_file import data_files, first_line, load_model

if TYPE_CHECKING:
    import onnx

Attribute = int | float | str | list[int] | list[float]
OLDEST = 7
"""Opset from which tensors are broadcast as numpy does; onnxruntime promises nothing for older ones either."""
FACES = "faces (N, 3, H, W)"
"""Name of the faces where a graph itself takes (N, H, W, 3), as those have that come from TensorFlow."""
FLATTENED = "flattened"
"""An attribute of our own: a Softmax of before opset 13, which is one over all that comes from its axis on."""


@dataclass(frozen=True)
class Node:
    """One operator.

    Attributes:
        op: its type, such as "Conv".
        inputs: names of tensors; "" for one that is left out.
        outputs: likewise.
        attributes: by name.
    """

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True)
class Cut:
    """The tensor at which a graph becomes trunk and head, and how it is seen as a map (N, C, h, w).

    Attributes:
        name: of the tensor.
        kind: "map" as it is; "last" is (N, h, w, C); "tokens" is (N, h * w, C).
        grid: (h, w).
    """

    name: str
    kind: str
    grid: tuple[int, int]


@dataclass(frozen=True)
class Graph:
    """A network from one input to one output.

    Attributes:
        nodes: in an order in which they can be computed.
        input: name of the faces (N, 3, H, W).
        output: name of the embeddings.
        size: (H, W) of a face in pixels.
        tensors: shape and type of each stored tensor, by name.
        opset: version of the operators.
        numbers: type and values of stored whole numbers, truth values and single numbers, which are shapes, axes, places and
            bounds and so belong to the network's form, not to its weights.
        cut: where it becomes trunk and head; None of graphs that were kept before it was kept, and until it is found.
    """

    nodes: tuple[Node, ...]
    input: str
    output: str
    size: tuple[int, int]
    tensors: Mapping[str, tuple[tuple[int, ...], str]]
    opset: int
    numbers: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    cut: Cut | None = None

    def to_json(self) -> str:
        """The graph without the values of its tensors."""
        nodes = [[node.op, node.inputs, node.outputs, node.attributes] for node in self.nodes]
        tensors = {name: [list(shape), kind] for name, (shape, kind) in self.tensors.items()}
        return json.dumps(
            {
                "nodes": nodes,
                "input": self.input,
                "output": self.output,
                "size": self.size,
                "tensors": tensors,
                "opset": self.opset,
                "numbers": self.numbers,
                "cut": None if self.cut is None else [self.cut.name, self.cut.kind, self.cut.grid],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Graph:
        """What `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: it is something else.
        """
        found = json.loads(text)
        nodes = tuple(Node(op, tuple(i), tuple(o), dict(a)) for op, i, o, a in found["nodes"])
        tensors = {name: (tuple(shape), str(kind)) for name, (shape, kind) in found["tensors"].items()}
        numbers = {name: (str(kind), values) for name, (kind, values) in found["numbers"].items()}
        size = (int(found["size"][0]), int(found["size"][1]))
        cut = None
        if found.get("cut") is not None:
            name, kind, (height, width) = found["cut"]
            cut = Cut(str(name), str(kind), (int(height), int(width)))
        return cls(nodes, found["input"], found["output"], size, tensors, int(found["opset"]), numbers, cut)


def read_onnx(path: Path) -> tuple[Graph, dict[str, Tensor]]:
    """Read a recogniser from an ONNX file.

    Returns:
        The graph, and its stored tensors by name.

    Raises:
        PdsnError: the onnx package is missing, or the file is none, damaged, names data outside of its folder, or is no
            recogniser: it has not one input (N, 3, H, W) or (N, H, W, 3) of known height and width and one output that
            depends on it.
    """
    model = load_model(path)
    import onnx

    data_files(model, path)  # refuses those of others before any is opened
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(str(path))
    except Exception as error:
        raise PdsnError(f"{path} is no usable ONNX file: {first_line(error)}") from error
    return _graph(model, path)


def _graph(model: onnx.ModelProto, path: Path) -> tuple[Graph, dict[str, Tensor]]:
    from onnx import helper

    graph = model.graph
    opset = max((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), default=0)
    if opset < OLDEST:
        raise PdsnError(f"{path} is of opset {opset}, and operators had another meaning before {OLDEST}")
    tensors = {one.name: _stored(one, one.name, path) for one in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise PdsnError(f"{path}: the operator {node.domain}.{node.op_type} is not part of ONNX itself")
        values = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        if node.op_type == "Constant":
            tensors[node.output[0]] = _constant(values, node.output[0], path)
            continue
        attributes = {name: _plain(value, name, path) for name, value in values.items()}
        if node.op_type == "Softmax" and opset < 13:
            attributes = {"axis": 1, **attributes, FLATTENED: 1}
        nodes.append(Node(node.op_type, tuple(node.input), tuple(node.output), attributes))
    inputs = [one for one in graph.input if one.name not in tensors]
    if len(inputs) != 1:
        raise PdsnError(f"{path} has {len(inputs)} inputs, and a recogniser takes faces alone")
    size, last = _size(inputs[0], path)
    given = inputs[0].name
    if last:
        nodes.insert(0, Node("Transpose", (FACES,), (given,), {"perm": [0, 2, 3, 1]}))
        given = FACES
    output = _output([one.name for one in graph.output], path)
    wanted = _needed(nodes, output)
    nodes = [node for node, is_needed in zip(nodes, wanted, strict=True) if is_needed]
    used = {name for node in nodes for name in node.inputs}
    if given not in used:
        raise PdsnError(f"{path}: its output {output} does not depend on its input {inputs[0].name}")
    tensors = {name: value for name, value in tensors.items() if name in used}
    about = {name: (tuple(value.shape), kind_of(value)) for name, value in tensors.items()}
    return Graph(tuple(nodes), given, output, size, about, opset), tensors


def kind_of(values: Tensor) -> str:
    """Name of a tensor's type, such as "float32"."""
    return str(values.dtype).split(".")[-1]


def _size(given: Any, path: Path) -> tuple[tuple[int, int], bool]:
    """Height and width of the faces that a graph takes, and whether it takes their channels last."""
    from onnx import TensorProto

    kind = TensorProto.DataType.Name(given.type.tensor_type.elem_type)
    if kind != "FLOAT":
        raise PdsnError(f"{path}: its input {given.name} is of type {kind}, and faces are of type FLOAT")
    shape = given.type.tensor_type.shape.dim
    known = [one.dim_value for one in shape]
    last = len(known) == 4 and known[3] == 3 and known[1] != 3
    if len(known) != 4 or not (last or known[1] in (0, 3)):
        raise PdsnError(
            f"{path}: its input {given.name} is {_shown(shape)}, and faces are (N, 3, height, width)"
        )
    height, width = known[1:3] if last else known[2:]
    if not (height and width):
        raise PdsnError(
            f"{path}: its input {given.name} is {_shown(shape)}: height and width must be known; export it with a fixed size"
        )
    return (height, width), last


def _shown(shape: Sequence[Any]) -> str:
    return "(" + ", ".join(str(one.dim_value or one.dim_param or "?") for one in shape) + ")"


def _output(names: Sequence[str], path: Path) -> str:
    if len(names) != 1:
        raise PdsnError(
            f"{path} has {len(names)} outputs ({', '.join(names)}), and a recogniser gives embeddings alone: export it so"
        )
    return names[0]


def _needed(nodes: Sequence[Node], output: str) -> list[bool]:
    """Which nodes the output depends on."""
    wanted, found = {output}, []
    for node in reversed(nodes):
        needed = any(name in wanted for name in node.outputs)
        if needed:
            wanted |= set(node.inputs) - {""}
        found.append(needed)
    return found[::-1]


def _tensor(values: np.ndarray) -> Tensor:
    if values.dtype.name == "bfloat16":  # which numpy itself does not have
        values = values.astype(np.float32)
    # Scalars stay scalars; a copy, since what numpy_helper gives may not be written to.
    found = torch.from_numpy(np.array(values, copy=True))
    return found.float() if found.dtype in (torch.float16, torch.float64, torch.bfloat16) else found


def _stored(given: onnx.TensorProto, name: str, path: Path) -> Tensor:
    from onnx import numpy_helper

    try:
        return _tensor(numpy_helper.to_array(given))
    except Exception as error:
        raise PdsnError(f"{path}: its tensor {name} cannot be read: {first_line(error)}") from error


def _constant(values: Mapping[str, Any], output: str, path: Path) -> Tensor:
    if "value" in values:
        return _stored(values["value"], output, path)
    for name in ("value_int", "value_float", "value_ints", "value_floats"):
        if name in values:
            return _tensor(np.asarray(values[name], np.int64 if "int" in name else np.float32))
    raise PdsnError(f"{path}: a constant of a kind that is not understood ({', '.join(values)})")


def _plain(value: Any, name: str, path: Path) -> Attribute:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (int, float, str)):
        return value
    try:
        return list(value)
    except TypeError:
        pass
    if type(value).__name__ == "TensorProto" and list(value.dims) in ([], [1]):
        (number,) = _stored(value, name, path).flatten().tolist()
        return [number]
    return str(type(value).__name__)  # a larger tensor or a graph: no operator that is understood has one
