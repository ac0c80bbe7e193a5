"""Stage `arcface-train`: a base with ArcFace's loss, its residual network with or without attention, or a transformer."""

from __future__ import annotations

from pdsn.bases.table import BASES
from pdsn.config.layers import merge
from stages import base_train
from stages.command import BEGINNING, TRAINING, command
from stages.options import Force, Layer
from stages.session import Session, Shared

BASE = "arcface"


@command(
    "arcface-train",
    TRAINING,
    BEGINNING,
    settings={"base": base_train.OF_ANY_NETWORK},
    plugins={BASE: BASES[BASE]},
)
def arcface_train(shared: Shared, options: Layer, force: Force = False) -> None:
    """Train the base as ArcFace: IR blocks, with SE or CBAM attention or none, or a vision transformer.

    The same as `pdsn base-train --base arcface`. Masks, segmentation and tables of the run are then made for this base.

    [bold]Examples[/bold]

    pdsn arcface-train --attention cbam --run runs/cbam

    pdsn arcface-train --backbone vit --optimizer adamw --lr 0.001 --data data/lfw --run runs/vit
    """
    base_train.main(Session(shared, merge({"base": {"kind": BASE}}, options), force=force))
