"""The plain recogniser: the cosine of two embeddings, whatever is covered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from pdsn.matchers.embedding import EmbeddingMatcher, flip_sum
from pdsn.matchers.matcher import Signature
from pdsn.matchers.memory import MapMemory
from pdsn.networks.branches import Role, has_branches
from pdsn.occlusion.layouts import OCCLUDED_SHARE, Layout
from pdsn.plugin import Plugin

if TYPE_CHECKING:
    from pdsn.run.workspace import Workspace


class Cosine(EmbeddingMatcher):
    """Nearest neighbour by cosine, without a feature-discarding mask.

    Args:
        memory: the base and its maps.
        layout: regions by which covered faces are told apart: here, too, those covered alike share a threshold.
        share, compare: see `EmbeddingMatcher`.
    """

    masked = False

    def __init__(
        self,
        memory: MapMemory,
        layout: Layout | None = None,
        share: float = OCCLUDED_SHARE,
        compare: str = "nearest",
    ) -> None:
        super().__init__(layout, share, compare)
        self.memory = memory

    def look(self, pixels: Tensor, role: Role) -> list[Tensor]:
        """Maps (N, C, h, w) of the faces and, for the flip-sum, of their mirror images."""
        return self.memory.views(pixels, role)

    @property
    def symmetric(self) -> bool:
        """See `Matcher`: two branches see a face differently on either side."""
        return super().symmetric and not has_branches(self.memory.encoder.net)

    def embed(self, views: list[Tensor], signature: Signature, role: Role) -> Tensor:
        """See `EmbeddingMatcher`; summed over the views."""
        return F.normalize(
            flip_sum(
                self.memory.encoder.embed(maps, self.mask(signature, flipped=view == 1), role)
                for view, maps in enumerate(views)
            )
        )

    def mask(self, signature: Signature, *, flipped: bool) -> Tensor | None:
        """What (C, h, w) multiplies the maps of faces, or of their mirror images, under a signature: here nothing."""
        del signature, flipped
        return None


def load(workspace: Workspace, folder: None) -> Cosine:
    """The matcher of a run; the bands of LM2 tell which threshold goes with a face."""
    del folder
    settings = workspace.settings
    return Cosine(workspace.memory, workspace.layout("LM2"), settings.regions.share, settings.eval.compare)


PLUGIN = Plugin(
    name="cosine",
    help='The cosine of two embeddings, whatever is covered; the column "no FDM" of a table.',
    paper="",
    settings=None,
    needs=("base-train",),
    train=None,
    load=load,
)
