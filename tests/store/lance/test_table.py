"""A table of LanceDB is the same store as a folder: the same people, scores and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("lancedb", reason='needs LanceDB: pip install "pdsn[scale]"')

from pdsn.errors import PdsnError, UsageError
from pdsn.matchers.matcher import Faces
from pdsn.store import snapshot as snapshots
from pdsn.store.enrolling import Enroller
from pdsn.store.folder_snapshot import FolderSnapshot
from pdsn.store.kinds import check_kept, current, open_store
from pdsn.store.lance import index, rows
from pdsn.store.lance.former import FORMER
from pdsn.store.lance.place import TABLE, is_text
from pdsn.store.lance.rows import ABOUT
from pdsn.store.lance.snapshot import LanceSnapshot
from pdsn.store.lance.table import LanceStore
from pdsn.store.search import nearest_people
from pdsn.store.variants import Variants
from tests.store.tiny import MADE, SIZE, Halves, add, candidates, covered_some, faces, store_of

NAMES = [f"O'Hara {n % 17}" for n in range(60)]


def table_of(
    root: Path,
    crops: torch.Tensor,
    names: list[str],
    covered: torch.Tensor | None = None,
    compare: str = "nearest",
) -> tuple[LanceStore, Variants]:
    """A table with some faces, of which some pixels are covered."""
    variants = Variants(Halves(compare), "halves")
    store = LanceStore.create(f"lance://{root}", MADE, variants.widths(SIZE))
    add(store, variants, crops, names, covered)
    return store, variants


@pytest.fixture
def team(tmp_path):
    return table_of(tmp_path / "team", faces(12, 1), NAMES[:12])


def traces(root: Path, what: bytes) -> list[str]:
    """Files that hold some bytes."""
    return [path.name for path in root.rglob("*") if path.is_file() and what in path.read_bytes()]


@pytest.mark.parametrize("compare", ["nearest", "mean", "both"])
@pytest.mark.parametrize("kept", [0, 2**26], ids=["large", "small"])
def test_it_finds_what_a_folder_finds(tmp_path, monkeypatch, compare, kept):
    monkeypatch.setattr(snapshots, "KEPT", kept)
    monkeypatch.setattr("pdsn.store.lance.snapshot.BLOCK", 7)
    crops, covered = faces(60, 1), covered_some(60, 3)
    folder, variants = store_of(tmp_path / "folder", crops, NAMES, covered, Halves(compare))
    table, _ = table_of(tmp_path / "table", crops[:25], NAMES[:25], covered[:25], compare)
    add(table, variants, crops[25:], NAMES[25:], covered[25:], start=25)
    probes = variants.matcher.prepare(Faces(faces(20, 2), covered_some(20, 4)), "probe")
    ours, theirs = current(table, None, compare), FolderSnapshot(folder, compare)
    assert (ours.people, len(ours)) == (theirs.people, 60)
    for mine, known in zip(
        nearest_people(ours, variants, probes, 5), nearest_people(theirs, variants, probes, 5), strict=True
    ):
        assert [ours.people[hit.person] for hit in mine] == [theirs.people[hit.person] for hit in known]
        if compare != "mean":  # all photos of a person score alike
            assert [hit.signature for hit in mine] == [hit.signature for hit in known]
        assert [hit.score for hit in mine] == pytest.approx([hit.score for hit in known], abs=1e-6)


def test_the_same_face_is_one_row_whoever_enrols_it(team):
    store, variants = team
    enroller = Enroller(store, variants, lambda crops: torch.zeros((len(crops), *SIZE), dtype=torch.bool))
    again = candidates(faces(12, 1), ["Zoe"] * 12)
    report = enroller.enrol([*again[:3], *candidates(faces(1, 5), ["Zoe"], start=20) * 2], accept_poor=True)
    assert [whose for _, whose in report.known] == [
        *(f"enrolled already as {NAMES[n]} ({NAMES[n]}/{n}.png)" for n in range(3)),
        "enrolled already as Zoe (Zoe/20.png)",
    ]
    assert store.counts() == (13, 13)


def test_it_says_what_a_folder_says_of_a_person_and_a_photo(tmp_path, team):
    store, _ = team
    folder, _ = store_of(tmp_path / "folder", faces(12, 1), NAMES[:12])
    assert [(one.name, one.photos) for one in store.people()] == [
        (one.name, one.photos) for one in folder.people()
    ]
    mine, theirs = store.show(NAMES[3]), folder.show(NAMES[3])
    apart = ("id", "person", "added")
    same = {key: value for key, value in mine.photos[0].as_dict().items() if key not in apart}
    assert same == {key: value for key, value in theirs.photos[0].as_dict().items() if key not in apart}
    assert store.photo(mine.photos[0].id) == mine.photos[0]
    assert store.show(mine.person.id).person == mine.person
    ours, kept = (one.known(["file 3", "another"]) for one in (store, folder))
    assert {file: str(twin) for file, twin in ours.items()} == {
        file: str(twin) for file, twin in kept.items()
    }
    for one, known in ((store, ours), (folder, kept)):
        assert [photo.source for photo in one.photos([known["file 3"].id, 12345])] == [f"{NAMES[3]}/3.png"]
    assert store.photos([]) == folder.photos([]) == []


def test_people_are_renamed_and_made_one(team):
    store, _ = team
    store.rename(NAMES[0], "Ann")
    with pytest.raises(UsageError, match=r"has O'Hara 1 already: .* `pdsn people merge Ann"):
        store.rename("Ann", NAMES[1])
    store.merge(NAMES[1], "Ann")
    assert store.show("Ann").person.photos == 2
    with pytest.raises(UsageError, match="nobody called O'Hara 1 any more: it is a former name of Ann"):
        store.show(NAMES[1])
    with pytest.raises(UsageError, match="into the same person"):
        store.merge("Ann", "Ann")
    assert check_kept(store).clean


def test_former_names_are_known_as_in_a_folder(tmp_path, team):
    folder, _ = store_of(tmp_path / "folder", faces(12, 1), NAMES[:12])
    for store in (team[0], folder):
        store.rename("O'Hara 0", "Ann")
        store.rename("O'Hara 1", "Bob")
        store.merge("Bob", "O'Hara 2")
        store.rename("O'Hara 3", "O'Hara 1")
        add(store, team[1], faces(2, 9), ["Bob", "O'Hara 0"], start=50)
    table = team[0]
    assert table.former() == folder.former() == {"O'Hara 0": "Ann", "Bob": "O'Hara 2", "O'Hara 3": "O'Hara 1"}
    assert table.show("O'Hara 2").former == folder.show("O'Hara 2").former == ["Bob"]
    ours = current(table, None, "nearest")
    assert {old: ours.people[number] for old, number in ours.former.items()} == folder.former()
    assert {one.name: one.photos for one in table.people()} == {
        one.name: one.photos for one in folder.people()
    }
    # Of whom the last old photo is removed, the new one still tells the names.
    table.remove_photo(min(table.show("Ann").photos, key=lambda photo: photo.source == "O'Hara 0/51.png").id)
    assert table.former()["O'Hara 0"] == "Ann"
    table.remove("O'Hara 2")
    assert not traces(tmp_path / "team", b"Bob") and check_kept(table).clean


def test_a_former_name_counts_in_any_spelling_and_a_name_of_today_before_it(team):
    store, variants = team
    store.rename(NAMES[0], "Captain")
    store.rename(NAMES[1], "Ann B")
    store.rename("Ann B", "Rob")
    add(store, variants, faces(4, 9), ["o'hara-0", "ANN_B", "captain", "Captain"], start=50)
    assert [store.show(name).person.photos for name in ("Captain", "Rob", "captain")] == [3, 2, 1]
    store.rename(NAMES[2], "ann_b")
    assert store.former() == {NAMES[0]: "Captain", NAMES[1]: "Rob", NAMES[2]: "ann_b"}
    store.rename("Captain", "o'hara 0")
    assert store.former()[NAMES[0]] == "o'hara 0" and check_kept(store).clean
    # As two programs may leave it: a name of today, which is a former one of somebody else, too.
    store.table().update(where=is_text("person", "Rob"), values={FORMER: json.dumps([NAMES[3]])})
    add(store, variants, faces(1, 8), [NAMES[3]], start=60)
    assert store.show(NAMES[3]).person.photos == 2


def test_a_former_name_is_forgotten_without_a_trace(tmp_path, team):
    store, _ = team
    store.rename(NAMES[0], "Undine")
    store.rename("Undine", "Ann")
    assert store.forget("UNDINE") == {"Undine": "Ann"}
    assert not traces(tmp_path / "team", b"Undine") and store.show("Ann").former == [NAMES[0]]
    with pytest.raises(UsageError, match="has no former name Ann"):
        store.forget("Ann")
    assert check_kept(store).clean and store.counts() == (12, 12)


def test_a_rename_that_is_killed_loses_no_name(team, monkeypatch):
    store, variants = team
    store.rename(NAMES[0], "Ann")
    kind, done = type(store.table()), []
    update = kind.update

    def killed(self, **given):
        if done:
            raise KeyboardInterrupt
        done.append(update(self, **given))

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(kind, "update", killed)
        store.rename(NAMES[1], NAMES[0])
    add(store, variants, faces(2, 9), NAMES[:2], start=50)
    assert store.show(NAMES[0]).person.photos == 3 and store.show("Ann").person.photos == 1
    assert store.show(NAMES[0]).former == [NAMES[1]]


def older(store: LanceStore, columns: list[str]) -> None:
    """Make a table as it was in format 1, without some columns."""
    rows = store.table().to_arrow().drop_columns(columns)
    about = {ABOUT: json.dumps({"format": 1, "made": store.made, "widths": store.widths}).encode()}
    store.place.connect().create_table(TABLE, data=rows.replace_schema_metadata(about), mode="overwrite")


@pytest.mark.parametrize("columns", [[], [FORMER]], ids=["with former names", "without"])
def test_an_older_pdsn_refuses_a_table_once_it_is_changed(team, monkeypatch, columns):
    store, variants = team
    if not columns:
        store.rename(NAMES[5], "Eve")
    older(store, columns)
    before = store.table().to_arrow()
    with monkeypatch.context() as patch:
        patch.setattr(rows, "FORMAT", 1)
        LanceStore.open(store.root)
    add(store, variants, faces(1, 9), ["New"], start=50)
    assert (store.former() == {NAMES[5]: "Eve"}) == (not columns) and store.counts() == (13, 13)
    after = store.table().to_arrow().select(before.column_names).to_pylist()
    assert [row for row in after if row["person"] != "New"] == before.to_pylist()
    monkeypatch.setattr(rows, "FORMAT", 1)
    with pytest.raises(PdsnError, match="written by a newer pdsn"):
        LanceStore.open(store.root)


def test_an_older_table_takes_former_names_once_it_is_changed(team):
    store, variants = team
    older(store, [FORMER])
    opened = open_store(store.root)
    assert opened.former() == current(opened, None, "nearest").former == {} and check_kept(opened).clean
    assert opened.show(NAMES[4]).former == []
    add(opened, variants, faces(2, 9), ["New", NAMES[4]], start=50)
    opened.rename(NAMES[4], "Ann")
    assert opened.former() == {NAMES[4]: "Ann"} and opened.show("Ann").person.photos == 2
    assert check_kept(opened).clean


def test_nothing_is_left_of_whoever_is_removed(tmp_path, team, monkeypatch):
    store, _ = team
    monkeypatch.setattr(index, "LEAST", 12)
    index.make_index(store)
    folder = tmp_path / "team"
    gone = current(store, None, "nearest")._photos(1, np.array([4]))[0].numpy().astype("<f2").tobytes()
    assert traces(folder, gone) and traces(folder, b"O'Hara 4")
    assert store.remove(NAMES[4]) == 1
    assert not traces(folder, gone) and not traces(folder, b"O'Hara 4")
    assert not list(folder.glob("people.lance/_indices/*"))
    assert store.counts() == (11, 11) and check_kept(store).clean
    number = store.show(NAMES[5]).photos[0].id
    assert not store.remove_photo(number)
    for unknown in (number, 10**21):
        with pytest.raises(UsageError, match=f"has no photo {unknown}"):
            store.photo(unknown)


def test_a_removal_that_was_killed_is_finished(tmp_path, team, monkeypatch):
    store, _ = team
    monkeypatch.setattr(LanceStore, "_tidy", lambda self: False)
    store.remove(NAMES[4])
    assert traces(tmp_path / "team", b"O'Hara 4")
    monkeypatch.undo()
    report = check_kept(open_store(store.root))
    assert report.tidied and report.clean and report.photos == 11
    assert not traces(tmp_path / "team", b"O'Hara 4") and not check_kept(store).tidied


def test_damage_is_found(team):
    store, _ = team
    number = store.show(NAMES[2]).photos[0].id
    store.table().update(where=f"id = {number}", values={"digest": "another"})
    store.table().update(where="person = 'O''Hara 7'", values={"box": "[1, 2, 3, 4]"})
    wrong = check_kept(store).wrong
    assert len(wrong) == 2
    assert any("the embeddings of photo" in line for line in wrong) and any(
        "is another's" in line for line in wrong
    )


def test_a_snapshot_stays_what_it_was(team):
    store, variants = team
    before = current(store, None, "nearest")
    rows = before.rows(0, np.array([3, 1]))
    add(store, variants, faces(3, 9), ["New"] * 3, start=50)
    assert not before.is_current and "New" not in before.people
    assert rows.shape == (2, 144) and torch.equal(before.rows(0, np.array([3, 1])), rows)
    after = current(store, before, "nearest")
    assert after.people[-1] == "New" and after.state != before.state
    assert current(store, after, "nearest") is after


def test_the_index_names_photos_that_are_compared_exactly(tmp_path, monkeypatch):
    monkeypatch.setattr(index, "LEAST", 60)
    monkeypatch.setattr(index, "CANDIDATES", 20)
    crops, covered = faces(60, 1), covered_some(60, 3)
    store, variants = table_of(tmp_path / "team", crops, NAMES, covered)
    asked = open_store(store.root, by_index=True)
    with pytest.raises(PdsnError, match="has no index: make it with `pdsn people index --people lance://"):
        current(asked, None, "nearest")
    assert index.make_index(store) == 60
    add(store, variants, faces(4, 7), ["New"] * 4, start=60)
    shown = torch.cat([faces(10, 2), faces(4, 7)])
    probes = variants.matcher.prepare(Faces(shown, covered_some(14, 4)), "probe")
    exact, found = current(store, None, "nearest"), current(asked, None, "nearest")
    # It looks into every group of so few photos: the nearest person is the same, and so is the score.
    for mine, known in zip(
        nearest_people(found, variants, probes, 3), nearest_people(exact, variants, probes, 3), strict=True
    ):
        assert mine[0].person == known[0].person
        assert mine[0].score == pytest.approx(known[0].score, abs=1e-6)
    seen = []
    monkeypatch.setattr(LanceSnapshot, "products", lambda *given: seen.append(given) or iter(()))
    nearest_people(found, variants, probes, 3)
    assert not seen, "no photo was compared with but those of the index"


def test_an_index_is_refused_where_it_is_no_use(tmp_path, team):
    store, _ = team
    with pytest.raises(UsageError, match="has 12 photos, and an index pays from 5000 on"):
        index.make_index(store)
    with pytest.raises(UsageError, match="fewer than 5000 photos, and no index: leave --index out"):
        current(open_store(store.root, by_index=True), None, "nearest")
    with pytest.raises(UsageError, match="compares with mean"):
        current(open_store(store.root, by_index=True), None, "mean")
    with pytest.raises(UsageError, match="is for tables"):
        open_store(tmp_path, by_index=True)


def test_what_is_no_table_of_people_is_refused(tmp_path):
    import lancedb

    with pytest.raises(PdsnError, match="there is no people store: make it with"):
        open_store(f"lance://{tmp_path}/none")
    assert not (tmp_path / "none").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds something else, notes.txt"):
        LanceStore.create(f"lance://{tmp_path}/other", MADE, [4])
    lancedb.connect(tmp_path / "foreign").create_table("people", [{"name": "Ann"}])
    with pytest.raises(PdsnError, match="no people store"):
        open_store(f"lance://{tmp_path}/foreign")
    with pytest.raises(UsageError, match="say which folder"):
        open_store("lance://")


def test_another_runs_table_is_refused(team):
    store, _ = team
    store.check_made(MADE, Path("runs/a"))
    with pytest.raises(
        PdsnError,
        match=r"another base .* `pdsn enrol PHOTOS --people lance://\S+team-2 --run runs/b --strategy halves`",
    ):
        store.check_made({**MADE, "base": "other"}, Path("runs/b"))
