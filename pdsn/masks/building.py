"""A dictionary from trained generators, or from a control's ranking."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from pdsn.artefact import TrainingFolder
from pdsn.masks.controls import geometric_mask, mean_difference, random_mask
from pdsn.masks.dictionary import PERCENTILES, MaskDictionary, binarise
from pdsn.masks.generators import generated_mask
from pdsn.masks.maps import PairMaps, batches
from pdsn.masks.matched import MATCHED, learned_masks
from pdsn.occlusion.layouts import Layout


def percentile_of(name: str, layout: Layout, asked: float) -> float | None:
    """The percentile asked for, 0 to 100; the paper's for the regions where it is -1; None for `matched`, which stays soft.

    Args:
        name: of a layout, a control, or `matched`.
        layout: the regions.
        asked: the setting.
    """
    if name == MATCHED:
        return None
    return asked if asked >= 0 else PERCENTILES[layout.name]


def build_dictionary(
    name: str,
    layout: Layout,
    maps: PairMaps,
    generators: Mapping[str, TrainingFolder],
    *,
    percentile: float | None,
    seed: int,
) -> MaskDictionary:
    """Build the dictionary of a strategy.

    Args:
        name: a layout's name for the generators, `matched` or a control.
        layout: the regions.
        maps: maps of the training pairs.
        generators: the trained generator of each region, or `matched` and its masks; not used by controls.
        percentile: 0 to 100, see `percentile_of`; not used by `matched`.
        seed: of the random control.

    Raises:
        PdsnError: a generator is missing or belongs to another base or region.
    """
    device = maps.encoder.device
    shape = maps.encoder.net.map_shape
    if name == MATCHED:
        mean = learned_masks(generators[MATCHED].load())
        return MaskDictionary(layout, mean, mean > 0.5, maps.base, soft=True)
    assert percentile is not None
    means, kept = [], []
    for number, (region, box) in enumerate(layout.regions.items()):
        if name == "geometric":
            mean, binary = geometric_mask(shape, box, layout.size)
            means.append(mean)
            kept.append(binary)
            continue
        if name == "random":
            mean = random_mask(shape, seed * 1009 + number)
        elif name in ("difference", "relative"):
            pairs = batches(maps.clean("train"), maps.occluded(layout, region, "train"), device)
            mean = mean_difference(pairs, relative=name == "relative")
        else:
            mean = generated_mask(maps, layout, region, generators[region].load(), device)
        means.append(mean)
        kept.append(binarise(mean, percentile))
    return MaskDictionary(layout, torch.stack(means), torch.stack(kept), maps.base)
