"""What matchers that are trained have in common: their settings, the batches they learn from, and how they are judged.

They learn from the training photos and from their twins, under what people wear and blocks over LM2's bands: most of them
from the maps of both under the frozen base, the same that the matched masks are learned from, others from the faces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from pdsn.artefact import TrainingFolder
from pdsn.config.setting import Section, setting
from pdsn.data.dataset import evenly
from pdsn.matchers.training_photos import Photos
from pdsn.training.batches import ahead, another, check_batch
from pdsn.training.loop import Schedule, fit, seed_everything

if TYPE_CHECKING:
    from accelerate import Accelerator

    from pdsn.run.workspace import Workspace

FREE = 0.2
"""Share of a batch's probes that nothing covers: faces that are free have to go on being recognised."""
PROBES = 128
"""Probes that are judged at a time."""
PEOPLE = 64
"""Gallery photos that they are compared with at a time."""


@dataclass(frozen=True)
class LearningConfig(Section):
    """How long and how fast a matcher learns.

    Attributes:
        ASKED: settings that say how it is asked, not what it learns: they may change later.
        LEARNS_FROM: what of the run's base it learns from, "base" for its maps, "head" too for its embeddings.
    """

    ASKED: ClassVar[tuple[str, ...]] = ()
    LEARNS_FROM: ClassVar[tuple[str, ...]] = ("base", "head")

    steps: int = setting(
        default=600, help="of training, whatever the number of photos", low=1, high=10_000_000
    )
    batch: int = setting(default=64, help="people's photos a step, over all processes", low=2, high=65_536)
    lr: float = setting(default=1e-3, help="largest learning rate", low=1e-8, high=100)
    weight_decay: float = setting(default=5e-4, help="of matrices and convolutions", low=0, high=1)
    draws: int = setting(default=2, help="occluded twins of each training photo", low=1, high=1000)
    validations: int = setting(
        default=4, help="how often it is validated on the way; the best one is kept", low=1, high=1000
    )


Own = TypeVar("Own", bound=LearningConfig)
Net = TypeVar("Net", bound=nn.Module)


class Learner(Protocol):
    """A network that says how alike faces are, from their maps under the frozen base or from the faces themselves."""

    most_pairs: int | None
    """Pairs that it is judged by at most, where each of them costs a pass."""

    def scores(self, probes: Tensor, covered: Tensor, gallery: Tensor) -> Tensor:
        """How alike (P, G) each probe is to each gallery face; called without gradients.

        Args:
            probes: maps (P, C, h, w), or faces (P, 3, H, W) in 0 to 255.
            covered: (P, H, W) bool, what is covered of the probes.
            gallery: the same of faces of which nothing is covered.
        """
        ...


@dataclass(frozen=True)
class TwinBatches:
    """Photos of which most are covered, and of each one's person another photo that is free; see `batches.Batches`.

    A batch is: the probes (B, …), what is covered of them (B, H, W) bool, as many gallery photos, and whom both show
    (B,) int64. An epoch lasts from one validation to the next.

    Attributes:
        photos: those to learn from.
        config: steps, batch, validations.
        section: of the settings, for messages.
        seed: of the choice.
        accelerator: device and processes.
    """

    photos: Photos
    config: LearningConfig
    section: str
    seed: int
    accelerator: Accelerator

    def __post_init__(self) -> None:
        count = len(self.photos.labels)
        check_batch(f"{self.section}.batch", self.config.batch, self.accelerator, count)

    def __len__(self) -> int:
        return -(-self.config.steps // self.config.validations)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, ...]]:
        """See the class."""
        photos, device = self.photos, self.accelerator.device
        own = {person: np.flatnonzero(photos.labels == person) for person in np.unique(photos.labels)}
        mine = slice(self.accelerator.process_index, None, self.accelerator.num_processes)

        def make(step: int) -> tuple[Tensor, ...]:
            rng = np.random.default_rng((self.seed, step))
            rows = rng.permutation(len(photos.labels))[: self.config.batch]
            others = np.array([another(own[photos.labels[row]], row, rng) for row in rows])
            draws = rng.integers(photos.draws, size=len(rows))
            draws[rng.random(len(rows)) < FREE] = -1
            rows, others, draws = rows[mine], others[mine], draws[mine]
            return *photos.probes(rows, draws), photos.gallery(others), torch.from_numpy(photos.labels[rows])

        for batch in ahead(make, range(number * len(self), (number + 1) * len(self))):
            yield tuple(part.to(device) for part in batch)


def judge(learner: Learner, train: Photos, val: Photos, device: torch.device) -> dict[str, float]:
    """How a matcher names validation photos by one training photo of each person.

    Args:
        learner: the matcher's network.
        train: the first photo of each of its people is the gallery.
        val: the probes: its photos, and the first twin of each.
        device: where the network is.

    Returns:
        "rank1" of the free ones, "occluded" of the others (0 to 1), and their mean, "score".
    """
    people, first = np.unique(train.labels, return_index=True)
    asked = np.flatnonzero(np.isin(val.labels, people))
    if learner.most_pairs is not None:
        chosen = evenly(np.arange(len(people)), max(int(learner.most_pairs**0.5), 2))
        people, first = people[chosen], first[chosen]
        asked = evenly(np.flatnonzero(np.isin(val.labels, people)), learner.most_pairs // len(people))
    found = {}
    for name, draw in (("rank1", -1), ("occluded", 0)):
        hits = 0
        for rows in (asked[start : start + PROBES] for start in range(0, len(asked), PROBES)):
            probes, covered = (part.to(device) for part in val.probes(rows, np.full(len(rows), draw)))
            parts = [
                learner.scores(probes, covered, train.gallery(first[start : start + PEOPLE]).to(device)).cpu()
                for start in range(0, len(first), PEOPLE)
            ]
            nearest = people[torch.cat(parts, 1).argmax(1).numpy()]
            hits += int((nearest == val.labels[rows]).sum())
        found[name] = hits / max(len(asked), 1)
    return {**found, "score": sum(found.values()) / 2}


def learn(
    workspace: Workspace,
    own: Own,
    folder: TrainingFolder,
    build: Callable[[Workspace, Own], nn.Module],
    photos: tuple[Photos, Photos],
) -> dict[str, float]:
    """Train a matcher's network, and keep the weights that name validation photos best.

    Args:
        workspace: the run.
        own: the matcher's settings.
        folder: where the weights go.
        build: from the run and the settings, gives a `Learner` with random weights, whose forward gives the losses of a batch of `TwinBatches`.
        photos: of the training and of the validation split.

    Returns:
        See `judge`; "epoch" is that of the kept weights.
    """
    accelerator, seed = workspace.accelerator, workspace.settings.seed
    train, val = photos
    seed_everything(seed)
    module = build(workspace, own).to(accelerator.device)
    return fit(
        module,
        TwinBatches(train, own, own.NAME, seed, accelerator),
        lambda: judge(module, train, val, accelerator.device),  # type: ignore[arg-type]
        schedule=Schedule(own.validations, own.lr, "adamw", own.weight_decay, warmup=0.05),
        folder=folder,
        accelerator=accelerator,
        seed=seed,
        title=folder.command.removeprefix("pdsn "),
        weights=module.state_dict,
        load_weights=module.load_state_dict,
    )


def loaded(
    workspace: Workspace, own: Own, folder: TrainingFolder, build: Callable[[Workspace, Own], Net]
) -> Net:
    """A matcher's network with its finished weights, on the device, ready to be asked.

    Args:
        workspace: the run.
        own: the settings in force: of what it was trained with those beside the weights count.
        folder: of the weights.
        build: the network, with random weights.

    Raises:
        PdsnError: there are none, they are damaged, or they were made from another base or data set.
    """
    weights = folder.load()
    found = folder.found_config()
    then = {one.name: found[one.name] for one in fields(own) if one.name in found}
    try:
        module = build(workspace, replace(own, **then))
        module.load_state_dict(weights)
    except (RuntimeError, KeyError) as error:
        raise folder.misfit(error) from error
    return module.to(workspace.accelerator.device).eval()
