"""What a node of an ONNX graph says of itself: its attributes as numbers, with the defaults of the specification."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pdsn.networks.imported.onnx_graph import Node

Given = Tensor | None
"""An input; None for one that is left out."""


class NotUnderstood(Exception):
    """An operator, or a way to use one, that no recogniser was known to have."""


def number(node: Node, name: str, default: float) -> float:
    """An attribute that is one number."""
    found = node.attributes.get(name, default)
    assert isinstance(found, (int, float))
    return float(found)


def whole(node: Node, name: str, default: int) -> int:
    """An attribute that is one whole number."""
    return int(number(node, name, default))


def numbers(node: Node, name: str, default: Sequence[int] = ()) -> list[int]:
    """An attribute that is a list of whole numbers."""
    found = node.attributes.get(name, list(default))
    return [int(one) for one in found] if isinstance(found, list) else [int(found)]


def pair(node: Node, name: str, default: int = 1) -> list[int]:
    """An attribute that is a number for the rows and one for the columns."""
    return numbers(node, name, (default, default))


def axes(node: Node, given: Sequence[Given]) -> list[int]:
    """Axes of a reduction, a squeeze: an attribute in older versions, the first further input in later ones."""
    if given and given[0] is not None:
        return [int(one) for one in given[0].tolist()]
    return numbers(node, "axes")


def only(node: Node, name: str, *understood: str) -> None:
    """Refuse an attribute that is another word than those; the first is its default.

    Raises:
        NotUnderstood: it is.
    """
    found = node.attributes.get(name, understood[0])
    if found not in understood:
        raise NotUnderstood(f"{node.op} with {name} {found}")
