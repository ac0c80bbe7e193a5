"""A data set made by shards: the same bytes as at once, and no other shards joined."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pdsn.data import searching
from pdsn.data.listing import read_listing
from pdsn.data.prepare import prepare_photos, prepare_shard
from pdsn.data.shards import Shard, recorded
from pdsn.errors import PdsnError, UsageError
from tests.data.test_prepare import SMALL, FakeDetector, draw, people


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of three photos, and a detector that takes the whole photo for the face."""
    monkeypatch.setattr(searching, "CHUNK", 3)
    monkeypatch.setattr(searching, "Detector", FakeDetector)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """People with photos, of which some cannot be used; two twins far apart, and somebody with too few."""
    folder = people(tmp_path / "photos", {"ann": 9, "bob": 8, "cy": 7, "dee": 2})
    (folder / "ann/broken.jpg").write_text("no photo")
    (folder / "ann/notes.txt").write_text("no photo either")
    draw(folder / "bob/black.png", 77, corner=0, size=(40, 31))
    shutil.copy(folder / "ann/000.png", folder / "cy/twin.png")
    (folder / "eve").mkdir()
    return folder


def every_file(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def refusal(kind: type[PdsnError], call: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("count", [1, 3, 20])
def test_joined_shards_are_the_data_set_byte_for_byte(tmp_path, folder, count):
    at_once = prepare_photos(folder, tmp_path / "once", SMALL)
    assert "duplicate of ann/000.png" in dict(at_once.skipped)["cy/twin.png"]
    done = []
    for number in reversed(range(1, count + 1)):
        done.append(prepare_shard(folder, tmp_path / "data", SMALL, Shard(number, count)))
        assert not (tmp_path / "data/dataset.json").exists()
    assert sum(done) == 27 and max(done) - min(done) <= 3, "the photos of everybody but dee, evenly"
    FakeDetector.photos_seen = 0
    joined = prepare_photos(folder, tmp_path / "data", SMALL, merge=True)
    assert FakeDetector.photos_seen == 0 and joined.skipped == at_once.skipped
    assert every_file(tmp_path / "data") == every_file(tmp_path / "once")
    assert prepare_shard(folder, tmp_path / "data", SMALL, Shard(1, count)) is None, "it is there already"
    assert prepare_photos(folder, tmp_path / "data", SMALL, merge=True).reused


def test_shards_made_elsewhere_are_joined_when_they_lie_together(tmp_path, folder):
    copied = Path(shutil.copytree(folder, tmp_path / "copied"))  # with its times
    prepare_shard(folder, tmp_path / "data", SMALL, Shard(1, 2))
    prepare_shard(copied, tmp_path / "other", SMALL, Shard(2, 2))
    shutil.copytree(tmp_path / "other/partial", tmp_path / "data/partial", dirs_exist_ok=True)
    prepare_photos(folder, tmp_path / "data", SMALL, merge=True)
    prepare_photos(folder, tmp_path / "once", SMALL)
    assert every_file(tmp_path / "data") == every_file(tmp_path / "once")


def test_an_interrupted_shard_goes_on(tmp_path, folder, monkeypatch):
    real, calls = searching.make_chunk, []

    def stopping(*words, **more):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*words, **more)

    monkeypatch.setattr(searching, "make_chunk", stopping)
    with pytest.raises(KeyboardInterrupt):
        prepare_shard(folder, tmp_path / "data", SMALL, Shard(1, 2))
    kept = len(list((tmp_path / "data/partial").rglob("*.npz")))
    monkeypatch.setattr(searching, "make_chunk", real)
    prepare_shard(folder, tmp_path / "data", SMALL, Shard(2, 2))
    line = refusal(PdsnError, lambda: prepare_photos(folder, tmp_path / "data", SMALL, merge=True))
    assert "lacks shard 1/2, or a part" in line
    told = []
    prepare_shard(folder, tmp_path / "data", SMALL, Shard(1, 2), on_progress=lambda *both: told.append(both))
    assert told[0] == (3 * kept, 15) and told[-1] == (15, 15)
    prepare_photos(folder, tmp_path / "data", SMALL, merge=True)
    prepare_photos(folder, tmp_path / "once", SMALL)
    assert every_file(tmp_path / "data") == every_file(tmp_path / "once")


def test_a_missing_shard_is_named_and_what_is_there_stays(tmp_path, folder):
    line = refusal(PdsnError, lambda: prepare_photos(folder, tmp_path / "data", SMALL, merge=True))
    assert line.startswith(
        f"{tmp_path}/data holds no shards of these photos and settings: make them with --shard 1/8"
    )
    for number in (1, 2, 4):
        prepare_shard(folder, tmp_path / "data", SMALL, Shard(number, 4))
    before = every_file(tmp_path / "data")
    line = refusal(PdsnError, lambda: prepare_photos(folder, tmp_path / "data", SMALL, merge=True))
    assert line == (
        f"{tmp_path}/data lacks shard 3/4, or a part: give the same command with --shard 3/4 in the place of --merge, then "
        "--merge again"
    )
    assert every_file(tmp_path / "data") == before
    (folder_of_chunks,) = (tmp_path / "data/partial").iterdir()
    (folder_of_chunks / "000001.npz").write_bytes(b"damaged")
    line = refusal(PdsnError, lambda: prepare_photos(folder, tmp_path / "data", SMALL, merge=True))
    assert (
        "lacks shards 2/4, 3/4, or a part" in line
        and "--shard 2/4 in the place of --merge, and so on" in line
    )


def test_a_whole_prepare_takes_up_shards(tmp_path, folder):
    prepare_shard(folder, tmp_path / "data", SMALL, Shard(1, 2))
    FakeDetector.photos_seen = 0
    prepare_photos(folder, tmp_path / "data", SMALL)
    assert 0 < FakeDetector.photos_seen <= 15 + 4 * 3, "those of the other shard alone"
    prepare_photos(folder, tmp_path / "once", SMALL)
    assert every_file(tmp_path / "data") == every_file(tmp_path / "once")


@pytest.mark.parametrize(
    ("setting", "value", "line"),
    [
        ("size", (32, 32), "made with --size [64, 48]"),
        ("min_photos", 2, "made with --min-photos 3"),
        ("face", "largest", "made with --face centre"),
    ],
)
def test_shards_of_other_settings_are_neither_joined_nor_lost(tmp_path, folder, setting, value, line):
    prepare_shard(folder, tmp_path / "data", SMALL, Shard(1, 2))
    before = every_file(tmp_path / "data")
    other = replace(SMALL, **{setting: value})
    for call in (
        lambda: prepare_shard(folder, tmp_path / "data", other, Shard(2, 2)),
        lambda: prepare_photos(folder, tmp_path / "data", other, merge=True),
        lambda: prepare_photos(folder, tmp_path / "data", other),
    ):
        said = refusal(UsageError, call)
        assert said.startswith(f"{tmp_path}/data holds shards {line}: give what they were made with")
    assert every_file(tmp_path / "data") == before
    prepare_shard(folder, tmp_path / "data", other, Shard(2, 2), force=True)
    prepare_shard(folder, tmp_path / "data", other, Shard(1, 2))
    assert prepare_photos(folder, tmp_path / "data", other, merge=True).dataset.people


def test_what_only_the_joining_asks_may_differ(tmp_path, folder):
    for number in (1, 2):
        prepare_shard(folder, tmp_path / "data", replace(SMALL, split_seed=number), Shard(number, 2))
    prepare_photos(folder, tmp_path / "data", replace(SMALL, split_seed=5), merge=True)
    prepare_photos(folder, tmp_path / "once", replace(SMALL, split_seed=5))
    assert every_file(tmp_path / "data") == every_file(tmp_path / "once")


def test_a_changed_folder_of_photos_is_refused(tmp_path, folder):
    prepare_shard(folder, tmp_path / "data", SMALL, Shard(1, 2))
    first = folder / "ann/001.png"
    os.utime(first, ns=(1, 1))
    merge = lambda: prepare_photos(folder, tmp_path / "data", SMALL, merge=True)  # noqa: E731
    assert "made of photos with other times: copy photos with their times" in refusal(UsageError, merge)
    draw(folder / "ann/new.png", 99)
    assert "made of other photos; since then 1 new (ann/new.png)" in refusal(UsageError, merge)
    first.write_bytes(first.read_bytes() + b" ")
    (folder / "bob/000.png").unlink()
    line = refusal(UsageError, lambda: prepare_shard(folder, tmp_path / "data", SMALL, Shard(2, 2)))
    assert "1 new (ann/new.png), 1 gone (bob/000.png), 1 changed (ann/001.png)" in line


def test_a_damaged_record_is_no_traceback(tmp_path, folder):
    prepare_shard(folder, tmp_path / "data", SMALL, Shard(1, 2))
    (record,) = (tmp_path / "data/partial").rglob("shard-*.json")
    record.write_text("[")
    line = refusal(
        UsageError, lambda: prepare_photos(folder, tmp_path / "data", replace(SMALL, min_photos=2))
    )
    assert "holds shards made of other photos or with other settings: give" in line


def test_shards_of_another_version_are_refused(tmp_path, folder, monkeypatch):
    prepare_shard(folder, tmp_path / "data", SMALL, Shard(1, 2))
    monkeypatch.setattr(searching, "METHOD", "a later one")
    line = refusal(UsageError, lambda: prepare_shard(folder, tmp_path / "data", SMALL, Shard(2, 2)))
    assert "holds shards made by another version of pdsn" in line


def test_what_is_recorded(tmp_path, folder):
    for shard in (Shard(2, 3), Shard(1, 3)):
        prepare_shard(folder, tmp_path / "data", SMALL, shard)
    (chunks,) = (tmp_path / "data/partial").iterdir()
    assert recorded(chunks) == [Shard(1, 3), Shard(2, 3)]
    assert {photo.file for photo in read_listing(chunks)} >= {"ann/000.png", "dee/000.png"}


def test_a_share_of_the_chunks():
    assert [Shard(number, 3).chunks(7) for number in (1, 2, 3)] == [[0, 3, 6], [1, 4], [2, 5]]
    assert Shard(5, 8).chunks(3) == [] and Shard.parse(" 3/8 ") == Shard(3, 8) and str(Shard(3, 8)) == "3/8"


@pytest.mark.parametrize("text", ["", "3", "0/8", "9/8", "3/0", "-1/8", "1/2/3", "a/b", "1/99999", "٣/٨"])
def test_what_is_no_share(text):
    line = refusal(UsageError, lambda: Shard.parse(text))
    assert line == f"--shard {text} is no share: give one such as 3/8, of 1/8 to 8/8"
