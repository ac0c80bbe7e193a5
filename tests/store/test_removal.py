"""Whoever is removed leaves an empty row in the arrays: the others stay where they are, and nothing of the removed one is left."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pdsn.matchers.matcher import Faces
from pdsn.metrics import best_per_person
from pdsn.store import following, snapshot
from pdsn.store.checking import check_store
from pdsn.store.folder_snapshot import FolderSnapshot
from pdsn.store.kinds import current
from pdsn.store.search import nearest_people
from pdsn.store.store import Store
from pdsn.store.variants import Variants
from pdsn.store.vectors import FOLDER, Vectors
from tests.store.tiny import Halves, add, faces, store_of

NAMES = [f"person {n % 20}" for n in range(40)]


@pytest.fixture(autouse=True, params=[0, 2**26], ids=["large", "small"])
def small_parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PART", 7)
    monkeypatch.setattr("pdsn.store.search.STEP", 7)
    monkeypatch.setattr(snapshot, "BLOCK", 7)
    monkeypatch.setattr(snapshot, "KEPT", request.param)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_of(tmp_path / "team", faces(40, 1), NAMES)[0]


def epoch_of(store: Store) -> int:
    with store.database.reading() as connection:
        return int(connection.execute("SELECT epoch FROM store").fetchone()[0])


def empty_rows(store: Store) -> list[int]:
    content = store.vectors.path(epoch_of(store), 0).read_bytes()
    rows = np.frombuffer(content, np.uint8).reshape(-1, store.vectors.sizes[0])
    return np.flatnonzero(~rows.any(1)).tolist()


def check_found(store: Store, crops: torch.Tensor, names: list[str], compare: str = "nearest") -> None:
    """Search says what the matcher says of these faces."""
    matcher = Halves(compare)
    people = sorted(set(names))
    labels = torch.tensor([people.index(name) for name in names])
    shown = matcher.prepare(Faces.free(faces(9, 2)), "probe")
    gallery = matcher.prepare(Faces.free(crops, labels), "gallery")
    scores = best_per_person(matcher.compare(shown, gallery), labels, len(people))
    seen = FolderSnapshot(store, compare)
    for members in (None, np.arange(len(seen))):
        found = nearest_people(seen, Variants(matcher, "halves"), shown, len(people), members=members)
        for row, hits in enumerate(found):
            mine = {seen.people[hit.person]: hit.score for hit in hits}
            assert sorted(mine) == people
            assert [mine[name] for name in people] == pytest.approx(scores[row].tolist(), abs=2e-3)


@pytest.mark.parametrize("compare", ["nearest", "mean"])
def test_the_others_stay_where_they_are(store, compare):
    path = store.vectors.path(0, 0)
    before = np.frombuffer(path.read_bytes(), np.uint8).reshape(40, -1)
    store.remove("person 3")
    after = np.frombuffer(path.read_bytes(), np.uint8).reshape(40, -1)
    assert epoch_of(store) == 0 and empty_rows(store) == [3, 23]
    left = [row for row in range(40) if row not in (3, 23)]
    assert np.array_equal(before[left], after[left])
    assert check_store(store).clean
    check_found(store, faces(40, 1)[left], [NAMES[row] for row in left], compare)
    # Once more, with new ones behind, and one photo of a person.
    store.remove_photo(1)
    add_more(store)
    store.remove("new 0")
    assert empty_rows(store) == [0, 3, 23, 40] and check_store(store).clean
    left = [row for row in left if row != 0] + [41]
    crops = torch.cat([faces(40, 1), faces(2, 5)])
    check_found(store, crops[left], [[*NAMES, "new 0", "new 1"][row] for row in left], compare)


def add_more(store: Store) -> None:
    add(store, Variants(Halves(), "halves"), faces(2, 5), ["new 0", "new 1"], start=40)


def test_many_empty_rows_are_given_up_together(store):
    for number in range(5):
        store.remove(f"person {number}")
    assert epoch_of(store) == 0 and len(empty_rows(store)) == 10
    store.remove("person 7")
    assert epoch_of(store) == 1 and empty_rows(store) == []
    assert [path.name for path in store.vectors.root.iterdir()] == ["1"]
    left = [row for row in range(40) if row % 20 in {5, 6, *range(8, 20)}]
    check_found(store, faces(40, 1)[left], [NAMES[row] for row in left])
    assert check_store(store).clean


def test_arrays_are_made_again_with_their_empty_rows(store):
    store.remove("person 19")  # its rows are the last ones, too
    shutil.rmtree(store.root / FOLDER)
    left = [row for row in range(40) if row % 20 != 19]
    check_found(store, faces(40, 1)[left], [NAMES[row] for row in left])
    assert empty_rows(store) == [19, 39] and check_store(store).clean
    add_more(store)
    (store.vectors.folder(0) / "count").write_text("5")  # as if killed while they were written
    crops = torch.cat([faces(40, 1)[left], faces(2, 5)])
    check_found(store, crops, [*[NAMES[row] for row in left], "new 0", "new 1"])
    assert check_store(store).clean


def test_whoever_was_removed_when_it_was_killed_is_not_named_and_leaves_no_trace(store, monkeypatch):
    row = store.vectors.path(0, 0).read_bytes()[3 * store.vectors.sizes[0] :][: store.vectors.sizes[0]]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Vectors, "overwrite", killed)
        with pytest.raises(KeyboardInterrupt):
            store.remove("person 3")
    assert row in store.vectors.path(0, 0).read_bytes()
    left = [row for row in range(40) if row % 20 != 3]
    check_found(store, faces(40, 1)[left], [NAMES[row] for row in left])
    report = check_store(store)
    assert report.clean and len(report.tidied) == 1
    assert empty_rows(store) == [3, 23]
    assert not any(row in path.read_bytes() for path in store.root.rglob("*") if path.is_file())


def test_an_empty_row_that_holds_something_is_found(store):
    store.remove("person 3")
    path = store.vectors.path(0, 1)
    content = bytearray(path.read_bytes())
    content[3 * store.vectors.sizes[1]] = 1
    path.write_bytes(content)
    assert any("a row is not its photo's" in wrong for wrong in check_store(store).wrong)


def test_who_looks_on_does_not_name_the_removed(tmp_path):
    store, variants = store_of(tmp_path / "team", faces(40, 1), NAMES)
    seen = FolderSnapshot(store)
    probe = variants.matcher.prepare(Faces.free(faces(40, 1)[3:4]), "probe")
    before = nearest_people(seen, variants, probe, 1)[0][0]
    assert seen.people[before.person] == "person 3" and before.score > 0.99
    store.remove("person 3")
    assert not seen.is_current
    if snapshot.KEPT == 0:  # a small store's embeddings are in the reader's memory until its next look
        assert seen.people[nearest_people(seen, variants, probe, 1)[0][0].person] != "person 3"
    later = current(store, seen, "nearest")
    assert later.people[nearest_people(later, variants, probe, 1)[0][0].person] != "person 3"


def test_who_looks_on_is_not_disturbed_when_the_arrays_are_written_anew(tmp_path):
    store, variants = store_of(tmp_path / "team", faces(40, 1), NAMES)
    seen = FolderSnapshot(store)
    for number in range(8):
        store.remove(f"person {number}")
    assert epoch_of(store) == 1 and not store.vectors.folder(0).exists()
    probe = variants.matcher.prepare(Faces.free(faces(40, 1)[9:10]), "probe")
    nearest = nearest_people(seen, variants, probe, 1)[0][0]
    assert seen.people[nearest.person] == "person 9" and nearest.score > 0.99


def test_arrays_that_are_dropped_at_the_moment_of_a_look_are_not_missed(store, monkeypatch):
    read = Vectors.read

    def dropped(self: Vectors, epoch: int, place: int, count: int) -> np.ndarray:
        if count:
            raise FileNotFoundError(self.path(epoch, place))
        return read(self, epoch, place, count)

    monkeypatch.setattr(Vectors, "read", dropped)
    check_found(store, faces(40, 1), NAMES)
