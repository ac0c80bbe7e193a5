"""A photo as Python programs hold it: a path, the content of a file, an image or an array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pdsn.data.reading import Photo, UnreadablePhotoError, read_photo

PhotoLike = str | Path | bytes | Image.Image | np.ndarray
"""What passes for a photo: a path; bytes, the content of an image file; an image of Pillow, which its EXIF turns as it turns a
file; an array of uint8, (H, W, 3) in RGB or (H, W) in grey, as it stands."""
KINDS = "a path, the bytes of an image file, an image of Pillow, or an array of uint8"


def read_given(photo: PhotoLike) -> Photo:
    """Read a photo whichever way it comes: the same pixels give the same photo.

    Args:
        photo: see `PhotoLike`; of files `read_photo` says what they may hold.

    Raises:
        UnreadablePhotoError: it cannot be used; the message says why and what to do.
    """
    if isinstance(photo, np.ndarray):
        return read_photo(_image_of(photo))
    if isinstance(photo, str | Path):
        return read_photo(Path(photo))
    if isinstance(photo, bytes | Image.Image):
        return read_photo(photo)
    raise UnreadablePhotoError(f"it is of type {type(photo).__name__}, give {KINDS}")


def _image_of(values: np.ndarray) -> Image.Image:
    """An array as an image.

    Raises:
        UnreadablePhotoError: it is of another shape or type than a photo's.
    """
    shape, kind = values.shape, values.dtype
    if not values.size:
        raise UnreadablePhotoError(f"an empty array of shape {shape}")
    if values.ndim != 2 and shape[2:] != (3,):
        raise UnreadablePhotoError(
            f"an array of shape {shape}, and photos are (H, W, 3) in RGB or (H, W) in grey{_advice(shape)}"
        )
    if kind.kind == "f":
        advice = "with values from 0 to 1 give (255 * array).round().astype('uint8')"
        raise UnreadablePhotoError(f"an array of {kind}, and photos are uint8 from 0 to 255: {advice}")
    if kind != np.uint8:
        advice = "scale its values to that range, and give array.astype('uint8')"
        raise UnreadablePhotoError(f"an array of {kind}, and photos are uint8 from 0 to 255: {advice}")
    return Image.fromarray(np.ascontiguousarray(values))


def _advice(shape: tuple[int, ...]) -> str:
    """What makes an array of another shape a photo, where that is plain."""
    if len(shape) == 4:
        return ": give the photos one by one, such as array[0]"
    if len(shape) == 3 and shape[2] == 4:
        return ": give array[..., :3] without the transparency"
    if len(shape) == 3 and shape[2] == 1:
        return ": give array[..., 0]"
    if len(shape) == 3 and shape[0] == 3:
        return ": give array.transpose(1, 2, 0)"
    return ""
