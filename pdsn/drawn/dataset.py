"""The embedded data set: drawn people with exact landmarks, for a run without any download."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pdsn.data.dataset import Face, FaceDataset, write_dataset
from pdsn.drawn.people import Person
from pdsn.drawn.photo import draw_photo
from pdsn.drawn.random_person import draw_person
from pdsn.errors import UsageError
from pdsn.progress import unheard

__all__ = ["draw_dataset", "draw_people", "draw_person", "draw_photo", "photo_of"]

LIKENESS = 0.45
"""Share of the parts of a sibling's face that are the other's: what keeps the people from being too easy."""
SPREAD = (0.7548776662466927, 0.5698402909980532)
"""Steps of the sequence that fills age and skin tone evenly at any number of people (Roberts' R2)."""


def draw_dataset(
    root: Path,
    *,
    people: int = 40,
    photos: int = 90,
    size: tuple[int, int] = (64, 48),
    seed: int = 0,
    split_seed: int = 0,
    on_progress: Callable[[int, int], None] = unheard,
) -> FaceDataset:
    """Draw a data set into a folder.

    Args:
        root: the folder, made if missing.
        people: number of people; person i is the same at any number.
        photos: photos per person; photo j of a person is the same at any number.
        size: (H, W) of a face in pixels.
        seed: who the people are and how they are photographed.
        split_seed: seed of both splits.
        on_progress: told the photos done and the photos in all.

    Raises:
        UsageError: no people, no photos, or a size under 16 pixels.
    """
    if people < 1 or photos < 1:
        raise UsageError(f"{people} people with {photos} photos each: both must be at least 1")
    if min(size) < 16:
        raise UsageError(f"faces of {size[0]}x{size[1]} pixels are too small to draw: at least 16x16")
    height, width = size
    pixels: list[np.ndarray] = []
    described: list[Face] = []
    for index, person in enumerate(draw_people(people, seed)):
        name = f"person_{index:03d}"
        for photo in range(photos):
            face, landmarks = photo_of(person, index, photo, size, seed)
            pixels.append(face)
            described.append(
                Face(
                    name,
                    f"{name}/{name}_{photo:04d}.png",
                    (0.0, 0.0, float(width), float(height)),
                    1.0,
                    landmarks,
                )
            )
            on_progress(len(pixels), people * photos)
    settings = {
        "source": "synthetic",
        "people": people,
        "photos": photos,
        "seed": seed,
        "split_seed": split_seed,
    }
    return write_dataset(root, pixels, described, size, settings=settings, split_seed=split_seed)


def draw_people(people: int, seed: int = 0) -> Iterator[Person]:
    """The people of a data set, balanced in apparent sex, age and skin tone; drawn by families of four, two of each sex."""
    family: list[Person] = []
    for index in range(people):
        rng = np.random.default_rng((seed, index))
        founder, place = index // 4, index % 4
        if place == 0:
            family = []
        age, tone = ((0.5 + seed * 0.37 + (founder + 1) * step) % 1.0 for step in SPREAD)
        sex = (place // 2 + founder) % 2
        family.append(
            draw_person(
                rng,
                sex=0.6 * sex + 0.4 * float(rng.random()),
                age=age,
                tone=tone,
                sibling=family[place // 3 * 2] if family else None,
                likeness=LIKENESS,
                alike=place != 2,
            )
        )
        yield family[-1]


def photo_of(
    person: Person, index: int, photo: int, size: tuple[int, int], seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Photo number `photo` of person number `index`: (H, W, 3) uint8 and (5, 2) float32 landmarks."""
    return draw_photo(person, size, np.random.default_rng((seed, index, photo)))
