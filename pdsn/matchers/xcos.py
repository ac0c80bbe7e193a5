"""xCos: a cosine that says where it comes from, papers/003.

The score is the sum over the cells of the map of attention times local cosine, exactly; `explained` gives both maps.
Trained on the frozen base by a margin loss within the batch, and by the base's own cosine of the two photos without
an occlusion: the paper has the margin loss of a classifier, since there the base is trained along, and no occlusions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pdsn.artefact import TrainingFolder
from pdsn.bases.encoder import Encoder
from pdsn.config.setting import section, setting
from pdsn.matchers.cells import covered_cells
from pdsn.matchers.learning import LearningConfig, learn, loaded
from pdsn.matchers.matcher import Faces, LayoutMatcher, Prepared, Rows, Signature, known_as, numbers_of
from pdsn.matchers.memory import MapMemory
from pdsn.matchers.training_photos import LAYOUT, map_photos
from pdsn.networks.branches import Role
from pdsn.networks.pair_losses import margin_in_batch
from pdsn.networks.xcos import XCosNet, local_cosines
from pdsn.occlusion.layouts import Layout
from pdsn.plugin import Plugin

if TYPE_CHECKING:
    from pdsn.run.workspace import Workspace

BLOCK = 2**13
"""Pairs of faces that are compared at a time."""


@section("xcos")
class XCosConfig(LearningConfig):
    """Settings of xCos."""

    steps: int = setting(
        default=2000, help="of training, whatever the number of photos", low=1, high=10_000_000
    )
    lr: float = setting(default=1e-2, help="largest learning rate", low=1e-8, high=100)
    width: int = setting(default=32, help="channels of the reduced map", low=2, high=1024)
    scale: float = setting(default=30.0, help="s of the margin loss", low=1, high=1000)
    margin: float = setting(default=0.35, help="m of the margin loss, in cosine", low=0, high=1)
    teacher: float = setting(
        default=1.0, help="weight of the squared difference from the base's own cosine", low=0, high=1000
    )
    covered: str = setting(
        default="left-out",
        help="left-out keeps cells that are covered in either photo out of the attention, seen leaves it to the attention, as "
        "the paper does",
        choices=("left-out", "seen"),
    )


class XCos(nn.Module):
    """xCos as it learns, see `learning.Learner`.

    Args:
        encoder: the frozen base, whose cosine is the teacher.
        own: settings.
    """

    most_pairs = None

    def __init__(self, encoder: Encoder, own: XCosConfig) -> None:
        super().__init__()
        self.encoder, self.own = encoder, own
        self.net = XCosNet(encoder.net.map_shape[0], own.width)

    def forward(self, probes: Tensor, covered: Tensor, gallery: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Losses of a batch of `learning.TwinBatches`: "loss" is "margin" and, weighted, "teacher"."""
        scores = self._matrix(probes, covered, gallery)
        margin = margin_in_batch(scores, labels, self.own.scale, self.own.margin)
        ours, theirs = self.encoder.frozen(probes, "probe"), self.encoder.frozen(gallery, "gallery")
        # What an occlusion has done to the base's cosine is not to be learned: free probes teach alone.
        free = ~covered.flatten(1).any(1)
        apart = (scores - ours @ theirs.T).square()[free]
        teacher = apart.mean() if len(apart) else scores.new_zeros(())
        return {"loss": margin + self.own.teacher * teacher, "margin": margin, "teacher": teacher}

    def scores(self, probes: Tensor, covered: Tensor, gallery: Tensor) -> Tensor:
        """See `learning.Learner`."""
        return self._matrix(probes, covered, gallery)

    def _matrix(self, probes: Tensor, covered: Tensor, gallery: Tensor) -> Tensor:
        """Scores (P, G), each half of a face computed once."""
        with torch.autocast(probes.device.type, enabled=False):
            ours, theirs = self.net.cells(probes, second=False), self.net.cells(gallery, second=True)
            left_out = None
            if self.own.covered == "left-out":
                hidden = covered_cells(covered, (probes.shape[2], probes.shape[3]))
                left_out = hidden[:, None].expand(-1, len(gallery), -1, -1)
            return self.net.matrix(ours, theirs, left_out)


@dataclass(frozen=True)
class Looked:
    """Faces as xCos compares them; see `matcher.Prepared`.

    Attributes:
        signatures: of each face.
        cells: (N, L, width) unit vectors.
        halves: (N, width / 2, h, w), see `networks.xcos`.
        second: whether they are those of the second face of a pair, a gallery's.
        covered: (N, h, w) bool, cells of which more than half is covered in this photo; a cell that two photos cover by less
            than half each stays in.
    """

    signatures: list[Signature]
    cells: Tensor
    halves: Tensor
    covered: Tensor
    second: bool = False

    def __len__(self) -> int:
        return len(self.signatures)

    def __getitem__(self, rows: Rows) -> Looked:
        """See `Prepared`."""
        chosen = numbers_of(rows, len(self))
        return Looked(
            [self.signatures[row] for row in chosen],
            self.cells[chosen],
            self.halves[chosen],
            self.covered[chosen],
            self.second,
        )

    def kept(self) -> dict[str, Tensor]:
        """See `Prepared`."""
        return {
            "signatures": torch.tensor(self.signatures, dtype=torch.bool),
            "cells": self.cells.cpu(),
            "halves": self.halves.cpu(),
            "covered": self.covered.cpu(),
        }


class XCosMatcher(LayoutMatcher):
    """The explainable cosine of two faces, see `matcher.Matcher`; of a photo itself, without its mirror image.

    Args:
        memory: the base and its maps.
        model: the trained network.
        layout, share: which faces share a threshold.
    """

    symmetric = False

    def __init__(self, memory: MapMemory, model: XCos, layout: Layout, share: float) -> None:
        super().__init__(layout, share)
        self.memory, self.model = memory, model

    @torch.inference_mode()
    def prepare(self, faces: Faces, role: Role) -> Looked:
        """See `Matcher`."""
        maps = self.memory.views(faces.pixels, role)[0]
        shape = (maps.shape[2], maps.shape[3])
        second = role == "gallery"
        # At least one lot, if of nobody, so that shapes are known.
        parts = [self.model.net.cells(part, second=second) for part in maps.split(self.memory.encoder.batch)]
        cells, halves = (torch.cat(some) for some in zip(*parts, strict=True))
        covered = covered_cells(faces.covered.to(maps.device), shape)
        return Looked(self.signatures(faces), cells, halves, covered, second)

    def restored(self, tensors: Mapping[str, Tensor]) -> Looked:
        """See `Matcher`."""
        device = self.memory.encoder.device
        signatures = [tuple(row) for row in tensors["signatures"].tolist()]
        cells, halves, covered = (tensors[name].to(device) for name in ("cells", "halves", "covered"))
        return Looked(signatures, cells, halves, covered)

    def compare(self, probes: Prepared, gallery: Prepared) -> Tensor:
        """See `Matcher`: -1 to 1."""
        ours, theirs = known_as(probes, Looked), known_as(gallery, Looked)
        result = torch.empty((len(ours), len(theirs)))
        step = max(BLOCK // max(len(ours), 1), 1)
        for first in range(0, len(theirs), step):
            result[:, first : first + step] = self._grid(ours, theirs[first : first + step])
        return result

    def pairs(self, a: Prepared, b: Prepared) -> Tensor:
        """See `Matcher`."""
        ours, theirs = known_as(a, Looked), known_as(b, Looked)
        if len(ours) != len(theirs):
            raise ValueError(f"{len(ours)} faces and {len(theirs)} are no pairs")
        rows = torch.arange(len(ours))
        parts = [self._pairs(ours, theirs, part, part) for part in rows.split(BLOCK)]
        return torch.cat(parts) if parts else torch.empty(0)

    def explained(self, a: Prepared, b: Prepared) -> tuple[Tensor, Tensor]:
        """The two maps of pairs of faces: attention (N, h, w), which adds up to 1, and local cosine (N, h, w).

        The sum of their product is what `pairs` gives.
        """
        ours, theirs = known_as(a, Looked), known_as(b, Looked)
        rows = torch.arange(len(ours))
        attention, local = self._maps(ours, theirs, rows, rows)
        shape = ours.covered.shape
        return attention.view(shape).cpu(), local.view(shape).cpu()

    def _pairs(self, ours: Looked, theirs: Looked, rows: Tensor, columns: Tensor) -> Tensor:
        attention, local = self._maps(ours, theirs, rows, columns)
        return (attention * local).sum(1).cpu()

    @torch.inference_mode()
    def _grid(self, ours: Looked, theirs: Looked) -> Tensor:
        """Scores (P, G) of all pairs: of each face the cells are taken once, not once for each pair."""
        _check_sides(ours, theirs)
        left_out = None
        if self.model.own.covered == "left-out":
            left_out = ours.covered[:, None] | theirs.covered[None]
        return self.model.net.matrix((ours.cells, ours.halves), (theirs.cells, theirs.halves), left_out).cpu()

    @torch.inference_mode()
    def _maps(self, ours: Looked, theirs: Looked, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        _check_sides(ours, theirs)
        left_out = None
        if self.model.own.covered == "left-out":
            left_out = ours.covered[rows] | theirs.covered[columns]
        attention = self.model.net.attention(ours.halves[rows] + theirs.halves[columns], left_out)
        return attention, local_cosines(ours.cells[rows], theirs.cells[columns])


def _check_sides(ours: Looked, theirs: Looked) -> None:
    """Raise ValueError unless these are probes and a gallery."""
    if not theirs.second:
        raise ValueError("restored faces are probes, as those prepared so: prepare a gallery anew")
    if ours.second:
        raise ValueError("faces of a gallery are no probes: prepare them as such")


def build(workspace: Workspace, own: XCosConfig) -> XCos:
    """The network, with random weights."""
    return XCos(workspace.memory.encoder, own)


def train(workspace: Workspace, own: XCosConfig, folder: TrainingFolder) -> dict[str, float]:
    """See `Plugin`."""
    photos = map_photos(workspace, own.draws)
    return learn(workspace, own, folder, build, photos)


def load(workspace: Workspace, folder: TrainingFolder) -> XCosMatcher:
    """The matcher of a run."""
    settings = workspace.settings
    model = loaded(workspace, settings.of(PLUGIN), folder, build)
    return XCosMatcher(workspace.memory, model, workspace.layout(LAYOUT), settings.regions.share)


PLUGIN = Plugin(
    name="xcos",
    help="explainable cosine: the sum of attention times cosine over the cells of the map",
    paper="Y.-S. Lin, Z.-Y. Liu, Y.-A. Chen, Y.-S. Wang, Y.-L. Chang, W. H. Hsu: xCos: An Explainable Cosine Metric for Face "
    "Verification Task, 2020; papers/003",
    settings=XCosConfig,
    needs=("base-train",),
    train=train,
    load=load,
)
