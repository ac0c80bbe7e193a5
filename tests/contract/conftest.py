"""A run that nobody trained, with everything that a matcher may ask for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pdsn.run.workspace import Workspace
from pdsn.runtime import start
from tests.deploy.conftest import untrained

__all__ = ["untrained"]


@pytest.fixture(scope="session")
def nearest(untrained: Path) -> Workspace:
    """The run, opened: faces are compared with each person's nearest photo, the paper's rule."""
    return opened(untrained, compare="nearest", unmasked=0.0)


@pytest.fixture(scope="session", params=["nearest", "both"])
def workspace(request: pytest.FixtureRequest, untrained: Path, nearest: Workspace) -> Workspace:
    """The same, and as the preset has it: with the mean of their photos and the cosine without an FDM too."""
    return nearest if request.param == "nearest" else opened(untrained, compare="both", unmasked=0.5)


def opened(run: Path, **asked: object) -> Workspace:
    """A run with some settings of how faces are compared."""
    made = Workspace.open(run, start("cpu", "fp32"))
    settings = replace(made.settings, eval=replace(made.settings.eval, **asked))
    return Workspace(made.run, made.data, settings, made.accelerator)
