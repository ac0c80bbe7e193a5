"""How good a map of attribution is, in numbers: its share on what is covered, deletion and insertion, likeness of two maps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def share_inside(attribution: Tensor, covered: Tensor) -> Tensor:
    """Share (N,) float64 of the attribution that lies on covered pixels.

    Args:
        attribution: (N, H, W), not negative.
        covered: (N, H, W) bool.

    Returns:
        0 to 1; NaN where nothing or all is covered, or nothing is attributed.
    """
    inside = attribution.double() * covered
    share = inside.flatten(1).sum(1) / attribution.double().flatten(1).sum(1)
    area = covered.double().flatten(1).mean(1)
    return torch.where((area > 0) & (area < 1), share, torch.nan)


def region_shares(attribution: Tensor, inside: Tensor) -> Tensor:
    """Share (R,) float64 of one map (H, W) that lies in each of some regions (R, H, W) bool; 0 of a map of zeros."""
    whole = attribution.double().sum()
    parts = (attribution.double() * inside).flatten(1).sum(1)
    return parts / whole if whole > 0 else torch.zeros_like(parts)


def order_curve(
    face: Tensor,
    instead: Tensor,
    attribution: Tensor,
    score: Callable[[Tensor], Tensor],
    steps: int,
    kind: str,
) -> Tensor:
    """Scores while the pixels go, or come, in the order of their attribution (Petsiuk, Das, Saenko: RISE, 2018).

    Args:
        face: (3, H, W), 0 to 255.
        instead: (3, H, W), what is seen where a pixel is gone.
        attribution: (H, W); of equal ones those further up and left come first.
        score: faces (S, 3, H, W) float32 to their scores (S,).
        steps: S, of equally many pixels each.
        kind: "deletion" starts with the face and takes the highest pixels first; "insertion" starts with `instead` and puts
            the highest first.

    Returns:
        (S + 1,) float64, the scores from the start on.
    """
    order = attribution.flatten().argsort(descending=True, stable=True)
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order), device=order.device)
    counts = torch.linspace(0, len(order), steps + 1).round()
    moved = (ranks[None] < counts[:, None]).view(-1, 1, *attribution.shape)
    here, there = (face, instead) if kind == "deletion" else (instead, face)
    with torch.no_grad():
        return score(torch.where(moved, there.float(), here.float())).cpu().double()


def area(curve: Tensor) -> float:
    """Area under a curve (S + 1,) over 0 to 1, by trapezoids: of deletion the less, of insertion the more, the better."""
    return float(torch.trapezoid(curve) / (len(curve) - 1))


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Spearman's correlation (N,) float64 of two maps each, (N, H, W); equal values share the mean of their ranks.

    A map whose values are all the same has none: NaN.
    """
    from scipy.stats import rankdata

    one, other = (
        torch.from_numpy(rankdata(maps.flatten(1).cpu().double().numpy(), axis=1)) for maps in (a, b)
    )
    one, other = (ranks - ranks.mean(1, keepdim=True) for ranks in (one, other))
    lengths = one.norm(dim=1) * other.norm(dim=1)
    return torch.where(lengths > 0, (one * other).sum(1) / lengths, torch.nan)
