"""The networks that can be a base: both are cut at the last map into `features` and `head`."""

from __future__ import annotations

from typing import TypeAlias

from torch import Tensor, nn

from pdsn.models.backbone import FaceNet
from pdsn.models.margins import LMCL
from pdsn.models.pretrained.net import PretrainedNet

Network: TypeAlias = FaceNet | PretrainedNet
"""Has `size`, `map_shape`, `embedding`, `features(faces)` -> map and `head(map)` -> embeddings."""


class BaseModel(nn.Module):
    """Base CNN and classifier, as they train together.

    Args:
        net: the base CNN, embeddings of length E.
        classifier: K people by such embeddings.
    """

    def __init__(self, net: Network, classifier: LMCL) -> None:
        super().__init__()
        self.net = net
        self.classifier = classifier

    def forward(self, faces: Tensor, labels: Tensor, share: Tensor | float = 1.0) -> dict[str, Tensor]:
        """{"loss": scalar} of faces (N, 3, H, W) and labels (N,), with this share of the margin."""
        return {"loss": self.classifier(self.net(faces), labels, share)}
