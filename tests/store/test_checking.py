"""`people check` finds whatever is not as it must be."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from pdsn.store.checking import check_store, free_pages
from pdsn.store.store import Store
from tests.store.tiny import add, covered_some, faces, store_of

NAMES = [f"person {n % 4}" for n in range(8)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store, variants = store_of(tmp_path / "team", faces(8, 1), NAMES, covered_some(8, 2))
    add(store, variants, faces(1, 3), ["kept"], start=8, keep_crops=True)
    return store


def change(store: Store, statement: str) -> None:
    connection = sqlite3.connect(store.database.path)
    with connection:
        connection.execute(statement)
    connection.close()


def first_array(store: Store) -> Path:
    return store.vectors.path(0, 0)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"left over")


def test_a_store_that_is_as_it_must_be_is_clean(store):
    report = check_store(store)
    assert report.clean and (report.people, report.photos) == (5, 9) and report.tidied == []
    assert json.loads(json.dumps(report.as_dict()))["clean"] is True


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (lambda s: flip(first_array(s)), "a row is not its photo's"),
        (lambda s: longer(first_array(s)), "more rows than there are photos"),
        (lambda s: change(s, "UPDATE embedding SET vectors = zeroblob(length(vectors)) WHERE photo = 2"), "of photo 2 are damaged"),
        (lambda s: change(s, "DELETE FROM embedding WHERE photo = 2"), "photo 2 has no embeddings"),
        (lambda s: change(s, "INSERT INTO person (name, added) VALUES ('nobody', '')"), "person nobody has no photo"),
        (lambda s: change(s, "UPDATE photo SET person = 99 WHERE id = 1"), "a row of photo belongs to nothing"),
        (lambda s: (s.root / "crops/9.png").unlink(), "crops/9.png is gone"),
        (lambda s: (s.root / "notes.txt").write_text("Ann"), "notes.txt belongs to no photo"),
        (lambda s: (s.vectors.folder(0) / "77.f16").write_bytes(b"1"), "vectors/0/77.f16 belongs to no photo"),
    ],
)  # fmt: skip
def test_what_is_not_as_it_must_be_is_found(store, harm, line):
    harm(store)
    report = check_store(store)
    assert not report.clean and any(line in wrong for wrong in report.wrong), report.wrong


def test_what_a_kill_has_left_is_tidied_up(store):
    (store.root / "crops/12.png").write_bytes(b"the face of somebody whose enrolment was killed")
    (store.vectors.root / "7").mkdir()
    store.database.unfinished.touch()
    report = check_store(store)
    assert report.clean and len(report.tidied) == 1
    assert not (store.root / "crops/12.png").exists() and not (store.vectors.root / "7").exists()
    assert check_store(store).tidied == []


def test_free_pages_that_hold_something_are_found(tmp_path):
    for secure, wrong in ((0, True), (1, False)):
        path = tmp_path / f"{secure}.sqlite"
        connection = sqlite3.connect(path)
        connection.execute(f"PRAGMA secure_delete = {secure}")
        with connection:
            connection.execute("CREATE TABLE t (b BLOB)")
            connection.executemany("INSERT INTO t VALUES (?)", [(b"secret" * 5000,) for _ in range(50)])
        with connection:
            connection.execute("DELETE FROM t")
        assert connection.execute("PRAGMA freelist_count").fetchone()[0] > 100
        connection.close()
        assert bool(free_pages(path)) is wrong
        assert (b"secret" in path.read_bytes()) is wrong
