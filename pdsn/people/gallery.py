"""The people who can be named: a run's own, or those of a folder of photos that the base never saw."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pdsn.calibration.strangers import MOST_STRANGERS, Strangers
from pdsn.data.chunks import make_chunk
from pdsn.data.crop import crop_settings
from pdsn.data.dataset import FaceDataset, evenly
from pdsn.data.faces import TEMPLATE_SLACK, Detect, clear_face, template_difference
from pdsn.data.photos import list_photos
from pdsn.data.settings import PrepareConfig
from pdsn.errors import PdsnError, UsageError

CHUNK = 32
"""Photos of a gallery that are in memory together."""


@dataclass(frozen=True)
class Gallery:
    """Enrolled people.

    Attributes:
        source: "run" for the run's own people, else the folder.
        people: K names, see `pdsn.data.photos.person_of`, sorted; everybody has at least one photo.
        labels: (G,) int64, index in `people` of each photo's person.
        faces: (G, 3, H, W) uint8, aligned as the run's faces are.
        landmarks: (G, 5, 2) x, y in pixels of the crops.
        files: G paths relative to the photo folder.
        skipped: (file, reason) of the photos that could not be used.
        left_out: people without any usable photo.
        notes: (file, what to know of it) of enrolled photos, such as that they show several faces.
    """

    source: str
    people: list[str]
    labels: Tensor
    faces: Tensor
    landmarks: np.ndarray
    files: list[str]
    skipped: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def digest(self) -> str:
        """Fingerprint of the people and their faces."""
        about = repr((self.people, self.labels.tolist(), tuple(self.faces.shape)))
        return digest_of(about, self.faces)

    def as_dict(self) -> dict[str, object]:
        """What JSON says of the gallery."""
        return {
            "source": self.source,
            "people": len(self.people),
            "photos": len(self.files),
            "skipped": [{"photo": file, "reason": reason} for file, reason in self.skipped],
            "left_out": self.left_out,
            "notes": [{"photo": file, "note": note} for file, note in self.notes],
        }


def own_gallery(dataset: FaceDataset) -> Gallery:
    """The training photos of what a run was trained on; split by photo they are the gallery of `pdsn eval`."""
    return _of_rows("run", dataset, dataset.rows("train"))


def read_gallery(
    folder: Path,
    config: PrepareConfig,
    detect: Detect,
    *,
    option: str = "--gallery",
    most: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Gallery:
    """Enrol the people of a folder that holds a folder of photos per person, or of a prepared data set.

    Photos are read, searched and aligned as `pdsn prepare` does it. One that cannot be used is skipped
    with its reason; of photos with the same pixels the first in sorted order is kept. Of several faces the clearly
    largest is enrolled, and noted; a photo without one is skipped, see `pdsn.data.faces.clear_face`.

    Args:
        folder: the photos, or a data set that was prepared with the same size and alignment.
        config: size and alignment, see `crop_settings`.
        detect: the detector.
        option: what messages call the folder.
        most: photos that are read; of more as many spread evenly. None for all.
        on_progress: told the photos done and the photos in all.

    Raises:
        PdsnError: the folder cannot be read, or not one photo in it can be used.
        UsageError: it is a run directory, or a data set of other crops.
    """
    check_gallery(folder, option)
    if (folder / "dataset.json").is_file():
        return _prepared_gallery(folder, config, option, most)
    listing = list_photos(folder, option)
    listed = listing.photos
    if most is not None:
        listed = [listed[row] for row in evenly(np.arange(len(listed)), most)]
    names: list[str] = []
    files: list[str] = []
    crops: list[np.ndarray] = []
    landmarks: list[np.ndarray] = []
    skipped: list[tuple[str, str]] = []
    notes: list[tuple[str, str]] = []
    first: dict[str, str] = {}
    with warnings.catch_warnings():
        # Pillow grumbles about every odd tag; what keeps a photo from being used is a reason, not a warning.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        for start in range(0, len(listed), CHUNK):
            part = listed[start : start + CHUNK]
            chunk = make_chunk(folder, part, config, detect, lambda faces, _: clear_face(faces))
            found = iter(chunk.faces)
            for row, (photo, reason, digest) in enumerate(
                zip(part, chunk.reasons, chunk.digests, strict=True)
            ):
                crop = None if reason else next(found)
                twin = first.setdefault(str(digest), photo.file) if digest else photo.file
                if crop is None or twin != photo.file:
                    why = str(reason) if crop is None else f"duplicate of {readable(twin)}"
                    skipped.append((readable(photo.file), why))
                    continue
                names.append(readable(photo.person))
                files.append(readable(photo.file))
                crops.append(crop)
                landmarks.append(chunk.landmarks[row])
                if chunk.counts[row] > 1:
                    notes.append((files[-1], f"shows {chunk.counts[row]} faces: the largest is enrolled"))
            if on_progress is not None:
                on_progress(start + len(part), len(listed))
    skipped += [(readable(file), reason) for file, reason in listing.others]
    wanted = {photo.person for photo in listed} if most is not None else listing.people
    left_out = sorted({readable(person) for person in wanted} - set(names))
    if not crops:
        raise PdsnError(
            f"{option} {folder}: none of its {len(listed)} photos can be used "
            f"({skipped[0][0]}: {skipped[0][1]}): give each person at least one photo with a clear face"
        )
    faces = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
    return _gallery(str(folder), names, files, faces, np.stack(landmarks), skipped, left_out, notes)


def read_strangers(
    folder: Path,
    config: PrepareConfig,
    detect: Detect,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Strangers:
    """The people of a folder as those whom thresholds follow from; of more than `MOST_STRANGERS` photos as many spread evenly are read.

    Arguments and errors as for `read_gallery`.
    """
    found = read_gallery(
        folder, config, detect, option="--strangers", most=MOST_STRANGERS, on_progress=on_progress
    )
    names = [found.people[label] for label in found.labels.tolist()]
    return Strangers(found.faces, names, found.landmarks, f"--strangers {readable(str(folder))}")


def check_gallery(folder: Path, option: str = "--gallery") -> None:
    """Raise PdsnError where a folder can be no gallery, as far as that is told without opening a photo."""
    if (folder / "run.json").is_file():
        raise UsageError(
            f"{option} {folder} is a run directory: give a folder that holds a folder of photos per person, "
            "or the data set that the run was trained on"
        )
    if not (folder / "dataset.json").is_file():
        list_photos(folder, option)


def digest_of(about: str, faces: Tensor) -> str:
    """Fingerprint of faces (N, 3, H, W) uint8 and of what is said about them."""
    pixels = faces.permute(0, 2, 3, 1).contiguous().numpy()  # as they lie in memory: no copy
    return hashlib.sha256(about.encode() + pixels.data).hexdigest()


def readable(name: str) -> str:
    """A file name that can be printed whatever bytes it has on disk."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _prepared_gallery(folder: Path, config: PrepareConfig, option: str, most: int | None) -> Gallery:
    dataset = FaceDataset.load(folder)
    found = crop_settings(dataset)
    if (found.size, found.align) != (config.size, config.align):
        raise UsageError(
            f"{option} {folder} holds faces of {found.size[0]}x{found.size[1]} aligned by {found.align}, "
            f"the run's are {config.size[0]}x{config.size[1]} by {config.align}: give the photos themselves"
        )
    off = template_difference(found, config) if config.align == "similarity" else 0.0
    if off > TEMPLATE_SLACK:
        raise UsageError(
            f"{option} {folder} holds faces on a template {off:.1f} px away from the run's: give the photos themselves"
        )
    rows = np.arange(len(dataset.files))
    return _of_rows(str(folder), dataset, rows if most is None else evenly(rows, most))


def _of_rows(source: str, dataset: FaceDataset, rows: np.ndarray) -> Gallery:
    """The people of some rows of a data set."""
    return _gallery(
        source,
        [dataset.people[label] for label in dataset.labels[rows]],
        [dataset.files[row] for row in rows],
        dataset.tensor(rows),
        dataset.landmarks[rows],
    )


def _gallery(
    source: str,
    names: Sequence[str],
    files: list[str],
    faces: Tensor,
    landmarks: np.ndarray,
    skipped: list[tuple[str, str]] | None = None,
    left_out: list[str] | None = None,
    notes: list[tuple[str, str]] | None = None,
) -> Gallery:
    people = sorted(set(names))
    number = {name: index for index, name in enumerate(people)}
    labels = torch.tensor([number[name] for name in names], dtype=torch.int64)
    return Gallery(
        source, people, labels, faces, landmarks, files, skipped or [], left_out or [], notes or []
    )
