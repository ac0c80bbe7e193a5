"""Photos in a folder per person -> a prepared data set, resumable at any moment.

The photos are worked on in chunks; a finished chunk lies in `DIR/partial/` until the data set is written. A
chunk depends on nothing but its photos and the settings, so a run that was killed ends with the same bytes.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pdsn.data.dataset import Face, FaceDataset, write_dataset
from pdsn.data.listing import SeenPhoto, as_csv, read_listing, shown
from pdsn.data.made import asked, open_made
from pdsn.data.photos import PhotoFile, list_photos
from pdsn.data.searching import Work, chunks_of, finished, method_of, run_chunks
from pdsn.data.settings import PrepareConfig
from pdsn.data.shards import Shard
from pdsn.errors import PdsnError, UsageError
from pdsn.progress import unheard


@dataclass(frozen=True)
class PrepareReport:
    """What came of `prepare_photos`.

    Attributes:
        dataset: the prepared data set.
        skipped: (file, reason) of everything left out: photos in the order of the listing, then files that are none,
            then, ending in a slash, the folders of people without a photo.
        photos: number of files seen, photos or not.
        people_kept: number of people in the data set.
        people_dropped: number of people with too few usable photos, or none.
        people_without: those among them without any photo.
        seconds: time taken.
        several: photos in the data set that show several sure faces, of which one was chosen.
        turned: photos in the data set that were turned to show their face.
        reused: the data set was there already, made with the same settings from the same photos.
        outdated: it was, by another version of pdsn, which may have found other faces in them.
    """

    dataset: FaceDataset
    skipped: list[tuple[str, str]]
    photos: int
    people_kept: int
    people_dropped: int
    people_without: list[str]
    seconds: float
    several: int = 0
    turned: int = 0
    reused: bool = False
    outdated: bool = False


def prepare_photos(
    photos: Path,
    root: Path,
    config: PrepareConfig,
    *,
    device: str = "cpu",
    force: bool = False,
    replace_other: bool = False,
    elsewhere: str = "--data",
    merge: bool = False,
    on_progress: Callable[[int, int], None] = unheard,
) -> PrepareReport:
    """Find, choose and align one face per photo and write the data set.

    Photos are read, searched and warped by as many threads as torch would use. People whose photos would be too few
    even if all were usable are not searched. Of photos with the same pixels the first in sorted order is kept.

    Args:
        photos: a folder with a folder per person.
        root: the data set's folder; while it is being made it needs room for the faces twice.
        config: the settings.
        device: torch device of the detector.
        force: replace a data set that lies in `root`.
        replace_other: replace it if it was made from other photos or with other settings.
        elsewhere: the option, for messages, that puts the data set into another folder.
        merge: search no photo: join the shards that `prepare_shard` made of these photos with these settings.
        on_progress: called with the number of photos done and of all to do, first before any work.

    Raises:
        PdsnError: nothing in `photos` can be used, `root` cannot be written, or a shard is missing.
        UsageError: `root` holds another data set, or shards of one, and nothing says to replace it, or lies in `photos`.
    """
    start = time.perf_counter()
    _check_apart(photos, root, elsewhere)
    listing = list_photos(photos)
    made = None
    try:
        if not force and (root / "dataset.json").is_file():
            try:
                made = open_made(photos, root, listing.photos, config, elsewhere)
            except UsageError:
                if not replace_other:
                    raise
        work = Work(photos, root, listing, config, device, force, elsewhere, on_progress)
        dataset, skipped = made or _make(work, merge=merge)
        _clean(root)
    except OSError as error:
        raise PdsnError(
            f"{root} cannot be written ({error.strerror or error}): choose another {elsewhere}"
        ) from error
    kept, files = len(dataset.people), set(dataset.files)
    seen = [photo for photo in read_listing(root) or () if photo.file in files]
    without = [name.removesuffix("/") for name, _ in skipped if name.endswith("/")]
    return PrepareReport(
        dataset,
        skipped,
        photos=len(dataset.files) + len(skipped) - len(without),
        people_kept=kept,
        people_dropped=len(listing.people) - kept,
        people_without=without,
        seconds=time.perf_counter() - start,
        several=sum(photo.faces > 1 for photo in seen),
        turned=sum(photo.turn > 0 for photo in seen),
        reused=made is not None,
        outdated=dataset.settings.get("method") != method_of(config.detector),
    )


def prepare_shard(
    photos: Path,
    root: Path,
    config: PrepareConfig,
    shard: Shard,
    *,
    device: str = "cpu",
    force: bool = False,
    on_progress: Callable[[int, int], None] = unheard,
) -> int | None:
    """Make one share of the chunks of a data set, for `prepare_photos` to join; the chunks are those that it would make itself.

    Shards may be made at the same time, on several machines that see the photos and `root`; a shard that was stopped goes
    on by the same call.

    Args:
        photos, root, config, device, on_progress: see `prepare_photos`.
        shard: which share.
        force: drop shards of other settings or photos that lie in `root`, and leave out of account that there may be a data set.

    Returns:
        The photos of the shard; None if the whole data set is there already.

    Raises:
        PdsnError, UsageError: see `prepare_photos`.
    """
    _check_apart(photos, root, "--data")
    listing = list_photos(photos)
    try:
        if not force and (root / "dataset.json").is_file():
            open_made(photos, root, listing.photos, config, "--data")
            return None
        work = Work(photos, root, listing, config, device, force, "--data", on_progress)
        wanted, _ = _wanted(work)
        run_chunks(work, wanted, shard)
    except OSError as error:
        raise PdsnError(
            f"{root} cannot be written ({error.strerror or error}): choose another --data"
        ) from error
    parts = chunks_of(wanted)
    return sum(len(parts[chunk]) for chunk in shard.chunks(len(parts)))


def _check_apart(photos: Path, root: Path, elsewhere: str) -> None:
    """Raise UsageError where the data set would lie among its photos."""
    if root.resolve().is_relative_to(photos.resolve()):
        raise UsageError(
            f"{root} lies among the photos, {photos}: choose another {elsewhere}, outside of that folder"
        )


def _wanted(work: Work) -> tuple[list[PhotoFile], dict[str, str]]:
    """The photos to search, and by file why the others are not.

    Raises:
        PdsnError: there are none.
    """
    listed = work.listing.photos
    reasons = {photo.file: "file name is not UTF-8" for photo in listed if not _is_utf8(photo.file)}
    _drop_small(listed, reasons, work.config.min_photos)
    wanted = [photo for photo in listed if photo.file not in reasons]
    if not wanted:
        raise PdsnError(_nobody(work.photos, listed, reasons, work.config))
    return wanted, reasons


def _make(work: Work, *, merge: bool) -> tuple[FaceDataset, list[tuple[str, str]]]:
    """Search the photos and write the data set; also (file, reason) of what is left out."""
    listing, config = work.listing, work.config
    listed = listing.photos
    wanted, reasons = _wanted(work)
    paths = run_chunks(work, wanted, merge=merge)
    described, searched = _describe(paths, wanted, config, reasons)
    _drop_small(listed, reasons, config.min_photos)
    kept = [row for row, photo in enumerate(wanted) if photo.file not in reasons]
    if not kept:
        raise PdsnError(_nobody(work.photos, listed, reasons, config))
    left_out = [(photo.file, reasons[photo.file]) for photo in listed if photo.file in reasons]
    having = {photo.person for photo in listed}
    without = [(f"{name}/", "person without any photo") for name in listing.people if name not in having]
    seen = [SeenPhoto(shown(photo.file), photo.bytes, photo.changed) for photo in listed]
    skipped = [(shown(file), reason) for file, reason in (*left_out, *listing.others, *without)]
    dataset = write_dataset(
        work.root,
        _read_faces(paths, set(kept)),
        [described[row] for row in kept],
        config.size,
        settings={
            **asked(config),
            "photos": str(work.photos.resolve()),
            "method": method_of(config.detector),
        },
        split_seed=config.split_seed,
        skipped=skipped,
        photos=as_csv([searched.get(photo.file, photo) for photo in seen]),
    )
    return dataset, skipped


def _drop_small(listed: Sequence[PhotoFile], reasons: dict[str, str], fewest: int) -> None:
    """Give a reason to all photos of people who have fewer than `fewest` without one."""
    usable = Counter(photo.person for photo in listed if photo.file not in reasons)
    for photo in listed:
        if photo.file not in reasons and usable[photo.person] < fewest:
            number = usable[photo.person]
            reasons[photo.file] = (
                f"person has only {number} usable photo{'s' * (number > 1)} (fewer than {fewest})"
            )


def _describe(
    paths: Sequence[Path], wanted: Sequence[PhotoFile], config: PrepareConfig, reasons: dict[str, str]
) -> tuple[list[Face], dict[str, SeenPhoto]]:
    """What the chunks say of each wanted photo, and what is remembered of it, by file; those that cannot be used get a
    reason."""
    described: list[Face] = []
    searched: dict[str, SeenPhoto] = {}
    first: dict[str, str] = {}
    for start, chunk in finished(paths):
        for row, photo in enumerate(wanted[start : start + len(chunk.reasons)]):
            digest, reason = str(chunk.digests[row]), str(chunk.reasons[row])
            twin = first.setdefault(digest, photo.file) if digest else photo.file
            if twin != photo.file:
                reason = f"duplicate of {twin}"
            elif not reason and config.frontal is not None and chunk.offsets[row] > config.frontal:
                reason = "not frontal"
            if reason:
                reasons[photo.file] = reason
            left, top, right, bottom = chunk.boxes[row].tolist()
            probability = float(chunk.probabilities[row])
            box = (left, top, right, bottom)
            described.append(Face(photo.person, photo.file, box, probability, chunk.landmarks[row]))
            faces, turn, digest = int(chunk.counts[row]), int(chunk.turns[row]), str(chunk.hashes[row])
            searched[photo.file] = SeenPhoto(photo.file, photo.bytes, photo.changed, digest, faces, turn)
    return described, searched


def _read_faces(paths: Sequence[Path], kept: set[int]) -> Iterator[np.ndarray]:
    """The crops of the kept rows, read back chunk by chunk."""
    for start, chunk in finished(paths):
        for place, row in enumerate(np.flatnonzero(chunk.reasons == "")):
            if start + row in kept:
                yield chunk.faces[place]


def _clean(root: Path) -> None:
    """Remove the chunks, and what a kill in the middle of `write_dataset` left."""
    shutil.rmtree(root / "partial", ignore_errors=True)
    for name in ("faces", "manifest", "skipped", "photos", "dataset"):
        for left in root.glob(f".{name}-*"):
            left.unlink(missing_ok=True)


def _is_utf8(name: str) -> bool:
    return shown(name) == name


def _nobody(photos: Path, listed: Sequence[PhotoFile], reasons: dict[str, str], config: PrepareConfig) -> str:
    """The one line that says why not a single person is left, and what to do."""
    people = Counter(photo.person for photo in listed)
    if max(people.values()) == 1:
        return (
            f"{photos}: each of its {len(people)} people has one photo only, and recognition needs several of "
            f"each: add photos, at least {config.min_photos} a person (min_photos under [prepare] in a --config FILE, or --min-photos of prepare, lowers this)"
        )
    few = "person has only"
    usable = Counter(photo.person for photo in listed if reasons[photo.file].startswith(few))
    most = max(usable.values(), default=0)
    kinds = Counter(
        reason.split(":")[0].split(" of ")[0] for reason in reasons.values() if not reason.startswith(few)
    )
    left_out = "".join(f", {number} {kind}" for kind, number in kinds.most_common())
    return (
        f"{photos}: none of its {len(people)} people has {config.min_photos} usable photos, the most is {most} "
        f"(of {len(listed)} photos{left_out}): add photos, or lower min_photos under [prepare] in a --config FILE, or --min-photos of prepare"
    )
