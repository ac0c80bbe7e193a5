"""The embedded people: who a drawn person is, as numbers.

Lengths are in face units: 1 is the distance between the eyes. Coordinates are those of the face
seen from the front: (0, 0) lies between the eyes, u to the right, v down; the mouth lies near
v = 1.28, the chin near v = 1.9. Colours are sRGB, 0 to 1. Nothing here depends on a photo.
"""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[float, float, float]

FRINGES = ("none", "straight", "swept", "curtain")
TEXTURES = ("straight", "wavy", "curly", "coily")


@dataclass(frozen=True)
class Skin:
    """Tone, and what lies on the skin.

    `freckles` is their strength, 0 for none, `pattern` the seed of their places; `moles` are rows
    (u, v, radius, strength).
    """

    tone: Colour
    blush: float
    gloss: float
    wrinkles: float
    freckles: float
    pattern: int
    moles: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True)
class Head:
    """Outline of the head: half width at the cheekbones, jaw and chin, ears."""

    width: float
    crown: float
    taper: float
    jaw: float
    chin: float
    chin_width: float
    chin_bump: float
    cleft: float
    cheekbone: float
    hollow: float
    ear: float
    ear_out: float


@dataclass(frozen=True)
class Hair:
    """Hairline, length, fringe and texture; `front` is where the sides end over the face (v)."""

    colour: Colour
    hairline: float
    peak: float
    recession: float
    temple: float
    volume: float
    front: float
    back: float
    fringe: str
    fringe_depth: float
    part: float
    texture: str
    wave: float
    density: float
    phase: float


@dataclass(frozen=True)
class Brows:
    """Eyebrows: height over the eye, reach, thickness, arch (peak height), tilt (outer end up)."""

    colour: Colour
    height: float
    inner: float
    outer: float
    thickness: float
    arch: float
    tilt: float
    density: float


@dataclass(frozen=True)
class Eyes:
    """Eyes: half width, opening of upper and lower lid, tilt (outer corner up), lids and lashes."""

    iris: Colour
    width: float
    upper: float
    lower: float
    tilt: float
    peak: float
    radius: float
    crease: float
    lash: float
    bag: float
    socket: float


@dataclass(frozen=True)
class Nose:
    """Nose: tip (v), half width at the wings, bridge, tip, nostrils."""

    length: float
    width: float
    bridge: float
    height: float
    tip: float
    hump: float
    nostril: float
    upturn: float


@dataclass(frozen=True)
class Mouth:
    """Mouth: height (v), half width, lips, cupid's bow, corners (positive is up)."""

    colour: Colour
    height: float
    width: float
    upper: float
    lower: float
    bow: float
    corners: float
    philtrum: float


@dataclass(frozen=True)
class Beard:
    """Beard: how dense (0 to 1) on the upper lip, the chin and the jaw; `reach` is its upper edge."""

    colour: Colour
    moustache: float
    chin: float
    jaw: float
    reach: float


@dataclass(frozen=True)
class Person:
    """Everything that makes a person the one they are."""

    skin: Skin
    head: Head
    hair: Hair
    brows: Brows
    eyes: Eyes
    nose: Nose
    mouth: Mouth
    beard: Beard
