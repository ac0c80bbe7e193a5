"""Whose dictionary makes the FDM of a new photo."""

from __future__ import annotations

from pdsn.artefact import making
from pdsn.config.sections import DictionaryConfig
from pdsn.errors import PdsnError, UsageError
from pdsn.evaluation.evaluation import NO_FDM
from pdsn.masks.matched import MATCHED
from pdsn.run.directory import RunDir


def preferred(config: DictionaryConfig) -> tuple[str, ...]:
    """What is taken where nobody asks for a strategy, best first."""
    return (config.preferred, MATCHED, "LM2") if config.preferred else (MATCHED, "LM2")


def choose_strategy(
    run: RunDir, asked: str | None, config: DictionaryConfig, *, missing: bool = False
) -> str:
    """The strategy asked for, or the first that is `preferred`, or the only one that has a dictionary.

    With `missing` it need not have one yet: where there is none at all, the one that is preferred most.

    Raises:
        PdsnError: it has no dictionary, or there is none to choose, or several.
    """
    known = run.dictionaries()
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


def _building(run: RunDir, strategy: str) -> str:
    return making(f"pdsn build-dictionary --strategy {strategy}", run.dictionary(strategy))
