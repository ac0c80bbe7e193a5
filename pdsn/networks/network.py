"""A base as it trains: its network, which is cut at the last map into `features` and `head`, and a classifier."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.networks.branches import Network
from pdsn.networks.margins import MarginLoss


class BaseModel(nn.Module):
    """Base CNN and classifier, as they train together.

    Args:
        net: the base CNN, embeddings of length E.
        classifier: K people by such embeddings.
    """

    def __init__(self, net: Network, classifier: MarginLoss) -> None:
        super().__init__()
        self.net: Network = net
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
