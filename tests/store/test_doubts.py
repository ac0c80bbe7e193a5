"""Photos of a store that do not look like the people as whom they are enrolled."""

from __future__ import annotations

import shlex

import numpy as np
import pytest
import torch

from pdsn.calibration.impostors import RARE, Seen
from pdsn.calibration.strangers import KeptScores, Strangers
from pdsn.matchers.matcher import Faces
from pdsn.occlusion.occluders import CLEAN
from pdsn.people.photo import nothing_covered
from pdsn.store import doubts, rivals, snapshot
from pdsn.store.answers import StoreIdentifier
from tests.store.tiny import SIZE, Halves, faces, store_of

CROPS = faces(8, 1)
NAMES = ["Ann", "Bob", "Cid", "Dan", "Ann", "Zed", "Cid", "Eve"]


def crops() -> torch.Tensor:
    """Two alike photos of Ann; Zed's shows Bob; of Cid's two the second shows somebody else."""
    found = CROPS.clone()
    found[4], found[5] = CROPS[0] // 2 + 64, CROPS[1] // 2 + 64
    return found


def asked(tmp_path, covered: torch.Tensor | None = None, compare: str = "nearest"):
    """(what is doubted by file, the identifier) of a store of eight photos."""
    store, variants = store_of(tmp_path / "team", crops(), NAMES, covered, Halves(compare))
    shown = faces(60, 2)
    strangers = Strangers(shown, [f"s{n}" for n in range(60)], np.zeros((60, 5, 2)))
    seen = Seen((CLEAN,), variants.matcher.prepare(Faces.free(shown), "probe"))
    identifier = StoreIdentifier(
        store, variants, lambda: strangers, lambda: seen, nothing_covered, KeptScores()
    )
    photos = [photo for person in store.people() for photo in store.show(person.id).photos]
    found = identifier.doubts(photos, 0.05)
    return {store.photo(number).source: lines for number, lines in found.items()}, identifier, photos


@pytest.mark.parametrize("block", [3, 2048])
def test_who_looks_like_somebody_else_or_not_like_the_same_is_doubted(tmp_path, monkeypatch, block):
    monkeypatch.setattr(doubts, "PART", block)
    for room in (rivals, snapshot):
        monkeypatch.setattr(room, "BLOCK", block)
    found, identifier, photos = asked(tmp_path)
    looks = "who is enrolled too: if both are one person, use `pdsn people merge"
    assert set(found) == {"Bob/1.png", "Zed/5.png", "Cid/2.png", "Cid/6.png"}
    assert found["Bob/1.png"][0].startswith(f"it looks like Zed, {looks} Bob Zed --people ")
    assert found["Zed/5.png"][0].startswith(f"it looks like Bob, {looks} Zed Bob --people ")
    for file in ("Cid/2.png", "Cid/6.png"):
        assert found[file][0].startswith(
            "it does not look like the other photos of Cid: if it shows somebody else of that name, remove it by `pdsn people remove "
        )
    assert "Bob, remove it" not in found["Zed/5.png"][0]
    # Those alone who are asked about.
    some = [photo for photo in photos if photo.name in ("Ann", "Zed")]
    assert list(identifier.doubts(some, 0.05)) == [6] and identifier.doubts([], 0.05) == {}


def test_a_photo_in_the_wrong_folder_is_doubted(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.store.test_doubts.NAMES", [*NAMES[:7], "Zed"])
    line = asked(tmp_path)[0]["Zed/5.png"][0]
    assert (
        "who is enrolled too: if it shows Bob, remove it by `pdsn people remove --photo 6 --people {}`, and enrol it as such; "
        "if both are one person".format(shlex.quote(str(tmp_path / "team")))
        in line
    )


def test_one_person_in_two_spellings_is_no_doubt(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.store.test_doubts.NAMES", [*NAMES[:5], "BOB", *NAMES[6:]])
    assert set(asked(tmp_path)[0]) == {"Cid/2.png", "Cid/6.png"}


def test_photos_that_are_covered_as_few_strangers_are_cannot_be_asked_about(tmp_path, monkeypatch):
    covered = torch.zeros((8, *SIZE), dtype=torch.bool)
    covered[5, :4] = True
    found, identifier, _ = asked(tmp_path, covered)
    assert "Zed/5.png" not in found
    assert not identifier.impostors(identifier.snapshot).tells((True, False)) and RARE < 60
    assert asked(tmp_path / "mean", compare="mean")[0] == {}


def test_of_very_many_photos_some_are_asked_about(tmp_path, monkeypatch):
    _, _, photos = asked(tmp_path)
    monkeypatch.setattr(doubts, "MOST_PAIRS", 16)
    assert doubts.in_seconds(photos, 8) == [photos[0], photos[-1]]
    assert doubts.in_seconds(photos, 2) == photos and doubts.in_seconds([], 0) == []
    assert len(doubts.in_seconds(photos, 1000)) == 1
