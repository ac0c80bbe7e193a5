"""The exposed parts of the face, papers/000, idea 1, as it has them: crops of the parts through one small CNN of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.artefact import TrainingFolder
from pdsn.config.setting import section, setting
from pdsn.matchers.embedding import flip_sum
from pdsn.matchers.learning import learn, loaded
from pdsn.matchers.memory import MapMemory
from pdsn.matchers.parts import PartNet, PartsConfig, PartsMatcher
from pdsn.matchers.training_photos import face_photos
from pdsn.networks.backbone import FaceNet
from pdsn.networks.branches import Role
from pdsn.occlusion.layouts import Layout
from pdsn.plugin import Plugin

if TYPE_CHECKING:
    from pdsn.run.workspace import Workspace


@section("parts-cnn")
class CropsConfig(PartsConfig):
    """Settings of parts as crops."""

    LEARNS_FROM = ()

    steps: int = setting(
        default=2000, help="of training, whatever the number of photos", low=1, high=10_000_000
    )
    side: int = setting(
        default=32, help="pixels: rows and columns that a crop is reduced to", low=16, high=256
    )
    width: int = setting(default=16, help="channels of the CNN's first stage", low=4, high=256)
    embedding: int = setting(default=128, help="length of a part's vector", low=8, high=4096)


class CroppedParts(PartNet):
    """Parts as crops through one ResNet18, see `parts.PartNet`.

    Args:
        layout, share, own: see `parts.PartNet`.
    """

    own: CropsConfig

    def __init__(self, layout: Layout, share: float, own: CropsConfig) -> None:
        super().__init__(layout, share, own)
        size = (own.side, own.side)
        self.cnn = FaceNet(size, "resnet18", own.width, "fine", embedding=own.embedding, dropout=0.0)

    def vectors(self, seen: Tensor, role: Role, *, flipped: bool = False) -> Tensor:
        """See `parts.PartNet`: of faces (N, 3, H, W) in 0 to 255, which are mirrored here; one CNN for all parts and sides."""
        del role
        crops = [
            F.interpolate(
                seen[:, :, box.top : box.bottom, box.left : box.right].float(),
                (self.own.side, self.own.side),
                mode="bilinear",
                antialias=True,
            )
            for box in self.layout.regions.values()
        ]
        photos = torch.stack(crops, 1).flatten(0, 1)
        found = self.cnn(photos.flip(3) if flipped else photos).float()
        return found.view(len(seen), len(crops), -1)


class CropsMatcher(PartsMatcher):
    """See `parts.PartsMatcher`; it sees the faces themselves, not the base's maps."""

    model: CroppedParts

    def __init__(self, memory: MapMemory, model: CroppedParts, compare: str) -> None:
        super().__init__(memory, model, compare)

    @property
    def symmetric(self) -> bool:
        """See `Matcher`: one CNN for both sides, whatever the base has."""
        return self.comparison == "nearest"

    @torch.inference_mode()
    def look(self, pixels: Tensor, role: Role) -> list[Tensor]:
        """See `parts.PartsMatcher`."""
        encoder = self.memory.encoder
        found = []
        for part in pixels.split(encoder.batch):
            faces = part.to(encoder.device)
            with encoder.accelerator.autocast():
                views = [
                    self.model.vectors(faces, role, flipped=flipped)
                    for flipped in ((False, True) if self.memory.mirror else (False,))
                ]
            found.append(F.normalize(flip_sum(views), dim=2))
        return [torch.cat(found)]


def build(workspace: Workspace, own: CropsConfig) -> CroppedParts:
    """The parts, with random weights."""
    return CroppedParts(workspace.layout(own.layout), workspace.settings.regions.share, own)


def train(workspace: Workspace, own: CropsConfig, folder: TrainingFolder) -> dict[str, float]:
    """See `Plugin`."""
    photos = face_photos(workspace, own.draws)
    return learn(workspace, own, folder, build, photos)


def load(workspace: Workspace, folder: TrainingFolder) -> CropsMatcher:
    """The matcher of a run."""
    settings = workspace.settings
    model = loaded(workspace, settings.of(PLUGIN), folder, build)
    return CropsMatcher(workspace.memory, model, settings.eval.compare)


PLUGIN = Plugin(
    name="parts-cnn",
    help="the parts of the face that are free in both photos, as crops through a small CNN, with learned weights",
    paper="papers/000, idea 1",
    settings=CropsConfig,
    needs=("base-train",),
    train=train,
    load=load,
)
