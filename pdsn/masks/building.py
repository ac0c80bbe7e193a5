"""A dictionary from trained generators, or from a control's ranking."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from pdsn.artefact import TrainingFolder
from pdsn.masks.controls import geometric_mask, mean_difference, random_mask
from pdsn.masks.dictionary import PERCENTILES, MaskDictionary, binarise
from pdsn.masks.learning import generated_mask
from pdsn.masks.matching import MATCHED, learned_masks
from pdsn.masks.pair_maps import PairMaps, batches
from pdsn.occlusion.regions import Strategy


def percentile_of(name: str, strategy: Strategy, asked: float) -> float | None:
    """The percentile asked for, 0 to 100; the paper's for the regions where it is -1; None for `matched`, which stays soft.

    Args:
        name: of a strategy, a control, or `matched`.
        strategy: the regions.
        asked: the setting.
    """
    if name == MATCHED:
        return None
    return asked if asked >= 0 else PERCENTILES[strategy.name]


def build_dictionary(
    name: str,
    strategy: Strategy,
    maps: PairMaps,
    generators: Mapping[str, TrainingFolder],
    *,
    percentile: float | None,
    seed: int,
) -> MaskDictionary:
    """Build the dictionary of a strategy or control.

    Args:
        name: a strategy's name, or `matched` or a control, whose regions `strategy` then gives.
        strategy: the regions.
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
        return MaskDictionary(strategy, mean, mean > 0.5, maps.base, soft=True)
    assert percentile is not None
    means, kept = [], []
    for number, (region, box) in enumerate(strategy.regions.items()):
        if name == "geometric":
            mean, binary = geometric_mask(shape, box, strategy.size)
            means.append(mean)
            kept.append(binary)
            continue
        if name == "random":
            mean = random_mask(shape, seed * 1009 + number)
        elif name in ("difference", "relative"):
            pairs = batches(maps.clean("train"), maps.occluded(strategy, region, "train"), device)
            mean = mean_difference(pairs, relative=name == "relative")
        else:
            mean = generated_mask(maps, strategy, region, generators[region].load(), device)
        means.append(mean)
        kept.append(binarise(mean, percentile))
    return MaskDictionary(strategy, torch.stack(means), torch.stack(kept), maps.base)
