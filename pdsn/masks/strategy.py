"""A strategy, as `--strategy` says it: a maker of masks and the layout that they are for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

NO_FDM = "none"
"""In the place of a strategy: no feature-discarding mask."""
GENERATORS = "generators"
"""The paper's maker: LM2 alone is short for generators@LM2."""
MATCHED = "matched"
"""The maker that is preferred where nobody asks for another."""


def heading(strategy: str) -> str:
    """What a column of a strategy is called."""
    return "no FDM" if strategy == NO_FDM else strategy


@dataclass(frozen=True)
class Strategy:
    """A maker and a layout.

    Attributes:
        maker: a key of `pdsn.masks.makers.MAKERS`.
        layout: a key of `pdsn.occlusion.layouts.LAYOUTS`.
    """

    maker: str
    layout: str

    def name(self, default: str) -> str:
        """The shortest way to say it, which names files too: `LM2`, `matched` or `matched@grid3x3`.

        Args:
            default: the layout of makers that are named alone.
        """
        if self.maker == GENERATORS:
            return self.layout
        return self.maker if self.layout == default else f"{self.maker}@{self.layout}"


def parse(text: str, default: str, makers: Collection[str], layouts: Collection[str]) -> Strategy | None:
    """The strategy that a name says, or None where it says none.

    Args:
        text: LAYOUT, MAKER or MAKER@LAYOUT.
        default: the layout of a maker that is named alone.
        makers, layouts: the names there are.
    """
    maker, at, layout = text.partition("@")
    if not at:
        maker, layout = (GENERATORS, text) if text in layouts else (text, default)
    return Strategy(maker, layout) if maker in makers and layout in layouts else None
