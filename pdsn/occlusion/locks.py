"""Hair over the face, drawn anew each time: a fringe, a curtain of long hair, single locks, curls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdsn.occlusion.canvas import Canvas, inside, strands
from pdsn.occlusion.lighting import light_on
from pdsn.occlusion.occluder import left_clean
from pdsn.occlusion.placing import Pose, on_plane, pose_of

COLOURS = np.array(
    [[22, 19, 18], [45, 33, 26], [84, 58, 40], [128, 92, 60], [186, 152, 104], [120, 55, 35], [150, 148, 146]]
)
"""Hair from black to grey."""
CROWN = ((-0.5, -1.25), (0.0, -1.35), (0.5, -1.25), (-0.9, -0.9), (0.9, -0.9))
"""Where hair mostly is, in face units."""

HAIRLINE = -0.75
"""Height in face units above which hair covers nothing: everybody has some there."""

Region = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]
"""From face units u and v (H, W): how far inside the hair a place lies, in face units, and what is the same along a strand."""


def _ragged(flow: np.ndarray, rng: np.random.Generator, size: float) -> np.ndarray:
    """An edge in tufts: how far each strand reaches beyond the mean."""
    phases = rng.uniform(0, 2 * np.pi, 3)
    return size * sum(
        np.sin(flow * rate + phase) for rate, phase in zip((4.0, 11.0, 27.0), phases, strict=True)
    )


def _fringe(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """From the hairline down over the forehead, and maybe the eyes."""
    flow = u + 0.25 * rng.normal() * (v + 1.5)
    deep = rng.uniform(-0.5, 0.25) + 0.5 * rng.normal() * u
    return np.minimum(deep + _ragged(flow, rng, 0.08) - v, 1.35 - np.abs(u)), flow


def _curtain(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Long hair that hangs over one side of the face."""
    side, start, slope = (1 if rng.random() < 0.5 else -1), rng.uniform(0.05, 0.75), rng.uniform(-0.1, 0.25)
    flow = side * u - slope * (v + 1.0) + 0.06 * np.sin(2.5 * v + rng.uniform(0, 6))
    edge = flow - start + _ragged(v, rng, 0.04)
    return np.minimum(edge, np.minimum(v + 1.9, start + 1.6 - flow)), flow


def _locks(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Some thin locks down the face."""
    total, flows = np.full(np.broadcast(u, v).shape, -np.inf), np.zeros(np.broadcast(u, v).shape)
    for _ in range(int(rng.integers(3, 9))):
        place, lean, wide = rng.uniform(-1.0, 1.0), rng.normal(0, 0.3), rng.uniform(0.04, 0.16)
        flow = u - place - lean * (v + 1) - 0.1 * np.sin(2 * v + rng.uniform(0, 6))
        own = np.minimum(wide * np.clip(1.3 - v / 2.5, 0, 1) - np.abs(flow), rng.uniform(0.3, 2.0) - v)
        flows = np.where(own > total, flow, flows)
        total = np.maximum(total, own)
    return total, flows


def _curls(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Curls about the face that reach into it."""
    start = rng.uniform(0.5, 0.95)
    angle = np.arctan2(v - 0.4, u)
    radius = np.hypot(u, 0.72 * (v - 0.4))
    flow = radius + 0.12 * np.sin(9 * angle + rng.uniform(0, 6)) + 0.08 * np.sin(23 * angle)
    # Open below: a face has its chin free.
    deep = np.minimum(flow - start - 1.2 * np.clip(v - 0.9, 0, 1), start + 0.8 - radius)
    return deep, flow * 1.5 + 0.4 * np.sin(14 * angle)


HAIR: dict[str, tuple[Region, ...]] = {"train": (_fringe, _curtain), "val": (_locks,), "test": (_curls,)}
"""What is seen in training; validation and test have hair of their own."""


@dataclass(frozen=True)
class HairOverFace:
    """Hair that hangs over the face, most often in the colour of the photo's own.

    Attributes:
        split: whose hair; "train", "val" or "test".
    """

    split: str

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`; landmarks that are no face leave the photo clean."""
        pose = pose_of(np.asarray(landmarks, dtype=np.float64))
        if pose is None:
            return left_clean(image)
        canvas = Canvas(image.shape[1], image.shape[2])
        u, v = on_plane(pose, canvas.x, canvas.y)
        region = HAIR[self.split][int(rng.integers(len(HAIR[self.split])))]
        deep, flow = region(u, v, rng)
        colour = hair_colour(image.numpy(), pose, rng)
        shine = 1 + 0.3 * strands(flow, v, rng.uniform(2.5, 5.0), rng)
        # Ends are thin: single strands are seen before there is none.
        thin = rng.uniform(0.02, 0.1) * (1 + strands(flow, v, 6.0, rng))
        alpha = inside((thin - deep) * pose.scale, rng.uniform(1.0, 3.0)) * rng.uniform(0.85, 1.0)
        canvas.paint(colour[:, None, None] * shine.astype(np.float32), alpha.astype(np.float32))
        occluded, covered = canvas.lay(image, rng)
        return occluded, covered & torch.from_numpy(v > HAIRLINE)


def hair_colour(photo: np.ndarray, pose: Pose, rng: np.random.Generator) -> np.ndarray:
    """A colour (3,) float32 for hair in a photo (3, H, W) uint8: mostly what is above the forehead, where that is seen."""
    places = pose.project(np.array([(x, y, -0.3) for x, y in CROWN])).astype(int)
    seen = [
        photo[:, row, column]
        for column, row in places
        if 0 <= row < photo.shape[1] and 0 <= column < photo.shape[2]
    ]
    own, light = rng.random() < 0.7, light_on(photo, pose)
    other = COLOURS[int(rng.integers(len(COLOURS)))] * rng.uniform(0.8, 1.2) * light.cast * light.gain
    colour = np.median(np.array(seen, dtype=np.float32), axis=0) if seen and own else light.muted(other)
    return np.clip(colour, 4, 235).astype(np.float32)
