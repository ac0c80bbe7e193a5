"""The same things in other cloths: what covers a face is known by its place and shape, whatever its colours are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdsn.occlusion.lighting import LUMINANCE
from pdsn.occlusion.occluder import Occluder
from pdsn.occlusion.textures import cloth

SHADES = (0.5, 1.5)
"""Least and greatest factor by which folds and the fall of light darken and brighten a cloth."""


@dataclass(frozen=True)
class Reclothed:
    """An occluder whose things are now and then of another cloth, in the light and with the folds of their own.

    Attributes:
        occluder: what covers the photo.
        share: how often the cloth is another, 0 to 1.
    """

    occluder: Occluder
    share: float = 0.5

    def __call__(self, image: Tensor, landmarks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `Occluder`."""
        occluded, covered = self.occluder(image, landmarks, rng)
        if rng.random() >= self.share or not covered.any():
            return occluded, covered
        pixels, places = occluded.numpy().copy(), covered.numpy()
        rows, columns = (np.flatnonzero(places.any(axis)) for axis in (1, 0))
        window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        inside = places[window]
        level = np.tensordot(LUMINANCE, pixels[(slice(None), *window)][:, inside].astype(np.float32), axes=1)
        shades = np.clip(level / max(float(np.median(level)), 1.0), *SHADES)
        surface = cloth(inside.shape[0], inside.shape[1], rng)[inside].T * shades
        pixels[(slice(None), *window)][:, inside] = np.clip(surface + 0.5, 0, 255).astype(np.uint8)
        return torch.from_numpy(pixels), covered
