"""From photos to enrolled people: search, gate, embeddings, and a report that says of each photo what became of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from pdsn.data.chunks import NOT_CLEAR, Choose, make_chunk, pixels_digest, threads_for_chunks
from pdsn.data.detector import Detection
from pdsn.data.faces import CLEARLY, Detect, choose_face, clear_face
from pdsn.data.listing import sha256_or_nothing
from pdsn.data.photos import PhotoFile, list_photos
from pdsn.data.settings import PrepareConfig
from pdsn.errors import UsageError
from pdsn.matchers.matcher import Faces, names_of
from pdsn.people.gallery import readable
from pdsn.people.photo import Cover, SearchedPhoto
from pdsn.store.insertion import FaceSource, NewPhoto
from pdsn.store.names import checked_name
from pdsn.store.quality import Quality, pose_of, sharpness_of
from pdsn.store.records import PhotoRecord
from pdsn.store.store import Store
from pdsn.store.variants import Variants

CHUNK = 64
"""Photos that are searched, embedded and enrolled together."""


@dataclass(frozen=True)
class EnrolReport:
    """What became of some photos.

    Attributes:
        added: the photos that were enrolled; their notes are warnings.
        refused: (file, reason) of those that were not.
        known: (file, whose) of those that were enrolled already.
        left_out: people without any enrolled photo.
    """

    added: list[PhotoRecord] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    known: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def extend(self, more: EnrolReport) -> None:
        """Add what became of further photos."""
        self.added.extend(more.added)
        self.refused.extend(more.refused)
        self.known.extend(more.known)

    def as_dict(self) -> dict[str, object]:
        """What JSON says of them."""
        return {
            "added": [photo.as_dict() for photo in self.added],
            "refused": [{"photo": file, "reason": reason} for file, reason in self.refused],
            "known": [{"photo": file, "whose": whose} for file, whose in self.known],
            "left_out": self.left_out,
        }


@dataclass(frozen=True)
class Candidate(FaceSource):
    """A face that may be enrolled; see `PhotoRecord`.

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


class Enroller:
    """Enrols photos into a store.

    Args:
        store: the store.
        variants: what is kept of each photo.
        cover: finds the covered pixels.
    """

    def __init__(self, store: Store, variants: Variants, cover: Cover) -> None:
        self.store = store
        self.variants = variants
        self.cover = cover

    def enrol(
        self, candidates: Sequence[Candidate], *, accept_poor: bool = False, keep_crops: bool = False
    ) -> EnrolReport:
        """Enrol some faces, or say why not.

        Args:
            candidates: the faces.
            accept_poor: enrol those that the gate refuses, too, with a warning.
            keep_crops: keep the aligned faces.
        """
        report = EnrolReport()
        if not candidates:
            return report
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
                report.refused.append((one.source, "; ".join(quality.reasons())))
                continue
            pixels, counts = self._hidden(covered[row].numpy())
            taken.append((row, NewPhoto(
                one.name, one.source, one.sha256, one.pixels_sha256, one.box, one.probability, one.size,
                quality.sharpness, one.pose, hidden, quality.warnings(), np.empty(0, np.float16), pixels, counts,
                one.crop if keep_crops else None,
            )))  # fmt: skip
        if not taken:
            return report
        embeddings = np.concatenate(
            self.variants.embed(crops[[row for row, _ in taken]].contiguous()), axis=1
        )
        new = [replace(one, vectors=vectors) for (_, one), vectors in zip(taken, embeddings, strict=True)]
        for photo, outcome in zip(new, self.store.add(new), strict=True):
            if isinstance(outcome, str):
                report.known.append((photo.source, outcome))
            else:
                report.added.append(outcome)
        return report

    def _hidden(self, covered: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The covered pixels and their number by region, where they matter to what a photo shares with a probe."""
        matcher = self.variants.matcher
        boxes = matcher.regions.values() if matcher.masked else ()
        counts = np.array([covered[b.top : b.bottom, b.left : b.right].sum() for b in boxes], dtype=np.int32)
        return (covered, counts) if counts.any() else (None, None)


def enrol_folder(
    enroller: Enroller,
    folder: Path,
    config: PrepareConfig,
    detect: Detect,
    *,
    accept_poor: bool = False,
    keep_crops: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> EnrolReport:
    """Enrol what is new in a folder of photos per person.

    A photo that is enrolled already, whatever it is called, is not searched again. Photos are searched as `pdsn prepare`
    does it, several chunks at a time, and enrolled chunk by chunk: a call that was stopped goes on where it was.

    Args:
        enroller: enrols them.
        folder: a folder per person.
        config: size and alignment, see `crop_settings`.
        detect: the detector.
        accept_poor: enrol what the gate refuses, too, and of several faces of much the same size the largest.
        keep_crops: keep the aligned faces.
        on_progress: told the photos done and the photos in all.

    Raises:
        PdsnError: the folder cannot be read, or the store not be written to.
    """
    listing = list_photos(folder)
    report = EnrolReport(refused=[(readable(file), reason) for file, reason in listing.others])
    hashes = {photo.file: sha256_or_nothing(folder / photo.file) for photo in listing.photos}
    known = enroller.store.known([digest for digest in hashes.values() if digest])
    wanted = []
    for photo in listing.photos:
        if hashes[photo.file] in known:
            name, source = known[hashes[photo.file]]
            report.known.append((readable(photo.file), f"enrolled already as {name} ({source})"))
        else:
            wanted.append(photo)
    done, total = len(listing.photos) - len(wanted), len(listing.photos)
    told = on_progress or _nothing
    told(done, total)

    def choose(faces: Sequence[Detection], size: tuple[int, int]) -> Detection | None:
        return choose_face(faces, size, "largest") if accept_poor else clear_face(faces)

    for part, candidates, refused in _searched(folder, wanted, config, detect, choose):
        more = enroller.enrol(candidates, accept_poor=accept_poor, keep_crops=keep_crops)
        report.refused.extend(refused)
        report.extend(more)
        done += len(part)
        told(done, total)
    kept = {photo.name for photo in report.added} | {whose for whose, _ in known.values()}
    people = sorted({readable(name) for name in listing.people})
    report.left_out.extend(
        name for name in people if name not in kept and not _is_known(enroller.store, name)
    )
    return report


def _nothing(done: int, total: int) -> None:
    """Progress nobody wants to hear of."""


def _is_known(store: Store, name: str) -> bool:
    try:
        store.show(name)
    except UsageError:
        return False
    return True


Found = tuple[Sequence[PhotoFile], list[Candidate], list[tuple[str, str]]]
"""Some photos, the faces in them, and (file, reason) of those without one."""


def _searched(
    folder: Path,
    photos: Sequence[PhotoFile],
    config: PrepareConfig,
    detect: Detect,
    choose: Choose,
) -> Iterator[Found]:
    """Search photos, chunk by chunk in their order, several at a time."""

    def search(part: Sequence[PhotoFile]) -> Found:
        return _search(folder, part, config, detect, choose)

    parts = [photos[first : first + CHUNK] for first in range(0, len(photos), CHUNK)]
    waiting: deque[Future[Found]] = deque()
    with threads_for_chunks() as (pool, threads):
        for part in parts:
            waiting.append(pool.submit(search, part))
            if len(waiting) > 2 * threads:  # no more than that wait in memory to be enrolled
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _search(
    folder: Path,
    part: Sequence[PhotoFile],
    config: PrepareConfig,
    detect: Detect,
    choose: Choose,
) -> Found:
    chunk = make_chunk(folder, part, config, detect, choose)
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
        candidates.append(Candidate(
            readable(photo.person), readable(photo.file), str(chunk.hashes[row]), str(chunk.digests[row]),
            (left, top, right, bottom), float(chunk.probabilities[row]), pose_of(chunk.landmarks[row]),
            int(chunk.counts[row]), crop,
        ))  # fmt: skip
    return part, candidates, refused


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
        checked_name(name), readable(str(photo.path)), sha256, pixels_digest(photo.pixels), (left, top, right, bottom),
        chosen.probability, pose, len(faces) if face is None else 1, chosen.crop,
    )  # fmt: skip
