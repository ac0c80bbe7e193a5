"""Training data in batches: shuffled or balanced by seed and epoch, shared among processes, made ahead of use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from pdsn.config.setting import SettingError
from pdsn.errors import UsageError

if TYPE_CHECKING:
    from accelerate import Accelerator

Made = TypeVar("Made")


class Batches(Protocol):
    """A training set cut into batches, shuffled anew for each epoch."""

    def __len__(self) -> int:
        """Batches in an epoch."""
        ...

    def epoch(self, number: int) -> Iterator[tuple[Tensor, ...]]:
        """This process's share of each batch of an epoch, on the device."""
        ...


@dataclass(frozen=True)
class ShuffledBatches:
    """What lies ready, row by row, in shuffled batches, see `Batches`.

    Attributes:
        count: rows there are.
        take: rows (B,) int64 -> their tensors.
        batch: rows a step, over all processes.
        seed: of the shuffling.
        accelerator: device and processes.
        setting: that says how large a batch is, for messages.
    """

    count: int
    take: Callable[[Tensor], tuple[Tensor, ...]]
    batch: int
    seed: int
    accelerator: Accelerator
    setting: str = "masks.batch"

    def __post_init__(self) -> None:
        check_batch(self.setting, self.batch, self.accelerator, self.count)

    def __len__(self) -> int:
        return max(self.count // self.batch, 1)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, ...]]:
        """See `Batches`."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        for rows in shuffled(self.count, self.batch, self.seed, number, rank=rank, world=world):
            yield tuple(part.to(self.accelerator.device) for part in self.take(rows))


def check_batch(setting: str, batch: int, accelerator: Accelerator, count: int | None = None) -> None:
    """Raise SettingError unless every process gets at least two rows of a batch, fewer than which no statistics have.

    Args:
        setting: the setting that says how large a batch is, such as "base.batch".
        batch: rows a step, over all processes.
        accelerator: the processes; of one alone nothing is asked.
        count: rows there are, where a batch has no more than those.
    """
    world = accelerator.num_processes
    if world > 1 and batch < 2 * world:
        raise SettingError(setting, batch, f"is too small for {world} processes: give at least {2 * world}")
    if world > 1 and count is not None and count < 2 * world:
        raise UsageError(f"{count} training photos are too few for {world} processes: start fewer")


def another(photos: np.ndarray, row: int, rng: np.random.Generator) -> int:
    """One of somebody's photos, not this one unless there is no other."""
    others = photos[photos != row]
    return int(rng.choice(others)) if len(others) else int(row)


def ahead(make: Callable[[int], Made], steps: range, *, workers: int = 1) -> Iterator[Made]:
    """What `make` gives for each step, in order, made by threads while earlier ones are in use.

    Args:
        make: from the step's number; everything random in it must follow from that number.
        steps: the steps.
        workers: threads; four batches wait for each.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting = deque(pool.submit(make, step) for step in steps[: 4 * workers])
        coming = iter(steps[4 * workers :])
        while waiting:
            made = waiting.popleft().result()
            waiting.extend(pool.submit(make, step) for step in islice(coming, 1))
            yield made


def balanced(groups: np.ndarray, power: float, seed: int, epoch: int) -> np.ndarray:
    """Indices (N,) of N rows for an epoch, in which large groups are rarer than among the rows.

    A row of a group of n comes n^-power times as often as one that is alone, up to rounding; 0 takes each row once.

    Args:
        groups: (N,) the group of each row, not negative.
        power: 0 for the rows as they are, to 1 for groups equally often.
        seed, epoch: which rows are taken where they cannot all be follows from these.
    """
    rng = np.random.default_rng((seed, epoch))
    weights = np.bincount(groups)[groups] ** -power
    order = rng.permutation(len(groups))
    places = np.cumsum(weights[order] / weights.sum())
    # One comb over all rows: counts are off their share by less than one.
    comb = (np.arange(len(groups)) + rng.random()) / len(groups)
    return order[np.searchsorted(places, comb * places[-1], side="right").clip(max=len(groups) - 1)]


def shuffled(count: int, batch: int, seed: int, epoch: int, *, rank: int = 0, world: int = 1) -> list[Tensor]:
    """Indices of an epoch's batches: each process's share of each shuffled batch of `batch` indices.

    The incomplete last batch is dropped, unless it is the only one.
    """
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed * 100_003 + epoch))
    full = [order[i : i + batch] for i in range(0, max(count - batch, 0) + 1, batch)]
    return [rows[rank::world] for rows in full]
