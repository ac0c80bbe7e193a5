"""A recogniser from an ONNX graph as a torch module, cut at its last spatial map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from pdsn.errors import PdsnError
from pdsn.networks.imported.onnx_graph import Graph, Node, first_line
from pdsn.networks.imported.onnx_operators import NotUnderstood, compute

Values = dict[str, Tensor]


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
            if empty.is_floating_point():
                self.register_parameter(self.keys[name], nn.Parameter(empty, requires_grad=False))
            else:
                self.register_buffer(self.keys[name], empty)
        self._cut: tuple[int, str] | None = None

    def reset_parameters(self) -> None:
        """Draw the weights anew; shifts, scales and statistics stay."""
        for parameter in self.parameters():
            if parameter.ndim >= 2:
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
        return self._cut

    def features(self, faces: Tensor) -> Tensor:
        """The last spatial map (N, C, h, w) of faces (N, 3, H, W), normalised as the graph wants them."""
        count, name = self.cut
        return self._run(self.graph.nodes[:count], {self.graph.input: faces})[name]

    def head(self, maps: Tensor) -> Tensor:
        """Embeddings (N, E) of maps."""
        count, name = self.cut
        return self._run(self.graph.nodes[count:], {name: maps})[self.graph.output].flatten(1)

    def _run(self, nodes: tuple[Node, ...], values: Values) -> Values:
        """Everything that some nodes give, beside what they are given."""
        faces = len(next(iter(values.values())))
        for node in nodes:
            given = [self._value(name, values) for name in node.inputs]
            values[node.outputs[0]] = _computed(node, given, self.source, faces)
        return values

    def _value(self, name: str, values: Values) -> Tensor | None:
        if not name:
            return None
        if name in values:
            return values[name]
        if name in self.keys:
            found: Tensor = getattr(self, self.keys[name])
            return found
        raise PdsnError(f"{self.source}: nothing gives {name}")

    @torch.no_grad()
    def _find_cut(self) -> tuple[int, str]:
        """The last spatial map through which everything goes.

        Two faces are run: a graph for one face alone is found out, and so is a map that mixes faces.
        """
        device = next(iter([*self.parameters(), torch.empty(0)])).device
        values = self._run(
            self.graph.nodes, {self.graph.input: torch.zeros(2, 3, *self.graph.size, device=device)}
        )
        found = values[self.graph.output]
        if found.shape[:1] != (2,):
            raise PdsnError(f"{self.source} takes one face alone: export it with a batch of any size")
        for place in reversed(range(len(self.graph.nodes))):
            name = self.graph.nodes[place].outputs[0]
            shape = values[name].shape
            spatial = len(shape) == 4 and shape[0] == 2 and shape[2] * shape[3] > 1
            if spatial and values[name].is_floating_point() and self._all_through(place + 1, name):
                return place + 1, name
        raise PdsnError(
            f"{self.source} has no spatial map (N, C, h, w) before its embeddings: masks have nothing to act on"
        )

    def _all_through(self, count: int, name: str) -> bool:
        """Whether all that follows the first so many nodes needs of them nothing but one tensor."""
        known = {name, *self.keys, ""}
        for node in self.graph.nodes[count:]:
            if not set(node.inputs) <= known:
                return False
            known |= set(node.outputs)
        return self.graph.output in known


def _computed(node: Node, given: Sequence[Tensor | None], source: str, faces: int | None = None) -> Tensor:
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
    about = {name: (tuple(value.shape), str(value.dtype).split(".")[-1]) for name, value in kept.items()}
    return replace(graph, nodes=tuple(left), tensors=about), kept
