"""The embedded people of a run: drawn on first use, opened from then on."""

from __future__ import annotations

from pathlib import Path

from pdsn.artefact import completed, difference, plain, read_object
from pdsn.data.dataset import FaceDataset
from pdsn.drawn.dataset import draw_dataset
from pdsn.drawn.settings import SyntheticConfig
from pdsn.errors import UsageError
from pdsn.progress import counted, progress_bar

PHOTO_SECONDS = 0.01
"""About what a photo takes to be drawn, on one core of 2024."""


def embedded_people(root: Path, asked: SyntheticConfig, split_seed: int) -> FaceDataset:
    """The embedded people of these settings in a folder, drawn if they are not there yet.

    Raises:
        UsageError: the folder holds others.
    """
    described = root / "dataset.json"
    wanted = {**plain(asked), "split_seed": split_seed}
    if described.is_file():
        cure = f"delete {root}, and the same command draws them again"
        found = read_object(described, cure)
        kept = completed({**found, **found.get("settings", {})}, wanted, asked.BEFORE)
        differs = difference(wanted, {name: kept.get(name) for name in wanted})
        if differs:
            raise UsageError(f"{root} holds other embedded people ({differs}): choose another --run")
        return FaceDataset.load(root, cure)
    with progress_bar("drawing the embedded people", asked.people * asked.photos, "photos") as advance:
        return draw_dataset(
            root,
            people=asked.people,
            photos=asked.photos,
            size=asked.size,
            seed=asked.seed,
            split_seed=split_seed,
            on_progress=counted(advance),
        )
