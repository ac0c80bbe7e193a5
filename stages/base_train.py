"""Stage `base-train`: the base CNN."""

from __future__ import annotations

from pathlib import Path

from pdsn.artefact import MODEL
from pdsn.bases.table import BASES
from pdsn.config.setting import SettingError
from pdsn.errors import UsageError
from stages.command import BEGINNING, TRAINING, command
from stages.options import Force, Layer
from stages.session import Session, Shared

OF_ANY_NETWORK = (
    "embedding", "dropout", "epochs", "batch", "lr", "optimizer", "weight_decay", "augment", "occlude", "masked", "balance",
    "average", "margin_warmup", "validate_every",
)  # fmt: skip
"""The settings under `[base]` that mean something to every base, whatever its network."""


def check(session: Session) -> None:
    """Raise UsageError where the base cannot be trained, before any face is drawn or read."""
    from pdsn.bases.opening import base_plugin

    if session.settings.pretrained.weights:
        raise SettingError(
            "pretrained.weights",
            session.settings.pretrained.weights,
            "goes with a recogniser: give its --arch too",
        )
    begun = (session.run.base / MODEL).is_file() and not session.force
    plugin = base_plugin(session.settings)
    if plugin.check is not None and not begun:
        plugin.check(session.settings.of(plugin))
    init = session.settings.base.init
    if init not in ("", "imagenet") and not begun and not Path(init).is_file():
        raise SettingError("base.init", init, "is no file: give a safetensors file, or imagenet")


def main(session: Session) -> None:
    """Train the base, or say that it is trained; prints its validation figures."""
    from pdsn.bases.opening import base_plugin
    from pdsn.bases.trained import check_trainable
    from pdsn.report.figures import plot_training
    from pdsn.training.batches import check_batch
    from pdsn.training.loop import read_metrics

    if session.settings.pretrained.arch:
        raise UsageError(
            f"the base of {session.run.root} is imported, {session.settings.pretrained.arch}: "
            "choose another --run to train one"
        )
    check_batch("base.batch", session.settings.base.batch, session.accelerator)
    check(session)
    folder, plugin = session.base_folder, base_plugin(session.settings)
    done = folder.open(force=session.force, replace_other=session.replace)
    if not done:
        check_trainable(plugin, folder, session.settings.base, session.training)
    session.begin()
    if done:
        best = folder.best()
        session.say(f"base: trained already, {folder.model}")
    else:
        assert plugin.train is not None
        best = plugin.train(session, session.settings.of(plugin), folder)
        if session.accelerator.is_main_process and folder.metrics.is_file():
            plot_training(
                read_metrics(folder), folder.root / "training.png", "val_rank1", "validation rank-1"
            )
    if "gap" in best:
        distances = ", ".join(f"{name} {best[name]:.3f}" for name in ("genuine", "impostor", "gap"))
        session.say(f"base: median squared distance of validation pairs: {distances}")
    occluded = f", rank-1 occluded {100 * best['occluded']:.2f} %" if "occluded" in best else ""
    session.say(
        f"base: validation rank-1 {100 * best['rank1']:.2f} %, rank-5 {100 * best['rank5']:.2f} %{occluded} "
        f"(epoch {best['epoch']:.0f}) -> {folder.model}"
    )


@command("base-train", TRAINING, BEGINNING, settings={"base": None}, plugins=BASES)
def base_train(shared: Shared, options: Layer, force: Force = False) -> None:
    """Train the base, a ResNet: with large margin cosine loss, or as --base says.

    [bold]Examples[/bold]

    pdsn base-train

    pdsn base-train --data data/lfw --run runs/lfw --epochs 40

    pdsn base-train --base siamese --run runs/siamese

    accelerate launch --num_processes 4 -m stages.cli base-train --data data/lfw --run runs/lfw
    """
    main(Session(shared, options, force=force))
