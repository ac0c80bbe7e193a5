"""Strangers are looked at once, which takes minutes, and kept: a call that was stopped goes on at the look that it was at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from pdsn.artefact import load_tensors, save_tensors
from pdsn.calibration.impostors import Seen, joined
from pdsn.calibration.strangers import Strangers
from pdsn.errors import PdsnError
from pdsn.matchers.matcher import Faces, Matcher
from pdsn.occlusion.occluders import CLEAN

PART = 128
"""Strangers who are looked at between two steps of a bar: as many as the networks see at once."""


def see_strangers(
    path: Path,
    matcher: Matcher,
    strangers: Callable[[], Strangers],
    cover: Callable[[Tensor], Tensor],
    looks: Sequence[str],
    on_progress: Callable[[int, int], None] | None = None,
) -> Seen:
    """Strangers as a matcher sees them, from a file; where there is none they are looked at, and it is written.

    What was seen of each look is kept beside the file until all are done. Where nothing can be written they are looked at anew.

    Args:
        path: the file; its name follows from everything that the outcome depends on.
        matcher: the matcher.
        strangers: gives them when they are needed.
        cover: finds the covered pixels (N, H, W) of faces (N, 3, H, W).
        looks: what they wear, see `strangers.LOOKS`.
        on_progress: told the faces done and in all, each counted once for every look, if any have to be looked at.
    """
    with suppress(PdsnError):
        return Seen.load(path, matcher)
    shown = strangers()
    parts = [path.with_name(f"{path.stem}-{look}{path.suffix}") for look in looks]
    kept: list[dict[str, Tensor]] = []
    total = len(looks) * len(shown)
    for number, (look, part) in enumerate(zip(looks, parts, strict=True)):
        before = number * len(shown)

        def told(done: int, before: int = before) -> None:
            if on_progress is not None:
                on_progress(before + done, total)

        try:
            kept.append(load_tensors(part, "pdsn identify")[0])
            told(len(shown))
        except PdsnError:
            kept.append(_look(matcher, shown, cover, look, told))
            with suppress(OSError):
                save_tensors(part, kept[-1], {})
    seen = Seen(tuple(looks), matcher.restored(joined(kept)))
    with suppress(OSError):
        seen.save(path)
        for part in parts:
            part.unlink(missing_ok=True)
    return seen


def _look(
    matcher: Matcher,
    strangers: Strangers,
    cover: Callable[[Tensor], Tensor],
    look: str,
    told: Callable[[int], None],
) -> dict[str, Tensor]:
    """What is kept of strangers under one look."""
    kept: list[dict[str, Tensor]] = []
    found: list[Tensor] = []
    for first in range(0, len(strangers), PART):
        rows = range(first, min(first + PART, len(strangers)))
        pixels, _ = strangers.wearing(look, rows)
        found.append(cover(pixels))
        if look != CLEAN:
            kept.append(matcher.prepare(Faces(pixels, found[-1]), "probe").kept())
        told(rows.stop)
    # As they are: the tensor itself, whose maps are kept.
    return joined(kept) if kept else matcher.prepare(Faces(strangers.faces, torch.cat(found)), "probe").kept()
