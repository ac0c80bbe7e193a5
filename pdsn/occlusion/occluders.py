"""Occluders: each covers part of a photo and returns the exact pixel mask of what it covered.

`make_occluders` gives the ones of a data set by name, in the order of the results table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdsn.config.setting import SettingError
from pdsn.occlusion.hands import PosedHand
from pdsn.occlusion.harmless import harmless_changes
from pdsn.occlusion.layouts import LAYOUTS, Box, LandmarkStatistics, example_statistics, make_layout
from pdsn.occlusion.locks import HairOverFace
from pdsn.occlusion.objects import HeldObject
from pdsn.occlusion.occluder import Occluder, left_clean
from pdsn.occlusion.patterns import pattern
from pdsn.occlusion.settings import RegionsConfig
from pdsn.occlusion.worn import KINDS, Worn

WHITE, GREY = 255, 128
BANDS = ("forehead", "eyes", "nose", "mouth", "chin")
CLEAN = "clean"
LOWER_FACE = "nose+mouth+chin"
RANDOM_BLOCK = "random-block"
SPOKEN = {
    **{name: f"a white band over the {name}" for name in BANDS},
    LOWER_FACE: "a white band from nose to chin",
    "face-mask": "a face mask",
    "sunglasses": "sunglasses",
    "scarf": "a scarf",
    "cap": "a cap",
    "hand": "a hand",
    RANDOM_BLOCK: "a block anywhere",
}
"""What occlusions are called in a sentence; others by their names."""


@dataclass(frozen=True)
class Nothing:
    """Leaves the photo clean."""

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        del landmarks, rng
        return left_clean(image)


@dataclass(frozen=True)
class Block:
    """Boxes filled with one intensity.

    Attributes:
        boxes: what is covered.
        intensity: grey level 0 to 255 of the block, or None for a random one each time
            ("blocks of uniform intensity", Johnston & Ngxande, section 4.2).
        jitter: how far each edge of a box moves at most, see `moved`.
    """

    boxes: tuple[Box, ...]
    intensity: int | None = WHITE
    jitter: float = 0.0

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        del landmarks
        level = int(rng.integers(256)) if self.intensity is None else self.intensity
        covered = torch.zeros(image.shape[1:], dtype=torch.bool)
        occluded = image.clone()
        for box in self.boxes:
            if self.jitter > 0:
                box = moved(box, image.shape[1:], self.jitter, rng)
            covered[box.top : box.bottom, box.left : box.right] = True
            occluded[:, box.top : box.bottom, box.left : box.right] = level
        return occluded, covered


def moved(box: Box, size: Sequence[int], jitter: float, rng: np.random.Generator) -> Box:
    """A box with its edges moved at random; where it spans the photo it goes on doing so.

    Faces are never aligned so well that an occlusion ends where a region does.

    Args:
        box: within the photo.
        size: rows and columns of the photo.
        jitter: how far each edge moves at most, as a share of the box's side.
        rng: of the draw.
    """
    edges = []
    for low, high, length in ((box.top, box.bottom, size[0]), (box.left, box.right, size[1])):
        reach = 0.0 if (low, high) == (0, length) else jitter * (high - low)
        start = min(max(round(low + rng.uniform(-reach, reach)), 0), length - 1)
        end = min(max(round(high + rng.uniform(-reach, reach)), start + 1), length)
        edges.append((start, end))
    return Box(edges[0][0], edges[1][0], edges[0][1], edges[1][1])


@dataclass(frozen=True)
class Patterned:
    """A box filled with a pattern that nothing is trained on, see `patterns.pattern`."""

    box: Box

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        del landmarks
        box = self.box
        inside = slice(box.top, box.bottom), slice(box.left, box.right)
        surface = pattern(box.bottom - box.top, box.right - box.left, rng).round().astype(np.uint8)
        occluded, covered = image.clone(), torch.zeros(image.shape[1:], dtype=torch.bool)
        occluded[:, inside[0], inside[1]] = torch.from_numpy(surface).permute(2, 0, 1)
        covered[inside] = True
        return occluded, covered


@dataclass(frozen=True)
class RandomBlock:
    """A rectangle of random place, size and colour.

    Attributes:
        height: range of its height, as a share of the photo's.
        width: likewise.
    """

    height: tuple[float, float] = (0.15, 0.55)
    width: tuple[float, float] = (0.3, 1.0)

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        del landmarks
        rows, columns = image.shape[1:]
        tall = min(max(round(rows * rng.uniform(*self.height)), 1), rows)
        wide = min(max(round(columns * rng.uniform(*self.width)), 1), columns)
        top, left = int(rng.integers(rows - tall + 1)), int(rng.integers(columns - wide + 1))
        colour = torch.from_numpy(rng.integers(0, 256, 3).astype(np.uint8))
        covered = torch.zeros((rows, columns), dtype=torch.bool)
        covered[top : top + tall, left : left + wide] = True
        occluded = image.clone()
        occluded[:, top : top + tall, left : left + wide] = colour[:, None, None]
        return occluded, covered


@dataclass(frozen=True)
class Oval:
    """The face's oval, or everything but it, in a flat grey: how much does a base owe to hair and background?

    The oval follows the eyes and the mouth's corners: as wide as 2.3 distances between the eyes, from about the
    hairline to the chin.

    Attributes:
        inside: cover the face; False covers what lies around it.
    """

    inside: bool

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        del rng
        points = landmarks.to(torch.float64)
        eyes, mouth = points[:2].mean(0), points[3:].mean(0)
        down = mouth - eyes
        length = max(float(down.norm()), 1.0)
        down = down / length
        # In a turned head the eyes draw together, but not the face's oval.
        wide = 1.15 * max(float((points[1] - points[0]).norm()), 0.8 * length)
        centre, tall = (eyes + mouth) / 2, 1.45 * length
        rows, columns = image.shape[1:]
        y, x = torch.meshgrid(
            torch.arange(rows) - centre[1], torch.arange(columns) - centre[0], indexing="ij"
        )
        along, across = x * down[0] + y * down[1], x * down[1] - y * down[0]
        covered = ((along / tall) ** 2 + (across / wide) ** 2 <= 1) == self.inside
        return torch.where(covered, torch.tensor(GREY, dtype=torch.uint8), image), covered


PARTS: dict[str, Occluder] = {"face": Oval(inside=True), "background": Oval(inside=False)}
"""Occlusions that nobody wears, to look into a base; no rows of the table unless asked for."""


def further_occluders(styles: str = "test") -> dict[str, Occluder]:
    """Occlusions that are no rows of the table unless asked for: what is drawn anew each time, and what covers nothing.

    Args:
        styles: see `make_occluders`.
    """
    return {
        **PARTS,
        "posed-hand": PosedHand(styles),
        "object": HeldObject(styles),
        "hair": HairOverFace(styles),
        **harmless_changes(styles),
    }


def make_occluders(statistics: LandmarkStatistics, floor: float, styles: str = "test") -> dict[str, Occluder]:
    """The occlusions of the results table by name.

    The five LM2 bands in white across the whole width, nose + mouth + chin together (Johnston &
    Ngxande, section 5.3), what people wear in styles that nothing was trained on, a random block, the five bands
    in patterns that nothing was trained on, and, beside the unseen ones, the two that matter most in the styles of
    the training. White bands across the face are among what an occlusion-aware base and the segmentation are trained
    on (`mixture.Patch`).

    Args:
        statistics: landmark statistics of the training split.
        floor: region floor, see `layouts.make_layout`.
        styles: of what is worn, "test" or, for choosing settings, "val".
    """
    bands = make_layout("LM2", statistics, floor).regions
    return {
        CLEAN: Nothing(),
        **{name: Block((bands[name],)) for name in BANDS},
        LOWER_FACE: Block(tuple(bands[name] for name in ("nose", "mouth", "chin"))),
        **{kind: Worn(kind, styles) for kind in KINDS},
        RANDOM_BLOCK: RandomBlock(),
        **{f"{name}-textured": Patterned(bands[name]) for name in BANDS},
        **{f"{kind}-seen": Worn(kind, "train") for kind in ("face-mask", "sunglasses")},
    }


def find_occluder(name: str, statistics: LandmarkStatistics, floor: float, styles: str = "test") -> Occluder:
    """An occluder by name, see `make_occluders` and `further_occluders`.

    `block:STRATEGY/REGION` is a block of random grey on any region.

    Raises:
        SettingError: there is none of that name; the message lists those that exist.
    """
    known = make_occluders(statistics, floor, styles) | further_occluders(styles)
    if name in known:
        return known[name]
    layout, _, region = name.removeprefix("block:").partition("/")
    if name.startswith("block:") and layout in LAYOUTS:
        regions = make_layout(layout, statistics, floor).regions
        if region in regions:
            return Block((regions[region],), intensity=None)
        raise SettingError("eval.occlusions", name, f": {layout} has the regions {', '.join(regions)}")
    raise SettingError(
        "eval.occlusions",
        name,
        f"is unknown: choose from all, {', '.join(known)}, "
        f"or block:LAYOUT/REGION with a layout of {', '.join(LAYOUTS)}",
    )


def check_occlusions(names: Sequence[str]) -> None:
    """Raise SettingError unless each name is "all" or that of an occluder; needs no data."""
    for name in names:
        if name != "all":
            find_occluder(name, example_statistics(), RegionsConfig.floor)


def is_fixed(occluder: Occluder) -> bool:
    """Whether an occluder does the same to a photo each time, whatever the draw."""
    return isinstance(occluder, Nothing | Oval) or (
        isinstance(occluder, Block) and occluder.intensity is not None
    )


def occlude(
    occluder: Occluder,
    images: Tensor,
    landmarks: np.ndarray,
    *,
    seed: int,
    name: str,
    rows: Sequence[int],
    draw: int = 0,
) -> tuple[Tensor, Tensor]:
    """Occlude photos so that each one's draw depends on seed, name, row and the draw's number alone.

    Whatever else is occluded, and in whatever batches, a test photo always looks the same: every
    system is asked about the same probes.

    Args:
        occluder: what covers them.
        images: (N, 3, H, W) uint8.
        landmarks: (N, 5, 2) x, y in pixels.
        seed: of the draws.
        name: of the occlusion; another name gives other draws.
        rows: N numbers that identify the photos, such as their rows in the data set.
        draw: number of the draw; another one gives other draws.

    Returns:
        (N, 3, H, W) uint8 and (N, H, W) bool.
    """
    occluded = torch.empty_like(images)
    covered = torch.empty((len(images), *images.shape[2:]), dtype=torch.bool)
    points = torch.as_tensor(np.asarray(landmarks))
    for index, row in enumerate(rows):
        occluded[index], covered[index] = occluder(
            images[index], points[index], draws_of(seed, name, row, draw)
        )
    return occluded, covered


def draws_of(seed: int, name: str, row: int, draw: int = 0) -> np.random.Generator:
    """The source of everything random about one draw of one photo under one occlusion."""
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    # The first draw is seeded as it was when there was no other: tables stay comparable.
    return np.random.default_rng((seed, key, int(row), draw) if draw else (seed, key, int(row)))
