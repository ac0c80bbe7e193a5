"""The matchers there are: name, and the module that holds its `PLUGIN`. A new matcher is its file and a line here.

Nothing heavy is imported.
"""

from __future__ import annotations

from pdsn.errors import UsageError

MATCHERS: dict[str, str] = {
    "cosine": "pdsn.matchers.cosine",
    "fdm": "pdsn.matchers.fdm",
    "parts": "pdsn.matchers.parts",
    "parts-cnn": "pdsn.matchers.parts_cnn",
    "zeroing": "pdsn.matchers.zeroing",
    "zeroing-softmax": "pdsn.matchers.segments",
    "xcos": "pdsn.matchers.xcos",
    "unmask": "pdsn.matchers.unmask",
    "cross-encoder": "pdsn.matchers.cross_encoder",
}

COMMANDS: dict[str, str] = {
    "parts": "parts-train",
    "parts-cnn": "parts-train --by cnn",
    "zeroing": "zeroing-train",
    "zeroing-softmax": "zeroing-train --head softmax",
    "xcos": "xcos-train",
    "unmask": "unmask-train",
    "cross-encoder": "cross-encoder-train",
}
"""The command that trains a matcher, for those that learn."""

RERANKING = ("cross-encoder",)
"""Matchers that compare again the people whom another one finds most alike."""

CLOSED = ("zeroing-softmax",)
"""Matchers that can name the people they were trained on alone."""

SIGN = "+"
"""Between the names of two matchers that are asked at once: A+B."""


def parts_of(name: str, option: str = "--fuse") -> tuple[str, ...]:
    """The names that a name stands for: two of A+B, else itself.

    Args:
        name: of a matcher or strategy, or of two.
        option: where it was given, for the message.

    Raises:
        UsageError: there are more or fewer than two, or both are the same.
    """
    parts = tuple(name.split(SIGN))
    if len(parts) == 1:
        return parts
    if len(parts) != 2 or not all(parts) or parts[0] == parts[1]:
        raise UsageError(
            f"{option} {name} is not A{SIGN}B, the names of two different matchers or strategies"
        )
    return parts
