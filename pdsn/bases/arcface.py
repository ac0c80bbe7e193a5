"""The ArcFace base: IR blocks with or without attention, or a vision transformer, and an additive angular margin.

After papers/004, which compares no attention, SE and CBAM, and finds that a vision transformer loses on little data. Its
ArcFace has scale 64 and margin 0.5, for hundreds of thousands of people; on some hundred people that does not train well, so the
defaults here are smaller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pdsn.artefact import TrainingFolder
from pdsn.bases import trained
from pdsn.bases.lmcl import train_classifier
from pdsn.config.setting import Section, SettingError, section, setting
from pdsn.networks.attention import ATTENTIONS
from pdsn.networks.branches import Network
from pdsn.networks.ir import IR_BLOCKS, IRNet
from pdsn.networks.margins import ArcFace
from pdsn.networks.network import BaseModel
from pdsn.networks.vit import ViTNet
from pdsn.plugin import Plugin

if TYPE_CHECKING:
    from pdsn.run.workspace import Workspace

VIT = "vit"


@section("arcface")
class ArcFaceConfig(Section):
    """Settings of the ArcFace base beside those of `[base]`, whose arch, width, stem, last_stride, scale and margin it leaves."""

    backbone: str = setting(
        default="ir18",
        help="ir18, ir34, ir50: ArcFace's residual networks; vit: a small vision transformer",
        choices=(*IR_BLOCKS, VIT),
    )
    attention: str = setting(
        default="none", help="in every residual block: none, se or cbam", choices=tuple(ATTENTIONS)
    )
    width: int = setting(
        default=64,
        help="channels of the first stage, 64 in ArcFace; of vit a third of a token's",
        low=8,
        high=256,
    )
    stem_stride: int = setting(
        default=1,
        help="stride of the first convolution: 1 is ArcFace's, 2 takes a quarter of the time",
        low=1,
        high=2,
    )
    depth: int = setting(default=8, help="blocks of vit", low=1, high=64)
    heads: int = setting(default=3, help="attention heads of vit", low=1, high=64)
    patch: int = setting(default=16, help="pixels: rows and columns of a patch of vit", low=4, high=64)
    scale: float = setting(default=30.0, help="s of ArcFace", low=1, high=1000)
    margin: float = setting(default=0.3, help="m of ArcFace in radians", low=0, high=1.5)


def load(found: dict[str, Any]) -> BaseModel:
    """See `Plugin`.

    Raises:
        SettingError: the settings of the transformer do not go together.
    """
    own, size, embedding = found["arcface"], tuple(found["size"]), int(found["embedding"])
    dropout = float(found["dropout"])
    net: Network
    if own["backbone"] == VIT:
        try:
            net = ViTNet(size, 3 * own["width"], own["depth"], own["heads"], own["patch"], embedding, dropout)
        except ValueError as error:
            raise SettingError("arcface.backbone", VIT, f": {error}") from error
    else:
        net = IRNet(
            size, own["backbone"], own["attention"], own["width"], own["stem_stride"], embedding, dropout
        )
    return BaseModel(net, ArcFace(embedding, int(found["people"]), own["scale"], own["margin"]))


def train(workspace: Workspace, own: ArcFaceConfig, folder: TrainingFolder) -> dict[str, float]:
    """See `Plugin`; clean or occluded photos, as `[base] occlude` says."""
    del own  # they are in the folder's settings
    settings, dataset, accelerator = workspace.settings, workspace.training, workspace.accelerator
    model = trained.start(dataset, settings.base, accelerator, settings.seed, lambda: load(folder.config))
    return train_classifier(model, dataset, settings.base, folder, accelerator, settings.seed)


PLUGIN = Plugin(
    name="arcface",
    help="IR blocks with or without attention, or a vision transformer, with additive angular margin loss",
    paper="papers/004; Deng et al., ArcFace, CVPR 2019; SE: Hu et al., CVPR 2018; CBAM: Woo et al., ECCV 2018",
    settings=ArcFaceConfig,
    needs=(),
    train=train,
    load=load,
)
