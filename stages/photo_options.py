"""Options that `identify`, `verify`, `explain`, `enrol` and `people` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Source = Annotated[
    str | None,
    typer.Option(
        "--occlusion-source",
        metavar="NAME",
        help="Where the covered pixels come from: segmenter (the segmentation) or none (nothing is covered). Default segmenter, with --strategy none none. With --evaluate of explain: segmenter, or oracle for the exact pixels.",
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        "--fpr",
        metavar="RATE",
        help="Share of strangers who may pass for somebody; it sets the threshold, from the run's validation photos or people. Default 0.01; identify takes the finest that few photos can tell.",
    ),
]
StrangersDir = Annotated[
    Path | None,
    typer.Option(
        "--strangers",
        metavar="DIR",
        help="Whom --fpr is about: people photographed as yours are, a folder per person, or a prepared data set, which is faster. Default: the run's validation photos.",
    ),
]
Picture = Annotated[
    Path | None,
    typer.Option(
        "--picture",
        metavar="PATH",
        help="Where the picture goes. Default: the run's identify/, of explain its explain/.",
    ),
]
Pictures = Annotated[bool, typer.Option("--draw/--no-draw", help="Draw the picture.")]
PeopleDir = Annotated[
    str,
    typer.Option(
        "--people",
        metavar="DIR",
        help="The store, which `enrol` makes: a folder of its own; or a table of LanceDB (the extra scale): lance:// and a folder, such as lance://team, or an object store's address, such as lance://s3://bucket/team.",
    ),
]
