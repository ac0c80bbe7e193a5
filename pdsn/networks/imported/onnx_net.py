"""A recogniser from an ONNX graph as a torch module, cut at its last spatial map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pdsn.errors import PdsnError
from pdsn.networks.imported.onnx_graph import Graph, Node, first_line, kind_of
from pdsn.networks.imported.onnx_operators import NotUnderstood, compute

Values = dict[str, Any]
"""Tensors, and arrays of whole numbers that shapes are computed of."""


class OnnxNet(nn.Module):
    """Runs a graph: `features` up to the last map that all that follows depends on, `head` from there.

    Args:
        graph: the operators.
        source: what messages call it.

    Attributes:
        keys: names of the stored tensors here, by those in the graph, which may hold dots and slashes.
    """

    def __init__(self, graph: Graph, source: str) -> None:
        super().__init__()
        self.graph, self.source = graph, source
        self.keys = {name: f"t{place}" for place, name in enumerate(graph.tensors)}
        for name, (shape, kind) in graph.tensors.items():
            empty = torch.zeros(shape, dtype=getattr(torch, kind))
            self.register_parameter(self.keys[name], nn.Parameter(empty, requires_grad=False))
        self._numbers = {
            name: np.array(values, np.dtype(kind)) for name, (kind, values) in graph.numbers.items()
        }
        self._stored = {"", *self.keys, *self._numbers}
        self._cut: tuple[int, str] | None = None
        # What `_find_cut` fills in: shapes of what faces give, without their number, and names of what follows from that number.
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._countable: set[str] = set()
        self._after: tuple[Node, ...] = ()

    def reset_parameters(self) -> None:
        """Draw the weights anew; shifts, scales and statistics stay."""
        for parameter in self.parameters():
            if parameter.squeeze().ndim >= 2:  # a slope or a scale may be (C, 1, 1)
                nn.init.kaiming_normal_(parameter)

    @property
    def normalises(self) -> bool:
        """Whether the graph begins by shifting or scaling its input."""
        first = next((node for node in self.graph.nodes if self.graph.input in node.inputs), None)
        return first is not None and first.op in ("Sub", "Add", "Mul", "Div", "BatchNormalization")

    @property
    def cut(self) -> tuple[int, str]:
        """Number of nodes before the cut, and the map's name; found by running the graph once.

        Raises:
            PdsnError: an operator is not understood, the graph fails on faces of its size, or it has no spatial map.
        """
        if self._cut is None:
            self._cut = self._find_cut()
            self._after = self._needed_after(self._cut[0])
        return self._cut

    def features(self, faces: Tensor) -> Tensor:
        """The last spatial map (N, C, h, w) of faces (N, 3, H, W), normalised as the graph wants them."""
        count, name = self.cut
        return self._run(self.graph.nodes[:count], {self.graph.input: faces}, name)[name]

    def head(self, maps: Tensor) -> Tensor:
        """Embeddings (N, E) of maps."""
        _, name = self.cut
        output = self.graph.output
        return self._run(self._after, {name: maps}, output)[output].flatten(1)

    def _run(self, nodes: tuple[Node, ...], values: Values, wanted: str | None = None) -> Values:
        """What some nodes give, beside what they are given; where one is wanted, others go once they are used up."""
        left = Counter(name for node in nodes for name in node.inputs)
        first = next(iter(values.values()))
        faces = first.shape[0]  # not len(), which torch's exporter takes for a number that stays
        for node in nodes:
            if node.op == "Shape" and node.inputs[0] in self._shapes and node.inputs[0] not in values:
                shape = self._shapes[node.inputs[0]]
                given: list[Any] = [torch.empty((), device=first.device).expand(faces, *shape)]
            else:
                given = [self._value(name, values) for name in node.inputs]
            values[node.outputs[0]] = _computed(node, given, self.source, faces)
            left.subtract(node.inputs)
            if wanted is not None:
                for name in node.inputs:
                    if left[name] == 0 and name != wanted:
                        values.pop(name, None)
        return values

    def _value(self, name: str, values: Values) -> Any:
        if not name:
            return None
        if name in values:
            return values[name]
        if name in self.keys:
            return getattr(self, self.keys[name])
        if name in self._numbers:
            return self._numbers[name]
        raise PdsnError(f"{self.source}: nothing gives {name}")

    @torch.no_grad()
    def _find_cut(self) -> tuple[int, str]:
        """The last spatial map through which everything goes.

        Two faces are run, so that a graph for one face alone is found out.
        """
        device = next(iter([*self.parameters(), torch.empty(0)])).device
        values = self._run(
            self.graph.nodes, {self.graph.input: torch.zeros(2, 3, *self.graph.size, device=device)}
        )
        found = values[self.graph.output]
        if found.shape[:1] != (2,):
            raise PdsnError(f"{self.source} takes one face alone: export it with a batch of any size")
        self._shapes = {
            name: tuple(value.shape[1:])
            for name, value in values.items()
            if isinstance(value, Tensor) and value.shape[:1] == (2,)
        }
        self._countable = self._find_countable()
        turned = self._turned()
        for place in reversed(range(len(self.graph.nodes))):
            name = self.graph.nodes[place].outputs[0]
            shape = values[name].shape
            spatial = len(shape) == 4 and shape[0] == 2 and shape[2] * shape[3] > 1 and name not in turned
            if spatial and values[name].is_floating_point() and self._all_through(place + 1, name):
                return place + 1, name
        raise PdsnError(
            f"{self.source} has no spatial map (N, C, h, w) before its embeddings: masks have nothing to act on"
        )

    def _find_countable(self) -> set[str]:
        """Names of what follows from the number of faces alone: heads ask the faces themselves how many they are."""
        known = set(self._stored)
        for node in self.graph.nodes:
            if (node.op == "Shape" and node.inputs[0] in self._shapes) or known.issuperset(node.inputs):
                known |= set(node.outputs)
        return known - self._stored

    def _needed_after(self, count: int) -> tuple[Node, ...]:
        """The nodes after the first so many, and what of these they need that follows from the number of faces."""
        after = list(self.graph.nodes[count:])
        wanted = {name for node in after for name in node.inputs}
        for node in reversed(self.graph.nodes[:count]):
            if node.outputs[0] in self._countable and node.outputs[0] in wanted:
                after.insert(0, node)
                wanted |= set(node.inputs)
        return tuple(after)

    def _turned(self) -> set[str]:
        """Names of tensors whose channels are last, as graphs that come from TensorFlow have them before they flatten."""
        turned: set[str] = set()
        for node in self.graph.nodes:
            before = not turned.isdisjoint(node.inputs) and node.op not in ("Conv", "MaxPool", "AveragePool")
            perm = node.attributes.get("perm")
            moved = node.op == "Transpose" and isinstance(perm, list) and len(perm) == 4 and perm[1] != 1
            if before != moved:
                turned.add(node.outputs[0])
        return turned

    def _all_through(self, count: int, name: str) -> bool:
        """Whether all that follows the first so many nodes needs of them nothing but one tensor."""
        known = {name, *self._stored, *self._countable}
        for node in self.graph.nodes[count:]:
            if not known.issuperset(node.inputs) and node.outputs[0] not in self._countable:
                return False
            known |= set(node.outputs)
        return self.graph.output in known


def _computed(node: Node, given: Sequence[Any], source: str, faces: int | None = None) -> Any:
    """What a node gives, with one line where it does not."""
    try:
        return compute(node, given, faces)
    except NotUnderstood as error:
        raise PdsnError(
            f"{source}: {error} is not understood: convert the network to a --arch FILE.py"
        ) from error
    except Exception as error:  # a file may hold anything
        raise PdsnError(f"{source}: {node.op} ({node.outputs[0]}) fails: {first_line(error)}") from error


def folded(graph: Graph, tensors: Mapping[str, Tensor], source: str) -> tuple[Graph, Values]:
    """The same graph without the nodes that the faces have no part in: what they give is stored instead.

    Stored whole numbers and single numbers become a part of the graph, so that a network can be built, and cut, before it
    has weights.

    Args:
        graph, tensors: see `read_onnx`.
        source: what messages call it.

    Raises:
        PdsnError: one of them is not understood, or fails.
    """
    known, left = dict(tensors), []
    for node in graph.nodes:
        if all(name in known or not name for name in node.inputs):
            known[node.outputs[0]] = _computed(node, [known.get(name) for name in node.inputs], source)
        else:
            left.append(node)
    used = {name for node in left for name in node.inputs}
    kept = {name: value for name, value in known.items() if name in used}
    weights = {name: value for name, value in kept.items() if value.is_floating_point() and value.ndim}
    about = {name: (tuple(value.shape), kind_of(value)) for name, value in weights.items()}
    numbers = {name: (kind_of(value), value.tolist()) for name, value in kept.items() if name not in weights}
    return replace(graph, nodes=tuple(left), tensors=about, numbers=numbers), weights
