"""What is cut out of photos, and how photos are called."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pdsn.people.photo import FoundFace, SearchedPhoto

AROUND = 0.5
"""What a question keeps around a face, in sides of its box: enough to find the face again."""
LONGEST_LABEL = 100


def cleaned(label: str) -> str:
    """What a client calls a file, as it can be shown: the last part of a path, at most 100 letters."""
    last = re.split(r"[/\\]", label)[-1]
    shown = "".join(letter for letter in last if letter.isprintable()).strip()[:LONGEST_LABEL]
    return shown if shown.strip(".") else "photo"


def png(picture: Image.Image) -> bytes:
    """A picture as PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def around(face: FoundFace, photo: SearchedPhoto) -> tuple[np.ndarray, tuple[float, float]]:
    """The part (h, w, 3) uint8 of a photo around a face, and the middle of the face in it, x and y in pixels."""
    left, top, right, bottom = face.box / np.tile(photo.scale, 2)
    wide, high = AROUND * (right - left), AROUND * (bottom - top)
    height, width = photo.pixels.shape[:2]
    first_row, first_column = max(int(top - high), 0), max(int(left - wide), 0)
    rows = slice(first_row, min(int(bottom + high) + 1, height))
    columns = slice(first_column, min(int(right + wide) + 1, width))
    middle = ((left + right) / 2 - first_column, (top + bottom) / 2 - first_row)
    return photo.pixels[rows, columns], (float(middle[0]), float(middle[1]))


def face_at(photo: SearchedPhoto, point: tuple[float, float]) -> int:
    """Number of the face, from left to right, 1 for the first, whose middle is nearest to a point, x and y in pixels."""
    away = [float(np.linalg.norm((face.box[:2] + face.box[2:]) / 2 - point)) for face in photo.faces]
    return int(np.argmin(away)) + 1


def plainly(error: Exception) -> str:
    """The line of an error, with names and advice of the page and of REST in place of those of the command line."""
    line = re.sub(r" \(try --[^)]*\)", "", str(error))
    line = re.sub(r"--(people|strangers) ", "", line.replace("--fpr ", "fpr "))
    return line.replace(
        ", crop it to the person", ": name each of its faces under Recognise, or crop it to one"
    )
