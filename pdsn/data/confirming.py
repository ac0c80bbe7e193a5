"""Whether a candidate of a further look is a face.

A face looks like one wherever the box around it ends, and in the mirror; a sleeve or a bag does in one box, hardly in all. So the
third network is asked about several boxes, as published, which knows more of what is no face, and as trained on, which knows covers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pdsn.data.boxes import square
from pdsn.data.sums import Sums

if TYPE_CHECKING:
    import torch
    from torch import nn

AROUND = np.array(
    [
        (0, 0, 1),
        (0.08, 0, 1),
        (-0.08, 0, 1),
        (0, 0.08, 1),
        (0, -0.08, 1),
        (0, 0, 0.87),
        (0, 0, 1.15),
        (0, 0, 1.3),
    ]
)
"""Boxes that are asked about: how far right and down of the candidate's, in its edges, and how many times as large."""
TRAINED = 0.7
"""Share of the trained network in the mean of both."""
NONE = -10.0
"""Logit of a face where there is nothing to be seen."""
PASS = 128
"""Boxes whose crops, each with its mirror image, a network sees at once."""


def confirmed(
    trained: nn.Module, published: nn.Module, device: torch.device, photo: Sums, boxes: np.ndarray
) -> np.ndarray:
    """The probabilities (M,) float64 that boxes show a face.

    Each is the median over the boxes of `AROUND` and their mirror images; asked about one box, both networks' logits are averaged.

    Args:
        trained: the third network as trained on.
        published: the same as published.
        device: where they are.
        photo: the photo.
        boxes: (M, 5) left, top, right, bottom in pixels of the photo, and a score that is not looked at.
    """
    import torch

    from pdsn.data.mtcnn import normalised

    asked = _around(boxes)
    logits = np.full((len(asked), 2), NONE)
    for first in range(0, len(asked), PASS):
        inside, crops = photo.candidates(asked[first : first + PASS], 48)
        if not len(crops):
            continue
        seen = np.stack([crops, crops[:, :, ::-1]], axis=1).reshape(-1, 48, 48, 3)
        pixels = normalised(torch.from_numpy(seen).to(device))
        with torch.inference_mode():
            both = [
                network(pixels)[-1][:, 1].double().clamp(1e-6, 1 - 1e-6).logit()
                for network in (trained, published)
            ]
        mean = (TRAINED * both[0] + (1 - TRAINED) * both[1]).cpu().numpy()
        logits[first : first + PASS][inside] = mean.reshape(-1, 2)
    middle = np.median(logits.reshape(len(boxes), 2 * len(AROUND)), axis=1)
    return 1 / (1 + np.exp(-middle))


def _around(boxes: np.ndarray) -> np.ndarray:
    """The squares (M of boxes times those of `AROUND`, 4) that are asked about."""
    squares = square(boxes)[:, None]
    middles, edges = (squares[..., :2] + squares[..., 2:4]) / 2, squares[..., 2:4] - squares[..., :2]
    middles = middles + AROUND[:, :2] * edges
    halves = AROUND[:, 2:] * edges / 2
    return np.concatenate([middles - halves, middles + halves], axis=2).reshape(-1, 4)
