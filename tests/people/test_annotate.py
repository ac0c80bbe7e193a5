"""Annotated photos: what stands beside a face."""

from types import SimpleNamespace

import numpy as np
import pytest

from pdsn.people.annotate import CARD_WIDTH, FACE_HEIGHT, _card
from pdsn.people.identification import Match

GREY, BLUE = np.full((64, 48, 3), 128, np.uint8), np.full((64, 48, 3), (0, 0, 200), np.uint8)
FACE = SimpleNamespace(
    found=SimpleNamespace(crop=GREY),
    covered_pixels=np.zeros((64, 48), bool),
    covered=[],
    person="Ann",
    cosine=0.8,
    threshold=0.4,
    nearest=[Match(name, 0.8 - 0.1 * n, "", n) for n, name in enumerate(("Ann", "Bob", "Cid", "Dan", "Eve"))],
)
WIDTH = FACE_HEIGHT * 48 // 64


def widest_gap(pixels: np.ndarray) -> int:
    """Columns in a row that are all paper, up to the last that is not."""
    drawn = np.flatnonzero((pixels < 250).any((0, 2)))
    return int(np.diff(drawn, prepend=0).max())


@pytest.mark.parametrize("pictured", [{}, {0, 1, 2, 3, 4}, {2}, {0, 3}])
def test_there_is_no_gap_for_neighbours_without_a_picture(pictured):
    card = np.asarray(_card(FACE, 1, lambda match: BLUE if match.row in pictured else None, 5))
    beside = card[:FACE_HEIGHT]
    assert widest_gap(beside) < 20, "nothing is left out for a picture that there is not"
    blue = (beside == (0, 0, 200)).all(2).sum()
    assert abs(blue - len(pictured) * WIDTH * FACE_HEIGHT) < 50
    # Each name without a picture has a line of its own beside the face.
    names = beside[:, WIDTH + 8 + len(pictured) * (WIDTH + 4) :]
    written = (names < 250).any((1, 2)).astype(int)
    assert (np.diff(written, prepend=0) == 1).sum() == 5 - len(pictured)


def test_a_long_name_without_a_picture_is_shortened():
    long = SimpleNamespace(**{**vars(FACE), "nearest": [Match("Konstantinopolitanska" * 9, 0.8, "", 0)]})
    assert _card(long, 1, lambda match: None, 5).width <= WIDTH + 8 + CARD_WIDTH
