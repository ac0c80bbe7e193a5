"""Photos on disk: which there are in a folder per person."""

from __future__ import annotations

import os
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pdsn.data.reading import FORMATS, UNMARKED, open_photo
from pdsn.errors import PdsnError

EXTENSIONS = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "mpo", "jp2", "png", "apng", "gif", "webp", "avif", "bmp", "dib"),
        *("tif", "tiff", "ppm", "pgm", "pbm", "pnm", "tga", "heic", "heif"),
    )
)
"""Files that are photos by their name; HEIC takes an extra to be read, which the report must say."""
RAW_EXTENSIONS = frozenset(
    f".{name}" for name in ("dng", "cr2", "cr3", "crw", "nef", "arw", "orf", "rw2", "raf", "pef", "srw")
)
"""A camera's raw files: Pillow takes some for TIFF, and would read the thumbnail in them."""
NO_PHOTO = "not a photo by its name or content"
RAW = "a camera's raw file, convert it to JPEG"
SYSTEM_NAMES = frozenset(
    (
        # Synology, QNAP, NetApp
        *(
            "@eadir",
            "@tmp",
            "@sharebin",
            "@__thumb",
            "@recycle",
            "@recently-snapshot",
            "#recycle",
            "#snapshot",
        ),
        *("~snapshot", "lost+found", "lost.dir"),
        # Windows
        *("$recycle.bin", "recycler", "recycled", "system volume information", "thumbs.db", "ehthumbs.db"),
        *("ehthumbs_vista.db", "desktop.ini"),
        # macOS
        *("__macosx", "network trash folder", "temporary items", "icon\r"),
    )
)
"""Folders and files, in lower case, that file servers and systems put among the photos: nobody means them."""
SPLITS = frozenset(
    (
        *("train", "training", "trainset", "val", "valid", "validation", "valset", "dev", "test", "testing"),
        *("testset", "eval", "evaluation", "holdout", "gallery", "probe", "probes", "query"),
    )
)
"""Folders, in lower case, that are parts of a data set, if they hold folders of photos themselves."""


@dataclass(frozen=True)
class PhotoFile:
    """A photo as listed.

    Attributes:
        person: name of the sub-folder it lies in, at any depth, see `person_of`.
        file: path relative to the photo folder, with forward slashes.
        bytes: size of the file.
        changed: time of its last change in nanoseconds.
    """

    person: str
    file: str
    bytes: int
    changed: int


@dataclass(frozen=True)
class Listing:
    """What a folder per person holds.

    Attributes:
        photos: the photos, sorted by person and path: what is one by its name or its content.
        others: (path relative to the folder, reason), sorted: other files of people, and photos in nobody's folder.
        people: the names of all who have a folder, sorted, those without a photo too.
    """

    photos: list[PhotoFile]
    others: list[tuple[str, str]]
    people: list[str]


def person_of(name: str) -> str:
    """The person of a folder's name, in Unicode's composed form (NFC).

    A Mac may write "Zoë" as an e and a diaeresis, other systems as one letter: that is one name.
    """
    return unicodedata.normalize("NFC", name)


def normal_name(name: str) -> str:
    """The form in which names are compared: "Andre Agassi", "andre_agassi" and "Andre-Agassi" are one name.

    Case, the form of Unicode, and what stands between words count for nothing.
    """
    words = unicodedata.normalize("NFKC", name).casefold().replace("_", " ").replace("-", " ").split()
    return unicodedata.normalize("NFC", " ".join(words)) or name


def shows_mask(file: str) -> bool:
    """Whether a photo's folders say that it shows a masked face: one is called masked, masked_faces, with_mask or so.

    Args:
        file: path relative to the photo folder, with forward slashes.
    """
    for folder in file.split("/")[:-1]:
        words = ["", *re.findall(r"[a-z]+", folder.lower())]
        for before, word in pairwise(words):
            if word in ("masked", "withmask") and before not in ("un", "non", "not", "no"):
                return True
            if (before, word) == ("with", "mask"):
                return True
    return False


def made_by_system(name: str) -> bool:
    """Whether a file or folder is none of the user's: hidden, or among `SYSTEM_NAMES`, or a disk check's FOUND.000."""
    lower = name.lower()
    return lower.startswith(".") or lower in SYSTEM_NAMES or re.fullmatch(r"found\.\d{3}", lower) is not None


def why_no_photo(path: Path) -> str:
    """Why a file is not taken for a photo; empty if it is one by its name, or, where that says nothing, by its content."""
    ending = path.suffix.lower()
    if ending in EXTENSIONS:
        return ""
    if ending in RAW_EXTENSIONS:
        return RAW
    if not path.is_file():  # a pipe would keep us waiting, and a dangling link has nothing to say
        return NO_PHOTO
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            open_photo(path, [name for name in FORMATS if name not in UNMARKED]).close()
    except PermissionError:
        return "cannot be read: no permission"
    except Exception:  # Pillow's readers raise whatever a file that is none of theirs leads them to
        return NO_PHOTO
    return ""


def list_photos(folder: Path, option: str = "") -> Listing:
    """List the photos of a folder per person.

    Hidden files and folders and those of `SYSTEM_NAMES` are left out. Two folders of people, of masked and of unmasked
    photos (see `shows_mask`; RMFRD's layout), are one: whoever has the same name in both is one person. Folders within a
    person's folder count for that person; two folders that are one name, see `person_of`, are one person. Links are followed,
    each folder once.

    Args:
        folder: the folder.
        option: by which it was given, for messages.

    Raises:
        PdsnError: the folder is missing, is a file, cannot be listed, has no sub-folder with photos, or holds splits
            whose folders are the people.
    """
    called = f"{option} {folder}".lstrip()
    if not folder.exists():
        raise PdsnError(
            f"{called}: no such folder, give the folder that holds a sub-folder of photos per person"
        )
    if not folder.is_dir():
        raise PdsnError(f"{called} is a file, give the folder that holds a sub-folder of photos per person")
    try:
        entries = sorted(entry for entry in folder.iterdir() if not made_by_system(entry.name))
    except OSError as error:
        raise PdsnError(f"{called} cannot be listed ({error.strerror}): check its permissions") from error
    people = [entry for entry in entries if entry.is_dir()]
    loose = [entry for entry in entries if entry not in people and not why_no_photo(entry)]
    photos: list[PhotoFile] = []
    others = [(entry.name, "in no person's folder") for entry in loose]
    folders = _people(people)
    for person in folders:
        for path in _files_under(person):
            file, reason = path.relative_to(folder).as_posix(), why_no_photo(path)
            if reason:
                others.append((file, reason))
            else:
                photos.append(_photo_file(person_of(person.name), path, file))
    if not photos:
        found = (
            f"{len(loose)} photo{'s' * (len(loose) > 1)} but no sub-folder with photos"
            if loose
            else "no sub-folder with photos"
        )
        found = "nothing" if not entries else found
        raise PdsnError(
            f"{called} holds {found}: put the photos of each person in a folder with the person's name"
        )
    names = [person.name for person in folders]
    if all(name.lower() in SPLITS for name in names) and all(photo.file.count("/") > 1 for photo in photos):
        example = folder / photos[0].file.partition("/")[0]
        raise PdsnError(
            f"{called} holds splits ({', '.join(names)}), and each would count as one person: give one of them, such "
            f"as {example}, or a folder that has the folders of all people directly in it"
        )
    photos.sort(key=lambda photo: (photo.person, photo.file))
    return Listing(photos, sorted(others), sorted({person_of(name) for name in names}))


def _people(folders: Sequence[Path]) -> list[Path]:
    """The people's folders: those given, or where these are one of masked and one of unmasked photos, those in them."""
    kinds = [shows_mask(f"{folder.name}/") for folder in folders]
    if len(folders) != 2 or sorted(kinds) != [False, True]:
        return list(folders)
    entries = [entry for folder in folders for entry in folder.iterdir() if not made_by_system(entry.name)]
    people = sorted(entry for entry in entries if entry.is_dir())
    if {person.parent for person in people} != set(folders):
        return list(folders)
    if any(not entry.is_dir() and not why_no_photo(entry) for entry in entries):
        return list(folders)
    return people


def _files_under(person: Path) -> Iterator[Path]:
    """The files in a folder, at any depth, but for what systems put there."""
    seen = set()
    for where, folders, names in os.walk(person, followlinks=True):
        real = os.path.realpath(where)
        folders[:] = [] if real in seen else [name for name in folders if not made_by_system(name)]
        if real in seen:
            continue
        seen.add(real)
        yield from (Path(where, name) for name in names if not made_by_system(name))


def _photo_file(person: str, path: Path, file: str) -> PhotoFile:
    try:
        status = path.stat()
    except OSError:  # a dangling link: reading it will say why
        return PhotoFile(person, file, -1, 0)
    return PhotoFile(person, file, status.st_size, status.st_mtime_ns)
