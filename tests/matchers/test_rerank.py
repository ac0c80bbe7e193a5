"""Two matchers in turn, both of which know what every pair scores."""

import pytest
import torch

from pdsn.matchers.matcher import Faces
from pdsn.matchers.rerank import TOP, Both, Reranked, for_pairs
from tests.matchers.listed import Listed, numbered

PEOPLE = range(30)


def table(seed: int, scale: float = 1.0) -> torch.Tensor:
    return scale * (2 * torch.rand(30, 30, generator=torch.Generator().manual_seed(seed)) - 1)


def asked(matcher, probes, gallery):
    return matcher.prepare(numbered(*probes), "probe"), matcher.prepare(numbered(*gallery), "gallery")


@pytest.mark.parametrize("top", [1, 3, 29])
@pytest.mark.parametrize("scale", [1.0, 15.0])
def test_the_best_of_the_first_get_the_scores_of_the_second_and_the_others_lie_below(top, scale):
    first, second = Listed(table(1)), Listed(table(2, scale))
    matcher = Reranked(first, second, top)
    probes, gallery = (4, 0, 4, 9), tuple(reversed(PEOPLE))
    found = matcher.compare(*asked(matcher, probes, gallery))
    assert found.shape == (4, 30) and found.dtype == torch.float32 and second.asked == [4 * top]
    for row, probe in enumerate(probes):
        order = sorted(range(30), key=lambda place: -first.scores[probe, gallery[place]].item())
        best, others = order[:top], order[top:]
        assert found[row, best].tolist() == [second.scores[probe, gallery[place]].item() for place in best]
        assert found[row, others].max() < found[row, best].min()
        assert found[row, others].tolist() == sorted(found[row, others].tolist(), reverse=True)


def test_others_that_the_first_hardly_tells_apart_keep_their_order():
    scores = torch.zeros(30, 30)
    scores[0] = 0.3 - 1e-6 * torch.arange(30)
    matcher = Reranked(Listed(scores), Listed(table(3)), 5)
    found = matcher.compare(*asked(matcher, (0,), PEOPLE))[0]
    assert (scores[0].diff() < 0).all() and (found[5:].diff() < 0).all()


def test_a_gallery_no_larger_than_the_top_is_the_seconds_alone():
    first, second = Listed(table(4)), Listed(table(5))
    matcher = Reranked(first, second)
    assert matcher.top == TOP == 20
    probes, gallery = asked(matcher, (3, 1), range(20))
    assert torch.equal(matcher.compare(probes, gallery), second.scores[[3, 1]][:, :20])
    assert matcher.compare(probes[[]], gallery).shape == (0, 20)
    assert matcher.compare(probes, gallery[[]]).shape == (2, 0)


def test_of_each_of_the_best_people_the_nearest_photo_is_compared_again():
    first, second = Listed(table(12)), Listed(table(13))
    matcher = Reranked(first, second, 3)
    people = torch.arange(30) // 5  # six people of five photos
    probes = matcher.prepare(numbered(7, 22), "probe")
    gallery = matcher.prepare(Faces.free(numbered(*PEOPLE).pixels, people), "gallery")
    found = matcher.compare(probes, gallery)
    for row, probe in enumerate((7, 22)):
        best = {
            person: max(range(5 * person, 5 * person + 5), key=lambda place: first.scores[probe, place])
            for person in range(6)
        }
        chosen = sorted(best, key=lambda person: -first.scores[probe, best[person]])[:3]
        places = [best[person] for person in chosen]
        assert found[row, places].tolist() == second.scores[probe, places].tolist()
        assert found[row].topk(3).indices.sort().values.tolist() == sorted(places)
    part = list(range(10))
    again = matcher.compare(probes, gallery[part])
    assert (again > -1).sum(1).tolist() == [2, 2], "of two people the nearest each"


def test_pairs_are_compared_by_the_second_where_nobody_chooses():
    first, second = Listed(table(1)), Listed(table(2))
    assert for_pairs(Reranked(first, second)) is second and for_pairs(first) is first


def test_pairs_go_to_the_second_alone():
    first, second = Listed(table(6)), Listed(table(7))
    matcher = Reranked(first, second, 2)
    a, b = asked(matcher, (0, 3, 5), (1, 3, 2))
    assert torch.equal(matcher.pairs(a, b), second.scores[[0, 3, 5], [1, 3, 2]])
    assert first.asked == [] and second.asked == [3]


def test_faces_of_both_are_rows_of_both_and_signatures_the_firsts():
    matcher = Reranked(Listed(table(8)), Listed(table(9)), 2)
    faces = numbered(5, 6, 7, covered=(1,))
    both = matcher.prepare(faces, "probe")
    assert isinstance(both, Both) and len(both) == 3
    assert both.signatures == matcher.signatures(faces) == [(False,), (True,), (False,)]
    assert both[[2, 0]].first.numbers.tolist() == both[[2, 0]].second.numbers.tolist() == [7, 5]
    assert list(matcher.regions) == ["whole"] and not matcher.symmetric
    assert matcher.joint(faces, faces)[1].tolist() == [[0, 1, 0], [1, 1, 1], [0, 1, 0]]


def test_what_is_kept_of_two_in_turn_within_two_in_turn_is_found_again():
    inner = Reranked(Listed(table(10)), Listed(table(11)), 2)
    matcher = Reranked(inner, Listed(table(12)), 1)
    probes, gallery = asked(matcher, (5, 6), PEOPLE)
    kept = probes.kept()
    assert set(kept) == {
        f"{part}.{name}"
        for part in ("first.first", "first.second", "second")
        for name in ("numbers", "signatures")
    }
    restored = matcher.restored(kept)
    assert torch.equal(matcher.compare(restored, gallery), matcher.compare(probes, gallery))
    with pytest.raises(KeyError):
        matcher.restored({"numbers": torch.zeros(2)})


def test_what_another_kind_of_matcher_prepared_is_refused():
    matcher, other = Reranked(Listed(table(13)), Listed(table(14))), Listed(table(15))
    with pytest.raises(TypeError, match="Numbers was prepared by a matcher of another kind"):
        matcher.compare(other.prepare(numbered(1), "probe"), matcher.prepare(numbered(2), "gallery"))
