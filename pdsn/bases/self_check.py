"""Whether embeddings tell people apart at all: an import whose preprocessing is wrong does not."""

from __future__ import annotations

import torch
from torch import Tensor

CHECKED = (40, 5)
"""People, and photos of each, that the self-check compares."""


def separation(embeddings: Tensor, labels: Tensor) -> dict[str, float]:
    """How well embeddings (N, E) of length 1 tell people (N,) apart, on a few photos of some people.

    Returns:
        "order": the share of comparisons in which two photos of one person have a higher cosine than two
        photos of different people (the area under the ROC curve); "same" and "other": the mean cosines.
    """
    most, photos = CHECKED
    counts = torch.bincount(labels)
    several = torch.nonzero(counts >= 2).flatten()
    chosen = several[torch.linspace(0, len(several) - 1, min(most, len(several))).round().long()]
    rows = torch.cat([torch.nonzero(labels == person).flatten()[:photos] for person in chosen.tolist()])
    cosine = embeddings[rows] @ embeddings[rows].T
    alike = labels[rows][:, None] == labels[rows][None]
    upper = torch.ones_like(alike).triu(1)
    same, other = cosine[alike & upper], cosine[~alike & upper]
    if not len(same) or not len(other):
        return {"order": 1.0, "same": 1.0, "other": 0.0}
    lower = torch.searchsorted(other.sort().values, same)
    return {
        "order": float(lower.double().mean() / len(other)),
        "same": float(same.mean()),
        "other": float(other.mean()),
    }
