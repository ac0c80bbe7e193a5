"""A base with one network for probes and another for galleries, and how everybody gets at the right one."""

from __future__ import annotations

from typing import Literal, TypeAlias

from torch import Tensor, nn

from pdsn.networks.backbone import FaceNet
from pdsn.networks.imported.net import PretrainedNet
from pdsn.networks.ir import IRNet
from pdsn.networks.senet import SENet50
from pdsn.networks.vit import ViTNet

Role = Literal["probe", "gallery"]
"""Which side of a comparison a face is on."""
Branch: TypeAlias = FaceNet | IRNet | ViTNet | SENet50 | PretrainedNet
"""Has `size`, `map_shape`, `embedding`, `features(faces)` -> map and `head(map)` -> embeddings."""


class TwoBranches(nn.Module):
    """Two networks of one kind, with weights of their own.

    The channels of their maps do not belong together: a mask that was learned on probes drops unrelated features of a
    gallery, while one that was learned in the comparison (`matched`) serves both sides.

    Args:
        probe, gallery: the branches; their maps and embeddings have the same shapes.
    """

    def __init__(self, probe: Branch, gallery: Branch) -> None:
        super().__init__()
        self.probe, self.gallery = probe, gallery
        self.size, self.map_shape, self.embedding = gallery.size, gallery.map_shape, gallery.embedding

    def features(self, faces: Tensor) -> Tensor:
        """Maps of the gallery's branch."""
        return self.gallery.features(faces)

    def head(self, maps: Tensor) -> Tensor:
        """Embeddings of the gallery's branch."""
        return self.gallery.head(maps)


Network: TypeAlias = Branch | TwoBranches


def branch(net: Network, role: Role) -> Branch:
    """The network that sees faces of a role."""
    if isinstance(net, TwoBranches):
        return net.probe if role == "probe" else net.gallery
    return net


def has_branches(net: Network) -> bool:
    """Whether faces are seen differently as probes and in galleries."""
    return isinstance(net, TwoBranches)
