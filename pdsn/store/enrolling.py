"""From photos to enrolled people, and a report that says of each photo what became of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import torch

from pdsn.data.chunks import threads_for_chunks
from pdsn.data.faces import Detect
from pdsn.data.listing import sha256_or_nothing
from pdsn.data.photos import PhotoFile, list_photos, normal_name
from pdsn.errors import UsageError
from pdsn.people.gallery import readable
from pdsn.people.photo import Cover
from pdsn.progress import unheard
from pdsn.store.insertion import NewPhoto
from pdsn.store.kinds import AnyStore
from pdsn.store.making import CHUNK, Candidate, Made, Make, Maker, Refused, Task
from pdsn.store.names import FormerNames, plain_name
from pdsn.store.records import PhotoRecord, Twin
from pdsn.store.variants import Variants


@dataclass(frozen=True)
class EnrolReport:
    """What became of some photos.

    Attributes:
        added: the photos that were enrolled; their notes are warnings.
        refused: (file, reason) of those that were not.
        known: (file, whose) of those that were enrolled already.
        known_ids: the ids of these, each once.
        elsewhere: (file, given name, name) of those among them that were given as somebody else than they are enrolled as; two
            spellings of a name are nobody else.
        renamed: those of the added photos that were given under a former name, by that name; their names are those of today.
        left_out: people without any enrolled photo.
    """

    added: list[PhotoRecord] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    known: list[tuple[str, str]] = field(default_factory=list)
    known_ids: set[int] = field(default_factory=set)
    elsewhere: list[tuple[str, str, str]] = field(default_factory=list)
    renamed: dict[str, list[PhotoRecord]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add_known(self, file: str, given: str, twin: Twin, former: FormerNames) -> None:
        """Add a photo that is enrolled already.

        Args:
            file, given: the photo, and whom it was to show.
            twin: as what it is enrolled.
            former: names of the store's people before.
        """
        self.known.append((file, str(twin)))
        self.known_ids.add(twin.id)
        if normal_name(twin.name) != normal_name(given) and twin.name != former.now(given):
            self.elsewhere.append((file, given, twin.name))

    def extend(self, more: EnrolReport) -> None:
        """Add what became of further photos."""
        self.added.extend(more.added)
        self.refused.extend(more.refused)
        self.known.extend(more.known)
        self.known_ids.update(more.known_ids)
        self.elsewhere.extend(more.elsewhere)
        for given, photos in more.renamed.items():
            self.renamed.setdefault(given, []).extend(photos)

    def as_dict(self) -> dict[str, object]:
        """What JSON says of them."""
        return {
            "added": [photo.as_dict() for photo in self.added],
            "refused": [{"photo": file, "reason": reason} for file, reason in self.refused],
            "known": [{"photo": file, "whose": whose} for file, whose in self.known],
            "elsewhere": [
                {"photo": file, "given": given, "name": name} for file, given, name in self.elsewhere
            ],
            "renamed": [{"given": given, "name": photos[0].name} for given, photos in self.renamed.items()],
            "left_out": self.left_out,
        }


class Enroller:
    """Enrols photos into a store.

    Args:
        store: the store.
        variants: what is kept of each photo.
        cover: finds the covered pixels.
    """

    def __init__(self, store: AnyStore, variants: Variants, cover: Cover) -> None:
        self.store = store
        self.maker = Maker(variants, cover)

    def enrol(
        self, candidates: Sequence[Candidate], *, accept_poor: bool = False, keep_crops: bool = False
    ) -> EnrolReport:
        """Enrol some faces, or say why not; see `Maker.make`."""
        new, refused = self.maker.make(candidates, accept_poor=accept_poor, keep_crops=keep_crops)
        report = self.keep(new)
        report.refused.extend(refused)
        return report

    def keep(self, photos: Sequence[NewPhoto]) -> EnrolReport:
        """Write photos into the store, and say what became of each."""
        report = EnrolReport()
        if not photos:
            return report
        former = FormerNames(self.store.former())
        for photo, outcome in zip(photos, self.store.add(photos), strict=True):
            given = plain_name(photo.name)
            if isinstance(outcome, Twin):
                report.add_known(photo.source, given, outcome, former)
                continue
            report.added.append(outcome)
            if outcome.name != given:
                report.renamed.setdefault(given, []).append(outcome)
        return report


def enrol_folder(
    enroller: Enroller,
    task: Task,
    make: Make,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> EnrolReport:
    """Enrol what is new in a folder of photos per person.

    A photo that is enrolled already, whatever it is called, is not searched again. Photos are enrolled part by part: a call
    that was stopped goes on where it was.

    Args:
        enroller: enrols them.
        task: which folder, and how.
        make: searches the photos, see `made_here`.
        on_progress: told the photos done and the photos in all.

    Raises:
        PdsnError: the folder cannot be read, or the store not be written to.
    """
    listing = list_photos(task.folder)
    report = EnrolReport(refused=[(readable(file), reason) for file, reason in listing.others])
    hashes = {photo.file: sha256_or_nothing(task.folder / photo.file) for photo in listing.photos}
    known = enroller.store.known([digest for digest in hashes.values() if digest])
    former = FormerNames(enroller.store.former())
    wanted = []
    for photo in listing.photos:
        if hashes[photo.file] in known:
            twin = known[hashes[photo.file]]
            report.add_known(readable(photo.file), plain_name(photo.person), twin, former)
        else:
            wanted.append(photo)
    done, total = len(listing.photos) - len(wanted), len(listing.photos)
    told = on_progress or unheard
    told(done, total)
    for count, new, refused in make(task, wanted) if wanted else ():
        report.refused.extend(refused)
        report.extend(enroller.keep(new))
        done += count
        told(done, total)
    names = [*(photo.name for photo in report.added), *(twin.name for twin in known.values())]
    kept = {normal_name(name) for name in names}
    for name in sorted({plain_name(name) for name in listing.people}):
        both = (name, former.now(name) or name)
        if not any(normal_name(one) in kept or _is_known(enroller.store, one) for one in both):
            report.left_out.append(name)
    return report


def _is_known(store: AnyStore, name: str) -> bool:
    try:
        store.show(name)
    except UsageError:
        return False
    return True


def made_here(maker: Maker, detect: Detect, task: Task, photos: Sequence[PhotoFile]) -> Iterator[Made]:
    """Search photos, chunk by chunk in their order, several at a time, and make them ready; a `Make` in this process."""
    parts = [photos[first : first + CHUNK] for first in range(0, len(photos), CHUNK)]
    waiting: deque[Future[tuple[list[Candidate], Refused]]] = deque()
    counts = iter(map(len, parts))

    def finish() -> Made:
        candidates, refused = waiting.popleft().result()
        new, more = task.make(candidates, maker)
        return next(counts), new, [*refused, *more]

    with threads_for_chunks() as (pool, threads):
        # Both take about as long. Threads of networks that wait for a processor that searches burn two thirds of the time.
        before = torch.get_num_threads()
        torch.set_num_threads(max(threads // 2, 1))
        try:
            for part in parts:
                waiting.append(pool.submit(task.search, part, detect))
                if len(waiting) > 2 * threads:  # no more than that wait in memory to be enrolled
                    yield finish()
            while waiting:
                yield finish()
        finally:
            torch.set_num_threads(before)
