"""From photos to what a store keeps of them: search, gate, embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from pdsn.data.chunks import NOT_CLEAR, make_chunk, pixels_digest
from pdsn.data.detector import Detection
from pdsn.data.faces import CLEARLY, Detect, choose_face, clear_face
from pdsn.data.photos import PhotoFile
from pdsn.data.settings import PrepareConfig
from pdsn.errors import UsageError
from pdsn.matchers.matcher import Faces, names_of
from pdsn.people.gallery import readable
from pdsn.people.photo import Cover, SearchedPhoto
from pdsn.store.insertion import NewPhoto
from pdsn.store.names import checked_name
from pdsn.store.quality import Quality, pose_of, sharpness_of
from pdsn.store.records import FaceSource
from pdsn.store.variants import Variants

CHUNK = 64
"""Photos that are searched, embedded and enrolled together."""
Refused = list[tuple[str, str]]
"""(file, reason) of photos that are not enrolled."""


@dataclass(frozen=True)
class Candidate(FaceSource):
    """A face that may be enrolled.

    Attributes:
        faces: number of faces in its photo.
        crop: (H, W, 3) uint8.
    """

    pose: float
    faces: int
    crop: np.ndarray

    @property
    def size(self) -> float:
        """Edge of the face in pixels of the photo."""
        left, top, right, bottom = self.box
        return float(max((right - left) * (bottom - top), 0.0) ** 0.5)


@dataclass(frozen=True)
class Maker:
    """Makes of faces what a store keeps of them.

    Attributes:
        variants: what is kept of each photo.
        cover: finds the covered pixels.
    """

    variants: Variants
    cover: Cover

    def make(
        self, candidates: Sequence[Candidate], *, accept_poor: bool = False, keep_crops: bool = False
    ) -> tuple[list[NewPhoto], Refused]:
        """What is to be kept of some faces, and which the gate refuses.

        Args:
            candidates: the faces.
            accept_poor: take those that the gate refuses, too, with a warning.
            keep_crops: keep the aligned faces.
        """
        refused: Refused = []
        if not candidates:
            return [], refused
        crops = torch.from_numpy(np.stack([one.crop for one in candidates])).permute(0, 3, 1, 2)
        covered = self.cover(crops)
        matcher = self.variants.matcher
        signatures = matcher.signatures(Faces(crops, covered))
        taken: list[tuple[int, NewPhoto]] = []
        for row, one in enumerate(candidates):
            hidden = names_of(signatures[row], matcher.regions)
            quality = Quality(
                one.size, sharpness_of(one.crop), one.pose, one.faces, hidden, len(matcher.regions)
            )
            if quality.reasons() and not accept_poor:
                refused.append((one.source, "; ".join(quality.reasons())))
                continue
            pixels, counts = self._hidden(covered[row].numpy())
            photo = NewPhoto(
                name=one.name,
                source=one.source,
                sha256=one.sha256,
                pixels_sha256=one.pixels_sha256,
                box=one.box,
                probability=one.probability,
                size=one.size,
                sharpness=quality.sharpness,
                pose=one.pose,
                covered=hidden,
                notes=quality.warnings(),
                vectors=np.empty(0, np.float16),
                pixels=pixels,
                counts=counts,
                crop=one.crop if keep_crops else None,
            )
            taken.append((row, photo))
        if not taken:
            return [], refused
        rows = [row for row, _ in taken]
        embeddings = np.concatenate(self.variants.embed(crops[rows].contiguous()), axis=1)
        return [
            replace(one, vectors=vectors) for (_, one), vectors in zip(taken, embeddings, strict=True)
        ], refused

    def _hidden(self, covered: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The covered pixels and their number by region, where they matter to what a photo shares with a probe."""
        matcher = self.variants.matcher
        boxes = matcher.regions.values() if matcher.masked else ()
        counts = np.array([covered[b.top : b.bottom, b.left : b.right].sum() for b in boxes], dtype=np.int32)
        return (covered, counts) if counts.any() else (None, None)


@dataclass(frozen=True)
class Task:
    """How the photos of a folder are searched and made ready.

    Attributes:
        folder: a folder per person.
        config: size and alignment, see `crop_settings`.
        accept_poor: take what the gate refuses, too, and of several faces of much the same size the largest.
        keep_crops: keep the aligned faces.
    """

    folder: Path
    config: PrepareConfig
    accept_poor: bool = False
    keep_crops: bool = False

    def choose(self, faces: Sequence[Detection], size: tuple[int, int]) -> Detection | None:
        """The face of a photo that is taken; None if that is not clear."""
        return choose_face(faces, size, "largest") if self.accept_poor else clear_face(faces)

    def search(self, part: Sequence[PhotoFile], detect: Detect) -> tuple[list[Candidate], Refused]:
        """The faces of some photos, and which photos cannot be used."""
        chunk = make_chunk(self.folder, part, self.config, detect, self.choose)
        crops = iter(chunk.faces)
        candidates, refused = [], []
        for row, photo in enumerate(part):
            reason = str(chunk.reasons[row])
            crop = None if reason else next(crops)
            if crop is not None:
                try:
                    checked_name(photo.person)
                except UsageError as error:
                    reason = f"its folder's name: {error}"
            if crop is None or reason:
                refused.append((readable(photo.file), reason))
                continue
            left, top, right, bottom = chunk.boxes[row].tolist()
            candidate = Candidate(
                name=readable(photo.person),
                source=readable(photo.file),
                sha256=str(chunk.hashes[row]),
                pixels_sha256=str(chunk.digests[row]),
                box=(left, top, right, bottom),
                probability=float(chunk.probabilities[row]),
                pose=pose_of(chunk.landmarks[row]),
                faces=int(chunk.counts[row]),
                crop=crop,
            )
            candidates.append(candidate)
        return candidates, refused

    def make(self, candidates: Sequence[Candidate], maker: Maker) -> tuple[list[NewPhoto], Refused]:
        """What is to be kept of some faces."""
        return maker.make(candidates, accept_poor=self.accept_poor, keep_crops=self.keep_crops)


Made = tuple[int, list[NewPhoto], Refused]
"""Number of some photos, what is to be kept of them, and which cannot be used."""
Make = Callable[[Task, Sequence[PhotoFile]], Iterator[Made]]
"""Searches photos and makes them ready, part by part."""


def candidate_of(
    photo: SearchedPhoto, name: str, sha256: str, face: int | None, *, accept_poor: bool = False
) -> Candidate:
    """A face of a searched photo as it can be enrolled.

    Args:
        photo: the photo.
        name: whom it shows.
        sha256: of the file's bytes, empty without a file.
        face: number of the face, from left to right, 1 for the first; None for the one that is clearly the largest.
        accept_poor: take the largest one, clearly or not.

    Raises:
        UsageError: there is no such face, none is clearly the largest, or nobody can be called so.
    """
    faces = sorted(photo.faces, key=lambda one: -one.area)
    if face is not None and not 1 <= face <= len(faces):
        raise UsageError(f"{readable(str(photo.path))} shows {len(faces)} faces: there is no face {face}")
    chosen = faces[0] if face is None else photo.faces[face - 1]
    if face is None and len(faces) > 1 and not accept_poor and faces[0].area < CLEARLY * faces[1].area:
        raise UsageError(f"{readable(str(photo.path))} {NOT_CLEAR.format(len(faces))}")
    left, top, right, bottom = chosen.box.tolist()
    pose = pose_of(chosen.landmarks) if chosen.landmarks is not None else 0.0
    return Candidate(
        name=checked_name(name),
        source=readable(str(photo.path)),
        sha256=sha256,
        pixels_sha256=pixels_digest(photo.pixels),
        box=(left, top, right, bottom),
        probability=chosen.probability,
        pose=pose,
        faces=len(faces) if face is None else 1,
        crop=chosen.crop,
    )
