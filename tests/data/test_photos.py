from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from pdsn.data import photos
from pdsn.data.photos import list_photos
from pdsn.data.reading import read_photo
from pdsn.errors import PdsnError
from tests.data.test_reading import save, scene


def test_listing(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "b/1.png", "b/deep/er/3.webp", "a b/1.jpeg", "b/.hidden.jpg", "b/.git/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "b/notes.txt").write_text("no photo")
    (tmp_path / "b/Thumbs.db").write_bytes(b"x")
    (tmp_path / "list.csv").write_text("nobody's")
    (tmp_path / ".trash").mkdir()
    (tmp_path / ".trash/1.jpg").write_bytes(b"x")
    (tmp_path / "loose.jpg").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "b/loop").symlink_to(tmp_path / "b")
    (tmp_path / "b/gone.jpg").symlink_to(tmp_path / "nowhere")
    listing = list_photos(tmp_path)
    listed = listing.photos
    assert [(photo.person, photo.file) for photo in listed] == [
        ("a b", "a b/1.jpeg"),
        ("b", "b/1.png"),
        ("b", "b/2.JPG"),
        ("b", "b/deep/er/3.webp"),
        ("b", "b/gone.jpg"),
    ]
    assert [photo.bytes for photo in listed] == [1, 1, 1, 1, -1]
    assert listing.others == [
        ("b/notes.txt", "not a photo by its name or content"),
        ("loose.jpg", "in no person's folder"),
    ]
    assert listing.people == ["a b", "b", "empty"]


def test_a_name_that_says_nothing_leaves_it_to_the_content(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    for number, name in enumerate(("IMG_0001", "20240131.121212", "scan.photo", "wrong.txt")):
        save(Image.fromarray(scene(40 + number)), tmp_path / "ann" / name, format=("JPEG", "PNG")[number % 2])
    save(Image.fromarray(scene()), tmp_path / "ann/raw.DNG", format="TIFF")
    Image.fromarray(scene()).save(tmp_path / "ann/portrait", format="TGA")
    (tmp_path / "ann/empty").touch()
    (tmp_path / "ann/clip.mp4").write_bytes(b"\0\0\2\0" + bytes(range(60)))  # what Pillow would take for TGA
    (tmp_path / "ann/gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "ann/pipe")
    listing = list_photos(tmp_path)
    assert [photo.file for photo in listing.photos] == [
        "ann/20240131.121212",
        "ann/IMG_0001",
        "ann/scan.photo",
        "ann/wrong.txt",
    ]
    assert read_photo(tmp_path / "ann/IMG_0001").pixels.shape == (40, 60, 3)
    no_photo = "not a photo by its name or content"
    assert dict(listing.others) == {
        "ann/clip.mp4": no_photo,
        "ann/empty": no_photo,
        "ann/gone": no_photo,
        "ann/pipe": no_photo,
        "ann/portrait": no_photo,
        "ann/raw.DNG": "a camera's raw file, convert it to JPEG",
    }


def test_splits_are_not_people(tmp_path: Path) -> None:
    for name in ("data/train/ann/1.jpg", "data/train/bob/2.jpg", "data/Val/ann/3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(PdsnError) as caught:
        list_photos(tmp_path / "data")
    message = str(caught.value)
    assert "holds splits (Val, train), and each would count as one person" in message and "\n" not in message
    # The advice: one of them.
    example = message.partition("such as ")[2].partition(",")[0]
    assert list_photos(Path(example)).people == ["ann"]
    assert list_photos(tmp_path / "data/train").people == ["ann", "bob"]
    # People may be called so, and a person's photos may lie in a folder that is.
    (tmp_path / "data/Val/1.jpg").write_bytes(b"x")
    assert list_photos(tmp_path / "data").people == ["Val", "train"]
    (tmp_path / "data/Val/1.jpg").unlink()
    (tmp_path / "data/cid").mkdir()
    assert list_photos(tmp_path / "data").people == ["Val", "cid", "train"]


@pytest.mark.parametrize(
    "kinds", [("AFDB_face_dataset", "AFDB_masked_face_dataset"), ("with_mask", "without")]
)
def test_a_folder_of_masked_and_one_of_unmasked_people_are_one(tmp_path, kinds):
    for kind, people in zip(kinds, (("ann", "bob"), ("ann", "cid")), strict=True):
        for person in people:
            (tmp_path / kind / person).mkdir(parents=True)
            (tmp_path / kind / person / "1.jpg").write_bytes(b"x")
    found = list_photos(tmp_path)
    assert found.people == ["ann", "bob", "cid"]
    assert [photo.person for photo in found.photos] == ["ann", "ann", "bob", "cid"]
    masked = [photo.file for photo in found.photos if photos.shows_mask(photo.file)]
    kind = next(name for name in kinds if name != "AFDB_face_dataset" and name != "without")
    assert all(file.startswith(kind) for file in masked) and len(masked) == 2
    (tmp_path / kind / "readme.txt").write_text("what it is")
    assert list_photos(tmp_path).people == ["ann", "bob", "cid"]
    # With a third folder they are people, as ever.
    (tmp_path / "dan").mkdir()
    assert list_photos(tmp_path).people == sorted([*kinds, "dan"])


@pytest.mark.parametrize(
    ("file", "masked"),
    [
        ("masked/ann/1.jpg", True),
        ("ann/Masked_Faces/1.jpg", True),
        ("ann/with mask/1.jpg", True),
        ("ann/unmasked/1.jpg", False),
        ("ann/without_mask/1.jpg", False),
        ("non_masked/ann/1.jpg", False),
        ("un-masked/ann/1.jpg", False),
        ("ann/masked.jpg", False),
    ],
)
def test_folders_say_whether_a_photo_shows_a_mask(file, masked):
    assert photos.shows_mask(file) is masked


@pytest.mark.parametrize(
    "name",
    [
        "@eaDir",
        "#recycle",
        "$RECYCLE.BIN",
        "System Volume Information",
        "lost+found",
        "__MACOSX",
        "@Recycle",
        "#snapshot",
        "Network Trash Folder",
        "FOUND.001",
        ".Trashes",
    ],
)
def test_folders_of_systems_are_nobody_and_hold_no_photos(tmp_path: Path, name: str) -> None:
    for file in ("ann/1.jpg", f"{name}/2.jpg", f"ann/{name}/3.jpg/SYNOPHOTO_THUMB_M.jpg", "@anna/4.jpg"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"x")
    listing = list_photos(tmp_path)
    assert [photo.file for photo in listing.photos] == ["@anna/4.jpg", "ann/1.jpg"]
    assert (listing.people, listing.others) == (["@anna", "ann"], [])


def test_two_folders_that_are_one_name_are_one_person(tmp_path: Path) -> None:
    names = "Zo\u00eb/1.jpg", "Zoe\u0308/2.jpg", "Zoo/3.jpg"
    for name in names:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"x")
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this file system takes both names for one")
    listed = list_photos(tmp_path).photos
    assert {photo.file: photo.person for photo in listed} == dict(
        zip(names, ["Zo\u00eb", "Zo\u00eb", "Zoo"], strict=True)
    )
    assert all((tmp_path / photo.file).is_file() for photo in listed)


def test_folders_without_photos_are_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose/1.jpg").write_bytes(b"x")
    (tmp_path / "bare/person").mkdir(parents=True)
    for name, words in {
        "missing": "no such folder",
        "file": "is a file",
        "empty": "holds nothing",
        "loose": "holds 1 photo but no sub-folder with photos",
        "bare": "holds no sub-folder with photos",
    }.items():
        with pytest.raises(PdsnError) as caught:
            list_photos(tmp_path / name)
        message = str(caught.value)
        assert str(tmp_path / name) in message and words in message and "\n" not in message


def test_lfw_that_cannot_be_downloaded_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    import sklearn.datasets

    from pdsn.data.lfw import fetch_lfw

    def offline(**options: object) -> None:
        assert options["funneled"] is True and options["n_retries"] == 1
        assert socket.getdefaulttimeout() is not None  # a silent server must not hang the command
        raise OSError("<urlopen error\nName or service not known>")

    monkeypatch.setattr(sklearn.datasets, "fetch_lfw_people", offline)
    with pytest.raises(PdsnError) as caught:
        fetch_lfw(tmp_path)
    message = str(caught.value)
    assert "by hand" in message and "pdsn prepare FOLDER --data DIR" in message and "\n" not in message
    assert socket.getdefaulttimeout() is None


def test_lfw_that_was_downloaded_is_a_folder_per_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sklearn.datasets

    from pdsn.data.lfw import fetch_lfw

    def download(**_: object) -> None:
        (tmp_path / "lfw_home/lfw_funneled/Ann").mkdir(parents=True)

    monkeypatch.setattr(sklearn.datasets, "fetch_lfw_people", download)
    assert fetch_lfw(tmp_path) == tmp_path / "lfw_home" / "lfw_funneled"
