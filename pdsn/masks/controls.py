"""Dictionaries without a generator: what learning the masks adds is the distance to these.

Each ranks the features of the map by a mean mask of its own making; the binarisation and all that
follows are the same as for the learned masks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from pdsn.masks.maker import Ingredients, Maker, Masks, by_region
from pdsn.masks.maps import batches
from pdsn.occlusion.layouts import Box


def random_mask(shape: tuple[int, int, int], seed: int) -> Tensor:
    """A mean mask (C, h, w) uniform in 0 to 1: binarised, it drops the same share at random."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def covered_share(box: Box, size: tuple[int, int], cells: tuple[int, int]) -> Tensor:
    """Share (h, w) of each map cell's area in the photo that lies under a region.

    Args:
        box: the region in pixels.
        size: height and width of the photo.
        cells: rows and columns of the map.
    """
    inside = []
    for low, high, length, count in (
        (box.top, box.bottom, size[0], cells[0]),
        (box.left, box.right, size[1], cells[1]),
    ):
        edges = torch.linspace(0, length, count + 1, dtype=torch.float64)
        shared = edges[1:].clamp(max=high) - edges[:-1].clamp(min=low)
        inside.append(shared.clamp(min=0) / (length / count))
    return (inside[0][:, None] * inside[1][None]).float()


def geometric_mask(shape: tuple[int, int, int], box: Box, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Drop all channels of the map cells that lie under a region.

    A cell counts as under the region when at least half of it is; on a map so coarse that none is, the
    cells with the largest covered share are.

    Returns:
        The share left uncovered and the mask, (C, h, w) float32 and bool.
    """
    share = covered_share(box, size, (shape[1], shape[2]))
    under = share >= min(0.5, float(share.max()))
    return (1 - share).expand(shape).contiguous(), (~under).expand(shape).contiguous()


def mean_difference(pairs: Iterable[tuple[Tensor, Tensor]], *, relative: bool) -> Tensor:
    """A mean mask from how much an occlusion changes each feature, without any generator.

    Args:
        pairs: batches of maps (N, C, h, w) of clean photos and of their occluded twins.
        relative: divide by the feature's standard deviation over the clean photos.

    Returns:
        (C, h, w): 1 for features that never change, 0 for the one that changes most. Features that
        are constant over all clean photos tell nobody apart and count as never changing only if the
        occlusion leaves them alone too.
    """
    count = 0
    changed = total = squares = torch.zeros((), dtype=torch.float64)
    for clean, occluded in pairs:
        clean, occluded = clean.cpu().double(), occluded.cpu().double()  # MPS knows no float64
        changed = changed + (clean - occluded).abs().sum(0)
        total, squares = total + clean.sum(0), squares + clean.square().sum(0)
        count += len(clean)
    if not count:
        raise ValueError("no pairs to compare")
    change = changed / count
    if relative:
        spread = (squares / count - (total / count).square()).clamp_min(0).sqrt()
        change = torch.where(change > 0, change / spread.clamp_min(1e-6 * float(spread.max()) or 1e-12), 0.0)
    return (1 - change / change.max().clamp_min(1e-12)).float()


def _random(given: Ingredients, region: str, number: int) -> Tensor:
    del region
    return random_mask(given.maps.encoder.net.map_shape, given.seed * 1009 + number)


def _change(*, relative: bool) -> Callable[[Ingredients, str, int], Tensor]:
    def mean_of(given: Ingredients, region: str, number: int) -> Tensor:
        del number
        maps = given.maps
        pairs = batches(
            maps.clean("train"), maps.occluded(given.layout, region, "train"), maps.encoder.device
        )
        return mean_difference(pairs, relative=relative)

    return mean_of


def _geometric(given: Ingredients) -> Masks:
    shape, layout = given.maps.encoder.net.map_shape, given.layout
    found = [geometric_mask(shape, box, layout.size) for box in layout.regions.values()]
    return torch.stack([mean for mean, _ in found]), torch.stack([kept for _, kept in found])


RANDOM = Maker("random", "control: the same share of features, drawn at random", by_region(_random))
GEOMETRIC = Maker("geometric", "control: the cells of the map that lie under the region", _geometric)
DIFFERENCE = Maker("difference", "control: the features that change most", by_region(_change(relative=False)))
RELATIVE = Maker(
    "relative", "control: those that change most for their own spread", by_region(_change(relative=True))
)
