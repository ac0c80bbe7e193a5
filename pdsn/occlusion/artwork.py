"""The styles of worn occluders: finding their artwork, and reading it.

The pictures were drawn for this project by `assets/draw_occluders.py`. They ship as `pdsn/artwork` in the wheel and
lie in `assets/occluders` of a checkout. Their coordinates are face units: the origin midway between the eyes,
x to the photo's right, y down, one unit the distance between the eyes, the mouth at y = 1.11.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from pdsn.errors import PdsnError
from pdsn.files import sha256_of

INDEX = "styles.json"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Arm:
    """A side arm of glasses.

    Attributes:
        hinge: x, y of its front end in face units, on the right half of the face.
        thick: its thickness in face units.
        colour: red, green, blue, 0 to 255.
    """

    hinge: tuple[float, float]
    thick: float
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Style:
    """One drawn occluder.

    Attributes:
        kind: what it is, "sunglasses" or another of `pdsn.occlusion.worn.KINDS`.
        name: unique within its kind.
        split: the only split that may show it: "train", "val" or "test".
        file: its picture.
        unit: pixels of the picture per face unit.
        start: x, y in face units of the picture's left upper corner.
        tint: how much a draw may change its colour, as a share of each channel.
        below_nose: a face mask worn below the nose.
        arm: for glasses, their side arms.
        surface: its shape in depth, a key of `pdsn.occlusion.worn.SURFACES`; the kind's own unless given.
    """

    kind: str
    name: str
    split: str
    file: Path
    unit: float
    start: tuple[float, float]
    tint: float = 0.035
    below_nose: bool = False
    arm: Arm | None = None
    surface: str = ""


@dataclass(frozen=True)
class Level:
    """A picture at one size.

    Attributes:
        unit: pixels per face unit.
        pixels: (4, h, w) float32: red, green, blue times alpha (0 to 255), and alpha (0 to 1).
    """

    unit: float
    pixels: np.ndarray


def folder() -> Path:
    """Where the artwork lies.

    Raises:
        PdsnError: neither the installed package nor the checkout has it.
    """
    package = Path(__file__).resolve().parents[1]
    for place in (package / "artwork", package.parent / "assets" / "occluders"):
        if (place / INDEX).is_file():
            return place
    raise PdsnError(f"the occluders' artwork ({INDEX}) is missing: install the package again")


@cache
def styles() -> tuple[Style, ...]:
    """Every style, in the order of the index.

    Raises:
        PdsnError: see `folder`.
    """
    place = folder()
    return tuple(_style(place, entry) for entry in json.loads((place / INDEX).read_text(encoding="utf-8")))


@cache
def version() -> str:
    """A fingerprint of the styles and their pictures: what is painted changes with it.

    Raises:
        PdsnError: see `folder`.
    """
    found = hashlib.sha256()
    for path in sorted(folder().iterdir()):
        if path.suffix in (".json", ".png"):
            found.update(f"{path.name} {sha256_of(path)}\n".encode())
    return found.hexdigest()[:16]


def styles_of(kind: str, split: str) -> tuple[Style, ...]:
    """The styles of a kind that a split may show."""
    return tuple(style for style in styles() if (style.kind, style.split) == (kind, split))


@cache
def levels(file: Path, unit: float) -> tuple[Level, ...]:
    """The picture at its own size and halved again and again, so that a strong reduction does not alias.

    Args:
        file: the picture.
        unit: its pixels per face unit.

    Returns:
        The finest first; the last is at least 4 pixels high and wide.

    Raises:
        PdsnError: the file cannot be read.
    """
    try:
        with Image.open(file) as picture:
            rgba = np.asarray(picture.convert("RGBA"), dtype=np.float32).transpose(2, 0, 1)
    except OSError as error:
        raise PdsnError(f"{file}: the artwork cannot be read ({error}): install the package again") from error
    alpha = rgba[3:] / 255
    pixels = np.concatenate([rgba[:3] * alpha, alpha])
    sizes = [Level(unit, pixels)]
    while min(pixels.shape[1:]) >= 8:
        # The last row and column are doubled where there is no pair, so that nothing shifts.
        even = np.pad(pixels, ((0, 0), (0, pixels.shape[1] % 2), (0, pixels.shape[2] % 2)), mode="edge")
        pixels = even.reshape(4, even.shape[1] // 2, 2, even.shape[2] // 2, 2).mean((2, 4))
        sizes.append(Level(sizes[-1].unit / 2, pixels))
    return tuple(sizes)


def _style(place: Path, entry: dict) -> Style:
    arm = entry.pop("arm", None)
    return Style(
        **{**entry, "file": place / entry["file"], "start": tuple(entry["start"])},
        arm=Arm(tuple(arm["hinge"]), arm["thick"], tuple(arm["colour"])) if arm else None,
    )
