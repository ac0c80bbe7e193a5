"""A run that nobody trained, whose faces can be explained as those of any."""

from __future__ import annotations

from tests.deploy.conftest import untrained

__all__ = ["untrained"]
