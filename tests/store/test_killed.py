"""A store whose writer is killed at any moment: nobody is lost, and nothing of anybody removed is left."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pdsn.matchers.matcher import Faces
from pdsn.store.checking import check_store
from pdsn.store.folder_snapshot import FolderSnapshot
from pdsn.store.search import nearest_people
from pdsn.store.store import Store
from pdsn.store.variants import Variants
from tests.store.tiny import MADE, SIZE, Halves, add, faces

KILLS = 10


def work(root: Path, log: Path, first: int) -> None:
    """Enrol one person after the other, and remove every third; what is done, and what is begun, goes to a log."""
    variants = Variants(Halves(), "halves")
    store = Store.create(root, MADE, variants.widths(SIZE))
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in range(first, first + 10_000):
        add(store, variants, faces(2, number), [f"person {number}"] * 2, start=2 * number, keep_crops=True)
        os.write(handle, f"there {number}\n".encode())
        if number % 3 == 0:
            os.write(handle, f"going {number}\n".encode())
            store.remove(f"person {number}")
            os.write(handle, f"gone {number}\n".encode())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_ten_kills_lose_nobody_and_leave_no_trace(tmp_path):
    root, log = tmp_path / "team", tmp_path / "log"
    rng, killed = np.random.default_rng(0), 0
    variants = Variants(Halves(), "halves")
    for kill in range(KILLS):
        log.unlink(missing_ok=True)
        known = {person.name for person in Store.open(root).people()} if kill else set()
        child = multiprocessing.get_context("fork").Process(target=work, args=(root, log, 1000 * kill))
        child.start()
        while not log.exists() or not log.read_text():
            assert child.is_alive()
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.4))
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        done = [line.split() for line in log.read_text().splitlines()]
        there = {f"person {number}" for word, number in done if word == "there"}
        going = {f"person {number}" for word, number in done if word == "going"}
        gone = {f"person {number}" for word, number in done if word == "gone"}

        store = Store.open(root)
        found = {person.name: person.photos for person in store.people()}
        # A reader, before anybody has tidied up.
        snapshot = FolderSnapshot(store)
        assert set(snapshot.people) == set(found)
        report = check_store(store)
        assert report.clean, report.wrong
        killed += bool(report.tidied)
        assert known | (there - going) <= set(found), "nobody who was enrolled is lost"
        assert not gone & set(found), "and nobody who was removed is back"
        assert set(found.values()) == {2}, "a change is done whole or not at all"
        content = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
        assert not any(f"{name}/".encode() in content for name in gone)
        number = int(next(iter(there - going)).split()[1]) if there - going else None
        if number is not None:
            probe = variants.matcher.prepare(Faces.free(faces(2, number)), "probe")
            for (hit,) in nearest_people(FolderSnapshot(store), variants, probe, 1):
                assert FolderSnapshot(store).people[hit.person] == f"person {number}" and hit.score > 0.99
    assert killed >= 3  # some were killed in the middle of a change
