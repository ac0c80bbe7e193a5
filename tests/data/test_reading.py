from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from pdsn.data import reading
from pdsn.data.reading import UnreadablePhotoError, read_photo


def scene(height: int = 40, width: int = 60) -> np.ndarray:
    """A smooth photo (H, W, 3) without any symmetry."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height)], axis=2).astype(
        np.uint8
    )


def grey(height: int = 40, width: int = 60) -> np.ndarray:
    return scene(height, width)[..., 2]


def save(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def distance(path: Path, expected: np.ndarray) -> float:
    """Mean absolute difference of the photo as read and (H, W) or (H, W, 3) values from 0 to 255.

    The file's content, and Pillow's image of it, must give the same photo as the file.
    """
    pixels = read_photo(path).pixels
    with Image.open(path) as image:
        for same in (path.read_bytes(), image):
            photo = read_photo(same)
            assert np.array_equal(photo.pixels, pixels) and np.array_equal(
                photo.scale, read_photo(path).scale
            )
    if expected.ndim == 2:
        expected = np.repeat(expected[..., None], 3, axis=2)
    assert pixels.shape == expected.shape and pixels.dtype == np.uint8
    return float(np.abs(pixels.astype(float) - expected).mean())


@pytest.mark.parametrize(
    ("mode", "name", "tolerance"),
    [
        ("RGB", "a.png", 0),
        ("RGB", "a.jpg", 3),
        ("RGB", "a.webp", 4),
        ("RGB", "a.bmp", 0),
        ("RGB", "a.tif", 0),
        ("RGB", "a.ppm", 0),
        ("RGB", "a.tga", 0),
        ("RGBA", "a.png", 0),
        ("P", "a.png", 12),
        ("P", "a.gif", 12),
        ("CMYK", "a.jpg", 3),
        ("CMYK", "a.tif", 1),
        ("YCbCr", "a.jpg", 3),
        ("YCbCr", "a.tif", 2),
    ],
)
def test_colours_of_every_kind_give_the_same_picture(
    tmp_path: Path, mode: str, name: str, tolerance: float
) -> None:
    image = Image.fromarray(scene())
    image = image.quantize() if mode == "P" else image.convert(mode)
    path = save(image, tmp_path / name)
    # Every Pillow reads YCbCr from a JPEG as RGB, those before 13 from a TIFF as well.
    as_rgb = {"a.jpg": {"RGB"}, "a.tif": {"RGB", mode}}
    assert Image.open(path).mode in (as_rgb[name] if mode == "YCbCr" else {mode})
    assert distance(path, scene()) <= tolerance


@pytest.mark.parametrize(
    "kind", ["L", "LA", "16-bit", "16-bit tiff", "16-bit big-endian", "16-bit ppm", "I", "F"]
)
def test_grey_of_every_depth_gives_the_same_picture(tmp_path: Path, kind: str) -> None:
    values = grey()
    wide = values.astype(np.uint16) * 257
    path = tmp_path / "a.tif"
    if kind in ("L", "LA"):
        path = save(Image.fromarray(values).convert(kind), tmp_path / "a.png")
    elif kind == "16-bit":
        path = save(Image.fromarray(wide), tmp_path / "a.png")
    elif kind == "16-bit tiff":
        save(Image.fromarray(wide), path)
    elif kind == "16-bit big-endian":
        height, width = wide.shape
        save(Image.frombytes("I;16B", (width, height), wide.astype(">u2").tobytes()), path)
    elif kind == "16-bit ppm":
        path = tmp_path / "a.pgm"
        path.write_bytes(b"P5 60 40 65535\n" + wide.astype(">u2").tobytes())
    elif kind == "I":
        save(Image.fromarray(wide.astype(np.int32)), path)
    else:
        save(Image.fromarray((values / 255).astype(np.float32)), path)
    assert distance(path, values) <= 0.5


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["png", "tif", "big-endian", "I", "F"])
def test_grey_of_fewer_bits_in_a_wider_file_is_as_bright(tmp_path: Path, kind: str, bits: int) -> None:
    values = np.rint(grey() * ((2**bits - 1) / 255)).astype(np.uint16)
    path = tmp_path / ("a.png" if kind == "png" else "a.tif")
    if kind == "big-endian":
        height, width = values.shape
        image = Image.frombytes("I;16B", (width, height), values.astype(">u2").tobytes())
    else:
        image = Image.fromarray(values.astype({"I": np.int32, "F": np.float32}.get(kind, np.uint16)))
    assert distance(save(image, path), grey()) <= 1


def test_a_dark_16_bit_photo_stays_dark(tmp_path: Path) -> None:
    values = np.full((20, 20), 257, np.uint16)
    values[0, 0] = 2**14  # more than 14 bits: one bright pixel is enough to tell
    pixels = read_photo(save(Image.fromarray(values), tmp_path / "a.png")).pixels
    assert pixels[0, 0, 0] == 64 and (pixels[1:] == 1).all()


def test_floating_point_grey_from_0_to_255_and_with_holes(tmp_path: Path) -> None:
    values = grey().astype(np.float32)
    assert distance(save(Image.fromarray(values), tmp_path / "a.tif"), grey()) <= 0.5
    values[0, 0] = np.nan
    assert read_photo(save(Image.fromarray(values), tmp_path / "b.tif")).pixels[0, 0].tolist() == [0, 0, 0]


def test_black_and_white(tmp_path: Path) -> None:
    expected = np.where(grey() > 100, 255, 0)
    path = save(Image.fromarray(grey() > 100), tmp_path / "a.png")
    assert Image.open(path).mode == "1" and distance(path, expected) == 0


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L"])
def test_transparency_is_laid_on_white(tmp_path: Path, mode: str) -> None:
    alpha = np.full((30, 30), 255, np.uint8)
    alpha[:, :15] = 0
    image = Image.new("RGB", (30, 30), (0, 0, 0))
    path = tmp_path / "a.png"
    if mode in ("RGBA", "LA"):
        image = image.convert(mode)
        image.putalpha(Image.fromarray(alpha))
        image.save(path)
    else:
        index = Image.fromarray(np.where(alpha == 0, 7, 0).astype(np.uint8))
        if mode == "P":
            index.putpalette([0, 0, 0] * 256)
        index.save(path, transparency=7)
    pixels = read_photo(path).pixels
    assert (pixels[:, :15] == 255).all() and (pixels[:, 15:] == 0).all()


def test_half_transparent_black_is_mid_grey(tmp_path: Path) -> None:
    path = save(Image.new("RGBA", (20, 20), (0, 0, 0, 128)), tmp_path / "a.png")
    assert abs(int(read_photo(path).pixels[0, 0, 0]) - 127) <= 1


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, extension: str, orientation: int) -> None:
    stored = Image.fromarray(scene())
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(stored, tmp_path / f"a.{extension}", exif=exif)
    # The EXIF standard's words: where row 0 and column 0 of the stored photo lie in the scene.
    x = np.asarray(stored)
    upright = {
        1: x,
        2: x[:, ::-1],
        3: x[::-1, ::-1],
        4: x[::-1],
        5: x.transpose(1, 0, 2),
        6: x.transpose(1, 0, 2)[:, ::-1],
        7: x.transpose(1, 0, 2)[::-1, ::-1],
        8: x.transpose(1, 0, 2)[::-1],
    }[orientation]
    assert distance(path, upright) < 4
    assert read_photo(path).scale.tolist() == [1, 1]


@pytest.mark.filterwarnings("ignore:.*EXIF")
def test_exif_that_cannot_be_parsed_loses_nothing(tmp_path: Path) -> None:
    path = save(Image.fromarray(scene()), tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xffgarbage")
    assert distance(path, scene()) < 3


@pytest.mark.parametrize("extension", ["gif", "webp", "png", "apng", "tif"])
def test_the_first_frame_of_an_animation_is_taken(tmp_path: Path, extension: str) -> None:
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "blue", "lime")]
    kind = "PNG" if extension == "apng" else None
    path = tmp_path / f"a.{extension}"
    frames[0].save(path, format=kind, save_all=True, append_images=frames[1:])
    assert np.abs(read_photo(path).pixels.astype(int) - (255, 0, 0)).max() <= 6


def png_header(width: int, height: int) -> bytes:
    """The beginning of a PNG that claims a size."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + body
        + struct.pack(">I", zlib.crc32(body))
        + b"\0\0\1\0IDAT"
    )


def test_photos_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    whole = save(Image.fromarray(scene(200, 200)), tmp_path / "whole.jpg").read_bytes()
    png = save(Image.fromarray(scene(200, 200)), tmp_path / "whole.png").read_bytes()
    cases = {
        "text.jpg": (b"not a photo at all", "not an image"),
        "empty.jpg": (b"", "empty file"),
        "cut.jpg": (whole[: len(whole) // 2], "truncated"),
        "cut.png": (png[: len(png) // 2], "truncated"),
        "huge.png": (png_header(20_000, 20_000), "too large (20000x20000 pixels, at most 64 million)"),
        "script.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\nshowpage\n", "not an image"),
        "phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", ("damaged HEIC", "HEIC: pip install")),
    }
    for name, (content, reason) in cases.items():
        (tmp_path / name).write_bytes(content)
        for source in (tmp_path / name, content):
            with pytest.raises(UnreadablePhotoError) as caught:
                read_photo(source)
            assert str(caught.value).startswith(reason) and "\n" not in str(caught.value), name
    with pytest.raises(UnreadablePhotoError, match=r"^too small \(1x1 pixels\)$"):
        read_photo(save(Image.new("RGB", (1, 1)), tmp_path / "dot.png"))
    with pytest.raises(UnreadablePhotoError, match=r"^no such file$"):
        read_photo(tmp_path / "missing.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_photo_without_permission(tmp_path: Path) -> None:
    path = save(Image.fromarray(scene()), tmp_path / "a.png")
    path.chmod(0)
    with pytest.raises(UnreadablePhotoError, match=r"^no permission$"):
        read_photo(path)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_the_photos_of_phones_are_read_upright(tmp_path: Path, orientation: int) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    upright, path = scene(90, 64), tmp_path / "IMG_0001.HEIC"
    turned = np.rot90(upright, {1: 0, 3: 2, 6: 1}[orientation])  # 6: the camera lay on its side
    image = Image.fromarray(np.ascontiguousarray(turned))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pillow_heif.from_pillow(image).save(path, quality=-1, chroma=444, exif=exif.tobytes())
    photo = read_photo(path)
    assert photo.pixels.shape == upright.shape and photo.scale.tolist() == [1, 1]
    assert np.abs(photo.pixels.astype(int) - upright).mean() < 3
    assert np.array_equal(read_photo(path.read_bytes()).pixels, photo.pixels)


def test_without_the_extra_the_photos_of_phones_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    monkeypatch.setattr(reading, "reads_heic", lambda: False)
    with pytest.raises(
        UnreadablePhotoError, match=r'^HEIC: pip install "pdsn\[heic\]", or convert it to JPEG$'
    ):
        read_photo(tmp_path / "a.heic")


def test_permission_error_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(Image.fromarray(scene()), tmp_path / "a.png")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(reading.Image, "open", refuse)
    with pytest.raises(UnreadablePhotoError, match=r"^no permission$"):
        read_photo(path)


def test_a_large_jpeg_is_reduced_while_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(Image.fromarray(scene(1200, 4800)), tmp_path / "a.jpg", exif=exif)
    # Whole, it would be too large; the decoder halves it.
    monkeypatch.setattr(reading, "MOST_PIXELS", 1200 * 4800 // 2)
    photo = read_photo(path)
    assert photo.pixels.shape == (2048, 512, 3)
    assert photo.scale == pytest.approx([1200 / 512, 4800 / 2048])
    expected = np.asarray(
        Image.fromarray(scene(1200, 4800)).transpose(Image.Transpose.ROTATE_270).resize((512, 2048))
    )
    assert np.abs(photo.pixels.astype(float) - expected).mean() < 2
    progressive = save(Image.fromarray(scene(1200, 4800)), tmp_path / "b.jpg", progressive=True)
    with pytest.raises(UnreadablePhotoError, match=r"^too large \(4800x1200 pixels, at most 2.88 million\)$"):
        read_photo(progressive)


def test_a_long_strip_is_read_and_pillows_limit_is_left_alone(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    photo = read_photo(save(Image.new("RGB", (20_000, 100), "teal"), tmp_path / "a.png"))
    assert photo.pixels.shape == (10, 2048, 3)
    assert before == Image.MAX_IMAGE_PIXELS


def test_upright_agrees_with_pillow(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 7
    path = save(Image.fromarray(scene()), tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_photo(path).pixels, np.asarray(ImageOps.exif_transpose(Image.open(path))))
