"""Feature maps of clean photos and of their occluded twins, computed once and kept on disk.

The trunk is frozen while masks are learned, so each photo passes it once for each region.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pdsn import __version__
from pdsn.bases.encoder import Encoder
from pdsn.bases.map_files import finished_maps, forget_maps, kept_maps, to_disk, to_tensor
from pdsn.data.dataset import FaceDataset
from pdsn.files import remove_strays, write_array
from pdsn.masks.settings import MaskConfig
from pdsn.networks.branches import Role, has_branches
from pdsn.occlusion import artwork
from pdsn.occlusion.layouts import Layout
from pdsn.occlusion.mixture import MATCHING_WEIGHTS, matching_mixture
from pdsn.occlusion.occluder import Occluder
from pdsn.occlusion.occluders import Block, Nothing, occlude
from pdsn.progress import Advance, progress_bar

CHUNK = 256
"""Photos that are occluded and encoded at a time."""
METHOD = 1
"""Raised by hand whenever painting or encoding changes what comes out: maps on disk are then made again."""
BEFORE = {**MaskConfig.BEFORE, "pdsn": "0.1.0", "method": 1}
"""What older maps that do not say it were made with, see `artefact.completed`."""


@dataclass(frozen=True)
class Twins:
    """Occluded twins of the photos of a split, in the order of its rows.

    Attributes:
        maps: (N, C, h, w) float16.
        packed: (N, ceil(H W / 8)) uint8, a bit for each pixel of a face: whether it is covered.
        size: H, W.
    """

    maps: np.ndarray
    packed: np.ndarray
    size: tuple[int, int]

    def covered(self, rows: np.ndarray | slice = slice(None)) -> Tensor:
        """What is covered of some of the faces (n, H, W) bool."""
        height, width = self.size
        bits = np.unpackbits(self.packed[rows], axis=1, count=height * width)
        return torch.from_numpy(bits.reshape(-1, height, width)).bool()

    def shares(self, layout: Layout) -> np.ndarray:
        """The share (N, R) float32 of each region of a layout that is covered."""
        parts = [
            layout.coverage(self.covered(slice(first, first + CHUNK)))
            for first in range(0, len(self.packed), CHUNK)
        ]
        return torch.cat(parts).numpy()


@dataclass(frozen=True)
class PairMaps:
    """The maps of a data set under one base.

    Attributes:
        folder: where they are kept.
        dataset: the photos.
        encoder: the base.
        base: sha256 of the base; maps of another one are made again.
        seed: of the blocks' intensities.
        intensity: grey level of the blocks, -1 for a random one each.
        jitter: how far their edges move, see `occluders.moved`.
    """

    folder: Path
    dataset: FaceDataset
    encoder: Encoder
    base: str
    seed: int
    intensity: int
    jitter: float = 0.0

    def clean(self, split: str, role: Role = "probe") -> np.ndarray:
        """(N, C, h, w) float16 of the clean photos of a split, in the order of its rows.

        Of a base with two branches `role` says which; twins are seen as probes.
        """
        if role == "gallery" and has_branches(self.encoder.net):
            return self._maps("clean-gallery", Nothing(), split, {}, role="gallery")
        return self._maps("clean", Nothing(), split, {})

    def occluded(self, layout: Layout, region: str, split: str) -> np.ndarray:
        """The same for their twins with a block of uniform intensity on a region."""
        box = layout.regions[region]
        block = Block((box,), None if self.intensity < 0 else self.intensity, self.jitter)
        made = {"box": list(box), "intensity": self.intensity, "jitter": self.jitter, "seed": self.seed}
        return self._maps(f"{layout.name}-{region}", block, split, made)

    def mixed(self, layout: Layout, split: str, draws: int) -> list[Twins]:
        """Twins under a mixture of blocks about the regions and of what people wear, `draws` times each photo.

        Args:
            layout: the regions.
            split: "train" or "val": photos, and the styles of what they wear.
            draws: how often; the twins of each draw.
        """
        mixture = matching_mixture(list(layout.regions.values()), split)
        found = []
        for draw in range(draws):
            boxes = [list(box) for box in layout.regions.values()]
            made = {
                "boxes": boxes,
                "weights": MATCHING_WEIGHTS,
                "artwork": artwork.version(),
                "seed": self.seed,
                "draw": draw,
            }
            name = f"{layout.name}-mixed{draw}"
            maps = self._maps(name, mixture, split, made, pixels=True)
            packed = np.load(_pixels(self.folder / f"{name}-{split}.npy"), allow_pickle=False)
            found.append(Twins(maps, packed, self.dataset.size))
        return found

    def _maps(
        self,
        name: str,
        occluder: Occluder,
        split: str,
        made: dict[str, object],
        role: Role = "probe",
        *,
        pixels: bool = False,
    ) -> np.ndarray:
        """Maps of a split's photos under an occluder; with `pixels`, a file beside them says which are covered."""
        remove_strays(self.folder)
        path = self.folder / f"{name}-{split}.npy"
        precision = self.encoder.accelerator.mixed_precision
        wanted = {
            **made,
            "base": self.base,
            "data set": self.dataset.sha256,
            "precision": precision,
            "pdsn": __version__,
            "method": METHOD,
        }
        found = kept_maps(path, wanted, BEFORE)
        if pixels and not _pixels(path).is_file():
            found = None
        if found is None:
            # Several processes may do this at once: each writes the same bytes, atomically.
            forget_maps(path)
            self._compute(path, f"{name} maps, {split}", occluder, split, name, role, pixels=pixels)
            found = finished_maps(path, wanted)
        return found

    def _compute(
        self,
        path: Path,
        title: str,
        occluder: Occluder,
        split: str,
        name: str,
        role: Role,
        *,
        pixels: bool,
    ) -> None:
        rows = self.dataset.rows(split)
        shape = (len(rows), *self.encoder.net.map_shape)
        quiet = not self.encoder.accelerator.is_main_process
        packed: list[np.ndarray] = []

        def parts(advance: Advance) -> Iterator[np.ndarray]:
            for first in range(0, len(rows), CHUNK):
                part = rows[first : first + CHUNK]
                faces, covered = occlude(
                    occluder,
                    self.dataset.tensor(part),
                    self.dataset.landmarks[part],
                    seed=self.seed,
                    name=name,
                    rows=part.tolist(),
                )
                maps = to_disk(self.encoder.maps(faces, role=role))
                if pixels:
                    packed.append(np.packbits(covered.flatten(1).numpy(), axis=1))
                yield maps
                advance(len(part))

        with progress_bar(title, len(rows), "photos", quiet=quiet) as advance:
            write_array(path, np.float16, shape, parts(advance))
        if pixels:
            height, width = self.dataset.size
            write_array(_pixels(path), np.uint8, (len(rows), -(-height * width // 8)), packed)


def _pixels(path: Path) -> Path:
    """The file beside an array of maps that says which pixels are covered."""
    return path.with_name(f"{path.stem}-covered-pixels.npy")


def batches(
    clean: np.ndarray, occluded: np.ndarray, device: torch.device, size: int = 256
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of maps in order, (B, C, h, w) float32 on the device."""
    yield from zip(maps_in_order(clean, device, size), maps_in_order(occluded, device, size), strict=True)


def maps_in_order(maps: np.ndarray, device: torch.device, size: int = 256) -> Iterator[Tensor]:
    """Maps (N, C, h, w) in order, (B, C, h, w) float32 on the device."""
    for first in range(0, len(maps), size):
        yield to_tensor(maps[first : first + size], device)
