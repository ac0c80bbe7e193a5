"""The makers there are. A new one is a `Maker` beside its code, and a line here."""

from __future__ import annotations

from pdsn.masks import controls, generators, matched
from pdsn.masks.maker import Maker

MAKERS: dict[str, Maker] = {
    maker.name: maker
    for maker in (
        generators.MAKER,
        matched.MAKER,
        controls.RANDOM,
        controls.GEOMETRIC,
        controls.DIFFERENCE,
        controls.RELATIVE,
    )
}
"""By name, as a strategy names them."""


def is_control(strategy: str) -> bool:
    """Whether nobody learned the masks of a strategy: they stand beside those that were learned."""
    maker = MAKERS.get(strategy.partition("@")[0])
    return maker is not None and not maker.learns
