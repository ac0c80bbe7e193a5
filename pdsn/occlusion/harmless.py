"""What changes a face without covering it: clear glasses, beards, make-up, shadows, light, poor photos, tight crops.

A segmentation that has never seen them takes them for occlusions, and an FDM then drops what could be compared. Each is an
`Occluder` whose exact mask is empty; `Poor` and `TightCrop` are also laid over occluded photos.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates
from torch import Tensor

from pdsn.occlusion.canvas import Canvas, ellipse, inside, strands
from pdsn.occlusion.locks import hair_colour
from pdsn.occlusion.occluder import Occluder
from pdsn.occlusion.placing import on_plane, pose_of


def _uncovered(pixels: np.ndarray) -> tuple[Tensor, Tensor]:
    """A photo (3, H, W) of which nothing is covered."""
    photo = torch.from_numpy(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))
    return photo, torch.zeros(photo.shape[1:], dtype=torch.bool)


def _over(image: Tensor, canvas: Canvas) -> tuple[Tensor, Tensor]:
    """A photo with a canvas over it, of which nothing counts as covered."""
    return _uncovered(image.numpy().astype(np.float32) * (1 - canvas.alpha) + canvas.colours)


@dataclass(frozen=True)
class Eyeglasses:
    """Clear glasses: rims, bridge and arms, lenses hardly tinted, now and then a reflection.

    Attributes:
        split: whose rims: round and square ones in training, half rims in validation, pilots' in the test.
    """

    split: str

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        pose = pose_of(np.asarray(landmarks, dtype=np.float64))
        canvas = Canvas(image.shape[1], image.shape[2])
        if pose is None:
            return _over(image, canvas)
        wide, tall, power = rng.uniform(0.33, 0.46), rng.uniform(0.2, 0.4), rng.choice([2.0, 4.0])
        rim, tint, shine = rng.uniform(0.02, 0.09) * pose.scale, rng.uniform(0, 0.15), rng.uniform(0, 0.7)
        colour = (rng.uniform(0, 60) if rng.random() < 0.6 else rng.uniform(0, 255, 3)) * np.ones(
            3, np.float32
        )
        reflects, down = rng.random() < 0.35, rng.uniform(-0.02, 0.12)
        u, v = on_plane(pose, canvas.x, canvas.y)
        for side in (-1, 1):
            x, y = (u - 0.52 * side) / wide, (v - down) / tall
            if self.split == "test":  # wider below than above
                x = x / (1 + 0.18 * np.clip(y, -1, 1))
            lens = (np.abs(x) ** power + np.abs(y) ** power) ** (1 / power) - 1
            distance = lens * tall * pose.scale
            canvas.paint(colour[:, None, None], tint * inside(distance))
            if reflects:
                streak = inside(
                    ellipse(
                        canvas,
                        pose.project(np.array([[0.52 * side + 0.1, down - 0.05, 0.2]]))[0],
                        pose.axes * np.array([0.6 * wide, 0.5 * tall]),
                    )
                )
                canvas.paint(np.full((3, 1, 1), 245.0, np.float32), shine * streak * inside(distance))
            frame = inside(np.abs(distance) - max(rim / 2, 0.4))
            if self.split == "val":
                frame = frame * (y < 0.1)
            canvas.paint(colour[:, None, None], 0.9 * frame)
            arm = np.maximum(np.abs(v - down + 0.05), (0.52 + wide - side * u) / 3) * pose.scale
            canvas.paint(colour[:, None, None], 0.8 * inside(arm - max(rim / 2, 0.5)) * (side * u < 1.2))
        bridges = (0.0, -0.16) if self.split == "test" else (0.0,)
        for height in bridges:
            bridge = np.maximum(np.abs(v - down - height + 0.03), (np.abs(u) - 0.54 + wide) / 3) * pose.scale
            canvas.paint(colour[:, None, None], 0.9 * inside(bridge - max(rim / 2, 0.5)))
        return _over(image, canvas)


@dataclass(frozen=True)
class Beard:
    """A beard, a moustache or both, through which the skin is seen here and there.

    Attributes:
        split: full beards and moustaches in training, chin beards in validation, sideburns in the test.
    """

    split: str

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        pose = pose_of(np.asarray(landmarks, dtype=np.float64))
        canvas = Canvas(image.shape[1], image.shape[2])
        if pose is None:
            return _over(image, canvas)
        u, v = on_plane(pose, canvas.x, canvas.y)
        dense, soft = rng.uniform(0.3, 0.95), rng.uniform(0.06, 0.2)
        colour = hair_colour(image.numpy(), pose, rng)
        mouth = np.hypot(u / 0.5, (v - 1.12) / 0.14) - 1
        lip = np.minimum(
            0.13 + 0.03 * rng.normal() - np.abs(v - 0.88 - 0.2 * u**2), 0.5 + 0.1 * rng.normal() - np.abs(u)
        )
        jaw = np.minimum(
            1.25 - np.hypot(u, 0.78 * (v - 0.45)), v - 0.95 - rng.uniform(-0.4, 0.3) + 0.35 * np.abs(u)
        )
        parts = {
            "train": (lip, np.maximum(jaw, lip), jaw),
            "val": (np.minimum(jaw, 0.42 - np.abs(u)),),
            "test": (np.minimum(jaw, np.abs(u) - 0.62),),
        }[self.split]
        deep = np.minimum(parts[int(rng.integers(len(parts)))], 0.4 * mouth)
        shine = 1 + 0.35 * strands(u + 0.3 * v, v, rng.uniform(3, 8), rng)
        alpha = dense * np.clip(deep / soft, 0, 1) * (0.75 + 0.25 * strands(u - 0.2 * v, v, 7.0, rng))
        canvas.paint(
            colour[:, None, None] * shine.astype(np.float32), np.clip(alpha, 0, 1).astype(np.float32)
        )
        return _over(image, canvas)


@dataclass(frozen=True)
class MakeUp:
    """Lips, lids and cheeks in colour, and now and then a mark on the forehead."""

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        pose = pose_of(np.asarray(landmarks, dtype=np.float64))
        canvas = Canvas(image.shape[1], image.shape[2])
        if pose is None:
            return _over(image, canvas)
        lips = np.array([rng.uniform(90, 210), rng.uniform(10, 80), rng.uniform(20, 100)], np.float32)
        lids = rng.uniform(0, 160, 3).astype(np.float32)
        spots = [((0.0, 1.11, 0.3), (0.46, 0.15), lips, rng.uniform(0.2, 0.8))]
        spots += [((0.5 * side, -0.1, 0.1), (0.3, 0.16), lids, rng.uniform(0, 0.6)) for side in (-1, 1)]
        spots += [((0.75 * side, 0.65, 0.0), (0.3, 0.22), lips, rng.uniform(0, 0.3)) for side in (-1, 1)]
        if rng.random() < 0.4:
            size = (rng.uniform(0.03, 0.12), rng.uniform(0.05, 0.4))
            spots.append(((0.0, -0.45, 0.2), size, rng.choice([lips, lids, np.full(3, 20, np.float32)]), 0.9))
        for middle, half, colour, strength in spots:
            distance = ellipse(canvas, pose.project(np.array([middle]))[0], pose.axes * np.array(half))
            canvas.paint(colour[:, None, None], strength * inside(distance, 0.12 * pose.scale))
        return _over(image, canvas)


@dataclass(frozen=True)
class HardShadow:
    """A shadow with an edge over a part of the face, or light through a window."""

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        del landmarks
        canvas = Canvas(image.shape[1], image.shape[2])
        turn, size = rng.uniform(0, 2 * np.pi), max(image.shape[1:])
        across = (canvas.x - rng.uniform(0, image.shape[2])) * np.cos(turn)
        across = across + (canvas.y - rng.uniform(0, image.shape[1])) * np.sin(turn)
        if rng.random() < 0.4:
            across = np.abs(across) - rng.uniform(0.05, 0.3) * size
        share = inside(across, rng.uniform(0.01, 0.15) * size)
        tint = (rng.uniform(0.25, 0.8) * (1 + rng.normal(0, 0.06, 3))).astype(np.float32)[:, None, None]
        return _uncovered(image.numpy() * (1 - share * (1 - np.clip(tint, 0.1, 1))))


@dataclass(frozen=True)
class Light:
    """Little, much or coloured light, and another contrast."""

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        del landmarks
        gain, gamma, strength = rng.uniform(0.12, 1.2), np.exp(rng.normal(0, 0.35)), rng.uniform(0, 0.6)
        cast = 1 + strength * rng.uniform(-1, 1, (3, 1, 1))
        return _uncovered(255 * np.clip(gain * cast * (image.numpy() / 255.0) ** gamma, 0, 1))


@dataclass(frozen=True)
class Poor:
    """A poor photo: blurred, of low resolution, noisy, grey, or much compressed, one of these or two.

    What was covered stays so; it is laid over occluded photos too.
    """

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        del landmarks
        pixels = image.numpy().astype(np.float32)
        for kind in rng.choice(5, int(rng.integers(1, 3)), replace=False):
            pixels = POOR[int(kind)](pixels, rng)
        return _uncovered(pixels)


def _blurred(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus, or moved along one axis."""
    wide = rng.uniform(0.004, 0.03) * pixels.shape[2]
    other = wide if rng.random() < 0.6 else 0.0
    return gaussian_filter(pixels, (0, wide, other) if rng.random() < 0.5 else (0, other, wide))


def _coarse(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Reduced and enlarged again."""
    height, width = pixels.shape[1:]
    factor = rng.uniform(1.5, 5.0)
    photo = Image.fromarray(pixels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))
    small = photo.resize(
        (max(int(width / factor), 4), max(int(height / factor), 4)), Image.Resampling.BILINEAR
    )
    how = Image.Resampling.BICUBIC if rng.random() < 0.7 else Image.Resampling.NEAREST
    return np.asarray(small.resize((width, height), how), np.float32).transpose(2, 0, 1)


def _noisy(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sensor in little light."""
    return pixels + rng.normal(0, rng.uniform(2, 16), pixels.shape).astype(np.float32)


def _grey(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Without colour, or with little."""
    grey = pixels.mean(0, keepdims=True)
    return grey + (pixels - grey) * (0.0 if rng.random() < 0.6 else rng.uniform(0, 0.6))


def _compressed(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A JPEG of low quality."""
    stream = io.BytesIO()
    photo = Image.fromarray(pixels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))
    photo.save(stream, "JPEG", quality=int(rng.integers(6, 45)))
    return np.asarray(Image.open(stream).convert("RGB"), np.float32).transpose(2, 0, 1)


POOR = (_blurred, _coarse, _noisy, _grey, _compressed)


@dataclass(frozen=True)
class TightCrop:
    """A photo that ends at the face: what the crop shows beyond it repeats the photo's edge."""

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        del landmarks
        return _uncovered(cropped(image.numpy(), crop_edges(rng)))


def crop_edges(rng: np.random.Generator) -> np.ndarray:
    """Where a tight crop ends: (5,) top, bottom, left, right as shares of the photo, and its turn in radians."""
    near = rng.random(4) < (0.8, 0.5, 0.5, 0.5)
    ends = np.where(near, rng.uniform(0, 1, 4) * (0.38, 0.2, 0.25, 0.25), -0.5)
    return np.array([*ends, rng.normal(0, 0.2)])


def cropped(pixels: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """A photo (C, H, W) beyond whose edges, see `crop_edges`, the nearest pixel within is repeated."""
    height, width = pixels.shape[1:]
    y, x = np.mgrid[0:height, 0:width] - np.array([height - 1, width - 1]).reshape(2, 1, 1) / 2
    cos, sin = np.cos(edges[4]), np.sin(edges[4])
    u, v = x * cos + y * sin, y * cos - x * sin
    top, bottom, left, right = (edges[:4] - 0.5) * (height, height, width, width)
    u, v = u.clip(left, -right), v.clip(top, -bottom)
    rows, columns = v * cos + u * sin + (height - 1) / 2, u * cos - v * sin + (width - 1) / 2
    # To the nearest pixel: what is within stays as it was.
    places = np.stack([rows.clip(0, height - 1), columns.clip(0, width - 1)])
    return np.stack([map_coordinates(channel, places, order=0, mode="nearest") for channel in pixels])


def harmless_changes(split: str) -> dict[str, Occluder]:
    """Everything that changes a face without covering it, by name.

    Args:
        split: whose glasses and beards; "train", "val" or "test".
    """
    return {
        "eyeglasses": Eyeglasses(split),
        "beard": Beard(split),
        "make-up": MakeUp(),
        "hard-shadow": HardShadow(),
        "light": Light(),
        "poor-photo": Poor(),
        "tight-crop": TightCrop(),
    }
