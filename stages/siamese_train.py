"""Stage `siamese-train`: a base that is trained on pairs of a clean and an occluded photo."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from pdsn.artefact import MODEL
from pdsn.bases.table import BASES
from pdsn.config.layers import merge
from pdsn.errors import UsageError, one_of
from stages import base_train
from stages.command import BEGINNING, TRAINING, command
from stages.options import Force, Layer, option_of
from stages.session import Session, Shared

NAME = "siamese-train"
BACKBONES = {"resnet": "siamese", "senet50": "senet"}
"""What --backbone may be, and the base that each is."""
NETWORK = ("arch", "width", "stem", "last_stride", "init")
"""Settings of `[base]` that SENet50 has not, beside those below."""
UNUSED = ("occlude", "masked", "balance", "margin_warmup")
"""Settings of `[base]` that mean nothing here: half of the photos are occluded, and there is no softmax."""


def check_options(base: str, options: Layer) -> None:
    """Raise UsageError where an option was typed that means nothing to the base."""
    other = next(kind for kind in BACKBONES.values() if kind != base)
    foreign = [f"{other}.{name}" for name in options.get(other, {})]
    if base == "senet":
        foreign += [
            f"base.{name}" for name in options.get("base", {}) if name in (*NETWORK, "embedding", "dropout")
        ]
    if foreign:
        backbone = next(name for name, kind in BACKBONES.items() if kind != base)
        raise UsageError(f"{option_of(foreign[0], NAME)} is for --backbone {backbone}: leave it out")


@command(
    NAME,
    TRAINING,
    BEGINNING,
    settings={"base": (*NETWORK, *(name for name in base_train.OF_ANY_NETWORK if name not in UNUSED))},
    plugins={base: BASES[base] for base in BACKBONES.values()},
)
def siamese_train(
    shared: Shared,
    options: Layer,
    backbone: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="resnet learns from scratch, --variant shared or unshared; of senet50 the last layers learn, --trainable-layers.",
        ),
    ] = "resnet",
    trainable_layers: Annotated[
        list[int] | None,
        typer.Option(
            "--trainable-layers",
            metavar="N",
            help="Layers of senet50 that learn the pairs, the last 10, 20 … 70; 0 leaves it as it starts. Several times for a run "
            "each, RUN-N, that share what they start from. Default: 70.",
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Train the base as a siamese network: contrastive loss on pairs of a clean and an occluded photo.

    The same as `pdsn base-train --base siamese`, or senet. Masks, segmentation and tables of the run are then made for this base.

    [bold]Examples[/bold]

    pdsn siamese-train --run runs/siamese

    pdsn siamese-train --variant unshared --data data/lfw --run runs/unshared

    pdsn siamese-train --backbone senet50 --trainable-layers 10 --trainable-layers 70 --data data/lfw --run runs/senet
    """
    from pdsn.bases.senet import START

    one_of("--backbone", backbone, tuple(BACKBONES))
    base = BACKBONES[backbone]
    check_options(base, options)
    layers = sorted(set(trainable_layers or []), reverse=True)
    if layers and base != "senet":
        raise UsageError("--trainable-layers is for --backbone senet50: leave it out")
    options = merge({"base": {"kind": base}}, options)
    if len(layers) < 2:
        base_train.main(Session(shared, _with(options, layers, ""), force=force))
        return
    runs = {count: shared.run.with_name(f"{shared.run.name}-{count}") for count in layers}
    # The first one trains most: what its frozen layers give is in front of those of the others, too.
    first = next(iter(runs.values()))
    sessions: list[Session] = []
    for count, run in runs.items():
        begun = str((first / "base" / START / MODEL).resolve()) if sessions else ""
        own = Session(replace(shared, run=run), _with(options, [count], begun), force=force)
        sessions.append(own)
    for own in sessions:
        if (own.run.base / "config.json").is_file():
            own.base_folder.open(force=force)  # refused before the first one is trained, not hours later
    for count, session in zip(layers, sessions, strict=True):
        session.say(f"{count} layers: {session.run.root}")
        base_train.main(session)


def _with(options: Layer, layers: list[int], start: str) -> Layer:
    """The options with the number of layers, if one was given, and what the network starts from, "" for as they say."""
    own: Layer = {"trainable_layers": layers[0]} if layers else {}
    own |= {"weights": start} if start else {}
    return merge(options, {"senet": own} if own else {})
