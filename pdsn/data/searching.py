"""The search for faces of `pdsn prepare`, chunk by chunk.

A finished chunk stays when the program is killed; chunks of other photos or settings are removed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from pdsn.data.chunks import Chunk, make_chunk, threads_for_chunks
from pdsn.data.detector import MTCNN, Detector
from pdsn.data.made import asked, fingerprint
from pdsn.data.photos import Listing, PhotoFile
from pdsn.data.settings import PrepareConfig
from pdsn.data.shards import Shard, lacking, recorded, why_other
from pdsn.data.weights import weights_of
from pdsn.errors import PdsnError, UsageError
from pdsn.files import sha256_of

METHOD = "MTCNN of facenet-pytorch 2.5.3, method 2"
"""What the published networks find by; see `method_of`. Changes whenever reading, detection or alignment change what comes out: old chunks are then not taken up."""
FURTHER = "further looks 2"
"""How other networks than the published look again; changes like `METHOD`."""
CHUNK = 64
"""Photos that are finished, and lost by a kill, together."""
MAKING = ("size", "align", "face", "min_face", "template", "detector")
"""Settings that a chunk depends on; the others decide which of its photos are kept."""


def method_of(detector: str) -> str:
    """What a data set says of how its faces were found: `METHOD`, and of other networks than the published `FURTHER` and their weights.

    Raises:
        PdsnError: there are no such weights.
    """
    if detector == MTCNN:
        return METHOD
    return f"{METHOD}, {FURTHER}, networks {sha256_of(weights_of(detector))[:16]}"


@dataclass(frozen=True)
class Work:
    """What is to be made; see `prepare_photos`, whose arguments these are."""

    photos: Path
    root: Path
    listing: Listing
    config: PrepareConfig
    device: str
    force: bool
    elsewhere: str
    on_progress: Callable[[int, int], None]


def chunks_of(wanted: Sequence[PhotoFile]) -> list[Sequence[PhotoFile]]:
    """The photos of each chunk."""
    return [wanted[first : first + CHUNK] for first in range(0, len(wanted), CHUNK)]


def run_chunks(
    work: Work, wanted: Sequence[PhotoFile], shard: Shard | None = None, *, merge: bool = False
) -> list[Path]:
    """Make the chunks that are not finished yet, several at a time; the files of all, in order.

    Args:
        work: what is to be made.
        wanted: the photos to search.
        shard: makes its share alone.
        merge: makes none.

    Raises:
        PdsnError: chunks are missing, and none are to be made.
        UsageError: there are shards of other photos or settings.
    """
    config, device, on_progress = work.config, work.device, work.on_progress
    # What only decides which photos are kept may change between a kill and the next call.
    making = {name: value for name, value in asked(config).items() if name in MAKING}
    folder = work.root / "partial" / fingerprint(making, wanted, method_of(config.detector))[:16]
    _drop_others(work, folder)
    parts = chunks_of(wanted)
    paths = [folder / f"{index:06}.npz" for index in range(len(parts))]
    mine = range(len(parts)) if shard is None else shard.chunks(len(parts))
    missing = [index for index in mine if Chunk.load(paths[index]) is None]
    if merge and missing:
        raise PdsnError(lacking(work.root, folder, missing))
    folder.mkdir(parents=True, exist_ok=True)
    if shard is not None:
        shard.record(folder, _sharing(config), work.listing.photos)
    count = sum(len(parts[index]) for index in mine)
    done = count - sum(len(parts[index]) for index in missing)
    on_progress(done, count)
    if not missing:
        return paths
    detect = Detector(config.min_face, device, config.detector)

    def make(index: int) -> int:
        make_chunk(work.photos, parts[index], config, detect).save(paths[index])
        return len(parts[index])

    with threads_for_chunks() as (pool, _):
        for future in as_completed([pool.submit(make, index) for index in missing]):
            done += future.result()
            on_progress(done, count)
    return paths


def _drop_others(work: Work, folder: Path) -> None:
    """Remove the chunks of other photos or settings, but for shards: others may be at work on them.

    Raises:
        UsageError: there are shards, and nothing says to replace them.
    """
    for other in folder.parent.glob("*"):
        if other == folder:
            continue
        if recorded(other) and not work.force:
            reason = why_other(other, _sharing(work.config), work.photos, work.listing.photos)
            raise UsageError(
                f"{work.root} holds shards {reason}: give what they were made with, choose another {work.elsewhere}, or drop them "
                "with --force"
            )
        shutil.rmtree(other, ignore_errors=True)


def _sharing(config: PrepareConfig) -> dict[str, object]:
    """The settings that shards must have in common: what a chunk depends on, and which photos are searched."""
    return {name: value for name, value in asdict(config).items() if name in (*MAKING, "min_photos")}


def finished(paths: Sequence[Path]) -> Iterator[tuple[int, Chunk]]:
    """All chunks, each with the number of its first photo.

    Raises:
        PdsnError: one is none any more.
    """
    for number, path in enumerate(paths):
        chunk = Chunk.load(path)
        if chunk is None:
            raise PdsnError(f"{path} was changed while it was in use: run the same command again")
        yield number * CHUNK, chunk
