"""What strangers score in a store, kept and brought up to date."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pdsn.calibration.impostors import Impostors, Seen
from pdsn.calibration.rivals import GalleryRivals
from pdsn.calibration.strangers import KeptScores, Strangers
from pdsn.matchers.matcher import Faces
from pdsn.occlusion.occluders import CLEAN
from pdsn.store import snapshot
from pdsn.store.folder_snapshot import FolderSnapshot
from pdsn.store.rivals import PersonRivals, StoreRivals
from tests.store.tiny import Halves, add, faces, store_of

NAMES = [f"person {n % 9}" for n in range(40)]
OWN = np.array([-1] * 20 + [n % 9 for n in range(10)])


@pytest.fixture(autouse=True, params=[0, 2**26], ids=["large", "small"])
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdsn.store.rivals.BLOCK", 7)
    monkeypatch.setattr(snapshot, "BLOCK", 7)
    monkeypatch.setattr(snapshot, "KEPT", request.param)


def prepared(matcher: Halves, signature: tuple[bool, bool] = (False, False)):
    boxes = [box for box, bit in zip(matcher.regions.values(), signature, strict=True) if bit]
    shown = Faces.free(faces(30, 2)).also_under(boxes)
    return matcher.restored(matcher.prepare(shown, "probe").kept())  # as strangers come: without coverage


@pytest.mark.parametrize("compare", ["nearest", "mean", "both"])
@pytest.mark.parametrize("signature", [(False, False), (True, False)])
def test_rivals_of_a_store_score_as_those_of_a_gallery(tmp_path, compare, signature):
    matcher, crops = Halves(compare), faces(40, 1)
    store, variants = store_of(tmp_path / "team", crops, NAMES, matcher=matcher)
    labels = torch.tensor([int(name.split()[1]) for name in NAMES])
    gallery = matcher.prepare(Faces.free(crops, labels), "gallery")
    known = GalleryRivals(matcher, gallery, sorted(set(NAMES)), labels).nearest(
        prepared(matcher, signature), OWN
    )
    rivals = StoreRivals(FolderSnapshot(store, compare), variants, KeptScores())
    found = rivals.nearest(prepared(matcher, signature), OWN)
    assert np.allclose(found.other, known.other, atol=2e-3) and np.allclose(found.own, known.own, atol=2e-3)
    assert (found.whom == known.whom).mean() > 0.9
    assert np.isneginf(found.own[:20]).all() and np.isfinite(found.own[20:]).all()


def test_a_person_under_two_spellings_is_one_to_strangers(tmp_path):
    matcher, crops = Halves(), faces(40, 1)
    apart = [name.upper() if n % 2 else name for n, name in enumerate(NAMES)]
    found = []
    for place, names in (("one", NAMES), ("two", apart)):
        store, variants = store_of(tmp_path / place, crops, names)
        rivals = StoreRivals(FolderSnapshot(store), variants, KeptScores())
        own = np.array([-1 if n < 0 else rivals.people.index(f"person {n}") for n in OWN])
        found.append(rivals.nearest(prepared(matcher), own))
    assert np.array_equal(found[0].other, found[1].other) and np.array_equal(found[0].own, found[1].own)


@pytest.mark.parametrize("change", ["rename", "merge"])
def test_strangers_know_a_person_by_former_names(tmp_path, change):
    strangers = Strangers(
        faces(30, 2), [f"Person_{n}" if n >= 0 else f"s{n}" for n in OWN], np.zeros((30, 5, 2))
    )
    store, variants = store_of(tmp_path / "team", faces(40, 1), NAMES)

    def impostors() -> Impostors:
        rivals = StoreRivals(FolderSnapshot(store), variants, KeptScores())
        seen = Seen((CLEAN,), prepared(variants.matcher))
        return Impostors(variants.matcher, rivals, strangers, seen)

    before = impostors()
    assert np.array_equal(before.own, OWN)
    if change == "rename":
        store.rename("person 3", "Anna")
        assert np.array_equal(impostors().own, OWN)
        assert np.array_equal(impostors().scores((False, False)), before.scores((False, False)))
    else:
        store.merge("person 3", "person 8")
        people = [before.rivals.people[n] if n >= 0 else "" for n in before.own]
        one = {"person 3": "person 8", "": ""}
        now = impostors()
        assert [now.rivals.people[n] if n >= 0 else "" for n in now.own] == [one.get(n, n) for n in people]
    # One person who is alone there is asked about by all names.
    snapshot = FolderSnapshot(store)
    person = snapshot.numbers["Anna" if change == "rename" else "person 8"]
    own = Impostors(variants.matcher, PersonRivals(snapshot, variants, person), strangers, before.seen).own
    assert own.tolist() == [0 if n == 3 or (n == 8 and change == "merge") else -1 for n in OWN]


def test_kept_scores_are_those_of_the_same_own_people(tmp_path):
    store, variants = store_of(tmp_path / "team", faces(40, 1), NAMES)
    nobody = np.full(30, -1)
    shown = StoreRivals(FolderSnapshot(store), variants, KeptScores())

    def ask(own: np.ndarray) -> np.ndarray:
        rivals = StoreRivals(FolderSnapshot(store), variants, KeptScores())
        return rivals.highest("same", lambda: prepared(variants.matcher), own)

    nearest = shown.nearest(prepared(variants.matcher), nobody).whom
    for own in (nobody, nearest):
        assert np.array_equal(ask(own), shown.nearest(prepared(variants.matcher), own).other)
    assert not np.array_equal(ask(nobody), ask(nearest))


def test_a_stranger_is_not_compared_with_photos_that_show_more_covered(tmp_path):
    matcher, crops = Halves(), faces(40, 1)
    covered = torch.zeros((40, 8, 6), dtype=torch.bool)
    covered[:20, :4] = True
    store, variants = store_of(tmp_path / "team", crops, NAMES, covered)
    rivals = StoreRivals(FolderSnapshot(store), variants, KeptScores())
    nobody = np.full(30, -1)
    for signature, rows in (
        ((False, False), slice(20, 40)),
        ((True, False), slice(0, 40)),
        ((False, True), slice(20, 40)),
    ):
        shown = prepared(matcher, signature)
        scores = matcher.compare(shown, matcher.prepare(Faces.free(crops[rows]), "gallery"))
        assert np.allclose(rivals.nearest(shown, nobody).other, scores.amax(1).numpy(), atol=2e-3)


def test_after_an_enrolment_the_new_photos_alone_are_compared_with(tmp_path, monkeypatch):
    matcher, crops = Halves(), faces(40, 1)
    store, variants = store_of(tmp_path / "team", crops[:30], NAMES[:30])
    asked: list[int] = []
    real = StoreRivals._nearest

    def nearest(self, probes, own, first):
        asked.append(first)
        return real(self, probes, own, first)

    monkeypatch.setattr(StoreRivals, "_nearest", nearest)

    def highest(own: np.ndarray = OWN) -> np.ndarray:
        rivals = StoreRivals(FolderSnapshot(store), variants, KeptScores())
        return rivals.highest("clean", lambda: prepared(matcher), own)

    before = highest()
    assert np.array_equal(highest(), before) and asked == [0]  # from the disk
    add(store, variants, crops[30:], NAMES[30:], start=30)
    after = highest()
    assert asked == [0, 30]
    whole = (
        StoreRivals(FolderSnapshot(store), variants, KeptScores())._nearest(prepared(matcher), OWN, 0).other
    )
    assert np.allclose(after, whole) and not np.allclose(after, before)
    store.rename("person 3", "person 33")  # its own photos are a stranger's now
    highest()
    assert asked[-1] == 0
    store.remove("person 5")
    assert not (store.root / "scores").exists()
    highest(np.minimum(OWN, 7))
    assert asked[-1] == 0


def test_means_are_compared_anew_after_an_enrolment(tmp_path):
    matcher, crops = Halves("mean"), faces(40, 1)
    store, variants = store_of(tmp_path / "team", crops[:30], NAMES[:30], matcher=matcher)

    def highest() -> np.ndarray:
        return StoreRivals(FolderSnapshot(store, "mean"), variants, KeptScores()).highest(
            "clean", lambda: prepared(matcher), OWN
        )

    before = highest()
    add(store, variants, crops[30:], NAMES[30:], start=30)
    whole = (
        StoreRivals(FolderSnapshot(store, "mean"), variants, KeptScores())
        .nearest(prepared(matcher), OWN)
        .other
    )
    assert np.allclose(highest(), whole)
    assert (whole < before - 1e-3).any()  # a mean can move away


def test_one_person_s_rivals_are_that_person_alone(tmp_path):
    matcher, crops = Halves(), faces(40, 1)
    store, variants = store_of(tmp_path / "team", crops, NAMES)
    found = FolderSnapshot(store)
    rivals = PersonRivals(found, variants, found.numbers["person 4"])
    rows = [row for row, name in enumerate(NAMES) if name == "person 4"]
    shown = prepared(matcher)
    scores = matcher.compare(shown, matcher.prepare(Faces.free(crops[rows]), "gallery")).amax(1).numpy()
    assert rivals.people == ["person 4"]
    assert np.allclose(rivals.highest("clean", lambda: shown, np.full(30, -1)), scores, atol=2e-3)
