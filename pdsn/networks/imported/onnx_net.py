"""A recogniser from an ONNX graph as a torch module, cut into trunk and head, see `onnx_cut`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pdsn.errors import PdsnError
from pdsn.networks.imported.onnx_attributes import NotUnderstood
from pdsn.networks.imported.onnx_cut import HEAD, best_cut, earlier_cut, layers_after
from pdsn.networks.imported.onnx_file import first_line
from pdsn.networks.imported.onnx_graph import Cut, Graph, Node, kind_of
from pdsn.networks.imported.onnx_operators import BY_NUMBERS, compute

Values = dict[str, Any]
"""Tensors, and arrays of whole numbers that shapes are computed of."""


CHANNELS_FIRST = ("AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "MaxPool")
"""Operators whose maps are (N, C, h, w) in a graph that has others with channels last, too."""


class Passing(nn.Module):
    """Gives what it is given: a place in the graph at which a hook can listen."""

    def forward(self, x: Tensor) -> Tensor:
        """x."""
        return x


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
        # Those who look at maps on their way, as the segmentation does, listen at modules.
        mixed = any(node.op == "Transpose" for node in graph.nodes)
        self._places = {
            node.outputs[0]: f"n{place}"
            for place, node in enumerate(graph.nodes)
            if not mixed or node.op in CHANNELS_FIRST
        }
        self.passing = nn.ModuleDict({place: Passing() for place in self._places.values()})
        # What `_try` fills in: shapes of what faces give, without their number, those of them that are no whole numbers, and
        # names of what follows from that number.
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._maps: dict[str, tuple[int, ...]] = {}
        self._countable: set[str] = set()
        self._cut: Cut | None = None
        self._parts: tuple[tuple[Node, ...], tuple[Node, ...]] = ((), ())

    def reset_parameters(self) -> None:
        """Draw the weights anew; shifts, scales and statistics stay."""
        for parameter in self.parameters():
            if parameter.squeeze().ndim >= 2:  # a slope or a scale may be (C, 1, 1)
                nn.init.kaiming_normal_(parameter)

    @property
    def normalises(self) -> bool:
        """Whether the graph begins by shifting or scaling its input."""
        name = self.graph.input
        for node in self.graph.nodes:
            if name in node.inputs:
                if node.op != "Transpose":
                    return node.op in ("Sub", "Add", "Mul", "Div", "BatchNormalization")
                name = node.outputs[0]
        return False

    @property
    def cut(self) -> Cut:
        """Where trunk and head meet: what the graph says, or, if it says nothing, what `earlier_cut` finds.

        Raises:
            PdsnError: an operator is not understood, the graph fails on faces of its size, or it has no spatial map.
        """
        if self._cut is None:
            self._try()
            cut = self.graph.cut or earlier_cut(self.graph, self._maps, self._stored, self._countable)
            if cut is None:
                raise self._without_map()
            self._parts = self._trunk_and_head(cut)
            self._cut = cut
        return self._cut

    @property
    def best_cut(self) -> Cut:
        """The cut that a graph should have, see `onnx_cut`; raises as `cut` does, and where most of the layers come after it."""
        self._try()
        cut = best_cut(self.graph, self._maps, self._stored, self._countable)
        if cut is None:
            raise self._without_map()
        after, layers = layers_after(self.graph, cut)
        if after > HEAD and 2 * after > layers:
            raise PdsnError(
                f"{self.source}: {after} of its {layers} layers come after its last spatial map, as in a transformer whose "
                "class token gives the embedding: it has no place in the face, and masks have nothing to act on; take a "
                "convolutional network, or a transformer whose embedding follows from its patch tokens"
            )
        return cut

    def features(self, faces: Tensor) -> Tensor:
        """The map (N, C, h, w) at the cut, of faces (N, 3, H, W), normalised as the graph wants them."""
        cut = self.cut
        found = self._run(self._parts[0], {self.graph.input: faces}, cut.name)[cut.name]
        if cut.kind == "last":
            return found.permute(0, 3, 1, 2)
        if cut.kind == "tokens":
            return found.transpose(1, 2).unflatten(2, cut.grid)
        return found

    def head(self, maps: Tensor) -> Tensor:
        """Embeddings (N, E) of maps."""
        cut, output = self.cut, self.graph.output
        if cut.kind == "last":
            maps = maps.permute(0, 2, 3, 1)
        elif cut.kind == "tokens":
            maps = maps.flatten(2).transpose(1, 2)
        return self._run(self._parts[1], {cut.name: maps}, output)[output].flatten(1)

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
            found = _computed(node, given, self.source, faces)
            place = self._places.get(node.outputs[0])
            if place is not None and isinstance(found, Tensor) and found.ndim == 4:
                found = self.passing[place](found)
            values |= _given_by(node, found)
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
    def _try(self) -> None:
        """Run two faces, so that a graph for one face alone is found out, and note what gives what."""
        if self._shapes:
            return
        device = next(iter([*self.parameters(), torch.empty(0)])).device
        two = torch.zeros(2, 3, *self.graph.size, device=device)
        alone = PdsnError(f"{self.source} takes one face alone: export it with a batch of any size")
        try:
            values = self._run(self.graph.nodes, {self.graph.input: two})
        except PdsnError:
            # One that one face passes holds the count in its shapes.
            self._run(self.graph.nodes, {self.graph.input: two[:1]})
            raise alone from None
        if values[self.graph.output].shape[:1] != (2,):
            raise alone
        of_faces = {
            name: value
            for name, value in values.items()
            if isinstance(value, Tensor) and value.shape[:1] == (2,)
        }
        self._maps = {name: tuple(one.shape[1:]) for name, one in of_faces.items() if one.is_floating_point()}
        self._shapes = {name: tuple(one.shape[1:]) for name, one in of_faces.items()}
        self._countable = self._find_countable()

    def _without_map(self) -> PdsnError:
        return PdsnError(
            f"{self.source} has no spatial map (N, C, h, w) before its embeddings: masks have nothing to act on"
        )

    def _find_countable(self) -> set[str]:
        """Names of what follows from the number of faces alone: heads ask the faces themselves how many they are."""
        known = set(self._stored)
        for node in self.graph.nodes:
            if (node.op == "Shape" and node.inputs[0] in self._shapes) or known.issuperset(node.inputs):
                known |= set(node.outputs)
        return known - self._stored

    def _trunk_and_head(self, cut: Cut) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
        """The nodes up to the cut, and those after it with what of the former they need that follows from the number of faces.

        Raises:
            PdsnError: no node gives the tensor of the cut.
        """
        nodes = self.graph.nodes
        count = next((place + 1 for place, node in enumerate(nodes) if cut.name in node.outputs), 0)
        if not count:
            raise PdsnError(f"{self.source}: nothing gives {cut.name}")
        after = list(nodes[count:])
        wanted = {name for node in after for name in node.inputs}
        for node in reversed(nodes[:count]):
            if not wanted.isdisjoint(node.outputs) and self._countable.issuperset(node.outputs):
                after.insert(0, node)
                wanted |= set(node.inputs)
        return nodes[:count], tuple(after)


def _given_by(node: Node, found: Any) -> Values:
    """What a node gives, by name."""
    if isinstance(found, tuple):
        return dict(zip(node.outputs, found, strict=True))
    return {node.outputs[0]: found}


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
            known |= _given_by(node, _computed(node, [known.get(name) for name in node.inputs], source))
        else:
            left.append(node)
    used = {name for node in left for name in node.inputs}
    kept = {name: value for name, value in known.items() if name in used}
    form = {
        name for node in left for name in node.inputs[BY_NUMBERS.get(node.op, len(node.inputs)) :]
    }  # as the factors of a Resize
    weights = {
        name: value
        for name, value in kept.items()
        if value.is_floating_point() and value.ndim and name not in form
    }
    about = {name: (tuple(value.shape), kind_of(value)) for name, value in weights.items()}
    numbers = {name: (kind_of(value), value.tolist()) for name, value in kept.items() if name not in weights}
    return replace(graph, nodes=tuple(left), tensors=about, numbers=numbers), weights


def with_cut(graph: Graph, source: str) -> Graph:
    """A folded graph with the cut that it should have; errors as of `OnnxNet.best_cut`."""
    return replace(graph, cut=OnnxNet(graph, source).best_cut)
