"""A stage makes what it lacks: what is missing is named with the time it will take, and then made."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from pdsn.run.stages import Step
from stages.session import Session


def refuse(session: Session, steps: Sequence[Step]) -> None:
    """Raise PdsnError where something is missing and --no-make says that it is not to be made."""
    if steps and session.shared.no_make:
        session.run.check_made()
        raise steps[0].refusal()


def make(session: Session, steps: Sequence[Step]) -> None:
    """Make what is missing, see `pdsn.run.stages.lacking`; says so first, with the time that it will take.

    Raises:
        PdsnError: --no-make was given.
    """
    if not steps:
        return
    refuse(session, steps)
    maker = session.for_making()
    announce(maker, steps, "missing, and made first")
    for step in steps:
        run(maker, step)
    session.take_over(maker)


def run(session: Session, step: Step) -> None:
    """Do a stage."""
    stage = import_module(f"stages.{step.stage.replace('-', '_')}")
    if step.names:
        stage.main(session, step.names)
    else:
        stage.main(session)


def announce(session: Session, steps: Sequence[Step], what: str) -> None:
    """Say which stages will be done and about how long each takes; nothing in other processes than the main one."""
    if not steps or not session.accelerator.is_main_process:
        return
    from pdsn.run.estimate import estimate, spoken

    for step, seconds in zip(steps, estimate(session, steps), strict=True):
        session.say(f"{what}: {step.words}, {spoken(seconds)}")
