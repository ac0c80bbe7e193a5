"""The one training loop: precision, schedule, best checkpoint, resume, metrics and progress bar.

Whatever trains is a module whose forward gives a dict of scalars with "loss" among them. Everything
random in an epoch follows from the seed and the epoch's number, so a run that was killed and resumed
repeats the undisturbed run exactly: bit for bit on a CPU with as many threads.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pdsn.artefact import TrainingFolder
from pdsn.errors import PdsnError
from pdsn.progress import progress_bar
from pdsn.training.batches import Batches

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        epochs: passes over the training set.
        lr: largest learning rate, reached after the warm-up.
        optimizer: "sgd" (Nesterov momentum .9), "adamw", or "plain": sgd without momentum, whose rate stays where the
            warm-up took it.
        weight_decay: of matrices and convolutions; biases and norms have none.
        warmup: share of the steps in which the rate rises linearly; after it falls to 0 as a cosine.
        validate_every: epochs between validations, counted back from the last, which is always validated.
        average: what is validated and kept is the running mean of the weights, of which each step keeps this
            share, fewer in the first steps; 0 keeps the weights themselves.
        patience: the training ends when so many validations in a row brought nothing better; `epochs` is then the
            most, and the rate stays where the warm-up took it. 0 trains all `epochs`.
    """

    epochs: int
    lr: float
    optimizer: str = "sgd"
    weight_decay: float = 5e-4
    warmup: float = 0.2
    validate_every: int = 1
    average: float = 0.0
    patience: int = 0

    def rate(self, done: float) -> float:
        """Learning rate when the share `done` (0 to 1) of all steps is done."""
        if done < self.warmup:
            return self.lr * done / self.warmup
        if self.patience or self.optimizer == "plain":
            return self.lr
        return self.lr * (1 + math.cos(math.pi * (done - self.warmup) / (1 - self.warmup))) / 2

    def validates(self, epoch: int) -> bool:
        """Whether epoch number `epoch` (from 0) is validated."""
        return (self.epochs - epoch - 1) % self.validate_every == 0

    def stagnates(self, done: int, best: int) -> bool:
        """Whether to stop after `done` epochs, of which number `best` (from 1) was the best so far."""
        return self.patience > 0 and done - best >= self.patience * self.validate_every


def seed_everything(seed: int, *more: int) -> None:
    """Seed torch's global generators from several numbers; models are built after this."""
    state = torch.Generator().manual_seed(seed)
    for number in more:
        state.manual_seed(int(torch.randint(2**62, (), generator=state)) ^ number)
    torch.manual_seed(int(torch.randint(2**62, (), generator=state)))


def fit(
    module: nn.Module,
    batches: Batches,
    validate: Callable[[], dict[str, float]],
    *,
    schedule: Schedule,
    folder: TrainingFolder,
    accelerator: Accelerator,
    seed: int,
    title: str,
    weights: Callable[[], dict[str, Tensor]],
    load_weights: Callable[[dict[str, Tensor]], Any],
) -> dict[str, float]:
    """Train `module` and leave its best weights in `folder`.

    Args:
        module: on the device; `module(*batch)` gives {"loss": scalar, …}.
        batches: training data.
        validate: figures of the module as it is now, "score" among them; higher is better. The module
            is in evaluation mode; called without gradients, of several processes in the main one alone.
        schedule: epochs and learning rate.
        folder: where weights, metrics and the state to resume from go; goes on from what is there.
        accelerator: device, precision, processes.
        seed: the training seed.
        title: for the progress bar.
        weights: what is to be kept of the module (its trainable part).
        load_weights: puts kept weights back; called with the best ones at the end.

    Returns:
        The figures of the best epoch.

    Raises:
        PdsnError: the loss is no longer finite, or another command is training in `folder`.
    """
    optimizer = _optimizer(module, schedule)
    with folder.alone() if accelerator.is_main_process else nullcontext():
        if accelerator.is_main_process:
            folder.begin()
        accelerator.wait_for_everyone()
        state = folder.resume(accelerator.device)
        start = 0 if state is None else int(state["epoch"])
        best: dict[str, Any] = {"score": -math.inf} if state is None else state["best"]
        if state is not None:
            load_weights(state["weights"])
            optimizer.load_state_dict(state["optimizer"])
        mean = RunningMean(schedule.average, None if state is None else state.get("mean"))
        wrapped, optimizer = accelerator.prepare(module, optimizer)
        steps = len(batches)
        total = steps * schedule.epochs
        main = accelerator.is_main_process
        if main:
            folder.trim_metrics(start)
        with progress_bar(title, total, "steps", done=start * steps, quiet=not main) as advance:
            for epoch in range(start, schedule.epochs):
                if schedule.stagnates(epoch, int(best.get("epoch", epoch))):
                    break
                began = time.perf_counter()
                seed_everything(seed, epoch, accelerator.process_index)
                wrapped.train()
                sums: dict[str, Tensor] = {}
                for step, losses in _steps(wrapped, batches, epoch, schedule, optimizer, accelerator):
                    mean.add(weights, step)
                    for name, value in losses.items():
                        sums[name] = sums.get(name, 0) + value.detach().float()
                    advance()
                trained = time.perf_counter() - began
                figures = {name: float(value) / steps for name, value in sums.items()}
                if not math.isfinite(figures["loss"]):
                    raise PdsnError(
                        f"{title}: the loss is {figures['loss']} in epoch {epoch + 1}; train anew with a lower --lr"
                    )
                row = {"epoch": epoch + 1, "lr": schedule.rate((epoch + 1) * steps / total), **figures}
                if schedule.validates(epoch):
                    wrapped.eval()
                    with mean.in_place(weights, load_weights):
                        found = _validated(validate, weights, load_weights, accelerator)
                        if found["score"] > best["score"]:
                            best = {**found, "epoch": epoch + 1, "weights": _on_cpu(weights())}
                    row |= {f"val_{name}": value for name, value in found.items()}
                row |= {
                    "seconds": round(time.perf_counter() - began, 2),
                    "seconds_training": round(trained, 2),
                }
                if main:
                    folder.add_metrics(row)
                    folder.save_state(
                        {
                            "epoch": epoch + 1,
                            "weights": weights(),
                            "mean": mean.weights,
                            "optimizer": optimizer.state_dict(),
                            "best": best,
                        }
                    )
                advance(0, note=_note(row))
        accelerator.wait_for_everyone()
        kept = best.pop("weights")
        load_weights({name: value.to(accelerator.device) for name, value in kept.items()})
        if main:
            folder.finish(kept, {name: float(value) for name, value in best.items()})
        accelerator.wait_for_everyone()
        accelerator.free_memory()
        return {name: float(value) for name, value in best.items()}


def _steps(
    module: nn.Module,
    batches: Batches,
    epoch: int,
    schedule: Schedule,
    optimizer: Any,
    accelerator: Accelerator,
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Train for an epoch: the number of each step done, counted through all epochs, and its losses."""
    steps = len(batches)
    for number, batch in enumerate(batches.epoch(epoch), epoch * steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(number / (steps * schedule.epochs))
        with accelerator.autocast():
            losses = module(*batch)
        accelerator.backward(losses["loss"])
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield number, losses


def _validated(
    validate: Callable[[], dict[str, float]],
    weights: Callable[[], dict[str, Tensor]],
    load_weights: Callable[[dict[str, Tensor]], Any],
    accelerator: Accelerator,
) -> dict[str, float]:
    """The figures of the main process's module, which every process has from then on.

    Each process's BatchNorm has statistics of its own share of the batches: they would judge, and keep, different
    networks.
    """
    if accelerator.num_processes == 1:
        with torch.inference_mode():
            return validate()
    from accelerate.utils import broadcast, broadcast_object_list

    load_weights(broadcast({name: value.detach().clone() for name, value in weights().items()}))
    found: list[dict[str, float]] = [{}]
    if accelerator.is_main_process:
        with torch.inference_mode():
            found = [validate()]
    return broadcast_object_list(found)[0]


class RunningMean:
    """The exponentially weighted mean of a module's weights over the steps, or nothing.

    Args:
        decay: share of the mean that a step keeps; 0 for no mean at all.
        weights: the mean so far, of a training that goes on.
    """

    def __init__(self, decay: float, weights: dict[str, Tensor] | None = None) -> None:
        self.decay = decay
        self.weights = weights

    def add(self, weights: Callable[[], dict[str, Tensor]], step: int) -> None:
        """Take in the weights after a step (from 0); early on the mean forgets faster, so that no start clings to it."""
        if not self.decay:
            return
        if self.weights is None:
            self.weights = {name: value.detach().clone() for name, value in weights().items()}
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in weights().items():
            if value.is_floating_point():
                self.weights[name].lerp_(value.detach(), 1 - decay)
            else:
                self.weights[name].copy_(value)

    @contextmanager
    def in_place(
        self, weights: Callable[[], dict[str, Tensor]], load_weights: Callable[[dict[str, Tensor]], Any]
    ) -> Iterator[None]:
        """Within the block the module has the mean weights."""
        if self.weights is None:
            yield
            return
        own = {name: value.detach().clone() for name, value in weights().items()}
        load_weights(self.weights)
        try:
            yield
        finally:
            load_weights(own)


def _optimizer(module: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    trained = [p for p in module.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": schedule.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if schedule.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=schedule.lr)
    if schedule.optimizer == "plain":
        return torch.optim.SGD(groups, lr=schedule.lr)
    return torch.optim.SGD(groups, lr=schedule.lr, momentum=0.9, nesterov=True)


def _on_cpu(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in weights.items()}


def _note(row: dict[str, float]) -> str:
    shown = [f"epoch {row['epoch']}", f"loss {row['loss']:.3f}"]
    if "val_rank1" in row:
        shown.append(f"val rank-1 {100 * row['val_rank1']:.1f} %")
    elif "val_iou" in row:
        shown.append(f"val IoU {row['val_iou']:.3f}")
    elif "val_rank1_masked" in row:
        shown.append(f"val rank-1 under the mask {100 * row['val_rank1_masked']:.1f} %")
    elif "val_loss" in row:
        shown.append(f"val loss {row['val_loss']:.3f}")
    return ", ".join(shown)


def read_metrics(folder: TrainingFolder) -> list[dict[str, float]]:
    """The rows of metrics.jsonl, one an epoch."""
    lines = folder.metrics.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
