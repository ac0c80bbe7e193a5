"""Who is in a store and how that changes: by name, whole or not at all, and without a trace."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from pathlib import Path

import pytest
import torch

from pdsn.errors import PdsnError, UsageError
from pdsn.matchers.matcher import Faces
from pdsn.store import database
from pdsn.store.checking import check_store
from pdsn.store.database import MIGRATIONS, NAME, Database
from pdsn.store.enrolling import Enroller
from pdsn.store.folder_snapshot import FolderSnapshot
from pdsn.store.names import remember
from pdsn.store.search import nearest_people
from pdsn.store.store import Store
from pdsn.store.variants import Variants
from tests.store.tiny import MADE, SIZE, Halves, add, candidates, covered_some, faces, store_of

NAMES = ["Ann", "Bob", "Ann", "Cid", "Zoë", "Bob"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_of(tmp_path / "team", faces(6, 1), NAMES, covered_some(6, 2))[0]


def named(store: Store) -> dict[str, int]:
    return {person.name: person.photos for person in store.people()}


def test_people_have_names_photos_and_an_id_that_stays(store):
    assert named(store) == {"Ann": 2, "Bob": 2, "Cid": 1, "Zoë": 1}
    ann = store.show("Ann")
    assert [photo.source for photo in ann.photos] == ["Ann/0.png", "Ann/2.png"]
    (photo, _) = ann.photos
    assert (photo.sha256, photo.pixels_sha256, photo.box) == ("file 0", "pixels 0", (0, 0, 100, 100))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", photo.added) and photo.crop is None
    store.rename("Ann", "Anna")
    assert store.show("Anna").person.id == ann.person.id == store.show(ann.person.id).person.id
    assert store.show("Zoe\N{COMBINING DIAERESIS}").person.name == "Zoë"  # as a Mac writes it
    assert json.loads(json.dumps(store.show("Anna").as_dict()))["photos"][0]["source"] == "Ann/0.png"


def test_two_are_merged_into_one_and_keep_their_photos(store):
    store.merge("Bob", "Cid")
    assert named(store) == {"Ann": 2, "Cid": 3, "Zoë": 1}
    assert FolderSnapshot(store).people == ["Ann", "Cid", "Zoë"]
    assert check_store(store).clean


def test_former_names_stay_known_and_are_one_person_s_alone(store):
    store.rename("Ann", "Anna")
    store.rename("Bob", "Rob")
    store.rename("Rob", "Bobby")
    store.merge("Bobby", "Cid")
    assert store.former() == {"Ann": "Anna", "Bob": "Cid", "Rob": "Cid", "Bobby": "Cid"}
    assert store.show("Cid").former == ["Bob", "Rob", "Bobby"] == store.show("Cid").as_dict()["former"]
    seen = FolderSnapshot(store)
    assert {old: seen.people[number] for old, number in seen.former.items()} == store.former()
    with pytest.raises(UsageError, match="has nobody called Ann any more: it is a former name of Anna"):
        store.show("Ann")
    # Whoever is called so now has the name alone.
    store.rename("Zoë", "Ann")
    store.rename("Cid", "Bob")
    assert store.former() == {"Rob": "Bob", "Bobby": "Bob", "Cid": "Bob", "Zoë": "Ann"}
    store.rename("Ann", "Ann")
    assert store.show("Ann").former == ["Zoë"]
    store.remove("Bob")
    assert store.former() == {"Zoë": "Ann"} and check_store(store).clean


def test_new_photos_under_a_former_name_are_that_person_s(store):
    store.rename("Ann", "Anna")
    store.merge("Bob", "Cid")
    add(store, Variants(Halves(), "halves"), faces(3, 9), ["Ann", "Bob", "Dan"], start=6)
    assert named(store) == {"Anna": 3, "Cid": 4, "Dan": 1, "Zoë": 1}


def test_a_former_name_is_forgotten_without_a_trace(store):
    for old, new in (("Bob", "Undine Schwarz"), ("Undine Schwarz", "Rob"), ("Rob", "Bobby")):
        store.rename(old, new)
    state = FolderSnapshot(store).state
    assert store.former() == {"Bob": "Bobby", "Undine Schwarz": "Bobby", "Rob": "Bobby"}
    assert store.forget("undine_schwarz") == {"Undine Schwarz": "Bobby"}
    assert b"Undine" not in everything(store.root) and FolderSnapshot(store).state != state
    assert store.show("Bobby").former == ["Bob", "Rob"] and check_store(store).clean
    with pytest.raises(UsageError, match="has no former name Bobby"):
        store.forget("Bobby")


def test_a_former_name_counts_in_any_spelling_and_a_name_of_today_before_it(store):
    store.rename("Ann", "Captain")
    store.rename("Bob", "ANN B")
    store.rename("ANN B", "Rob")
    add(store, Variants(Halves(), "halves"), faces(3, 9), ["ann", "Ann-b", "captain"], start=6)
    assert named(store) == {"Captain": 3, "Rob": 3, "captain": 1, "Cid": 1, "Zoë": 1}
    store.rename("Zoë", "ann_b")
    assert store.former() == {"Ann": "Captain", "Bob": "Rob", "Zoë": "ann_b"}
    store.rename("Captain", "ANN")
    assert store.former()["Ann"] == "ANN" and check_store(store).clean
    # As two programs may leave it: a name of today, which is a former one of somebody else, too.
    with store.database.writing() as connection:
        remember(connection, "Cid", 1)
    add(store, Variants(Halves(), "halves"), faces(1, 8), ["Cid"], start=9)
    assert named(store)["Cid"] == 2


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda store: store.show("Anne"), "has nobody called Anne, but Ann: `pdsn people list --people"),
        (lambda store: store.rename("Ann", "Bob"), "has Bob already: if both are one person, use `pdsn people merge Ann Bob"),
        (lambda store: store.rename("Ann", " "), "is no name: give 1 to 200 letters"),
        (lambda store: store.rename("Ann", "A\nB"), "is no name"),
        (lambda store: store.merge("Ann", "Ann"), "Ann cannot be merged into the same person"),
        (lambda store: store.remove("Dan"), "has nobody called Dan"),
        (lambda store: store.remove_photo(99), "has no photo 99"),
        (lambda store: store.photo(99), "has no photo 99"),
        (lambda store: store.remove_photo(10**21), f"has no photo {10**21}"),
        (lambda store: store.photo(-(10**21)), f"has no photo {-(10**21)}"),
        (lambda store: store.remove(10**21), f"has nobody called {10**21}"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line_and_changes_nothing(store, change, line):
    before = (named(store), FolderSnapshot(store).generation)
    with pytest.raises(UsageError, match=re.escape(line)) as caught:
        change(store)
    assert "\n" not in str(caught.value)
    assert (named(store), FolderSnapshot(store).generation) == before and check_store(store).clean


def everything(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file())


def test_of_somebody_who_is_removed_no_byte_is_left(tmp_path):
    crops = faces(6, 1)
    store, variants = store_of(tmp_path / "team", crops[:3], NAMES[:3], covered_some(6, 2)[:3])
    secret = ["Undine Schwarz", "Undine Schwarz", "somebody else"]
    add(
        store, variants, crops[3:], secret, torch.ones((3, *SIZE), dtype=torch.bool), start=3, keep_crops=True
    )
    with store.database.reading() as connection:
        rows = connection.execute("SELECT photo, vectors, sha256 FROM embedding ORDER BY photo").fetchall()
    theirs = [row for row in rows if row[0] in (4, 5)]
    parts = [row[1][first : first + 64] for row in theirs for first in range(0, len(row[1]), 288)]
    traces = [
        b"Undine Schwarz",
        b"file 3",
        b"file 4",
        b"pixels 3",
        *(row[2].encode() for row in theirs),
        *parts,
    ]
    there = everything(store.root)
    assert all(trace in there for trace in traces) and (store.root / "crops/4.png").is_file()
    store.rename("Undine Schwarz", "Undine Weiss")  # both names are known of her
    assert b"Undine Weiss" in everything(store.root) and store.former() == {"Undine Schwarz": "Undine Weiss"}
    assert store.remove("Undine Weiss") == 2
    traces.append(b"Undine Weiss")
    gone = everything(store.root)
    assert not any(trace in gone for trace in traces)
    assert [path.name for path in (store.root / "crops").iterdir()] == ["6.png"]
    # The others are all there.
    assert named(store) == {"Ann": 2, "Bob": 1, "somebody else": 1} and check_store(store).clean
    probes = variants.matcher.prepare(Faces.free(crops), "probe")
    hits = nearest_people(FolderSnapshot(store), variants, probes, 1, free=True)
    assert [hit.score > 0.999 for (hit,) in hits] == [True, True, True, False, False, True]


def test_the_last_photo_takes_the_person_with_it(store):
    number = store.show("Cid").photos[0].id
    assert not store.remove_photo(number) and "Cid" not in named(store)
    assert store.remove_photo(store.show("Ann").photos[0].id) and named(store)["Ann"] == 1
    assert check_store(store).clean
    assert not {number} & {int(photo) for photo in FolderSnapshot(store).photos}


def test_the_same_face_is_enrolled_once_and_a_number_never_given_again(tmp_path):
    store, variants = store_of(tmp_path / "team", faces(2, 1), ["Ann", "Bob"])
    again = candidates(faces(2, 1), ["Ann", "Cid"])
    report = Enroller(
        store, variants, lambda crops: torch.zeros((len(crops), *SIZE), dtype=torch.bool)
    ).enrol(again)
    assert report.known == [
        ("Ann/0.png", "enrolled already as Ann (Ann/0.png)"),
        ("Cid/1.png", "enrolled already as Bob (Bob/1.png)"),
    ]
    assert named(store) == {"Ann": 1, "Bob": 1}
    store.remove("Bob")
    add(store, variants, faces(1, 7), ["Dan"], start=7)
    assert store.show("Dan").person.id > 2 and store.show("Dan").photos[0].id > 2


def test_another_run_s_store_is_refused_with_the_command_that_enrols_anew(store):
    store.check_made(MADE, Path("runs/mine"))
    with pytest.raises(PdsnError, match="enrolled with another base than that of runs/mine") as caught:
        store.check_made({**MADE, "base": "other"}, Path("runs/mine"))
    assert f"`pdsn enrol PHOTOS --people {store.root}-2 --run runs/mine --strategy halves`" in str(
        caught.value
    )


def test_a_folder_with_something_else_in_it_is_no_place_for_a_store(tmp_path):
    (tmp_path / "photos/Ann").mkdir(parents=True)
    with pytest.raises(UsageError, match="holds something else, Ann: give the store a folder of its own"):
        Store.create(tmp_path / "photos", MADE, [1])
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        Store.create(tmp_path / "file", MADE, [1])
    with pytest.raises(PdsnError, match="there is no people store: make it with `pdsn enrol PHOTOS --people"):
        Store.open(tmp_path / "photos")
    # Half of a store that a kill left is none, and made whole.
    (tmp_path / "killed").mkdir()
    sqlite3.connect(tmp_path / "killed" / NAME).close()
    with pytest.raises(PdsnError, match="no people store"):
        Store.open(tmp_path / "killed")
    assert Store.create(tmp_path / "killed", MADE, [1]).people() == []


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (lambda path: path.write_bytes(b"this is no database at all" * 100), "cannot be used (file is not a database): restore"),
        (lambda path: sqlite3.connect(path).execute("PRAGMA user_version = 99"), "was written by a newer pdsn"),
        (lambda path: sqlite3.connect(path).execute("PRAGMA application_id = 7"), "is no people store"),
    ],
)  # fmt: skip
def test_what_is_no_store_of_this_pdsn_is_said(store, harm, line):
    harm(store.database.path)
    with pytest.raises(PdsnError, match=re.escape(line)):
        Store.open(store.root)


def make_old(path: Path) -> None:
    """Turn a store into one of the first version of the tables."""
    connection = sqlite3.connect(path)
    connection.executescript("DROP TABLE former; DROP TABLE gone; PRAGMA user_version = 1")
    connection.close()


def version_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(found)


def test_whoever_changes_a_store_of_an_older_version_brings_its_tables_up_to_date(store, monkeypatch):
    more = (
        *MIGRATIONS,
        "CREATE TABLE later (id INTEGER PRIMARY KEY); CREATE TABLE latest (id INTEGER PRIMARY KEY)",
    )
    make_old(store.database.path)
    monkeypatch.setattr(database, "MIGRATIONS", more)
    opened = Store.open(store.root)
    opened.remove("Bob")
    assert named(opened) == {"Ann": 2, "Cid": 1, "Zoë": 1} and version_of(store.database.path) == len(more)
    with opened.database.reading() as connection:
        connection.execute("SELECT * FROM later, latest")
    assert check_store(opened).clean


def test_whoever_reads_a_store_of_an_older_version_leaves_it_as_it_is(store):
    make_old(store.database.path)
    opened = Store.open(store.root)
    assert named(opened)["Ann"] == 2 and len(FolderSnapshot(opened)) == 6
    assert opened.former() == FolderSnapshot(opened).former == {}
    assert check_store(opened).clean and version_of(store.database.path) == 1


def test_two_who_change_a_store_of_an_older_version_at_once_both_succeed(store, monkeypatch):
    make_old(store.database.path)
    at_once, connect = [Database(store.root)], Database._connect

    def traced(self: Database) -> sqlite3.Connection:
        connection = connect(self)

        def seen(statement: str) -> None:
            if statement.startswith("BEGIN IMMEDIATE") and at_once:
                with at_once.pop().writing():
                    pass

        connection.set_trace_callback(seen)
        return connection

    monkeypatch.setattr(Database, "_connect", traced)
    store.rename("Ann", "Anna")
    assert not at_once and named(store)["Anna"] == 2
    assert version_of(store.database.path) == len(MIGRATIONS)


def test_a_writer_waits_for_another_and_then_says_so_while_readers_go_on(store, monkeypatch):
    monkeypatch.setattr(database, "PATIENCE", 0.2)
    inside, done = threading.Event(), threading.Event()

    def change() -> None:
        with store.database.alone(), store.database.writing():
            inside.set()
            done.wait(10)

    other = threading.Thread(target=change)
    other.start()
    assert inside.wait(10)
    try:
        with pytest.raises(PdsnError, match=r"is being changed by another command for more than 0 s"):
            store.rename("Ann", "Anna")
        assert named(store)["Ann"] == 2 and len(FolderSnapshot(store)) == 6
    finally:
        done.set()
        other.join()
    store.rename("Ann", "Anna")
    assert "Anna" in named(store)


def test_a_reader_sees_the_store_as_it_was_when_it_looked(store):
    variants = Variants(Halves(), "halves")
    found = FolderSnapshot(store)
    probes = variants.matcher.prepare(Faces.free(faces(6, 1)), "probe")
    before = nearest_people(found, variants, probes, 1, free=True)
    store.remove("Bob")
    assert not found.is_current
    after = nearest_people(found, variants, probes, 1, free=True)
    assert [[hit.row for hit in hits] for hits in after] == [[hit.row for hit in hits] for hits in before]
    assert "Bob" not in FolderSnapshot(store).people
