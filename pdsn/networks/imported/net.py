"""A pretrained recogniser behind the base CNN's own surface: faces in, last map, embedding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pdsn.errors import PdsnError, UsageError
from pdsn.networks.imported.architecture import Architecture


class PretrainedNet(nn.Module):
    """A recogniser of another's making with the surface of `pdsn.networks.backbone.FaceNet`.

    It is built with random weights; `pdsn.networks.imported.weights.load_weights` gives it its own.

    Attributes:
        size: (height, width) of a face in pixels.
        map_shape: (C, h, w) of its last spatial map.
        embedding: E, length of an embedding.

    Args:
        architecture: how it is built and what it sees.

    Raises:
        UsageError: what the architecture builds is no network that goes from faces over a map to
            embeddings; one line says where it fails.
    """

    # An nn.Module that has `features` and `head`, which nn.Module's own type does not know.
    network: Any
    mean: Tensor
    std: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.size = architecture.size
        self.bgr = architecture.bgr
        self.network = _built(architecture)
        # Not part of the weights: the architecture knows them.
        self.register_buffer("mean", torch.tensor(architecture.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(architecture.std).view(1, 3, 1, 1), persistent=False)
        maps, embeddings = self._probe(architecture.name)
        self.map_shape: tuple[int, int, int] = (maps.shape[1], maps.shape[2], maps.shape[3])
        self.embedding: int = embeddings.shape[1]

    def features(self, faces: Tensor) -> Tensor:
        """Last spatial map.

        Args:
            faces: (N, 3, H, W) uint8, or float in 0 to 255; red, green, blue.

        Returns:
            (N, C, h, w); of either sign, unless the network ends in a ReLU.
        """
        return self.network.features(self.normalised(faces))

    def normalised(self, faces: Tensor) -> Tensor:
        """What the network itself sees (N, 3, H, W) float32 of faces, see `features`."""
        x = (faces.float() - self.mean) / self.std
        if self.bgr:
            x = x.flip(1)
        return x.contiguous(memory_format=torch.channels_last)

    def head(self, maps: Tensor) -> Tensor:
        """Embeddings (N, E) of maps (N, C, h, w), masked or not; not normalised."""
        return self.network.head(maps)

    def forward(self, faces: Tensor) -> Tensor:
        """Embeddings (N, E) of faces, see `features`."""
        return self.head(self.features(faces))

    def _probe(self, name: str) -> tuple[Tensor, Tensor]:
        """Map (1, C, h, w) and embedding (1, E) of a black face; leaves modes, statistics, RNG alone."""
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        part = "features"
        try:
            # Not inference mode: what a network keeps for later must stay usable in training.
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                maps = self.features(torch.zeros(1, 3, *self.size, dtype=torch.uint8))
                _check(maps, 4, f"architecture {name}: features must give a map (N, C, h, w)")
                part = "head"
                embeddings = self.head(maps)
                _check(embeddings, 2, f"architecture {name}: head must give embeddings (N, E)")
        except PdsnError:
            raise
        except Exception as error:
            shape = f"a face (1, 3, {self.size[0]}, {self.size[1]})" if part == "features" else "its map"
            raise UsageError(f"architecture {name}: {part} fails on {shape}: {_reason(error)}") from error
        finally:
            for module, mode in modes:
                module.training = mode
        return maps, embeddings


def _built(architecture: Architecture) -> nn.Module:
    try:
        network = architecture.build()
    except PdsnError:
        raise
    except Exception as error:
        raise UsageError(f"architecture {architecture.name}: build fails: {_reason(error)}") from error
    if not isinstance(network, nn.Module):
        raise UsageError(
            f"architecture {architecture.name}: build gives a {type(network).__name__}, not a torch.nn.Module"
        )
    for part in ("features", "head"):
        if not callable(getattr(network, part, None)):
            raise UsageError(
                f"architecture {architecture.name}: what build gives has no {part}: "
                "it must go from faces to a map with `features`, and on to embeddings with `head`"
            )
    return network


def _check(found: object, dimensions: int, wanted: str) -> None:
    if not isinstance(found, Tensor):
        raise UsageError(f"{wanted}, not a {type(found).__name__}")
    if found.ndim != dimensions or found.shape[0] != 1 or not found.is_floating_point():
        raise UsageError(f"{wanted}; one face gives {tuple(found.shape)} {str(found.dtype).split('.')[-1]}")


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
