"""What a run keeps so that the next call need not compute it again, and everything that it depends on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from pdsn import __version__
from pdsn.artefact import MODEL, load_tensors, plain, save_tensors
from pdsn.coverage.settings import SOURCES
from pdsn.errors import PdsnError
from pdsn.files import sha256_of
from pdsn.matchers.table import COMMANDS, SIGN, parts_of
from pdsn.run.strategies import further_matchers

if TYPE_CHECKING:
    from torch import Tensor

    from pdsn.calibration.strangers import KeptScores
    from pdsn.data.settings import PrepareConfig
    from pdsn.matchers.matcher import Matcher
    from pdsn.run.workspace import Workspace

METHOD = 1
"""Raised by hand whenever encoding or comparing changes what comes out: what the cache holds is then made again."""


def encoding_of(workspace: Workspace) -> tuple[object, ...]:
    """What the maps of faces depend on besides the faces."""
    _, networks = workspace.tuned
    return (
        __version__,
        METHOD,
        networks["base"],
        str(workspace.accelerator.mixed_precision),
        workspace.memory.mirror,
    )


def kept_scores(workspace: Workspace, strategy: str, source: str) -> KeptScores:
    """Where the scores of a strategy or matcher, or of two of these, A+B, are kept between calls.

    Args:
        workspace: the run.
        strategy: the matcher by name.
        source: who says what is covered: "segmenter", or "none".
    """
    from pdsn.calibration.strangers import KeptScores

    settings = workspace.settings
    _, networks = workspace.tuned
    path, segmenter = workspace.run.dictionary(strategy), workspace.run.segmenter / MODEL
    made: tuple[object, ...] = (
        *encoding_of(workspace),
        networks.get("head"),
        sha256_of(path) if path.is_file() else None,
        sha256_of(segmenter) if source == SOURCES[0] and segmenter.is_file() else source,
        settings.regions.share,
        settings.eval.compare,
        settings.eval.unmasked,
        workspace.training.sha256,
    )
    if any(part in further_matchers() for part in parts_of(strategy)) or SIGN in strategy:
        made += (
            strategy,
            *workspace.behind([strategy]),
            settings.regions.floor,
            settings.eval.enrol,
            *(plain(own) for own in settings.plugins.values()),
            *_learned(workspace),
        )
    return KeptScores(workspace.run.cache, made)


def keep_maps(
    workspace: Workspace, faces: Tensor, on_progress: Callable[[int, int], None] | None = None
) -> None:
    """Keep the maps of faces that every call needs, on disk too: the trunk takes a minute for a gallery.

    Of a base with two branches these are the maps of galleries.

    Args:
        workspace: the run; its memory has them from then on.
        faces: (N, 3, H, W) uint8, the tensor itself.
        on_progress: told the faces done and in all, where the maps are made.
    """
    from pdsn.people.gallery import digest_of

    digest = digest_of(repr((encoding_of(workspace), tuple(faces.shape))), faces)
    path = workspace.run.cache / f"views-{digest[:16]}.safetensors"
    try:
        stored, _ = load_tensors(path, "pdsn identify")
    except PdsnError:
        views = workspace.memory.keep(faces, on_progress=on_progress)
        # A run that cannot be written to can be used all the same.
        with suppress(OSError):
            save_tensors(path, {f"view{n}": view.cpu() for n, view in enumerate(views)}, {})
    else:
        workspace.memory.keep(faces, [stored[name] for name in sorted(stored)])


def embeddings_of(
    workspace: Workspace, strategy: str, matcher: Matcher, crop: PrepareConfig
) -> dict[str, object]:
    """What the embeddings of a gallery depend on, by what it is called in messages.

    Args:
        workspace: the run.
        strategy: the name of the matcher in it.
        matcher: whose embeddings.
        crop: size and alignment of the faces.
    """
    settings = workspace.settings
    _, networks = workspace.tuned
    path = workspace.run.dictionary(strategy)
    return {
        "base": networks["base"],
        "head": networks.get("head", "none"),
        "strategy": strategy,
        "dictionary": sha256_of(path) if path.is_file() else "none",
        "alignment": [list(crop.size), crop.align, None if crop.template is None else list(crop.template)],
        "layout": {name: list(box) for name, box in matcher.regions.items()},
        "share under [regions]": settings.regions.share,
        "mirror under [eval]": workspace.memory.mirror,
        "unmasked under [eval]": settings.eval.unmasked,
        "learned": _learned(workspace) if strategy in further_matchers() else [],
    }


def _learned(workspace: Workspace) -> list[str]:
    """The sha256 of everything that a matcher beside the cosine and PDSN may build on: matchers and dictionaries."""
    run = workspace.run
    paths = [run.matcher(name) / MODEL for name in COMMANDS]
    paths += [run.dictionary(name) for name in run.dictionaries()]
    return [sha256_of(path) for path in paths if path.is_file()]
