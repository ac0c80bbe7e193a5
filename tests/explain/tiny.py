"""The tiny base, its matchers, and the score of a pair written down anew, for tests of explanations."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.bases.encoder import Encoder
from pdsn.explain.score import PairScore
from pdsn.masks.dictionary import MaskDictionary
from pdsn.matchers.cosine import Cosine
from pdsn.matchers.fdm import FDM
from pdsn.matchers.matcher import Faces, Signature
from pdsn.matchers.memory import MapMemory
from pdsn.networks.backbone import FaceNet
from pdsn.networks.branches import TwoBranches
from pdsn.runtime import start
from tests.matchers.tiny import SIZE, UNEVEN, faces, tiny_encoder

KINDS = ("cosine", "fdm", "weighed")
"""No FDM, the FDM, and the FDM with as much weight on the cosine without it."""
FREE, LEFT, TWO = (False, False, False), (True, False, False), (False, True, True)
"""Signatures of UNEVEN: nothing is covered, the left, the right and what is below."""
MIRRORED = (1, 0, 2)
"""Where the regions of UNEVEN lie in a mirror image."""


def two_branches() -> Encoder:
    """The tiny base as the gallery's branch, beside another one for probes."""
    gallery = tiny_encoder().net
    torch.manual_seed(7)
    probe = FaceNet(SIZE, "resnet18", width=8, stem="fine", last_stride=1, embedding=16)
    for seed in range(3):
        probe(faces(8, seed))
    return Encoder(TwoBranches(probe, gallery), start("cpu", "fp32"), batch=5)


def masks(encoder: Encoder) -> MaskDictionary:
    """Masks of the three regions of UNEVEN that keep about six of ten features, at random."""
    shape = (3, *encoder.net.map_shape)
    kept = torch.rand(shape, generator=torch.Generator().manual_seed(5)) > 0.4
    return MaskDictionary(UNEVEN, kept.float(), kept, "base")


def matcher(kind: str, encoder: Encoder, *, mirror: bool = True, compare: str = "nearest") -> Cosine:
    """A matcher by one of `KINDS`."""
    memory = MapMemory(encoder, mirror=mirror)
    if kind == "cosine":
        return Cosine(memory, UNEVEN, 0.5, compare)
    return FDM(memory, masks(encoder), 0.5, compare, 0.5 if kind == "weighed" else 0.0)


def asked(count: int = 3, seed: int = 10) -> Tensor:
    """Faces (N, 3, H, W) float32 that gradients can be asked of."""
    return faces(count, seed).float().requires_grad_()


def references(score: PairScore, count: int = 3, seed: int = 11) -> Tensor:
    """What these are compared with."""
    return score.reference(Faces.free(faces(count, seed)))


def score_of_maps(
    kind: str, encoder: Encoder, signature: Signature, views: list[Tensor], references: Tensor
) -> Tensor:
    """The scores (N,) of faces from their last maps and, with mirror images, those of these: the definition."""
    net = encoder.net.eval()

    def embedded(chosen: Signature) -> Tensor:
        total = torch.zeros(())
        for view, maps in enumerate(views):
            fdm = torch.ones(net.map_shape)
            for region, bit in enumerate(chosen):
                if bit:
                    fdm = fdm * masks(encoder).binary[MIRRORED[region] if view else region]
            total = total + net.head(maps * fdm)
        return F.normalize(total)

    if kind == "cosine":
        return (embedded(FREE) * references).sum(1)
    if kind == "fdm" or not any(signature):
        return (embedded(signature) * references).sum(1)
    both = torch.cat([embedded(signature), embedded(FREE)], 1) * 0.5**0.5
    return (both * references).sum(1)


def maps_by_hand(
    score: Callable[[list[Tensor]], Tensor], views: list[Tensor], weigh: Callable[[Tensor], Tensor]
) -> Tensor:
    """relu(sum_k w_k A_k) (N, h, w), the parts of a face and its mirror image added where they belong.

    Args:
        score: the scores (N,) from the maps A of each view.
        views: these maps (N, C, h, w).
        weigh: the weights w from the gradient (N, C, h, w).
    """
    views = [maps.detach().requires_grad_() for maps in views]
    gradients = torch.autograd.grad(score(views).sum(), views)
    parts = [(weigh(g) * maps.detach()).sum(1) for g, maps in zip(gradients, views, strict=True)]
    return (parts[0] if len(parts) == 1 else parts[0] + parts[1].flip(2)).clamp_min(0)


def mean_weights(gradient: Tensor) -> Tensor:
    """Those of Grad-CAM: one for each channel."""
    return gradient.mean((2, 3), keepdim=True)


def positive_weights(gradient: Tensor) -> Tensor:
    """Those of LayerCAM: one for each cell of each channel."""
    return gradient.clamp_min(0)
