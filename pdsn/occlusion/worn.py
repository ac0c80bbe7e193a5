"""Occlusions that people wear: face masks, sunglasses, scarves, caps, and hands before the face.

Drawn styles (`artwork`) are laid on the head that the landmarks tell of (`placing`) in the photo's own light
(`lighting`). Every style belongs to one split, and the splits' outlines differ: a system that was trained on
some masks is tested on others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from pdsn.errors import UsageError
from pdsn.occlusion.artwork import SPLITS, Arm, Level, Style, levels, styles_of
from pdsn.occlusion.lighting import Light, light_on
from pdsn.occlusion.placing import EAR, Pose, Surface, on_surface, pose_of

KINDS = ("face-mask", "sunglasses", "scarf", "cap", "hand")
"""What can be worn."""

SURFACES = {
    # Nose bridge, nose tip, lips, chin: a mask spans from ridge to ridge; the jaw is narrower than the cheeks.
    "face-mask": Surface((0.1, 0.3, 0.62, 1.1, 1.6, 2.0, 2.4), (0.12, 0.26, 0.5, 0.42, 0.24, 0.02, -0.3), (0.7, 0.7, 0.75, 0.85, 1.0, 1.1, 1.1)),
    "sunglasses": Surface((-0.5, 0.5), (0.24, 0.2), (0.16, 0.16)),
    "scarf": Surface((0.2, 0.6, 1.1, 1.8, 2.6, 3.6), (0.4, 0.55, 0.5, 0.3, 0.1, 0.1), (0.6, 0.6, 0.55, 0.35, 0.05, 0.0), hangs=1.9),
    # The brim stands out over the brows, the crown goes back over the skull.
    "cap": Surface((-2.6, -1.8, -1.1, -0.7, -0.4), (-1.0, -0.4, 0.1, 0.35, 0.6), (0.25, 0.4, 0.55, 0.55, 0.5)),
    # Knitwear and flaps lie close to the skull.
    "snug": Surface((-2.6, -1.8, -1.0, -0.6, 0.0), (-1.0, -0.4, 0.1, 0.15, 0.15), (0.25, 0.45, 0.65, 0.75, 0.8)),
    "hand": Surface((-0.8, 0.6, 1.6, 2.6, 3.6), (0.25, 0.5, 0.45, 0.3, 0.3), (0.2, 0.25, 0.25, 0.05, 0.0), hangs=2.3),
}  # fmt: skip
"""The shape of each kind, in face units, and those that single styles have instead."""

GOES_ON = ("scarf", "hand")
"""Kinds whose lowest row is repeated down to the photo's edge: a neck is covered all the way, no arm ends in the air."""

SKIN = np.array([205.0, 172.0, 152.0], dtype=np.float32)
"""The skin in the artwork of hands, see `assets/draw_hands.py`."""

SHIFT, SIZE, ROLL, GAIN = 0.03, 0.03, 0.035, 0.08
"""How far one draw differs from the next: in face units, as a share, in radians, as a share of the light."""

TURNED = 0.3
"""Tangent of the yaw, 17°, from which on a hand comes from the side that is seen."""

NOISE = 1.5
"""Standard deviation of the sensor's noise on the object, in grey levels."""


@dataclass(frozen=True)
class Worn:
    """Something worn, in a style that the generator picks.

    Attributes:
        kind: one of `KINDS`.
        split: "train", "val" or "test": which styles may be picked.

    Raises:
        UsageError: there is no such kind or split.
    """

    kind: str
    split: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"nothing worn is called {self.kind}: choose from {', '.join(KINDS)}")
        if self.split not in SPLITS:
            raise UsageError(f"styles have no split {self.split}: choose from {', '.join(SPLITS)}")

    def __call__(
        self, image: Tensor, landmarks: Tensor | np.ndarray, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """See `Occluder`; landmarks that are no face (not finite, all in one place) leave the photo clean."""
        choices = styles_of(self.kind, self.split)
        return wear(choices[int(rng.integers(len(choices)))], image, landmarks, rng)


def wear(
    style: Style, image: Tensor, landmarks: Tensor | np.ndarray, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Put one style on.

    Args:
        style: of any kind and split.
        image: (3, H, W) uint8, left as it is.
        landmarks: (5, 2) x, y in pixels; they may lie outside of the photo.
        rng: of the draw's place, size, colour and noise.

    Returns:
        The occluded photo (3, H, W) uint8 and the exact mask (H, W) bool of the covered pixels.
    """
    # Copied by numpy: torch wakes all its threads for so small a photo, which on a busy machine costs more than
    # everything that follows.
    pixels = image.numpy().copy()
    hidden = np.zeros(image.shape[1:], dtype=bool)
    occluded, covered = torch.from_numpy(pixels), torch.from_numpy(hidden)
    # Drawn in any case and first, so that what follows in the generator does not depend on the photo.
    jitter = rng.uniform(-1, 1, 7)
    mirror = bool(rng.integers(2)) and style.arm is None
    noise_seed = int(rng.integers(2**32))
    head = pose_of(np.asarray(landmarks, dtype=np.float64))
    if head is None:
        return occluded, covered
    pose = head.moved(SHIFT * jitter[:2], 1 + SIZE * jitter[2], ROLL * jitter[3])
    if style.kind == "hand":
        pose = pose.unturned()
        # Drawn on the right half. On a turned head it lies on the side that is seen; on the other it hung in the air.
        if abs(head.turn[0]) > TURNED:
            mirror = head.turn[0] > 0
    window = _window(style, pose, image.shape[1], image.shape[2])
    if window is None:
        return occluded, covered
    rows, columns = window
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + 0.5
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None] + 0.5
    along, down, seen = on_surface(pose, _surface(style), x, y)
    layer = _sampled(style, pose, -along if mirror else along, down)
    layer *= seen
    if style.arm:
        _behind(layer, style.arm, pose, x, y)
    inside = np.flatnonzero(layer[3] >= 0.5)
    if not len(inside):
        return occluded, covered
    layer = layer.reshape(4, -1)[:, inside]
    light = light_on(image.numpy(), head)
    colours = _coloured(style, layer[:3], light, np.clip(along.reshape(-1)[inside], -1.3, 1.3), jitter[4:])
    grain = np.random.default_rng(noise_seed).normal(0, NOISE, len(inside)).astype(np.float32)
    # Where the covered pixels lie in the whole photo, counted row by row.
    row, column = np.divmod(inside, columns.stop - columns.start)
    places = (row + rows.start) * image.shape[2] + column + columns.start
    flat = pixels.reshape(3, -1)
    mixed = colours + grain * layer[3] + (1 - layer[3]) * flat[:, places]
    flat[:, places] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
    hidden.reshape(-1)[places] = True
    return occluded, covered


def _surface(style: Style) -> Surface:
    return SURFACES[style.surface or style.kind]


@cache
def _hull(style: Style) -> np.ndarray:
    """(N, 3) x, y, z in face units of points that span the object, in either direction that it may face."""
    finest = levels(style.file, style.unit)[0]
    tall, wide = (n / style.unit for n in finest.pixels.shape[1:])
    reach = max(abs(style.start[0]), abs(style.start[0] + wide))
    x, y = np.meshgrid(np.linspace(-reach, reach, 13), style.start[1] + np.linspace(0, tall, 9))
    points = np.stack([x, y, _surface(style).depth(x, y)], axis=-1).reshape(-1, 3)
    return np.concatenate([points, [EAR, (-EAR[0], *EAR[1:])]]) if style.arm else points


def _window(style: Style, pose: Pose, height: int, width: int) -> tuple[slice, slice] | None:
    """Rows and columns of the photo that can show the object, or None where it lies outside."""
    seen = pose.project(_hull(style))
    low, high = np.floor(seen.min(0)) - 2, np.ceil(seen.max(0)) + 3
    if style.kind in GOES_ON:
        # What goes on may lean over to either side on its way to the photo's edge.
        low[0], high[0] = low[0] - 0.5 * pose.scale, high[0] + 0.5 * pose.scale
        high[1] = max(height, high[1])
    left, top = (int(max(n, 0)) for n in low)
    right, bottom = int(min(high[0], width)), int(min(high[1], height))
    if right <= left or bottom <= top:
        return None
    return slice(top, bottom), slice(left, right)


def _level(style: Style, pose: Pose) -> Level:
    """The finest picture that is not finer than the photo shows it, give or take half a halving."""
    sizes = levels(style.file, style.unit)
    halvings = round(float(np.log2(max(style.unit / max(pose.scale, 1e-6), 1))) + 0.2)
    return sizes[min(halvings, len(sizes) - 1)]


def _sampled(style: Style, pose: Pose, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Colours times alpha, and alpha, at points in face units: (4, h, w) float32."""
    level = _level(style, pose)
    rows, columns = level.pixels.shape[1:]
    across = (x - np.float32(style.start[0])) * np.float32(level.unit) - 0.5
    down = (y - np.float32(style.start[1])) * np.float32(level.unit) - 0.5
    if style.kind in GOES_ON:
        down = np.minimum(down, np.float32(rows - 1))
    picture = torch.from_numpy(level.pixels)[None]
    grid = np.stack([across * (2 / max(columns - 1, 1)) - 1, down * (2 / max(rows - 1, 1)) - 1], axis=-1)
    sampled = torch.nn.functional.grid_sample(picture, torch.from_numpy(grid)[None], align_corners=True)
    return sampled[0].numpy()


def _behind(layer: np.ndarray, arm: Arm, pose: Pose, x: np.ndarray, y: np.ndarray) -> None:
    """Draw the side arms of glasses behind their front, where the head's turn brings them to sight."""
    for side in (-1, 1):
        hinge = np.array([side * arm.hinge[0], arm.hinge[1], 0.1])
        ear = np.array([side * EAR[0], *EAR[1:]])
        outwards = (ear[0] - hinge[0] + (ear[2] - hinge[2]) * pose.turn[0]) * side
        if outwards < 0.08:
            continue
        start, end = pose.project(np.stack([hinge, ear]))
        along = end - start
        share = np.clip(
            ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(along @ along, 1e-6), 0, 1
        )
        distance = np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1])
        # At least one pixel thick, so that a fine arm does not break into dots.
        half = max(arm.thick * pose.scale / 2, 0.6)
        alpha = np.clip(half + 0.5 - distance, 0, 1).astype(np.float32) * (1 - layer[3])
        layer[:3] += alpha * np.array(arm.colour, np.float32)[:, None, None]
        layer[3] += alpha


def _coloured(
    style: Style, colours: np.ndarray, light: Light, across: np.ndarray, jitter: np.ndarray
) -> np.ndarray:
    """The artwork's colours times alpha, (3, n) float32, in the photo's light at `across` (n,) face units."""
    if style.kind == "hand":
        # Less of the jitter: a hand in another colour than its face is another person's.
        tinted = colours * _column(light.skin / SKIN)
        factors = np.full(3, 1 + 0.25 * GAIN * jitter[0])
    else:
        tinted = colours * _column(1 + style.tint * jitter)
        factors = light.cast * (light.gain * (1 + GAIN * jitter.mean()))
    return light.muted(tinted) * _column(factors) * light.slope(across)


def _column(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)[:, None]
