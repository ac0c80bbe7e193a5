"""Stage `mask-train`: one mask generator per region, or masks learned in the match."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from pdsn.errors import UsageError
from stages.session import Session


def main(session: Session, strategies: Sequence[str] | None) -> None:
    """Train the masks of some strategies (default LM2); those that are trained are left alone."""
    from pdsn.artefact import making
    from pdsn.masks.controls import CONTROLS
    from pdsn.masks.learning import train_generator
    from pdsn.masks.matching import MATCHED, train_matched

    names = list(dict.fromkeys(strategies or ["LM2"]))
    for name in names:
        if name in CONTROLS:
            go_on = making(f"pdsn build-dictionary --strategy {name}", session.run.dictionary(name))
            raise UsageError(f"--strategy {name} is a control and has no generator: go on with `{go_on}`")
        session.check_regions(name)
    session.need()
    chosen = [session.regions_of(name) for name in names if name != MATCHED]
    model, base = session.base()
    maps = session.pair_maps(model, base)
    config, seed = session.settings.masks, session.settings.seed
    todo = []
    for strategy in chosen:
        for region, folder in session.generator_folders(strategy, base).items():
            done = folder.open(force=session.force, replace_stale=True)
            todo.append((strategy, region, folder, done))
    matching = session.matching_folder(base) if MATCHED in names else None
    matched = matching is not None and matching.open(force=session.force, replace_stale=True)
    session.begin()
    table = Table(
        "strategy", "region", "class loss", "difference", "right under the mask", title="Masks, validation"
    )
    for strategy, region, folder, done in todo:
        if done:
            best = folder.best()
        else:
            best = train_generator(maps, model, strategy, region, config, folder, session.accelerator, seed)
        figures = f"{best['loss_cls']:.3f}", f"{best['loss_diff']:.4f}", f"{100 * best['accuracy']:.1f} %"
        table.add_row(strategy.name, region, *figures)
    if matching is not None:
        if matched:
            best = matching.best()
        else:
            best = train_matched(
                maps, model, session.regions_of(MATCHED), session.settings.regions.share,
                session.settings.matching, matching, session.accelerator, seed,
            )  # fmt: skip
        table.add_row(MATCHED, "all", f"{best['loss']:.3f}", "-", f"{100 * best['accuracy']:.1f} %")
    if session.accelerator.is_main_process:
        session.console.print(table)
