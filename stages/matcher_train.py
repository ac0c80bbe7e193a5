"""The stages that train a matcher each: `parts-train`, `xcos-train` … `pdsn eval --matcher NAME` has a column for what they make."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer

from pdsn.config.setting import Section, declared
from pdsn.errors import UsageError, one_of
from pdsn.files import write_text
from pdsn.matchers.table import MATCHERS
from pdsn.plugin import find_plugin
from pdsn.run.stages import lacking
from pdsn.run.strategies import refuse_closed
from stages.command import MAKING, TRAINING, command
from stages.making import make
from stages.options import Force, Layer, option_of
from stages.session import Session, Shared
from stages.tables import print_table

PARTS = {"maps": "parts", "cnn": "parts-cnn"}
HEADS = {"embedding": "zeroing", "softmax": "zeroing-softmax"}


def main(session: Session, names: Sequence[str]) -> None:
    """Train some matchers, or say that they are trained; prints their validation figures."""
    from pdsn.report.figures import plot_training
    from pdsn.training.batches import check_batch
    from pdsn.training.loop import read_metrics

    if session.settings.split == "person":
        refuse_closed(names)
    plugins = {name: find_plugin(MATCHERS, name, "--matcher") for name in names}
    for name, plugin in plugins.items():
        own = session.settings.of(plugin)
        if plugin.check is not None:
            plugin.check(own)
        check_batch(f"{name}.batch", own.batch, session.accelerator)
    make(session, lacking(session))
    folders = {name: session.matcher_folder(name) for name in names}
    done = {
        name: folder.open(force=session.force, replace_stale=True, replace_other=session.replace)
        for name, folder in folders.items()
    }
    session.begin()
    for name, folder in folders.items():
        if done[name]:
            best = folder.best()
            session.say(f"{name}: trained already, {folder.model}")
        else:
            train = plugins[name].train
            assert train is not None
            best = train(session, session.settings.of(plugins[name]), folder)
            if session.accelerator.is_main_process:
                plot_training(
                    read_metrics(folder), folder.root / "training.png", "val_score", "validation, named right"
                )
        session.say(
            f"{name}: names {100 * best['rank1']:.2f} % of the clean validation photos and {100 * best['occluded']:.2f} % of the "
            f"occluded ones by one photo of each person -> {folder.model}"
        )
        if name in PARTS.values():
            _show_weights(session, name)


def _show_weights(session: Session, name: str) -> None:
    """Print what each part counts, and leave it beside the matcher, as a picture and as JSON."""
    from pdsn.matchers.parts import PartsMatcher
    from pdsn.report.figures import plot_weights

    if not session.accelerator.is_main_process:
        return
    matcher = session.matcher(name)
    assert isinstance(matcher, PartsMatcher) and matcher.layout is not None
    weights = dict(zip(matcher.regions, matcher.weights, strict=True))
    folder = session.run.matcher(name)
    write_text(folder / "weights.json", json.dumps(weights, indent=2) + "\n")
    plot_weights(matcher.layout, matcher.weights, session.example_face(), folder / "weights.png")
    rows = [(part, f"{100 * weight:.1f} %") for part, weight in weights.items()]
    print_table(session.console, ("part", "weight"), rows, title=f"What each part counts, {name}")
    session.say(f"weights: {folder / 'weights.json'}, weights.png")


def _of(chosen: str, others: Sequence[str], options: Layer, command: str, choice: str) -> Layer:
    """The options of the plug-in that is trained: what plug-ins have in common is typed alike for all of them.

    Raises:
        UsageError: an option was typed that means nothing to it.
    """
    known = declared(_settings(chosen))
    typed: Layer = {}
    for section in (chosen, *others):
        for name, value in options.get(section, {}).items():
            if name not in known:
                raise UsageError(
                    f"{option_of(f'{section}.{name}', command)} means nothing to {choice}: leave it out"
                )
            typed[name] = value
    rest = {name: value for name, value in options.items() if name not in (chosen, *others)}
    return {**rest, **({chosen: typed} if typed else {})}


def _settings(name: str) -> type[Section]:
    kind = find_plugin(MATCHERS, name, "--matcher").settings
    assert kind is not None and issubclass(kind, Section)
    return kind


def _trains(*names: str) -> dict[str, str]:
    """The rows of the table whose settings are options of a command."""
    return {name: MATCHERS[name] for name in names}


@command("parts-train", TRAINING, MAKING, plugins=_trains("parts", "parts-cnn"))
def parts_train(
    shared: Shared,
    options: Layer,
    by: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="maps takes the base's own maps, and learns the weights alone: the matcher parts; cnn learns a small network for "
            "crops of the parts, too: parts-cnn.",
        ),
    ] = "maps",
    force: Force = False,
) -> None:
    """Train the matcher `parts`: the parts of the face that are free in both photos, with learned weights.

    The weights are printed, and drawn and written beside the matcher, weights.png and weights.json.

    [bold]Examples[/bold]

    pdsn parts-train

    pdsn parts-train --by cnn --layout LM2 --run runs/lfw
    """
    one_of("--by", by, tuple(PARTS))
    others = [name for kind, name in PARTS.items() if kind != by]
    options = _of(PARTS[by], others, options, "parts-train", f"--by {by}")
    main(Session(shared, options, force=force), [PARTS[by]])


@command("zeroing-train", TRAINING, MAKING, plugins=_trains("zeroing", "zeroing-softmax"))
def zeroing_train(
    shared: Shared,
    options: Layer,
    head: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="embedding learns a fully connected layer by contrastive loss: the matcher zeroing; softmax a classifier of the "
            "people it is trained on, from ten segments: zeroing-softmax.",
        ),
    ] = "embedding",
    force: Force = False,
) -> None:
    """Train the matcher `zeroing`: what lies under the occlusion is set to 0 in the map of the covered photo.

    [bold]Examples[/bold]

    pdsn zeroing-train

    pdsn zeroing-train --head softmax --run runs/lfw
    """
    one_of("--head", head, tuple(HEADS))
    others = [name for kind, name in HEADS.items() if kind != head]
    options = _of(HEADS[head], others, options, "zeroing-train", f"--head {head}")
    main(Session(shared, options, force=force), [HEADS[head]])


@command("xcos-train", TRAINING, MAKING, plugins=_trains("xcos"))
def xcos_train(shared: Shared, options: Layer, force: Force = False) -> None:
    """Train the matcher `xcos`: a cosine that says how much each cell of the face adds to it.

    [bold]Examples[/bold]

    pdsn xcos-train

    pdsn xcos-train --covered seen --run runs/lfw
    """
    main(Session(shared, options, force=force), ["xcos"])


@command("unmask-train", TRAINING, MAKING, plugins=_trains("unmask"))
def unmask_train(shared: Shared, options: Layer, force: Force = False) -> None:
    """Train the matcher `unmask`: a small network that takes the occlusion out of a covered face's embedding.

    [bold]Examples[/bold]

    pdsn unmask-train

    pdsn unmask-train --loss triplet --run runs/lfw
    """
    main(Session(shared, options, force=force), ["unmask"])


@command("cross-encoder-train", TRAINING, MAKING, plugins=_trains("cross-encoder"))
def cross_encoder_train(shared: Shared, options: Layer, force: Force = False) -> None:
    """Train the matcher `cross-encoder`: both faces in one network, which compares the best of another matcher again.

    [bold]Examples[/bold]

    pdsn cross-encoder-train

    pdsn cross-encoder-train --stack vertical --first xcos --run runs/lfw
    """
    main(Session(shared, options, force=force), ["cross-encoder"])
