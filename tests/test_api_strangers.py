"""Thresholds from the people of a folder, and how well thresholds fit the photos of those who are enrolled."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pdsn import api
from pdsn.api import load_run
from pdsn.calibration.mistaken import Mistaken
from pdsn.errors import PdsnError, UsageError
from pdsn.people import gallery
from tests.people.photos import PlainDetector, save_photo
from tests.test_api import TEN, dataset, others, team, trained

__all__ = ["dataset", "others", "team", "trained"]


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "Detector", PlainDetector)


def opened(trained: Path, strangers: Path | None = None) -> api.Run:
    return load_run(trained, occlusion_source="none", device="cpu", precision="fp32", strangers=strangers)


@pytest.fixture(scope="module")
def door(others: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the four who are not in the team, three photos each."""
    root = tmp_path_factory.mktemp("door")
    for row in range(30, 42):
        save_photo(root / f"stranger_{row // 3}" / f"{row}.png", others[row])
    return root


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six people who differ by noise alone, four photos each."""
    root, rng = tmp_path_factory.mktemp("alike"), np.random.default_rng(5)
    pattern = np.kron(rng.uniform(30, 225, (8, 6, 3)), np.ones((8, 8, 1)))
    for person in range(6):
        for photo in range(4):
            face = np.clip(pattern + rng.normal(0, 4, pattern.shape), 0, 255).astype(np.uint8)
            save_photo(root / f"twin_{person}" / f"{photo}.png", face)
    return root


def test_the_threshold_is_what_the_nearest_of_twelve_strangers_scores(trained, team, door):
    told: list[tuple[int, int]] = []
    before = opened(trained).enrol(team).identify(door / "stranger_10/30.png", fpr=0.1).faces[0]
    run = opened(trained)
    run.take_strangers(door, on_progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (12, 12) and run.strangers == f"--strangers {door}"
    people = run.enrol(team)
    assert people.finest_fpr == pytest.approx(1 / 13, abs=1e-6)
    answers = [people.identify(path, fpr=0.1).faces[0] for path in sorted(door.rglob("*.png"))]
    assert len(answers) == 12 and {one.impostors for one in answers} == {12}
    assert answers[0].threshold == pytest.approx(max(one.cosine for one in answers), abs=1e-4)
    assert answers[0].cosine == pytest.approx(before.cosine, abs=1e-6)
    assert answers[0].threshold != before.threshold


def test_what_is_kept_of_one_folder_is_not_taken_for_anothers(trained, team, door, alike):
    photo = door / "stranger_10/30.png"

    def threshold(strangers: Path | None) -> float:
        return opened(trained, strangers).enrol(team).identify(photo, fpr=0.1).faces[0].threshold

    asked = [None, door, alike]
    first = [threshold(one) for one in asked]
    assert len({round(one, 4) for one in first}) == 3
    assert [threshold(one) for one in asked] == first


def test_whoever_is_enrolled_is_asked_about_without_the_own_photos(trained, team):
    people = opened(trained, team).enrol(team)
    (face,) = people.identify(team / TEN[0] / "0.png", fpr=0.05)
    # Each of the photos would score 1, to itself, and nothing would pass a threshold of 1.
    assert face.cosine == pytest.approx(1, abs=1e-5) and face.impostors == 20
    assert face.person == TEN[0]


def test_pairs_of_photos_are_compared_with_pairs_of_the_folder(trained, door, others, tmp_path):
    a, b = (save_photo(tmp_path / f"{n}.png", others[n]) for n in range(2))
    answer = opened(trained, door).verify(a, b, fpr=0.05)
    assert answer.impostors == 12 * 11 // 2 - 4 * 3 and answer.same


def test_too_few_strangers_are_named_by_their_folder(trained, team, door, tmp_path):
    people = opened(trained, door).enrol(team)
    with pytest.raises(
        UsageError, match=rf"too small to be told by 12 photos of strangers \(--strangers {door}"
    ):
        people.check_fpr(0.01)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PdsnError, match="holds nothing"):
        opened(trained, tmp_path / "empty")


def test_photos_that_pass_for_somebody_else_are_counted(trained, team, alike, tmp_path):
    run = opened(trained)
    found = run.enrol(alike).mistaken(0.05)
    assert found == Mistaken(photos=24, passing=24, people=6, fpr=0.05) and found.too_many
    assert not run.enrol(team).mistaken(0.05).too_many
    store = run.people(tmp_path / "store", create=True)
    store.enrol(alike, accept_poor=True)
    assert store.mistaken(0.05) == found
    with pytest.raises(UsageError, match="the run's own strangers are in use already: load the run anew"):
        run.take_strangers(alike)
    mended = opened(trained, alike)
    found = mended.enrol(alike).mistaken(0.05)
    assert found.photos == 24 and found.passing <= 1


def test_photos_of_which_no_region_counts_as_covered_are_asked_about(trained, alike, tmp_path, monkeypatch):
    run = opened(trained)
    monkeypatch.setattr(run, "_cover", one_pixel)
    store = run.people(tmp_path / "store", create=True)
    store.enrol(alike, accept_poor=True)
    assert store.mistaken(0.05).photos == 24


def one_pixel(faces: torch.Tensor) -> torch.Tensor:
    """A pixel of each face is covered, which is no region."""
    covered = torch.zeros((len(faces), *faces.shape[2:]), dtype=torch.bool)
    covered[:, 20, 20] = True
    return covered


def test_of_many_strangers_some_are_read(trained, door, monkeypatch):
    monkeypatch.setattr(gallery, "MOST_STRANGERS", 6)
    told: list[tuple[int, int]] = []
    run = opened(trained)
    run.take_strangers(door, on_progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (6, 6) and len(run._strangers) == 6 and len(set(run._strangers.names)) == 4


def test_of_a_prepared_data_set_as_many_are_read(trained, dataset, monkeypatch):
    monkeypatch.setattr(gallery, "MOST_STRANGERS", 6)
    run = opened(trained, dataset.root)
    assert len(run._strangers) == 6 and len(set(run._strangers.names)) == 6


def test_how_far_the_look_at_a_folders_people_is_begins_at_none(trained, door):
    shutil.rmtree(trained / "cache", ignore_errors=True)
    told: list[tuple[int, int]] = []
    opened(trained, door).get_ready(on_progress=lambda done, total: told.append((done, total)))
    assert told == [(12, 12)], "twelve photos, free as they are, and no maps before them"


def test_no_maps_of_a_folders_people_are_kept(trained, team, door, tmp_path):
    bare = Path(shutil.copytree(trained, tmp_path / "run", ignore=shutil.ignore_patterns("cache")))
    opened(bare, door).enrol(team).identify(door / "stranger_10/30.png", fpr=0.1)
    assert {path.name.partition("-")[0] for path in (bare / "cache").iterdir()} == {"scores", "strangers"}


def test_few_who_pass_are_no_sign():
    scores, people = np.linspace(0, 1, 100), np.arange(100) // 10
    assert Mistaken.of(scores, people, 0.975, 0.01) == Mistaken(100, 3, 1, 0.01)
    assert not Mistaken(100, 40, 2, 0.01).too_many  # two names of one person
    assert not Mistaken(100, 3, 3, 0.01).too_many
    assert Mistaken(100, 4, 3, 0.01).too_many


def test_one_person_alone_passes_for_nobody(trained, others, tmp_path):
    save_photo(tmp_path / "team/Ann/1.png", others[0])
    assert opened(trained).enrol(tmp_path / "team").mistaken(0.05).passing == 0
