"""The light that a face stands in, measured on the face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdsn.occlusion.placing import Pose

LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Shares of red, green and blue in luminance (ITU-R BT.601)."""

MEAN_SKIN = np.array([173.0, 124.0, 99.0], dtype=np.float32)
"""Skin under plain light: median over the faces of LFW's people with at least ten photos."""


_ACROSS, _DOWN = np.meshgrid(np.linspace(-0.75, 0.75, 10), np.linspace(-0.45, 1.35, 12))
PLACES = np.stack([_ACROSS, _DOWN, -0.4 * _ACROSS**2], axis=-1).reshape(-1, 3)
"""(120, 3) x, y, z in face units where the light is measured: forehead to chin, from cheek to cheek."""


@dataclass(frozen=True)
class Light:
    """What the photo's light does to a thing in it.

    Attributes:
        gain: brightness; 1 is a face as bright as `MEAN_SKIN`.
        cast: (3,) red, green, blue factors of the light's colour, 1 on average.
        saturation: 0 for a grey photo, 1 for one in colour.
        fall: by what share the light changes per face unit to the right.
        skin: (3,) colour of the face's own skin, 0 to 255.
    """

    gain: float
    cast: np.ndarray
    saturation: float
    fall: float
    skin: np.ndarray

    def slope(self, x: np.ndarray) -> np.ndarray:
        """(n,) factors at (n,) places in face units."""
        return 1 + np.float32(self.fall) * x

    def muted(self, colours: np.ndarray) -> np.ndarray:
        """Colours (3, ...) as pale as the photo is."""
        if self.saturation >= 1:
            return colours
        grey = colours.mean(0)
        return grey + self.saturation * (colours - grey)


def light_on(photo: np.ndarray, pose: Pose) -> Light:
    """Measure the light on cheeks, nose and forehead.

    Args:
        photo: (3, H, W) uint8.
        pose: where the face is; parts outside of the photo are left out.

    Returns:
        The light; plain light where hardly any part of the face lies in the photo.
    """
    column, row = np.floor(pose.project(PLACES)).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < photo.shape[2]) & (row < photo.shape[1])
    if inside.sum() < 8:
        return Light(1.0, np.ones(3, np.float32), 1.0, 0.0, MEAN_SKIN)
    samples = photo[:, row[inside], column[inside]].T.astype(np.float32)
    # The median passes over eyes, brows, glasses that are really there.
    middle = _median(samples)
    # Shadows and beards are no skin: the hand takes the brighter half's colour.
    luminance = samples @ LUMINANCE
    skin = _median(samples[luminance >= _median(luminance)])
    level = max(float(middle @ LUMINANCE), 1.0)
    chroma = float(np.ptp(middle)) / max(float(middle.max()), 1.0)
    saturation = float(np.clip(chroma / 0.12, 0, 1))
    ratio = np.maximum(middle, 1) / MEAN_SKIN
    # Most of the difference to mean skin is the skin's own and not the light's.
    cast = (ratio / ratio.mean()) ** 0.35
    cast = 1 + saturation * (np.clip(cast, 0.85, 1.18) - 1)
    return Light(
        gain=float(np.clip((level / float(MEAN_SKIN @ LUMINANCE)) ** 0.7, 0.05, 1.3)),
        cast=cast.astype(np.float32),
        saturation=saturation,
        fall=_fall(luminance, PLACES[inside, 0]),
        skin=skin.astype(np.float32),
    )


def _fall(luminance: np.ndarray, x: np.ndarray) -> float:
    left, right = luminance[x < -0.2], luminance[x > 0.2]
    if min(len(left), len(right)) < 4:
        return 0.0
    dark, bright = float(_median(left)), float(_median(right))
    # The two halves' middles lie one face unit apart; half of it, for cheeks differ more than flat cloth.
    return float(np.clip(0.6 * (bright - dark) / max(0.5 * (bright + dark), 1), -0.3, 0.3))


def _median(values: np.ndarray) -> np.ndarray:
    """The upper median along the first axis; numpy's own costs ten times as much on a hundred values."""
    return np.sort(values, axis=0)[len(values) // 2]
