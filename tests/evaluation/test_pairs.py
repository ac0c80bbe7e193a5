"""Pairs of photos: which there are, what they score, and that scores are comparable across what is covered."""

import numpy as np
import pytest
import torch

from pdsn.calibration.strangers import Strangers
from pdsn.errors import PdsnError
from pdsn.evaluation import pairs as module
from pdsn.evaluation.pairs import KINDS, PairNormal, PairScorer, paired_rows, verify_pairs
from pdsn.evaluation.probes import aligned_probes
from pdsn.matchers.matcher import Faces, boxes_of
from pdsn.occlusion.occluders import CLEAN, Nothing, find_occluder
from tests.contract.conftest import nearest, untrained

__all__ = ["nearest", "untrained"]


@pytest.fixture(scope="module")
def workspace(nearest):
    """A run that nobody trained."""
    return nearest


@pytest.fixture(scope="module")
def scorer(workspace):
    matchers = {name: workspace.matcher(name) for name in ("cosine", "fdm")}
    return PairScorer(matchers, Strangers.of(workspace.dataset))


@pytest.fixture(scope="module")
def scored(workspace, scorer):
    rows = paired_rows(workspace.dataset, "test", "photo")
    eyes = find_occluder("eyes", workspace.statistics, workspace.settings.regions.floor)
    told = []
    found = verify_pairs(
        scorer, workspace.dataset.labels[rows], {CLEAN: Nothing(), "eyes": eyes},
        make_probes=aligned_probes(workspace.dataset, rows, 0), find_covered=None,
        on_scored=lambda *names: told.append(names),
    )  # fmt: skip
    assert told == [(CLEAN, KINDS[0]), ("eyes", KINDS[1]), ("eyes", KINDS[2])]
    return rows, eyes, found


def test_of_each_person_at_most_so_many_photos_are_paired(workspace, monkeypatch):
    dataset = workspace.dataset
    assert paired_rows(dataset, "test", "photo").tolist() == dataset.rows("test").tolist()
    monkeypatch.setattr(module, "MOST_PHOTOS", 2)
    rows = paired_rows(dataset, "train", "photo")
    assert np.bincount(dataset.labels[rows]).tolist() == [2] * len(dataset.people)
    monkeypatch.setattr(module, "MOST_PHOTOS", 1)
    with pytest.raises(PdsnError, match="make no pairs of one person and of two"):
        paired_rows(dataset, "train", "photo")


def test_every_pair_is_there_once_or_both_ways_round_and_never_a_photo_with_itself(workspace, scored):
    rows, _, found = scored
    labels = workspace.dataset.labels[rows]
    n, same = len(rows), sum(k * k for k in np.bincount(labels))
    for name in ("cosine", "fdm"):
        clean = found[CLEAN, KINDS[0], name].scores
        assert len(clean.genuine) == (same - n) // 2 and len(clean.impostor) == (n * n - same) // 2
        for kind in KINDS[1:3]:
            both = found["eyes", kind, name].scores
            assert len(both.genuine) == same - n and len(both.impostor) == n * n - same
            assert (both.impostor_people[:, 0] != both.impostor_people[:, 1]).all()


@pytest.mark.parametrize("name", ["cosine", "fdm"])
def test_cosines_are_those_of_pairs_row_by_row(workspace, scorer, scored, name):
    rows, eyes, found = scored
    make = aligned_probes(workspace.dataset, rows, 0)
    first, second = (make("eyes", eyes, draw) for draw in (0, 1))
    labels, matcher = workspace.dataset.labels[rows], scorer.matchers[name]
    probe, other = np.nonzero((labels[:, None] == labels[None]) & ~np.eye(len(rows), dtype=bool))
    sides = [
        matcher.prepare(Faces(one.faces[at], one.exact[at]), role)
        for one, at, role in ((first, probe, "probe"), (second, other, "gallery"))
    ]
    wanted = matcher.pairs(*sides).numpy()
    np.testing.assert_allclose(found["eyes", KINDS[2], name].cosines.genuine, wanted, atol=1e-4)


def test_scores_are_deviations_above_strangers_who_are_covered_alike(workspace, scorer, scored):
    rows, eyes, found = scored
    matcher = scorer.matchers["fdm"]
    covered = aligned_probes(workspace.dataset, rows, 0)("eyes", eyes, 0)
    (signature,) = set(matcher.signatures(Faces(covered.faces, covered.exact)))
    normal = PairNormal(matcher, Strangers.of(workspace.dataset))
    mean, deviation = normal.of(signature)
    own = found["eyes", KINDS[1], "fdm"]
    alike = np.isclose(own.scores.genuine, (own.cosines.genuine - mean) / deviation, atol=1e-6)
    assert alike.all(), "an exact band over the eyes is that signature"
    _, few = Strangers.of(workspace.dataset).few
    boxes, names = boxes_of(signature, matcher.regions), np.array(few.names)
    probes = matcher.prepare(Faces.free(few.blocked(boxes)).also_under(boxes), "probe")
    scores = matcher.compare(probes, matcher.prepare(Faces.free(few.faces), "gallery")).numpy()
    others = scores[names[:, None] != names[None]]
    assert (mean, deviation) == pytest.approx((others.mean(), others.std()), rel=1e-5)
    assert any(signature) and normal.of((False,) * len(signature)) != (mean, deviation)


def test_a_photo_without_a_face_scores_nothing(workspace, scorer):
    faces = Faces.free(workspace.dataset.tensor(range(6)))
    people, seen = np.array([0, 0, 1, 1, 2, 2]), np.ones(6, bool)
    blind = seen.copy()
    blind[0] = False
    scored = scorer.score(
        scorer.side(faces, blind, "probe"), scorer.side(faces, seen, "gallery"), people, twice=True
    )
    for own in scored.values():
        assert np.isnan(own.scores.genuine).sum() == 1 and np.isnan(own.scores.impostor).sum() == 4
    assert torch.is_tensor(faces.pixels)
