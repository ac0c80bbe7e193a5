"""Zeroed neurons and zeroed segments, recomputed cell by cell."""

import pytest
import torch
from torch.nn import functional as F

from pdsn.matchers.cells import covered_cells, pixels_of, region_pixels, widened
from pdsn.matchers.matcher import Faces
from pdsn.matchers.memory import MapMemory
from pdsn.matchers.segments import Segments, SegmentsMatcher
from pdsn.matchers.zeroing import Zeroing, ZeroingConfig, ZeroingMatcher
from tests.matchers.tiny import CELLS, CLOSE, REGIONS, SIZE, UNEVEN, covered, faces, tiny_encoder

PROBES = ("", "left", "left+below", "right", "left+right+below")


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder()


def layer(encoder):
    torch.manual_seed(1)
    return Zeroing(encoder.net.map_shape, UNEVEN, 0.5, ZeroingConfig(embedding=24)).requires_grad_(False)


def segments(encoder, people=4, count=10):
    torch.manual_seed(2)
    made = Segments(encoder.net.map_shape, people, UNEVEN, 0.5, count).requires_grad_(False)
    made.layer.weight.data *= 5  # a softmax that knows its mind
    return made


def zeroed_by_hand(maps, hidden):
    """Maps of which each cell is 0 that has more than half of its 8x8 pixels covered."""
    maps = maps.clone()
    for row in range(CELLS[0]):
        for column in range(CELLS[1]):
            pixels = hidden[:, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
            maps[pixels.float().mean((1, 2)) > 0.5, :, row, column] = 0
    return maps


def views(encoder, photos, hidden, mirror):
    """Maps, and what is covered, of photos and of their mirror images."""
    return [
        (encoder.maps(one), pixels) for one, pixels in ((photos, hidden), (photos.flip(3), hidden.flip(2)))
    ][: 1 + mirror]


def embeddings_by_hand(encoder, photos, hidden, mirror):
    own, total = layer(encoder).layer, 0
    for maps, pixels in views(encoder, photos, hidden, mirror):
        total = total + F.normalize(zeroed_by_hand(maps, pixels).flatten(1) @ own.weight.T + own.bias)
    return F.normalize(total)


def test_a_cell_counts_as_covered_when_more_than_half_of_it_is():
    pixels = torch.zeros(1, *SIZE, dtype=torch.bool)
    pixels[0, 8:12, :8] = True  # half of a cell
    pixels[0, 16:21, 8:16] = True
    found = covered_cells(pixels, CELLS)
    assert found.nonzero().tolist() == [[0, 2, 1]]


def test_pixels_of_regions_are_those_of_their_boxes():
    for one, name in zip(region_pixels(UNEVEN), REGIONS, strict=True):
        assert torch.equal(one, covered(name)[0])
    assert torch.equal(pixels_of((True, False, True), UNEVEN), covered("left+below")[0])
    assert not pixels_of((False, False, False), UNEVEN).any()


def test_widened_takes_whole_regions_of_which_more_than_a_share_is_covered():
    pixels = torch.zeros(4, *SIZE, dtype=torch.bool)
    pixels[1, :20, :20] = True  # half of the left
    pixels[2, :21, :20] = True
    pixels[3, 19:56, :] = True  # most of the upper two, two thirds of what is below
    found = widened(pixels, UNEVEN, 0.5)
    assert found.dtype == torch.bool
    assert torch.equal(found, covered("", "", "left", "left+right+below"))
    assert torch.equal(widened(pixels, UNEVEN, 0.6), covered("", "", "", "below"))


@pytest.mark.parametrize("mirror", [False, True])
def test_cells_under_a_covered_region_are_zeroed_in_the_covered_photo_alone(encoder, mirror):
    matcher = ZeroingMatcher(MapMemory(encoder, mirror=mirror), layer(encoder), "nearest")
    photos, others, hidden = faces(5, 10), faces(5, 11), covered(*PROBES)
    free, back = covered(*[""] * 5), covered(*reversed(PROBES))
    for theirs in (free, back):
        a, b = (
            matcher.prepare(Faces(photos, hidden), "probe"),
            matcher.prepare(Faces(others, theirs), "gallery"),
        )
        ours = embeddings_by_hand(encoder, photos, hidden, mirror)
        wanted = ours @ embeddings_by_hand(encoder, others, theirs, mirror).T
        torch.testing.assert_close(matcher.compare(a, b), wanted, **CLOSE)
        torch.testing.assert_close(matcher.pairs(a, b), wanted.diagonal(), **CLOSE)
        torch.testing.assert_close(matcher.pairs(a[3:], b[[0, 3]]), wanted[[3, 4], [0, 3]], **CLOSE)
    whole = embeddings_by_hand(encoder, photos, free, mirror)
    assert (whole[1:] - ours[1:]).abs().amax(1).min() > 0.05


def test_a_little_under_the_share_zeroes_nothing_and_above_it_the_whole_region(encoder):
    matcher = ZeroingMatcher(MapMemory(encoder, mirror=True), layer(encoder), "nearest")
    photos, gallery = faces(1, 12), matcher.prepare(Faces.free(faces(3, 13)), "gallery")
    scores = {}
    for rows in (0, 12, 13, 24):
        pixels = torch.zeros(1, *SIZE, dtype=torch.bool)
        pixels[0, 40 : 40 + rows] = True
        scores[rows] = matcher.compare(matcher.prepare(Faces(photos, pixels), "probe"), gallery)
    assert torch.equal(scores[12], scores[0]) and torch.equal(scores[13], scores[24])
    assert (scores[13] - scores[0]).abs().max() > 0.01


def test_the_mean_of_a_covered_gallery_is_of_its_photos_as_each_is_covered(encoder):
    matcher = ZeroingMatcher(MapMemory(encoder, mirror=False), layer(encoder), "mean")
    photos, hidden, people = faces(5, 14), covered(*PROBES), torch.tensor([0, 1, 0, 1, 0])
    ours = embeddings_by_hand(encoder, faces(2, 15), covered("", "left"), False)
    theirs = embeddings_by_hand(encoder, photos, hidden, False)
    means = torch.stack([theirs[people == person].mean(0) for person in (0, 1)])
    a = matcher.prepare(Faces(faces(2, 15), covered("", "left")), "probe")
    b = matcher.prepare(Faces(photos, hidden, people), "gallery")
    wanted = (ours @ F.normalize(means).T)[:, people]
    torch.testing.assert_close(matcher.compare(a, b), wanted, **CLOSE)
    torch.testing.assert_close(matcher.compare(a, b[[4, 1]]), wanted[:, [4, 1]], **CLOSE)


def test_no_pairs_have_no_scores(encoder):
    matcher = ZeroingMatcher(MapMemory(encoder, mirror=False), layer(encoder), "nearest")
    a, b = (
        matcher.prepare(Faces.free(faces(2, 16)), "probe"),
        matcher.prepare(Faces.free(faces(2, 17)), "gallery"),
    )
    assert matcher.pairs(a[[]], b[[]]).shape == (0,)
    assert matcher.compare(a[[]], b).shape == (0, 2) and matcher.compare(a, b[[]]).shape == (2, 0)


def test_it_learns_by_contrast_and_is_judged_by_what_it_scores(encoder):
    model, labels = layer(encoder), torch.tensor([0, 1, 2, 0, 1])
    photos, others, hidden = faces(5, 18), faces(5, 19), covered(*PROBES)
    maps, theirs = encoder.maps(photos), encoder.maps(others)
    ours = embeddings_by_hand(encoder, photos, hidden, False)
    enrolled = embeddings_by_hand(encoder, others, covered(*[""] * 5), False)
    torch.testing.assert_close(model.scores(maps, hidden, theirs), ours @ enrolled.T, **CLOSE)
    distances = torch.cdist(ours, enrolled).tolist()
    same = [distances[i][j] ** 2 / 2 for i in range(5) for j in range(5) if labels[i] == labels[j]]
    others = [[distances[i][j] for j in range(5) if labels[j] != labels[i]] for i in range(5)]
    others += [[distances[i][j] for i in range(5) if labels[j] != labels[i]] for j in range(5)]
    nearest = [max(0.0, 1.4 - min(one)) ** 2 / 2 for one in others]
    wanted = sum(same) / len(same) + sum(nearest) / len(nearest)
    assert model(maps, hidden, theirs, labels)["loss"].item() == pytest.approx(wanted, rel=1e-4)


def segments_by_hand(shape, hidden, count):
    """Which numbers of a map, flattened row by row, are in a segment of which more than half is covered."""
    channels, rows, columns = shape
    length = channels * rows * columns
    shares = [
        hidden[8 * row : 8 * row + 8, 8 * column : 8 * column + 8].float().mean().item()
        for row in range(rows)
        for column in range(columns)
        for _ in range(channels)
    ]
    members = [[k for k in range(length) if k * count // length == segment] for segment in range(count)]
    assert {len(one) for one in members} <= {length // count, length // count + 1}
    zeroed = [False] * length
    for one in members:
        if sum(shares[k] for k in one) / len(one) > 0.5:
            for k in one:
                zeroed[k] = True
    return zeroed


@pytest.mark.parametrize("count", [10, 3, 48])
def test_a_map_is_cut_into_equal_segments_row_by_row(encoder, count):
    model = segments(encoder, count=count)
    hidden = covered(*PROBES, "below")
    hidden[0, 13:35, 5:33] = True
    found = model.zeroed(hidden)
    shape = encoder.net.map_shape
    assert found.tolist() == [segments_by_hand(shape, one, count) for one in hidden]
    assert found[4].all() and (not found[1].any()) == (count == 3)


def test_segments_of_which_exactly_half_is_covered_stay(encoder):
    model = segments(encoder, count=8)  # a row of cells each
    hidden = torch.zeros(2, *SIZE, dtype=torch.bool)
    hidden[:, 8:16, :24] = True
    hidden[1, 15, 24] = True
    found = model.zeroed(hidden).view(2, 8, -1)
    assert not found[0].any() and found[1, 1].all() and found[1].sum() == 6 * 64


def probabilities_by_hand(encoder, photos, hidden, mirror):
    model = segments(encoder)
    parts = []
    for maps, pixels in views(encoder, photos, hidden, mirror):
        flat = torch.stack([one.permute(1, 2, 0).flatten() for one in maps])
        zeroed = torch.tensor([segments_by_hand(encoder.net.map_shape, one, 10) for one in pixels])
        raised = (torch.where(zeroed, 0, flat) @ model.layer.weight.T + model.layer.bias).double().exp()
        parts.append(raised / raised.sum(1, keepdim=True))
    return (sum(parts) / len(parts)).float()


@pytest.mark.parametrize("mirror", [False, True])
def test_a_score_is_the_probability_of_the_gallery_photos_person(encoder, mirror):
    matcher = SegmentsMatcher(MapMemory(encoder, mirror=mirror), segments(encoder))
    photos, hidden, people = faces(5, 20), covered(*PROBES), torch.tensor([3, 0, 3, 2, 1, 0])
    wanted = probabilities_by_hand(encoder, photos, hidden, mirror)
    torch.testing.assert_close(wanted.sum(1), torch.ones(5))
    assert wanted.std(0).min() > 0.01
    a = matcher.prepare(Faces(photos, hidden), "probe")
    for theirs in (covered(*[""] * 6), covered(*PROBES, "left")):
        b = matcher.prepare(Faces(faces(6, 21), theirs, people), "gallery")
        torch.testing.assert_close(matcher.compare(a, b), wanted[:, people], **CLOSE)
        torch.testing.assert_close(matcher.pairs(a, b[1:]), wanted[range(5), people[1:]], **CLOSE)


def test_a_gallery_of_nobody_knows_whom_is_refused(encoder):
    matcher = SegmentsMatcher(MapMemory(encoder, mirror=False), segments(encoder))
    a, b = (
        matcher.prepare(Faces.free(faces(2, 22)), "probe"),
        matcher.prepare(Faces.free(faces(2, 23)), "gallery"),
    )
    for asked in (matcher.compare, matcher.pairs):
        with pytest.raises(ValueError, match="whose people nobody knows"):
            asked(a, b)


def test_segments_learn_from_probes_and_gallery_and_are_judged_by_probabilities(encoder):
    model, labels = segments(encoder), torch.tensor([0, 1, 2, 3, 1])
    photos, others, hidden = faces(5, 24), faces(5, 25), covered(*PROBES)
    maps, theirs = encoder.maps(photos), encoder.maps(others)
    ours = probabilities_by_hand(encoder, photos, hidden, False)
    enrolled = probabilities_by_hand(encoder, others, covered(*[""] * 5), False)
    torch.testing.assert_close(model.probabilities(theirs), enrolled, **CLOSE)
    torch.testing.assert_close(model.scores(maps, hidden, theirs), ours[:, enrolled.argmax(1)], **CLOSE)
    rows = torch.arange(5)
    wanted = -torch.cat([ours[rows, labels], enrolled[rows, labels]]).log().mean()
    torch.testing.assert_close(model(maps, hidden, theirs, labels)["loss"], wanted, **CLOSE)
