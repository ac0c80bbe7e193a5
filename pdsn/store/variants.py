"""The embeddings that a face can be compared by: one for each set of regions that may be covered."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch import Tensor

from pdsn.errors import UsageError
from pdsn.matchers.embedding import EmbeddingMatcher
from pdsn.matchers.matcher import Matcher, Signature

MOST_REGIONS = 6
"""Regions up to which every set of them has an embedding: 64. Of grid3x3's nine there would be 512 for each photo."""


class Variants:
    """All embeddings of a gallery photo, one for each signature that a pair with it can have.

    Args:
        matcher: whose embeddings.
        strategy: its name, for messages.

    Attributes:
        signatures: the S signatures, nothing covered first; a matcher that embeds the same whatever is covered has one, ().

    Raises:
        UsageError: photos of this matcher cannot be stored.
    """

    def __init__(self, matcher: Matcher, strategy: str) -> None:
        works = "give --strategy none, or a dictionary on LM2 or LM1, such as LM2 or matched"
        if not isinstance(matcher, EmbeddingMatcher) or matcher.alone:
            raise UsageError(
                f"--strategy {strategy} compares the photos themselves, which a people store does not keep: {works}"
            )
        regions = len(matcher.regions) if matcher.masked else 0
        if regions > MOST_REGIONS:
            raise UsageError(
                f"--strategy {strategy} has {regions} regions, and a people store keeps an embedding for each set of them, "
                f"of at most {MOST_REGIONS}: {works}"
            )
        self.matcher = matcher
        self.signatures: list[Signature] = [tuple(bits) for bits in product((False, True), repeat=regions)]
        self._places = {signature: place for place, signature in enumerate(self.signatures)}

    def place(self, signature: Signature) -> int:
        """Number of a signature's embedding among the S."""
        return self._places[signature if self.matcher.masked else ()]

    @torch.inference_mode()
    def embed(self, faces: Tensor) -> list[np.ndarray]:
        """The S embeddings of N gallery faces (N, 3, H, W) uint8: (N, E) float16 each, of length 1.

        The trunk runs once; all but the head is the same for all of them.
        """
        views = self.matcher.look(faces, "gallery")
        return [
            self.matcher.embed(views, signature, "gallery").cpu().numpy().astype(np.float16)
            for signature in self.signatures
        ]

    def widths(self, size: tuple[int, int]) -> list[int]:
        """E of each of the S embeddings, of faces of (H, W) pixels."""
        return [part.shape[1] for part in self.embed(torch.zeros((1, 3, *size), dtype=torch.uint8))]
