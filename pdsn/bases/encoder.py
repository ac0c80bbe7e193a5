"""Faces to maps and embeddings, in batches, at the precision of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.networks.backbone import at_rest
from pdsn.networks.branches import Network, Role, branch

if TYPE_CHECKING:
    from accelerate import Accelerator


class Encoder:
    """A base CNN ready to be asked; of one with two branches `role` says which.

    Args:
        net: the base; moved to the device, set to evaluation mode by each call.
        accelerator: device and precision.
        batch: faces at a time.
    """

    def __init__(self, net: Network, accelerator: Accelerator, batch: int = 128) -> None:
        self.net = net.to(accelerator.device).to(memory_format=torch.channels_last)
        self.accelerator = accelerator
        self.batch = batch
        self._parts = list(self.net.modules())

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.accelerator.device

    @torch.inference_mode()
    def map_batches(self, faces: Tensor, role: Role = "gallery") -> Iterator[Tensor]:
        """Maps of (N, 3, H, W) uint8 faces, batch by batch: (B, C, h, w) float32 on the device."""
        at_rest(self._parts)
        net = branch(self.net, role)
        for part in faces.split(self.batch):
            with self.accelerator.autocast():
                maps = net.features(part.to(self.device))
            yield maps.float().contiguous()

    def maps(
        self, faces: Tensor, on_batch: Callable[[int], None] | None = None, role: Role = "gallery"
    ) -> Tensor:
        """Maps (N, C, h, w) float32 of (N, 3, H, W) uint8 faces, on the device; `on_batch` hears of B more."""
        found = []
        for part in self.map_batches(faces, role):
            found.append(part)
            if on_batch is not None:
                on_batch(len(part))
        return torch.cat(found)

    @torch.inference_mode()
    def embed(self, maps: Tensor, fdm: Tensor | None = None, role: Role = "gallery") -> Tensor:
        """Embeddings (N, E) float32 of maps (N, C, h, w) under one feature-discarding mask (C, h, w).

        The head runs in float32: it is cheap, and its result is what is compared.
        """
        at_rest(self._parts)
        net = branch(self.net, role)
        parts = maps.split(self.batch * 4)
        return torch.cat([net.head(part if fdm is None else part * fdm) for part in parts])

    def frozen(self, maps: Tensor, role: Role = "gallery") -> Tensor:
        """Unit embeddings (N, E) float32 of maps, for a loss: they are given, and pass no gradient on."""
        with torch.autocast(maps.device.type, enabled=False):
            # A clone: what comes out of inference mode cannot be learned from.
            return F.normalize(self.embed(maps.float(), role=role).clone())

    def embed_faces(self, faces: Tensor, role: Role = "gallery") -> Tensor:
        """Embeddings (N, E) float32 of faces, without keeping their maps."""
        return torch.cat([self.embed(maps, role=role) for maps in self.map_batches(faces, role)])
