"""The data set that lies in a folder already: whether it is the one that `pdsn prepare` is asked for."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from shlex import quote

from pdsn.artefact import completed
from pdsn.data.dataset import FaceDataset
from pdsn.data.listing import NAME as PHOTOS
from pdsn.data.listing import as_csv, compare, read_listing, with_times
from pdsn.data.photos import EXTENSIONS, PhotoFile
from pdsn.data.settings import PrepareConfig
from pdsn.data.shards import as_options
from pdsn.errors import UsageError
from pdsn.files import write_text


def open_made(
    photos: Path, root: Path, listed: Sequence[PhotoFile], config: PrepareConfig, elsewhere: str
) -> tuple[FaceDataset, list[tuple[str, str]]]:
    """The data set that lies in `root`, if it is the one asked for."""
    advice = f"choose another {elsewhere}, or replace it with --force"
    dataset = FaceDataset.load(root, f"delete {quote(str(root))}, and give the same command again")
    wanted = json.loads(json.dumps(asdict(config)))
    then = completed(dataset.settings, wanted, config.BEFORE)
    other = [name for name in wanted if then.get(name) != wanted[name]]
    if other:
        raise UsageError(f"{root} holds another data set, made with {as_options(other, then)}: {advice}")
    known = read_listing(root)
    if known is None:
        if not _is_old(dataset, listed, config):
            raise UsageError(
                f"{root} was made from other photos, {dataset.settings.get('photos')}, by an older pdsn, which kept no list "
                f"of them to tell the difference: {advice}"
            )
    else:
        changes = compare(photos, known, listed)
        if str(changes):
            raise UsageError(f"{root} was made from other photos; since then {changes}: {advice}")
        if changes.touched:
            with suppress(OSError):  # a data set that cannot be written to can be used all the same
                write_text(root / PHOTOS, as_csv(with_times(known, listed)))
    if dataset.settings.get("photos") != str(photos.resolve()):
        with suppress(OSError):
            dataset.remember("photos", str(photos.resolve()))
    with (root / "skipped.csv").open(newline="", encoding="utf-8") as stream:
        return dataset, [(row["file"], row["reason"]) for row in csv.DictReader(stream)]


def _is_old(dataset: FaceDataset, listed: Sequence[PhotoFile], config: PrepareConfig) -> bool:
    """Whether a data set without a list of its photos was made from these, by the fingerprint that it has instead."""
    named = [photo for photo in listed if Path(photo.file).suffix.lower() in EXTENSIONS]
    named.sort(key=lambda photo: (photo.file.partition("/")[0], photo.file))
    method = str(dataset.settings.get("method"))
    return dataset.settings.get("request") == fingerprint(asked(config), named, method)


def asked(config: PrepareConfig) -> dict[str, object]:
    """The settings as they are written down; later ones only where they are not as before there were any.

    So the fingerprint of a data set stays what it was when a later version asks for the same.
    """
    return {
        name: value
        for name, value in asdict(config).items()
        if name not in config.BEFORE or value != config.BEFORE[name]
    }


def fingerprint(settings: dict[str, object], photos: Sequence[PhotoFile], method: str) -> str:
    """SHA-256 of settings, photos as listed, and how faces are found."""
    listing = [(photo.file, photo.bytes, photo.changed) for photo in photos]
    return hashlib.sha256(json.dumps([method, settings, listing]).encode()).hexdigest()
