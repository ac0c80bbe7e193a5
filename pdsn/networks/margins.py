"""Margin-based softmax losses on cosines."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def margin_logits(
    embeddings: Tensor, weight: Tensor, labels: Tensor, scale: float, margin: Tensor | float
) -> Tensor:
    """Logits (N, K) float32 of the large margin cosine loss, see `LMCL`.

    Args:
        embeddings: (N, E), of any length.
        weight: (K, E), of any length: one direction for each class.
        labels: (N,) int64 in 0 to K - 1.
        scale, margin: s and m.
    """
    # Under autocast half precision would eat the margin: cosines stay in float32.
    with torch.autocast(embeddings.device.type, enabled=False):
        cosine = F.linear(F.normalize(embeddings.float()), F.normalize(weight.float()))
    return scale * (cosine - margin * F.one_hot(labels, cosine.shape[1]))


def hit_rate(logits: Tensor, labels: Tensor, scale: float, margin: float) -> Tensor:
    """Share, a scalar, of the rows whose largest cosine is the true class's, from `margin_logits` (N, K).

    The margin makes the true class look worse than it is: it is undone.
    """
    plain = logits + scale * margin * F.one_hot(labels, logits.shape[1])
    return (plain.argmax(1) == labels).float().mean()


class LMCL(nn.Module):
    """Large margin cosine loss (CosFace, Wang et al., CVPR 2018, equation 4).

    The logit of the true class y is s (cos(theta_y) - m), of every other class s cos(theta_j); their
    cross-entropy is the loss.

    Args:
        embedding: E, length of an embedding.
        classes: K, number of people.
        scale: s.
        margin: m, in cosine.
    """

    def __init__(self, embedding: int, classes: int, scale: float = 30.0, margin: float = 0.35) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, embedding))
        nn.init.xavier_normal_(self.weight)
        self.scale = scale
        self.margin = margin

    def logits(self, embeddings: Tensor, labels: Tensor, share: Tensor | float = 1.0) -> Tensor:
        """Logits with the margin taken from the true class.

        Args:
            embeddings: (N, E), of any length.
            labels: (N,) int64 in 0 to K - 1.
            share: 0 to 1, how much of the margin counts.

        Returns:
            (N, K) float32.
        """
        return margin_logits(embeddings, self.weight, labels, self.scale, share * self.margin)

    def forward(self, embeddings: Tensor, labels: Tensor, share: Tensor | float = 1.0) -> Tensor:
        """Mean loss over the batch, a scalar; arguments as for `logits`."""
        return F.cross_entropy(self.logits(embeddings, labels, share), labels)
