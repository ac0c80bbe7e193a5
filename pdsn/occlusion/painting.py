"""Occluders on original photos: what covers an aligned crop is carried back to where the crop lay."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pdsn.occlusion.occluder import Occluder
from pdsn.occlusion.worn import Worn


def paint_photo(
    photo: np.ndarray,
    landmarks: np.ndarray,
    crop: Tensor,
    matrix: np.ndarray,
    occluder: Occluder,
    rng: np.random.Generator,
    crop_landmarks: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Occlude the face in a photo.

    What people wear is painted at the landmarks of the photo. A band or block, which is a place in the crop, is
    carried back to where that crop lay in the photo.

    Args:
        photo: (H, W, 3) uint8, RGB, left as it is.
        landmarks: (5, 2) x, y in pixels of the photo.
        crop: (3, h, w) uint8, the aligned face.
        matrix: (3, 3) photo to crop, see `pdsn.data.faces.crop_matrix`.
        occluder: what covers it.
        rng: of the draw.
        crop_landmarks: (5, 2) x, y in pixels of the crop.

    Returns:
        The occluded photo (H, W, 3) uint8 and what is covered of it (H, W) bool.
    """
    if isinstance(occluder, Worn):
        image = torch.from_numpy(photo.copy()).permute(2, 0, 1)
        occluded, covered = occluder(image, torch.from_numpy(landmarks), rng)
        return occluded.permute(1, 2, 0).numpy(), covered.numpy()
    occluded, covered = occluder(crop, torch.from_numpy(crop_landmarks), rng)
    size = (photo.shape[1], photo.shape[0])
    # Pillow asks where each pixel of the photo lies in the crop, and gives 0 to those outside.
    back, where = (
        np.asarray(
            Image.fromarray(part).transform(
                size, Image.Transform.AFFINE, tuple(matrix[:2].ravel()), Image.Resampling.NEAREST
            )
        )
        for part in (occluded.permute(1, 2, 0).contiguous().numpy(), covered.numpy().astype(np.uint8))
    )
    return np.where(where[..., None] > 0, back, photo), where > 0
