"""The embedded people: drawn the same every time, told apart by every part of the face and by nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from pdsn.data.dataset import FaceDataset
from pdsn.data.splits import split_photos
from pdsn.data.template import template
from pdsn.drawn.dataset import draw_dataset, draw_people, draw_person, draw_photo, photo_of
from pdsn.drawn.people import Person
from pdsn.drawn.random_person import INHERITED
from pdsn.errors import UsageError

SIZE = (32, 24)
PEOPLE, PHOTOS = 12, 28
CHANCE = 1 / PEOPLE
BANDS = {"forehead": (0, 11), "eyes": (11, 18), "nose": (18, 23), "mouth": (23, 28), "chin": (28, 32)}
"""Rows of a 32 pixel high crop."""


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> FaceDataset:
    """A small data set that all tests look at."""
    return draw_dataset(tmp_path_factory.mktemp("crowd"), people=PEOPLE, photos=PHOTOS, size=SIZE)


def nearest(dataset: FaceDataset, pixels: np.ndarray) -> float:
    """Rank-1 of the nearest neighbour (L2) of the test photos among the training photos."""
    flat = pixels.reshape(len(pixels), -1).astype(np.float64)
    gallery, probes = dataset.rows("train"), dataset.rows("test")
    far = (flat[gallery] ** 2).sum(1) - 2 * flat[probes] @ flat[gallery].T
    return float(np.mean(dataset.labels[gallery][far.argmin(1)] == dataset.labels[probes]))


def test_it_is_a_data_set(crowd: FaceDataset) -> None:
    assert crowd.faces.shape == (PEOPLE * PHOTOS, *SIZE, 3)
    assert crowd.people == [f"person_{index:03d}" for index in range(PEOPLE)]
    assert crowd.files[PHOTOS + 3] == "person_001/person_001_0003.png"
    assert crowd.settings["source"] == "synthetic"
    assert FaceDataset.load(crowd.root).sha256 == crowd.sha256


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    first, again, other = (
        draw_dataset(tmp_path / name, people=2, photos=3, size=SIZE, seed=seed)
        for name, seed in (("first", 4), ("again", 4), ("other", 5))
    )
    assert first.sha256 == again.sha256
    assert first.sha256 != other.sha256


def test_photo_depends_on_nothing_but_its_numbers(crowd: FaceDataset) -> None:
    person = list(draw_people(6))[5]
    pixels, landmarks = photo_of(person, 5, 7, SIZE)
    np.testing.assert_array_equal(crowd.faces[5 * PHOTOS + 7], pixels)
    np.testing.assert_allclose(crowd.landmarks[5 * PHOTOS + 7], landmarks, atol=1e-3)


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    draw_dataset(
        tmp_path,
        people=2,
        photos=2,
        size=(16, 16),
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_person_comes_from_the_generator_alone() -> None:
    assert draw_person(np.random.default_rng(3)) == draw_person(np.random.default_rng(3))
    assert draw_person(np.random.default_rng(3)) != draw_person(np.random.default_rng(4))


def test_siblings_share_parts_but_not_across_sexes() -> None:
    first = draw_person(np.random.default_rng(0), sex=1.0)
    twin = draw_person(np.random.default_rng(1), sex=1.0, sibling=first, likeness=1.0)
    sister = draw_person(np.random.default_rng(2), sex=0.0, sibling=first, likeness=1.0, alike=False)
    assert [getattr(twin, part) for part in INHERITED] == [getattr(first, part) for part in INHERITED]
    assert sister.nose == first.nose
    assert sister.hair != first.hair
    assert sister.beard.jaw == 0


def test_people_are_many_and_balanced() -> None:
    people = list(draw_people(40))
    assert len({repr(person) for person in people}) == 40
    brightness = np.sort([np.mean(person.skin.tone) for person in people])
    assert brightness[0] < 0.35
    assert brightness[-1] > 0.75
    assert 5 <= sum(person.beard.chin > 0 for person in people) <= 25
    assert len({person.hair.texture for person in people}) >= 3


@pytest.mark.parametrize("size", [(32, 24), (64, 48), (128, 96), (112, 112)])
def test_landmarks_lie_around_the_template(size: tuple[int, int]) -> None:
    person = draw_person(np.random.default_rng(1))
    found = np.stack([draw_photo(person, size, np.random.default_rng((9, shot)))[1] for shot in range(12)])
    unit = np.ptp(template(size)[:2, 0])
    assert found.dtype == np.float32
    assert np.abs(found.mean(0) - template(size)).max() < 0.15 * unit
    assert 0.01 * unit < found.std(0).mean() < 0.12 * unit


def test_landmarks_fit_the_drawing() -> None:
    """The dark of iris and pupil lies at the eyes' landmarks, the darker lips between the mouth's."""
    size = (128, 96)
    darker, redder = [], []
    for index, person in enumerate(draw_people(8)):
        for photo in range(4):
            pixels, landmarks = photo_of(person, index, photo, size)
            grey = pixels.astype(float).mean(2)
            red = pixels[..., 0].astype(float) - pixels[..., 1]
            below = np.array([0, 13])
            eyes = np.mean([patch(grey, landmarks[eye], 2) for eye in (0, 1)])
            darker.append(np.mean([patch(grey, landmarks[eye] + below, 2) for eye in (0, 1)]) - eyes)
            redder.append(
                patch(red, landmarks[3:].mean(0) + below / 6, 3) - patch(red, landmarks[2] - [0, 12], 3)
            )
    assert np.mean(np.array(darker) > 0) > 0.85
    assert np.mean(darker) > 15
    assert np.mean(redder) > 3


def patch(values: np.ndarray, place: np.ndarray, reach: int) -> float:
    """Mean of the square around a place (x, y)."""
    column, row = np.round(place).astype(int)
    return float(values[row - reach : row + reach + 1, column - reach : column + reach + 1].mean())


def test_landmarks_do_not_move_with_size() -> None:
    person = draw_person(np.random.default_rng(1))
    small = draw_photo(person, (64, 48), np.random.default_rng(2))
    large = draw_photo(person, (256, 192), np.random.default_rng(2))
    np.testing.assert_allclose(small[1] * 4, large[1], atol=1e-3)
    reduced = large[0].reshape(64, 4, 48, 4, 3).mean((1, 3))
    assert np.abs(reduced - small[0]).mean() < 14


def test_raw_pixels_know_the_people_a_little(crowd: FaceDataset) -> None:
    assert 2 * CHANCE < nearest(crowd, np.asarray(crowd.faces)) < 0.75


@pytest.mark.parametrize("band", BANDS)
def test_every_part_of_the_face_tells_who_it_is(crowd: FaceDataset, band: str) -> None:
    top, bottom = BANDS[band]
    pixels = crowd.faces[:, top:bottom].reshape(len(crowd.faces), -1) / 255.0
    train, test = crowd.rows("train"), crowd.rows("test")
    model = RidgeClassifier(alpha=5.0).fit(pixels[train], crowd.labels[train])
    assert model.score(pixels[test], crowd.labels[test]) > 2 * CHANCE


def test_background_tells_nothing(crowd: FaceDataset) -> None:
    """The corners show a wall that changes with every photo, but where hair reaches them."""
    corners = np.concatenate([crowd.faces[:, :2, :2], crowd.faces[:, :2, -2:]], axis=2)
    assert nearest(crowd, corners) < 2.5 * CHANCE


def test_mirror_image_keeps_most_of_a_person(crowd: FaceDataset) -> None:
    """Training flips photos: a model of the photos finds the people in their mirror images too."""
    faces = crowd.faces.reshape(len(crowd.faces), -1) / 255.0
    mirrored = crowd.faces[:, :, ::-1].reshape(len(crowd.faces), -1) / 255.0
    train, test = crowd.rows("train"), crowd.rows("test")
    model = RidgeClassifier(alpha=5.0).fit(faces[train], crowd.labels[train])
    assert model.score(mirrored[test], crowd.labels[test]) > 3 * CHANCE


def test_default_size_holds_enough_test_photos() -> None:
    people = [f"person_{index:03d}" for index in range(40) for _ in range(90)]
    tested = [name for name, split in zip(people, split_photos(people, 0), strict=True) if split == "test"]
    assert len(tested) >= 500
    assert len(set(tested)) >= 32


@pytest.mark.parametrize("asked", [{"people": 0}, {"photos": 0}, {"size": (8, 8)}])
def test_refuses_what_cannot_be_drawn(tmp_path: Path, asked: dict) -> None:
    with pytest.raises(UsageError):
        draw_dataset(tmp_path / "none", **asked)
    assert not (tmp_path / "none").exists()


def test_person_is_frozen() -> None:
    person: Person = draw_person(np.random.default_rng(0))
    with pytest.raises(AttributeError):
        person.nose = person.nose  # type: ignore[misc]
