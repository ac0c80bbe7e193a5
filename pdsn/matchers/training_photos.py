"""The photos that a matcher learns from and is judged by: maps of them under the frozen base, or the faces themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from pdsn.data.dataset import FaceDataset
from pdsn.masks.maps import Twins
from pdsn.occlusion.mixture import matching_mixture
from pdsn.occlusion.occluder import Occluder

if TYPE_CHECKING:
    from pdsn.run.workspace import Workspace

LAYOUT = "LM2"
"""The layout whose bands the twins are covered about, and that tells which faces share a threshold."""


class Photos(Protocol):
    """The photos of a split, as a matcher's network sees them.

    Attributes:
        labels: (N,) int64, who is on each.
        draws: how many occluded twins each photo has.
    """

    labels: np.ndarray
    draws: int

    def probes(self, rows: np.ndarray, draws: np.ndarray) -> tuple[Tensor, Tensor]:
        """Some photos, and what is covered of them (n, H, W) bool; a twin of a draw, -1 for the photo itself."""
        ...

    def gallery(self, rows: np.ndarray) -> Tensor:
        """Some photos as they are seen in a gallery."""
        ...


@dataclass(frozen=True)
class MapPhotos:
    """Maps of a split's photos and of their occluded twins, see `Photos`.

    Attributes:
        free: (N, C, h, w) float16 of the photos as probes.
        enrolled: the same as they are seen in a gallery.
        twins: of each draw.
        labels: (N,) int64, who is on each.
    """

    free: np.ndarray
    enrolled: np.ndarray
    twins: list[Twins]
    labels: np.ndarray

    @property
    def draws(self) -> int:
        """See `Photos`."""
        return len(self.twins)

    def probes(self, rows: np.ndarray, draws: np.ndarray) -> tuple[Tensor, Tensor]:
        """See `Photos`."""
        chosen = list(zip(rows, draws, strict=True))
        shown = [self.free[row] if draw < 0 else self.twins[draw].maps[row] for row, draw in chosen]
        covered = torch.zeros((len(rows), *self.twins[0].size), dtype=torch.bool)
        for place, (row, draw) in enumerate(chosen):
            if draw >= 0:
                covered[place] = self.twins[draw].covered(slice(row, row + 1))[0]
        return torch.from_numpy(np.stack(shown)).float(), covered

    def gallery(self, rows: np.ndarray) -> Tensor:
        """See `Photos`."""
        return torch.from_numpy(self.enrolled[rows]).float()


@dataclass(frozen=True)
class FacePhotos:
    """A split's photos themselves, painted over when they are asked for, see `Photos`.

    Attributes:
        dataset: the faces.
        rows: those of the split.
        occluder: what covers the twins.
        labels: (N,) int64, who is on each.
        draws: how many twins each photo has.
        seed: of the painting.
    """

    dataset: FaceDataset
    rows: np.ndarray
    occluder: Occluder
    labels: np.ndarray
    draws: int
    seed: int

    def probes(self, rows: np.ndarray, draws: np.ndarray) -> tuple[Tensor, Tensor]:
        """See `Photos`."""
        photos = self.rows[rows]
        faces = self.dataset.tensor(photos)
        covered = torch.zeros((len(faces), *faces.shape[2:]), dtype=torch.bool)
        for place, (photo, draw) in enumerate(zip(photos, draws, strict=True)):
            if draw >= 0:
                rng = np.random.default_rng((self.seed, int(draw), int(photo)))
                points = torch.from_numpy(self.dataset.landmarks[photo])
                faces[place], covered[place] = self.occluder(faces[place], points, rng)
        return faces.float(), covered

    def gallery(self, rows: np.ndarray) -> Tensor:
        """See `Photos`."""
        return self.dataset.tensor(self.rows[rows]).float()


def map_photos(workspace: Workspace, draws: int) -> tuple[Photos, Photos]:
    """The maps that a matcher learns from and is judged by, made where they are not in the run's cache."""
    model, _ = workspace.tuned
    maps, layout = workspace.pair_maps(model, workspace.base_folder.sha256()), workspace.layout(LAYOUT)
    return tuple(  # type: ignore[return-value]
        MapPhotos(
            maps.clean(split),
            maps.clean(split, "gallery"),
            maps.mixed(layout, split, count),
            _labels(maps.dataset, split),
        )
        for split, count in (("train", draws), ("val", 1))
    )


def face_photos(workspace: Workspace, draws: int) -> tuple[Photos, Photos]:
    """The faces that a matcher learns from and is judged by, where it does not build on the base's maps."""
    dataset, boxes = workspace.training, list(workspace.layout(LAYOUT).regions.values())
    return tuple(  # type: ignore[return-value]
        FacePhotos(
            dataset,
            dataset.rows(split),
            matching_mixture(boxes, split),
            _labels(dataset, split),
            count,
            workspace.settings.seed,
        )
        for split, count in (("train", draws), ("val", 1))
    )


def _labels(dataset: FaceDataset, split: str) -> np.ndarray:
    return dataset.labels[dataset.rows(split)].astype(np.int64)
