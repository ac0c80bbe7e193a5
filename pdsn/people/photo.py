"""A new photo and every face in it, cropped as the run's faces are."""

from __future__ import annotations

import stat
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import numpy as np
import torch
from torch import Tensor

from pdsn.data.chunks import NO_FACE
from pdsn.data.detector import Detection
from pdsn.data.faces import Detect, crop_face, find_faces, sure_faces, turn_back, turn_photo
from pdsn.data.given import PhotoLike, read_given
from pdsn.data.reading import Photo, UnreadablePhotoError
from pdsn.data.settings import PrepareConfig
from pdsn.errors import PdsnError
from pdsn.people.gallery import readable

VIDEOS = frozenset(
    f".{name}" for name in ("mp4", "m4v", "avi", "mov", "webm", "mkv", "mpg", "mpeg", "wmv", "flv", "3gp")
)
FIRST, SECOND = "photo 1", "photo 2"
"""What photos are called that come without a name."""

Cover = Callable[[Tensor], Tensor]
"""Faces (N, 3, H, W) uint8 -> their covered pixels (N, H, W) bool; `Segmenter.covered` is one."""


def nothing_covered(faces: Tensor) -> Tensor:
    """A `Cover` for faces that are known to be free: False everywhere."""
    return torch.zeros((len(faces), *faces.shape[2:]), dtype=torch.bool)


class PhotoError(PdsnError):
    """A photo that nobody can be looked for in; others may be fine."""


@dataclass(frozen=True)
class FoundFace:
    """One face of a photo.

    Attributes:
        box: (4,) float64 left, top, right, bottom in pixels of the original photo as its EXIF turns it.
        probability: the detector's confidence, above 0.4 and at most 1.
        crop: (H, W, 3) uint8, aligned.
        turn: degrees counter-clockwise by which the photo was turned to show the face: 0, 90, 180 or 270.
        landmarks: (5, 2) x, y in pixels of the crop; None where nobody looked for them.
    """

    box: np.ndarray
    probability: float
    crop: np.ndarray
    turn: int = 0
    landmarks: np.ndarray | None = None

    @property
    def area(self) -> float:
        """Of the box, in square pixels."""
        return float(np.prod(self.box[2:] - self.box[:2]))

    def as_dict(self) -> dict[str, object]:
        """What JSON says of where the face is."""
        return {
            "box": [round(float(edge), 1) for edge in self.box],
            "probability": round(self.probability, 4),
            "turn": self.turn,
        }


@dataclass(frozen=True)
class SearchedPhoto:
    """A photo and its faces.

    Attributes:
        path: the file; of a photo that came without one, or with a name, that name.
        pixels: (H, W, 3) uint8, as its EXIF turns it, at most 2048 pixels long.
        scale: (2,) pixels of the original photo per pixel, in x and y.
        faces: at least one, from left to right.
    """

    path: Path
    pixels: np.ndarray
    scale: np.ndarray
    faces: list[FoundFace]

    def crops(self, rows: slice = slice(None)) -> Tensor:
        """The crops as (N, 3, H, W) uint8."""
        return torch.from_numpy(np.stack([face.crop for face in self.faces[rows]])).permute(0, 3, 1, 2)

    def largest(self) -> SearchedPhoto:
        """The same photo with its largest face alone."""
        return SearchedPhoto(
            self.path, self.pixels, self.scale, [max(self.faces, key=lambda face: face.area)]
        )


def search_photo(
    photo: PhotoLike, config: PrepareConfig, detect: Detect, name: str | None = None
) -> SearchedPhoto:
    """Read a photo and crop every face in it; one without a face is turned, see `pdsn.data.faces.find_faces`.

    Detections of a probability below 0.9 are considered only if there is no other, and then the most
    probable one alone.

    Args:
        photo: a photo of any kind that `pdsn prepare` reads, see `pdsn.data.given.PhotoLike`.
        config: size and alignment, see `pdsn.data.crop.crop_settings`.
        detect: the detector.
        name: what answers call it; None for its path, or "photo 1" if it has none.

    Raises:
        PhotoError: it is a video or a folder, is no photo, cannot be read, or shows no face; the line says which.
    """
    path = Path(name or (photo if isinstance(photo, str | Path) else FIRST))
    name = readable(str(path))
    if isinstance(photo, str | Path):
        check_photo(Path(photo))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            read = read_given(photo)
    except UnreadablePhotoError as error:
        raise PhotoError(f"{name} cannot be read: {error}") from error
    detections, turn = find_faces([read.pixels], detect)[0]
    likely = sure_faces(detections) or sorted(detections, key=lambda face: -face.probability)[:1]
    faces = crop_faces(read, likely, config, turn)
    if not faces:
        raise PhotoError(
            f"{name}: {NO_FACE}: it may be too small (try --min-face 20), turned away or largely covered"
        )
    return SearchedPhoto(path, read.pixels, read.scale, faces)


def crop_faces(
    photo: Photo, detections: Sequence[Detection], config: PrepareConfig, turn: int = 0
) -> list[FoundFace]:
    """The faces of a photo from left to right, but for those whose landmarks form no face: there is nothing to compare.

    Args:
        photo: the photo.
        detections: its faces, in pixels of the photo after the turn.
        config: size and alignment.
        turn: degrees, see `turn_photo`.
    """
    pixels = turn_photo(photo.pixels, turn)
    faces = []
    for face in detections:
        try:
            crop, landmarks = crop_face(pixels, face, config)
        except ValueError:
            continue
        box = turn_back(face.box, photo.pixels.shape, turn) * np.tile(photo.scale, 2)
        faces.append(FoundFace(box, face.probability, crop, turn, landmarks))
    return sorted(faces, key=lambda face: float(face.box[0] + face.box[2]))


def check_photo(path: Path) -> None:
    """Raise PhotoError where no photo can be found without opening it: a video, a folder, nothing at all."""
    name = readable(str(path))
    if path.suffix.lower() in VIDEOS:
        raise PhotoError(
            f"{name} is a video, and only photos are read: extract frames first, "
            f"for example with `ffmpeg -i {quote(name)} -vf fps=1 frame-%04d.png`"
        )
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError as error:
        raise PhotoError(f"{name} cannot be read: no such file") from error
    except (OSError, ValueError):  # reading it says what is wrong
        return
    if is_folder:
        raise PhotoError(f"{name} is a folder: give one photo")
