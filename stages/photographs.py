"""What `eval --gallery DIR --probes DIR` asks about: photographs as they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdsn.errors import UsageError
from pdsn.evaluation.settings import EvalConfig
from stages.options import option_of

if TYPE_CHECKING:
    from pdsn.calibration.strangers import Strangers
    from pdsn.evaluation.photographs import Listed, Photographs
    from stages.session import Session

PAINTED = {
    "occlusions": "says what is painted on the run's test photos",
    "split": "chooses among the run's photos",
    "align": "says when the run's photos are painted",
    "draws": "says how often the run's photos are painted",
    "enrol": "chooses among the run's photos",
}
"""Settings of a table that mean nothing to photographs, and why."""


def listed(
    session: Session, gallery: Path | None, probes: Sequence[Path], strangers: Path | None
) -> Listed | None:
    """The photos of --gallery and --probes, None where neither was given; thresholds follow from those of --strangers.

    Raises:
        UsageError: one of the two is missing, or goes with an option that was given.
        PdsnError: see `Listed.of`.
    """
    if gallery is None and not probes:
        if strangers is not None:
            raise UsageError("--strangers DIR is for photographs: give --gallery DIR and --probes DIR, too")
        return None
    if gallery is None or not probes:
        raise UsageError("--gallery DIR and --probes DIR go together: give both, or none")
    for name in session.asked.get("eval", {}):
        if name in PAINTED:
            raise UsageError(f"{option_of(f'eval.{name}')} {PAINTED[name]}: leave it out with --gallery")
    if session.settings.eval.source != "segmenter":
        raise UsageError("--occlusion-source oracle knows what was painted; with --gallery take segmenter")
    from pdsn.evaluation.photographs import Listed

    if strangers is not None:
        from pdsn.people.gallery import check_gallery

        check_gallery(strangers, "--strangers")
    return Listed.of(gallery, probes, strangers)


def of_photographs(asked: EvalConfig) -> EvalConfig:
    """The settings of the table without those that mean nothing here."""
    from dataclasses import replace

    return replace(asked, align="clean", draws=1)


def read(session: Session, photos: Listed) -> Photographs:
    """Read the photos and find their faces, with a progress bar."""
    from pdsn.evaluation.photographs import read_photographs
    from pdsn.progress import progress_bar

    crop, detect = session.finding_faces()
    with progress_bar("eval", photos.count, "photos") as advance:
        return read_photographs(photos, crop, detect, lambda count: advance(count))


def strangers_of(session: Session, photos: Listed | None) -> Strangers:
    """Whom the thresholds follow from: the run's, or those of a folder, with a progress bar."""
    from pdsn.calibration.strangers import Strangers

    if photos is None or photos.strangers is None:
        return Strangers.of(session.dataset, session.settings.split)
    from pdsn.people.gallery import read_strangers
    from pdsn.progress import progress_if_any

    crop, detect = session.finding_faces()
    with progress_if_any("strangers", "photos") as report:
        return read_strangers(photos.strangers, crop, detect, on_progress=report)


def described(found: Photographs) -> dict[str, Any]:
    """What table.json says of them."""
    rows = found.enrolment.by_row
    return {
        "people": len(found.dataset.people),
        "enrolled": len(found.enrolment.gallery),
        "probes": {name: len(own) for name, own in rows.items()},
        "without_face": [list(one) for one in found.without_face],
        "twins": list(found.twins),
    }


def show(session: Session, table: dict[str, Any]) -> None:
    """Lines about the photos below the table."""
    photos = table["photographs"]
    counts = ", ".join(f"{name} {count}" for name, count in photos["probes"].items())
    session.say(f"{photos['enrolled']} photos of {photos['people']} people enrolled; probes: {counts}")
    if "strangers" in table["config"]:
        session.say(f"thresholds follow from the people of --strangers, {table['config']['strangers']}")
    lost = photos["without_face"]
    if lost:
        shown = ", ".join(file for file, _ in lost[:3])
        session.say(
            f"{len(lost)} photos without a face ({shown}{' …' * (len(lost) > 3)}): probes among them count as errors"
        )
    if photos["twins"]:
        session.say(
            f"left out: {len(photos['twins'])} probes that are copies of a gallery photo, such as {photos['twins'][0]}"
        )
    others = table["left_out"] - len(photos["twins"])
    if others:
        session.say(f"left out: {others} photos of people who are not enrolled")
