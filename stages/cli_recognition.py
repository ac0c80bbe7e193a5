"""The commands that recognise: `pdsn eval`, and `pdsn identify` and `verify` for new photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.command import command
from stages.options import AnyStrategies, layer
from stages.session import Session, Shared

PANEL = "Recognition"

Strategy = Annotated[
    str | None,
    typer.Option(
        "--strategy", metavar="NAME",
        help="Whose dictionary makes the FDM; none for no FDM, or another matcher by its name. Default: the one that the run's preset prefers, else matched, LM2, or the only one there is.",
    ),
]  # fmt: skip
Source = Annotated[
    str | None,
    typer.Option(
        "--occlusion-source", metavar="NAME",
        help="Where the covered pixels come from: segmenter (the U-Net) or none (nothing is covered). Default segmenter, with --strategy none none.",
    ),
]  # fmt: skip
Rate = Annotated[
    float | None,
    typer.Option(
        "--fpr", metavar="RATE",
        help="Share of strangers who may pass for somebody; it sets the threshold, from the run's validation photos or people. Default 0.01; identify takes the finest that few photos can tell.",
    ),
]  # fmt: skip
MinFace = Annotated[
    int | None,
    typer.Option(
        "--min-face", metavar="PIXELS",
        help="Edge of the smallest face looked for, in the photo reduced to at most 1024 pixels. Default: the run's.",
    ),
]  # fmt: skip
Picture = Annotated[
    Path | None,
    typer.Option("--picture", metavar="PATH", help="Where the picture goes. Default: the run's identify/."),
]
Pictures = Annotated[bool, typer.Option("--draw/--no-draw", help="Draw the picture.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON alone on standard output.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    command(app, "eval", PANEL)(evaluate)
    command(app, "pool", PANEL)(pool)
    command(app, "identify", PANEL)(identify)
    command(app, "verify", PANEL)(verify)


def evaluate(
    shared: Shared,
    occlusion: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="all, clean, forehead, eyes, nose, mouth, chin, nose+mouth+chin, face-mask, sunglasses, scarf, cap, hand, random-block, BAND-textured, face-mask-seen, sunglasses-seen, face, background, or block:LAYOUT/REGION.",
        ),
    ] = None,
    strategy: AnyStrategies = None,
    matcher: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A matcher beside the cosine and PDSN, as a further column; several times for several.",
        ),
    ] = None,
    occlusion_source: Annotated[
        str | None,
        typer.Option(
            help="Where the covered pixels come from: segmenter (the U-Net) or oracle (the occluders' exact masks). Default segmenter."
        ),
    ] = None,
    align: Annotated[
        str | None,
        typer.Option(
            help="clean (occlude the aligned face) or occluded (paint the photo, then detect and align). Default clean."
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="The probes: test or val. Default test.")] = None,
    enrol: Annotated[
        int | None,
        typer.Option(
            help="In a run that is split by person: photos of each person in the gallery. Default 5."
        ),
    ] = None,
    draws: Annotated[
        int | None, typer.Option(help="How often each photo is occluded, each time differently. Default 1.")
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(
            help="A region counts as occluded when more than this is covered. Default: what the run has."
        ),
    ] = None,
    mirror: Annotated[
        bool | None,
        typer.Option(
            "--mirror/--no-mirror",
            help="Add the embedding of the mirror image. Default: what the run's preset says.",
        ),
    ] = None,
    head: Annotated[
        bool | None,
        typer.Option("--head/--no-head", help="Take the head tuned by head-train, where there is one."),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            help="With each person's nearest photo, the mean of their photos, or both. Default: the preset's."
        ),
    ] = None,
    unmasked: Annotated[
        float | None,
        typer.Option(
            help="Weight of the cosine without the FDM beside the one under it. Default: the preset's."
        ),
    ] = None,
) -> None:
    """Recognise occluded test photos and print the table, one column per strategy.

    Without options it makes the run's own table, in eval/; what options ask for goes to a folder of its own in eval/asked.

    [bold]Examples[/bold]

    pdsn eval --occlusion all

    pdsn eval --occlusion sunglasses --strategy LM2

    pdsn eval --align occluded

    pdsn eval --run runs/people-apart --enrol 3 --draws 5
    """
    from stages.evaluate import main

    options = layer(
        "eval", occlusions=None if occlusion is None else list(occlusion), source=occlusion_source, align=align,
        split=split, mirror=mirror, head=head, compare=compare, unmasked=unmasked, enrol=enrol, draws=draws,
        matchers=None if matcher is None else list(matcher),
    )  # fmt: skip
    main(Session(shared, options | layer("regions", share=share), keep=False), strategy)


def pool(
    shared: Shared,
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run directories that differ in --seed alone.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Where the pooled table goes: a new folder, or an earlier one's, which is replaced.",
        ),
    ] = Path("runs/pooled"),
    align: Annotated[
        str, typer.Option(help="Which of a run's tables: clean, or occluded (see eval).")
    ] = "clean",
    table: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Tables that eval was asked for by options, by the name of their folder in eval/asked. Default: the runs' own.",
        ),
    ] = "",
) -> None:
    """Make one table of several training seeds: means, intervals clustered by photo, each run's rank-1.

    [bold]Examples[/bold]

    pdsn pool runs/seed0 runs/seed1 runs/seed2 --out runs/three-seeds

    pdsn pool runs/seed0 runs/seed1 --table draws=5 --out runs/two-seeds
    """
    from stages.pool import main

    del shared
    main(runs, out, align, table)


def identify(
    shared: Shared,
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO...", help="Photos; a folder stands for those in it.")
    ],
    gallery: Annotated[
        Path | None,
        typer.Option(
            metavar="PHOTOS",
            help="Who can be named: a folder per person, or a prepared data set. Default: the run's people.",
        ),
    ] = None,
    strategy: Strategy = None,
    occlusion_source: Source = None,
    fpr: Rate = None,
    min_face: MinFace = None,
    picture: Picture = None,
    draw: Pictures = True,
    json: Json = False,
) -> None:
    """Name every face of new photos, or say that nobody known is near enough. Exit code 1 if no photo shows a face.

    [bold]Examples[/bold]

    pdsn identify meeting.jpg --run runs/lfw

    pdsn identify door/ --run runs/lfw --gallery team-photos --fpr 0.002 --json
    """
    from stages.identify import main

    found = main(
        Session(shared, layer("prepare", min_face=min_face), keep=False), photos, gallery=gallery, strategy=strategy, source=occlusion_source, fpr=fpr,
        min_face=min_face, picture=picture, pictures=draw, as_json=json,
    )  # fmt: skip
    if not found:
        raise typer.Exit(1)


def verify(
    shared: Shared,
    a: Annotated[Path, typer.Argument(metavar="A", help="A photo.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    strategy: Strategy = None,
    occlusion_source: Source = None,
    fpr: Rate = None,
    min_face: MinFace = None,
    picture: Picture = None,
    draw: Pictures = True,
    json: Json = False,
) -> None:
    """Say whether two photos show the same person; of several faces the largest is compared.

    [bold]Examples[/bold]

    pdsn verify badge.jpg door.jpg --run runs/lfw

    pdsn verify badge.jpg door.jpg --run runs/lfw --fpr 0.001 --json
    """
    from stages.verify import main

    main(
        Session(shared, layer("prepare", min_face=min_face), keep=False), a, b, strategy=strategy, source=occlusion_source, fpr=fpr, min_face=min_face,
        picture=picture, pictures=draw, as_json=json,
    )  # fmt: skip
