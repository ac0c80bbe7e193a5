"""A store of tiny faces, compared by a matcher without any network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.matchers.embedding import EmbeddingMatcher
from pdsn.matchers.matcher import Faces, Signature
from pdsn.networks.branches import Role
from pdsn.occlusion.layouts import Box, Layout
from pdsn.people.photo import nothing_covered
from pdsn.store.enrolling import Enroller
from pdsn.store.kinds import create_store
from pdsn.store.making import Candidate
from pdsn.store.store import Store
from pdsn.store.variants import Variants

SIZE = (8, 6)
HALVES = Layout("LM2", SIZE, {"top": Box(0, 0, 4, 6), "bottom": Box(4, 0, 8, 6)}, {})
MADE = {"base": "b", "strategy": "halves"}


class Halves(EmbeddingMatcher):
    """The cosine of pixels, without those of the covered halves; `masked` and `unmasked` as PDSN has them."""

    def __init__(self, compare: str = "nearest", *, masked: bool = True, twice: bool = False) -> None:
        super().__init__(HALVES, 0.3, compare)
        self.masked = masked
        self.twice = twice
        self.width = 288 if twice else None

    def look(self, pixels: Tensor, role: Role) -> list[Tensor]:
        return [pixels.float() - 128]

    def embed(self, views: list[Tensor], signature: Signature, role: Role) -> Tensor:
        kept = views[0].clone()
        for box, bit in zip(HALVES.regions.values(), signature, strict=False):
            # What is left of a covered half tells a signature from another, and no face is nothing.
            kept[:, :, box.top : box.bottom] *= 0.1 if bit and self.masked else 1
        found = F.normalize(kept.flatten(1))
        if self.twice and any(signature):
            return torch.cat([found, F.normalize(views[0].flatten(1))], 1) * 0.5**0.5
        return found


def faces(count: int, seed: int) -> Tensor:
    """Random faces (N, 3, 8, 6)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, *SIZE), dtype=torch.uint8, generator=generator)


def covered_some(count: int, seed: int) -> Tensor:
    """Covered pixels (N, 8, 6): of a third of the faces none, of the others a random share."""
    rng = np.random.default_rng(seed)
    shares = rng.choice([0, 0, 0.1, 0.2, 0.35, 0.6], count)
    return torch.from_numpy(rng.random((count, *SIZE)) < shares[:, None, None])


def candidates(crops: Tensor, names: Sequence[str], *, start: int = 0) -> list[Candidate]:
    """Faces as they come to be enrolled, good enough for the gate."""
    return [
        Candidate(name, f"{name}/{start + n}.png", f"file {start + n}", f"pixels {start + n}", (0.0, 0.0, 100.0, 100.0),
                  0.99, 0.0, 1, crop.permute(1, 2, 0).numpy())
        for n, (name, crop) in enumerate(zip(names, crops, strict=True))
    ]  # fmt: skip


def store_of(
    root: Path,
    crops: Tensor,
    names: Sequence[str],
    covered: Tensor | None = None,
    matcher: Halves | None = None,
    kept_as: str | None = None,
) -> tuple[Store, Variants]:
    """A store with some faces, of which some pixels are covered."""
    variants = Variants(matcher or Halves(), "halves")
    store = create_store(root, MADE, variants.widths(SIZE), kept_as)
    assert isinstance(store, Store)
    add(store, variants, crops, names, covered)
    return store, variants


def add(
    store: Store,
    variants: Variants,
    crops: Tensor,
    names: Sequence[str],
    covered: Tensor | None = None,
    *,
    start: int = 0,
    keep_crops: bool = False,
) -> None:
    """Enrol faces; `start` numbers the first."""
    cover = nothing_covered if covered is None else lambda _: covered
    enroller = Enroller(store, variants, cover)
    report = enroller.enrol(candidates(crops, names, start=start), accept_poor=True, keep_crops=keep_crops)
    assert len(report.added) == len(crops)


def free(crops: Tensor) -> Faces:
    """Faces of which nothing is covered."""
    return Faces.free(crops)
