"""Where pictures of answers go, and how one is written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from pdsn.errors import UsageError
from pdsn.files import check_writable
from stages.errors import complain
from stages.recognising import shown

NAME_BYTES = 255
"""Bytes that the name of a file can have."""


def picture_path(asked: Path | None, default: Path, name: str, photos: Sequence[Path]) -> Path:
    """Where the one picture of some photos goes.

    Args:
        asked: a file or a folder; None for `default`.
        default: the folder for pictures nobody asked for by name.
        name: of the file in a folder.
        photos: what it must not take the place of.

    Raises:
        UsageError: it cannot be written to the place that was asked for.
    """
    if asked is None:  # a run that cannot be written to answers all the same
        return default / name
    target = asked if _is_file_name(asked) else asked / name
    _check_picture(target, photos)
    return target


def picture_paths(photos: Sequence[Path], asked: Path | None, default: Path) -> dict[Path, Path]:
    """Where the annotated picture of each photo goes, never in the place of a photo that was given.

    Args:
        photos: the photos.
        asked: a file for one photo, or a folder; None for `default`.
        default: the folder for pictures nobody asked for by name.

    Raises:
        UsageError: one file was asked for several photos, or a photo itself.
    """
    if asked is not None and _is_file_name(asked):
        if len(photos) > 1:
            raise UsageError(f"--picture {asked} is one file for {len(photos)} photos: give a folder")
        _check_picture(asked, photos)
        return {photos[0]: asked}
    taken = {path.resolve() for path in photos}
    folder = default if asked is None else asked
    if asked is not None:  # a run that cannot be written to answers all the same
        check_writable("--picture", folder)
    targets = {}
    for path in photos:
        stem = short(path.stem, NAME_BYTES - len("-identified-12345678.png"))
        number, target = 2, folder / f"{stem}-identified.png"
        while target.resolve() in taken:
            target = folder / f"{stem}-identified-{number}.png"
            number += 1
        taken.add(target.resolve())
        targets[path] = target
    return targets


def _is_file_name(path: Path) -> bool:
    """Whether --picture means a file, not a folder."""
    return bool(path.suffix) and not path.is_dir()


def _check_picture(path: Path, photos: Sequence[Path]) -> None:
    """Raise UsageError unless a picture can be written there without harm to the photos."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"--picture {path}: pictures are written as PNG, give a name that ends in .png")
    check_writable("--picture", path)
    if path.resolve() in {photo.resolve() for photo in photos}:
        raise UsageError(f"--picture {path} is one of the photos: give another name")


def short(stem: str, most: int) -> str:
    """A part of a file name in at most `most` bytes; of a longer one the start, and a digest that tells it from others."""
    whole = os.fsencode(stem)
    if len(whole) <= most:
        return stem
    digest = f"-{hashlib.sha256(whole).hexdigest()[:8]}"
    while len(os.fsencode(stem)) > most - len(digest):
        stem = stem[:-1]
    return stem + digest


def draw(command: str, write: Callable[[Path], None], target: Path | None) -> Path | None:
    """Write a picture, if one is wanted; one that cannot be written is a line on standard error, and no more.

    Returns:
        Where it was written, or None.
    """
    if target is None:
        return None
    try:
        write(target)
    except OSError as error:
        complain(command, f"the picture {shown(target)} cannot be written: {error.strerror or error}")
        return None
    return target
