"""Lists of pairs of photos: files that say which photos show one person and which show two, and the faces in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pdsn.data.chunks import make_chunk
from pdsn.data.faces import Detect
from pdsn.data.photos import PhotoFile, person_of
from pdsn.data.settings import PrepareConfig
from pdsn.errors import UsageError

CHUNK = 64
"""Photos that are read and searched together."""


@dataclass(frozen=True)
class PairList:
    """Pairs of photos.

    Attributes:
        files: F photos, relative to their folder, each once, in the order in which they are named.
        pairs: (N, 2) int64, the places of each pair's photos among them.
        same: (N,) bool, whether a pair shows one person.
        folds: (N,) int64, the fold of each pair; None where the list has none.
    """

    files: list[str]
    pairs: np.ndarray
    same: np.ndarray
    folds: np.ndarray | None

    def people(self) -> np.ndarray:
        """(F,) int64, whom each photo shows: by the folder it lies in; a photo in no folder counts as a person's only one."""
        names = [str(Path(file).parent) if len(Path(file).parts) > 1 else file for file in self.files]
        return np.unique([person_of(name) for name in names], return_inverse=True)[1].astype(np.int64)


def read_pairs(path: Path, photos: Path) -> PairList:
    """Read a list of pairs, in one of three forms.

    - `a.jpg b.jpg 1`: two photos, and 1 for one person or 0 for two (papers/004);
    - LFW's pairs.txt: a line with the number of folds and of pairs of either kind in a fold, then `name i j` for two
      photos of one person and `name i name j` for two people: name/name_0001.jpg;
    - the same without the first line, as MFR2 has it: no folds.

    Fields are separated by tabs, or by spaces where there is no tab.

    Args:
        path: the list.
        photos: the folder that the photos lie in.

    Raises:
        UsageError: the list cannot be read, a line has none of these forms, a photo is not there, or not both kinds of pairs occur.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--pairs {path} cannot be read: {getattr(error, 'strerror', None) or 'it is no UTF-8 text'}"
        ) from error
    rows = [(number, _fields(line)) for number, line in enumerate(lines, 1) if line.strip()]
    size = 0
    if rows and all(field.isdigit() for field in rows[0][1]) and len(rows[0][1]) <= 2:
        size = int(rows[0][1][1]) if len(rows[0][1]) == 2 else 0
        rows = rows[1:]
    places: dict[str, int] = {}
    pairs, same = [], []
    for number, fields in rows:
        first, second, alike = _pair(fields, photos, f"--pairs {path}, line {number}")
        pairs.append([places.setdefault(file, len(places)) for file in (first, second)])
        same.append(alike)
    if not any(same) or all(same):
        raise UsageError(
            f"--pairs {path} has no pairs of {'two people' if any(same) else 'one person'}: both kinds are needed"
        )
    folds = np.arange(len(pairs)) // (2 * size) if size else None
    return PairList(list(places), np.array(pairs), np.array(same), folds)


def _fields(line: str) -> list[str]:
    return [field.strip() for field in (line.split("\t") if "\t" in line else line.split())]


def _pair(fields: list[str], photos: Path, where: str) -> tuple[str, str, bool]:
    """The files of a line, and whether they show one person."""
    match fields:
        case [name, i, j] if i.isdigit() and j.isdigit():
            return _numbered(name, i, photos, where), _numbered(name, j, photos, where), True
        case [name, i, other, j] if i.isdigit() and j.isdigit():
            return _numbered(name, i, photos, where), _numbered(other, j, photos, where), False
        case [first, second, "0" | "1" as same]:
            for file in (first, second):
                if not (photos / file).is_file():
                    raise UsageError(
                        f"{where}: {photos / file} is no file; --photos says which folder the names begin in"
                    )
            return first, second, same == "1"
    raise UsageError(
        f"{where} is no pair: write `a.jpg b.jpg 1`, or as LFW does `name 1 2` or `name 1 other 2`"
    )


def _numbered(name: str, number: str, photos: Path, where: str) -> str:
    """The file of somebody's photo by its number, name/name_0001 with any ending."""
    stem = f"{name}_{int(number):04d}"
    found = (
        sorted(path.name for path in (photos / name).glob(f"{stem}.*")) if (photos / name).is_dir() else []
    )
    if not found:
        raise UsageError(
            f"{where}: {photos / name / stem}.* is not there; --photos says which folder the people's folders are in"
        )
    return f"{name}/{found[0]}"


def read_faces(
    photos: Path,
    files: Sequence[str],
    config: PrepareConfig,
    detect: Detect,
    on_photos: Callable[[int], None],
) -> tuple[Tensor, list[str]]:
    """The face of each photo, found and aligned as `pdsn prepare` does it.

    Args:
        photos: the folder.
        files: F photos in it.
        config: size, alignment, and which face of several.
        detect: the detector.
        on_photos: told of so many more that are done.

    Returns:
        (F, 3, H, W) uint8, zeros where there is no face, and the reason of each for that, "" where there is one.
    """
    faces = torch.zeros((len(files), 3, *config.size), dtype=torch.uint8)
    reasons: list[str] = []
    for first in range(0, len(files), CHUNK):
        part = [PhotoFile("", file, 0, 0) for file in files[first : first + CHUNK]]
        chunk = make_chunk(photos, part, config, detect)
        crops = iter(chunk.faces)
        for row, reason in enumerate(chunk.reasons, first):
            if not reason:
                faces[row] = torch.from_numpy(next(crops).copy()).permute(2, 0, 1)
            reasons.append(str(reason))
        on_photos(len(part))
    return faces, reasons
