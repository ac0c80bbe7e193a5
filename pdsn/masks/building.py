"""A dictionary from trained generators, or from a control's ranking."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from pdsn.artefact import TrainingFolder
from pdsn.masks.controls import geometric_mask, mean_difference, random_mask
from pdsn.masks.dictionary import PERCENTILES, MaskDictionary, binarise
from pdsn.masks.learning import generated_mask
from pdsn.masks.pair_maps import PairMaps, batches
from pdsn.occlusion.regions import Strategy


def percentile_of(strategy: Strategy, asked: float) -> float:
    """The percentile asked for, 0 to 100; the paper's for the strategy where it is -1."""
    return PERCENTILES[strategy.name] if asked < 0 else asked


def build_dictionary(
    name: str,
    strategy: Strategy,
    maps: PairMaps,
    generators: Mapping[str, TrainingFolder],
    *,
    percentile: float,
    seed: int,
) -> MaskDictionary:
    """Build the dictionary of a strategy or control.

    Args:
        name: a strategy's name, or a control's, whose regions `strategy` then gives.
        strategy: the regions.
        maps: maps of the training pairs.
        generators: the trained generator of each region; not used by controls.
        percentile: 0 to 100, see `percentile_of`.
        seed: of the random control.

    Raises:
        PdsnError: a generator is missing or belongs to another base or region.
    """
    device = maps.encoder.device
    shape = maps.encoder.net.map_shape
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
