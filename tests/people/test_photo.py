"""One photo and its faces, whichever way it comes, and what its messages call it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pdsn.data.settings import PrepareConfig
from pdsn.people.photo import PhotoError, search_photo
from tests.people.photos import PlainDetector, save_photo

CROP = PrepareConfig(size=(64, 48))


def search(photo, name=None):
    return search_photo(photo, CROP, PlainDetector(), name)


@pytest.mark.parametrize(("name", "called"), [(None, "photo 1"), ("door", "door"), ("a\udcff", "a\\udcff")])
def test_messages_call_a_photo_by_its_name(name, called):
    with pytest.raises(PhotoError) as caught:
        search(b"no photo", name)
    assert str(caught.value) == f"{called} cannot be read: not an image"
    with pytest.raises(PhotoError) as caught:
        search(np.full((100, 100, 3), 90, np.uint8), name)
    assert str(caught.value).startswith(f"{called}: no face found")


def test_a_file_goes_by_its_path_unless_it_has_a_name(tmp_path):
    face = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    path = save_photo(tmp_path / "a.png", face)
    assert search(str(path)).path == path
    assert search(path, "door").path == Path("door")
    with pytest.raises(PhotoError, match=f"^{tmp_path} is a folder"):
        search(tmp_path, "door")
