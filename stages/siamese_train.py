"""Stage `siamese-train`: a base that is trained on pairs of a clean and an occluded photo."""

from __future__ import annotations

from pdsn.bases.table import BASES
from pdsn.config.layers import merge
from stages import base_train
from stages.command import BEGINNING, TRAINING, command
from stages.options import Force, Layer
from stages.session import Session, Shared

BASE = "siamese"
NETWORK = ("arch", "width", "stem", "last_stride", "init")
UNUSED = ("occlude", "masked", "balance", "margin_warmup")
"""Settings of `[base]` that mean nothing here: half of the photos are occluded, and there is no softmax."""


@command(
    "siamese-train",
    TRAINING,
    BEGINNING,
    settings={"base": (*NETWORK, *(name for name in base_train.OF_ANY_NETWORK if name not in UNUSED))},
    plugins={BASE: BASES[BASE]},
    own=BASE,
)
def siamese_train(shared: Shared, options: Layer, force: Force = False) -> None:
    """Train the base as a siamese network: contrastive loss on pairs of a clean and an occluded photo.

    The same as `pdsn base-train --base siamese`. Masks, U-Net and tables of the run are then made for this base.

    [bold]Examples[/bold]

    pdsn siamese-train --run runs/siamese

    pdsn siamese-train --variant unshared --data data/lfw --run runs/unshared
    """
    base_train.main(Session(shared, merge({"base": {"kind": BASE}}, options), force=force))
