"""The stages of a run: in which order, what each makes, and what is lacking. Nothing is opened or imported to know it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pdsn.artefact import MODEL, making
from pdsn.errors import PdsnError
from pdsn.masks.strategy import NO_FDM
from pdsn.matchers.table import COMMANDS, MATCHERS
from pdsn.run.workspace import Workspace

MATCHER_STAGE = "matcher-train"
"""Stands for the commands that train a matcher each."""


@dataclass(frozen=True)
class Step:
    """A stage with what it is asked to make.

    Attributes:
        stage: its command, or `MATCHER_STAGE` for the commands that train a matcher each.
        makes: the files that are there once it is done, by strategy or matcher, or by "" for a stage that knows none.
    """

    stage: str
    makes: dict[str, tuple[Path, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        """The strategies, or matchers."""
        return tuple(name for name in self.makes if name)

    @property
    def missing(self) -> list[tuple[str, Path]]:
        """What of it is not there yet, each file with its strategy."""
        return [(name, path) for name, paths in self.makes.items() for path in paths if not path.is_file()]

    def left(self) -> Step:
        """The same without the strategies that are done."""
        absent = dict(self.missing)
        return Step(self.stage, {name: paths for name, paths in self.makes.items() if name in absent})

    def refusal(self) -> PdsnError:
        """What to say where it may not be made: the first file that is missing, and the command that makes it."""
        name, path = self.missing[0]
        return PdsnError(f"{path} is missing: make it with `{making(f'pdsn {self._words([name])}', path)}`")

    @property
    def words(self) -> str:
        """What makes it, as it is typed after `pdsn`."""
        return self._words(self.names)

    def _words(self, names: Sequence[str]) -> str:
        if self.stage == MATCHER_STAGE:
            return ", ".join(COMMANDS[name] for name in names)
        return " --strategy ".join([self.stage, *filter(None, names)])


def base_step(workspace: Workspace) -> Step:
    """The base: trained here, or imported."""
    stage = "base-import" if workspace.settings.pretrained.arch else "base-train"
    return Step(stage, {"": (workspace.run.base / MODEL,)})


def masks_step(workspace: Workspace, names: Sequence[str]) -> Step:
    """The trained masks of strategies that learn any."""
    learned = [name for name in dict.fromkeys(names) if workspace.maker(name).learns]
    folders = {name: workspace.mask_folders(name) for name in learned}
    return Step("mask-train", {name: tuple(f / MODEL for f in found) for name, found in folders.items()})


def dictionary_step(workspace: Workspace, names: Iterable[str]) -> Step:
    """The dictionaries of strategies."""
    return Step("build-dictionary", {name: (workspace.run.dictionary(name),) for name in names})


def segmenter_step(workspace: Workspace) -> Step:
    """The segmentation."""
    return Step("segment-train", {"": (workspace.run.segmenter / MODEL,)})


def head_step(workspace: Workspace) -> Step:
    """The head that is trained on under FDMs."""
    return Step("head-train", {"": (workspace.run.head / MODEL,)})


def matchers_step(workspace: Workspace, names: Sequence[str]) -> Step:
    """The matchers that are trained, of some matchers."""
    learned = [name for name in workspace.behind(names) if name in COMMANDS]
    return Step(MATCHER_STAGE, {name: (workspace.run.matcher(name) / MODEL,) for name in learned})


def all_steps(workspace: Workspace, names: Sequence[str]) -> list[Step]:
    """Everything that `pdsn run` makes before its table, in order.

    Args:
        workspace: the run.
        names: strategies.
    """
    settings = workspace.settings
    steps = [base_step(workspace), masks_step(workspace, names), dictionary_step(workspace, names)]
    if settings.head.strategy in names and not settings.pretrained.arch:
        steps.append(head_step(workspace))
    steps.append(matchers_step(workspace, workspace.columns))
    if settings.eval.source == "segmenter":
        steps.append(segmenter_step(workspace))
    return [step for step in steps if step.makes]


def lacking(
    workspace: Workspace,
    *,
    dictionaries: Sequence[str] = (),
    masks: Sequence[str] = (),
    matchers: Sequence[str] = (),
    segmenter: bool = False,
) -> list[Step]:
    """What has to be made before a command can go on, in order; the base is always needed.

    Args:
        workspace: the run.
        dictionaries: strategies whose dictionary is needed; where one is missing its masks are needed too.
        masks: strategies whose trained masks are needed.
        matchers: those that are needed, by name, or two of them or of the strategies, A+B.
        segmenter: whether the segmentation is needed.
    """
    strategies = [name for name in workspace.behind(matchers) if name not in (*MATCHERS, NO_FDM)]
    absent = dictionary_step(workspace, dict.fromkeys([*dictionaries, *strategies])).left()
    steps = [base_step(workspace), masks_step(workspace, [*masks, *absent.names]).left(), absent]
    steps.append(matchers_step(workspace, matchers).left())
    if segmenter:
        steps.append(segmenter_step(workspace))
    return [step for step in steps if step.missing]
