"""Stage `mask-train`: one mask generator per region, or masks learned in the match."""

from __future__ import annotations

from collections.abc import Sequence

from pdsn.errors import UsageError
from pdsn.run.stages import lacking
from stages.making import make
from stages.session import Session
from stages.tables import print_table


def main(session: Session, strategies: Sequence[str] | None) -> None:
    """Train the masks of some strategies (default LM2); those that are trained are left alone."""
    from pdsn.artefact import making
    from pdsn.masks.building import percentile_of
    from pdsn.masks.controls import CONTROLS
    from pdsn.masks.generators import train_generator
    from pdsn.masks.matched import MATCHED, train_matched
    from pdsn.training.batches import check_batch

    names = list(dict.fromkeys(strategies or ["LM2"]))
    for name in names:
        if name in CONTROLS:
            go_on = making(f"pdsn build-dictionary --strategy {name}", session.run.dictionary(name))
            raise UsageError(f"--strategy {name} is a control and has no generator: go on with `{go_on}`")
        session.check_regions(name)
    make(session, lacking(session))
    if MATCHED in names:
        check_batch("matching.batch", session.settings.matching.batch, session.accelerator)
    chosen = [session.regions_of(name) for name in names if name != MATCHED]
    if chosen:
        check_batch("masks.batch", session.settings.masks.batch, session.accelerator)
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
    rows = []
    for strategy, region, folder, done in todo:
        if done:
            best = folder.best()
        else:
            percentile = percentile_of(strategy.name, strategy, session.settings.dictionary.percentile)
            assert percentile is not None
            best = train_generator(
                maps, model, strategy, region, config, folder, session.accelerator, seed, percentile
            )
        figures = (_percent(best, f"rank1_{which}masked") for which in ("un", ""))
        rows.append((strategy.name, region, *figures))
    if matching is not None:
        if matched:
            best = matching.best()
        else:
            best = train_matched(
                maps, model, session.regions_of(MATCHED), session.settings.regions.share,
                session.settings.matching, matching, session.accelerator, seed,
            )  # fmt: skip
        rows.append((MATCHED, "all", "-", f"{100 * best['accuracy']:.1f} %"))
    if session.accelerator.is_main_process:
        head = ("strategy", "region", "rank-1 without", "with the mask")
        print_table(session.console, head, rows, title="Masks, occluded validation photos", text=["region"])


def _percent(best: dict[str, float], name: str) -> str:
    """A rate in per cent; generators that were trained before it was measured have none."""
    return f"{100 * best[name]:.1f} %" if name in best else "-"
