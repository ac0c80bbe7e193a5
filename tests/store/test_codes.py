"""Embeddings in int8: what is read is near to what was kept, by a bound, and search finds the same people."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pdsn.data.settings import PrepareConfig
from pdsn.errors import PdsnError, UsageError
from pdsn.matchers.matcher import Faces
from pdsn.people.photo import nothing_covered
from pdsn.store import kinds, snapshot
from pdsn.store.checking import check_store
from pdsn.store.codes import CODES, Float16, Int8
from pdsn.store.folder_snapshot import FolderSnapshot
from pdsn.store.making import Maker, Task
from pdsn.store.search import nearest_people
from pdsn.store.spread import Tools, _Worker
from pdsn.store.store import Store
from pdsn.store.variants import Variants
from tests.people.photos import PlainDetector
from tests.store.tiny import MADE, SIZE, Halves, add, covered_some, faces, store_of

NAMES = [f"person {n % 17}" for n in range(60)]


def vectors_of(width: int, kind: str) -> torch.Tensor:
    """200 unit vectors (200, E): even, or of few large numbers among small ones."""
    found = torch.randn((200, width), generator=torch.Generator().manual_seed(width))
    return F.normalize(found if kind == "even" else found**7)


def again(code: Int8 | Float16, vectors: torch.Tensor) -> torch.Tensor:
    """What is read of what was kept."""
    return code.decode(code.encode(vectors.numpy()), torch.empty(vectors.shape)).scaled()


@pytest.mark.parametrize("width", [49, 128, 512])
@pytest.mark.parametrize("kind", ["even", "spiked"])
def test_a_score_moves_by_no_more_than_the_bound(width, kind):
    vectors = vectors_of(width, kind)
    found = again(Int8(), vectors)
    assert torch.allclose(found.norm(dim=1), torch.ones(200), atol=1e-6)
    rounding = width**0.5 * vectors.abs().amax(1) / 254
    bound = rounding / (1 - rounding**2).sqrt()
    # Of all probes the one along the difference sees most of it.
    worst = (found - vectors).norm(dim=1)
    assert bool((worst <= bound + 1e-6).all())
    assert float(worst.max()) > 0.2 * float(bound.max())  # the bound says something
    probes = vectors_of(width, "even").flip(0)
    assert float((probes @ found.T - probes @ vectors.T).abs().max()) < (0.006 if kind == "even" else 0.01)


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_bytes_are_as_many_as_said_and_stay_what_they_are(code):
    vectors = vectors_of(128, "even")
    kept = code.encode(vectors.numpy())
    assert kept.dtype == np.uint8 and kept.shape == (200, code.size(128))
    assert np.array_equal(code.encode(again(code, vectors).numpy()), kept)
    assert Int8().size(128) < 0.52 * Float16().size(128)


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_what_is_read_is_the_same_however_often_one_asks(code):
    kept = code.encode(vectors_of(49, "even").numpy())
    decoded = code.decode(kept, torch.empty((200, 49)))
    assert torch.equal(decoded.scaled().clone(), decoded.scaled())


@pytest.mark.parametrize("compare", ["nearest", "mean", "both"])
@pytest.mark.parametrize("kept", [0, 2**26], ids=["large", "small"])
def test_a_store_in_int8_answers_as_one_in_float16(tmp_path, monkeypatch, compare, kept):
    monkeypatch.setattr(snapshot, "KEPT", kept)
    matcher, crops, covered = Halves(compare), faces(60, 1), covered_some(60, 3)
    probes = matcher.prepare(Faces(faces(20, 2), covered_some(20, 4)), "probe")
    found = {}
    for kind in CODES:
        store, variants = store_of(tmp_path / kind, crops, NAMES, covered, matcher, kind)
        assert check_store(store).clean
        hits = nearest_people(FolderSnapshot(store, compare), variants, probes, 17)
        found[kind] = [{hit.person: hit.score for hit in mine} for mine in hits]
    for ours, theirs in zip(found["int8"], found["float16"], strict=True):
        assert ours.keys() == theirs.keys()
        assert [ours[person] for person in ours] == pytest.approx(
            [theirs[person] for person in ours], abs=0.01
        )
    assert found["int8"] != found["float16"]


def test_a_store_stays_as_it_was_made_and_is_not_mixed(tmp_path):
    store, variants = store_of(tmp_path / "team", faces(6, 1), list("AABBCC"), kept_as="int8")
    size = 4 + np.prod(SIZE) * 3
    assert {path.stat().st_size for path in store.vectors.folder(0).glob("*.i8")} == {6 * size}
    opened = Store.open(store.root)
    assert opened.kept_as == "int8"
    add(opened, variants, faces(2, 2), ["D", "E"], start=6)
    opened.remove("A")
    assert check_store(opened).clean and opened.counts() == (4, 6)
    kinds.check_vectors(store.root, "int8")
    kinds.check_vectors(store.root, None)
    with pytest.raises(
        UsageError, match="keeps embeddings as int8, and a store has them all alike: leave --vec"
    ):
        kinds.check_vectors(store.root, "float16")
    with pytest.raises(UsageError, match="--vectors int4: give float16 or int8"):
        kinds.check_vectors(tmp_path / "new", "int4")
    with pytest.raises(UsageError, match="as every table does: leave --vectors int8 out"):
        kinds.check_vectors("lance://team", "int8")


@pytest.mark.parametrize("kept_as", [None, "int8"])
def test_workers_with_the_same_run_take_it_however_it_keeps_embeddings(tmp_path, kept_as):
    store, _ = store_of(tmp_path / "team", faces(1, 1), ["Ann"], kept_as=kept_as)
    tools = Tools(Maker(Variants(Halves(), "halves"), nothing_covered), PlainDetector(), MADE)
    task = Task(tmp_path, PrepareConfig())
    _Worker(lambda: tools, json.dumps(store.made), store.widths, task)
    assert Store.open(store.root).kept_as == (kept_as or "float16")
    with pytest.raises(RuntimeError, match="the run is another one"):
        _Worker(lambda: tools, json.dumps({**store.made, "base": "other"}), store.widths, task)


def test_one_that_a_newer_pdsn_keeps_in_another_way_is_refused(tmp_path):
    with pytest.raises(PdsnError, match="was written by a newer pdsn"):
        Store.create(tmp_path / "team", {**MADE, "vectors": "int4"}, [1])


def test_a_store_from_before_is_one_in_float16(tmp_path):
    store = Store.create(tmp_path / "team", MADE, [4])
    assert store.kept_as == "float16"
