"""Occluded probes: on faces that were aligned before, or on the original photos, found and aligned anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pdsn.data.dataset import FaceDataset
from pdsn.data.detector import Detection
from pdsn.data.faces import Detect, choose_face, crop_face, crop_matrix, detect_faces, find_faces, turn_photo
from pdsn.data.reading import UnreadablePhotoError, read_photo
from pdsn.data.settings import PrepareConfig
from pdsn.errors import PdsnError
from pdsn.occlusion.occluder import Occluder
from pdsn.occlusion.occluders import draws_of, occlude
from pdsn.occlusion.painting import paint_photo

BATCH = 16
"""Photos that are searched together."""


@dataclass(frozen=True)
class Probes:
    """Occluded faces to recognise.

    Attributes:
        faces: (P, 3, H, W) uint8; zeros where no face was found any more.
        exact: (P, H, W) bool, what the occluder covered; None of photographs, of which nobody knows.
        found: (P,) bool, whether the detector still found a face.
    """

    faces: Tensor
    exact: Tensor | None
    found: np.ndarray


MakeProbes = Callable[[str, Occluder, int], Probes]
"""Name of an occlusion, its occluder, number of the draw -> the probes under it, always in the same order."""


def aligned_probes(dataset: FaceDataset, rows: np.ndarray, seed: int) -> MakeProbes:
    """Occlude the aligned faces of some rows; every occlusion then meets perfect alignment."""
    clean = dataset.tensor(rows)

    def make(name: str, occluder: Occluder, draw: int = 0) -> Probes:
        faces, exact = occlude(
            occluder, clean, dataset.landmarks[rows], seed=seed, name=name, rows=rows.tolist(), draw=draw
        )
        return Probes(faces, exact, np.ones(len(rows), bool))

    return make


@dataclass
class PhotoProbes:
    """Paint the original photos, then detect and align: what a camera would deliver.

    What people wear is painted at the landmarks of the photo. A band or block, which is a place in the
    crop, is carried back to where that crop lay in the photo. The draws are those of `aligned_probes`.

    Attributes:
        dataset: the prepared photos.
        rows: (P,) the probes.
        seed: of the occlusions.
        photos: the folder that the data set was prepared from.
        detect: the detector it was prepared with.
        crop: how it was prepared: size, alignment, and which face of several.
    """

    dataset: FaceDataset
    rows: np.ndarray
    seed: int
    photos: Path
    detect: Detect
    crop: PrepareConfig
    _clean: dict[int, tuple[Detection, int]] = field(default_factory=dict, init=False)

    def __call__(self, name: str, occluder: Occluder, draw: int = 0) -> Probes:
        """The probes under one draw of one occlusion.

        Raises:
            PdsnError: an original photo is gone, cannot be read any more, or shows no face.
        """
        height, width = self.dataset.size
        faces = torch.zeros((len(self.rows), 3, height, width), dtype=torch.uint8)
        exact = torch.zeros((len(self.rows), height, width), dtype=torch.bool)
        found = np.zeros(len(self.rows), bool)
        for first in range(0, len(self.rows), BATCH):
            rows = self.rows[first : first + BATCH].tolist()
            photos = self._read(rows)
            painted = [
                self._paint(photo, row, occluder, draws_of(self.seed, name, row, draw))
                for photo, row in zip(photos, rows, strict=True)
            ]
            answers = detect_faces([photo for photo, _ in painted], self.detect)
            for place, ((photo, covered), detections) in enumerate(zip(painted, answers, strict=True), first):
                cropped = self._crop(photo, covered, detections)
                if cropped is not None:
                    faces[place] = torch.from_numpy(cropped[0].copy()).permute(2, 0, 1)
                    exact[place] = torch.from_numpy(cropped[1].copy())
                    found[place] = True
        return Probes(faces, exact, found)

    def _read(self, rows: Sequence[int]) -> list[np.ndarray]:
        """The photos (H, W, 3) uint8 of some rows, turned as they were prepared; their clean faces are searched on
        first sight."""
        photos = []
        for row in rows:
            path = self.photos / self.dataset.files[row]
            try:
                photos.append(read_photo(path).pixels)
            except (UnreadablePhotoError, OSError) as error:
                raise PdsnError(
                    f"{path} cannot be read ({error}): --align occluded paints on the photos that "
                    f"{self.dataset.root} was prepared from; put them back, or take --align clean"
                ) from error
        new = [index for index, row in enumerate(rows) if row not in self._clean]
        answers = find_faces([photos[index] for index in new], self.detect)
        for index, (detections, turn) in zip(new, answers, strict=True):
            if not detections:
                raise PdsnError(
                    f"{self.photos / self.dataset.files[rows[index]]} shows no face any more: "
                    f"prepare {self.dataset.root} again, with --force"
                )
            face = self._choose(turn_photo(photos[index], turn), detections)
            self._clean[rows[index]] = face, turn
        return [turn_photo(photo, self._clean[row][1]) for photo, row in zip(photos, rows, strict=True)]

    def _choose(self, photo: np.ndarray, detections: Sequence[Detection]) -> Detection:
        return choose_face(detections, (photo.shape[0], photo.shape[1]), self.crop.face)

    def _paint(
        self, photo: np.ndarray, row: int, occluder: Occluder, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The occluded photo (H, W, 3) uint8 and what is covered of it (H, W) bool."""
        face, _ = self._clean[row]
        crop, points = self.dataset.tensor([row])[0], self.dataset.landmarks[row]
        matrix = crop_matrix(photo.shape, face, self.crop)
        return paint_photo(photo, face.landmarks, crop, matrix, occluder, rng, points)

    def _crop(
        self, photo: np.ndarray, covered: np.ndarray, detections: Sequence[Detection]
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Crop (H, W, 3) uint8 and covered (H, W) bool of the face found now; None if there is none."""
        if not detections:
            return None
        face = self._choose(photo, detections)
        try:
            crop, _ = crop_face(photo, face, self.crop)
            mask = np.repeat(covered[..., None].astype(np.uint8) * 255, 3, axis=2)
            cut, _ = crop_face(mask, face, self.crop)
        except ValueError:
            return None
        return crop, cut[..., 0] > 127
