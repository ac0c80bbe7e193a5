"""The unit of work of `pdsn prepare`: a chunk of photos, read, searched and aligned, kept on disk when finished."""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pdsn.data.detector import Detection
from pdsn.data.faces import (
    Detect,
    choose_face,
    crop_face,
    find_faces,
    sideways,
    sure_faces,
    turn_back,
    turn_photo,
)
from pdsn.data.listing import sha256_or_nothing
from pdsn.data.photos import PhotoFile
from pdsn.data.reading import Photo, UnreadablePhotoError, read_photo
from pdsn.data.settings import PrepareConfig
from pdsn.files import atomic_path

BATCH = 16
"""Photos that are searched together: enough to fill the networks, few enough for their maps to be allocated cheaply."""
BATCH_PIXELS = 48_000_000
"""Pixels of photos that wait to be searched together, whatever their number."""
NO_FACE = "no face found"
NOT_CLEAR = "shows {} faces of much the same size, crop it to the person"

Choose = Callable[[Sequence[Detection], tuple[int, int]], Detection | None]
"""The faces of a photo, at least one, and its (H, W) in pixels -> the one to take; None if that is not clear."""


@contextmanager
def threads_for_chunks() -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """Threads to make chunks in, and their number; what has not begun when the block ends is dropped.

    One network thread per worker: reading, searching and warping all run side by side, and the numbers do not depend on
    how many cores share a multiplication.
    """
    import torch

    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        with warnings.catch_warnings():
            # Pillow grumbles about every odd tag; what keeps a photo from being used is a reason, not a warning.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield pool, threads
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class Chunk:
    """What is known of n photos, m of them with a face. Numbers are NaN where there is none.

    Attributes:
        reasons: (n,) str, why the photo cannot be used; empty where a face was found.
        hashes: (n,) str, SHA-256 of the file's bytes; empty where they cannot be read.
        digests: (n,) str, SHA-256 of the decoded pixels; empty where they cannot be read.
        boxes: (n, 4) float64 left, top, right, bottom in pixels of the original photo as its EXIF turns it.
        probabilities: (n,) float64, the detector's confidence.
        landmarks: (n, 5, 2) float64 x, y in pixels of the crop.
        offsets: (n,) float64, `pdsn.data.faces.sideways` of the face.
        turns: (n,) int64, degrees counter-clockwise by which the photo was turned to show a face; mostly 0.
        counts: (n,) int64, faces that the photo surely shows, `pdsn.data.faces.sure_faces`.
        faces: (m, H, W, 3) uint8, the crops of the photos with a face, in their order.
    """

    reasons: np.ndarray
    hashes: np.ndarray
    digests: np.ndarray
    boxes: np.ndarray
    probabilities: np.ndarray
    landmarks: np.ndarray
    offsets: np.ndarray
    turns: np.ndarray
    counts: np.ndarray
    faces: np.ndarray

    def save(self, path: Path) -> None:
        """Write an .npz without pickle, atomically."""
        with atomic_path(path) as temporary:
            np.savez(temporary, allow_pickle=False, **{name: getattr(self, name) for name in _names()})

    @classmethod
    def load(cls, path: Path) -> Chunk | None:
        """Read a chunk; None if the file is missing or damaged."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                return cls(**{name: stored[name] for name in _names()})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None


def _names() -> list[str]:
    return list(Chunk.__dataclass_fields__)


def make_chunk(
    folder: Path,
    photos: Sequence[PhotoFile],
    config: PrepareConfig,
    detect: Detect,
    choose: Choose | None = None,
) -> Chunk:
    """Read photos, find the face each is about, and align it. A photo that cannot be used gets a reason.

    Args:
        folder: what the photos' paths are relative to.
        photos: n photos.
        config: size, alignment and choice of face.
        detect: the detector.
        choose: which face of several; None takes the choice of `config`.
    """
    choose = choose or (lambda faces, size: choose_face(faces, size, config.face))
    count = len(photos)
    reasons, digests = [NO_FACE] * count, [""] * count
    hashes = [sha256_or_nothing(folder / photo.file) for photo in photos]
    boxes, landmarks = np.full((count, 4), np.nan), np.full((count, 5, 2), np.nan)
    probabilities, offsets = np.full(count, np.nan), np.full(count, np.nan)
    turns, counts = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    crops: dict[int, np.ndarray] = {}
    waiting: dict[int, Photo] = {}

    def search() -> None:
        found = find_faces([photo.pixels for photo in waiting.values()], detect)
        for (row, photo), (detections, turn) in zip(waiting.items(), found, strict=True):
            pixels = turn_photo(photo.pixels, turn)
            turns[row], counts[row] = turn, len(sure_faces(detections))
            face = choose(detections, pixels.shape[:2]) if detections else None
            if face is None:
                reasons[row] = NOT_CLEAR.format(counts[row]) if detections else NO_FACE
                continue
            try:
                crops[row], landmarks[row] = crop_face(pixels, face, config)
            except ValueError:  # landmarks that form no face
                continue
            reasons[row], probabilities[row], offsets[row] = "", face.probability, sideways(face)
            boxes[row] = turn_back(face.box, photo.pixels.shape, turn) * np.tile(photo.scale, 2)
        waiting.clear()

    for row, listed in enumerate(photos):
        try:
            photo = read_photo(folder / listed.file)
        except UnreadablePhotoError as error:
            reasons[row] = f"cannot be read: {error}"
            continue
        digests[row] = pixels_digest(photo.pixels)
        waiting[row] = photo
        if len(waiting) == BATCH or sum(one.pixels.nbytes for one in waiting.values()) > 3 * BATCH_PIXELS:
            search()
    search()
    faces = np.zeros((len(crops), *config.size, 3), dtype=np.uint8)
    for place, row in enumerate(sorted(crops)):
        faces[place] = crops[row]
    return Chunk(
        np.array(reasons),
        np.array(hashes),
        np.array(digests),
        boxes,
        probabilities,
        landmarks,
        offsets,
        turns,
        counts,
        faces,
    )


def pixels_digest(pixels: np.ndarray) -> str:
    """SHA-256 of a photo's pixels (H, W, 3) uint8, in hexadecimal."""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
