"""What a photo is taken like: everything that differs between photos of one person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdsn.drawn.people import Colour


@dataclass(frozen=True)
class Shot:
    """What a photo is taken like; drawn anew for every photo, the same way for every person.

    Attributes:
        yaw, pitch, roll: turn of the head in radians; positive is to the right of the picture, down, clockwise.
        scale, shift: what the alignment of the crop leaves over; the shift in distances between the eyes.
        smile, open: smile (a little under 0 to 1) and opening of the mouth (0 to 1).
        raised, lids: brows (0 is at rest) and opening of the eyes (1 is at rest, near 0 a blink).
        gaze: where the eyes look, right and down, about -1 to 1.
        light: unit vector towards the light: right, down, towards the camera.
        ambient: share of light from everywhere, 0 to 1.
        shadow: an edge across the face: its normal (right, down), its place, and how dark it is.
        exposure, gamma, saturation, cast, contrast: the camera's; 1 changes nothing, saturation 0 is grey.
        blur, noise: share of blur, 0 to 1, and standard deviation of the noise, 1 being white.
        background: (6, 6) numbers, 0 to 1, that the background is made of.
        clothes, collar: colour, and upper edge (v).
        tousle: how the hair falls today, standard normal.
    """

    yaw: float
    pitch: float
    roll: float
    scale: float
    shift: tuple[float, float]
    smile: float
    open: float
    raised: float
    lids: float
    gaze: tuple[float, float]
    light: tuple[float, float, float]
    ambient: float
    shadow: tuple[float, float, float, float]
    exposure: float
    gamma: float
    saturation: float
    cast: Colour
    contrast: float
    blur: float
    noise: float
    background: np.ndarray
    clothes: Colour
    collar: float
    tousle: float


def draw_shot(rng: np.random.Generator) -> Shot:
    """Draw what a photo is taken like."""
    side, above = rng.normal(0, 0.7), rng.normal(-0.4, 0.4)
    light = np.array([side, above, 0.75 + 0.4 * rng.random()])
    light /= np.linalg.norm(light)
    warmth, green = rng.normal(0, 0.18), rng.normal(0, 0.05)
    angle = rng.uniform(0, 2 * np.pi)
    smiling = rng.random() < 0.6
    return Shot(
        yaw=float(np.clip(rng.normal(0, 0.26), -0.55, 0.55)),
        pitch=float(np.clip(rng.normal(0, 0.16), -0.34, 0.34)),
        roll=float(rng.normal(0, 0.03)),
        scale=float(np.exp(rng.normal(0, 0.025))),
        shift=(float(rng.normal(0, 0.02)), float(rng.normal(0, 0.02))),
        smile=float(rng.beta(2, 2)) if smiling else float(rng.uniform(-0.15, 0.15)),
        open=float(rng.beta(1.2, 3)) if rng.random() < 0.5 else 0.0,
        raised=float(rng.normal(0, 0.35)),
        lids=float(np.clip(rng.normal(0.95, 0.16), 0.45, 1.2)) if rng.random() > 0.03 else 0.08,
        gaze=(float(rng.normal(0, 0.25)), float(rng.normal(0, 0.12))),
        light=(float(light[0]), float(light[1]), float(light[2])),
        ambient=float(rng.uniform(0.16, 0.55)),
        shadow=(
            float(np.cos(angle)),
            float(np.sin(angle)),
            float(rng.uniform(-0.6, 0.9)),
            float(rng.uniform(0.2, 0.75)) if rng.random() < 0.5 else 0.0,
        ),
        exposure=float(np.exp(rng.normal(0.0, 0.36))),
        gamma=float(np.exp(rng.normal(0, 0.18))),
        saturation=0.0 if rng.random() < 0.08 else float(np.clip(rng.normal(0.95, 0.22), 0.3, 1.4)),
        cast=(float(np.exp(warmth)), float(np.exp(green)), float(np.exp(-warmth))),
        contrast=float(np.exp(rng.normal(0.04, 0.18))),
        blur=float(max(0.0, rng.normal(0.25, 0.35))),
        noise=float(rng.uniform(0.004, 0.03)),
        background=rng.random((6, 6)).astype(np.float32),
        clothes=_random_colour(rng),
        collar=float(rng.uniform(1.72, 2.1)),
        tousle=float(rng.normal(0, 1)),
    )


def _random_colour(rng: np.random.Generator) -> Colour:
    """Any colour, for clothes."""
    red, green, blue = rng.uniform(0.05, 0.9, 3).tolist()
    return red, green, blue
