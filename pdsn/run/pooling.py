"""The tables of several training seeds as one: means over runs, intervals clustered by person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pdsn.artefact import making
from pdsn.config.layers import merge
from pdsn.errors import UsageError
from pdsn.evaluation.rates import closed_set, hits, mean_gain, mean_told
from pdsn.evaluation.settings import EvalConfig
from pdsn.masks.strategy import NO_FDM, heading
from pdsn.report.table import Record, markdown, markdown_table
from pdsn.run.settings import before
from pdsn.run.tables import RunTable, check_once, check_same_photos, roots_of

OF_THE_MODEL = (
    "split",
    "base",
    "pretrained",
    "regions",
    "masks",
    "matching",
    "dictionary",
    "head",
    "segment",
)
"""Settings in which runs must agree for their answers to be draws of one thing."""
MEANS = ("tpir01", "fpir01", "tpir10", "fpir10")
"""Rates that rest on each run's own threshold: cosines of two bases cannot be compared."""


def check_poolable(tables: Sequence[RunTable]) -> None:
    """Raise UsageError unless the runs differ in nothing but their training seed."""
    first = tables[0]
    check_once(tables)
    if len(tables) < 2:
        raise UsageError(f"{tables[0].root}: name at least two runs")
    for other in tables[1:]:
        for ours, theirs in ((_model(first), _model(other)), (_asked(first), _asked(other))):
            for name in sorted(ours.keys() | theirs.keys()):
                if ours.get(name) != theirs.get(name):
                    raise UsageError(
                        f"{name} is {theirs.get(name)!r} in {other.root} and {ours.get(name)!r} in {first.root}: "
                        "only runs that differ in nothing but --seed can be pooled"
                    )
        if first.table["inputs"]["data set"] != other.table["inputs"]["data set"]:
            raise UsageError(f"{other.root} is of other photos than {first.root}")
        check_same_photos(first, other)
    seeds = [table.table["config"]["seed"] for table in tables]
    if len(set(seeds)) < len(seeds):
        raise UsageError(
            f"{roots_of(tables)} have the seeds {', '.join(map(str, seeds))}: give runs of different --seed"
        )
    _check_trained_apart(tables)


def _check_trained_apart(tables: Sequence[RunTable]) -> None:
    """Raise UsageError where two runs have one trained network in common, so that they are no draws of two seeds."""
    imported = _model(tables[0]).get("pretrained.arch")
    for name in ("segmentation",) if imported else ("base", "segmentation"):
        owners: dict[str | None, RunTable] = {}
        for table in tables:
            sha256 = table.table["inputs"].get(name)
            owner = owners.setdefault(sha256, table)
            if sha256 is not None and owner is not table:
                raise UsageError(
                    f"{table.root} and {owner.root} have one {name} in common, though their seeds differ: "
                    f"make one of them anew with `{making('pdsn run --force', table.root / 'eval')}`"
                )


def pool(tables: Sequence[RunTable], *, bootstrap: int = 2000) -> dict[str, Any]:
    """The table of several runs, in the form of `pdsn eval`'s.

    Rates are means over runs. Intervals resample people; all answers about a person, of every photo, run and draw, stay
    together, so they say how sure the mean over these very runs is, for other people. `rank1_by_run` has the
    runs' own rank-1, `gain_by_run` their gain over no FDM.

    Args:
        tables: of runs that passed `check_poolable`.
        bootstrap: resamples.
    """
    joined = {key: np.concatenate([table.ranks[key] for table in tables]) for key in tables[0].ranks}
    photos = {key: np.concatenate([table.photo_ranks[key] for table in tables]) for key in joined}
    people = tables[0].people
    records: list[Record] = []
    for place, made in enumerate(tables[0].table["records"]):
        occlusion, strategy = key = (made["occlusion"], made["strategy"])
        plain_key = (occlusion, NO_FDM)
        compared = strategy != NO_FDM and plain_key in joined
        own = [table.table["records"][place] for table in tables]
        record: Record = {
            "occlusion": occlusion,
            "strategy": strategy,
            "probes": made["probes"],
            "draws": made["draws"],
            "runs": len(tables),
            **closed_set(
                joined[key],
                photos[key],
                people,
                joined[plain_key] if compared else None,
                bootstrap=bootstrap,
                seed=0,
            ),
            **{name: mean_told([found[name] for found in own]) for name in MEANS},
            "rank1_by_run": [found["rank1"] for found in own],
        }
        if compared:
            record["gain_by_run"] = [found["gain"] for found in own]
        records.append(record)
    bands = {name: gain["occlusions"] for name, gain in tables[0].table["mean_gain"].items()}
    return {
        "records": records,
        "mean_gain": {
            strategy: mean_gain(
                names,
                [(hits(joined[name, strategy], 1), hits(joined[name, NO_FDM], 1)) for name in names],
                people,
                bootstrap=bootstrap,
                seed=0,
            )
            for strategy, names in bands.items()
        },
        "runs": [str(table.root) for table in tables],
        "config": {
            **_asked(tables[0]),
            "bootstrap": bootstrap,
            "seeds": [t.table["config"]["seed"] for t in tables],
        },
    }


def pooled_markdown(table: dict[str, Any]) -> str:
    """The pooled table as Markdown, below it each run's rank-1."""
    records, seeds = table["records"], table["config"]["seeds"]

    def by_run(record: Record) -> list[str]:
        rates = (f"{100 * rate:.2f}" for rate in record["rank1_by_run"])
        return [record["occlusion"], heading(record["strategy"]), *rates, f"{100 * record['rank1']:.2f}"]

    head = ("occlusion", "strategy", *(f"seed {seed}" for seed in seeds), "mean")
    lines = [
        f"Mean of {len(seeds)} runs; intervals by bootstrap over people, all answers about a person together.",
        "",
        markdown(records, unseen=table["config"]["split_by"] == "person"),
        "Rank-1 in % of each run.",
        "",
        *markdown_table(head, map(by_run, records)),
    ]
    return "\n".join(lines) + "\n"


def _model(table: RunTable) -> dict[str, Any]:
    """What the run was made with, setting by setting."""
    in_use = table.about.get("in_use", {})
    in_use = merge(in_use, before(in_use))
    found: dict[str, Any] = {}
    for section in OF_THE_MODEL:
        value = in_use.get(section)
        named = value.items() if isinstance(value, dict) else [("", value)]
        found |= {f"{section}.{name}".rstrip("."): setting for name, setting in named}
    return found


def _asked(table: RunTable) -> dict[str, Any]:
    """What its table was made with."""
    config = {**EvalConfig.BEFORE, **table.table["config"]}
    return {name: value for name, value in config.items() if name not in ("seed", "bootstrap")}
