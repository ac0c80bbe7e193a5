"""Stage `mask-train`: one mask generator per region."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from pdsn.errors import UsageError
from stages.session import Session


def main(session: Session, strategies: Sequence[str] | None) -> None:
    """Train the generators of some strategies (default LM2); those that are trained are left alone."""
    from pdsn.masks.controls import CONTROLS
    from pdsn.masks.learning import train_generator

    names = list(dict.fromkeys(strategies or ["LM2"]))
    for name in names:
        if name in CONTROLS:
            raise UsageError(
                f"--strategy {name} is a control and has no generator: go on with `pdsn build-dictionary --strategy {name}`"
            )
    chosen = [session.strategy(name) for name in names]
    model, base = session.base()
    maps = session.pair_maps(model, base)
    config, seed = session.settings.masks, session.settings.seed
    todo = []
    for strategy in chosen:
        for region, folder in session.generator_folders(strategy, base).items():
            done = folder.open(force=session.force, replace_stale=True)
            todo.append((strategy, region, folder, done))
    session.begin()
    table = Table(
        "strategy",
        "region",
        "class loss",
        "difference",
        "accuracy under the mask",
        title="Mask generators, validation",
    )
    for strategy, region, folder, done in todo:
        if done:
            best = folder.best()
        else:
            best = train_generator(maps, model, strategy, region, config, folder, session.accelerator, seed)
        table.add_row(
            strategy.name,
            region,
            f"{best['loss_cls']:.3f}",
            f"{best['loss_diff']:.4f}",
            f"{100 * best['accuracy']:.1f} %",
        )
    if session.accelerator.is_main_process:
        session.console.print(table)
