"""The networks that can be a base: both are cut at the last map into `features` and `head`."""

from __future__ import annotations

from typing import TypeAlias

from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.networks.backbone import FaceNet
from pdsn.networks.imported.net import PretrainedNet
from pdsn.networks.ir import IRNet
from pdsn.networks.margins import MarginLoss
from pdsn.networks.vit import ViTNet

Network: TypeAlias = FaceNet | IRNet | ViTNet | PretrainedNet
"""Has `size`, `map_shape`, `embedding`, `features(faces)` -> map and `head(map)` -> embeddings."""


class BaseModel(nn.Module):
    """Base CNN and classifier, as they train together.

    Args:
        net: the base CNN, embeddings of length E.
        classifier: K people by such embeddings.
    """

    def __init__(self, net: Network, classifier: MarginLoss) -> None:
        super().__init__()
        self.net = net
        self.classifier = classifier

    def forward(
        self, faces: Tensor, labels: Tensor, share: Tensor | float = 1.0, dropped: Tensor | None = None
    ) -> dict[str, Tensor]:
        """{"loss": scalar} of a batch.

        Args:
            faces: (N, 3, H, W).
            labels: (N,) int64.
            share: 0 to 1, how much of the margin counts.
            dropped: (N, H, W) bool: cells of the map of which more than half is under such pixels count as 0.
        """
        maps = self.net.features(faces)
        if dropped is not None:
            under = F.adaptive_avg_pool2d(dropped[:, None].float(), (maps.shape[2], maps.shape[3]))
            maps = maps * (under <= 0.5)
        return {"loss": self.classifier(self.net.head(maps), labels, share)}
