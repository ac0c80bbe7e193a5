"""What `identify`, `verify` and `explain` have in common: their options, the checks before anything slow, the run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pdsn.errors import PdsnError, UsageError
from pdsn.run.directory import SYNTHETIC
from pdsn.run.stages import Step, lacking
from stages.errors import complain
from stages.making import make, refuse
from stages.session import Session

if TYPE_CHECKING:
    from pdsn.api import Run
    from pdsn.people.naming import Naming

NAMED = 10
"""Names up to which a line has all; of more it says how many."""
FEW = 3
"""Files that are no photos up to which each is a line; of more there is one line, and the JSON has all."""


@dataclass(frozen=True)
class Common:
    """What the three commands are asked alike.

    Attributes:
        strategy: None for the one that the run takes.
        source: where the covered pixels come from, one of `pdsn.api.SOURCES`; None for the default.
        fpr: share of strangers who may pass, 0 to 1; None for the command's default.
        strangers: folder of those whom thresholds come from; None for the run's.
        min_face: the least side of a face that is looked for, in pixels; None for the run's.
        picture: the file or folder for the picture; None for the run's folder.
        pictures: whether one is drawn.
        as_json: whether the answer is JSON, alone on standard output.
    """

    strategy: str | None
    source: str | None
    fpr: float | None
    strangers: Path | None
    min_face: int | None
    picture: Path | None
    pictures: bool
    as_json: bool

    @classmethod
    def asked(
        cls,
        options: Mapping[str, Mapping[str, Any]],
        strategy: str | None,
        source: str | None,
        *,
        fpr: float | None = None,
        strangers: Path | None = None,
        picture: Path | None = None,
        pictures: bool = False,
        as_json: bool = False,
    ) -> Common:
        """What was typed; the least side of a face is among the settings."""
        min_face = options.get("prepare", {}).get("min_face")
        return cls(strategy, source, fpr, strangers, min_face, picture, pictures, as_json)


def begin(session: Session, common: Common) -> list[Step]:
    """What each of the commands does first: make room for JSON on standard output, and check its options.

    Returns:
        What the run lacks, see `check_parts`, for `open_run`.

    Raises:
        PdsnError: see `check_parts`.
        UsageError: a picture has a place, but is not to be drawn.
    """
    if common.as_json:
        session.console = Console(stderr=True)
    if common.strangers is not None:
        from pdsn.people.gallery import check_gallery

        check_gallery(common.strangers, "--strangers")
    steps = check_parts(session, common.strategy, common.source)
    if common.picture is not None and not common.pictures:
        raise UsageError(f"--picture {common.picture} and --no-draw exclude each other: leave one out")
    return steps


def check_parts(session: Session, strategy: str | None, source: str | None) -> list[Step]:
    """What the run lacks for recognition, see `lacking`; opens no network.

    Raises:
        PdsnError: a name is unknown, there is no run, or what is missing is not to be made.
    """
    from pdsn.api import SOURCES
    from pdsn.errors import one_of
    from pdsn.masks.strategy import NO_FDM
    from pdsn.run.strategies import choose_strategy

    if source is not None:
        one_of("--occlusion-source", source, SOURCES)
    session.run.check_made()
    chosen = choose_strategy(
        session.run, session.shortest(strategy), session.settings.dictionary, missing=True
    )
    plain = chosen == NO_FDM
    covered = (source or ("none" if plain else SOURCES[0])) == SOURCES[0]
    steps = lacking(session, matchers=[chosen], segmenter=covered)
    refuse(session, steps)
    return steps


def check_rate_asked(session: Session, common: Common, fpr: float | None, *, pairs: bool = False) -> None:
    """Raise UsageError where a false-positive rate is out of range, or finer than the run's strangers can tell.

    Nothing is embedded: who they are is known from the data set. Of a gallery that leaves some of them out fewer
    count, and the rate is checked again, as it is of other strangers once they are read.
    """
    import numpy as np

    from pdsn.calibration.strangers import MOST_STRANGERS, OWN, check_rate
    from pdsn.data.dataset import evenly

    if fpr is None or common.strangers is not None:
        return
    dataset = session.stored_dataset()
    rows = evenly(dataset.rows("val", session.settings.split), MOST_STRANGERS)
    count, what = len(rows), f"photos of strangers ({OWN})"
    if pairs:
        same = int((np.bincount(dataset.labels[rows]) ** 2).sum()) if count else 0
        count, what = (count * count - same) // 2, f"pairs of photos of different people ({OWN})"
    if count:  # a run without any says so itself
        check_rate(fpr, count, what)


def told_rate(command: str, run: Run, fpr: float) -> float:
    """The false-positive rate where none is asked for; one that is coarser than usual is told.

    Args:
        command: whose line it is.
        run: whose strangers.
        fpr: what these can tell, at least the usual rate.
    """
    from pdsn.calibration.strangers import DEFAULT_FPR

    if fpr > DEFAULT_FPR:
        line = f"--fpr is {fpr:g}: there are too few photos of strangers ({run.strangers}) for {DEFAULT_FPR}"
        complain(command, line)
    return fpr


def open_run(session: Session, common: Common, steps: Sequence[Step]) -> Run:
    """The run of a session as `pdsn.api` has it, once what it lacks is made."""
    make(session, steps)
    from pdsn.api import Run

    run = Run(session, common.strategy, common.source, common.min_face)
    if session.data == SYNTHETIC:
        note = (
            f"note: {session.run.root} was trained on drawn people and tells real ones apart badly; see --run"
        )
        print(note, file=sys.stderr)
    if common.strangers is not None:
        from pdsn.progress import progress_if_any

        with progress_if_any("strangers", "photos") as report:
            run.take_strangers(common.strangers, on_progress=report)
    return run


def see_strangers(get_ready: Callable[..., None]) -> None:
    """Look at the strangers from whom thresholds follow, with a bar, where nobody has yet: it takes minutes.

    Args:
        get_ready: `Run.get_ready` or its like.
    """
    from pdsn.progress import progress_if_any

    with progress_if_any("strangers, seen once", "photos") as report:
        get_ready(on_progress=report)


def about_run(session: Session, run: Run, fpr: float | None) -> dict[str, Any]:
    """What the JSON of each command says of how the answers came about."""
    return {
        "format": 1,
        "run": shown(session.run.root),
        "strategy": run.strategy,
        "occlusion_source": run.occlusion_source,
        "fpr": fpr,
        "strangers": run.strangers,
    }


def expand(photos: Sequence[Path]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The photos given, each once; a folder stands for the photos in it, sorted, not those in its sub-folders.

    Returns:
        The photos, and (file, reason) of what else lies in the folders, but for what systems put there.

    Raises:
        PdsnError: a folder holds no photo.
    """
    from pdsn.data.photos import made_by_system, why_no_photo

    found: list[Path] = []
    others: dict[Path, str] = {}
    for path in photos:
        folder = False
        with suppress(OSError):  # such as a name that no file can have: said with the other photos
            folder = path.is_dir()
        if not folder:
            found.append(path)
            continue
        files = sorted(
            entry for entry in path.iterdir() if entry.is_file() and not made_by_system(entry.name)
        )
        reasons = {file: why_no_photo(file) for file in files}
        inside = [file for file in files if not reasons[file]]
        if not inside:
            raise PdsnError(
                f"{shown(path)} is a folder without a photo: give photos, or a folder that holds some"
            )
        found += inside
        others |= {file: reason for file, reason in reasons.items() if reason}
    return list(dict.fromkeys(found)), list(others.items())


def complain_files(command: str, files: Sequence[tuple[str, str]], where: str = "") -> None:
    """A line for each (file, reason) that is left out; many files that are no photos share one.

    Args:
        command: whose line it is.
        files: the files.
        where: what stands before each.
    """
    from pdsn.data.photos import NO_PHOTO

    same = [file for file, reason in files if reason == NO_PHOTO]
    if len(same) > FEW:
        complain(command, f"{where}{len(same)} files are left out, such as {same[0]}: {NO_PHOTO}")
        files = [(file, reason) for file, reason in files if reason != NO_PHOTO]
    for file, reason in files:
        complain(command, f"{where}{file} is left out: {reason}")


def few_of(names: Iterable[str]) -> str:
    """The first of some names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more


def complain_two_names(command: str, run: Run, same: Sequence[tuple[str, str]], people: str | None) -> None:
    """A line for each of the first who seem to be among the strangers under one name and among the enrolled under another.

    Args:
        command: whose line it is.
        run: whose strangers.
        same: (name among the strangers, name among the enrolled).
        people: the store of the enrolled; None for a gallery.
    """
    from pdsn.store.names import how_to_rename

    where = "gallery: " if people is None else ""
    for theirs, ours in same[:FEW]:
        cure = f"rename the folder to {theirs}" if people is None else how_to_rename(people, ours, theirs)
        complain(
            command,
            f"{where}{ours} looks like {theirs} of {run.strangers} under another name, and raises the thresholds: "
            f"{cure} if they are one person",
        )
    if len(same) > FEW:
        more = few_of(f"{ours} ({theirs})" for theirs, ours in same[FEW:])
        complain(
            command, f"{where}and {len(same) - FEW} more that look like people of {run.strangers}: {more}"
        )


def complain_mistaken(command: str, run: Run, known: Naming, fpr: float) -> None:
    """A line where thresholds do not fit the photos of the enrolled: too many of these pass for somebody else.

    Args:
        command: whose line it is.
        run: whose strangers.
        known: who is enrolled.
        fpr: the share of strangers that was asked for.
    """
    found = known.mistaken(fpr)
    if found is None or not found.too_many:
        return
    complain(
        command,
        f"at a rate of {fpr:g} {found.passing} of {found.photos} enrolled photos pass for somebody else: strangers on such photos look "
        f"more alike than those of {run.strangers}, and more of them will be named. Give --strangers DIR, photos of people from the "
        "same place, a folder per person; those who are enrolled will do, with many photos",
    )


def shown(path: Path) -> str:
    """A path that can be printed whatever bytes it has on disk."""
    from pdsn.people.gallery import readable

    return readable(str(path))
