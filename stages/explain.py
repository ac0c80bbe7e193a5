"""Stage `explain`: where a score comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pdsn.artefact import MODEL
from pdsn.config.layers import merge
from pdsn.errors import PdsnError, UsageError
from stages.command import GOING_ON, RECOGNITION, command
from stages.errors import complain
from stages.options import Json, Layer, OneStrategy
from stages.photo_options import Picture, Pictures, Rate, Source, StrangersDir
from stages.picture_files import NAME_BYTES, draw, picture_path, short
from stages.recognising import (
    Common,
    about_run,
    begin,
    check_rate_asked,
    open_run,
    see_strangers,
    shown,
)
from stages.session import Session, Shared
from stages.tables import print_json, print_table

if TYPE_CHECKING:
    from pdsn.explain.asking import Asked
    from pdsn.explain.photos import PhotoExplanation


def main(session: Session, asked: Asked, common: Common) -> None:
    """Explain one score, write the picture and print the figures."""
    from pdsn.calibration.strangers import DEFAULT_FPR
    from pdsn.explain.asking import check_asked, check_photos, check_strategy

    if not session.accelerator.is_main_process:
        return
    fpr = common.fpr
    if asked.person is not None and fpr is not None:
        raise UsageError("--fpr sets a threshold, and the mean of a person's photos has none: leave it out")
    if asked.person is None and fpr is None:
        fpr = DEFAULT_FPR
    check_asked(asked)
    if common.strategy is not None:
        check_strategy(common.strategy)
    steps = begin(session, common)
    target = _target(asked, common.picture, session.run.root / "explain") if common.pictures else None
    check_rate_asked(session, common, fpr, pairs=True)
    check_photos(session, asked)
    run = open_run(session, common, steps)
    if asked.person is None:  # of a person there is no verdict
        see_strangers(run.get_ready_to_explain)
    rate = DEFAULT_FPR if fpr is None else fpr  # of a person nothing is told by it
    answer = run.explain(
        asked.probe,
        asked.reference,
        fpr=rate,
        person=asked.person,
        methods=asked.methods,
        layer=asked.layer,
        layout=asked.layout,
        occlusion=asked.occlusion,
    )

    for photo, count in zip(answer.photos, answer.faces, strict=True):
        if count > 1:
            complain("explain", f"{shown(photo.path)} shows {count} faces: the largest is explained")

    target = draw("explain", partial(run.draw, answer), target)
    if common.as_json:
        where = None if target is None else shown(target)
        print_json({**about_run(session, run, fpr), **answer.as_dict(), "picture": where})
        return
    from rich.markup import escape

    _show(session, answer)
    if not asked.methods:
        _say_left_out(session)
    if target is not None:
        session.say(f"picture: {escape(shown(target))}")


def _say_left_out(session: Session) -> None:
    """Say why an xCos that the run has is not shown, such as that it belongs to another base."""
    from rich.markup import escape

    if not (session.run.matcher("xcos") / MODEL).is_file():
        return
    try:
        session.matcher("xcos")
    except PdsnError as error:
        session.say(escape(f"left out: xcos: {error}"))


def _target(asked: Asked, picture: Path | None, default: Path) -> Path:
    """Where the picture goes, see `picture_path`."""
    other = asked.person or (_stem(asked.reference) if asked.reference else "nearest")
    most = (NAME_BYTES - len("--explained.png")) // 2
    covered = f"-{asked.occlusion.replace('/', '-').replace(':', '-')}" if asked.occlusion else ""
    probe = short(_stem(asked.probe), most - len(covered)) + covered
    name = f"{probe}-{short(other, most)}-explained.png"
    photos = [Path(name) for name in (asked.probe, asked.reference) if name is not None]
    return picture_path(picture, default, name, photos)


def _stem(name: str) -> str:
    """What a photo is called in the name of a picture: an entry of the data set with its person, who may have a 1.jpg like others."""
    path = Path(name)
    return path.stem if path.exists() else "-".join(path.with_suffix("").parts)


def _show(session: Session, answer: PhotoExplanation) -> None:
    """The scores, and how much each region adds by each method."""
    from rich.markup import escape

    from pdsn.explain.pictures import verdict

    other = shown(answer.photos[1].path)
    against = other if answer.person is None else f"the mean of {answer.person}"
    for column in answer.columns:
        said = verdict(column.cosine, answer.thresholds[column.name])
        covered = ", ".join(column.covered) or "nothing"
        session.say(
            escape(f"{column.name}: cosine {column.cosine:.3f} with {against}{said}, covered: {covered}")
        )
    names = [column.name for column in answer.columns]
    for one in answer.explanations:
        columns: Any = one.said.get("columns")
        if one.method == "regions":
            rows = [
                (region, *(f"{columns[name]['shapley'][region]:+.3f}" for name in names))
                for region in columns[names[0]]["shapley"]
            ]
            rows.append(("all hidden", *(f"{columns[name]['empty']:+.3f}" for name in names)))
            rows.append(("together", *(f"{columns[name]['whole']:+.3f}" for name in names)))
            title = "What each region adds to the cosine"
            print_table(session.console, ("region", *names), rows, title=title)
        elif one.method == "xcos":
            session.say(
                f"xcos: cosine {one.said['cosine']:.3f}, attention and local cosines in the picture and in --json"
            )
        elif one.method == "fdm":
            session.say(
                f"FDM: {100 * float(str(one.said['dropped_share'])):.1f} % of the features are left out"
            )
        elif not any(
            columns[name]["regions"][region] for name in names for region in columns[name]["regions"]
        ):
            session.say(f"{one.method}: 0 everywhere, nothing in this layer raises the score")
        else:
            rows = [
                (region, *(f"{100 * columns[name]['regions'][region]:.0f}" for name in names))
                for region in columns[names[0]]["regions"]
            ]
            print_table(
                session.console, ("region", *names), rows, title=f"Share of {one.method} in each region, %"
            )


@command(
    "explain",
    RECOGNITION,
    GOING_ON,
    settings={"explain": ("probes", "curves", "steps"), "prepare": ("min_face",)},
    default="the run's",
)
def explain(
    shared: Shared,
    options: Layer,
    probe: Annotated[
        str, typer.Argument(metavar="PROBE", help="A photo, or an entry of the run's data set by its name.")
    ] = "",
    reference: Annotated[
        str | None,
        typer.Argument(
            metavar="REFERENCE",
            help="Another one to compare with. Default: the nearest photo of the run's people.",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="saliency, gradcam, layercam, regions, xcos or fdm; several times for several. Default: all that there are.",
        ),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="One of the run's people: the mean of their photos takes the reference's place.",
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Layer of the base for gradcam and layercam, by torch's name. Default: map, the last map.",
        ),
    ] = None,
    layout: Annotated[str, typer.Option(metavar="NAME", help="Whose regions are told apart.")] = "LM2",
    occlusion: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What is painted first on the probe, an entry of the data set. With --evaluate several times for several, by "
            "default all.",
        ),
    ] = None,
    evaluate: Annotated[
        bool,
        typer.Option(
            "--evaluate",
            help="Measure saliency, gradcam and layercam on the test photos: how much of a map lies on what is covered, and "
            "whether it points at what counts.",
        ),
    ] = False,
    strategy: OneStrategy = None,
    occlusion_source: Source = None,
    fpr: Rate = None,
    strangers: StrangersDir = None,
    picture: Picture = None,
    draw: Pictures = True,
    json: Json = False,
) -> None:
    """Show where the score of two photos comes from, with and without the FDM; of several faces the largest is taken.

    [bold]Examples[/bold]

    pdsn explain door.jpg badge.jpg --run runs/lfw

    pdsn explain door.jpg --person "Ann Lee" --method gradcam --layer layer3 --run runs/lfw

    pdsn explain Ann_Lee/0004.jpg --occlusion sunglasses --method regions --layout grid3x3 --run runs/lfw

    pdsn explain --evaluate --occlusion face-mask --run runs/lfw
    """
    from pdsn.explain.asking import Asked
    from stages import explain_many

    covered = tuple(occlusion or ())
    if evaluate:
        others = {
            "--person": person is not None,
            "--layout": layout != "LM2",
            "--fpr": fpr is not None,
            "--strangers": strangers is not None,
            "--picture": picture is not None,
            "--no-draw": not draw,
            "--min-face": "prepare" in options,
        }
        explain_many.check_none(probe, [name for name, given in others.items() if given])
        wanted = {
            "eval": {"occlusions": covered, "source": occlusion_source},
            "explain": {"methods": tuple(method or ()), "layer": layer},
        }
        given = {name: {key: one for key, one in part.items() if one} for name, part in wanted.items()}
        options = merge(options, given)
        session = Session(shared, options, keep=False)
        if json:
            session.console = Console(stderr=True)
        table = explain_many.main(session, strategy)
        if json and table is not None:
            print_json({"format": 1, **table})
        return
    check_one(probe, covered, options.get("explain", {}))
    asked = Asked(probe, reference, person, tuple(method or ()), layer or "map", layout, "".join(covered))
    common = Common.asked(
        options,
        strategy,
        occlusion_source,
        fpr=fpr,
        strangers=strangers,
        picture=picture,
        pictures=draw,
        as_json=json,
    )
    main(Session(shared, options, keep=False), asked, common)


def check_one(probe: str, occlusions: Sequence[str], measuring: Mapping[str, object]) -> None:
    """Raise UsageError unless one photo is asked about."""
    if not probe:
        raise UsageError(
            "give a PROBE, a photo or an entry of the data set, or --evaluate for the test photos"
        )
    if measuring:
        raise UsageError(f"--{next(iter(measuring))} is for --evaluate: add that, or leave it out")
    if len(occlusions) > 1:
        raise UsageError(
            "--occlusion is given several times: one is painted on a probe, --evaluate takes several"
        )
