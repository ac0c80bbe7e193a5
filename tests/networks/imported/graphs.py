"""ONNX files by hand, small enough to say what every one of them computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from pdsn.networks.imported.onnx_graph import read_onnx
from pdsn.networks.imported.onnx_net import OnnxNet, folded, with_cut

SIZE = (64, 48)
IR = 8
"""Version of the file format: one that every onnxruntime since 1.10 reads."""


def step(op: str, given: str, gives: str, **attributes: Any) -> onnx.NodeProto:
    """One operator; the names of its inputs and outputs are words, "-" for one that is left out."""
    names = [["" if name == "-" else name for name in words.split()] for words in (given, gives)]
    return helper.make_node(op, *names, **attributes)


def value(name: str, shape: Sequence[int | str | None], kind: int = TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model_of(
    nodes: Sequence[onnx.NodeProto],
    tensors: Mapping[str, np.ndarray] | None = None,
    *,
    takes: Sequence[int | str | None] = ("N", 3, *SIZE),
    output: str = "y",
    gives: Sequence[int | str] = ("N", "E"),
    opset: int = 17,
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A model from "x" to one output."""
    stored = [numpy_helper.from_array(np.asarray(array), name) for name, array in (tensors or {}).items()]
    graph = helper.make_graph(nodes, "graph", [value("x", takes, kind)], [value(output, gives)], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR)


def write(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def some(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers of a normal distribution."""
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def ask(path: Path, faces: Tensor) -> Tensor:
    """What onnxruntime gives."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: faces.numpy()})[0])


def net_of(path: Path) -> OnnxNet:
    """The network of a file, with its weights."""
    graph, tensors = folded(*read_onnx(path), str(path))
    net = OnnxNet(with_cut(graph, str(path)), str(path))
    net.load_state_dict({net.keys[name]: tensor for name, tensor in tensors.items()})
    return net.eval()


def answer(net: OnnxNet, faces: Tensor) -> Tensor:
    with torch.inference_mode():
        return net.head(net.features(faces))


def tiny_nodes() -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """A convolution to a map of 8x8x6, a PReLU, and a matrix from there to 16 numbers."""
    nodes = [
        step("Conv", "x w b", "c", kernel_shape=[8, 8], strides=[8, 8]),
        step("PRelu", "c s", "m"),
        step("Flatten", "m", "f"),
        step("Gemm", "f v", "y", transB=1),
    ]
    tensors = {"w": some(8, 3, 8, 8) / 8, "b": some(8), "s": some(8, 1, 1), "v": some(16, 384) / 20}
    return nodes, tensors


def write_tiny(path: Path, **more: Any) -> Path:
    """That network, as a file."""
    return write(path, model_of(*tiny_nodes(), **more))
