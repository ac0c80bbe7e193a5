"""A dictionary from what a maker makes."""

from __future__ import annotations

from collections.abc import Mapping

from pdsn.artefact import TrainingFolder
from pdsn.masks.dictionary import MaskDictionary
from pdsn.masks.maker import Ingredients, Maker
from pdsn.masks.maps import PairMaps
from pdsn.occlusion.layouts import Layout


def build_dictionary(
    maker: Maker,
    layout: Layout,
    maps: PairMaps,
    trained: Mapping[str, TrainingFolder],
    *,
    percentile: float,
    seed: int,
) -> MaskDictionary:
    """Build the dictionary of a strategy.

    Args:
        maker: how its masks come about.
        layout: the regions.
        maps: of the training pairs.
        trained: what the maker has learned, by label; empty where it learns nothing.
        percentile: 0 to 100, see `dictionary.percentile_of`; not used where masks are soft.
        seed: of masks that are drawn.

    Raises:
        PdsnError: something trained is missing or belongs to another base or layout.
    """
    mean, binary = maker.masks(Ingredients(maps, layout, trained, percentile, seed))
    return MaskDictionary(layout, mean, binary, maps.base, soft=maker.soft)
