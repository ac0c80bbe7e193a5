"""The class loss of a base that stays as it is: LMCL weights, trained on its embeddings of the training people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.artefact import TrainingFolder
from pdsn.networks.margins import MarginLoss
from pdsn.training.batches import ShuffledBatches
from pdsn.training.loop import Schedule, fit, seed_everything

if TYPE_CHECKING:
    from accelerate import Accelerator

BATCH = 256
"""Embeddings a step of a trained classifier; of few photos an eighth of them."""
CLASSIFIER = Schedule(epochs=30, lr=1e-2, optimizer="adamw", warmup=0.1)


class _ClassLoss(nn.Module):
    def __init__(self, classifier: MarginLoss) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, embeddings: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"loss": self.classifier(embeddings, labels)}


def train_frozen_classifier(
    classifier: MarginLoss,
    train: tuple[Tensor, Tensor],
    val: tuple[Tensor, Tensor],
    folder: TrainingFolder,
    accelerator: Accelerator,
    seed: int,
) -> None:
    """Train the LMCL weights on frozen embeddings; the epoch that names most validation photos is kept.

    Args:
        classifier: what is trained.
        train: embeddings (N, E) of length 1 and labels (N,) of the training photos.
        val: those of the validation photos.
        folder: of the base; the classifier's own lies in it.
        accelerator: device, precision, processes.
        seed: of the batches.
    """
    own = TrainingFolder(
        folder.root / "classifier", folder.config, folder.inputs, folder.command, folder.defaults
    )
    stale = own.described.is_file() and own.found_config() != own.config
    if own.open(force=stale, replace_stale=True):
        classifier.load_state_dict(own.load())
        return
    seed_everything(seed)
    module = _ClassLoss(classifier).to(accelerator.device)

    def validate() -> dict[str, float]:
        embeddings, labels = val[0].to(accelerator.device), val[1].to(accelerator.device)
        named = (embeddings @ F.normalize(classifier.weight).T).argmax(1) == labels
        rank1, loss = float(named.float().mean()), float(classifier(embeddings, labels))
        # The loss settles ties between epochs.
        return {"rank1": rank1, "loss": loss, "score": rank1 - 1e-3 * loss}

    batch = max(min(BATCH, len(train[1]) // 8), 2 * accelerator.num_processes)
    batches = ShuffledBatches(
        len(train[1]), lambda rows: tuple(part[rows] for part in train), batch, seed, accelerator
    )
    fit(
        module,
        batches,
        validate,
        schedule=CLASSIFIER,
        folder=own,
        accelerator=accelerator,
        seed=seed,
        title="classifier",
        weights=classifier.state_dict,
        load_weights=classifier.load_state_dict,
    )
