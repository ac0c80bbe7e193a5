"""What a table was asked for: a run's own question, or another one, which gets a name and so a folder of its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

OPTIONS = {
    "occlusions": "occlusion",
    "strategies": "strategy",
    "matchers": "matcher",
    "source": "occlusion-source",
    "floor": "region-floor",
}
"""Settings of a table whose option of `pdsn eval`, or whose name in the help, is another word."""
LONGEST = 100
"""Letters of a name: file systems take 255 bytes."""


def name_of(asked: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """A name for a question by what tells it from the run's own: "" for that one, else such as `draws=5_strategy=LM2`.

    Other questions have other names; runs of different seeds have the same name for the same question.

    Args:
        asked: `config` of a table, see `stages.evaluate`.
        own: that of the run's own table, whose settings are the same ones.
    """
    name = "_".join(
        f"{OPTIONS.get(setting, setting.replace('_', '-'))}={_shown(value)}"
        for setting, value in asked.items()
        if value != own.get(setting)
    )
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_shown, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    # `block:LM2/eyes` is an occlusion; neither character is for file names.
    return re.sub(r"[^\w.+-]", "-", f"{value:g}" if isinstance(value, float) else str(value))
