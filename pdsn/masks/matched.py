"""Masks learned in the match itself: what multiplies the features is what is trained.

The paper's generator sees a photo and its occluded twin, and its output, averaged, normalised and cut at a
percentile, becomes the mask. Here the masks of a dictionary are free parameters, sigmoids, and the loss is
that of the question which they will be asked: is an occluded face, under the FDM of its occluded regions,
nearer to its own person under the same FDM than to anybody else? The base stays frozen as ever. The idea
of masks per region and of an FDM for probe and gallery alike is PDSN's; this way of learning them is ours.
"""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.artefact import TrainingFolder
from pdsn.bases.map_files import to_tensor
from pdsn.data.dataset import evenly
from pdsn.masks.against_photos import POOLED, PhotoBatches, pooled_loss
from pdsn.masks.groups import GroupBatches, training_groups
from pdsn.masks.maker import ALL, Ingredients, Maker, Masks
from pdsn.masks.maps import CHUNK, PairMaps
from pdsn.masks.settings import PHOTOS, MatchingConfig
from pdsn.masks.strategy import MATCHED
from pdsn.networks.backbone import freeze
from pdsn.networks.branches import Network, branch
from pdsn.networks.margins import hit_rate, margin_logits
from pdsn.networks.network import BaseModel
from pdsn.occlusion.layouts import Layout
from pdsn.training.loop import Schedule, fit, seed_everything

if TYPE_CHECKING:
    from accelerate import Accelerator

    from pdsn.run.workspace import Workspace

START = 2.0
"""Logit of a feature before training: it is kept to 88 %."""
MOST_PEOPLE = 1024
"""People who are told apart; of more, as many spread evenly."""


class MatchedMasks(nn.Module):
    """The masks of R regions, and the loss of the match under them.

    With the masks M_j = sigmoid(theta_j), the FDM M of the occluded regions S is their product, the mean
    map of person k's clean photos is f_k, and for the map f(x) of an occluded photo of person y

        l = LMCL(cos(F(M f(x)), F(M f_k)), y)        M = prod of M_j over j in S

    F being the frozen head. With `shared` theta_j is the sum of a value for each channel, one for each cell and one for
    each feature: what few photos say of a feature, many say of its channel and its cell.

    Args:
        regions: R.
        base: its head is F; frozen here.
        people: (K, C, h, w) mean clean map of each person.
        scale, margin: s and m of the loss.
        shared: see above.
    """

    people: Tensor

    def __init__(
        self,
        regions: int,
        base: Network,
        people: Tensor,
        scale: float,
        margin: float,
        *,
        shared: bool = False,
    ) -> None:
        super().__init__()
        channels, rows, columns = people.shape[1:]
        self.theta = nn.Parameter(torch.full((regions, channels, rows, columns), START))
        if shared:
            self.channel = nn.Parameter(torch.zeros(regions, channels, 1, 1))
            self.cell = nn.Parameter(torch.zeros(regions, 1, rows, columns))
        self.base = base
        self.scale = scale
        self.margin = margin
        self.register_buffer("people", people, persistent=False)
        freeze(self.base)

    def learned(self) -> dict[str, Tensor]:
        """What is learned, by name, see `learned_masks`."""
        return {name: value for name, value in self.named_parameters() if not name.startswith("base.")}

    def forward(
        self, maps: Tensor, labels: Tensor, occluded: Tensor, photos: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Loss of photos that share their occluded regions.

        Args:
            maps: (N, C, h, w) of occluded photos.
            labels: (N,) int64, rows of `people` or of `photos`.
            occluded: (R,) bool.
            photos: (K, C, h, w) of one clean photo of each of some people; they take the place of `people`, and
                `pooled_loss` has its share of the loss.

        Returns:
            Scalars "loss" and "accuracy", the share of photos that are nearest to their own person.
        """
        # Half precision would eat the margin, and the head costs next to nothing.
        with torch.autocast(maps.device.type, enabled=False):
            fdm = torch.where(occluded[:, None, None, None], learned_masks(self.learned()), 1.0).prod(0)
            people = branch(self.base, "gallery").head((self.people if photos is None else photos) * fdm)
            asked = branch(self.base, "probe").head(maps.float() * fdm)
            logits = margin_logits(asked, people, labels, self.scale, self.margin)
            loss = F.cross_entropy(logits, labels)
            if photos is not None:
                loss = (1 - POOLED) * loss + POOLED * pooled_loss(logits, labels)
        return {
            "loss": loss,
            "accuracy": hit_rate(logits, labels, self.scale, self.margin),
        }


def matching_folder(
    root: Path,
    config: MatchingConfig,
    layout: Layout,
    share: float,
    base: str,
    seed: int,
    name: str = MATCHED,
) -> TrainingFolder:
    """The folder of the matched masks for these settings, this base and these regions."""
    settings = {**config.__dict__, "share": share, "seed": seed}
    regions = {name: list(box) for name, box in layout.regions.items()}
    inputs = {"base": base, "regions": f"{layout.name} {regions}"}
    command = f"pdsn mask-train --strategy {name}"
    return TrainingFolder(root, settings, inputs, command, MatchingConfig.BEFORE)


def train_matched(
    maps: PairMaps,
    model: BaseModel,
    layout: Layout,
    share: float,
    config: MatchingConfig,
    folder: TrainingFolder,
    accelerator: Accelerator,
    seed: int,
) -> dict[str, float]:
    """Train the masks of all regions together; those with the lowest validation loss are kept.

    Args:
        maps: of the clean photos, and of their twins under `PairMaps.mixed`.
        model: the base, and the scale of the loss.
        layout: the regions.
        share: a region counts as occluded when more than this share of it is covered.
        config: the settings.
        folder: where the masks go.
        accelerator: device, precision, processes.
        seed: of the batches.

    Returns:
        Validation "loss", "accuracy" and the "epoch" of the kept ones.

    Raises:
        PdsnError: no occlusion covers a region of any photo.
    """
    clean, drawn = maps.clean("train", "gallery"), maps.mixed(layout, "train", config.draws)
    val_drawn = maps.mixed(layout, "val", 1)
    people = len(maps.dataset.people)
    kept = evenly(np.arange(people), MOST_PEOPLE)
    renumbered = np.full(people, -1, dtype=np.int64)
    renumbered[kept] = np.arange(len(kept))
    labels, val_labels = (
        renumbered[maps.dataset.labels[maps.dataset.rows(split)]] for split in ("train", "val")
    )
    groups, val_groups = training_groups(layout, share, drawn, labels, val_drawn, val_labels)
    seed_everything(seed)
    centres = mean_maps(clean, labels, len(kept)).to(accelerator.device)
    by_photos = config.against == PHOTOS
    module = MatchedMasks(
        len(layout.regions), model.net, centres, model.classifier.scale, config.margin, shared=by_photos
    ).to(accelerator.device)
    batches = GroupBatches([twins.maps for twins in drawn], groups, labels, config, seed, accelerator)

    def validate() -> dict[str, float]:
        sums = {"loss": 0.0, "accuracy": 0.0}
        total = sum(len(photos) for _, photos in val_groups)
        for occluded, photos in val_groups:
            rows = photos[:, 1]
            answers = module(
                to_tensor(val_drawn[0].maps[rows], accelerator.device),
                torch.from_numpy(val_labels[rows]).to(accelerator.device),
                torch.from_numpy(occluded).to(accelerator.device),
            )
            for name in sums:
                sums[name] += float(answers[name]) * len(rows) / total
        return {**sums, "score": -sums["loss"]}

    return fit(
        module,
        PhotoBatches(batches, clean) if by_photos else batches,
        validate,
        schedule=Schedule(config.validations, config.lr, "adamw", weight_decay=0.0, warmup=0.05),
        folder=folder,
        accelerator=accelerator,
        seed=seed,
        title=f"mask-train {MATCHED}",
        weights=lambda: {name: value.detach() for name, value in module.learned().items()},
        load_weights=lambda weights: module.load_state_dict(weights, strict=False),
    )


def learned_masks(weights: dict[str, Tensor]) -> Tensor:
    """The masks (R, C, h, w) in 0 to 1 of what is learned, such as a finished training's weights: their sum's sigmoid."""
    return reduce(torch.add, weights.values()).float().sigmoid()


def mean_maps(maps: np.ndarray, labels: np.ndarray, people: int) -> Tensor:
    """Mean map (people, C, h, w) float32 of each person.

    Args:
        maps: (N, C, h, w).
        labels: (N,) 0 to people - 1, or -1 for photos that do not count.
        people: K; a person without a photo gets zeros.
    """
    total = torch.zeros((people, *maps.shape[1:]))
    for first in range(0, len(maps), CHUNK):
        part = to_tensor(maps[first : first + CHUNK], total.device)
        chosen = torch.from_numpy(labels[first : first + CHUNK])
        total.index_add_(0, chosen[chosen >= 0], part[chosen >= 0])
    counts = torch.from_numpy(np.bincount(labels[labels >= 0], minlength=people))
    return total / counts.clamp_min(1).view(-1, 1, 1, 1)


def _folder(workspace: Workspace, name: str, layout: Layout, label: str, base: str) -> TrainingFolder:
    settings, root = workspace.settings, workspace.run.masks(name, label)
    return matching_folder(root, settings.matching, layout, settings.regions.share, base, settings.seed, name)


def _train(
    workspace: Workspace, maps: PairMaps, model: BaseModel, layout: Layout, label: str, folder: TrainingFolder
) -> dict[str, float]:
    del label
    settings = workspace.settings
    return train_matched(
        maps,
        model,
        layout,
        settings.regions.share,
        settings.matching,
        folder,
        workspace.accelerator,
        settings.seed,
    )


def _masks(given: Ingredients) -> Masks:
    mean = learned_masks(given.trained[ALL].load()).cpu()
    return mean, mean > 0.5


MAKER = Maker(
    name=MATCHED,
    help="ours: soft masks of all regions, learned in the comparison that they are used in",
    masks=_masks,
    soft=True,
    labels=lambda regions: [ALL] if regions else [],
    folder=_folder,
    train=_train,
    setting="matching.batch",
)
