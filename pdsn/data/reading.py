"""The pixels of a photo of any kind."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "TGA", "JPEG2000", "AVIF", "HEIF")
"""What Pillow may take a file for. Never EPS: a file that claims to be a photo would start Ghostscript."""
UNMARKED = ("TGA",)
"""Of these, what has no mark at its beginning: other files pass for it, so a name must say it."""
SMALLEST_SIDE = 12
"""Pixels: the smallest face that the detector can be asked for."""
DEPTHS = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))
"""The largest values of grey that files of 16 bits hold."""
LONGEST_SIDE = 2048
"""Pixels: a larger photo is reduced to this when read; crops of at most 512 px need no more."""
MOST_PIXELS = 64_000_000
"""Decoded pixels of one photo: about 0.7 GB at the worst (RGBA on white). A JPEG that is not progressive may have more in its
file: its decoder reduces it."""
LARGE = 16_000_000
"""Decoded pixels from which photos are read one at a time, so that workers do not add up their memory."""
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
class Photo:
    """A photo as read.

    Attributes:
        pixels: (H, W, 3) uint8, RGB, upright, the longer side at most `LONGEST_SIDE`.
        scale: (2,) pixels of the original (upright) photo per pixel, in x and y; 1 where nothing was reduced.
    """

    pixels: np.ndarray
    scale: np.ndarray


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
        with open_photo(source, FORMATS) as image:
            original = image.size
            _reduce_jpeg(image)
            return _read(image, original)
    except UnreadablePhotoError:
        raise
    except UnidentifiedImageError as error:
        heic = not isinstance(source, Image.Image) and _is_heic(source)
        if not heic:
            raise UnreadablePhotoError("not an image") from error
        cure = 'pip install "pdsn[heic]", or convert it to JPEG'
        raise UnreadablePhotoError("damaged HEIC" if reads_heic() else f"HEIC: {cure}") from error
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


@cache
def reads_heic() -> bool:
    """Have Pillow read HEIC, which takes the extra `heic`; whether it can."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _is_heic(source: Path | bytes) -> bool:
    """Whether a file begins as the photos of many phones do."""
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


def open_photo(source: Path | bytes, kinds: Sequence[str]) -> Image.Image:
    """Open a photo without decoding it.

    Args:
        source: a file, or what is in one.
        kinds: what it may be, of `FORMATS`.

    Raises:
        Exception: whatever Pillow raises where it is none of them.
    """
    # Pillow's own limit is one number for the whole process and would reject a photo before a JPEG can be
    # reduced while it is decoded: it is lifted for the look at the header, `_read` sets the limit that counts.
    with _OPENING:
        Image.init()
        if "HEIF" in kinds and _is_heic(source):
            reads_heic()
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
        raise UnreadablePhotoError(
            f"too large ({width}x{height} pixels, at most {MOST_PIXELS / 1e6:g} million)"
        )
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
    # TIFF, AVIF and HEIC are turned upright while they load: only the shape tells that width and height changed places.
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
