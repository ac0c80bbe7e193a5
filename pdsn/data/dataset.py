"""A prepared data set: aligned faces in one memory-mapped array, and a manifest that describes them.

```
DIR/
  faces.npy       (N, H, W, 3) uint8, RGB, opened as a memory map
  manifest.csv    one row per face, in the order of faces.npy (columns: `MANIFEST_COLUMNS`)
  skipped.csv     file, reason: every photo that is not in faces.npy
  photos.csv      the photos that it was made from, see `pdsn.data.listing`; not of the drawn people
  dataset.json    size, alignment, settings, counts, sha256 of faces.npy and manifest.csv
```

`dataset.json` is written last: a folder without it is not a data set.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import numpy as np

from pdsn.data.photos import person_of
from pdsn.data.splits import split_people, split_photos
from pdsn.errors import PdsnError
from pdsn.files import atomic_path, fill_array, sha256_of, write_text

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
LANDMARKS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
"""Order of the five landmarks everywhere; left and right as seen in the photo."""
MANIFEST_COLUMNS = (
    "person",
    "file",
    "split",
    "person_split",
    "box_left",
    "box_top",
    "box_right",
    "box_bottom",
    "probability",
    *(f"{name}_{axis}" for name in LANDMARKS for axis in "xy"),
)


@dataclass(frozen=True)
class Face:
    """What the manifest says of one face.

    Attributes:
        person: name of the person, the photo's folder.
        file: path of the photo relative to the photo folder, with forward slashes.
        box: face box (left, top, right, bottom) in pixels of the original photo as its EXIF turns it, also where the
            photo had to be turned further to show its face.
        probability: the detector's confidence, 0 to 1.
        landmarks: (5, 2) x, y in pixels of the prepared crop, in the order of `LANDMARKS`.
    """

    person: str
    file: str
    box: tuple[float, float, float, float]
    probability: float
    landmarks: np.ndarray


@dataclass(frozen=True)
class FaceDataset:
    """A prepared data set, opened with `FaceDataset.load`.

    Attributes:
        root: the folder.
        faces: (N, H, W, 3) uint8 memory map, RGB.
        people: the names of all people, see `person_of`, sorted as the manifest writes them; labels index this list.
        labels: (N,) int64, index of each face's person in `people`; -1 for faces of nobody there, which a
            view has, see `training_people`.
        files: N paths relative to the photo folder.
        split: (N,) "train", "val" or "test": the split per photo; "" for faces that a view leaves out.
        person_split: (N,) the split by person: all faces of a person carry the same value.
        landmarks: (N, 5, 2) float32, x and y in crop pixels.
        sha256: fingerprint of faces and manifest; artefacts name the data set by it.
        settings: what `pdsn prepare` was asked for.
        split_seed: seed of both splits.
    """

    root: Path
    faces: np.ndarray
    people: list[str]
    labels: np.ndarray
    files: list[str]
    split: np.ndarray
    person_split: np.ndarray
    landmarks: np.ndarray
    sha256: str
    settings: dict[str, Any] = field(default_factory=dict)
    split_seed: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a face in pixels."""
        return int(self.faces.shape[1]), int(self.faces.shape[2])

    def remember(self, name: str, value: Any) -> None:
        """Set one of `settings` here and on disk, such as where the photos have been moved to.

        Raises:
            OSError: the folder cannot be written to.
        """
        path = self.root / "dataset.json"
        info = json.loads(path.read_text(encoding="utf-8"))
        self.settings[name] = info["settings"][name] = value
        write_text(path, json.dumps(info, indent=2) + "\n")

    def rows(self, split: str, by: str = "photo") -> np.ndarray:
        """Indices (M,) of the faces in a split, ascending; `by` is "photo" or "person"."""
        return np.flatnonzero((self.split if by == "photo" else self.person_split) == split)

    def tensor(self, rows: np.ndarray | Sequence[int]) -> Tensor:
        """Copy faces into a (M, 3, H, W) uint8 tensor (channels last in memory)."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(self.faces[rows])).permute(0, 3, 1, 2)

    def trained_on(self, by: str) -> FaceDataset:
        """What a run trains on whose split is by "photo", everybody, or by "person", see `training_people`."""
        return self.training_people() if by == "person" else self

    def training_people(self) -> FaceDataset:
        """The same faces seen as a data set of the training people of the split by person alone.

        Faces keep their rows. Of those people, the photos that the split per photo keeps for validation are
        "val" and all others "train"; everybody else's are in no split. The fingerprint is another one: what
        is trained on the view cannot be taken for trained on everybody.

        Raises:
            PdsnError: there are fewer than two training people.
        """
        inside = self.person_split == "train"
        known = np.unique(self.labels[inside])
        if len(known) < 2:
            raise PdsnError(
                f"{self.root} has {len(known)} training people in the split by person: "
                "prepare more people, or take --split-by photo"
            )
        number = np.full(len(self.people), -1, dtype=np.int64)
        number[known] = np.arange(len(known))
        return replace(
            self,
            people=[self.people[label] for label in known],
            labels=number[self.labels],
            split=np.where(inside, np.where(self.split == "val", "val", "train"), ""),
            sha256=hashlib.sha256(f"training people of {self.sha256}".encode()).hexdigest(),
        )

    @classmethod
    def load(cls, root: Path, cure: str = "") -> FaceDataset:
        """Open the data set in `root`.

        Args:
            root: its folder.
            cure: what to do where it is gone or damaged, for messages; by default how any data set is prepared.

        Raises:
            PdsnError: `root` is no data set, or its parts do not agree with each other.
        """
        described = root / "dataset.json"
        if not described.is_file():
            make = cure or "make one with `pdsn prepare PHOTOS --data DIR`, DIR being a new folder"
            raise PdsnError(f"{root} is not a prepared data set (no dataset.json): {make}")
        anew = f"make it again with `pdsn prepare PHOTOS --data {quote(str(root))} --force`"
        broken = f"{root} is damaged: {cure or anew}"
        try:
            info = json.loads(described.read_text(encoding="utf-8"))
            faces = np.load(root / "faces.npy", mmap_mode="r", allow_pickle=False)
            with (root / "manifest.csv").open(newline="", encoding="utf-8") as stream:
                rows = list(csv.DictReader(stream))
            points = [[float(row[f"{name}_{axis}"]) for axis in "xy"] for row in rows for name in LANDMARKS]
            # Sorted as written, then composed: the classes of a base that was trained before keep their numbers.
            people = list(dict.fromkeys(person_of(name) for name in sorted({row["person"] for row in rows})))
            number = {name: index for index, name in enumerate(people)}
            labels = np.array([number[person_of(row["person"])] for row in rows], dtype=np.int64)
            split = np.array([row["split"] for row in rows])
            person_split = np.array([row["person_split"] for row in rows])
            files = [row["file"] for row in rows]
            fingerprint, version = str(info["sha256"]), int(info["format"])
            split_seed = int(info["split_seed"])
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise PdsnError(f"{broken} ({type(error).__name__}: {error})") from error
        if version != FORMAT:
            raise PdsnError(f"{described} has format {version}, this pdsn reads format {FORMAT}: {broken}")
        if faces.ndim != 4 or faces.dtype != np.uint8 or len(faces) != len(rows) or not rows:
            raise PdsnError(f"{broken} (faces.npy {faces.shape} {faces.dtype}, manifest {len(rows)} rows)")
        landmarks = np.array(points, dtype=np.float32).reshape(-1, 5, 2)
        return cls(
            root=root,
            faces=faces,
            people=people,
            labels=labels,
            files=files,
            split=split,
            person_split=person_split,
            landmarks=landmarks,
            sha256=fingerprint,
            settings=dict(info.get("settings", {})),
            split_seed=split_seed,
        )


def evenly(rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of some rows, spread evenly over them, in their order."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]


def next_other(labels: Tensor) -> Tensor:
    """The place (N,) of the next photo of another person after each one's own, around the end; one's own where there is none.

    Args:
        labels: (N,) int64, who is on each.
    """
    import torch

    count = len(labels)
    places = torch.arange(count, device=labels.device)
    after = (places[None] - places[:, None]) % count
    return torch.where(labels[:, None] != labels[None], after, after + count).argmin(1)


def write_dataset(
    root: Path,
    faces: Iterable[np.ndarray],
    described: Sequence[Face],
    size: tuple[int, int],
    *,
    settings: dict[str, Any],
    split_seed: int,
    skipped: Sequence[tuple[str, str]] = (),
    photos: str | None = None,
) -> FaceDataset:
    """Write a data set and open it.

    An older dataset.json goes before the first file of the new one is in place, and the new one comes last: half of
    a data set is never taken for one.

    Args:
        root: the folder, made if missing.
        faces: N arrays (H, W, 3) uint8, RGB, in the order of `described`.
        described: what is known of each face.
        size: (H, W) in pixels.
        settings: kept in dataset.json (alignment, detector, split seed …).
        split_seed: seed of both splits.
        skipped: (file, reason) of the photos left out.
        photos: content of photos.csv; None for none.

    Raises:
        PdsnError: there is no face at all.
    """
    if not described:
        raise PdsnError(f"{root}: no face to write")
    people = [face.person for face in described]
    rows = io.StringIO(newline="")
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(MANIFEST_COLUMNS)
    for face, split, person_split in zip(
        described, split_photos(people, split_seed), split_people(people, split_seed), strict=True
    ):
        numbers = [*face.box, face.probability, *np.asarray(face.landmarks, dtype=float).ravel()]
        writer.writerow([face.person, face.file, split, person_split, *(f"{v:.4f}" for v in numbers)])
    root.mkdir(parents=True, exist_ok=True)
    pixels = (face_pixels for _, face_pixels in zip(described, faces, strict=True))
    with atomic_path(root / "faces.npy") as path:
        fill_array(path, np.uint8, (len(described), *size, 3), pixels)
        # Only now: on a full disk an older data set stays as it was.
        (root / "dataset.json").unlink(missing_ok=True)
    write_text(root / "manifest.csv", rows.getvalue())
    listing = io.StringIO(newline="")
    writer = csv.writer(listing, lineterminator="\n")
    writer.writerow(("file", "reason"))
    writer.writerows(skipped)
    write_text(root / "skipped.csv", listing.getvalue())
    if photos is None:
        (root / "photos.csv").unlink(missing_ok=True)
    else:
        write_text(root / "photos.csv", photos)
    fingerprint = hashlib.sha256(
        (sha256_of(root / "faces.npy") + sha256_of(root / "manifest.csv")).encode()
    ).hexdigest()
    info = {
        "format": FORMAT,
        "faces": len(described),
        "people": len(set(people)),
        "skipped": len(skipped),
        "size": list(size),
        "split_seed": split_seed,
        "settings": settings,
        "sha256": fingerprint,
    }
    write_text(root / "dataset.json", json.dumps(info, indent=2) + "\n")
    return FaceDataset.load(root)
