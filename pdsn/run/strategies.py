"""Which matcher compares new photos: most often PDSN, with the dictionary of a strategy."""

from __future__ import annotations

from collections.abc import Sequence

from pdsn.artefact import MODEL, making
from pdsn.config.setting import SettingError
from pdsn.errors import PdsnError, UsageError, unknown
from pdsn.masks.settings import DictionaryConfig
from pdsn.masks.strategy import MATCHED, NO_FDM
from pdsn.matchers.table import CLOSED, MATCHERS, RERANKING, SIGN, parts_of
from pdsn.run.directory import RunDir

ZEROING = "zeroing"
"""The matcher that gains with the masks for people whose photos it was trained on."""


def preferred(config: DictionaryConfig) -> tuple[str, ...]:
    """What is taken where nobody asks for a strategy, best first."""
    return (config.preferred, MATCHED, "LM2") if config.preferred else (MATCHED, "LM2")


def choose_strategy(
    run: RunDir, asked: str | None, config: DictionaryConfig, *, missing: bool = False
) -> str:
    """The strategy asked for, or the first that is `preferred`, or the only one that has a dictionary.

    With `missing` it need not have one yet: where there is none at all, the one that is preferred most. Instead of a
    strategy a matcher can be asked for by its name; "cosine" is no FDM, and "fdm" the preferred strategy.

    Raises:
        PdsnError: it has no dictionary, or there is none to choose, or several.
    """
    known = run.dictionaries()
    if asked in MATCHERS:
        asked = {"cosine": NO_FDM, "fdm": None}.get(asked, asked)
    if asked is not None and len(parts := parts_of(asked, "--strategy")) > 1:
        check_columns((), [asked])
        for part in parts:
            choose_strategy(run, part, config, missing=missing)
        return asked
    if asked in further_matchers():
        refuse_closed([asked])
        return asked
    if missing and (asked is not None or not known):
        return asked or preferred(config)[0]
    if asked is not None:
        if asked != NO_FDM and asked not in known:
            there = f"this run has {', '.join([*known, NO_FDM])}"
            raise PdsnError(
                f"--strategy {asked} has no dictionary ({there}): make it with `{_building(run, asked)}`"
            )
        return asked
    for name in preferred(config):
        if name in known:
            return name
    if len(known) == 1:
        return known[0]
    if known:
        raise UsageError(f"{run.root} has several dictionaries: choose --strategy {' or '.join(known)}")
    raise PdsnError(
        f"{run.root} has no mask dictionary: make one with `{_building(run, 'LM2')}`, "
        f"or take --strategy {NO_FDM}"
    )


def strategy_for_own_people(run: RunDir, config: DictionaryConfig) -> str | None:
    """What names the run's own people best where nobody asks for a strategy: matched+zeroing, where zeroing is trained.

    Zeroing has learned these people: on LFW it adds 1.8 points over all occlusions for them, and nothing for others
    (RESULTS.md, "Other matchers").

    Returns:
        None where the run's usual strategy is to be taken.
    """
    if (run.matcher(ZEROING) / MODEL).is_file() and choose_strategy(
        run, None, config, missing=True
    ) == MATCHED:
        return f"{MATCHED}{SIGN}{ZEROING}"
    return None


def further_matchers() -> list[str]:
    """The matchers beside the cosine and PDSN, which have their columns without being asked for."""
    return [name for name in MATCHERS if name not in ("cosine", "fdm")]


def refuse_closed(names: Sequence[str]) -> None:
    """Raise UsageError where one of some matchers, or of A+B, can only name the people it was trained on."""
    for name in (part for one in names for part in parts_of(one)):
        if name in CLOSED:
            raise UsageError(
                f"{name} answers a closed set alone: it names the people it was trained on, in the table (pdsn eval) of a run "
                "that is split by photo; take another matcher, such as zeroing"
            )


def check_columns(matchers: Sequence[str], fused: Sequence[str] = ()) -> None:
    """Raise SettingError unless these can be columns of a table beside no FDM and the strategies.

    Args:
        matchers: by name.
        fused: two matchers or strategies each, A+B.
    """
    known = further_matchers()
    for name in fused:
        parts = parts_of(name)
        if len(parts) != 2:
            raise SettingError("eval.fuse", name, "is one matcher: give two, A+B, or --matcher for one")
        for part in parts:
            if part in RERANKING:
                raise SettingError("eval.fuse", name, f": {part} only compares again whom another one finds")
    for name in matchers:
        if name in MATCHERS and name not in known:
            raise SettingError("eval.matchers", name, "is in every table already: leave it out")
        if name not in known:
            raise SettingError("eval.matchers", name, unknown(tuple(known)))


def _building(run: RunDir, strategy: str) -> str:
    return making(f"pdsn build-dictionary --strategy {strategy}", run.dictionary(strategy))
