"""Photos on disk: which there are in a folder per person, and the pixels of one of any kind."""

from __future__ import annotations

import io
import os
import re
import threading
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from pdsn.errors import PdsnError

EXTENSIONS = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "mpo", "jp2", "png", "apng", "gif", "webp", "avif", "bmp", "dib"),
        *("tif", "tiff", "ppm", "pgm", "pbm", "pnm", "tga", "heic", "heif"),
    )
)
"""Files that are photos by their name; HEIC cannot be read, but the report must say so."""
RAW_EXTENSIONS = frozenset(
    f".{name}" for name in ("dng", "cr2", "cr3", "crw", "nef", "arw", "orf", "rw2", "raf", "pef", "srw")
)
"""A camera's raw files: Pillow takes some for TIFF, and would read the thumbnail in them."""
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "TGA", "JPEG2000", "AVIF")
"""What Pillow may take a file for. Never EPS: a file that claims to be a photo would start Ghostscript."""
UNMARKED = ("TGA",)
"""Of these, what has no mark at its beginning: other files pass for it, so a name must say it."""
NO_PHOTO = "not a photo by its name or content"
RAW = "a camera's raw file, convert it to JPEG"
SMALLEST_SIDE = 12
"""Pixels: the smallest face that the detector can be asked for."""
DEPTHS = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))
"""The largest values of grey that files of 16 bits hold."""
LONGEST_SIDE = 2048
"""Pixels: a larger photo is reduced to this when read; crops of at most 512 px need no more."""
MOST_PIXELS = 64_000_000
"""Decoded pixels of one photo: about 0.7 GB at the worst (RGBA on white)."""
LARGE = 16_000_000
"""Decoded pixels from which photos are read one at a time, so that workers do not add up their memory."""
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

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a photo of an EXIF orientation upright."""
_OPENING = threading.Lock()
_READING_LARGE = threading.Lock()


class UnreadablePhotoError(Exception):
    """A photo that cannot be used; the message is the reason in plain words."""


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


@dataclass(frozen=True)
class Photo:
    """A photo as read.

    Attributes:
        pixels: (H, W, 3) uint8, RGB, upright, the longer side at most `LONGEST_SIDE`.
        scale: (2,) pixels of the original (upright) photo per pixel, in x and y; 1 where nothing was reduced.
    """

    pixels: np.ndarray
    scale: np.ndarray


def person_of(name: str) -> str:
    """The person of a folder's name, in Unicode's composed form (NFC).

    A Mac may write "Zoë" as an e and a diaeresis, other systems as one letter: that is one name.
    """
    return unicodedata.normalize("NFC", name)


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
            _open(path, [name for name in FORMATS if name not in UNMARKED]).close()
    except PermissionError:
        return "cannot be read: no permission"
    except Exception:  # Pillow's readers raise whatever a file that is none of theirs leads them to
        return NO_PHOTO
    return ""


def list_photos(folder: Path) -> Listing:
    """List the photos of a folder per person.

    Hidden files and folders and those of `SYSTEM_NAMES` are left out. Two folders of people, of masked and of unmasked
    photos (see `shows_mask`; RMFRD's layout), are one: whoever has the same name in both is one person. Folders within a
    person's folder count for that person; two folders that are one name, see `person_of`, are one person. Links are followed,
    each folder once.

    Raises:
        PdsnError: the folder is missing, is a file, cannot be listed, has no sub-folder with photos, or holds splits
            whose folders are the people.
    """
    if not folder.exists():
        raise PdsnError(
            f"{folder}: no such folder, give the folder that holds a sub-folder of photos per person"
        )
    if not folder.is_dir():
        raise PdsnError(f"{folder} is a file, give the folder that holds a sub-folder of photos per person")
    try:
        entries = sorted(entry for entry in folder.iterdir() if not made_by_system(entry.name))
    except OSError as error:
        raise PdsnError(f"{folder} cannot be listed ({error.strerror}): check its permissions") from error
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
            f"{folder} holds {found}: put the photos of each person in a folder with the person's name"
        )
    names = [person.name for person in folders]
    if all(name.lower() in SPLITS for name in names) and all(photo.file.count("/") > 1 for photo in photos):
        example = folder / photos[0].file.partition("/")[0]
        raise PdsnError(
            f"{folder} holds splits ({', '.join(names)}), and each would count as one person: give one of them, such "
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


def read_photo(source: Path | bytes | Image.Image) -> Photo:
    """Read a photo of any kind: a file, what is in one, or an image that Pillow has opened.

    Colours of every kind become 8-bit RGB: transparency is laid on white, 16-bit grey is scaled by the fewest of 8, 10,
    12, 14 and 16 bits that its values fit in (many cameras write 12 bits into 16), grey in floating point is read as
    0 to 1, or as whole numbers are, whichever fits, or else stretched. Of 16-bit colour Pillow gives the upper 8 bits
    alone: 12-bit colour in such a file is nearly black, and must be converted first. The first picture of an animation
    is taken. The EXIF orientation is applied.

    An image has the pixels that its file has, but for a JPEG of more than `LONGEST_SIDE` pixels: of a file it is reduced while
    it is decoded, an image stays as its owner has it and is reduced afterwards, which rounds otherwise.

    Raises:
        UnreadablePhotoError: the photo cannot be used; the message says why.
    """
    try:
        if isinstance(source, Image.Image):
            return _read(source, source.size)
        if not (len(source) if isinstance(source, bytes) else source.stat().st_size):
            raise UnreadablePhotoError("empty file")
        with _open(source, FORMATS) as image:
            original = image.size
            _reduce_jpeg(image)
            return _read(image, original)
    except UnreadablePhotoError:
        raise
    except UnidentifiedImageError as error:
        heic = not isinstance(source, Image.Image) and _is_heic(source)
        reason = "HEIC, convert it to JPEG" if heic else "not an image"
        raise UnreadablePhotoError(reason) from error
    except PermissionError as error:
        raise UnreadablePhotoError("no permission") from error
    except FileNotFoundError as error:
        raise UnreadablePhotoError("no such file") from error
    except MemoryError as error:
        raise UnreadablePhotoError("too large for this machine's memory") from error
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        text = " ".join(str(error).split()) or type(error).__name__
        cut_off = any(word in text.lower() for word in ("truncated", "broken data stream", "unexpected end"))
        raise UnreadablePhotoError(f"truncated ({text})" if cut_off else f"damaged ({text})") from error


def _is_heic(source: Path | bytes) -> bool:
    """Whether a file that Pillow does not know begins as the photos of many phones do."""
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        start = file.read(12)
    return start[4:8] == b"ftyp" and start[8:] in (
        b"heic",
        b"heix",
        b"heim",
        b"heis",
        b"hevc",
        b"mif1",
        b"msf1",
    )


def _open(source: Path | bytes, kinds: Sequence[str]) -> Image.Image:
    # Pillow's own limit is one number for the whole process and would reject a photo before a JPEG can be
    # reduced while it is decoded: it is lifted for the look at the header, `_read` sets the limit that counts.
    with _OPENING:
        Image.init()
        formats = [name for name in kinds if name in Image.OPEN]  # AVIF came with Pillow 11.3
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _reduce_jpeg(image: Image.Image) -> None:
    """Have a large JPEG that is not decoded yet reduced by its decoder, which can halve it up to three times."""
    shrink = LONGEST_SIDE / max(image.size)
    # A progressive one it keeps in memory all the same.
    if image.format in ("JPEG", "MPO") and shrink < 1 and not image.info.get("progressive"):
        image.draft(None, (max(1, int(image.width * shrink)), max(1, int(image.height * shrink))))


def _read(image: Image.Image, original: tuple[int, int]) -> Photo:
    """The photo of an image whose file says that it is `original` (W, H) pixels large."""
    width, height = original
    if min(original) < SMALLEST_SIDE:
        raise UnreadablePhotoError(f"too small ({width}x{height} pixels)")
    pixels = image.width * image.height
    if pixels > MOST_PIXELS:
        raise UnreadablePhotoError(f"too large ({width}x{height} pixels)")
    if pixels > LARGE:
        with _READING_LARGE:
            return _decode(image, original)
    return _decode(image, original)


def _decode(image: Image.Image, original: tuple[int, int]) -> Photo:
    image.load()
    try:
        method = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # EXIF that cannot be parsed is no reason to lose the photo
        method = None
    rgb = _rgb(image)
    rgb = rgb if method is None else rgb.transpose(method)
    # TIFF and AVIF are turned upright while they load: only the shape tells that width and height changed places.
    turned = (rgb.width > rgb.height) != (original[0] > original[1])
    width, height = original[::-1] if turned else original
    shrink = LONGEST_SIDE / max(rgb.size)
    if shrink < 1:
        size = (max(1, round(rgb.width * shrink)), max(1, round(rgb.height * shrink)))
        rgb = rgb.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return Photo(np.asarray(rgb), np.array([width / rgb.width, height / rgb.height]))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    try:
        if not image.has_transparency_data:
            return image.convert("RGB")
        colours = image.convert("RGBA")
    except ValueError as error:
        raise UnreadablePhotoError(f"colours of an unknown kind ({image.mode})") from error
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), colours).convert("RGB")


def _eight_bits(image: Image.Image) -> np.ndarray:
    """Grey of 16 or 32 bits, whole or floating point, as (H, W) uint8."""
    values: np.ndarray = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 65535:
        values = (values - low) * (255 / (high - low))
    elif image.mode == "F" and high <= 1:
        values = values * 255
    else:
        values = values * (255 / next(top for top in DEPTHS if high <= top))
    return np.rint(values).astype(np.uint8)
