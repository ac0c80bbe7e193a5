"""The original photos of a prepared data set: where they lie, and whether they are still the same."""

from __future__ import annotations

from pathlib import Path

from pdsn.data.dataset import FaceDataset
from pdsn.data.listing import compare, read_listing
from pdsn.data.photos import list_photos
from pdsn.errors import PdsnError

CURE = "put them back, or take --align clean"


def original_photos(dataset: FaceDataset) -> Path:
    """The folder of photos that a data set was prepared from. Photos that came to it since do no harm.

    Raises:
        PdsnError: it was not made from photos, they are gone, or have another content now.
    """
    root = dataset.settings.get("photos")
    if not isinstance(root, str):  # drawn people have their number there
        raise PdsnError(
            f"{dataset.root} has no original photos to paint on: take --align clean, or a data set "
            "made by `pdsn prepare`"
        )
    folder = Path(root)
    if not folder.is_dir():
        raise PdsnError(
            f"{folder}, from which {dataset.root} was prepared, is gone: --align occluded paints on the original "
            f"photos; {CURE}"
        )
    known = read_listing(dataset.root)
    if known is None:
        return folder
    changes = compare(folder, known, list_photos(folder).photos)
    if changes.gone or changes.changed:
        raise PdsnError(
            f"{folder}, from which {dataset.root} was prepared, has other photos now ({changes}), and --align occluded "
            f"paints on the original ones: {CURE}"
        )
    return folder
