"""Photos as paths, bytes, images and arrays."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdsn.data import reading
from pdsn.data.given import read_given
from pdsn.data.reading import UnreadablePhotoError
from tests.data.test_reading import grey, png_header, save, scene


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize("kind", ["turned JPEG", "16-bit", "RGBA", "palette", "CMYK", "grey", "large"])
def test_whichever_way_a_photo_comes_its_pixels_are_the_same(tmp_path, kind):
    image = Image.fromarray(scene(1000, 3000) if kind == "large" else scene())
    path = tmp_path / "a.png"
    if kind == "turned JPEG":
        path = save(image, tmp_path / "a.jpg", exif=turned())
    elif kind == "16-bit":
        save(Image.fromarray(grey().astype(np.uint16) * 257), path)
    elif kind == "RGBA":
        image.putalpha(Image.fromarray(grey()))
        save(image, path)
    elif kind == "palette":
        save(image.quantize(), path)
    elif kind == "CMYK":
        path = save(image.convert("CMYK"), tmp_path / "a.jpg")
    else:
        save(Image.fromarray(grey()) if kind == "grey" else image, path)
    expected = read_given(path)
    with Image.open(path) as opened:
        ways = [str(path), path.read_bytes(), opened, opened.copy()]
        if kind in ("grey", "large"):
            ways.append(np.asarray(opened))
        before = opened.size
        for found in map(read_given, ways):
            assert np.array_equal(found.pixels, expected.pixels)
            assert np.array_equal(found.scale, expected.scale)
        assert opened.size == before
    if kind != "large":
        assert np.array_equal(read_given(expected.pixels).pixels, expected.pixels)


def test_a_large_jpeg_as_an_image_stays_as_its_owner_has_it(tmp_path):
    path = save(Image.fromarray(scene(1200, 4800)), tmp_path / "a.jpg")
    with Image.open(path) as image:
        found = read_given(image)
        assert image.size == (4800, 1200)
    assert found.pixels.shape == (512, 2048, 3)
    assert np.abs(found.pixels.astype(float) - read_given(path).pixels).mean() < 1


def test_an_array_that_changes_later_changes_nothing():
    values = scene()
    found = read_given(values)
    before = found.pixels.copy()
    values[:] = 0
    assert np.array_equal(found.pixels, before)


def test_arrays_that_lie_otherwise_in_memory():
    bgr = np.asfortranarray(scene()[..., ::-1])
    assert np.array_equal(read_given(bgr[..., ::-1]).pixels, scene())


@pytest.mark.parametrize(
    ("values", "reason", "mended"),
    [
        (
            scene().astype(np.float32) / 255,
            "an array of float32",
            lambda a: (255 * a).round().astype("uint8"),
        ),
        (scene().astype(np.int64), "an array of int64", lambda a: a.astype("uint8")),
        (scene() > 9, "an array of bool", None),
        (scene().astype(object), "an array of object", None),
        (scene().transpose(2, 0, 1), "an array of shape (3, 40, 60)", lambda a: a.transpose(1, 2, 0)),
        (scene()[None], "an array of shape (1, 40, 60, 3)", lambda a: a[0]),
        (np.dstack([scene(), grey()]), "an array of shape (40, 60, 4)", lambda a: a[..., :3]),
        (grey()[..., None], "an array of shape (40, 60, 1)", lambda a: a[..., 0]),
        (grey()[0], "an array of shape (60,)", None),
        (np.array(3, np.uint8), "an array of shape ()", None),
        (np.empty((0, 60, 3), np.uint8), "an empty array of shape (0, 60, 3)", None),
        (scene(10, 60), "too small (60x10 pixels)", None),
    ],
)
def test_arrays_that_are_no_photo_say_what_to_do(values, reason, mended):
    with pytest.raises(UnreadablePhotoError) as caught:
        read_given(values)
    assert str(caught.value).startswith(reason) and "\n" not in str(caught.value)
    if mended is not None:
        assert read_given(mended(values)).pixels.shape == (40, 60, 3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"not a photo at all", "not an image"),
        (png_header(20_000, 20_000), "too large (20000x20000 pixels, at most 64 million)"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\nshowpage\n", "not an image"),
        (scene().tolist(), "it is of type list, give a path, the bytes"),
        (None, "it is of type NoneType, give a path"),
    ],
)
def test_what_is_no_photo_says_why(content, reason):
    with pytest.raises(UnreadablePhotoError) as caught:
        read_given(content)
    assert str(caught.value).startswith(reason)


def test_images_and_arrays_have_the_limits_of_files(monkeypatch):
    monkeypatch.setattr(reading, "MOST_PIXELS", 2000)
    for photo in (scene(), Image.fromarray(scene()), Image.new("P", (60, 40))):
        with pytest.raises(
            UnreadablePhotoError, match=r"^too large \(60x40 pixels, at most 0.002 million\)$"
        ):
            read_given(photo)


def test_a_closed_image_and_one_cut_off(tmp_path):
    path = save(Image.fromarray(scene()), tmp_path / "a.png")
    with Image.open(path) as image:
        pass
    with pytest.raises(UnreadablePhotoError, match=r"^damaged \("):
        read_given(image)
    whole = path.read_bytes()
    with pytest.raises(UnreadablePhotoError, match=r"^truncated \("):
        read_given(Image.open(io.BytesIO(whole[: len(whole) // 2])))


def test_names_that_no_file_can_have():
    with pytest.raises(UnreadablePhotoError, match="^damaged .*null"):
        read_given("a\0b.png")
    assert os.sep == "\\" or not Path("a\0b.png").exists()
