"""Alignment by similarity: a face is turned, scaled and shifted so that its landmarks come to lie on a template."""

from __future__ import annotations

import numpy as np
from PIL import Image

SMALLEST_SCALE = 0.01
"""Crop pixels per photo pixel: a face 50 times as large as its crop is larger than any photo."""

NO_FORM = "the landmarks do not form a face"


def similarity_matrix(landmarks: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """The least-squares similarity (Umeyama, 1991) that puts five landmarks on a template.

    Args:
        landmarks: (5, 2) x, y in pixels of the photo.
        goal: (5, 2) x, y in pixels of the crop, where they are to lie.

    Returns:
        (3, 3) float64, photo to crop, in coordinates whose whole numbers are pixel edges.

    Raises:
        ValueError: the landmarks do not spread like a face's.
    """
    from skimage.transform import SimilarityTransform

    if not np.isfinite(landmarks).all():
        raise ValueError(NO_FORM)
    # An estimate that fails is no transform: it is false, and has no parameters.
    matrix = getattr(SimilarityTransform.from_estimate(landmarks, goal), "params", None)
    if matrix is None or not np.isfinite(matrix).all():
        raise ValueError(NO_FORM)
    return matrix


def align_similarity(
    photo: np.ndarray, landmarks: np.ndarray, size: tuple[int, int], goal: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Crop a face so that its landmarks come to lie on the template, by rotation, scale and shift.

    The transform is the least-squares similarity of the five points (Umeyama, 1991). What lies outside the photo
    repeats its edge: a black border would look like an occlusion.

    Args:
        photo: (H, W, 3) uint8, RGB.
        landmarks: (5, 2) x, y in pixels of the photo.
        size: (h, w) of the crop in pixels.
        goal: (5, 2) x, y in pixels of the crop, the template.

    Returns:
        The crop (h, w, 3) uint8 and the landmarks (5, 2) in its pixels.

    Raises:
        ValueError: the landmarks do not spread like a face's.
    """
    matrix = similarity_matrix(landmarks, goal)
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    if scale < SMALLEST_SCALE:
        raise ValueError(NO_FORM)
    height, width = size
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]])
    back = np.linalg.inv(matrix)
    reach = corners @ back[:2, :2].T + back[:2, 2]

    # A face larger than the crop is first averaged over whole squares of pixels, then sampled twice as densely
    # as the crop and averaged again: between the two no detail is fine enough to alias.
    step = max(1, int(1 / scale))
    low = np.floor(reach.min(axis=0)).astype(int) - 3 * step
    high = low + -(-(np.ceil(reach.max(axis=0)).astype(int) + 3 * step - low) // step) * step
    rows = np.clip(np.arange(low[1], high[1]), 0, photo.shape[0] - 1)
    columns = np.clip(np.arange(low[0], high[0]), 0, photo.shape[1] - 1)
    region = Image.fromarray(photo[rows[:, None], columns])
    if step > 1:
        region = region.reduce(step)
    # Crop pixels, doubled -> pixels of the reduced region.
    linear = back[:2, :2] / step / 2
    offset = (back[:2, 2] - low) / step
    dense = region.transform(
        (2 * width, 2 * height),
        Image.Transform.AFFINE,
        (*linear[0], offset[0], *linear[1], offset[1]),
        Image.Resampling.BICUBIC,
    )
    return np.asarray(dense.reduce(2)), landmarks @ matrix[:2, :2].T + matrix[:2, 2]
