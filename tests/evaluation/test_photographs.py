"""Photographs to enrol and to ask about: who counts, who is left out, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pdsn.data.settings import PrepareConfig
from pdsn.errors import PdsnError, UsageError
from pdsn.evaluation.photographs import Listed, read_photographs
from tests.people.photos import PlainDetector, save_photo

CROP = PrepareConfig(size=(64, 48))


def face(person: int, photo: int) -> np.ndarray:
    rng = np.random.default_rng((person, photo))
    return rng.integers(100, 250, (64, 48, 3)).astype(np.uint8)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three enrolled people, two rows of probes; Dan is asked about and not enrolled."""
    for person, name in enumerate(("Ann", "Bob", "Cid")):
        for photo in range(2):
            save_photo(tmp_path / f"known/{name}/{photo}.png", face(person, photo))
    for person, name in enumerate(("Ann", "Bob", "", "Dan")):
        if name:
            save_photo(tmp_path / f"masked/{name}/9.png", face(person, 9))
    save_photo(tmp_path / "bare/Cid/7.png", face(2, 7))
    save_photo(tmp_path / "bare/Ann/7.png", face(0, 7))
    return tmp_path


def read(folders: Path, *rows: str):
    listed = Listed.of(folders / "known", [folders / row for row in rows])
    told: list[int] = []
    found = read_photographs(listed, CROP, PlainDetector(), told.append)
    assert sum(told) == listed.count
    return listed, found


def test_each_folder_of_probes_is_a_row_and_strangers_are_left_out(folders):
    listed, found = read(folders, "masked", "bare")
    assert listed.unknown == ["Dan"] and found.dataset.people == ["Ann", "Bob", "Cid"]
    assert len(found.enrolment.gallery) == 6 and found.enrolment.left_out == 1
    files = {
        name: [found.dataset.files[row] for row in found.enrolment.asked(name)] for name in ("masked", "bare")
    }
    assert files == {
        "masked": ["masked/Ann/9.png", "masked/Bob/9.png"],
        "bare": ["bare/Ann/7.png", "bare/Cid/7.png"],
    }
    whose = [found.dataset.people[found.dataset.labels[row]] for row in found.enrolment.asked("bare")]
    assert whose == ["Ann", "Cid"]
    probes = found.make_probes("masked", None)
    assert probes.exact is None and probes.found.all() and tuple(probes.faces.shape) == (2, 3, 64, 48)
    # The face is cut out of the photo.
    assert abs(probes.faces[1].float().mean() - face(1, 9).mean()) < 5


def test_a_probe_without_a_face_stays_as_an_error_and_a_gallery_photo_without_one_is_not_enrolled(folders):
    save_photo(folders / "masked/Bob/8.png")
    save_photo(folders / "known/Cid/2.png")
    _, found = read(folders, "masked")
    assert len(found.enrolment.gallery) == 6
    rows = found.enrolment.asked("masked")
    assert dict(zip((found.dataset.files[row] for row in rows), found.found[rows].tolist(), strict=True)) == {
        "masked/Ann/9.png": True, "masked/Bob/8.png": False, "masked/Bob/9.png": True,
    }  # fmt: skip
    assert [file for file, _ in found.without_face] == ["known/Cid/2.png", "masked/Bob/8.png"]
    assert not found.make_probes("masked", None).faces[1].any()


def test_whoever_shows_no_face_in_the_gallery_is_not_enrolled_and_not_asked_about(folders):
    save_photo(folders / "known/Eve/1.png")
    save_photo(folders / "masked/Eve/1.png", face(9, 1))
    _, found = read(folders, "masked")
    assert found.dataset.people == ["Ann", "Bob", "Cid"] and len(found.enrolment.asked("masked")) == 2
    assert found.enrolment.left_out == 2, "Dan and Eve"


def test_copies_of_a_gallery_photo_are_left_out(folders):
    (folders / "masked/Ann/copy.png").write_bytes((folders / "known/Ann/1.png").read_bytes())
    _, found = read(folders, "masked")
    assert list(found.twins) == ["masked/Ann/copy.png"]
    assert len(found.enrolment.asked("masked")) == 2 and found.enrolment.left_out == 2


def test_other_photos_have_another_fingerprint(folders):
    before = Listed.of(folders / "known", [folders / "masked"]).fingerprint
    save_photo(folders / "masked/Bob/8.png", face(1, 8))
    assert Listed.of(folders / "known", [folders / "masked"]).fingerprint != before


def test_what_cannot_be_a_question_is_refused(folders, tmp_path):
    known = folders / "known"
    with pytest.raises(UsageError, match="is the --gallery: each photo would find itself"):
        Listed.of(known, [folders / "masked", known])
    save_photo(folders / "other/masked/Ann/1.png", face(0, 3))
    with pytest.raises(UsageError, match="two folders are called masked"):
        Listed.of(known, [folders / "masked", folders / "other/masked"])
    save_photo(folders / "strangers/Eve/1.png", face(9, 3))
    with pytest.raises(
        UsageError, match=r"nobody there \(Eve …\) has a folder of the same name in --gallery"
    ):
        Listed.of(known, [folders / "strangers"])
    save_photo(folders / "alone/Ann/1.png", face(0, 3))
    with pytest.raises(UsageError, match="holds one person"):
        Listed.of(folders / "alone", [folders / "masked"])
    with pytest.raises(PdsnError, match="no such folder"):
        Listed.of(known, [folders / "nowhere"])
    listed = Listed.of(known, [folders / "masked"])
    with pytest.raises(UsageError, match="shows no face in any photo: no face found"):
        read_photographs(listed, CROP, PlainDetector(min_face=10_000), lambda count: None)
