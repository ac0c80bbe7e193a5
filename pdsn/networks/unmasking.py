"""A network that gives the embedding of a covered face as it would be if nothing covered it."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

SLOPE = 0.2
"""Of LeakyReLU below 0."""


class EmbeddingUnmasking(nn.Sequential):
    """The embedding unmasking model (Boutros et al., Pattern Recognition 124, 2022, section 3.1).

    Four fully connected layers with BatchNorm, LeakyReLU after the first three: embeddings (N, E), of length 1, to
    embeddings (N, E), of any length.

    Args:
        embedding: E.
        width: of the hidden layers; the authors' 512 is their E.
    """

    def __init__(self, embedding: int, width: int = 512) -> None:
        sizes = [embedding, width, width, width, embedding]
        parts: list[nn.Module] = []
        for before, after in pairwise(sizes):
            parts += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.LeakyReLU(SLOPE)]
        super().__init__(*parts[:-1])

    def forward(self, embeddings: Tensor) -> Tensor:
        """See the class."""
        return super().forward(embeddings)
