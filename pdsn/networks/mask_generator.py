"""The mask generator and the pairwise differential siamese network that trains it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.networks.backbone import freeze
from pdsn.networks.branches import Network, branch
from pdsn.networks.margins import MarginLoss


class MaskGenerator(nn.Module):
    """What an occlusion of one region leaves intact, feature by feature (Song et al., 2019).

    Conv3x3 (no bias), PReLU, BatchNorm, Sigmoid on the absolute difference of the two maps.

    Args:
        channels: C of the base's last map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.PReLU(channels),
            nn.BatchNorm2d(channels),
            nn.Sigmoid(),
        )

    def forward(self, clean: Tensor, occluded: Tensor) -> Tensor:
        """Masks (N, C, h, w) in (0, 1) from the maps (N, C, h, w) of clean photos and occluded twins."""
        return self.layers((clean - occluded).abs())


class PairwiseDifferential(nn.Module):
    """One mask generator before a frozen head and classifier: the loss of equations 1 to 3.

    With the mask M and the maps f(x) and f(x_j) of a photo and its twin occluded on region j
    (Johnston & Ngxande, section 3.2):

        l_diff = mean |M f(x) - M f(x_j)|                                        (1)
        l_cls  = -1/2 log p_y(F(M f(x_j))) - 1/2 log p_y(F(M f(x)))              (2)
        l      = l_cls + weight l_diff                                           (3)

    A pair's own mask is a function of |f(x) - f(x_j)|: it carries the clean twin's identity, which at test time nobody
    has. With `shared`, M is the mean mask of the batch instead, as the dictionary holds the mean mask of all pairs.

    Args:
        generator: the only part that trains.
        base: its head is F; frozen here.
        classifier: gives p; frozen here.
        weight: lambda.
        shared: M is the batch's mean mask; False takes each pair's own, the paper's form.
    """

    def __init__(
        self, generator: MaskGenerator, base: Network, classifier: MarginLoss, weight: float, *, shared: bool
    ) -> None:
        super().__init__()
        self.generator = generator
        self.base = base
        self.classifier = classifier
        self.weight = weight
        self.shared = shared
        freeze(self.base)
        freeze(self.classifier)

    def forward(self, clean: Tensor, occluded: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Losses of a batch of pairs.

        Args:
            clean, occluded: (N, C, h, w) maps of the frozen trunk.
            labels: (N,) int64.

        Returns:
            Scalars "loss", "loss_cls" and "loss_diff".
        """
        mask = self.generator(clean, occluded)
        if self.shared:
            mask = mask.mean(0, keepdim=True)
        clean, occluded = mask * clean, mask * occluded
        difference = (clean.float() - occluded.float()).abs().mean()
        # Both maps are of probes: of a base with two branches, masks are learned from what an occlusion does to a probe.
        head = branch(self.base, "probe").head
        logits = [self.classifier.logits(head(maps), labels) for maps in (clean, occluded)]
        classes = (F.cross_entropy(logits[0], labels) + F.cross_entropy(logits[1], labels)) / 2
        return {
            "loss": classes + self.weight * difference,
            "loss_cls": classes,
            "loss_diff": difference,
        }
