"""Stage `detector-train`: the detector's networks for covered faces, trained with painted photos."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pdsn.errors import UsageError
from stages.command import TRAINING, command
from stages.options import Force, Layer
from stages.session import Shared, resolve

if TYPE_CHECKING:
    from pdsn.detection.training import Advance


def main(shared: Shared, options: Layer, *, photos: Path, out: Path, force: bool) -> None:
    """Train the networks on `photos` into `out`, or say that they are there."""
    from pdsn.artefact import TrainingFolder
    from pdsn.data.photos import list_photos
    from pdsn.data.weights import PARTS, PLACING
    from pdsn.detection.training import WEIGHTS, find_subjects, fingerprint, train_detector
    from pdsn.files import check_writable
    from pdsn.progress import progress_bar
    from pdsn.runtime import start

    if photos.resolve() in (out.resolve(), *out.resolve().parents):
        raise UsageError(
            f"{out} lies among the photos, {photos}: choose another --out, outside of that folder"
        )
    settings = resolve(shared, {}, {}, options, preset_name="")
    listed = list_photos(photos).photos
    check_writable("--out", out)
    inputs = {"photos": fingerprint(listed), "seed": str(settings.seed)}
    folders = [
        TrainingFolder(out / part, settings.detector, inputs, f"pdsn detector-train {photos} --out {out}")
        for part in (*PARTS, PLACING)
    ]
    done = [folder.open(force=force) for folder in folders]
    if all(done) and (out / WEIGHTS).is_file():
        typer.echo(f"trained already: {out / WEIGHTS}")
        return
    accelerator = start(shared.device, "fp32")
    with ExitStack() as bars:

        def progress(title: str, total: int) -> Advance:
            bars.close()
            return bars.enter_context(progress_bar(title, total, "scenes"))

        advance = bars.enter_context(progress_bar("photos", len(listed), "photos"))
        subjects = find_subjects(photos, listed, str(accelerator.device), advance)
        bars.close()
        train_detector(subjects, folders, settings.detector, accelerator, settings.seed, progress, bars.close)
    typer.echo(f"detector: trained on {len(subjects)} photos -> {out / WEIGHTS}")


@command(
    "detector-train",
    TRAINING,
    ("config", "device", "seed", "debug"),
    settings={"detector": None},
    shared_help={"seed": "Seed of training and occlusions. Default 0."},
)
def detector_train(
    shared: Shared,
    options: Layer,
    photos: Annotated[Path, typer.Argument(metavar="PHOTOS", help="A folder per person, as in LFW.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="DIR", help="Where the networks go: a new folder, outside of the photos."
        ),
    ],
    force: Force = False,
) -> None:
    """Train MTCNN's last two networks on with painted photos, so that they find covered faces, and one that places their landmarks.

    Box and landmarks come from the clean photos. The networks go to DIR/detector.safetensors, for `prepare --detector`; those
    that come with pdsn were made this way.

    [bold]Examples[/bold]

    pdsn detector-train lfw --out detectors/lfw

    pdsn prepare team-photos --data data/team --detector detectors/lfw/detector.safetensors
    """
    main(shared, options, photos=photos, out=out, force=force)
