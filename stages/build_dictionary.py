"""Stage `build-dictionary`: generators, or a control's ranking, to binary masks."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.table import Table

from stages.session import Session


def main(session: Session, strategies: Sequence[str] | None) -> None:
    """Build the dictionaries of some strategies (default LM2), replacing older ones."""
    from pdsn.artefact import describe
    from pdsn.explain.figures import plot_kept_share
    from pdsn.files import write_text
    from pdsn.masks.building import build_dictionary

    names = list(dict.fromkeys(strategies or ["LM2"]))
    config = session.settings.dictionary
    for name in names:
        session.regions_of(name)  # an unknown name is refused before anything is built
    model, base = session.base()
    maps = session.pair_maps(model, base)
    generators = {name: session.generators(name, base) for name in names}
    session.begin()
    if not session.accelerator.is_main_process:
        return
    table = Table(
        "dictionary", "regions", "percentile", "kept", "landmarks in their region", title="Mask dictionaries"
    )
    for name in names:
        strategy = session.regions_of(name)
        dictionary, percentile = build_dictionary(
            name, strategy, maps, generators[name], percentile=config.percentile, seed=session.settings.seed
        )
        path = session.run.dictionary(name)
        dictionary.save(path)
        inputs = {
            "base": base,
            **{f"generator {region}": f.sha256() for region, f in generators[name].items()},
        }
        landmarks = session.dataset.landmarks[session.dataset.rows("train")]
        shares = strategy.landmark_share(landmarks)
        about = {
            "strategy": name,
            "percentile": percentile,
            "regions": {region: list(box) for region, box in strategy.regions.items()},
            "landmarks_inside": shares,
            **describe(config, inputs),
        }
        write_text(path.with_suffix(".json"), json.dumps(about, indent=2) + "\n")
        plot_kept_share(dictionary, session.example_face(), path.with_suffix(".png"))
        inside = ", ".join(f"{region} {100 * share:.1f} %" for region, share in shares.items())
        kept = 100 * float(dictionary.binary.float().mean())
        table.add_row(name, str(len(strategy.regions)), f"{percentile:g}", f"{kept:.1f} %", inside or "-")
    session.console.print(table)
