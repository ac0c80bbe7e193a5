"""The faces of mask pairs behind the frozen layers of a SENet50: what does not train is asked once, and kept on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pdsn import __version__
from pdsn.artefact import run_of
from pdsn.bases.map_files import finished_maps, forget_maps, kept_maps, to_disk, to_tensor
from pdsn.bases.mask_pairs import MaskPairs
from pdsn.files import write_array
from pdsn.networks.senet import SENet50
from pdsn.occlusion import artwork
from pdsn.progress import Advance, progress_bar

if TYPE_CHECKING:
    from pdsn.bases.senet import SenetConfig
    from pdsn.run.workspace import Workspace

FACES = 64
"""Faces that pass the frozen layers at a time."""


@dataclass(frozen=True)
class FrozenMaps:
    """Maps of the faces of pairs in front of a block, kept on disk.

    Runs that start from the same weights share them: they are kept where these lie.

    Attributes:
        workspace: the run.
        net: the network, as it starts.
        block: number of the block.
        own: the settings.
        cache: where they are kept.
        wanted: what they depend on beside block and split.
    """

    workspace: Workspace
    net: SENet50
    block: int
    own: SenetConfig
    cache: Path
    wanted: dict[str, Any]

    @classmethod
    def of(cls, workspace: Workspace, net: SENet50, block: int, own: SenetConfig) -> FrozenMaps:
        """Those of a run."""
        run = run_of(Path(own.weights)) if own.weights else None
        shared = run is not None and os.access(run, os.W_OK)
        cache = run / workspace.run.cache.name if run is not None and shared else workspace.run.cache
        wanted = {
            "start": _fingerprint(net),
            "pdsn": __version__,
            "artwork": artwork.version(),
            "data set": workspace.training.sha256,
            "worn": own.worn,
            "seed": workspace.settings.seed,
            "photos": own.photos,
            "precision": workspace.accelerator.mixed_precision,
            "side": own.side,
            "colours": own.colours,
        }
        return cls(workspace, net, block, own, cache, wanted)

    def of_pairs(self, pairs: MaskPairs) -> np.ndarray:
        """(N, C, h, w) float16 of the faces of pairs, by their numbers; maps in front of an earlier block save what is before that."""
        found = self._kept(self.block, pairs.split)
        if found is not None:
            return found
        path = self._path(self.block, pairs.split)
        forget_maps(path)
        device, quiet = self.workspace.accelerator.device, not self.workspace.accelerator.is_main_process
        self.net.eval()
        with torch.inference_mode():
            shape = self.net.before(torch.zeros(1, 3, *self.net.size, device=device), self.block).shape[1:]
        with progress_bar(f"frozen layers, {pairs.split}", len(pairs), "faces", quiet=quiet) as advance:
            write_array(path, np.float16, (len(pairs), *shape), self._parts(pairs, advance))
        return finished_maps(path, self.wanted)

    @torch.inference_mode()
    def _parts(self, pairs: MaskPairs, advance: Advance) -> Iterator[np.ndarray]:
        device = self.workspace.accelerator.device
        earlier = ((number, self._kept(number, pairs.split)) for number in range(self.block - 1, -1, -1))
        first, source = next(((number, maps) for number, maps in earlier if maps is not None), (0, None))
        for begin in range(0, len(pairs), FACES):
            chosen = np.arange(begin, min(begin + FACES, len(pairs)))
            with self.workspace.accelerator.autocast():
                if source is None:
                    faces = pairs.faces(chosen, self.own.worn, self.workspace.settings.seed)
                    maps = self.net.before(faces.to(device), self.block)
                else:
                    maps = self.net.through(to_tensor(source[chosen], device), first, self.block)
            yield to_disk(maps)
            advance(len(chosen))

    def _path(self, block: int, split: str) -> Path:
        return self.cache / f"senet-{block}-{split}.npy"

    def _kept(self, block: int, split: str) -> np.ndarray | None:
        return kept_maps(self._path(block, split), self.wanted, {})


def _fingerprint(net: SENet50) -> str:
    """What tells a network's weights from others: runs that start from the same ones have it in common."""
    digest = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
