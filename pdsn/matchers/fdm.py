"""PDSN: the cosine of two embeddings under the feature-discarding mask (FDM) of what is covered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pdsn.masks.dictionary import MaskDictionary
from pdsn.matchers.cosine import Cosine
from pdsn.matchers.matcher import Signature
from pdsn.matchers.memory import MapMemory
from pdsn.networks.branches import Role
from pdsn.occlusion.layouts import OCCLUDED_SHARE, mirrored
from pdsn.plugin import Plugin

if TYPE_CHECKING:
    from pdsn.run.workspace import Workspace


class FDM(Cosine):
    """Nearest neighbour by cosine under a feature-discarding mask (Johnston & Ngxande, 3.5 and 4.3).

    The FDM of what is covered in a pair of faces multiplies the maps of both before the head. Pairs with the same
    covered regions share one FDM, and the gallery's embeddings under it.

    Args:
        memory: the base and its maps.
        dictionary: the masks.
        share, compare: see `EmbeddingMatcher`.
        unmasked: a face's embedding is that under the FDM beside the one without, so weighted that the cosine of
            two faces is (1 - unmasked) times the one under the FDM and `unmasked` times the other.
    """

    masked = True

    def __init__(
        self,
        memory: MapMemory,
        dictionary: MaskDictionary,
        share: float = OCCLUDED_SHARE,
        compare: str = "nearest",
        unmasked: float = 0.0,
    ) -> None:
        super().__init__(memory, dictionary.layout, share, compare)
        self.dictionary = dictionary
        self.unmasked = unmasked
        self.width = 2 * memory.encoder.net.embedding if unmasked else None
        self._mirrored = mirrored(dictionary.layout)

    def embed(self, views: list[Tensor], signature: Signature, role: Role) -> Tensor:
        """Unit embeddings (N, E) under the FDM of a signature, (N, 2E) with those without it."""
        if not self.unmasked or not any(signature):
            return super().embed(views, signature, role)
        free = (False,) * len(signature)
        both = super().embed(views, signature, role), super().embed(views, free, role)
        weights = (1 - self.unmasked) ** 0.5, self.unmasked**0.5
        return torch.cat([weight * part for weight, part in zip(weights, both, strict=True)], 1)

    def mask(self, signature: Signature, *, flipped: bool) -> Tensor | None:
        """The FDM (C, h, w) of a signature, None where nothing is covered; mirrored faces have the mirrored regions'."""
        if not any(signature):
            return None
        chosen = torch.zeros(len(signature), dtype=torch.bool)
        for region, bit in enumerate(signature):
            if bit:
                chosen[self._mirrored[region] if flipped else region] = True
        return self.dictionary.combine(chosen).to(self.memory.encoder.device)


def load(workspace: Workspace, folder: None) -> FDM:
    """The matcher of a run, with the dictionary that `identify` takes where nobody asks for another.

    Raises:
        PdsnError: it has no dictionary, or several of which none is preferred.
    """
    del folder
    return workspace.fdm(workspace.preferred_strategy())


PLUGIN = Plugin(
    name="fdm",
    help="PDSN: the cosine under the mask of what is covered; a column for each dictionary of a run.",
    paper="L. Song, D. Gong, Z. Li, C. Liu, W. Liu: Occlusion Robust Face Recognition Based on Mask Learning with "
    "Pairwise Differential Siamese Network, 2019; regions and masks after Johnston & Ngxande",
    settings=None,
    needs=("base-train", "build-dictionary"),
    train=None,
    load=load,
)
