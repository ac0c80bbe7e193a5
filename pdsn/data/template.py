"""Where the five landmarks lie in a prepared crop."""

from __future__ import annotations

import numpy as np

TEMPLATE_SIZE = (128, 96)
"""Height and width in pixels of the crop that `TEMPLATE` is given for."""

TEMPLATE = np.array(
    [[30.3, 59.1], [65.5, 58.9], [48.0, 82.0], [33.5, 105.6], [62.7, 105.4]],
    dtype=np.float64,
)
"""(5, 2) x, y in pixels of a 128 high, 96 wide crop: left eye, right eye, nose, left and right mouth corner.

The mean landmarks of LFW's people with at least ten photos, left and right as seen in the photo.
"""


def template(size: tuple[int, int]) -> np.ndarray:
    """The landmark template for a crop of another size.

    The face keeps its proportions: it is scaled by min(H / 128, W / 96) and stays centred, so a crop of another
    shape shows more or less of the surroundings, never a stretched face.

    Args:
        size: (H, W) of the crop in pixels.

    Returns:
        (5, 2) float64, x and y in pixels of the crop, in the order of `pdsn.data.dataset.LANDMARKS`.
    """
    height, width = size
    scale = min(height / TEMPLATE_SIZE[0], width / TEMPLATE_SIZE[1])
    centre = np.array([TEMPLATE_SIZE[1] / 2, TEMPLATE_SIZE[0] / 2])
    return (TEMPLATE - centre) * scale + np.array([width / 2, height / 2])
