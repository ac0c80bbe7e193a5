"""What the segmentation and an occlusion-aware base are trained on: a mixture of all occluders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pdsn.occlusion.cutouts import CutOut
from pdsn.occlusion.hands import PosedHand
from pdsn.occlusion.harmless import crop_edges, cropped, harmless_changes
from pdsn.occlusion.layouts import Box
from pdsn.occlusion.locks import HairOverFace
from pdsn.occlusion.objects import HeldObject
from pdsn.occlusion.occluder import Occluder
from pdsn.occlusion.occluders import CLEAN, WHITE, Block, Nothing, moved
from pdsn.occlusion.reclothed import Reclothed
from pdsn.occlusion.textures import texture
from pdsn.occlusion.worn import KINDS, Worn


@dataclass(frozen=True)
class Patch:
    """A box or an ellipse of random place, size, colour and texture.

    Attributes:
        height: range of its height, as a share of the photo's.
        width: likewise; (1, 1) makes a band across the photo.
        white: probability of plain white, the colour of the bands that are tested.
    """

    height: tuple[float, float] = (0.12, 0.55)
    width: tuple[float, float] = (0.2, 1.0)
    white: float = 0.1

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        del landmarks
        rows, columns = image.shape[1:]
        tall = min(max(round(rows * rng.uniform(*self.height)), 2), rows)
        wide = min(max(round(columns * rng.uniform(*self.width)), 2), columns)
        # It may reach over the edge by up to half: at the edge it is as likely as elsewhere.
        top = int(rng.integers(-tall // 2, rows - tall // 2))
        left = 0 if wide == columns else int(rng.integers(-wide // 2, columns - wide // 2))
        shape = np.ones((tall, wide), bool)
        if wide < columns and rng.random() < 0.4:
            y, x = np.mgrid[-1 : 1 : tall * 1j, -1 : 1 : wide * 1j]
            shape = x**2 + y**2 <= 1
        fill = np.full((tall, wide, 3), 255.0) if rng.random() < self.white else texture(tall, wide, rng)
        covered = torch.zeros((rows, columns), dtype=torch.bool)
        occluded = image.clone()
        inside = slice(max(top, 0), top + tall), slice(max(left, 0), left + wide)
        own = slice(max(-top, 0), rows - top), slice(max(-left, 0), columns - left)
        cut = torch.from_numpy(shape[own])
        covered[inside] = cut
        painted = torch.from_numpy(fill[own].clip(0, 255).astype(np.uint8)).permute(2, 0, 1)
        occluded[:, inside[0], inside[1]] = torch.where(cut, painted, occluded[:, inside[0], inside[1]])
        return occluded, covered


@dataclass(frozen=True)
class Mixture:
    """One of several occluders by chance, now and then two of them at once.

    Attributes:
        parts: occluders by name.
        weights: probability of each.
        twice: probability that a second one is laid over the first.
    """

    parts: Mapping[str, Occluder]
    weights: Mapping[str, float]
    twice: float = 0.1
    _names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_names", tuple(self.parts))

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        occluded, covered = self._one(rng)(image, landmarks, rng)
        if covered.any() and rng.random() < self.twice:
            occluded, more = self._one(rng)(occluded, landmarks, rng)
            covered = covered | more
        return occluded, covered

    def _one(self, rng: np.random.Generator) -> Occluder:
        chances = np.array([self.weights[name] for name in self._names])
        return self.parts[self._names[int(rng.choice(len(chances), p=chances / chances.sum()))]]


def worn_occluders(split: str) -> dict[str, Occluder]:
    """Nothing, what is worn in the styles of one split, and plain shapes, by name.

    Args:
        split: "train", "val" or "test".
    """
    return {
        CLEAN: Nothing(),
        **{kind: Worn(kind, split) for kind in KINDS},
        "band": Patch((0.08, 0.4), (1.0, 1.0), white=0.4),
        "block": Patch(),
    }


WORN_WEIGHTS = {
    "clean": 0.15,
    "face-mask": 0.16,
    "sunglasses": 0.16,
    "scarf": 0.08,
    "cap": 0.08,
    "hand": 0.08,
    "band": 0.14,
    "block": 0.15,
}
"""How often each is seen in training where these are all that there is."""


OF_CLOTH = ("face-mask", "scarf", "cap", "band", "block")
"""Kinds that are of any cloth in training."""


def varied_occluders(split: str, photos: Tensor) -> dict[str, Occluder]:
    """The same, and what is drawn anew each time: hands, things, hair, and pieces of other photos.

    Args:
        split: "train", "val" or "test": whose styles.
        photos: (N, 3, H, W) uint8, what pieces are cut from; those of the split.
    """
    worn = worn_occluders(split)
    if split == "train":
        worn = {name: Reclothed(one) if name in OF_CLOTH else one for name, one in worn.items()}
    return {
        **worn,
        "posed-hand": PosedHand(split),
        "object": HeldObject(split),
        "hair": HairOverFace(split),
        "cut-out": CutOut(photos, split),
    }


VARIED_WEIGHTS = {
    "clean": 0.17,
    "face-mask": 0.16,
    "sunglasses": 0.12,
    "scarf": 0.06,
    "cap": 0.05,
    "hand": 0.04,
    "band": 0.10,
    "block": 0.08,
    "posed-hand": 0.12,
    "object": 0.04,
    "hair": 0.03,
    "cut-out": 0.03,
}
"""How often each is seen in training where all of these are."""


@dataclass(frozen=True)
class Photographed:
    """Something before a face as photos have it: on a face with glasses, a beard or make-up, in any light, in a poor photo.

    None of that counts as covered.

    Attributes:
        occluder: what is before the face.
        split: whose glasses and beards; "train", "val" or "test".
        changed: probability that the face itself is changed.
        lit: that of another light, or a shadow.
        poor: that of a poor photo.
        tight: that of a photo that ends at the face.
    """

    occluder: Occluder
    split: str
    changed: float = 0.35
    lit: float = 0.4
    poor: float = 0.4
    tight: float = 0.35

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        changes = harmless_changes(self.split)
        chances, choices = rng.random(4), rng.integers(6, size=2)
        if chances[0] < self.changed:
            name = ("eyeglasses", "eyeglasses", "beard", "beard", "beard", "make-up")[int(choices[0])]
            image, _ = changes[name](image, landmarks, rng)
        image, covered = self.occluder(image, landmarks, rng)
        if chances[1] < self.lit:
            image, _ = changes["hard-shadow" if choices[1] < 2 else "light"](image, landmarks, rng)
        if chances[2] < self.poor:
            image, _ = changes["poor-photo"](image, landmarks, rng)
        if chances[3] < self.tight:
            edges = crop_edges(rng)
            both = cropped(np.concatenate([image.numpy(), covered.numpy()[None]]), edges)
            image, covered = torch.from_numpy(both[:3]), torch.from_numpy(both[3] > 0)
        return image, covered


def base_mixture() -> Mixture:
    """What the occluded photos of a base's training are under."""
    return Mixture(base_occluders(), BASE_WEIGHTS)


def base_occluders() -> dict[str, Occluder]:
    """Every occlusion that an occlusion-aware base is trained on: what is worn, and plain shapes."""
    return {name: occluder for name, occluder in worn_occluders("train").items() if name != CLEAN}


@dataclass(frozen=True)
class MovedRegions:
    """A block of white or grey over one region or several neighbours, each moved and stretched a little.

    Attributes:
        boxes: the regions.
        jitter: how far each edge moves at most, see `occluders.moved`.
        more: probability of each further region.
    """

    boxes: tuple[Box, ...]
    jitter: float = 0.25
    more: float = 0.35

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        centres = np.array([[b.top + b.bottom, b.left + b.right] for b in self.boxes]) / 2
        first = int(rng.integers(len(self.boxes)))
        near = np.argsort(np.linalg.norm(centres - centres[first], axis=1), kind="stable")
        count = 1
        while count < len(self.boxes) and rng.random() < self.more:
            count += 1
        boxes = tuple(moved(self.boxes[index], image.shape[1:], self.jitter, rng) for index in near[:count])
        return Block(boxes, WHITE if rng.random() < 0.5 else None)(image, landmarks, rng)


def matching_mixture(boxes: Sequence[Box], split: str) -> Mixture:
    """What masks are learned from: blocks about the regions, and what people wear in the styles of one split.

    Args:
        boxes: the regions.
        split: "train" or "val".
    """
    parts: dict[str, Occluder] = {
        "regions": MovedRegions(tuple(boxes)),
        **{kind: Worn(kind, split) for kind in KINDS},
        "block": Patch(),
    }
    return Mixture(parts, MATCHING_WEIGHTS, twice=0.0)


MATCHING_WEIGHTS = {
    "regions": 0.5,
    "face-mask": 0.13,
    "sunglasses": 0.12,
    "scarf": 0.08,
    "cap": 0.05,
    "hand": 0.04,
    "block": 0.08,
}
"""How often each is seen while masks are learned."""


BASE_WEIGHTS = {name: weight for name, weight in WORN_WEIGHTS.items() if name != CLEAN}
"""How often each is seen among the occluded photos of a base's training."""
