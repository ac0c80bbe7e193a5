"""The pictures of a table of `eval`: its figures, its regions, and probes that are explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.session import Session

if TYPE_CHECKING:
    from torch import Tensor

    from pdsn.evaluation.answers import Answer
    from pdsn.matchers.matcher import Matcher
    from pdsn.occlusion.layouts import Layout
    from pdsn.occlusion.occluder import Occluder


def shown_strategy(session: Session, matchers: Mapping[str, Matcher]) -> str:
    """Whose answers are shown: those of the strategy that `identify` takes, else of the last with masks, else no FDM."""
    from pdsn.masks.strategy import NO_FDM
    from pdsn.matchers.fdm import FDM
    from pdsn.run.strategies import preferred

    masked = [name for name, matcher in matchers.items() if isinstance(matcher, FDM)]
    best = preferred(session.settings.dictionary)
    return next((name for name in best if name in matchers), [NO_FDM, *masked][-1])


def draw_table(
    session: Session, layouts: Mapping[str, Layout], records: list[dict[str, Any]], folder: Path
) -> None:
    """The table as bars, and the regions of its strategies."""
    from pdsn.report.figures import plot_regions, plot_table

    plot_table(records, folder / "table.png")
    used = {layout.name: layout for layout in layouts.values()}
    if used:
        landmarks = session.training.landmarks[session.training.rows("train")]
        plot_regions(list(used.values()), session.example_face(), landmarks, folder / "regions.png")


def draw_examples(
    session: Session,
    answers: Sequence[Answer],
    matchers: Mapping[str, Matcher],
    occluders: Mapping[str, Occluder],
    find_covered: Callable[[Tensor], Tensor] | None,
    folder: Path,
) -> None:
    """The surest right and wrong answers of the strategy that is shown, explained; without masks or a segmentation none."""
    from pdsn.explain.asking import explainer_of
    from pdsn.explain.examples import EXAMPLES, choose_examples, write_examples
    from pdsn.masks.strategy import NO_FDM

    shown = shown_strategy(session, matchers)
    if shown == NO_FDM or find_covered is None:
        return
    chosen = choose_examples(
        [answer for answer in answers if answer.strategy == shown], session.dataset.labels
    )
    write_examples(
        folder / EXAMPLES,
        chosen,
        explainer_of(session, shown, methods=("layercam", "fdm")),
        session.dataset,
        occluders,
        find_covered,
        session.settings.seed,
    )
