"""What the detector does with boxes."""

from __future__ import annotations

import numpy as np
import pytest

from pdsn.data.boxes import nested, suppress_nested


def test_a_share_is_of_the_smaller_box():
    whole, others = (
        np.array([0, 0, 9, 9]),
        np.array([[0, 0, 4, 4], [5, 0, 14, 9], [20, 20, 29, 29], [-9, -9, 90, 90]]),
    )
    assert nested(whole, others) == pytest.approx([1, 0.5, 0, 1]), "ends are pixels, both counted"
    assert nested(whole, np.zeros((0, 4))).shape == (0,)


def test_a_box_inside_a_better_one_goes():
    boxes = np.array([[0, 0, 9, 9, 0.5], [0, 0, 30, 30, 0.9], [25, 0, 40, 15, 0.7], [80, 80, 90, 90, 0.1]])
    assert suppress_nested(boxes, 0.7) == [1, 2, 3]
    assert suppress_nested(boxes, 0.3) == [1, 3]
