"""The score of a pair of faces as a function of the pixels of the first, to take gradients of."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

from pdsn.bases.encoder import Encoder
from pdsn.matchers.cosine import Cosine
from pdsn.matchers.matcher import Faces, Signature
from pdsn.matchers.memory import MapMemory
from pdsn.networks.branches import Role, branch

Kind = TypeVar("Kind", bound=Cosine)


class PairScore(nn.Module):
    """What a matcher says of faces and given embeddings: the very score, but with a gradient to the pixels.

    The regions that count as covered, and with them the FDM, are held constant: nothing is asked of the segmentation.

    Args:
        matcher: the plain cosine, or PDSN.
        signature: the regions that count as covered.
        role: which side the faces are on.

    Attributes:
        net: the base, of two branches the one for that side: its modules are the layers that one can ask for.
        map: passes the base's last map on: the layer to ask for where none is named.
    """

    def __init__(self, matcher: Cosine, signature: Signature, role: Role = "probe") -> None:
        super().__init__()
        self.matcher = _differentiable(matcher)
        self.signature = signature
        self.role: Role = role
        self.net = branch(matcher.memory.encoder.net, role)
        self.map = nn.Identity()
        self.sides = 2 if matcher.memory.mirror else 1

    def forward(self, pixels: Tensor, references: Tensor) -> Tensor:
        """Scores (N,) float32.

        Args:
            pixels: (N, 3, H, W) float32, 0 to 255. With mirror images these follow within one batch, so that a layer
                sees 2N faces at once.
            references: (N, E) or (1, E) embeddings of the other side, see `reference`.
        """
        self.net.eval()
        faces = torch.cat([pixels, pixels.flip(3)]) if self.sides == 2 else pixels
        maps = self.map(self.net.features(faces).float())
        embeddings = self.matcher.embed(list(maps.chunk(self.sides)), self.signature, self.role)
        return (embeddings * references).sum(1)

    def reference(self, faces: Faces) -> Tensor:
        """Embeddings (N, E) of faces as the other side of a pair, without a gradient."""
        with torch.no_grad():
            return self.matcher.prepare(faces, "gallery").against(self.signature).clone()

    def mean_reference(self, faces: Faces) -> Tensor:
        """The mean (1, E) of the embeddings of one person's faces, of length 1: what stands for the person."""
        return nn.functional.normalize(self.reference(faces).mean(0, keepdim=True))

    def together(self, cells: Tensor) -> Tensor:
        """What a layer saw of faces and their mirror images (2N, …, w), as one map for each face (N, …, w): their sum."""
        if self.sides == 1:
            return cells
        own, mirrored = cells.chunk(2)
        return own + mirrored.flip(-1)


class _Open(Encoder):
    """A base whose embeddings pass gradients on; all in float32, since differences are looked at."""

    @torch.no_grad()
    def map_batches(self, faces: Tensor, role: Role = "gallery") -> Iterator[Tensor]:
        """See `Encoder`."""
        self.net.eval()
        for part in faces.split(self.batch):
            yield branch(self.net, role).features(part.to(self.device)).float()

    def embed(self, maps: Tensor, fdm: Tensor | None = None, role: Role = "gallery") -> Tensor:
        """See `Encoder`."""
        return branch(self.net, role).head(maps if fdm is None else maps * fdm)


def _differentiable(matcher: Kind) -> Kind:
    """The same matcher; its networks are frozen, but what comes out of them has a gradient to what went in."""
    memory = matcher.memory
    encoder = _Open(memory.encoder.net, memory.encoder.accelerator, memory.encoder.batch)
    encoder.net.requires_grad_(False)
    same = copy.copy(matcher)
    same.memory = MapMemory(encoder, mirror=memory.mirror)
    same.comparison = "nearest"
    return same
