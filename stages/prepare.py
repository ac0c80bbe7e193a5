"""Stage `prepare`: photos to a prepared data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pdsn.config.layers import load_preset, presets
from pdsn.data.settings import PrepareConfig
from pdsn.errors import UsageError
from pdsn.files import check_writable
from pdsn.run.directory import SYNTHETIC
from stages.command import DATA, command
from stages.options import Force, Json, Layer, whole_paths
from stages.session import Shared, resolve
from stages.tables import print_json, print_table

if TYPE_CHECKING:
    from accelerate import Accelerator

    from pdsn.data.prepare import PrepareReport
    from pdsn.data.shards import Shard

PRESET = "lfw10"
"""The preset whose settings hold unless another is asked for."""
SHOWN = 10
"""Names of people without a photo that are printed; `skipped.csv` has all."""


def main(
    shared: Shared,
    options: Layer,
    *,
    photos: Path | None,
    lfw: bool,
    force: bool,
    shard: str | None = None,
    merge: bool = False,
    as_json: bool = False,
) -> None:
    """Prepare a folder of photos, or LFW, or a shard of it, into `--data`; no run directory is touched."""
    from pdsn.data import shards
    from pdsn.runtime import start

    if shard is not None and merge:
        raise UsageError("--shard makes a share, --merge joins all: leave one out")
    share = None if shard is None else shards.Shard.parse(shard)
    if lfw == (photos is not None):
        raise UsageError("give either a folder of photos or --lfw")
    if shared.data is None:
        raise UsageError("say where the data set goes: --data DIR")
    if shared.data == SYNTHETIC:
        raise UsageError("--data synthetic needs no photos: `pdsn run` draws the embedded people itself")
    preset = shared.preset or PRESET
    settings = resolve(shared, load_preset(preset), {}, options, preset_name=preset)
    config = for_architecture(settings.prepare, settings.pretrained.architecture)
    check_writable("--data", Path(shared.data))
    accelerator = start(shared.device, shared.precision)
    console = Console(stderr=as_json)
    if photos is None:
        from pdsn.data.lfw import fetch_lfw

        photos = fetch_lfw(None)
        console.print(
            f"LFW as scikit-learn has it, funneled: {photos}; figures differ from the deep-funneled copy's"
        )
    if share is not None:
        done = prepare_share(
            photos, Path(shared.data), config, accelerator, share, force=force, console=console
        )
        if as_json and accelerator.is_main_process:
            print_json({"format": 1, "data": shared.data, "shard": str(share), "photos": done})
        return
    made = prepare(photos, Path(shared.data), config, accelerator, force=force, merge=merge, console=console)
    if as_json and accelerator.is_main_process:
        print_json(about(made))


def about(made: PrepareReport) -> dict[str, Any]:
    """What was prepared, for `--json`.

    Returns:
        "format" (1), "data" (the folder), "photos" (files looked at), "faces" and "people" (kept), "size" (height,
        width), "split" (photos of train, val and test), "reused" (whether it was there already), "skipped" (a list of
        "photo" and "reason"), "people_dropped" (those with too few photos) and "people_without" (names of those without any).
    """
    from pdsn.data.splits import SPLITS

    data = made.dataset
    return {
        "format": 1,
        "data": str(data.root),
        "photos": made.photos,
        "faces": len(data.files),
        "people": made.people_kept,
        "size": list(data.size),
        "split": {name: int((data.split == name).sum()) for name in SPLITS},
        "reused": made.reused,
        "skipped": [{"photo": file, "reason": reason} for file, reason in made.skipped],
        "people_dropped": made.people_dropped,
        "people_without": list(made.people_without),
    }


def for_architecture(config: PrepareConfig, arch: str) -> PrepareConfig:
    """The settings with size, alignment and template of a pretrained recogniser; as they are without one."""
    if not arch:
        return config
    from pdsn.bases.imported import prepare_settings
    from pdsn.networks.imported.table import find_architecture

    return replace(config, **prepare_settings(find_architecture(arch)))


def prepare(
    photos: Path,
    root: Path,
    config: PrepareConfig,
    accelerator: Accelerator,
    *,
    force: bool,
    replace_other: bool = False,
    elsewhere: str = "--data",
    merge: bool = False,
    console: Console | None = None,
) -> PrepareReport:
    """Prepare `photos` into `root`; say what was kept, what was not, and why.

    `replace_other` replaces a data set of other photos or settings, and keeps one of these. `elsewhere` is the option that
    would put the data set into another folder. `merge` joins shards.
    """
    from pdsn.data.prepare import prepare_photos
    from pdsn.progress import counted, progress_bar

    main_process = accelerator.is_main_process
    with (
        accelerator.main_process_first(),
        progress_bar("prepare", 0, "photos", quiet=not main_process) as advance,
    ):
        made = prepare_photos(
            photos,
            root,
            config,
            device=str(accelerator.device),
            on_progress=counted(advance),
            force=force and main_process,
            replace_other=replace_other and main_process,
            elsewhere=elsewhere,
            merge=merge,
        )
    if not main_process:
        return made
    _say(console or Console(), made, config)
    return made


def _say(console: Console, made: PrepareReport, config: PrepareConfig) -> None:
    """What was kept, what was not, and why."""
    from pdsn.data.splits import SPLITS

    say = partial(console.print, highlight=False, soft_wrap=True)
    data = made.dataset
    height, width = data.size
    rate = "" if made.reused else f", {made.photos / made.seconds:.0f} photos/s"
    was = "is there already" if made.reused else f"prepared in {made.seconds:.0f} s{rate}"
    say(f"{data.root}: {len(data.files)} faces of {made.people_kept} people, {height}x{width}, {was}")
    if made.outdated:
        say(
            "note: it was prepared by another version of pdsn, which may have found other faces: --force prepares it anew"
        )
    if made.several:
        taken = "the one nearest the centre" if config.face == "centre" else "the largest"
        say(f"photos that show several faces: {made.several}; {taken} was taken (--face {config.face})")
    if made.turned:
        say(f"photos that lay on their side or upside down, and were turned: {made.turned}")
    splits = Counter(data.split.tolist())
    say("split per photo: " + ", ".join(f"{splits[name]} {name}" for name in SPLITS))
    if len(made.skipped) > len(made.people_without):
        _show_left_out(console, made.skipped)
        left_out = made.photos - len(data.files)
        say(f"{left_out} of {made.photos} files left out, each listed in {data.root / 'skipped.csv'}")
        from pdsn.data.reading import reads_heic

        if made.reused and any("HEIC: " in reason for _, reason in made.skipped) and reads_heic():
            say("note: HEIC can be read now: --force prepares it anew")
    if made.people_dropped:
        say(f"{made.people_dropped} people left out for having fewer than {config.min_photos} usable photos")
    if made.people_without:
        names, more = made.people_without[:SHOWN], len(made.people_without) - SHOWN
        further = f" and {more} more" if more > 0 else ""
        say(f"people without any photo: {', '.join(names)}{further}", markup=False)


def _show_left_out(console: Console, skipped: Sequence[tuple[str, str]]) -> None:
    """How many files were left out for each reason, the most frequent first."""
    kinds: dict[str, list[str]] = {}
    for file, reason in skipped:
        if not file.endswith("/"):  # a person's folder without a photo: those are named by themselves
            kinds.setdefault(_kind(reason), []).append(file)
    common = sorted(kinds.items(), key=lambda item: -len(item[1]))
    rows = [(kind, str(len(names)), names[0]) for kind, names in common]
    print_table(console, ("reason", "left out", "for example"), rows, text=["for example"])


def prepare_share(
    photos: Path,
    root: Path,
    config: PrepareConfig,
    accelerator: Accelerator,
    shard: Shard,
    *,
    force: bool,
    console: Console,
) -> int | None:
    """Make a shard of a data set; its photos, None if the data set is there already."""
    from pdsn.data.prepare import prepare_shard
    from pdsn.progress import counted, progress_bar

    if not accelerator.is_main_process:
        return None
    with progress_bar("prepare", 0, "photos") as advance:
        done = prepare_shard(
            photos,
            root,
            config,
            shard,
            device=str(accelerator.device),
            force=force,
            on_progress=counted(advance),
        )
    said = (
        "the whole data set is there already"
        if done is None
        else f"shard {shard} is made, {done} photos; when all are, --merge joins them"
    )
    console.print(f"{root}: {said}", highlight=False, soft_wrap=True, markup=False)
    return done


def _kind(reason: str) -> str:
    """A reason without what is particular to the photo, for counting."""
    if "usable photo" in reason:
        return "too few usable photos of the person"
    return "duplicate" if reason.startswith("duplicate") else reason.partition(" (")[0]


@command(
    "prepare",
    DATA,
    ("data", "preset", "config", "device", "debug"),
    settings={
        "prepare": ("size", "align", "face", "min_photos", "frontal", "min_face", "detector", "split_seed")
    },
    shared_help={
        "data": "Where the data set goes: a new folder, outside of the photos.",
        "preset": f"Whose settings hold: {', '.join(presets())}. Default lfw10.",
    },
)
def prepare_photos(
    shared: Shared,
    options: Layer,
    photos: Annotated[
        Path | None, typer.Argument(metavar="[PHOTOS]", help="A folder per person, as in LFW.")
    ] = None,
    arch: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="ARCH",
            help="Size, alignment and template of a pretrained recogniser, see base-import.",
        ),
    ] = None,
    lfw: Annotated[
        bool, typer.Option("--lfw", help="Download LFW (funneled) with scikit-learn and prepare it.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="K/N",
            help="Make one share of the work, such as 3/8; several machines that see both folders make one each.",
        ),
    ] = None,
    merge: Annotated[
        bool,
        typer.Option("--merge", help="Join the shards, once all are made: the same data set, byte for byte."),
    ] = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Find, align and store the faces of a folder of photos in --data; no run directory is touched.

    [bold]Examples[/bold]

    pdsn prepare lfw --data data/lfw

    pdsn prepare team-photos --data data/team --min-photos 4 --face largest

    pdsn prepare lfw --data data/lfw112 --for mobilefacenet

    pdsn prepare lfw --data data/lfw --shard 3/8
    """
    asked = options.get("prepare", {})
    if arch is not None and ("size" in asked or "align" in asked):
        raise UsageError("--for sets size and alignment: leave out --size and --align")
    if arch is not None:
        options = whole_paths({**options, "pretrained": {"arch": arch}})
    main(shared, options, photos=photos, lfw=lfw, force=force, shard=shard, merge=merge, as_json=json)
