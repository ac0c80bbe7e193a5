"""Who somebody is, drawn at random: every part of a person by sex, age and skin tone, as they go together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pdsn.drawn.people import (
    FRINGES,
    TEXTURES,
    Beard,
    Brows,
    Colour,
    Eyes,
    Hair,
    Head,
    Mouth,
    Nose,
    Person,
    Skin,
)

SKIN_TONES: tuple[Colour, ...] = (
    (0.98, 0.86, 0.78),
    (0.94, 0.78, 0.67),
    (0.87, 0.68, 0.54),
    (0.76, 0.56, 0.42),
    (0.60, 0.42, 0.30),
    (0.45, 0.30, 0.21),
    (0.33, 0.21, 0.15),
)
"""From the lightest to the darkest; people take a place between two of them."""
DARK_HAIR: tuple[Colour, ...] = ((0.12, 0.10, 0.10), (0.17, 0.12, 0.09), (0.22, 0.15, 0.10))
LIGHT_HAIR: tuple[Colour, ...] = (
    (0.33, 0.22, 0.14),
    (0.45, 0.30, 0.17),
    (0.74, 0.58, 0.35),
    (0.86, 0.75, 0.52),
    (0.55, 0.24, 0.10),
    (0.42, 0.17, 0.10),
)
GREY_HAIR: tuple[Colour, ...] = ((0.55, 0.54, 0.53), (0.80, 0.79, 0.77))
BROWN_EYES: tuple[Colour, ...] = ((0.20, 0.11, 0.06), (0.30, 0.17, 0.08), (0.40, 0.25, 0.11))
LIGHT_EYES: tuple[Colour, ...] = (
    (0.27, 0.45, 0.66),
    (0.36, 0.56, 0.62),
    (0.33, 0.46, 0.27),
    (0.47, 0.52, 0.55),
    (0.48, 0.38, 0.17),
)
LIPSTICKS: tuple[Colour, ...] = ((0.72, 0.16, 0.20), (0.55, 0.12, 0.22), (0.82, 0.38, 0.42))
INHERITED = ("skin", "head", "hair", "brows", "eyes", "nose", "mouth")
"""Parts that siblings may share."""
SEXED = ("hair", "brows")
"""Parts that siblings of different sex do not share."""


def draw_person(
    rng: np.random.Generator,
    *,
    sex: float | None = None,
    age: float | None = None,
    tone: float | None = None,
    sibling: Person | None = None,
    likeness: float = 0.5,
    alike: bool = True,
) -> Person:
    """Draw who a person is.

    Args:
        rng: generator; the person depends on nothing else but the arguments.
        sex: apparent sex, 0 (feminine) to 1 (masculine); drawn when None.
        age: apparent age, 0 (about 18) to 1 (about 75); drawn when None.
        tone: place on the scale of skin tones, 0 (light) to 1 (dark); drawn when None.
        sibling: somebody the person resembles.
        likeness: share of the `INHERITED` parts that are the sibling's.
        alike: whether the sibling is of the same apparent sex; if not, `SEXED` parts are the person's own.
    """
    drawn = rng.random(3)
    sex = float(drawn[0]) if sex is None else sex
    age = float(drawn[1]) if age is None else age
    tone = float(drawn[2]) if tone is None else tone
    hair_colour = _hair_colour(rng, age, tone)
    skin = _skin(rng, age, tone)
    parts = {
        "skin": skin,
        "head": _head(rng, sex),
        "hair": _hair(rng, sex, age, tone, hair_colour),
        "brows": _brows(rng, sex, hair_colour),
        "eyes": _eyes(rng, sex, age, tone),
        "nose": _nose(rng, sex, tone),
        "mouth": _mouth(rng, sex, tone, skin.tone),
        "beard": _beard(rng, sex, hair_colour),
    }
    if sibling is not None:
        # A fixed number of parts, or some siblings would be twins whom nobody can tell apart.
        shared = rng.permutation(len(INHERITED)) < round(likeness * len(INHERITED))
        parts |= {
            name: getattr(sibling, name)
            for name, same in zip(INHERITED, shared, strict=True)
            if same and (alike or name not in SEXED)
        }
    return Person(**parts)  # type: ignore[arg-type]


def _normal(rng: np.random.Generator, mean: float, spread: float) -> float:
    """A normal draw, cut at two standard deviations so that nobody looks deformed."""
    return mean + spread * float(np.clip(rng.normal(), -2, 2))


def _pick(rng: np.random.Generator, colours: Sequence[Colour]) -> Colour:
    return colours[int(rng.integers(len(colours)))]


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour between two, at `share` of the way to the second."""
    return (
        first[0] + share * (second[0] - first[0]),
        first[1] + share * (second[1] - first[1]),
        first[2] + share * (second[2] - first[2]),
    )


def _vary(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    # Brightness varies more than hue: nobody's hair is green.
    factors = 1 + spread * (rng.normal() + 0.3 * rng.normal(size=3))
    red, green, blue = np.clip(np.array(colour) * factors, 0.03, 1.0).tolist()
    return red, green, blue


def _skin(rng: np.random.Generator, age: float, tone: float) -> Skin:
    place = tone * (len(SKIN_TONES) - 1)
    low = min(int(place), len(SKIN_TONES) - 2)
    colour = _vary(rng, _mix(SKIN_TONES[low], SKIN_TONES[low + 1], place - low), 0.025)
    freckled = tone < 0.45 and rng.random() < 0.35
    moles = [
        (
            float(rng.uniform(-0.85, 0.85)),
            float(rng.uniform(-0.8, 1.7)),
            float(rng.uniform(0.018, 0.034)),
            float(rng.uniform(0.5, 0.9)),
        )
        for _ in range(int(rng.integers(0, 3)))
    ]
    return Skin(
        tone=colour,
        blush=float(rng.uniform(0.0, 0.5)),
        gloss=float(rng.uniform(0.1, 0.5)),
        wrinkles=float(np.clip(age * 1.15 - 0.2 + 0.08 * rng.normal(), 0, 1)),
        freckles=float(rng.uniform(0.4, 1.0)) if freckled else 0.0,
        pattern=int(rng.integers(2**31)),
        moles=tuple(moles),
    )


def _head(rng: np.random.Generator, sex: float) -> Head:
    return Head(
        width=_normal(rng, 1.10 + 0.03 * sex, 0.05),
        crown=_normal(rng, 1.92, 0.06),
        taper=_normal(rng, 0.17 - 0.09 * sex, 0.06),
        jaw=_normal(rng, 2.4 + 0.7 * sex, 0.4),
        chin=_normal(rng, 1.86 + 0.06 * sex, 0.055),
        chin_width=_normal(rng, 0.24 + 0.07 * sex, 0.05),
        chin_bump=_normal(rng, 0.10, 0.035),
        cleft=float(np.clip(rng.normal(0.1 + 0.2 * sex, 0.4), 0, 0.9)),
        cheekbone=_normal(rng, 0.09, 0.03),
        hollow=_normal(rng, 0.05, 0.03),
        ear=_normal(rng, 0.30, 0.035),
        ear_out=_normal(rng, 0.05, 0.03),
    )


def _hair_colour(rng: np.random.Generator, age: float, tone: float) -> Colour:
    light = rng.random() < 0.85 - 1.9 * tone
    colour = _vary(rng, _pick(rng, LIGHT_HAIR if light else DARK_HAIR), 0.08)
    grey = float(np.clip((age - 0.6) * 2.2 + 0.2 * rng.normal(), 0, 1)) if age > 0.5 else 0.0
    return _mix(colour, _pick(rng, GREY_HAIR), grey)


def _hair(rng: np.random.Generator, sex: float, age: float, tone: float, colour: Colour) -> Hair:
    long = rng.random() < 0.85 - 0.8 * sex
    thinning = float(np.clip((age - 0.3) * sex + 0.25 * rng.normal(), 0, 1))
    chances = (0.1, 0.15, 0.25, 0.5) if tone > 0.68 else (0.5, 0.33, 0.15, 0.02)
    texture = str(rng.choice(TEXTURES, p=chances))
    fringe = str(rng.choice(FRINGES, p=(0.3, 0.2, 0.3, 0.2) if long else (0.55, 0.08, 0.32, 0.05)))
    bald = sex > 0.5 and rng.random() < 0.10 + 0.25 * thinning
    tucked = rng.random() < 0.4
    length = _normal(rng, 2.1, 0.6)
    return Hair(
        colour=colour,
        hairline=_normal(rng, 1.06, 0.08) + 0.25 * thinning * sex + (0.9 if bald else 0.0),
        peak=float(max(0.0, rng.normal(-0.08, 0.12))),
        recession=float(np.clip(rng.normal(0.02 + 0.25 * thinning * sex, 0.06), 0, 0.4)),
        temple=_normal(rng, 0.94, 0.06),
        volume=0.02
        if bald
        else _normal(rng, 0.26 if long else 0.16, 0.05) + (0.10 if texture in TEXTURES[2:] else 0.0),
        front=(0.15 if tucked else length) if long else _normal(rng, 0.15, 0.15),
        back=length if long else 0.3,
        fringe="none" if bald else fringe,
        fringe_depth=_normal(rng, 0.42, 0.12) if long else _normal(rng, 0.28, 0.1),
        part=_normal(rng, 0.0, 0.3),
        texture=texture,
        wave=float(rng.uniform(0.4, 1.0)),
        density=0.45 if bald else 1.0 if long else float(np.clip(1 - 0.6 * thinning * rng.random(), 0.5, 1)),
        phase=float(rng.uniform(0, 2 * np.pi)),
    )


def _brows(rng: np.random.Generator, sex: float, colour: Colour) -> Brows:
    return Brows(
        colour=_mix(colour, (0.10, 0.07, 0.05), float(rng.uniform(0.2, 0.6))),
        height=_normal(rng, 0.36 - 0.05 * sex, 0.03),
        inner=_normal(rng, 0.23 - 0.02 * sex, 0.03),
        outer=_normal(rng, 0.84, 0.04),
        thickness=_normal(rng, 0.042 + 0.02 * sex, 0.012),
        arch=_normal(rng, 0.07 - 0.03 * sex, 0.025),
        tilt=_normal(rng, 0.01, 0.04),
        density=float(rng.uniform(0.55, 1.0)),
    )


def _eyes(rng: np.random.Generator, sex: float, age: float, tone: float) -> Eyes:
    light = rng.random() < 0.85 - 1.7 * tone
    return Eyes(
        iris=_vary(rng, _pick(rng, LIGHT_EYES if light else BROWN_EYES), 0.08),
        width=_normal(rng, 0.268, 0.018),
        upper=_normal(rng, 0.125 - 0.015 * sex - 0.015 * age, 0.017),
        lower=_normal(rng, 0.068, 0.012),
        tilt=_normal(rng, 0.05 - 0.06 * age, 0.06),
        peak=_normal(rng, 0.0, 0.18),
        radius=_normal(rng, 0.108, 0.006),
        crease=_normal(rng, 0.075, 0.028),
        lash=float(np.clip(rng.normal(0.75 - 0.4 * sex, 0.2), 0.1, 1)),
        bag=float(np.clip(rng.normal(0.15 + 0.5 * age, 0.2), 0, 1)),
        socket=_normal(rng, 0.11 + 0.02 * sex, 0.03),
    )


def _nose(rng: np.random.Generator, sex: float, tone: float) -> Nose:
    return Nose(
        length=_normal(rng, 0.66, 0.035),
        width=_normal(rng, 0.245 + 0.02 * sex + 0.06 * tone, 0.03),
        bridge=_normal(rng, 0.105 + 0.03 * tone, 0.02),
        height=_normal(rng, 0.40 - 0.08 * tone, 0.05),
        tip=_normal(rng, 0.135 + 0.02 * tone, 0.022),
        hump=_normal(rng, 0.0, 0.03),
        nostril=_normal(rng, 0.052, 0.010),
        upturn=_normal(rng, 0.0, 0.03),
    )


def _mouth(rng: np.random.Generator, sex: float, tone: float, skin: Colour) -> Mouth:
    natural = _mix(
        skin, (0.70, 0.25, 0.25) if tone < 0.6 else (0.45, 0.18, 0.18), float(rng.uniform(0.35, 0.7))
    )
    painted = sex < 0.5 and rng.random() < 0.45
    return Mouth(
        colour=_mix(natural, _pick(rng, LIPSTICKS), float(rng.uniform(0.5, 0.9))) if painted else natural,
        height=_normal(rng, 1.28, 0.045),
        width=_normal(rng, 0.415, 0.035),
        upper=_normal(rng, 0.10 - 0.02 * sex + 0.03 * tone, 0.02),
        lower=_normal(rng, 0.145 - 0.02 * sex + 0.03 * tone, 0.024),
        bow=float(np.clip(rng.normal(0.5, 0.25), 0, 1)),
        corners=_normal(rng, 0.015, 0.018),
        philtrum=float(rng.uniform(0.2, 1.0)),
    )


def _beard(rng: np.random.Generator, sex: float, colour: Colour) -> Beard:
    style = rng.random() if sex > 0.5 else 0.0
    stubble = float(rng.uniform(0.1, 0.4))
    full = float(rng.uniform(0.65, 1.0))
    if style < 0.35:
        moustache = chin = jaw = 0.0
    elif style < 0.58:
        moustache = chin = jaw = stubble
    elif style < 0.78:
        moustache, chin, jaw = full, full, full * 0.9
    elif style < 0.88:
        moustache, chin, jaw = full, full, 0.08
    else:
        moustache, chin, jaw = full, 0.08, 0.08
    return Beard(
        colour=_mix(colour, (0.10, 0.07, 0.05), 0.3),
        moustache=moustache,
        chin=chin,
        jaw=jaw,
        reach=_normal(rng, 0.85, 0.15),
    )
