"""Stage `figures`: the papers' figures, made from a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pdsn.errors import PdsnError, UsageError, one_of
from pdsn.files import check_writable
from pdsn.run.stages import lacking
from stages.command import GOING_ON, RECOGNITION, command
from stages.making import make, refuse
from stages.options import OneStrategy
from stages.session import Session, Shared

NAMES = (
    "landmarks",
    "regions",
    "labels",
    "occluders",
    "segmentation",
    "saliency",
    "gradcam",
    "training",
    "distances",
)
"""What can be asked for, see `pdsn.report.papers.FIGURES`."""
NEED_UNET = ("segmentation", "saliency", "gradcam")


def main(
    session: Session, names: Sequence[str], beside: Sequence[Path], out: Path | None, strategy: str | None
) -> None:
    """Draw figures; without names all that the run can, and say which it cannot."""
    from rich.markup import escape

    from pdsn.explain.asking import explainer_of
    from pdsn.report.figures import save_figure
    from pdsn.report.papers import EXPLAINING, FIGURES
    from pdsn.run.strategies import choose_strategy
    from pdsn.run.tables import read_verification
    from pdsn.run.workspace import Workspace

    for name in names:
        one_of("--figure", name, NAMES)
    if beside and names and "gradcam" not in names:
        raise UsageError(
            "--beside sets the Grad-CAM of several runs side by side: add --figure gradcam, or leave it out"
        )
    if len({root.resolve() for root in (session.run.root, *beside)}) <= len(beside):
        raise UsageError("--beside names a run that is there already: name each run once")
    session.run.check_made()
    folder = session.run.root / "figures" if out is None else out
    check_writable("--out", folder)
    wanted = list(dict.fromkeys(names)) or list(NAMES)
    steps = lacking(session, segmenter=any(name in NEED_UNET for name in wanted))
    refuse(session, steps)
    make(session, steps)
    if not session.accelerator.is_main_process:
        return
    roots = [session.run.root, *beside]
    others = {_label(path, roots): Workspace.open(path, session.accelerator) for path in beside}
    for path, other in zip(beside, others.values(), strict=True):
        if other.dataset.sha256 != session.dataset.sha256:
            raise UsageError(
                f"--beside {path} is of other photos than {session.run.root}: give runs that were made with the same --data"
            )
    for name in wanted:
        try:
            if name in EXPLAINING:
                chosen = choose_strategy(session.run, session.shortest(strategy), session.settings.dictionary)
                own = explainer_of(session, chosen, methods=EXPLAINING)
                further = {
                    label: explainer_of(other, "none", methods=EXPLAINING) for label, other in others.items()
                }
                mine = _label(session.run.root, roots) if further else ""
                known = {mine: own, **further}
                figure = FIGURES[name](session, known if name == "gradcam" else own)
            elif name == "distances":
                figure = FIGURES[name](session, read_verification)
            else:
                figure = FIGURES[name](session)
        except PdsnError as error:
            if names:
                raise
            session.say(escape(f"left out: {name}: {error}"))
            continue
        folder.mkdir(parents=True, exist_ok=True)
        save_figure(figure, folder / f"{name}.png")
        session.say(escape(f"{name}: {folder / name}.png"))


def _label(root: Path, runs: Sequence[Path]) -> str:
    """What a run is called among others: by the name of its folder, or its path where two have the same."""
    names = [run.resolve().name for run in runs]
    return root.resolve().name if names.count(root.resolve().name) == 1 else str(root)


@command("figures", RECOGNITION, GOING_ON)
def figures(
    shared: Shared,
    figure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"{', '.join(NAMES)}; several times for several. Default: all that there are.",
        ),
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="RUN",
            help="Other runs on the same data, whose Grad-CAM stands beside this one's, such as one with CBAM.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where they go. Default: the run's figures/.")
    ] = None,
    strategy: OneStrategy = None,
) -> None:
    """Draw the papers' figures from a run: landmarks, regions, labels, occluders, segmentation, saliency, Grad-CAM, curves.

    [bold]Examples[/bold]

    pdsn figures --run runs/lfw

    pdsn figures --figure gradcam --beside runs/cbam --run runs/arcface
    """
    main(Session(shared, {}, keep=False), figure or (), beside or (), out, strategy)
