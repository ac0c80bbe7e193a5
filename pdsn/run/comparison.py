"""Runs side by side: what each recognises of the same probes, how far it is from the first, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdsn.artefact import making
from pdsn.errors import PdsnError, UsageError
from pdsn.evaluation.pairs import KINDS as PAIR_KINDS
from pdsn.evaluation.rates import DIFFERENCES, RATES, hits, mean_told
from pdsn.evaluation.settings import EvalConfig
from pdsn.evaluation.verification import PairScores, resampled_eer
from pdsn.masks.strategy import NO_FDM
from pdsn.matchers.table import MATCHERS, SIGN
from pdsn.metrics import bootstrap_interval
from pdsn.occlusion.occluders import BANDS, CLEAN
from pdsn.occlusion.worn import KINDS
from pdsn.run.tables import RunTable, RunVerification, check_once, check_same_photos

GROUPS = {"clean": (CLEAN,), "bands": BANDS, "worn": KINDS}
"""Occlusions that are told as one mean, by what a table calls them."""
OCCLUDED = "occluded"
"""The mean of all occlusions but clean photos."""
ALIKE = ("split", "split_by", "align", "draws", "enrol", "seed", "source", "floor")
"""Settings of a table in which runs must agree to be asked about the same probes."""
FREE = ("compare", "unmasked", "mirror", "head", "share")
"""Settings that belong to how a run recognises: where they differ it is said."""
RESAMPLES = 200
"""Of people, behind the intervals of equal error rates."""


@dataclass(frozen=True)
class System:
    """One row of a comparison: a run and a strategy.

    Attributes:
        run: place of the run among those compared.
        name: what the row is called: the run directory's name, or its path where two have the same.
        strategy: of the run, "none" for no FDM.
    """

    run: int
    name: str
    strategy: str


def check_comparable(tables: Sequence[RunTable]) -> None:
    """Raise UsageError unless the tables are of the same photos, under the same occlusions, drawn alike."""
    first = tables[0]
    check_once(tables)
    for other in tables[1:]:
        check_same_question(first, other, "eval")
        check_same_photos(first, other)
        if not shared_occlusions([first, other]):
            raise UsageError(f"{other.root} and {first.root} have no occlusion in common")


def check_same_question(
    first: RunTable | RunVerification, other: RunTable | RunVerification, stage: str
) -> None:
    """Raise UsageError where two tables are of other data or other probes; the line names what differs."""
    if first.table["inputs"]["data set"] != other.table["inputs"]["data set"]:
        raise UsageError(
            f"{other.root} is of other photos than {first.root}: compare runs that were made with the same --data"
        )
    ours, theirs = ({**EvalConfig.BEFORE, **table.table["config"]} for table in (first, other))
    for name in (*ALIKE, "pairs"):
        if ours.get(name) != theirs.get(name):
            raise UsageError(
                f"{name} is {theirs.get(name)!r} in {other.root} and {ours.get(name)!r} in {first.root}, so their "
                f"probes differ: ask both the same with `pdsn {stage}`, and give the name of the folder that it prints with "
                f"{'--table' if stage == 'eval' else '--verify-table'}"
            )


def shared_occlusions(tables: Sequence[RunTable]) -> list[str]:
    """The occlusions that all tables have, in the order of the first."""
    known = [dict.fromkeys(occlusion for occlusion, _ in table.ranks) for table in tables]
    return [name for name in known[0] if all(name in own for own in known)]


def systems_of(
    tables: Sequence[RunTable], preferred: Sequence[Sequence[str]], asked: Sequence[str] | None
) -> list[System]:
    """The rows: of each run no FDM and the strategy that it takes itself, or what is asked for.

    Args:
        tables: of the runs.
        preferred: of each run the strategies that it would take, best first.
        asked: strategies; None for none.

    Raises:
        PdsnError: a run's table lacks one that is asked for.
    """
    names = [table.root.name or str(table.root) for table in tables]
    labels = [
        name if names.count(name) == 1 else str(table.root) for name, table in zip(names, tables, strict=True)
    ]
    found = []
    for place, (table, best) in enumerate(zip(tables, preferred, strict=True)):
        known = list(dict.fromkeys(strategy for _, strategy in table.ranks))
        own = [NO_FDM, *[name for name in best if name in known][:1]] if asked is None else list(asked)
        for name in dict.fromkeys(own):
            if name not in known:
                first, then = (
                    making(command, table.root / "eval")
                    for command in (f"pdsn build-dictionary --strategy {name}", "pdsn eval")
                )
                cure = f"make its dictionary with `{first}` and the table with `{then}`, or leave it out"
                if SIGN in name or name in MATCHERS:
                    option = "--fuse" if SIGN in name else "--matcher"
                    asked_for = making(f"pdsn eval {option} {name}", table.root / "eval")
                    cure = f"make a table that has it with `{asked_for}` and take that by --table, or leave it out"
                raise PdsnError(
                    f"{table.root} has no column {name} (its table has {', '.join(known)}): {cure}"
                )
            found.append(System(place, labels[place], name))
    return found


def groups_of(occlusions: Sequence[str]) -> dict[str, list[str]]:
    """What is told as one mean, of the occlusions that there are; `OCCLUDED` where other ones are among them."""
    found = {name: [one for one in members if one in occlusions] for name, members in GROUPS.items()}
    covered = [name for name in occlusions if name != CLEAN]
    return {name: members for name, members in {**found, OCCLUDED: covered}.items() if members}


def identification(
    tables: Sequence[RunTable], systems: Sequence[System], *, bootstrap: int = 2000, seed: int = 0
) -> list[dict[str, Any]]:
    """Rank-1 of each system, by group and by occlusion, and its paired difference to the first.

    Returns:
        For each system "rank1", {group: {"rate", "ci95", "difference", "difference_ci95"}}, and "by_occlusion", {occlusion:
        rank-1}. Intervals resample people, the same ones for every system; all of a person's photos stay together. The first
        system has no difference.
    """
    occlusions = shared_occlusions(tables)
    people, groups = tables[0].people, groups_of(occlusions)
    firsts: dict[str, np.ndarray] = {}
    found = []
    for system in systems:
        ranks = tables[system.run].ranks
        by_occlusion = {name: hits(ranks[name, system.strategy], 1) for name in occlusions}
        rank1 = {}
        for group, members in groups.items():
            own = np.mean([by_occlusion[name] for name in members], axis=0)
            told = {
                "rate": float(own.mean()),
                "ci95": list(bootstrap_interval(own, people, RATES, draws=bootstrap, seed=seed)),
            }
            if group in firsts:
                gain = own - firsts[group]
                told |= {
                    "difference": float(gain.mean()),
                    "difference_ci95": list(
                        bootstrap_interval(gain, people, DIFFERENCES, draws=bootstrap, seed=seed)
                    ),
                }
            firsts.setdefault(group, own)
            rank1[group] = told
        found.append(
            {"rank1": rank1, "by_occlusion": {name: float(own.mean()) for name, own in by_occlusion.items()}}
        )
    return found


def verification(
    tables: Sequence[RunVerification],
    systems: Sequence[System],
    *,
    seed: int = 0,
    on_scored: Callable[[str], object] = str,
) -> list[dict[str, Any]]:
    """Equal error rate of each system by kind of pair, mean over occlusions, and its paired difference to the first.

    Args:
        tables: of the runs, of the same question.
        systems: the rows.
        seed: of the resampling.
        on_scored: told of each system when it is done.

    Returns:
        For each system {kind of pair: {"eer", "ci95", "difference", "difference_ci95", "tar1e-2", "gap"}}: TAR at a FAR of 1 %
        and the gap of the median squared distances are means over the same occlusions; the first system has no difference. A
        system that a table of verification lacks has {}.
    """
    known = [{(occlusion, kind) for occlusion, kind, _ in table.scores} for table in tables]
    shared = [
        pair
        for pair in dict.fromkeys((o, k) for o, k, _ in tables[0].scores)
        if all(pair in own for own in known)
    ]
    drawn: np.ndarray | None = None
    firsts: dict[str, tuple[float, np.ndarray]] = {}
    found = []
    for system in systems:
        table, told = tables[system.run], {}
        records = {(r["occlusion"], r["kind"], r["strategy"]): r for r in table.table["records"]}
        for kind in (kind for kind in PAIR_KINDS if any(own == kind for _, own in shared)):
            occlusions = [occlusion for occlusion, own in shared if own == kind]
            if any((name, kind, system.strategy) not in records for name in occlusions):
                continue
            scores = [table.scores[name, kind, system.strategy] for name in occlusions]
            if drawn is None:
                drawn = _drawn_people(scores, seed)
            resampled = np.mean([resampled_eer(one, drawn) for one in scores], axis=0)
            own = [records[name, kind, system.strategy] for name in occlusions]
            eer = float(np.mean([record["eer"] for record in own]))
            told[kind] = {
                "eer": eer,
                "ci95": _interval(resampled),
                "tar1e-2": mean_told([record["tar1e-2"] for record in own]),
                "gap": mean_told([record["distances"]["squared-l2"]["gap"] for record in own]),
            }
            if kind in firsts:
                told[kind] |= {
                    "difference": eer - firsts[kind][0],
                    "difference_ci95": _interval(resampled - firsts[kind][1]),
                }
            firsts.setdefault(kind, (eer, resampled))
        found.append(told)
        on_scored(system.name)
    return found


def _drawn_people(scores: Sequence[PairScores], seed: int) -> np.ndarray:
    """How often (R, K) each person is drawn in each resample: 0 for numbers that are nobody's in any pair."""
    people = np.unique(
        np.concatenate([part.ravel() for one in scores for part in (one.genuine_people, one.impostor_people)])
    )
    drawn = np.zeros((RESAMPLES, int(people[-1]) + 1), dtype=np.int64)
    chances = np.full(len(people), 1 / len(people))
    drawn[:, people] = np.random.default_rng(seed).multinomial(len(people), chances, size=RESAMPLES)
    return drawn


def _interval(values: np.ndarray) -> list[float]:
    return [float(end) for end in np.nanquantile(values, [0.025, 0.975])]
