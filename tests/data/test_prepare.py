"""The pipeline from photos to a data set: what is left out and why, resuming, reuse, error lines."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pdsn.data import searching
from pdsn.data.chunks import Chunk
from pdsn.data.dataset import FaceDataset
from pdsn.data.detector import Detection
from pdsn.data.originals import original_photos
from pdsn.data.prepare import PrepareReport, prepare_photos
from pdsn.data.settings import PrepareConfig
from pdsn.data.template import TEMPLATE, template
from pdsn.errors import PdsnError, UsageError

SMALL = PrepareConfig(size=(64, 48), min_photos=3)


class FakeDetector:
    """A face fills every photo, but a black corner pixel means none, and a white first pixel a side view."""

    photos_seen = 0

    def __init__(self, min_face: int, device: str, networks: str) -> None:
        assert (min_face, device) == (40, "cpu")

    def __call__(self, photos: Sequence[np.ndarray]) -> list[list[Detection]]:
        found = []
        for photo in photos:
            FakeDetector.photos_seen += 1
            height, width = photo.shape[:2]
            landmarks = TEMPLATE * (width / 96, height / 128)
            if photo[0, 0].min() == 255:
                landmarks += np.array([0.3 * width, 0])
            face = Detection(np.array([0.0, 0.0, width, height]), 0.99, landmarks)
            corners = photo[[0, 0, -1, -1], [0, -1, 0, -1]]
            found.append([] if corners.max(1).min() == 0 else [face])
        return found


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeDetector]:
    monkeypatch.setattr(searching, "Detector", FakeDetector)
    monkeypatch.setattr(FakeDetector, "photos_seen", 0)
    return FakeDetector


def draw(path: Path, seed: int, corner: int = 100, size: tuple[int, int] = (40, 30)) -> None:
    """A photo of smooth noise; `corner` is the grey of its first pixel."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 3, 3), dtype=np.uint8)
    pixels = np.array(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC))
    pixels = np.maximum(pixels, 1)  # no corner is black but by choice
    pixels[0, 0] = corner
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def people(folder: Path, counts: dict[str, int]) -> Path:
    """Photos of people, all different."""
    for number, (name, count) in enumerate(counts.items()):
        for index in range(count):
            draw(folder / name / f"{index:03}.png", 1000 * number + index, size=(40, 30 + index % 2))
    return folder


def content(root: Path) -> tuple[bytes, bytes, bytes]:
    names = ("faces.npy", "manifest.csv", "skipped.csv")
    first, second, third = ((root / name).read_bytes() for name in names)
    return first, second, third


def failure(call: Callable[[], PrepareReport]) -> str:
    """The message of a PdsnError, which must be one line."""
    with pytest.raises(PdsnError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_real_faces_through_the_real_detector(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    portrait = pytest.importorskip("skimage.data").astronaut()
    folder = tmp_path / "photos"
    for name, gain in (("ann", 1.0), ("bob", 0.7)):
        for index, left in enumerate((60, 96, 120)):
            crop = (portrait[: 256 - 8 * index, left : left + 260] * gain).astype(np.uint8)
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(crop).save(folder / name / f"{index}.png")
    Image.new("RGB", (200, 200), "green").save(folder / "ann" / "lawn.png")
    for align in ("similarity", "box"):
        report = prepare_photos(folder, tmp_path / align, PrepareConfig(align=align, min_photos=3))
        data = report.dataset
        assert report.skipped == [("ann/lawn.png", "no face found")]
        assert data.faces.shape == (6, 128, 96, 3) and data.people == ["ann", "bob"]
        assert data.files == [f"{name}/{index}.png" for name in ("ann", "bob") for index in range(3)]
        spread = np.abs(data.landmarks - template((128, 96))).max()
        assert spread < (8 if align == "similarity" else 25)
        # The same face, wherever it stood in the photo, comes out alike.
        first, second = data.faces[0].astype(float), data.faces[1].astype(float)
        assert np.abs(first - second)[16:112, 12:84].mean() < 12
    assert torch.get_num_threads() == threads


def test_a_photo_on_its_side_gives_the_same_face(tmp_path: Path) -> None:
    portrait = pytest.importorskip("skimage.data").astronaut()[:240, 96:352]
    for index, turn in enumerate((0, 90, 180, 270)):
        path = tmp_path / f"photos/ann/{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rot90(portrait, -turn // 90)).save(path)
    data = prepare_photos(tmp_path / "photos", tmp_path / "data", SMALL).dataset
    assert len(data.faces) == 4
    upright = data.faces[0].astype(float)
    assert all(np.abs(face - upright).mean() < 1 for face in data.faces)
    # The box is that of the photo as it lies: for the second one, turned clockwise, what was up is right.
    with (tmp_path / "data/manifest.csv").open() as stream:
        rows = [
            [float(row[f"box_{edge}"]) for edge in ("left", "top", "right", "bottom")]
            for row in csv.DictReader(stream)
        ]
    left, top, right, bottom = rows[0]
    assert rows[1] == pytest.approx([240 - bottom, left, 240 - top, right], abs=0.1)


def test_what_is_left_out_and_why(tmp_path: Path, fake: type[FakeDetector]) -> None:
    folder = people(tmp_path / "photos", {"ann": 4, "bob": 4, "cy": 3, "dee": 2, "eve": 3})
    (folder / "ann/text.jpg").write_text("not a photo")
    (folder / "ann/empty.jpg").touch()
    draw(folder / "ann/nobody.png", 77, corner=0)
    draw(folder / "ann/side.png", 78, corner=255)
    shutil.copy(folder / "ann/000.png", folder / "ann/copy.png")
    Image.open(folder / "ann/001.png").save(folder / "bob/other.bmp")  # other bytes, same pixels
    (folder / "bob/list.txt").write_text("not a photo")
    (folder / "fay/raw").mkdir(parents=True)
    (folder / "gus").mkdir()
    (folder / "gus/clip.mov").write_bytes(b"no photo")
    (folder / "bob/003.png").rename(folder / "bob/IMG_0003")
    draw(folder / "loose.png", 99)
    draw(folder / "eve/000.png", 79, corner=0)
    config = PrepareConfig(size=(64, 48), min_photos=3, frontal=0.2)
    seen: list[tuple[int, int]] = []
    report = prepare_photos(folder, tmp_path / "data", config, on_progress=lambda *now: seen.append(now))
    assert report.skipped == [
        ("ann/copy.png", "duplicate of ann/000.png"),
        ("ann/empty.jpg", "cannot be read: empty file"),
        ("ann/nobody.png", "no face found"),
        ("ann/side.png", "not frontal"),
        ("ann/text.jpg", "cannot be read: not an image"),
        ("bob/other.bmp", "duplicate of ann/001.png"),
        ("dee/000.png", "person has only 2 usable photos (fewer than 3)"),
        ("dee/001.png", "person has only 2 usable photos (fewer than 3)"),
        ("eve/000.png", "no face found"),
        ("eve/001.png", "person has only 2 usable photos (fewer than 3)"),
        ("eve/002.png", "person has only 2 usable photos (fewer than 3)"),
        ("bob/list.txt", "not a photo by its name or content"),
        ("gus/clip.mov", "not a photo by its name or content"),
        ("loose.png", "in no person's folder"),
        ("fay/", "person without any photo"),
        ("gus/", "person without any photo"),
    ]
    assert (report.photos, report.people_kept, report.people_dropped) == (25, 3, 4)
    assert report.people_without == ["fay", "gus"] and "bob/IMG_0003" in report.dataset.files
    assert report.dataset.people == ["ann", "bob", "cy"] and len(report.dataset.faces) == 11
    assert not report.reused and report.seconds > 0
    assert seen[0] == (0, 20) and seen[-1] == (20, 20)
    listing = (tmp_path / "data/skipped.csv").read_text().splitlines()
    assert listing[0] == "file,reason" and len(listing) == 17
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "dataset.json",
        "faces.npy",
        "manifest.csv",
        "photos.csv",
        "skipped.csv",
    ]


def test_crops_belong_to_their_photos(tmp_path: Path, fake: type[FakeDetector]) -> None:
    """The fake face fills the photo, so a box crop is the photo resized: each row must be its own photo."""
    folder = people(tmp_path / "photos", {"ann": 150, "bob": 20})
    draw(folder / "ann/070.png", 5, corner=0)
    config = PrepareConfig(size=(64, 48), min_photos=3, align="box")
    data = prepare_photos(folder, tmp_path / "data", config).dataset
    assert len(data.files) == 169
    for index, file in enumerate(data.files):
        photo = Image.open(folder / file)
        expected = np.asarray(photo.resize((48, 64), Image.Resampling.BICUBIC))
        assert np.array_equal(data.faces[index], expected), file
        assert data.people[data.labels[index]] == file.split("/")[0]
        assert data.landmarks[index] == pytest.approx(TEMPLATE / 2, abs=1e-3)


def test_a_killed_run_ends_with_the_same_bytes(tmp_path: Path, fake: type[FakeDetector]) -> None:
    folder = people(tmp_path / "photos", {"ann": 150, "bob": 150})
    prepare_photos(folder, tmp_path / "whole", SMALL)
    assert fake.photos_seen == 300

    class Killed(BaseException):
        pass

    def kill(done: int, total: int) -> None:
        if done >= total // 2:
            raise Killed

    with pytest.raises(Killed):
        prepare_photos(folder, tmp_path / "data", SMALL, on_progress=kill)
    chunks = sorted((tmp_path / "data/partial").rglob("*.npz"))
    finished = sum(len(Chunk.load(path).reasons) for path in chunks)
    assert finished >= 150
    # What a kill -9 while writing leaves: half a file under a temporary name, half a data set.
    (chunks[0].parent / ".000004-x.npz").write_bytes(b"half")
    (tmp_path / "data/.faces-x.npy").write_bytes(b"half")
    before = fake.photos_seen
    seen: list[int] = []
    report = prepare_photos(folder, tmp_path / "data", SMALL, on_progress=lambda done, _: seen.append(done))
    assert fake.photos_seen - before == 300 - finished and seen[0] == finished
    assert content(tmp_path / "data") == content(tmp_path / "whole")
    assert report.dataset.sha256 == FaceDataset.load(tmp_path / "whole").sha256
    assert len(list((tmp_path / "data").iterdir())) == 5


def test_a_damaged_chunk_is_made_again(tmp_path: Path, fake: type[FakeDetector]) -> None:
    folder = people(tmp_path / "photos", {"ann": 100})
    prepare_photos(folder, tmp_path / "whole", SMALL)

    def stop(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_photos(folder, tmp_path / "data", SMALL, on_progress=stop)
    first = min((tmp_path / "data/partial").rglob("*.npz"))
    first.write_bytes(first.read_bytes()[:1000])
    before = fake.photos_seen
    prepare_photos(folder, tmp_path / "data", SMALL)
    assert fake.photos_seen - before == 64
    assert content(tmp_path / "data") == content(tmp_path / "whole")


def test_chunks_of_other_settings_are_not_taken_up(tmp_path: Path, fake: type[FakeDetector]) -> None:
    folder = people(tmp_path / "photos", {"ann": 10})

    def stop(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_photos(folder, tmp_path / "data", SMALL, on_progress=stop)
    box = PrepareConfig(size=(64, 48), min_photos=3, align="box")
    report = prepare_photos(folder, tmp_path / "data", box)
    assert fake.photos_seen == 20
    expected = np.asarray(Image.open(folder / "ann/000.png").resize((48, 64), Image.Resampling.BICUBIC))
    assert np.array_equal(report.dataset.faces[0], expected)


def test_the_same_call_again_reuses_the_data_set(tmp_path: Path, fake: type[FakeDetector]) -> None:
    folder = people(tmp_path / "photos", {"ann": 4, "bob": 4, "cy": 1})
    root = tmp_path / "data"
    made = prepare_photos(folder, root, SMALL)
    again = prepare_photos(folder, root, SMALL)
    assert again.reused and fake.photos_seen == 8
    assert (again.skipped, again.photos, again.people_kept, again.people_dropped) == (
        made.skipped,
        made.photos,
        made.people_kept,
        made.people_dropped,
    )
    before = content(root)
    other = PrepareConfig(size=(64, 48), min_photos=2)
    with pytest.raises(UsageError, match=r"made with --min-photos 3: choose another --data, .* --force"):
        prepare_photos(folder, root, other)
    draw(folder / "bob/new.png", 9)
    draw(folder / "dee/000.png", 10)
    (folder / "cy/000.png").unlink()
    (folder / "ann/000.png").write_bytes((folder / "ann/001.png").read_bytes()[:-1] + b"x")
    with pytest.raises(UsageError) as caught:
        prepare_photos(folder, root, SMALL, elsewhere="--run")
    assert str(caught.value) == (
        f"{root} was made from other photos; since then 2 new (bob/new.png …), 1 gone (cy/000.png), 1 changed "
        "(ann/000.png): choose another --run, or replace it with --force"
    )
    assert content(root) == before and FaceDataset.load(root).sha256 == made.dataset.sha256
    forced = prepare_photos(folder, root, SMALL, force=True)
    assert not forced.reused and len(forced.dataset.faces) == 8
    assert prepare_photos(folder, root, SMALL).reused


def test_photos_that_were_touched_or_copied_are_the_same(tmp_path: Path, fake: type[FakeDetector]) -> None:
    folder = people(tmp_path / "photos", {"ann": 4, "bob": 4, "cy": 1})
    root = tmp_path / "data"
    made = prepare_photos(folder, root, SMALL)
    for path in folder.rglob("*.png"):
        os.utime(path, (1, 1))
    copy = Path(shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile))
    assert prepare_photos(folder, root, SMALL).reused and prepare_photos(copy, root, SMALL).reused
    assert FaceDataset.load(root).sha256 == made.dataset.sha256 and fake.photos_seen == 8
    # The same length and another content.
    path = folder / "ann/000.png"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UsageError, match=r"since then 1 changed \(ann/000.png\)"):
        prepare_photos(folder, root, SMALL)


def test_photos_that_were_moved_are_remembered_where_they_are(
    tmp_path: Path, fake: type[FakeDetector]
) -> None:
    folder = people(tmp_path / "photos", {"ann": 4, "bob": 4})
    root = tmp_path / "data"
    made = prepare_photos(folder, root, SMALL)
    moved = folder.rename(tmp_path / "moved")
    with pytest.raises(PdsnError, match=rf"{folder}, from which {root} was prepared, is gone"):
        original_photos(FaceDataset.load(root))
    assert prepare_photos(moved, root, SMALL).reused
    again = FaceDataset.load(root)
    assert original_photos(again) == moved and again.sha256 == made.dataset.sha256
    draw(moved / "ann/new.png", 30)  # one more does no harm
    assert original_photos(again) == moved
    (moved / "ann/000.png").write_bytes((moved / "ann/001.png").read_bytes())
    with pytest.raises(PdsnError, match=r"has other photos now \(.*1 changed \(ann/000.png\)\)"):
        original_photos(again)


def test_what_was_made_from_others_is_replaced_where_that_is_said(
    tmp_path: Path, fake: type[FakeDetector]
) -> None:
    folder = people(tmp_path / "photos", {"ann": 4, "bob": 4})
    root = tmp_path / "data"
    prepare_photos(folder, root, SMALL)
    assert prepare_photos(folder, root, SMALL, replace_other=True).reused
    draw(folder / "ann/new.png", 30)
    made = prepare_photos(folder, root, SMALL, replace_other=True)
    assert not made.reused and len(made.dataset.files) == 9
    assert prepare_photos(folder, root, SMALL).reused


def test_a_data_set_of_an_older_pdsn_is_taken_up_or_says_what_works(
    tmp_path: Path, fake: type[FakeDetector]
) -> None:
    folder = people(tmp_path / "photos", {"ann": 4, "bob": 4})
    (folder / "ann/list.txt").write_text("of no concern then")
    root = tmp_path / "data"
    prepare_photos(folder, root, SMALL)
    # What it left: no photos.csv, but a fingerprint of the photos as they were listed.
    (root / "photos.csv").unlink()
    method = "MTCNN of facenet-pytorch 2.5.3, method 1"
    asked = {name: value for name, value in asdict(SMALL).items() if name != "template"}
    stats = [(path.relative_to(folder).as_posix(), path.stat()) for path in sorted(folder.rglob("*.png"))]
    listing = [(file, stat.st_size, stat.st_mtime_ns) for file, stat in stats]
    about = json.loads((root / "dataset.json").read_text())
    request = hashlib.sha256(json.dumps([method, asked, listing]).encode()).hexdigest()
    about["settings"] |= {"method": method, "request": request}
    (root / "dataset.json").write_text(json.dumps(about))
    report = prepare_photos(folder, root, SMALL)
    assert report.reused and report.outdated and fake.photos_seen == 8
    draw(folder / "bob/new.png", 9)
    message = failure(lambda: prepare_photos(folder, root, SMALL))
    assert "by an older pdsn, which kept no list of them to tell the difference" in message
    assert message.endswith("choose another --data, or replace it with --force")
    assert not prepare_photos(folder, root, SMALL, force=True).outdated
    assert prepare_photos(folder, root, SMALL).reused


def test_photos_of_several_faces_and_turned_ones_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two(self: FakeDetector, photos: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Two faces on a photo whose first pixel is white, none on one that is wider than high."""
        found = []
        for photo in photos:
            height, width = photo.shape[:2]
            face = Detection(
                np.array([0.0, 0.0, width, height]), 0.995, TEMPLATE * (width / 96, height / 128)
            )
            found.append([] if width > height else [face] * (2 if photo[0, 0].min() == 255 else 1))
        return found

    monkeypatch.setattr(searching, "Detector", FakeDetector)
    monkeypatch.setattr(FakeDetector, "__call__", two)
    folder = people(tmp_path / "photos", {"ann": 4})
    draw(folder / "ann/two.png", 50, corner=255)
    draw(folder / "ann/wide.png", 51, size=(30, 40))
    draw(folder / "bob/two.png", 52, corner=255)
    for _ in range(2):  # made, and found there
        report = prepare_photos(folder, tmp_path / "data", SMALL)
        assert (report.several, report.turned, len(report.dataset.faces)) == (1, 1, 6)


def test_nobody_left_is_told_in_one_line(tmp_path: Path, fake: type[FakeDetector]) -> None:
    singles = people(tmp_path / "singles", {"ann": 1, "bob": 1})
    message = failure(lambda: prepare_photos(singles, tmp_path / "data", SMALL))
    assert str(singles) in message and "each of its 2 people has one photo only" in message
    few = people(tmp_path / "few", {"ann": 2, "bob": 1})
    message = failure(lambda: prepare_photos(few, tmp_path / "data", SMALL))
    assert "none of its 2 people has 3 usable photos, the most is 2 (of 3 photos)" in message
    assert "--min-photos" in message and fake.photos_seen == 0
    bad = tmp_path / "bad"
    for index in range(4):
        draw(bad / f"ann/{index}.png", index, corner=0 if index < 3 else 100)
    (bad / "ann/text.jpg").write_text("x")
    message = failure(lambda: prepare_photos(bad, tmp_path / "data", SMALL))
    assert "the most is 1 (of 5 photos, 3 no face found, 1 cannot be read)" in message
    assert not (tmp_path / "data/dataset.json").exists()


def test_folders_that_cannot_be_used_are_told_in_one_line(
    tmp_path: Path, fake: type[FakeDetector], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = people(tmp_path / "photos", {"ann": 4})
    assert "no such folder" in failure(lambda: prepare_photos(tmp_path / "x", tmp_path / "data", SMALL))
    taken = tmp_path / "taken"
    taken.write_text("a file")
    message = failure(lambda: prepare_photos(folder, taken, SMALL))
    assert f"{taken} cannot be written" in message and "--data" in message
    message = failure(lambda: prepare_photos(folder, Path("/proc/nowhere"), SMALL))
    assert "/proc/nowhere cannot be written" in message

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Chunk, "save", full)
    message = failure(lambda: prepare_photos(folder, tmp_path / "data", SMALL))
    assert (
        message == f"{tmp_path / 'data'} cannot be written (No space left on device): choose another --data"
    )


def test_a_name_that_is_not_utf8_is_left_out(tmp_path: Path, fake: type[FakeDetector]) -> None:
    folder = people(tmp_path / "photos", {"ann": 3})
    odd = folder / "ann" / b"caf\xe9.png".decode("utf-8", "surrogateescape")
    try:
        draw(folder / "ann/odd.png", 50)
        (folder / "ann/odd.png").rename(odd)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    report = prepare_photos(folder, tmp_path / "data", SMALL)
    assert report.skipped == [("ann/caf\\udce9.png", "file name is not UTF-8")]


@pytest.mark.parametrize(
    ("values", "setting"),
    [
        ({"size": (16, 96)}, "size = 16x96"),
        ({"size": (128, 513)}, "size = 128x513"),
        ({"align": "none"}, "align = none"),
        ({"face": "first"}, "face = first"),
        ({"min_photos": 0}, "min_photos = 0"),
        ({"frontal": -0.1}, "frontal = -0.1"),
        ({"frontal": float("nan")}, "frontal = nan"),
        ({"split_seed": -1}, "split_seed = -1"),
        ({"min_face": 5}, "min_face = 5"),
    ],
)
def test_settings_out_of_range_are_named(values: dict[str, object], setting: str) -> None:
    with pytest.raises(UsageError) as caught:
        PrepareConfig(**values)  # type: ignore[arg-type]
    assert str(caught.value).startswith(f"[prepare] {setting} ") and "\n" not in str(caught.value)
