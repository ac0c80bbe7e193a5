"""Workers of Ray make the same of photos as one process, and lose none when one of them dies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray", reason='needs Ray: pip install "pdsn[scale]"')
pytest.importorskip("lancedb", reason='needs LanceDB: pip install "pdsn[scale]"')

from pdsn.data.detector import Detection
from pdsn.data.settings import PrepareConfig
from pdsn.errors import PdsnError, UsageError
from pdsn.people.photo import nothing_covered
from pdsn.store import spread
from pdsn.store.enrolling import Enroller, EnrolReport, enrol_folder, made_here
from pdsn.store.kinds import AnyStore, check_kept, create_store, current
from pdsn.store.making import Maker, Task
from pdsn.store.spread import Spread, Tools, made_by_workers
from pdsn.store.variants import Variants
from tests.people.photos import PlainDetector, save_photo
from tests.store.tiny import MADE, Halves

SIZE = (64, 48)
PEOPLE = 9


@dataclass
class Dying(PlainDetector):
    """Takes its process with it at the sight of a red face, as often as there are files in a folder: each time one less."""

    lives: Path

    def __post_init__(self) -> None:
        super().__init__()

    def __call__(self, photos: Sequence[np.ndarray]) -> list[list[Detection]]:
        red = any(bool((photo == (250, 0, 0)).all(2).any()) for photo in photos)
        left = sorted(self.lives.iterdir())
        if red and left:
            left[0].unlink()
            os._exit(1)
        return super().__call__(photos)


def tools(lives: Path) -> Tools:
    """What a worker works with."""
    return Tools(Maker(Variants(Halves(), "halves"), nothing_covered), Dying(lives), MADE)


@pytest.fixture
def lives(tmp_path: Path) -> Path:
    (tmp_path / "lives").mkdir()
    return tmp_path / "lives"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A photo of each of some people, the last one with a red spot, and one that shows nobody."""
    folder = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for number in range(PEOPLE):
        face = rng.integers(0, 80, (64, 48, 3), np.uint8)
        if number == PEOPLE - 1:
            face[:9, :9] = (250, 0, 0)
        save_photo(folder / f"Ann {number}/photo.png", face)
    save_photo(folder / "Bob/nobody.png")
    return folder


def task(photos: Path) -> Task:
    return Task(photos, PrepareConfig(size=SIZE), accept_poor=True)


def enrol(store: AnyStore, photos: Path, lives: Path | None = None, **given: object) -> EnrolReport:
    """Enrol by two workers, or without `lives` here."""
    variants = Variants(Halves(), "halves")
    enroller = Enroller(store, variants, nothing_covered)
    if lives is None:
        make = partial(made_here, enroller.maker, PlainDetector())
    else:
        make = partial(made_by_workers, Spread(2), partial(tools, lives), store.made, store.widths)
    return enrol_folder(enroller, task(photos), make)


def made(place: str | Path) -> AnyStore:
    return create_store(place, MADE, Variants(Halves(), "halves").widths(SIZE))


@pytest.mark.slow
def test_two_workers_make_what_one_process_makes(tmp_path, photos, lives, monkeypatch):
    monkeypatch.setattr(spread, "CHUNK", 3)
    alone, table = made(tmp_path / "alone"), made(f"lance://{tmp_path}/table")
    expected, report = enrol(alone, photos), enrol(table, photos, lives)
    assert sorted(photo.name for photo in report.added) == sorted(photo.name for photo in expected.added)
    assert len(report.added) == PEOPLE and report.refused == expected.refused != []
    assert report.left_out == ["Bob"]
    ours, theirs = current(table, None, "nearest"), current(alone, None, "nearest")
    order = [ours.people.index(name) for name in theirs.people]
    for place in range(len(table.widths)):
        assert np.array_equal(ours._photos(place, np.array(order)), theirs._photos(place, np.arange(PEOPLE)))
    again = enrol(table, photos, lives)
    assert not again.added and len(again.known) == PEOPLE and check_kept(table).clean
    # Nothing tells anybody of its use, and nothing is left running.
    import ray

    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0" and not ray.is_initialized()


@pytest.mark.slow
def test_a_worker_that_dies_loses_nothing(tmp_path, photos, lives, monkeypatch):
    monkeypatch.setattr(spread, "CHUNK", 3)
    folder = made(tmp_path / "folder")
    (lives / "one").touch()
    assert len(enrol(folder, photos, lives).added) == PEOPLE and check_kept(folder).clean
    assert not list(lives.iterdir()), "a worker did die"


@pytest.mark.slow
def test_a_photo_over_which_every_worker_dies_ends_the_call_and_the_next_adds_what_is_missing(
    tmp_path, photos, lives, monkeypatch
):
    monkeypatch.setattr(spread, "CHUNK", 3)
    monkeypatch.setattr(spread, "TRIES", 1)
    table = made(f"lance://{tmp_path}/table")
    for number in range(9):
        (lives / str(number)).touch()
    with pytest.raises(PdsnError, match="the workers gave up .* give the same command again"):
        enrol(table, photos, lives)
    before = table.counts()[1]
    assert before < PEOPLE
    for path in lives.iterdir():
        path.unlink()
    report = enrol(table, photos, lives)
    assert (len(report.known), len(report.added)) == (before, PEOPLE - before)


@pytest.mark.slow
def test_a_worker_with_another_run_is_refused(tmp_path, photos, lives):
    table = create_store(
        f"lance://{tmp_path}/table", {**MADE, "base": "other"}, Variants(Halves(), "halves").widths(SIZE)
    )
    with pytest.raises(PdsnError, match="the run is another one where a worker looks for it"):
        enrol(table, photos, lives)


def test_an_address_without_a_cluster_is_refused_at_once(tmp_path, photos, lives):
    with pytest.raises(PdsnError, match="--ray 127.0.0.1:1: no cluster of Ray answers there"):
        next(made_by_workers(Spread(2, "127.0.0.1:1"), partial(tools, lives), MADE, [1], task(photos), []))


def test_what_cannot_be_spread_is_refused_at_once(tmp_path, photos, monkeypatch):
    with pytest.raises(UsageError, match="--workers 0 is out of range"):
        Spread(0).check()
    kept = Task(photos, PrepareConfig(size=SIZE), keep_crops=True)
    with pytest.raises(UsageError, match="--keep-crops is for one process"):
        next(made_by_workers(Spread(2), partial(tools, tmp_path), MADE, [1], kept, []))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PdsnError, match=r'need Ray Data: pip install "pdsn\[scale\]"'):
        Spread(2).check()
