"""How new photos are cropped, so that their faces look like those of a data set."""

from __future__ import annotations

from pdsn.data.dataset import FaceDataset
from pdsn.data.settings import PrepareConfig
from pdsn.data.weights import COVERED


def crop_settings(dataset: FaceDataset, min_face: int | None = None) -> PrepareConfig:
    """How a new photo is cropped so that its faces look like those of a data set.

    The embedded people have no settings of their own: they are drawn on the template, which is what
    alignment by similarity does to a photo.

    Args:
        dataset: the faces that the base was trained on.
        min_face: edge in pixels of the smallest face looked for; None takes the data set's.
    """
    made = dataset.settings
    return PrepareConfig(
        size=dataset.size,
        align=made.get("align", "similarity"),
        face=made.get("face", "centre"),
        min_face=made.get("min_face", PrepareConfig.min_face) if min_face is None else min_face,
        template=made.get("template"),
        detector=made.get("detector", PrepareConfig.BEFORE["detector"] if "method" in made else COVERED),
    )
