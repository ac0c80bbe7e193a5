"""The cross-encoder, papers/000, idea 4: both faces in one network, and a score.

Nothing of a face can be kept for the next comparison, so that each pair costs a pass. By default it compares again the
20 people that another matcher finds most alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.artefact import TrainingFolder
from pdsn.bases.encoder import Encoder
from pdsn.config.setting import SettingError, section, setting
from pdsn.data.dataset import next_other
from pdsn.matchers.learning import LearningConfig, learn, loaded
from pdsn.matchers.matcher import (
    Faces,
    LayoutMatcher,
    Matcher,
    Prepared,
    Rows,
    Signature,
    known_as,
    numbers_of,
)
from pdsn.matchers.rerank import TOP, Reranked
from pdsn.matchers.table import CLOSED, parts_of
from pdsn.matchers.training_photos import LAYOUT, face_photos
from pdsn.networks.backbone import FaceNet
from pdsn.networks.branches import Role
from pdsn.occlusion.layouts import Layout
from pdsn.plugin import Plugin

if TYPE_CHECKING:
    from pdsn.run.workspace import Workspace


@section("cross-encoder")
class CrossEncoderConfig(LearningConfig):
    """Settings of the cross-encoder."""

    ASKED = ("first", "top", "full")
    LEARNS_FROM = ()

    stack: str = setting(
        default="channels",
        help="how the two faces enter the network: as six channels, or vertical, one above the other",
        choices=("channels", "vertical"),
    )
    steps: int = setting(
        default=2000, help="of training, whatever the number of photos", low=1, high=10_000_000
    )
    batch: int = setting(
        default=48,
        help="people's photos a step, over all processes; each is in two pairs",
        low=2,
        high=65_536,
    )
    width: int = setting(default=24, help="channels of the network's first stage", low=4, high=256)
    height: int = setting(
        default=64, help="pixels: rows that a face is reduced to before it enters", low=32, high=512
    )
    first: str = setting(
        default="",
        help="the matcher or strategy whose best are compared again; without it the one that the run compares new photos by",
        metavar="NAME",
    )
    top: int = setting(default=TOP, help="how many people of its best", low=1, high=1_000_000)
    full: bool = setting(default=False, help="compare every gallery photo instead")


class CrossEncoder(nn.Module):
    """One network for both faces of a pair, see `learning.Learner`.

    Args:
        size: (H, W) of a face.
        own: settings.
    """

    most_pairs = 10_000

    def __init__(self, size: tuple[int, int], own: CrossEncoderConfig) -> None:
        super().__init__()
        self.own = own
        self.size = (own.height, max(round(size[1] * own.height / size[0]), 16))
        beside = own.stack == "channels"
        whole = self.size if beside else (2 * self.size[0], self.size[1])
        self.net = FaceNet(
            whole, "resnet18", own.width, "fine", embedding=128, dropout=0.0, faces=2 if beside else 1
        )
        self.score = nn.Linear(128, 1)

    def reduced(self, faces: Tensor) -> Tensor:
        """Faces (N, 3, H, W) in 0 to 255 at the size at which they enter, uint8."""
        small = F.interpolate(faces.float(), self.size, mode="bilinear", antialias=True)
        return small.round().clamp(0, 255).to(torch.uint8)

    def logits(self, probes: Tensor, gallery: Tensor) -> Tensor:
        """The score (N,) of pairs of reduced faces: the logarithm of the odds that both show one person."""
        pairs = torch.cat([probes, gallery], 1 if self.own.stack == "channels" else 2)
        return self.score(self.net(pairs).float())[:, 0]

    def forward(self, probes: Tensor, covered: Tensor, gallery: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """{"loss": scalar} of a batch of `learning.TwinBatches`: cross-entropy, each probe with its own gallery photo and with
        that of the next other person."""
        del covered
        ours, theirs = self.reduced(probes), self.reduced(gallery)
        other = next_other(labels)
        logits = self.logits(torch.cat([ours, ours]), torch.cat([theirs, theirs[other]]))
        same = torch.cat([torch.ones_like(labels), (labels[other] == labels).long()]).float()
        return {"loss": F.binary_cross_entropy_with_logits(logits, same)}

    def scores(self, probes: Tensor, covered: Tensor, gallery: Tensor) -> Tensor:
        """See `learning.Learner`."""
        del covered
        ours, theirs = self.reduced(probes), self.reduced(gallery)
        return torch.stack([self.logits(one.expand(len(theirs), -1, -1, -1), theirs) for one in ours])


@dataclass(frozen=True)
class Small:
    """Faces as the cross-encoder sees them; see `matcher.Prepared`.

    Attributes:
        signatures: of each face.
        faces: (N, 3, h, w) uint8.
    """

    signatures: list[Signature]
    faces: Tensor

    def __len__(self) -> int:
        return len(self.signatures)

    def __getitem__(self, rows: Rows) -> Small:
        """See `Prepared`."""
        chosen = numbers_of(rows, len(self))
        return Small([self.signatures[row] for row in chosen], self.faces[chosen])

    def kept(self) -> dict[str, Tensor]:
        """See `Prepared`."""
        return {"signatures": torch.tensor(self.signatures, dtype=torch.bool), "faces": self.faces}


class CrossEncoderMatcher(LayoutMatcher):
    """The network's score of each pair of faces, see `matcher.Matcher`: the logarithm of the odds.

    Args:
        encoder: device and precision.
        model: the trained network.
        layout, share: which faces share a threshold.
    """

    symmetric = False

    def __init__(self, encoder: Encoder, model: CrossEncoder, layout: Layout, share: float) -> None:
        super().__init__(layout, share)
        self.encoder, self.model = encoder, model

    def prepare(self, faces: Faces, role: Role) -> Small:
        """See `Matcher`."""
        del role
        parts = [self.model.reduced(part) for part in faces.pixels.split(self.encoder.batch)]
        return Small(self.signatures(faces), torch.cat(parts) if parts else faces.pixels)

    def restored(self, tensors: Mapping[str, Tensor]) -> Small:
        """See `Matcher`."""
        return Small([tuple(row) for row in tensors["signatures"].tolist()], tensors["faces"])

    def compare(self, probes: Prepared, gallery: Prepared) -> Tensor:
        """See `Matcher`; a pass of the network for each of the P G pairs."""
        ours, theirs = known_as(probes, Small), known_as(gallery, Small)
        result = torch.empty((len(ours), len(theirs)))
        for row in range(len(ours) if len(theirs) else 0):
            result[row] = self._scores(
                ours.faces[row : row + 1].expand(len(theirs), -1, -1, -1), theirs.faces
            )
        return result

    def pairs(self, a: Prepared, b: Prepared) -> Tensor:
        """See `Matcher`."""
        ours, theirs = known_as(a, Small), known_as(b, Small)
        if len(ours) != len(theirs):
            raise ValueError(f"{len(ours)} faces and {len(theirs)} are no pairs")
        return self._scores(ours.faces, theirs.faces) if len(ours) else torch.empty(0)

    def _scores(self, ours: Tensor, theirs: Tensor) -> Tensor:
        return torch.cat(list(self._batches(ours, theirs)))

    @torch.inference_mode()
    def _batches(self, ours: Tensor, theirs: Tensor) -> Iterator[Tensor]:
        device, batch = self.encoder.device, self.encoder.batch
        for a, b in zip(ours.split(batch), theirs.split(batch), strict=True):
            with self.encoder.accelerator.autocast():
                found = self.model.logits(a.to(device), b.to(device))
            yield found.float().cpu()


def build(workspace: Workspace, own: CrossEncoderConfig) -> CrossEncoder:
    """The network, with random weights."""
    return CrossEncoder(workspace.training.size, own)


def train(workspace: Workspace, own: CrossEncoderConfig, folder: TrainingFolder) -> dict[str, float]:
    """See `Plugin`."""
    photos = face_photos(workspace, own.draws)
    return learn(workspace, own, folder, build, photos)


def load(workspace: Workspace, folder: TrainingFolder) -> Matcher:
    """The matcher of a run: by itself with `full`, else behind another one."""
    settings = workspace.settings
    own: CrossEncoderConfig = settings.of(PLUGIN)
    model = loaded(workspace, own, folder, build)
    encoder, share = workspace.memory.encoder, settings.regions.share
    if own.full:
        return CrossEncoderMatcher(encoder, model, workspace.layout(LAYOUT), share)
    first = workspace.matcher(workspace.chooses(own.first))
    # Thresholds go by the first one's signatures.
    layout = first.layout if isinstance(first, LayoutMatcher) else None
    alone = CrossEncoderMatcher(encoder, model, layout or workspace.layout(LAYOUT), share)
    return Reranked(first, alone, own.top)


def check(own: CrossEncoderConfig) -> None:
    """See `Plugin`: it cannot choose for itself, and neither can what answers a closed set."""
    for part in parts_of(own.first, "--first"):
        if part == PLUGIN.name or part in CLOSED:
            raise SettingError(
                f"{PLUGIN.name}.first", own.first, f": {part} cannot choose whom to compare again"
            )


PLUGIN = Plugin(
    name="cross-encoder",
    help="both faces in one network; it scores the people again that another matcher finds most alike",
    paper="papers/000, idea 4",
    settings=CrossEncoderConfig,
    needs=("base-train",),
    train=train,
    load=load,
    check=check,
)
