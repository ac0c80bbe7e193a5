"""How much each region of the face adds to a score: one left out, and Shapley values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial

import torch
from torch import Tensor

from pdsn.occlusion.layouts import Layout

REST = "rest"
"""The pixels that lie in no region."""
MOST = 10
"""Players up to which all their sets are asked about: 1024 faces."""


@dataclass(frozen=True)
class Players:
    """What is there or hidden: the regions of a layout and, where pixels lie in none, the rest of the face.

    Attributes:
        names: of each.
        inside: (R, H, W) bool, the pixels of each; landmark regions of LM1 may overlap.
    """

    names: list[str]
    inside: Tensor

    @classmethod
    def of(cls, layout: Layout) -> Players:
        """The players of a layout.

        Raises:
            ValueError: there are more than `MOST`.
        """
        inside = torch.zeros((len(layout.regions), *layout.size), dtype=torch.bool)
        for row, box in enumerate(layout.regions.values()):
            inside[row, box.top : box.bottom, box.left : box.right] = True
        names = list(layout.regions)
        rest = ~inside.any(0)
        if rest.any():
            names, inside = [*names, REST], torch.cat([inside, rest[None]])
        if len(names) > MOST:
            raise ValueError(f"{layout.name} has {len(names)} regions, more than {MOST}")
        return cls(names, inside)

    def hide(self, face: Tensor, instead: Tensor, present: Tensor) -> Tensor:
        """A face with some players alone.

        Args:
            face: (3, H, W).
            instead: (3, H, W), what is seen where something is hidden.
            present: (S, R) bool.

        Returns:
            (S, 3, H, W) float32; a pixel of two regions is hidden with either.
        """
        hidden = torch.einsum("sr,rhw->shw", (~present).float(), self.inside.float()) > 0
        return torch.where(hidden[:, None], instead.float(), face.float())


@dataclass(frozen=True)
class Contributions:
    """What each player adds to a score.

    Attributes:
        names: of the players.
        ablation: (R,) score of the face less the score without this player.
        shapley: (R,) Shapley values; they add up to `whole` - `empty`.
        whole, empty: score of the face, and of one of which all is hidden.
    """

    names: list[str]
    ablation: Tensor
    shapley: Tensor
    whole: float
    empty: float

    def as_dict(self) -> dict[str, object]:
        """What JSON says."""
        return {
            "ablation": named(self.names, self.ablation),
            "shapley": named(self.names, self.shapley),
            "whole": round(self.whole, 6),
            "empty": round(self.empty, 6),
        }


def contributions(
    players: Players, face: Tensor, instead: Tensor, score: Callable[[Tensor], Tensor]
) -> Contributions:
    """What each region adds to a score, exactly: all sets of regions are asked about.

    Args:
        players: the regions.
        face, instead: (3, H, W), see `Players.hide`.
        score: faces (S, 3, H, W) float32 to their scores (S,).
    """
    count = len(players.names)
    codes = torch.arange(2**count)
    present = (codes[:, None] >> torch.arange(count) & 1).bool()
    with torch.no_grad():
        values = torch.cat([score(players.hide(face, instead, part)).cpu() for part in present.split(64)])
    values = values.double()
    everyone = 2**count - 1
    ablation = torch.stack([values[everyone] - values[everyone - (1 << r)] for r in range(count)])
    return Contributions(
        players.names, ablation, shapley_values(values), float(values[everyone]), float(values[0])
    )


def shapley_values(values: Tensor) -> Tensor:
    """Shapley values (R,) from the value of every set of players (Shapley, 1953).

    phi_r = sum over sets S without r of |S|! (R - |S| - 1)! / R! (v(S and r) - v(S)).

    Args:
        values: (2^R,) of each set; bit r of the place says whether player r is in it.
    """
    count = len(values).bit_length() - 1
    codes = torch.arange(len(values))
    sizes = sum((codes >> r & 1 for r in range(count)), torch.zeros_like(codes))
    weights = torch.tensor(
        [factorial(s) * factorial(count - s - 1) / factorial(count) for s in range(count)],
        dtype=torch.float64,
    )
    found = []
    for r in range(count):
        without = codes[(codes >> r & 1) == 0]
        gains = values[without + (1 << r)] - values[without]
        found.append((weights[sizes[without]] * gains).sum())
    return torch.stack(found)


def named(names: Sequence[str], values: Tensor) -> dict[str, float]:
    """Numbers (R,) by their names, as JSON has them."""
    return {name: round(float(value), 6) for name, value in zip(names, values, strict=True)}
