"""Two matchers at once, and the odds that are fitted to their scores."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from pdsn.calibration.odds import fit_odds
from pdsn.data.dataset import FaceDataset
from pdsn.errors import PdsnError, UsageError
from pdsn.matchers.fused import Fused, Odds
from pdsn.matchers.matcher import Faces
from pdsn.matchers.table import parts_of
from pdsn.occlusion.layouts import Box
from pdsn.occlusion.occluders import Block
from tests.matchers.listed import Listed, Numbers, numbered

FIRST, SECOND = Odds(4.0, -1.0, 3.0, 0.5), Odds(0.01, -2.0, 0.02, 7.0)


def table(seed: int) -> torch.Tensor:
    return 2 * torch.rand(9, 9, generator=torch.Generator().manual_seed(seed)) - 1


def fused(symmetric: tuple[bool, bool] = (True, True)) -> Fused:
    parts = Listed(table(1), symmetric=symmetric[0]), Listed(100 * table(2), symmetric=symmetric[1])
    return Fused(*parts, (FIRST, SECOND))


def by_hand(a: int, b: int, hidden: bool) -> float:
    total = 0.0
    for odds, score in ((FIRST, table(1)[a, b].item()), (SECOND, 100 * table(2)[a, b].item())):
        slope, offset = (odds.covered_slope, odds.covered_offset) if hidden else (odds.slope, odds.offset)
        total += slope * score + offset
    return total / 2


def test_a_score_is_the_mean_of_both_log_odds_by_the_line_of_covered_pairs_where_they_are():
    matcher = fused()
    probes = matcher.prepare(numbered(0, 4, 7, covered=(1,)), "probe")
    gallery = matcher.prepare(numbered(8, 2, 3, 4, covered=(0, 2)), "gallery")
    found = matcher.compare(probes, gallery)
    wanted = [
        [by_hand(a, b, a == 4 or b in (8, 3)) for b in (8, 2, 3, 4)]
        for a in (0, 4, 7)
    ]  # fmt: skip
    torch.testing.assert_close(found, torch.tensor(wanted))
    torch.testing.assert_close(matcher.pairs(probes, gallery[1:]), found[:, 1:].diagonal())
    assert matcher.compare(probes[[]], gallery).shape == (0, 4)


def test_probes_that_were_kept_are_covered_as_they_were():
    matcher = fused()
    probes = matcher.prepare(numbered(1, 5, covered=(1,)), "probe")
    gallery = matcher.prepare(numbered(2, 3), "gallery")
    restored = matcher.restored(probes.kept())
    assert torch.equal(matcher.compare(restored, gallery), matcher.compare(probes, gallery))


@pytest.mark.parametrize("symmetric", [(True, True), (True, False), (False, True), (False, False)])
def test_sides_can_change_where_they_can_in_both(symmetric):
    assert fused(symmetric).symmetric == all(symmetric)


def test_names_of_two_matchers():
    assert parts_of("fdm") == ("fdm",) and parts_of("matched@LM2") == ("matched@LM2",)
    assert parts_of("fdm+xcos") == ("fdm", "xcos") and parts_of("LM2+matched@LM2") == ("LM2", "matched@LM2")


@pytest.mark.parametrize("name", ["fdm+", "+fdm", "+", "fdm+fdm", "fdm+xcos+unmask", "fdm++xcos"])
def test_other_than_two_different_names_are_refused(name):
    with pytest.raises(UsageError) as refused:
        parts_of(name)
    assert str(refused.value) == (
        f"--fuse {name} is not A+B, the names of two different matchers or strategies"
    )


class Made(Listed):
    """Scores made up from whom photos show: one person's are higher, less so of covered probes.

    Attributes:
        given: the scores of each comparison.
    """

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__(torch.empty(0))
        self.scale = scale
        self.given: list[torch.Tensor] = []

    def prepare(self, faces: Faces, role: str) -> Numbers:
        assert faces.people is not None
        return Numbers(faces.people, self.signatures(faces))

    def compare(self, probes: Numbers, gallery: Numbers) -> torch.Tensor:
        same = probes.numbers[:, None] == gallery.numbers[None]
        hidden = torch.tensor([one[0] for one in probes.signatures])[:, None]
        noise = torch.randn(same.shape, generator=torch.Generator().manual_seed(int(hidden.sum())))
        scores = 0.02 * torch.where(hidden, 1.0, 3.0) * same + 0.01 * noise + 0.3
        self.given.append(scores)
        return self.scale * scores


HALF = Block((Box(0, 0, 32, 48),))


def fitted(dataset: FaceDataset, matcher: Made) -> Odds:
    gallery, probes = dataset.rows("train"), dataset.rows("val")
    return fit_odds((matcher, Made()), dataset, gallery, probes, HALF, 0)[0]


def test_lines_are_those_of_a_logistic_regression_at_one_scale(dataset):
    matcher = Made()
    odds = fitted(dataset, matcher)
    same = dataset.labels[dataset.rows("val")][:, None] == dataset.labels[dataset.rows("train")][None]
    assert len(matcher.given) == 2
    for scores, hidden in zip(matcher.given, (False, True), strict=True):
        assert scores.shape == same.shape
        values = scores.double().numpy().reshape(-1, 1)
        scaled = (values - values.mean()) / values.std()
        oracle = LogisticRegression(class_weight="balanced").fit(scaled, same.ravel())
        found = odds.of(scores.double(), torch.full(scores.shape, hidden))
        np.testing.assert_allclose(
            found.numpy().ravel(), oracle.decision_function(scaled), rtol=1e-6, atol=1e-6
        )


def test_odds_tell_one_person_from_two(dataset):
    matcher = Made()
    odds = fitted(dataset, matcher)
    same = torch.from_numpy(
        dataset.labels[dataset.rows("val")][:, None] == dataset.labels[dataset.rows("train")][None]
    )
    right = []
    for scores, hidden in zip(matcher.given, (False, True), strict=True):
        guessed = odds.of(scores, torch.full(scores.shape, hidden)) > 0
        right.append((guessed[same].float().mean().item() + (~guessed[~same]).float().mean().item()) / 2)
    assert right[0] > 0.98 and 0.7 < right[1] < 0.95
    # What is covered lowers the scores of one person: the line lies elsewhere.
    assert odds.slope > odds.covered_slope > 0
    free, hidden = -odds.offset / odds.slope, -odds.covered_offset / odds.covered_slope
    assert 0.3 < hidden < free < 0.36


@pytest.mark.parametrize("scale", [1000.0, 1e-3])
def test_the_scale_of_the_scores_makes_no_difference(dataset, scale):
    plain, scaled = (fitted(dataset, Made(one)) for one in (1.0, scale))
    scores = torch.linspace(0.2, 0.5, 20, dtype=torch.float64)
    for hidden in (False, True):
        covered = torch.full(scores.shape, hidden)
        torch.testing.assert_close(
            scaled.of(scale * scores, covered), plain.of(scores, covered), rtol=1e-4, atol=1e-4
        )
    assert math.isclose(scaled.slope * scale, plain.slope, rel_tol=1e-4)


def test_photos_without_a_pair_of_one_person_are_refused(dataset):
    gallery, probes = dataset.rows("train"), dataset.rows("val")
    others = gallery[~np.isin(dataset.labels[gallery], dataset.labels[probes[:1]])]
    with pytest.raises(PdsnError, match="no pair of one person, or none of two; prepare more photos"):
        fit_odds((Made(), Made()), dataset, others, probes[:1], HALF, 0)


def test_covered_is_what_counts_as_covered_to_the_first(dataset):
    nothing, second = Made(), Made()
    nothing.signatures = lambda a, b=None: [(row < 3,) for row in range(len(a))]
    fit_odds((nothing, second), dataset, dataset.rows("train"), dataset.rows("val"), HALF, 0)
    assert [len(scores) for scores in second.given] == [len(dataset.rows("val")), 3]


def test_of_many_photos_as_many_are_asked_as_it_says_spread_evenly(dataset, monkeypatch):
    monkeypatch.setattr("pdsn.calibration.odds.MOST_PROBES", 5)
    monkeypatch.setattr("pdsn.calibration.odds.MOST_PHOTOS", 13)
    matcher = Made()
    fitted(dataset, matcher)
    assert [tuple(one.shape) for one in matcher.given] == [(5, 13), (5, 13)]
