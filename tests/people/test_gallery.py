"""Enrolling people: whom a folder gives, and what is left out and why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdsn.calibration.strangers import Strangers
from pdsn.data.crop import crop_settings
from pdsn.data.dataset import FaceDataset
from pdsn.data.template import template
from pdsn.errors import PdsnError, UsageError
from pdsn.people.gallery import Gallery, own_gallery, read_gallery
from pdsn.people.photo import search_photo
from tests.conftest import make_dataset
from tests.people.photos import PlainDetector, save_photo


def read(folder: Path, dataset: FaceDataset) -> Gallery:
    return read_gallery(folder, crop_settings(dataset), PlainDetector())


@pytest.fixture
def people(dataset: FaceDataset, tmp_path: Path) -> Path:
    """Ann and Bob, with one photo and two."""
    save_photo(tmp_path / "team/Ann/1.png", dataset.faces[0])
    save_photo(tmp_path / "team/Bob/1.png", dataset.faces[12])
    save_photo(tmp_path / "team/Bob/deeper/2.png", dataset.faces[13])
    return tmp_path / "team"


def test_a_folder_per_person(people, dataset):
    gallery = read(people, dataset)
    assert gallery.people == ["Ann", "Bob"]
    assert gallery.labels.tolist() == [0, 1, 1]
    assert gallery.files == ["Ann/1.png", "Bob/1.png", "Bob/deeper/2.png"]
    assert (gallery.skipped, gallery.left_out) == ([], [])
    assert tuple(gallery.faces.shape) == (3, 3, *dataset.size)
    # The crop is the face that was pasted: aligned as the run's own faces are.
    wanted = dataset.tensor([0, 12, 13]).float()
    assert (gallery.faces.float() - wanted).abs().mean() < 12


def test_what_cannot_be_used_is_skipped_with_its_reason(people, dataset):
    (people / "Ann/broken.jpg").write_text("no photo")
    save_photo(people / "Ann/empty.png")
    shutil.copy(people / "Bob/1.png", people / "Bob/again.png")
    (people / "Cid").mkdir()
    save_photo(people / "Dan/nobody.png")
    seen = []
    gallery = read_gallery(
        people, crop_settings(dataset), PlainDetector(), on_progress=lambda *now: seen.append(now)
    )
    assert gallery.people == ["Ann", "Bob"]
    assert (
        gallery.skipped
        == [
            ("Ann/broken.jpg", "cannot be read: not an image"),
            ("Ann/empty.png", "no face found"),
            ("Bob/again.png", "duplicate of Bob/1.png"),
            ("Dan/nobody.png", "no face found"),
        ]
        or ("Bob/1.png", "duplicate of Bob/again.png") in gallery.skipped
    )
    assert gallery.left_out == ["Cid", "Dan"]
    assert seen == [(7, 7)]
    said = gallery.as_dict()
    assert (said["people"], said["photos"], said["left_out"]) == (2, 3, ["Cid", "Dan"])


def test_of_several_faces_the_clearly_largest_is_enrolled_and_noted(people, dataset):
    subject, other = dataset.faces[1], dataset.faces[30]
    save_photo(people / "Ann/2.png", other, subject, scale=[1, 2])
    save_photo(people / "Ann/3.png", subject, other, scale=[2, 2])
    save_photo(people / "Cid/1.png", other, subject, scale=[3, 4])
    gallery = read(people, dataset)
    assert gallery.people == ["Ann", "Bob"] and gallery.left_out == ["Cid"]
    unclear = "shows 2 faces of much the same size, crop it to the person"
    assert gallery.skipped == [("Ann/3.png", unclear), ("Cid/1.png", unclear)]
    assert gallery.notes == [("Ann/2.png", "shows 2 faces: the largest is enrolled")]
    assert gallery.as_dict()["notes"] == [{"photo": "Ann/2.png", "note": gallery.notes[0][1]}]
    enrolled = gallery.faces[gallery.files.index("Ann/2.png")].float()
    assert (enrolled - dataset.tensor([1])[0].float()).abs().mean() < 12


class WidePhotos(PlainDetector):
    """Finds faces in photos that are wider than high alone."""

    def __call__(self, photos):
        return [
            found if photo.shape[1] > photo.shape[0] else []
            for photo, found in zip(photos, super().__call__(photos), strict=True)
        ]


def test_a_photo_on_its_side_is_enrolled_and_searched_as_it_stands(people, dataset):
    upright = read(people, dataset)
    path = people / "Ann/1.png"
    pixels = np.asarray(Image.open(path))
    whole = search_photo(path, crop_settings(dataset), WidePhotos())
    Image.fromarray(np.rot90(pixels, -1)).save(path)
    gallery = read_gallery(people, crop_settings(dataset), WidePhotos())
    assert gallery.files == upright.files
    np.testing.assert_array_equal(gallery.faces, upright.faces)
    lying = search_photo(path, crop_settings(dataset), WidePhotos())
    (face,), (wanted,) = lying.faces, whole.faces
    np.testing.assert_array_equal(face.crop, wanted.crop)
    # Picture and box are those of the photo as it lies: of the crop's frame nothing is seen.
    assert lying.pixels.shape[:2] == whole.pixels.shape[1::-1]
    left, top, right, bottom = face.box.astype(int)
    a, b, c, d = wanted.box.astype(int)
    np.testing.assert_array_equal(np.rot90(lying.pixels[top:bottom, left:right]), pixels[b:d, a:c])
    assert (face.as_dict()["turn"], wanted.as_dict()["turn"]) == (90, 0)


def test_every_file_is_listed_with_its_reason(people, dataset):
    (people / "Ann/1.png").rename(people / "Ann/IMG_0001")
    (people / "Bob/list.txt").write_text("no photo")
    (people / "Cid").mkdir()
    (people / "Cid/list.txt").write_text("no photo")
    gallery = read(people, dataset)
    assert gallery.files[0] == "Ann/IMG_0001" and gallery.left_out == ["Cid"]
    why = "not a photo by its name or content"
    assert gallery.skipped == [("Bob/list.txt", why), ("Cid/list.txt", why)]


def test_folders_of_a_file_server_are_nobody(people, dataset):
    save_photo(people / "#recycle/1.png", dataset.faces[24])
    save_photo(people / "Ann/@eaDir/1.png/SYNOPHOTO_THUMB_XL.png", dataset.faces[25])
    (people / "lost+found").mkdir()
    gallery = read(people, dataset)
    assert (gallery.people, gallery.left_out, len(gallery.files)) == (["Ann", "Bob"], [], 3)


NAME, NAME_OF_A_MAC = "Zo\u00eb", "Zoe\u0308"


@pytest.mark.parametrize("written", [NAME, NAME_OF_A_MAC])
def test_a_name_is_the_same_person_in_either_unicode_form(tmp_path, dataset, written):
    """A folder named by a Mac, and a data set that an older pdsn made of one."""
    other = NAME if written == NAME_OF_A_MAC else NAME_OF_A_MAC
    save_photo(tmp_path / "team" / written / "1.png", dataset.faces[0])
    gallery = read(tmp_path / "team", dataset)
    manifest = make_dataset(tmp_path / "set").root / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("person_00,", f"{other},"), encoding="utf-8")
    old = FaceDataset.load(tmp_path / "set")
    assert gallery.people == [NAME] and NAME in old.people
    assert NAME in Strangers.of(old).names, "whoever is in the gallery is no stranger to it"
    assert NAME in own_gallery(old).people and NAME in read(tmp_path / "set", dataset).people
    assert gallery.files == [f"{written}/1.png"], "the file is named as it is on disk"
    (tmp_path / "team" / other).mkdir()
    assert read(tmp_path / "team", dataset).left_out == [], "one person, with a photo"


def test_one_person_is_enough(people, dataset):
    shutil.rmtree(people / "Bob")
    assert read(people, dataset).people == ["Ann"]


def test_nobody_at_all(tmp_path, dataset, people):
    with pytest.raises(PdsnError, match="no such folder"):
        read(tmp_path / "nowhere", dataset)
    (tmp_path / "void").mkdir()
    with pytest.raises(PdsnError, match="holds nothing: put the photos of each person in a folder"):
        read(tmp_path / "void", dataset)
    save_photo(tmp_path / "loose/a.png", dataset.faces[0])
    with pytest.raises(PdsnError, match="1 photo but no sub-folder with photos"):
        read(tmp_path / "loose", dataset)
    with pytest.raises(PdsnError, match="is a file"):
        read(people / "Ann/1.png", dataset)
    save_photo(tmp_path / "faceless/Ann/1.png")
    with pytest.raises(PdsnError, match=r"none of its 1 photos can be used \(Ann/1.png: no face found\)"):
        read(tmp_path / "faceless", dataset)


def test_a_run_directory_is_no_gallery(people, dataset):
    (people / "run.json").write_text("{}")
    with pytest.raises(UsageError, match="is a run directory: give a folder that holds a folder of photos"):
        read(people, dataset)


def test_a_prepared_data_set_of_the_same_crops_is_one(tmp_path, dataset):
    same = make_dataset(tmp_path / "same", people=3, photos=4, seed=5)
    gallery = read(tmp_path / "same", dataset)
    assert len(gallery.files) == 12 and gallery.people == same.people
    np.testing.assert_array_equal(gallery.faces, same.tensor(np.arange(12)))
    make_dataset(tmp_path / "other", people=2, photos=4, size=(72, 54))
    with pytest.raises(UsageError, match="holds faces of 72x54 aligned by similarity, the run's are 64x48"):
        read(tmp_path / "other", dataset)


def test_a_prepared_data_set_on_another_template_is_refused(tmp_path, dataset):
    moved = (template(dataset.size) + np.array([0.0, 4.0])).tolist()
    make_dataset(tmp_path / "moved", people=2, photos=4)
    about = json.loads((tmp_path / "moved/dataset.json").read_text())
    about["settings"]["template"] = moved
    (tmp_path / "moved/dataset.json").write_text(json.dumps(about))
    with pytest.raises(UsageError, match=r"on a template 4\.0 px away from the run's"):
        read(tmp_path / "moved", dataset)


def test_own_people_are_the_training_photos(dataset):
    gallery = own_gallery(dataset)
    rows = dataset.rows("train")
    assert gallery.files == [dataset.files[row] for row in rows]
    assert [gallery.people[label] for label in gallery.labels] == [
        dataset.people[label] for label in dataset.labels[rows]
    ]


def test_crops_follow_the_data_set(dataset):
    made = crop_settings(dataset)
    assert (made.size, made.align, made.min_face) == ((64, 48), "similarity", 40)
    assert crop_settings(dataset, 20).min_face == 20
    with pytest.raises(UsageError, match=r"\[prepare\] min_face = 3"):
        crop_settings(dataset, 3)
