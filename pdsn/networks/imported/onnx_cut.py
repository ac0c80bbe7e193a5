"""Where a graph is cut into trunk and head: at the last tensor that is a map of the face and that everything goes through.

Such a tensor is a map (N, C, h, w); one whose channels are last, as in Swin; or the tokens (N, h * w, C) of a transformer, if
there is one for each patch and no other. A class token has no place in the face: what follows from it cannot be masked.

A BatchNorm that comes after the last block, as in an iresnet, is cut off with the head: so `IResNet` and `IRNet` are cut, and one
recogniser is one base, whether its weights come as ONNX or not. The BatchNorm of a convolution stays with that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate
from math import prod

from pdsn.networks.imported.onnx_graph import Cut, Graph

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of what faces give, without their number, by name."""
PRODUCTS = ("Attention", "Conv", "Einsum", "Gemm", "MatMul")
"""Operators that count as layers."""
HEAD = 8
"""Layers that a head may have, however few a trunk has; published ones have one to six."""


def best_cut(graph: Graph, shapes: Shapes, stored: Iterable[str], countable: set[str]) -> Cut | None:
    """The cut of a graph; None where it has no map.

    Args:
        graph: the operators.
        shapes: of its floating point tensors (N, ...).
        stored, countable: names of what is known without the faces' pixels: stored tensors, and what follows from N.
    """
    given = {name: node for node in graph.nodes for name in node.outputs}
    layers = list(accumulate(node.op in PRODUCTS for node in graph.nodes))
    turned, found, until = _turned(graph), None, 0
    for place, name in _narrow(graph, shapes, {*stored, *countable}, countable):
        new = _map_of(name, shapes[name], graph.size, name in turned, found)
        # Transposed alone, a map is still the same one.
        same = found is not None and found.kind == "map" and layers[place] == until
        if new is not None and (new.kind == "map" or not same):
            found, until = new, layers[place]
    while found is not None and found.kind == "map":
        node = given[found.name]
        before = given.get(node.inputs[0])
        own = node.op == "BatchNormalization" and before is not None and before.op != "Conv"
        if not (own or node.op in ("Dropout", "Identity")) or node.inputs[0] not in shapes or before is None:
            break
        found = Cut(node.inputs[0], "map", found.grid)
    return found


def earlier_cut(graph: Graph, shapes: Shapes, stored: Iterable[str], countable: set[str]) -> Cut | None:
    """The cut of bases that were imported before a graph kept its own: the last map (N, C, h, w), behind any BatchNorm."""
    turned, found = _turned(graph), None
    for _, name in _narrow(graph, shapes, {*stored, *countable}, countable):
        shape = shapes[name]
        if len(shape) == 3 and prod(shape[1:]) > 1 and name not in turned:
            found = Cut(name, "map", (shape[1], shape[2]))
    return found


def layers_after(graph: Graph, cut: Cut) -> tuple[int, int]:
    """How many layers come after a cut, and how many there are."""
    place = next(place for place, node in enumerate(graph.nodes) if cut.name in node.outputs)
    counts = [node.op in PRODUCTS for node in graph.nodes]
    return sum(counts[place + 1 :]), sum(counts)


def _narrow(graph: Graph, shapes: Shapes, known: set[str], countable: set[str]) -> Iterable[tuple[int, str]]:
    """Tensors that everything goes through, in order, each with the place of the node that gives it.

    A tensor is one if no other that was there when it was made, the faces among them, is used later.
    """
    last_use = {
        name: place
        for place, node in enumerate(graph.nodes)
        if countable.isdisjoint(node.outputs)
        for name in node.inputs
        if name not in known
    }
    last_use[graph.output] = len(graph.nodes)
    latest = last_use.get(graph.input, -1)  # of all that was made so far
    for place, node in enumerate(graph.nodes):
        if not countable.isdisjoint(node.outputs):
            continue
        if latest <= place and len(node.outputs) == 1 and node.outputs[0] in shapes:
            yield place, node.outputs[0]
        latest = max([latest, *(last_use.get(name, -1) for name in node.outputs)])


def _map_of(
    name: str, shape: tuple[int, ...], face: tuple[int, int], is_turned: bool, before: Cut | None
) -> Cut | None:
    """A tensor as a map, if it is one: its places are as many to the side as the face's pixels, as near as borders allow."""
    if len(shape) == 3:
        # What is pooled, (C, 1, 1), is no map of C by 1 places.
        first, last = _like(shape[1:], face), min(shape) > 1 and _like(shape[:2], face)
        if first and not (last and is_turned):
            return Cut(name, "map", (shape[1], shape[2]))
        return Cut(name, "last", (shape[0], shape[1])) if last else None
    if len(shape) == 2 and before is not None and shape[0] == prod(before.grid):
        return Cut(name, "tokens", before.grid)
    return None


def _like(grid: tuple[int, ...], face: tuple[int, int]) -> bool:
    """Whether a grid has a face's form, within two places; attention's tables of (places, channels) have not."""
    (height, width), (rows, columns) = face, grid
    return rows * columns > 1 and abs(rows * width - columns * height) <= 2 * max(face)


def _turned(graph: Graph) -> set[str]:
    """Names of tensors whose channels are last by how they were transposed, which tells where their shape does not."""
    turned: set[str] = set()
    for node in graph.nodes:
        before = not turned.isdisjoint(node.inputs) and node.op not in ("Conv", "MaxPool", "AveragePool")
        perm = node.attributes.get("perm")
        moved = node.op == "Transpose" and isinstance(perm, list) and len(perm) == 4 and perm[1] != 1
        if before != moved:
            turned.update(node.outputs)
    return turned
