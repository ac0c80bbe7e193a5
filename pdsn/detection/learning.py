"""What the detector's networks learn from crops: whether it is a face, where its box ends, where the landmarks lie.

Zhang et al., Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks, 2016, section II.C.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.data.mtcnn import normalised
from pdsn.detection.samples import NO_FACE, PART

HARD = 0.7
"""Share of a batch's crops whose entropy counts, the largest ones: the paper's."""
BOX_WEIGHT, LANDMARK_WEIGHT = 2.0, 4.0
"""Of the mean absolute errors, in edges of the crop, beside the entropy."""


class Rows(Protocol):
    """What is learned from, row by row: `samples.Samples` or `places.PlaceSamples`."""

    def __len__(self) -> int:
        """Rows there are."""
        ...

    def rows(self, rows: Tensor) -> tuple[Tensor, ...]:
        """What a loss is given of some rows (B,) int64."""
        ...


class CascadeLoss(nn.Module):
    """The loss of the second or third network of MTCNN.

    Args:
        network: answers (shifts, scores) or (shifts, places, scores), the scores as probabilities of none and of a face.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor, labels: Tensor, shifts: Tensor, places: Tensor) -> dict[str, Tensor]:
        """The losses of a batch.

        Args:
            crops: (B, edge, edge, 3) uint8.
            labels: (B,) int64, see `samples.Samples`.
            shifts: (B, 4) float32.
            places: (B, 10) float32.

        Returns:
            {"loss": scalar, "loss_face": …, "loss_box": …} and, of a network that answers landmarks, "loss_landmarks".
        """
        answer = self.network(normalised(crops))
        certain, whole = labels != PART, labels != NO_FACE
        entropy = F.nll_loss(
            answer[-1][certain].float().clamp_min(1e-7).log(), labels[certain], reduction="none"
        )
        hard = entropy.topk(max(1, int(HARD * len(entropy)))).values if len(entropy) else entropy
        losses = {"loss_face": _mean(hard), "loss_box": _mean((answer[0][whole] - shifts[whole]).abs())}
        losses["loss"] = losses["loss_face"] + BOX_WEIGHT * losses["loss_box"]
        if len(answer) == 3:
            losses["loss_landmarks"] = _mean((answer[1][whole] - places[whole]).abs())
            losses["loss"] = losses["loss"] + LANDMARK_WEIGHT * losses["loss_landmarks"]
        return losses


def _mean(values: Tensor) -> Tensor:
    """The mean; 0 of nothing."""
    return values.sum() / max(values.numel(), 1)


def figures_of(module: nn.Module, samples: Rows, batch: int) -> dict[str, float]:
    """The mean losses over samples, and "score": the loss, negative."""
    device = next(module.parameters()).device
    sums: dict[str, float] = {}
    for first in range(0, len(samples), batch):
        rows = torch.arange(first, min(first + batch, len(samples)))
        losses = module(*(part.to(device) for part in samples.rows(rows)))
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(rows)
    figures = {name: value / len(samples) for name, value in sums.items()}
    return {**figures, "score": -figures["loss"]}
