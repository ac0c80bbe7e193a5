"""Draw the occluders' artwork: `python assets/draw_occluders.py [FOLDER]`.

Everything is original and drawn from the numbers below, seeded: running it again gives the same files.
Styles of different splits differ in outline, so that a system tested on unseen styles meets unseen shapes.
Coordinates are face units, see `occluder_canvas`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from draw_eyewear import SUNGLASSES
from draw_hands import HANDS
from draw_headwear import CAPS, SCARVES
from draw_masks import FACE_MASKS
from occluder_canvas import Canvas
from PIL import Image

FOLDER = Path(__file__).parent / "occluders"
UNITS = {"face-mask": 104, "sunglasses": 112, "scarf": 64, "cap": 72, "hand": 88}
"""Pixels per face unit: large, soft things are kept coarser."""

BOXES = {
    "face-mask": (-1.35, -0.2, 1.35, 2.4),
    "sunglasses": (-1.4, -0.7, 1.4, 0.8),
    "scarf": (-2.5, 0.2, 2.5, 3.6),
    "cap": (-2.2, -3.0, 2.2, 0.0),
    "hand": (-2.0, -1.0, 2.0, 3.4),
}
"""Left, top, right, bottom of each kind's canvas in face units."""


@dataclass(frozen=True)
class Drawing:
    """One style: who may see it, how it is drawn, and what `styles.json` says of it beyond the picture."""

    split: str
    draw: Callable[[Canvas], None]
    facts: dict


KINDS: dict[str, dict[str, Drawing]] = {
    "face-mask": {name: Drawing(*parts) for name, parts in FACE_MASKS.items()},
    "sunglasses": {name: Drawing(*parts) for name, parts in SUNGLASSES.items()},
    "scarf": {name: Drawing(*parts) for name, parts in SCARVES.items()},
    "cap": {name: Drawing(*parts) for name, parts in CAPS.items()},
    "hand": {name: Drawing(*parts) for name, parts in HANDS.items()},
}


def draw(kind: str, name: str) -> tuple[np.ndarray, dict]:
    """Draw one style: (h, w, 4) uint8 RGBA, and its entry of `styles.json`."""
    drawing = KINDS[kind][name]
    # The seed is the name's own, so that a new style leaves the others as they are.
    canvas = Canvas(
        BOXES[kind], UNITS[kind], seed=sum(ord(letter) * 7**at for at, letter in enumerate(name)) % 2**31
    )
    drawing.draw(canvas)
    extend = "down" if kind in ("scarf", "hand") else ""
    picture, start = canvas.finished(extend)
    entry = {
        "kind": kind,
        "name": name,
        "split": drawing.split,
        "file": f"{kind}-{name}.png",
        "unit": UNITS[kind],
    }
    return picture, {**entry, "start": list(start), **drawing.facts}


def main(folder: Path = FOLDER) -> None:
    """Draw every style into `folder`, and `styles.json` beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for kind, drawings in KINDS.items():
        for name in drawings:
            picture, entry = draw(kind, name)
            Image.fromarray(picture).save(folder / entry["file"], optimize=True)
            entries.append(entry)
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    (folder / "styles.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
