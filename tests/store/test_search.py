"""Search in a store finds what the matcher itself finds, whatever is covered on either side."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from pdsn.matchers.matcher import Faces
from pdsn.metrics import best_per_person
from pdsn.store import search, snapshot
from pdsn.store.folder_snapshot import FolderSnapshot
from pdsn.store.search import nearest_people
from pdsn.store.vectors import FOLDER
from tests.store.tiny import Halves, add, covered_some, faces, store_of

NAMES = [f"person {n % 17}" for n in range(60)]
FLOAT16 = 2e-3
"""By how much a cosine may differ that was taken with an embedding in float16."""


@pytest.fixture(autouse=True, params=[0, 2**26], ids=["large", "small"])
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven photos a block, and few scores in memory, so that there are several parts."""
    for module, name, size in (
        (search, "BLOCK", 7), (snapshot, "BLOCK", 7), (search, "STEP", 7), (search, "SCORES", 70)
    ):  # fmt: skip
        monkeypatch.setattr(module, name, size)
    monkeypatch.setattr(snapshot, "KEPT", request.param)


def expected(matcher: Halves, probes: Faces, gallery: Faces, names: list[str]) -> torch.Tensor:
    """The best scores (P, K) of people in the order in which they were enrolled."""
    people = list(dict.fromkeys(names))
    labels = torch.tensor([people.index(name) for name in names])
    given = Faces(gallery.pixels, gallery.covered, labels)
    scores = matcher.compare(matcher.prepare(probes, "probe"), matcher.prepare(given, "gallery"))
    return best_per_person(scores, labels, len(people))


@pytest.mark.parametrize("compare", ["nearest", "mean", "both"])
@pytest.mark.parametrize("kind", ["masked", "not masked", "twice as wide"])
@pytest.mark.parametrize("hidden", ["gallery free", "gallery covered"])
def test_the_nearest_people_are_those_of_the_matcher(tmp_path, compare, kind, hidden):
    matcher = Halves(compare, masked=kind != "not masked", twice=kind == "twice as wide")
    crops, shown = faces(60, 1), faces(20, 2)
    shown[:5] = crops[:5]
    covered = (
        covered_some(60, 3) if hidden == "gallery covered" else torch.zeros((60, 8, 6), dtype=torch.bool)
    )
    store, variants = store_of(tmp_path / "team", crops, NAMES, covered, matcher)
    probes = Faces(shown, covered_some(20, 4))
    best = expected(matcher, probes, Faces(crops, covered), NAMES)
    found = FolderSnapshot(store, compare)
    hits = nearest_people(found, variants, matcher.prepare(probes, "probe"), 5)
    order = best.topk(6)
    for row, mine in enumerate(hits):
        assert len(mine) == 5
        for place, hit in enumerate(mine):
            assert hit.score == pytest.approx(float(best[row, hit.person]), abs=FLOAT16)
            assert NAMES[hit.row] == found.people[hit.person]
            gap = float(order.values[row, place] - order.values[row, place + 1])
            if gap > 2 * FLOAT16 and (
                place == 0 or order.values[row, place - 1] - order.values[row, place] > 2 * FLOAT16
            ):
                assert hit.person == int(order.indices[row, place])


def test_what_is_covered_of_both_photos_is_left_out_exactly(tmp_path):
    matcher = Halves()
    crops, covered = faces(40, 5), covered_some(40, 6)
    store, variants = store_of(tmp_path / "team", crops, [str(n) for n in range(40)], covered)
    probes = Faces(faces(30, 7), covered_some(30, 8))
    hits = nearest_people(FolderSnapshot(store), variants, matcher.prepare(probes, "probe"), 40)
    jointly = 0
    for row, mine in enumerate(hits):
        assert len({hit.row for hit in mine}) == 40
        for hit in mine:
            (joint,) = matcher.signatures(probes[[row]], Faces(crops, covered)[[hit.row]])
            assert hit.signature == joint
            own = matcher.signatures(probes[[row]]), matcher.signatures(Faces(crops, covered)[[hit.row]])
            jointly += joint not in (own[0][0], own[1][0])
    assert jointly > 20  # some regions are covered by both together alone


def test_a_store_is_searched_alike_without_arrays_and_with_some_of_them(tmp_path, monkeypatch):
    matcher, crops = Halves(), faces(60, 1)
    store, variants = store_of(tmp_path / "team", crops[:40], NAMES[:40])
    probes = matcher.prepare(Faces.free(crops[30:50]), "probe")

    def asked() -> list[list[tuple[int, float]]]:
        hits = nearest_people(FolderSnapshot(store), variants, probes, 3)
        return [[(hit.row, hit.score) for hit in mine] for mine in hits]

    # As a reader finds it while the writer has yet to bring the arrays up to date.
    monkeypatch.setattr(type(store), "follow", lambda self, patience: None)
    monkeypatch.setattr("pdsn.store.store.follow", lambda store, moved, empty: None)
    add(store, variants, crops[40:], NAMES[40:], start=40)
    assert store.vectors.count(0) == 40
    late = asked()
    assert max(row for hits in late for row, _ in hits) >= 40
    shutil.rmtree(store.root / FOLDER)
    without = asked()
    monkeypatch.undo()
    whole = asked()
    assert store.vectors.count(0) == 60
    for one in (late, without):
        assert [[row for row, _ in hits] for hits in one] == [[row for row, _ in hits] for hits in whole]
        assert np.allclose(
            [[score for _, score in hits] for hits in one], [[score for _, score in hits] for hits in whole]
        )


@pytest.mark.parametrize("crowd", [False, True], ids=["few photos each", "one person with most"])
def test_of_many_photos_the_best_ones_of_each_person_count(tmp_path, monkeypatch, crowd):
    monkeypatch.setattr(search, "SCORES", 2**20)
    crops, shown = faces(500, 1), faces(6, 2)
    names = [f"person {n % 90}" for n in range(500)]
    if crowd:
        # All but every fifth photo show one person and are near the first probe: the best ones are of nobody else.
        one = np.arange(500) % 5 > 0
        near = shown[:1].int() + faces(int(one.sum()), 3).int() % 9 - 4
        crops[one] = near.clamp(0, 255).byte()
        names = ["crowd" if is_one else name for is_one, name in zip(one, names, strict=True)]
    store, variants = store_of(tmp_path / "team", crops, names)
    matcher = variants.matcher
    best = expected(matcher, Faces.free(shown), Faces.free(crops), names).topk(3)
    found = FolderSnapshot(store)
    for row, mine in enumerate(
        nearest_people(found, variants, matcher.prepare(Faces.free(shown), "probe"), 3)
    ):
        assert [hit.person for hit in mine] == best.indices[row].tolist()
        assert [hit.score for hit in mine] == pytest.approx(best.values[row].tolist(), abs=FLOAT16)


def test_one_signature_alone_is_read(tmp_path, monkeypatch):
    matcher = Halves()
    store, variants = store_of(tmp_path / "team", faces(40, 1), NAMES[:40])
    found = FolderSnapshot(store)
    read, real = [], FolderSnapshot._raw
    monkeypatch.setattr(
        FolderSnapshot, "_raw", lambda self, place, *where: read.append(place) or real(self, place, *where)
    )
    nearest_people(found, variants, matcher.prepare(Faces.free(faces(3, 9)), "probe"), 5)
    assert read == [variants.place((False, False))]
