"""Margin-based softmax losses on cosines."""

from __future__ import annotations

import math

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
    cosine = _cosines(embeddings, weight)
    return scale * (cosine - margin * F.one_hot(labels, cosine.shape[1]))


def hit_rate(logits: Tensor, labels: Tensor, scale: float, margin: float) -> Tensor:
    """Share, a scalar, of the rows whose largest cosine is the true class's, from `margin_logits` (N, K).

    The margin makes the true class look worse than it is: it is undone.
    """
    plain = logits + scale * margin * F.one_hot(labels, logits.shape[1])
    return (plain.argmax(1) == labels).float().mean()


class MarginLoss(nn.Module):
    """A softmax loss on cosines that makes the true class look worse than it is; the base class of those below.

    Args:
        embedding: E, length of an embedding.
        classes: K, number of people.
        scale: s.
        margin: m, in cosine or in radians.
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
        raise NotImplementedError

    def hit_rate(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Share, a scalar, of embeddings (N, E) whose largest cosine is that of their own class (N,)."""
        return (_cosines(embeddings, self.weight).argmax(1) == labels).float().mean()

    def forward(self, embeddings: Tensor, labels: Tensor, share: Tensor | float = 1.0) -> Tensor:
        """Mean loss over the batch, a scalar; arguments as for `logits`."""
        return F.cross_entropy(self.logits(embeddings, labels, share), labels)


class LMCL(MarginLoss):
    """Large margin cosine loss (CosFace, Wang et al., CVPR 2018, equation 4).

    The logit of the true class y is s (cos(theta_y) - m), of every other class s cos(theta_j); their
    cross-entropy is the loss.
    """

    def logits(self, embeddings: Tensor, labels: Tensor, share: Tensor | float = 1.0) -> Tensor:
        """See `MarginLoss`; the margin is in cosine."""
        return margin_logits(embeddings, self.weight, labels, self.scale, share * self.margin)


class ArcFace(MarginLoss):
    """Additive angular margin loss (Deng et al., CVPR 2019, equation 3).

    The logit of the true class y is s cos(theta_y + m), of every other class s cos(theta_j). Where theta_y + m would
    pass pi, and the logit rise again, it is s (cos(theta_y) - m sin(m)), as in the authors' code.
    """

    def logits(self, embeddings: Tensor, labels: Tensor, share: Tensor | float = 1.0) -> Tensor:
        """See `MarginLoss`; the margin is in radians."""
        cosine = _cosines(embeddings, self.weight)
        margin = torch.as_tensor(share * self.margin, device=cosine.device)
        true = cosine.gather(1, labels[:, None])
        # The slope of the arc cosine has no bound at -1 and 1.
        angle = true.clamp(-1 + 1e-6, 1 - 1e-6).acos()
        moved = torch.where(angle <= math.pi - margin, (angle + margin).cos(), true - margin * margin.sin())
        return self.scale * cosine.scatter(1, labels[:, None], moved)


def _cosines(embeddings: Tensor, weight: Tensor) -> Tensor:
    """Cosines (N, K) float32 of embeddings (N, E) and classes (K, E)."""
    # Under autocast half precision would eat the margin.
    with torch.autocast(embeddings.device.type, enabled=False):
        return F.linear(F.normalize(embeddings.float()), F.normalize(weight.float()))
