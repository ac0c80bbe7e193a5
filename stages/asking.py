"""What a table is asked for, and what it is made from: common to `eval`, `verify-eval` and `run`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pdsn.errors import PdsnError
from stages.session import Session

if TYPE_CHECKING:
    from pdsn.evaluation.enrolment import Enrolment
    from pdsn.evaluation.settings import EvalConfig
    from pdsn.occlusion.occluder import Occluder
    from pdsn.run.settings import Settings


def usable(session: Session) -> tuple[list[str], list[PdsnError]]:
    """The strategies whose dictionary belongs to the run's base and regions, and why others' cannot be used."""
    base = session.base_folder.sha256()
    found, errors = [], []
    for name in in_order(session, session.run.dictionaries()):
        try:
            session.strategy(name)
            session.dictionary(name, base)
        except PdsnError as error:
            errors.append(error)
        else:
            found.append(name)
    return found, errors


def made_from(
    session: Session, names: Sequence[str], matchers: Sequence[str] = (), *, segmenter: bool
) -> dict[str, str]:
    """The sha256 of what a table of some strategies and further matchers is made from, by name."""
    from pdsn.files import sha256_of
    from pdsn.masks.strategy import NO_FDM
    from pdsn.matchers.table import COMMANDS, MATCHERS

    inputs = {**session.tuned[1], "data set": session.dataset.sha256}
    parts = session.behind(matchers)
    strategies = [*names, *(part for part in parts if part not in (*MATCHERS, NO_FDM))]
    inputs |= {f"dictionary {name}": sha256_of(session.run.dictionary(name)) for name in strategies}
    inputs |= {f"matcher {name}": session.matcher_folder(name).sha256() for name in parts if name in COMMANDS}
    return inputs | ({"segmentation": session.segmenter_folder.sha256()} if segmenter else {})


def in_order(session: Session, names: Sequence[str]) -> list[str]:
    """Strategies in the order in which the run's settings have them, others last."""
    preset = session.own.dictionary.strategies
    return [*(name for name in preset if name in names), *(name for name in names if name not in preset)]


def _rows(session: Session, occlusions: Sequence[str]) -> list[str]:
    """The occlusions that are asked for, each once; all of them in one order, however they are said."""
    from pdsn.occlusion.occluders import make_occluders

    known = list(make_occluders(session.statistics, session.settings.regions.floor))
    wanted = dict.fromkeys(part for name in occlusions for part in (known if name == "all" else [name]))
    if all(name in wanted for name in known):
        return [*known, *(name for name in wanted if name not in known)]
    return list(wanted)


def find_occluders(session: Session, asked: EvalConfig) -> dict[str, Occluder]:
    """What the probes are covered by, by the rows of the table."""
    from pdsn.occlusion.occluders import find_occluder

    floor = session.settings.regions.floor
    return {
        name: find_occluder(name, session.statistics, floor, asked.split)
        for name in _rows(session, asked.occlusions)
    }


def question(
    session: Session, settings: Settings, asked: EvalConfig, strategies: Sequence[str]
) -> dict[str, Any]:
    """Everything that a table is asked for."""
    from pdsn.artefact import plain
    from pdsn.matchers.table import COMMANDS, parts_of

    # What a matcher has learned from is said beside its weights, which are among the inputs.
    chosen = {
        part: {
            key: value
            for key, value in plain(settings.plugins[part]).items()
            if part not in COMMANDS or key in settings.plugins[part].ASKED
        }
        for name in (*asked.matchers, *asked.fuse)
        for part in parts_of(name)
        if part in settings.plugins
    }
    chosen = {part: own for part, own in chosen.items() if own}
    return {
        **plain(asked),
        "matchers": list(dict.fromkeys(asked.matchers)),
        "fuse": [session.shortest(name) for name in dict.fromkeys(asked.fuse)],
        **({"matcher_settings": chosen} if chosen else {}),
        "split_by": settings.split,
        "occlusions": _rows(session, asked.occlusions),
        "strategies": list(strategies),
        "floor": settings.regions.floor,
        "share": settings.regions.share,
        "seed": settings.seed,
    }


def check_names(session: Session, strategies: Sequence[str]) -> list[str]:
    """The shortest names of strategies, but for no FDM; UsageError where one or an occlusion is unknown. Needs no data."""
    from pdsn.masks.strategy import NO_FDM
    from pdsn.matchers.table import MATCHERS, parts_of
    from pdsn.occlusion.occluders import check_occlusions
    from pdsn.run.strategies import check_columns, refuse_closed

    check_columns(session.settings.eval.matchers, session.settings.eval.fuse)
    for name in session.settings.eval.fuse:
        for part in parts_of(name):
            if part not in (*MATCHERS, NO_FDM):
                session.strategy(part, "eval.fuse")
    if session.settings.split == "person":
        refuse_closed(session.columns)
    names = session.strategy_names([name for name in strategies if name != NO_FDM])
    check_occlusions(session.settings.eval.occlusions)
    return names


def check_data(session: Session, asked: EvalConfig) -> None:
    """Raise PdsnError where the data set has not the photos that are asked for; needs no network."""
    if asked.align == "occluded":
        _ = session.original_photos
    enrolment_of(session, asked)


def enrolment_of(session: Session, asked: EvalConfig) -> Enrolment:
    """Who is enrolled and who is asked about, by the run's split."""
    from pdsn.evaluation.enrolment import Enrolment

    if session.settings.split == "person":
        return Enrolment.by_person(session.dataset, asked.split, asked.enrol)
    return Enrolment.by_photo(session.dataset, asked.split)
