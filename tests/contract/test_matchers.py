"""What every matcher has to do, whatever it compares; a new one is tested by its line in the table."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pdsn.matchers.embedding import EmbeddingMatcher
from pdsn.matchers.matcher import Faces, Matcher, joint_signatures, signatures_of
from pdsn.matchers.rerank import for_pairs
from pdsn.matchers.table import MATCHERS
from pdsn.run.workspace import Workspace

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
"""Embedding other faces beside it moves a score by rounding alone."""


@pytest.fixture(scope="module", params=sorted(MATCHERS))
def matcher(request: pytest.FixtureRequest, workspace: Workspace) -> Matcher:
    return for_pairs(workspace.matcher(request.param))


def hidden(size: tuple[int, int], count: int, seed: int) -> Tensor:
    """Covered pixels (N, H, W): of the first face none, of the others a box each."""
    rng = torch.Generator().manual_seed(seed)
    covered = torch.zeros((count, *size), dtype=torch.bool)
    for row in range(1, count):
        top = int(torch.randint(0, size[0] // 2, (), generator=rng))
        left = int(torch.randint(0, size[1] // 2, (), generator=rng))
        covered[row, top : top + size[0] // 2, left : left + 2 * size[1] // 3] = True
    return covered


def faces(workspace: Workspace, first: int, count: int, *, free: bool = False) -> Faces:
    """Faces of the run's people, from one row on; of some of them something is covered."""
    rows = range(first, first + count)
    pixels, people = workspace.dataset.tensor(rows), torch.from_numpy(workspace.dataset.labels)[list(rows)]
    if free:
        return Faces.free(pixels, people)
    covered = hidden(workspace.dataset.size, count, first)
    pixels = torch.where(covered[:, None], 255, pixels)
    return Faces(pixels, covered, people)


@pytest.mark.parametrize("free", [True, False])
def test_probes_by_gallery(matcher, workspace, free):
    probes = matcher.prepare(faces(workspace, 0, 5), "probe")
    gallery = matcher.prepare(faces(workspace, 8, 7, free=free), "gallery")
    scores = matcher.compare(probes, gallery)
    assert scores.shape == (5, 7) and scores.dtype == torch.float32 and scores.device.type == "cpu"
    assert torch.isfinite(scores).all() and scores.std() > 0
    if isinstance(matcher, EmbeddingMatcher):
        assert scores.abs().max() <= 1 + 1e-5
    assert (len(probes), len(gallery)) == (5, 7)


@pytest.mark.parametrize("free", [True, False])
def test_pairs_are_the_diagonal(matcher, workspace, free):
    a = matcher.prepare(faces(workspace, 0, 6), "probe")
    b = matcher.prepare(faces(workspace, 8, 6, free=free), "gallery")
    found = matcher.pairs(a, b)
    assert found.shape == (6,)
    torch.testing.assert_close(found, matcher.compare(a, b).diagonal(), **CLOSE)
    with pytest.raises(ValueError, match="6 faces and 5 are no pairs"):
        matcher.pairs(a, b[:5])


@pytest.mark.parametrize("free", [True, False])
def test_rows_of_what_was_prepared_score_as_among_all(matcher, workspace, free):
    probes = matcher.prepare(faces(workspace, 0, 6), "probe")
    gallery = matcher.prepare(faces(workspace, 8, 7, free=free), "gallery")
    whole = matcher.compare(probes, gallery)
    for rows in ([4, 0, 4], slice(2, 5)):
        assert probes[rows].signatures == [probes.signatures[row] for row in torch.arange(6)[rows].tolist()]
        torch.testing.assert_close(matcher.compare(probes[rows], gallery), whole[rows], **CLOSE)
        torch.testing.assert_close(matcher.compare(probes, gallery[rows]), whole[:, rows], **CLOSE)
    # As re-ranking asks: for each probe some of the gallery, and rows of rows.
    again = matcher.pairs(probes[[0, 0, 5, 5]], gallery[1:][[0, 5, 0, 5]])
    torch.testing.assert_close(again, whole[[0, 0, 5, 5], [1, 6, 1, 6]], **CLOSE)
    assert matcher.compare(probes[[]], gallery).shape == (0, 7)


def test_what_is_kept_of_probes_compares_alike_with_a_free_gallery(matcher, workspace):
    asked = faces(workspace, 0, 6)
    gallery = matcher.prepare(faces(workspace, 8, 7, free=True), "gallery")
    probes = matcher.prepare(asked, "probe")
    kept = probes.kept()
    assert all(tensor.device.type == "cpu" and len(tensor) == 6 for tensor in kept.values())
    restored = matcher.restored(kept)
    assert len(restored) == 6 and restored.signatures == probes.signatures
    whole = matcher.compare(probes, gallery)
    torch.testing.assert_close(matcher.compare(restored, gallery), whole, **CLOSE)
    torch.testing.assert_close(matcher.compare(restored[[5, 1]], gallery), whole[[5, 1]], **CLOSE)
    again = matcher.restored(restored.kept())
    torch.testing.assert_close(matcher.compare(again, gallery), whole, **CLOSE)
    # What is kept of several lots can be put after one another.
    parts = [matcher.prepare(asked[rows], "probe").kept() for rows in (slice(0, 1), slice(1, 6))]
    joined = matcher.restored({name: torch.cat([part[name] for part in parts]) for name in kept})
    torch.testing.assert_close(matcher.compare(joined, gallery), whole, **CLOSE)
    with pytest.raises(KeyError):
        matcher.restored({"something": torch.zeros(3)})


def test_sides_can_change_where_it_says_so(matcher, workspace):
    a, b = faces(workspace, 0, 5), faces(workspace, 8, 6)
    there = matcher.compare(matcher.prepare(a, "probe"), matcher.prepare(b, "gallery"))
    back = matcher.compare(matcher.prepare(b, "probe"), matcher.prepare(a, "gallery"))
    assert torch.allclose(there, back.T, **CLOSE) == matcher.symmetric


def test_nothing_of_one_call_is_left_to_the_next(matcher, workspace):
    probes = matcher.prepare(faces(workspace, 0, 5), "probe")
    one = matcher.prepare(faces(workspace, 8, 7, free=True), "gallery")
    other = matcher.prepare(faces(workspace, 16, 4), "gallery")
    alone = [matcher.compare(probes, gallery) for gallery in (one, other)]
    for gallery, wanted in ((other, alone[1]), (one, alone[0]), (other, alone[1])):
        assert torch.equal(matcher.compare(probes, gallery), wanted)
    fresh = matcher.prepare(faces(workspace, 8, 7, free=True), "gallery")
    torch.testing.assert_close(matcher.compare(probes, fresh), alone[0], **CLOSE)


def test_signatures_of_faces_and_of_pairs(matcher, workspace):
    a, b = faces(workspace, 0, 6), faces(workspace, 8, 6)
    own = matcher.signatures(a)
    assert own == matcher.prepare(a, "probe").signatures
    assert all(len(signature) == len(matcher.regions) for signature in own) and not any(own[0])
    free = Faces.free(b.pixels)
    assert matcher.signatures(a, free) == matcher.signatures(free, a) == own
    pairs = matcher.signatures(a, b)
    signatures, places = matcher.joint(a, b)
    assert places.shape == (6, 6) and sorted(set(places.flatten().tolist())) == list(range(len(signatures)))
    assert [signatures[place] for place in places.diagonal().tolist()] == pairs
    rows = [matcher.signatures(a[[row] * 6], b) for row in range(6)]
    assert [[signatures[place] for place in row] for row in places.tolist()] == rows
    for first, both in zip(own, pairs, strict=True):
        assert all(bit or not before for before, bit in zip(first, both, strict=True))


def test_a_covered_gallery_changes_the_fdm_as_the_union_says(nearest):
    matcher = nearest.matcher("fdm")
    probes, gallery = faces(nearest, 0, 5), faces(nearest, 8, 6)
    found = matcher.compare(matcher.prepare(probes, "probe"), matcher.prepare(gallery, "gallery"))
    assert len(matcher.joint(probes, gallery)[0]) > 3
    free = matcher.prepare(Faces.free(gallery.pixels), "gallery")
    for row in range(5):
        for column in range(6):
            # Whichever of the two is covered: a free photo is compared alike with one that has the union.
            union = probes.covered[row] | gallery.covered[column]
            one = matcher.prepare(Faces(probes.pixels[row : row + 1], union[None]), "probe")
            wanted = matcher.compare(one, free[[column]])
            torch.testing.assert_close(found[row : row + 1, column : column + 1], wanted, **CLOSE)
    unaware = matcher.compare(matcher.prepare(probes, "probe"), free)
    assert not torch.allclose(found[:, 1:], unaware[:, 1:], atol=1e-3)
    restored = matcher.restored(matcher.prepare(probes, "probe").kept())
    with pytest.raises(ValueError, match="can be compared with galleries of which nothing is covered"):
        matcher.compare(restored, matcher.prepare(gallery, "gallery"))


def test_a_large_comparison_is_done_in_blocks(workspace, monkeypatch):
    matcher = workspace.matcher("fdm")
    probes = matcher.prepare(faces(workspace, 0, 6), "probe")
    gallery = matcher.prepare(faces(workspace, 8, 7), "gallery")
    whole = matcher.compare(probes, gallery)
    monkeypatch.setattr("pdsn.matchers.embedding.BLOCK", 14)
    torch.testing.assert_close(matcher.compare(probes, gallery), whole, **CLOSE)


@pytest.mark.parametrize("layout", ["LM1", "LM2", "LM2-split", "grid3x3"])
@pytest.mark.parametrize("share", [0.3, 0.5])
def test_joint_signatures_are_those_of_the_union_of_the_pixels(nearest, layout, share):
    regions = nearest.layout(layout)
    a, b = (torch.rand(9, *regions.size, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    a = (a < 0.1) | hidden(regions.size, 9, 3)
    b = (b < 0.1) | hidden(regions.size, 9, 4)
    signatures, places = joint_signatures(a, b, regions, share)
    assert len(signatures) > 5
    for row in range(9):
        wanted = signatures_of(a[row] | b, regions, share)
        assert [signatures[place] for place in places[row].tolist()] == wanted
