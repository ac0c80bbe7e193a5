"""Stage `build-dictionary`: generators, or a control's ranking, to binary masks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pdsn.run.stages import lacking
from stages.command import MAKING, TRAINING, command
from stages.making import make
from stages.options import AnyStrategies, Layer
from stages.session import Session, Shared
from stages.tables import print_table

if TYPE_CHECKING:
    from pdsn.artefact import TrainingFolder
    from pdsn.networks.network import BaseModel


def main(session: Session, strategies: Sequence[str] | None, *, skip_done: bool = True) -> None:
    """Build the dictionaries of some strategies (default LM2), replacing older ones.

    With `skip_done`, those that were built from the same inputs and settings are left as they are.
    """
    names = session.strategy_names(strategies or ["LM2"])
    make(session, lacking(session, masks=names))
    model, base = session.base()
    trained = {name: session.trained_masks(name, base) for name in names}
    session.begin()
    # Other processes wait for the main one: what comes next reads what it writes.
    if session.accelerator.is_main_process:
        _show(session, _build(session, trained, model, base, skip_done=skip_done))
    session.accelerator.wait_for_everyone()


def _build(
    session: Session,
    trained: dict[str, dict[str, TrainingFolder]],
    model: BaseModel,
    base: str,
    *,
    skip_done: bool,
) -> dict[str, dict[str, Any]]:
    """Build and save each dictionary; what stands in the JSON file beside it, by name."""
    from pdsn.artefact import describe, done_from
    from pdsn.files import sha256_of, write_text
    from pdsn.masks.building import build_dictionary
    from pdsn.masks.dictionary import mask_input, percentile_of
    from pdsn.masks.settings import MaskConfig
    from pdsn.report.masks import plot_kept_share

    maps = session.pair_maps(model, base)
    landmarks = session.training.landmarks[session.training.rows("train")]
    reports: dict[str, dict[str, Any]] = {}
    for name, folders in trained.items():
        maker, layout = session.maker(name), session.regions_of(name)
        percentile = percentile_of(layout, session.settings.dictionary.percentile)
        config = {
            "regions": {region: list(box) for region, box in layout.regions.items()},
            "percentile": None if maker.soft else percentile,
            "intensity": session.settings.masks.intensity,
            "jitter": session.settings.masks.jitter,
            "seed": session.settings.seed,
        }
        inputs = {
            "base": base,
            **{mask_input(maker.name, label): f.sha256() for label, f in folders.items()},
        }
        path = session.run.dictionary(name)
        found = None
        if skip_done and path.is_file():
            found = done_from(path.with_suffix(".json"), config, inputs, MaskConfig.BEFORE)
        # The two files are written one after the other: one may be older than the other.
        if found is None or found.get("sha256") != sha256_of(path):
            dictionary = build_dictionary(
                maker, layout, maps, folders, percentile=percentile, seed=session.settings.seed
            )
            dictionary.save(path)
            found = {
                "strategy": name,
                "kept": float(dictionary.masks.float().mean()),
                "landmarks_inside": layout.landmark_share(landmarks),
                "sha256": sha256_of(path),
                **describe(config, inputs),
            }
            plot_kept_share(dictionary, session.example_face(), path.with_suffix(".png"))
            write_text(path.with_suffix(".json"), json.dumps(found, indent=2) + "\n")
        reports[name] = found
    return reports


def _show(session: Session, reports: dict[str, dict[str, Any]]) -> None:
    from pdsn.masks.strategy import GENERATORS

    inside_head = "landmarks in their region"
    rows = []
    for name, report in reports.items():
        config = report["config"]
        inside = ", ".join(
            f"{region} {100 * share:.1f} %" for region, share in report["landmarks_inside"].items()
        )
        strategy = session.strategy(name)
        if strategy.maker != GENERATORS:
            inside = f"those of {strategy.layout}"
        percentile = "soft" if config["percentile"] is None else f"{config['percentile']:g}"
        percentile = "-" if strategy.maker == "geometric" else percentile
        kept = f"{100 * report['kept']:.1f} %"
        rows.append((name, str(len(config["regions"])), percentile, kept, inside or "-"))
    head = ("dictionary", "regions", "percentile", "kept", inside_head)
    print_table(session.console, head, rows, title="Mask dictionaries", text=[inside_head])


@command(
    "build-dictionary",
    TRAINING,
    MAKING,
    settings={"dictionary": ("percentile", "regions"), "regions": ("floor",)},
)
def build_dictionary(shared: Shared, options: Layer, strategy: AnyStrategies = None) -> None:
    """Turn the trained generators into the dictionary of binary masks.

    [bold]Examples[/bold]

    pdsn build-dictionary --strategy LM2

    pdsn build-dictionary --strategy difference --percentile 40
    """
    main(Session(shared, options), strategy, skip_done=False)
