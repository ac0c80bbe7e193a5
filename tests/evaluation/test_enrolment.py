"""Who is enrolled and who is asked about, by photo and by person."""

from dataclasses import replace

import numpy as np
import pytest

from pdsn.data.dataset import FaceDataset
from pdsn.errors import PdsnError
from pdsn.evaluation.enrolment import Enrolment
from tests.conftest import make_dataset


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> FaceDataset:
    """Fourteen people with eight photos each: nine to train on, two to validate, three to test."""
    return make_dataset(tmp_path_factory.mktemp("many"), people=14, photos=8)


def test_by_photo_the_training_photos_are_the_gallery(dataset):
    made = Enrolment.by_photo(dataset, "val")
    assert np.array_equal(made.gallery, dataset.rows("train"))
    assert np.array_equal(made.probes, dataset.rows("val")) and made.left_out == 0


def test_by_photo_without_anybody_of_the_gallery(dataset):
    with pytest.raises(PdsnError, match="the test split holds nobody of the gallery"):
        Enrolment.by_photo(replace(dataset, split=np.full(len(dataset.files), "train")), "test")


@pytest.mark.parametrize(("split", "people"), [("test", 3), ("val", 2)])
def test_by_person_some_photos_of_each_are_enrolled_and_the_others_asked(many, split, people):
    made = Enrolment.by_person(many, split, 3)
    assert sorted([*made.gallery, *made.probes]) == many.rows(split, by="person").tolist()
    assert made.left_out == 0
    counts = np.bincount(many.labels[made.gallery])
    assert sorted(counts[counts > 0]) == [3] * people
    assert (np.diff(made.gallery) > 0).all() and (np.diff(made.probes) > 0).all()


def test_by_person_nobody_of_the_training_people_is_in_it(many):
    made = Enrolment.by_person(many, "test", 5)
    trained = set(many.training_people().people)
    asked = {many.people[label] for label in many.labels[[*made.gallery, *made.probes]]}
    assert len(trained) == 9 and len(asked) == 3 and not trained & asked


def test_the_split_seed_chooses_who_is_enrolled(many):
    one, same, other = (
        Enrolment.by_person(replace(many, split_seed=seed), "test", 3).gallery.tolist() for seed in (0, 0, 1)
    )
    assert one == same != other


def test_people_without_a_photo_to_ask_about_are_left_out(many):
    few = many.rows("test", by="person")[:5]  # five of the eight photos of the first of them
    kept = replace(
        many, person_split=np.where(np.isin(np.arange(len(many.files)), few[:3]), "", many.person_split)
    )
    made = Enrolment.by_person(kept, "test", 5)
    assert made.left_out == 5 and not np.isin(few[3:], [*made.gallery, *made.probes]).any()


def test_by_person_it_takes_two_to_tell_apart(dataset, many):
    with pytest.raises(PdsnError, match="holds 0 people with more than 8 photos"):
        Enrolment.by_person(many, "test", 8)
    with pytest.raises(PdsnError, match="holds 1 people with more than 5 photos, too few to tell apart"):
        Enrolment.by_person(dataset, "test", 5)
