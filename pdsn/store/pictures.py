"""The picture of an answer that a store gave."""

from __future__ import annotations

import numpy as np
from PIL import Image

from pdsn.people.annotate import FACE_HEIGHT, side_by_side
from pdsn.people.gallery import readable
from pdsn.pictures import face_picture
from pdsn.store.answers import PersonVerification


def draw_claim(answer: PersonVerification, nearest: np.ndarray | None) -> Image.Image:
    """The face that was compared, what is covered tinted, with the verdict below.

    Args:
        answer: what was found.
        nearest: the person's nearest photo (H, W, 3) uint8, to stand beside it; None where no picture is kept.
    """
    parts = [face_picture(answer.photo.faces[0].crop, 2 * FACE_HEIGHT, answer.covered_pixels)]
    names = [readable(answer.photo.path.name)]
    if nearest is not None:
        parts.append(face_picture(nearest, 2 * FACE_HEIGHT))
        names.append(answer.nearest.photo)
    verdict = answer.person if answer.same else f"not shown to be {answer.person}"
    return side_by_side(parts, names, verdict, answer)
