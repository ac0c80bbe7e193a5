"""Zeroed segments, papers/000, idea 3: a softmax over the people who are known, from a map of which covered segments are 0.

The map is flattened row by row, all channels of a cell together, and cut into ten segments of equal length, so that a
segment is a strip of the face. It answers a closed set alone: whom it was not trained on it cannot name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.artefact import TrainingFolder
from pdsn.config.setting import section, setting
from pdsn.matchers.cells import covered_views, widened
from pdsn.matchers.cosine import Cosine
from pdsn.matchers.embedding import Embedded
from pdsn.matchers.learning import LearningConfig, learn, loaded
from pdsn.matchers.matcher import Prepared, Signature, known_as
from pdsn.matchers.memory import MapMemory
from pdsn.matchers.training_photos import LAYOUT, map_photos
from pdsn.networks.branches import Role
from pdsn.occlusion.layouts import Layout
from pdsn.plugin import Plugin

if TYPE_CHECKING:
    from pdsn.run.workspace import Workspace


@section("zeroing-softmax")
class SegmentsConfig(LearningConfig):
    """Settings of zeroed segments, with the softmax head."""

    LEARNS_FROM = ("base",)

    segments: int = setting(
        default=10, help="segments of equal length that a flattened map is cut into", low=1, high=1024
    )


class Segments(nn.Module):
    """A softmax classifier on flattened maps, see `learning.Learner`.

    Args:
        map_shape: (C, h, w).
        people: K.
        layout: regions; segments that lie for the most part in those that count as covered are zeroed.
        share: a region counts as covered when more than this share of it is.
        segments: how many.
    """

    most_pairs = None

    def __init__(
        self, map_shape: tuple[int, int, int], people: int, layout: Layout, share: float, segments: int
    ) -> None:
        super().__init__()
        channels, rows, columns = map_shape
        self.layout, self.share = layout, share
        self.shape, self.segments = map_shape, min(segments, channels * rows * columns)
        self.layer = nn.Linear(channels * rows * columns, people)

    def probabilities(self, maps: Tensor, covered: Tensor | None = None) -> Tensor:
        """Probability (N, K) of each person, from maps (N, C, h, w) and covered pixels (N, H, W) bool."""
        return self.logits(maps, covered).softmax(1)

    def logits(self, maps: Tensor, covered: Tensor | None = None) -> Tensor:
        """The logarithms of the same, up to a constant of each row."""
        flat = maps.permute(0, 2, 3, 1).flatten(1)
        if covered is not None:
            flat = flat * ~self.zeroed(covered)
        return self.layer(flat)

    def zeroed(self, covered: Tensor) -> Tensor:
        """Which numbers (N, h w C) bool of flattened maps are in segments of which more than half is covered."""
        channels, rows, columns = self.shape
        cells = F.adaptive_avg_pool2d(covered[:, None].float(), (rows, columns)).flatten(1)
        shares = cells.repeat_interleave(channels, 1)
        length = shares.shape[1]
        place = torch.arange(length, device=covered.device) * self.segments // length
        sums = shares.new_zeros((len(shares), self.segments)).index_add_(1, place, shares)
        counts = torch.bincount(place, minlength=self.segments)
        return (sums / counts > 0.5)[:, place]

    def forward(self, probes: Tensor, covered: Tensor, gallery: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """{"loss": scalar} of a batch of `learning.TwinBatches`: cross-entropy of probes and gallery photos."""
        hidden = widened(covered, self.layout, self.share)
        answers = torch.cat([self.logits(probes, hidden), self.logits(gallery)])
        return {"loss": F.cross_entropy(answers, labels.repeat(2))}

    def scores(self, probes: Tensor, covered: Tensor, gallery: Tensor) -> Tensor:
        """See `learning.Learner`: the probability of the person that each gallery photo is taken for."""
        people = self.logits(gallery).argmax(1)
        return self.probabilities(probes, widened(covered, self.layout, self.share))[:, people]


class SegmentsMatcher(Cosine):
    """The probability that a probe shows the person of a gallery photo; which photo it is makes no difference.

    Args:
        memory: the base and its maps.
        model: the trained classifier.
    """

    alone = True
    symmetric = False

    def __init__(self, memory: MapMemory, model: Segments) -> None:
        super().__init__(memory, model.layout, model.share)
        self.model = model

    @torch.inference_mode()
    def embed(self, views: list[Tensor], signature: Signature, role: Role) -> Tensor:
        """Probabilities (N, K), the mean over the views."""
        del role
        assert self.layout is not None
        covered = covered_views(signature, self.layout, views)
        parts = [self.model.probabilities(maps, one) for maps, one in zip(views, covered, strict=True)]
        return torch.stack(parts).mean(0)

    def compare(self, probes: Prepared, gallery: Prepared) -> Tensor:
        """See `Matcher`: 0 to 1.

        Raises:
            ValueError: nobody knows whom the gallery shows.
        """
        ours, people = known_as(probes, Embedded), _people(gallery)
        return ours.by_themselves().cpu()[:, people] if len(ours) else torch.empty((0, len(people)))

    def pairs(self, a: Prepared, b: Prepared) -> Tensor:
        """See `compare`."""
        ours, people = known_as(a, Embedded), _people(b)
        if len(ours) != len(people):
            raise ValueError(f"{len(ours)} faces and {len(people)} are no pairs")
        return ours.by_themselves().cpu().gather(1, people[:, None])[:, 0] if len(ours) else torch.empty(0)


def _people(gallery: Prepared) -> Tensor:
    """Whom (G,) the photos of a gallery show."""
    known = known_as(gallery, Embedded)
    people = known.people
    if people is None:
        raise ValueError(
            "a gallery whose people nobody knows: this matcher names the people it was trained on alone"
        )
    return people.long()


def build(workspace: Workspace, own: SegmentsConfig) -> Segments:
    """The classifier, with random weights."""
    shape = workspace.memory.encoder.net.map_shape
    people, share = len(workspace.training.people), workspace.settings.regions.share
    return Segments(shape, people, workspace.layout(LAYOUT), share, own.segments)


def train(workspace: Workspace, own: SegmentsConfig, folder: TrainingFolder) -> dict[str, float]:
    """See `Plugin`."""
    photos = map_photos(workspace, own.draws)
    return learn(workspace, own, folder, build, photos)


def load(workspace: Workspace, folder: TrainingFolder) -> SegmentsMatcher:
    """The matcher of a run."""
    model = loaded(workspace, workspace.settings.of(PLUGIN), folder, build)
    return SegmentsMatcher(workspace.memory, model)


PLUGIN = Plugin(
    name="zeroing-softmax",
    help="zeroed segments: a softmax over the people it was trained on, from a map whose covered segments are 0; closed set",
    paper="papers/000, idea 3",
    settings=SegmentsConfig,
    needs=("base-train",),
    train=train,
    load=load,
)
