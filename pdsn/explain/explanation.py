"""One pair of faces explained, by any of the methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from pdsn.errors import UsageError
from pdsn.explain.attribution import MAP, attribution, to_pixels
from pdsn.explain.measures import region_shares, share_inside
from pdsn.explain.names import MAP_METHODS, METHODS
from pdsn.explain.regions import Players, contributions, named
from pdsn.explain.score import PairScore
from pdsn.masks.strategy import heading
from pdsn.matchers.cosine import Cosine
from pdsn.matchers.fdm import FDM
from pdsn.matchers.matcher import Faces, Signature, names_of
from pdsn.matchers.xcos import XCosMatcher
from pdsn.occlusion.layouts import Layout
from pdsn.people.verification import explained

BLUR = 1.5
"""Pixels: deviation of the blur that saliency is shown with; strided convolutions leave a grid in the gradient."""


@dataclass(frozen=True)
class Column:
    """One matcher's score of the pair.

    Attributes:
        name: as a table's heading has it.
        score: of faces in the probe's place.
        reference: (1, E) what it is compared with.
        cosine: the score of the pair, in float32.
    """

    name: str
    score: PairScore
    reference: Tensor
    cosine: float

    @property
    def covered(self) -> list[str]:
        """Names of the regions that count as covered."""
        return names_of(self.score.signature, self.score.matcher.regions)

    def of(self, faces: Tensor) -> Tensor:
        """Scores (N,) of faces (N, 3, H, W) in the probe's place."""
        return self.score(faces.to(self.reference.device), self.reference)


@dataclass(frozen=True)
class Pair:
    """What is explained.

    Attributes:
        probe: one face and what is covered of it.
        reference: the face that it is compared with, or a person's faces, the one to show first.
        mean: whether the mean of these stands for the person.
    """

    probe: Faces
    reference: Faces
    mean: bool = False

    def signature(self, matcher: Cosine) -> Signature:
        """The regions that count as covered: in either photo; of a person, in the probe."""
        other = None if self.mean else self.reference
        return matcher.signatures(self.probe, other)[0]

    def column(self, name: str, matcher: Cosine) -> Column:
        """How a matcher sees it."""
        score = PairScore(matcher, self.signature(matcher))
        reference = score.mean_reference(self.reference) if self.mean else score.reference(self.reference)
        with torch.no_grad():
            cosine = float(score(self.probe.pixels.to(reference.device).float(), reference))
        return Column(heading(name), score, reference, cosine)


@dataclass(frozen=True)
class Explanation:
    """What one method says of a pair.

    Attributes:
        method: its name.
        maps: what is shown over the face, (h, w) each, by its caption; saliency is blurred, see `BLUR`.
        signed: whether values below 0 speak against the two faces being one person's.
        said: the same in numbers, as JSON has it.
    """

    method: str
    maps: dict[str, np.ndarray]
    signed: bool
    said: dict[str, object]


class Explainer:
    """Explains pairs of faces.

    Args:
        matchers: the plain cosine and PDSN, by the names of their columns; one alone will do.
        layout: the regions that contributions are told for.
        instead: (3, H, W), what is seen where a region is hidden: the mean training face.
        layer: for the methods that take one.
        xcos: the run's xCos, where it has one.
    """

    def __init__(
        self,
        matchers: Mapping[str, Cosine],
        layout: Layout,
        instead: Tensor,
        layer: str = MAP,
        xcos: XCosMatcher | None = None,
    ) -> None:
        self.matchers, self.layout, self.instead = matchers, layout, instead
        self.layer, self.xcos = layer, xcos

    @property
    def methods(self) -> list[str]:
        """Those that can be asked for: fdm needs masks, xcos its network."""
        masked = any(isinstance(matcher, FDM) for matcher in self.matchers.values())
        lacking = {"fdm": not masked, "xcos": self.xcos is None}
        return [name for name in METHODS if not lacking.get(name, False)]

    def columns(self, pair: Pair) -> list[Column]:
        """The pair as each matcher sees it."""
        return [pair.column(name, matcher) for name, matcher in self.matchers.items()]

    def explain(self, method: str, pair: Pair, columns: Sequence[Column]) -> Explanation:
        """What a method says of a pair.

        Args:
            method: one of `methods`.
            pair: the faces.
            columns: see `columns`.

        Raises:
            UsageError: the layer is unknown or gives no map.
        """
        if method in MAP_METHODS:
            return self._map(method, pair, columns)
        if method == "regions":
            return self._regions(pair, columns)
        return self._xcos(pair) if method == "xcos" else _dropped(pair, columns)

    def _map(self, method: str, pair: Pair, columns: Sequence[Column]) -> Explanation:
        maps: dict[str, np.ndarray] = {}
        said: dict[str, object] = {}
        players = Players.of(self.layout)
        for column in columns:
            cells = attribution(method, column.score, pair.probe.pixels, column.reference, self.layer).cpu()
            large = to_pixels(cells, self.layout.size)
            share = float(share_inside(large, pair.probe.covered)[0])
            said[column.name] = {
                "regions": named(players.names, region_shares(large[0], players.inside)),
                "covered": None if np.isnan(share) else round(share, 4),
                **(
                    {} if method == "saliency" else {"cells": np.round(cells[0].double().numpy(), 6).tolist()}
                ),
            }
            shown = cells[0].double().numpy()
            maps[column.name] = gaussian_filter(shown, BLUR) if method == "saliency" else shown
        layer = {} if method == "saliency" else {"layer": self.layer}
        return Explanation(method, maps, False, {**layer, "columns": said})

    def _regions(self, pair: Pair, columns: Sequence[Column]) -> Explanation:
        players = Players.of(self.layout)
        maps: dict[str, np.ndarray] = {}
        said: dict[str, object] = {}
        for column in columns:
            found = contributions(players, pair.probe.pixels[0], self.instead, column.of)
            painted = torch.einsum("r,rhw->hw", found.shapley, players.inside.double())
            maps[column.name] = (painted / players.inside.sum(0)).numpy()
            said[column.name] = found.as_dict()
        return Explanation("regions", maps, True, {"layout": self.layout.name, "columns": said})

    def _xcos(self, pair: Pair) -> Explanation:
        assert self.xcos is not None
        probe = self.xcos.prepare(pair.probe, "probe")
        reference = self.xcos.prepare(pair.reference[:1], "gallery")
        maps = explained(self.xcos, probe, reference)
        assert maps is not None
        attention, local = (part.astype(np.float64) for part in maps)
        return Explanation(
            "xcos",
            {"attention": attention, "local cosine": local},
            False,
            {
                "cosine": round(float((attention * local).sum()), 6),
                "attention": np.round(attention, 6).tolist(),
                "local_cosine": np.round(local, 6).tolist(),
            },
        )


def _dropped(pair: Pair, columns: Sequence[Column]) -> Explanation:
    """What the FDM drops."""
    masked = next(column for column in columns if isinstance(column.score.matcher, FDM))
    matcher = masked.score.matcher
    fdm = matcher.mask(masked.score.signature, flipped=False)
    if fdm is None:
        dropped = np.zeros(matcher.memory.encoder.net.map_shape[1:])
    else:
        dropped = 1 - fdm.float().mean(0).cpu().double().numpy()
    covered = pair.probe.covered[0]
    said = {
        "covered": masked.covered,
        "covered_share": round(float(covered.float().mean()), 4),
        "dropped_share": round(float(dropped.mean()), 4),
        "dropped": np.round(dropped, 6).tolist(),
    }
    return Explanation("fdm", {"share dropped": dropped}, False, said)


def check_methods(asked: Sequence[str], possible: Sequence[str], run: str) -> list[str]:
    """The methods to use: those asked for, each once, or all that are possible.

    Raises:
        UsageError: one is unknown, or needs what the run does not have.
    """
    for name in asked:
        if name not in METHODS:
            raise UsageError(f"--method {name} is unknown: one of {', '.join(METHODS)}")
        if name not in possible:
            needed = {
                "xcos": f"train it with `pdsn xcos-train --run {run}`",
                "fdm": "give a --strategy that has a dictionary",
            }[name]
            raise UsageError(f"--method {name} needs what is not there: {needed}")
    return list(dict.fromkeys(asked)) or list(possible)
