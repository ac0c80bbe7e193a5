"""The command line, `pdsn`: groups, options and their help. What a command does stands in its stage.

Nothing heavy is imported here: `pdsn --help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pdsn import __version__
from pdsn.errors import UsageError
from stages import cli_people
from stages.command import OneLineErrors, command
from stages.session import Layer, Session, Shared

app = typer.Typer(
    name="pdsn",
    cls=OneLineErrors,
    help=(
        "Face recognition that goes on working when part of the face is covered.\n\n"
        "[bold]pdsn run[/bold] draws people, trains everything and prints the table, in a few minutes. "
        "[bold]pdsn run --photos DIR[/bold] does the same with a folder of photos per person."
    ),
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

EVERYTHING, DATA, TRAINING, RECOGNITION = "Everything", "Data", "Training", "Recognition"

Force = Annotated[bool, typer.Option("--force", help="Replace what was made with other settings.")]
Epochs = Annotated[int | None, typer.Option(help="Passes over the training photos.")]
Batch = Annotated[int | None, typer.Option(help="Photos a step, over all processes.")]
Rate = Annotated[float | None, typer.Option("--lr", help="Largest learning rate.")]
Floor = Annotated[
    float | None,
    typer.Option(
        "--region-floor",
        help="Least size of a landmark region, in units of the distance between the eyes; 0 is the paper's rule.",
    ),
]
Strategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy", metavar="NAME", help="grid3x3, LM1, LM2 or LM2-split; several times for several."
    ),
]
AnyStrategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy", metavar="NAME",
        help="grid3x3, LM1, LM2, LM2-split, or a control: random, geometric, difference, relative.",
    ),
]  # fmt: skip


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"pdsn {__version__}")
        raise typer.Exit


@command(app, "run", EVERYTHING)
def run(
    shared: Shared,
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Photos, a folder per person: prepared with the preset's settings first."
        ),
    ] = None,
    strategy: AnyStrategies = None,
    force: Force = False,
) -> None:
    """Do all stages, skipping what is done.

    [bold]Examples[/bold]

    pdsn run

    pdsn run --photos lfw --preset lfw10-clean --run runs/lfw
    """
    from stages.run import main

    main(shared, photos=photos, strategies=strategy, force=force)


@command(app, "prepare", DATA)
def prepare(
    shared: Shared,
    photos: Annotated[
        Path | None, typer.Argument(metavar="[PHOTOS]", help="A folder per person, as in LFW.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Height x width of a face in pixels. Default 128x96.")
    ] = None,
    align: Annotated[
        str | None, typer.Option(help="similarity (five points on a template) or box (crop and resize).")
    ] = None,
    face: Annotated[str | None, typer.Option(help="Which face of several: centre or largest.")] = None,
    min_photos: Annotated[
        int | None, typer.Option(help="Leave out people with fewer photos. Default 10.")
    ] = None,
    frontal: Annotated[
        float | None,
        typer.Option(
            help="Leave out side views: largest distance of the eyes' centre from the box's, in box widths."
        ),
    ] = None,
    min_face: Annotated[
        int | None, typer.Option(help="Edge of the smallest face looked for, in pixels.")
    ] = None,
    split_seed: Annotated[
        int | None, typer.Option(help="Seed of the splits; not the training seed. Default 0.")
    ] = None,
    lfw: Annotated[
        bool, typer.Option("--lfw", help="Download LFW (funneled) with scikit-learn and prepare it.")
    ] = False,
    force: Force = False,
) -> None:
    """Find, align and store the faces of a folder of photos.

    [bold]Examples[/bold]

    pdsn prepare lfw --data data/lfw

    pdsn prepare team-photos --data data/team --min-photos 4 --face largest
    """
    from stages.prepare import main

    options = _layer(
        "prepare", size=None if size is None else _size(size), align=align, face=face, min_photos=min_photos,
        frontal=frontal, min_face=min_face, split_seed=split_seed,
    )  # fmt: skip
    main(shared, options, photos=photos, lfw=lfw, force=force)


@command(app, "base-train", TRAINING)
def base_train(
    shared: Shared,
    epochs: Epochs = None,
    batch: Batch = None,
    lr: Rate = None,
    arch: Annotated[str | None, typer.Option(help="resnet34 or resnet18.")] = None,
    width: Annotated[
        int | None, typer.Option(help="Channels of the first stage; 64 is ResNet's own.")
    ] = None,
    stem: Annotated[str | None, typer.Option(help="standard (a map of 4x3 at 128x96) or fine (8x6).")] = None,
    scale: Annotated[float | None, typer.Option(help="s of the large margin cosine loss.")] = None,
    margin: Annotated[float | None, typer.Option(help="m of the large margin cosine loss.")] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="imagenet|FILE", help="Start the trunk from ImageNet weights or a safetensors file."
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Train the base CNN: ResNet34 with large margin cosine loss.

    [bold]Examples[/bold]

    pdsn base-train

    pdsn base-train --data data/lfw --run runs/lfw --epochs 40

    accelerate launch --num_processes 4 -m stages.cli base-train --data data/lfw --run runs/lfw
    """
    from stages.base_train import main

    options = _layer(
        "base", epochs=epochs, batch=batch, lr=lr, arch=arch, width=width, stem=stem, scale=scale,
        margin=margin, init=init,
    )  # fmt: skip
    main(Session(shared, options, force=force))


@command(app, "mask-train", TRAINING)
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
    region_floor: Floor = None,
    force: Force = False,
) -> None:
    """Train one mask generator per region of a strategy, with the base frozen.

    [bold]Examples[/bold]

    pdsn mask-train --strategy LM2

    pdsn mask-train --strategy LM1 --strategy grid3x3 --epochs 12
    """
    from stages.mask_train import main

    options = _layer("masks", epochs=epochs, batch=batch, lr=lr, weight=weight, intensity=intensity)
    options |= _layer("regions", floor=region_floor)
    main(Session(shared, options, force=force), strategy)


@command(app, "build-dictionary", TRAINING)
def build_dictionary(
    shared: Shared,
    strategy: AnyStrategies = None,
    percentile: Annotated[
        float | None,
        typer.Option(
            help="Drop the features below it. Default 25 for grid3x3, 20 for LM1, 30 for LM2 and the controls."
        ),
    ] = None,
    regions: Annotated[
        str | None, typer.Option(help="The strategy whose regions the controls use. Default LM2.")
    ] = None,
    region_floor: Floor = None,
) -> None:
    """Turn the trained generators into the dictionary of binary masks.

    [bold]Examples[/bold]

    pdsn build-dictionary --strategy LM2

    pdsn build-dictionary --strategy difference --percentile 40
    """
    from stages.build_dictionary import main

    options = _layer("dictionary", percentile=percentile, regions=regions)
    options |= _layer("regions", floor=region_floor)
    main(Session(shared, options), strategy)


@command(app, "segment-train", TRAINING)
def segment_train(
    shared: Shared,
    steps: Annotated[
        int | None, typer.Option(help="Steps of training, whatever the number of photos.")
    ] = None,
    batch: Batch = None,
    lr: Rate = None,
    encoder: Annotated[str | None, typer.Option(help="The U-Net's VGG encoder. Default vgg16_bn.")] = None,
    height: Annotated[
        int | None, typer.Option(help="Rows that the network sees; larger faces are reduced. Default 64.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="mask (the occluders' exact masks) or difference (of the photos, the paper's way)."
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

    options = _layer(
        "segment", steps=steps, batch=batch, lr=lr, encoder=encoder, height=height, labels=labels, init=init
    )
    main(Session(shared, options, force=force))


@command(app, "eval", RECOGNITION)
def evaluate(
    shared: Shared,
    occlusion: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="all, clean, forehead, eyes, nose, mouth, chin, nose+mouth+chin, face-mask, sunglasses, scarf, cap, hand, random-block, face-mask-seen, sunglasses-seen, or block:STRATEGY/REGION.",
        ),
    ] = None,
    strategy: AnyStrategies = None,
    occlusion_source: Annotated[
        str | None,
        typer.Option(
            help="Where the covered pixels come from: segmenter (the U-Net) or oracle (the occluders' exact masks)."
        ),
    ] = None,
    align: Annotated[
        str | None,
        typer.Option(
            help="clean (occlude the aligned face) or occluded (paint the photo, then detect and align)."
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="The probes: test or val.")] = None,
    share: Annotated[
        float | None, typer.Option(help="A region counts as occluded when more than this is covered.")
    ] = None,
    mirror: Annotated[
        bool | None, typer.Option("--mirror/--no-mirror", help="Add the embedding of the mirror image.")
    ] = None,
) -> None:
    """Recognise occluded test photos and print the table, one column per strategy.

    [bold]Examples[/bold]

    pdsn eval --occlusion all

    pdsn eval --occlusion sunglasses --strategy LM2

    pdsn eval --align occluded
    """
    from stages.evaluate import main

    options = _layer(
        "eval", occlusions=None if occlusion is None else list(occlusion), source=occlusion_source, align=align,
        split=split, share=share, mirror=mirror,
    )  # fmt: skip
    main(Session(shared, options), strategy)


def _layer(section: str, **values: object) -> Layer:
    """The options that were given, as a settings layer."""
    given = {name: value for name, value in values.items() if value is not None}
    return {section: given} if given else {}


def _size(text: str) -> list[int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise UsageError(f"--size {text} is not HEIGHTxWIDTH, such as 128x96")
    return [int(height), int(width)]


cli_people.register(app)

if __name__ == "__main__":
    app()
