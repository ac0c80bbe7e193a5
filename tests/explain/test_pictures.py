"""The picture of an explanation."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pdsn.explain import pictures
from pdsn.explain.explanation import Column, Explanation
from pdsn.explain.photos import PhotoExplanation, aligned_photo
from pdsn.explain.pictures import HEIGHT, draw_explanation, top_of, verdict
from pdsn.explain.score import PairScore
from tests.explain.tiny import LEFT, matcher
from tests.matchers.tiny import SIZE, covered, faces, tiny_encoder

CELLS = np.arange(12.0).reshape(4, 3)


@pytest.fixture(scope="module")
def columns():
    encoder = tiny_encoder()
    return [
        Column(name, PairScore(matcher(kind, encoder), LEFT), torch.zeros(1, 16), 0.5)
        for name, kind in (("no FDM", "cosine"), ("LM2", "fdm"))
    ]


def answer(columns, *explanations, person=None, thresholds=(0.25, 0.3), hidden="left"):
    photos = tuple(aligned_photo(f"{n}/{n}.png", face) for n, face in zip("ab", faces(2, 3), strict=True))
    names = [column.name for column in columns]
    return PhotoExplanation(
        photos, (1, 1), person, covered(hidden, "").numpy(), columns, dict(zip(names, thresholds, strict=True)),
        list(explanations),
    )  # fmt: skip


def drawn(*words, **more):
    return np.asarray(draw_explanation(answer(*words, **more)), dtype=float)


def explanation(method, signed=False, **maps):
    return Explanation(method, {name.replace("_", " "): cells for name, cells in maps.items()}, signed, {})


EACH = {
    "saliency": explanation("saliency", no_FDM=np.random.default_rng(0).random(SIZE), LM2=np.ones(SIZE)),
    "gradcam": explanation("gradcam", no_FDM=CELLS, LM2=CELLS[::-1]),
    "layercam": explanation("layercam", no_FDM=CELLS, LM2=np.zeros((4, 3))),
    "regions": explanation("regions", True, no_FDM=CELLS.repeat(16, 0).repeat(16, 1) / 10 - 0.5, LM2=-np.ones(SIZE)),
    "xcos": explanation("xcos", attention=CELLS / CELLS.sum(), local_cosine=CELLS / 11),
    "fdm": explanation("fdm", share_dropped=CELLS / 11),
}  # fmt: skip


def test_there_is_a_row_for_each_method(columns):
    depth = {}
    for count in range(len(EACH) + 1):
        picture = draw_explanation(answer(columns, *list(EACH.values())[:count]))
        assert picture.mode == "RGB" and np.asarray(picture).std() > 10
        depth[count] = picture.size
    # Alone and with one method they stand below each other, then two in a line.
    assert depth[0][0] == depth[1][0] < depth[2][0] == depth[6][0]
    heights = [depth[count][1] for count in range(7)]
    row = heights[1] - heights[0]
    assert row > HEIGHT
    assert [(height - heights[0]) / row for height in heights] == [0, 1, 1, 1, 2, 2, 3]


@pytest.mark.parametrize("method", EACH)
def test_each_method_shows_its_maps(columns, method):
    one = EACH[method]
    other = Explanation(
        one.method, {name: cells[::-1, ::-1] * 0.3 for name, cells in one.maps.items()}, one.signed, {}
    )
    pictures = [drawn(columns, each) for each in (one, other)]
    apart = (pictures[0] != pictures[1]).any(2)
    assert apart.mean() > 0.03
    upper = pictures[0].shape[0] // 2
    assert not apart[:upper].any(), "the faces and the scores are the same"


def test_what_is_covered_is_tinted_and_scores_are_told(columns):
    plain, tinted = drawn(columns, hidden=""), drawn(columns, hidden="left")
    other = drawn(columns, thresholds=(0.25, 0.9))
    changed = (plain != tinted).any(2).nonzero()
    # Within the probe alone: 40 of 64 rows and 20 of 48 columns of it.
    height = changed[0].max() - changed[0].min() + 1
    width = changed[1].max() - changed[1].min() + 1
    assert (height, width) == (pytest.approx(HEIGHT * 40 / 64, abs=8), pytest.approx(150 * 20 / 48, abs=8))
    other = other[:, : tinted.shape[1]]  # a longer verdict makes it wider
    assert (tinted != other).any() and not (tinted != other)[80:].any(), "above the faces"
    # Of a person there is no threshold, and the name stands below the photo.
    of_person = drawn(columns, person="Ann", thresholds=(None, None))
    tinted = tinted[:, : of_person.shape[1]]
    assert (of_person != tinted)[:80].any() and (of_person != tinted)[-40:].any()


def test_no_method_at_all_and_one_column(columns):
    assert drawn(columns[:1], thresholds=(0.1,)).std() > 10
    assert drawn(columns[:1], EACH["fdm"], thresholds=(0.1,)).std() > 10


def test_the_brightest_value_is_what_nearly_all_lies_below():
    cells = np.linspace(0, 50, 1001)
    assert top_of([cells]) == pytest.approx(np.sort(cells)[995], abs=1e-6)
    one = np.zeros(1001)
    one[3] = 8  # less than one in two hundred
    assert top_of([one]) == 8
    assert top_of([np.zeros(9)]) == 0
    assert top_of([cells * 1e-9]) == pytest.approx(top_of([cells]) * 1e-9)


def test_maps_side_by_side_share_the_scale_of_the_brighter_one():
    cells = np.linspace(0, 50, 1001)
    assert top_of([cells, cells * 3]) == top_of([cells * 3, cells]) == pytest.approx(3 * top_of([cells]))
    assert top_of([cells, np.zeros(9)]) == top_of([cells])


@pytest.mark.parametrize("method", ["saliency", "gradcam", "layercam"])
def test_what_is_less_is_shown_darker(columns, monkeypatch, method):
    seen, real = [], pictures.heat_picture

    def kept(crop, cells, *more, **further):
        seen.append(np.asarray(cells))
        return real(crop, cells, *more, **further)

    monkeypatch.setattr(pictures, "heat_picture", kept)
    drawn(columns, explanation(method, no_FDM=CELLS, LM2=CELLS * 0.25))
    high, low = seen
    np.testing.assert_allclose(low, high * 0.25)
    assert high.max() == pytest.approx(1, abs=0.02) and low.max() < 0.3


def captions(columns, monkeypatch, *explanations, **more):
    """Everything that is written on the picture."""
    seen, real = [], pictures.write

    def kept(pen, at, text, *rest):
        seen.append(text)
        return real(pen, at, text, *rest)

    monkeypatch.setattr(pictures, "write", kept)
    drawn(columns, *explanations, **more)
    return seen


def test_maps_of_zeros_are_said_to_be_so(columns, monkeypatch):
    nothing = explanation("gradcam", no_FDM=np.zeros((4, 3)), LM2=np.zeros((4, 3)))
    said = captions(columns, monkeypatch, nothing)
    assert "no FDM: 0 everywhere" in said and "LM2: 0 everywhere" in said
    assert not any("0 everywhere" in line for line in captions(columns, monkeypatch, EACH["gradcam"]))


def test_photos_are_named_with_the_folder_of_their_person(columns, monkeypatch):
    said = captions(columns, monkeypatch)
    assert "a/a.png" in said and "b/b.png" in said
    said = captions(columns, monkeypatch, person="Ann", thresholds=(None, None))
    assert "a/a.png" in said and "mean of Ann, nearest photo" in said and "b/b.png" not in said


def test_a_verdict_is_told_where_there_is_a_threshold(columns, monkeypatch):
    assert verdict(0.5, None) == ""
    assert verdict(0.5, 0.25) == " (threshold 0.250: the same person)"
    # As `pdsn verify` has it: who reaches the threshold alone is not the same.
    assert verdict(0.25, 0.25) == verdict(0.2, 0.25) == " (threshold 0.250: not shown to be the same person)"
    said = captions(columns, monkeypatch, thresholds=(0.25, 0.9))
    assert said[-2:] == [
        "no FDM: cosine 0.500 (threshold 0.250: the same person), covered: left",
        "LM2: cosine 0.500 (threshold 0.900: not shown to be the same person), covered: left",
    ]
    said = captions(columns, monkeypatch, thresholds=(None, None))
    assert said[-1] == "LM2: cosine 0.500, covered: left"


def test_a_name_of_odd_bytes_can_be_drawn(columns):
    found = answer(columns)
    photo = aligned_photo("x.png", faces(1, 3)[0])
    odd = type(photo)(Path("a\udcff.png"), photo.pixels, photo.scale, photo.faces)
    again = PhotoExplanation(
        (odd, found.photos[1]), (1, 1), None, found.covered_pixels, columns, found.thresholds, []
    )
    assert draw_explanation(again).width > 100
    assert again.as_dict()["probe"] == "a\\udcff.png"


@pytest.mark.parametrize("method", EACH)
def test_nothing_is_cut_off_with_one_method(columns, monkeypatch, method):
    cut, real = [], pictures.write

    def kept(pen, at, text, colour, size, width):
        if pictures.text_width(text, size) > width:
            cut.append(text)
        return real(pen, at, text, colour, size, width)

    monkeypatch.setattr(pictures, "write", kept)
    drawn(columns, EACH[method], thresholds=(0.25, 0.9))
    assert not cut


def test_what_is_rounded_to_nothing_has_no_sign_of_its_own(columns, monkeypatch):
    cells = np.repeat([[-0.004], [-0.006], [0.004], [0.25]], 12, 0).repeat(36, 1)
    said = captions(columns, monkeypatch, explanation("regions", True, no_FDM=cells))
    assert [line for line in said if line[0] in "+-"] == ["-0.01", "+0.00", "+0.00", "+0.25"]
