"""The commands that train: `pdsn base-train`, `mask-train`, `build-dictionary` and `segment-train`."""

from __future__ import annotations

from typing import Annotated

import typer

from pdsn.bases.table import BASES
from stages.command import command
from stages.options import AnyStrategies, Architecture, Force, Weights, layer, recogniser
from stages.session import Session, Shared

PANEL = "Training"

Epochs = Annotated[int | None, typer.Option(help="Passes over the training photos. Default: the preset's.")]
Batch = Annotated[int | None, typer.Option(help="Photos a step, over all processes.")]
Rate = Annotated[float | None, typer.Option("--lr", help="Largest learning rate. Default: the preset's.")]
Floor = Annotated[
    float | None,
    typer.Option(
        "--region-floor",
        help="Least size of a landmark region, in units of the distance between the eyes; 0 is the paper's rule. Default: the preset's.",
    ),
]
Regions = Annotated[
    str | None,
    typer.Option(help="The layout of makers that are named alone, such as matched. Default LM2. Remembered."),
]
Steps = Annotated[
    int | None, typer.Option(help="Steps of training, whatever the number of photos. Default: the preset's.")
]
Strategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy",
        metavar="NAME",
        help="grid3x3, LM1, LM2, LM2-split, matched or MAKER@LAYOUT; several times for several. Default LM2.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    command(app, "base-train", PANEL)(base_train)
    command(app, "base-import", PANEL)(base_import)
    command(app, "mask-train", PANEL)(mask_train)
    command(app, "build-dictionary", PANEL)(build_dictionary)
    command(app, "head-train", PANEL)(head_train)
    command(app, "segment-train", PANEL)(segment_train)


def base_train(
    shared: Shared,
    base: Annotated[
        str | None,
        typer.Option(
            help=f"Which base: {' or '.join(BASES)}; see pdsn list bases. Default lmcl. Remembered."
        ),
    ] = None,
    epochs: Epochs = None,
    batch: Batch = None,
    lr: Rate = None,
    arch: Annotated[str | None, typer.Option(help="resnet34 or resnet18. Default: the preset's.")] = None,
    width: Annotated[
        int | None,
        typer.Option(help="Channels of the first stage; 64 is ResNet's own. Default: the preset's."),
    ] = None,
    stem: Annotated[
        str | None, typer.Option(help="standard or fine, a map twice as fine. Default: the preset's.")
    ] = None,
    last_stride: Annotated[
        int | None,
        typer.Option(
            help="Stride of the last stage: 2, or 1 for a map twice as fine. Default: the preset's."
        ),
    ] = None,
    scale: Annotated[float | None, typer.Option(help="s of the large margin cosine loss.")] = None,
    margin: Annotated[float | None, typer.Option(help="m of the large margin cosine loss.")] = None,
    margin_warmup: Annotated[
        float | None,
        typer.Option(
            help="Share of the training in which m grows from 0 to --margin. Default: the preset's."
        ),
    ] = None,
    occlude: Annotated[
        float | None,
        typer.Option(help="Share of the training photos that are occluded. Default: the preset's."),
    ] = None,
    masked: Annotated[
        float | None,
        typer.Option(
            help="Share of those whose covered cells of the map are dropped, as by an FDM. Default 0."
        ),
    ] = None,
    balance: Annotated[
        float | None,
        typer.Option(help="0 takes each photo as often, 1 each person. Default 0."),
    ] = None,
    average: Annotated[
        float | None,
        typer.Option(
            help="Keep the running mean of the weights: the share a step keeps of it. Default 0: none."
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="imagenet|FILE", help="Start the trunk from ImageNet weights or a safetensors file."
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Train the base, a ResNet: with large margin cosine loss, or as --base says.

    [bold]Examples[/bold]

    pdsn base-train

    pdsn base-train --data data/lfw --run runs/lfw --epochs 40

    pdsn base-train --base siamese --run runs/siamese

    accelerate launch --num_processes 4 -m stages.cli base-train --data data/lfw --run runs/lfw
    """
    from stages.base_train import main

    options = layer(
        "base", kind=base, epochs=epochs, batch=batch, lr=lr, arch=arch, width=width, stem=stem,
        last_stride=last_stride, scale=scale, margin=margin, margin_warmup=margin_warmup, occlude=occlude, masked=masked,
        balance=balance, average=average, init=init,
    )  # fmt: skip
    main(Session(shared, options, force=force))


def base_import(
    shared: Shared,
    arch: Architecture = None,
    weights: Weights = None,
    classifier: Annotated[
        str | None,
        typer.Option(
            help="What the mask generators compare with: means (of the training people's embeddings) or trained."
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Take a recogniser that was trained elsewhere as the base: it is not retrained.

    [bold]Examples[/bold]

    pdsn base-import --arch mobilefacenet --weights mobilefacenet.npz --data data/lfw112 --run runs/mobile

    pdsn base-import --arch inception_resnet_v1 --weights vggface2 --data data/lfw160 --run runs/facenet
    """
    from stages.base_import import main

    main(Session(shared, recogniser(arch, weights, classifier=classifier), force=force))


def mask_train(
    shared: Shared,
    strategy: Strategies = None,
    epochs: Epochs = None,
    batch: Batch = None,
    lr: Rate = None,
    weight: Annotated[
        float | None, typer.Option("--lambda", help="Weight of the difference beside the class loss.")
    ] = None,
    intensity: Annotated[
        int | None, typer.Option(help="Grey level 0 to 255 of the blocks; -1 for random.")
    ] = None,
    jitter: Annotated[
        float | None,
        typer.Option(
            help="How far each edge of the blocks moves at most, as a share of the region's side. Default 0."
        ),
    ] = None,
    regions: Regions = None,
    region_floor: Floor = None,
    share: Annotated[
        float | None,
        typer.Option(
            help="matched: a region counts as occluded when more than this is covered. Default 0.5, with the preset pretrained 0.3."
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Train one mask generator per region of a strategy, or the masks of `matched`, with the base frozen.

    --epochs, --batch, --lr, --lambda, --intensity and --jitter are the generators'; what matched has goes into a --config.

    [bold]Examples[/bold]

    pdsn mask-train --strategy LM2

    pdsn mask-train --strategy LM1 --strategy grid3x3 --epochs 12
    """
    from stages.mask_train import main

    options = layer(
        "masks", epochs=epochs, batch=batch, lr=lr, weight=weight, intensity=intensity, jitter=jitter
    )
    options |= layer("regions", floor=region_floor, share=share) | layer("dictionary", regions=regions)
    main(Session(shared, options, force=force), strategy)


def build_dictionary(
    shared: Shared,
    strategy: AnyStrategies = None,
    percentile: Annotated[
        float | None,
        typer.Option(
            help="Drop the features below it. Default: the preset's, 60 in lfw10-clean; where it has none, or with -1, 25 for grid3x3, 20 for LM1, 30 for LM2 and LM2-split, for controls by their regions; matched has soft masks and needs none. Remembered."
        ),
    ] = None,
    regions: Regions = None,
    region_floor: Floor = None,
) -> None:
    """Turn the trained generators into the dictionary of binary masks.

    [bold]Examples[/bold]

    pdsn build-dictionary --strategy LM2

    pdsn build-dictionary --strategy difference --percentile 40
    """
    from stages.build_dictionary import main

    options = layer("dictionary", percentile=percentile, regions=regions)
    options |= layer("regions", floor=region_floor)
    main(Session(shared, options), strategy, skip_done=False)


def head_train(
    shared: Shared,
    strategy: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose FDMs. Default matched. Remembered.")
    ] = None,
    steps: Steps = None,
    batch: Batch = None,
    lr: Rate = None,
    force: Force = False,
) -> None:
    """Train the base's head once more, under random FDMs of a dictionary; trunk and masks stay as they are.

    From then on every recogniser of the run takes this head; `eval --no-head` does not.

    [bold]Examples[/bold]

    pdsn head-train

    pdsn head-train --strategy LM2 --steps 1200 --run runs/lfw
    """
    from stages.head_train import main

    main(Session(shared, layer("head", strategy=strategy, steps=steps, batch=batch, lr=lr), force=force))


def segment_train(
    shared: Shared,
    steps: Steps = None,
    batch: Batch = None,
    lr: Rate = None,
    encoder: Annotated[
        str | None,
        typer.Option(help="The U-Net's encoder, VGG or ResNet. The preset's."),
    ] = None,
    height: Annotated[
        int | None, typer.Option(help="Rows that the network sees; larger faces are reduced. Default 64.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="mask (the occluders' exact masks) or difference (of the photos, the paper's way). Default: the preset's."
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(metavar="imagenet", help="Start the encoder from ImageNet weights (a download)."),
    ] = None,
    force: Force = False,
) -> None:
    """Train the U-Net that finds what is covered.

    [bold]Examples[/bold]

    pdsn segment-train

    pdsn segment-train --data data/lfw --run runs/lfw --steps 4000 --height 128
    """
    from stages.segment_train import main

    options = layer(
        "segment", steps=steps, batch=batch, lr=lr, encoder=encoder, height=height, labels=labels, init=init
    )
    main(Session(shared, options, force=force))
