"""The surest right answers and wrong ones: which are chosen, and how they are shown."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from pdsn.evaluation.answers import Answer
from pdsn.explain import examples
from pdsn.explain.examples import COUNT, MOST_ALIKE, Example, choose_examples, write_examples
from pdsn.explain.explanation import Explainer
from pdsn.occlusion.occluders import Block
from pdsn.pictures import RIGHT, WRONG
from tests.explain.tiny import matcher
from tests.matchers.tiny import REGIONS, SIZE, UNEVEN, tiny_encoder

LABELS = np.arange(30).repeat(2)
"""Two photos of each of thirty people."""


def answer(occlusion, scores, *, ranks=None, found=None, regions=None, draws=1, rows=None):
    """Answers to the first photo of as many people, whose scores are as many deviations above the mean."""
    scores = np.array(scores, float)
    count = len(scores)
    people = count // draws
    given = np.arange(0, 2 * people, 2) if rows is None else np.array(rows)
    mean, deviation = np.linspace(0, 0.3, count), np.linspace(0.1, 0.2, count)
    return Answer(
        occlusion=occlusion,
        strategy="LM2",
        rows=np.tile(given, draws),
        draw=np.arange(draws).repeat(people),
        ranks=np.ones(count, int) if ranks is None else np.array(ranks),
        photo_ranks=np.ones(count, int),
        found=np.tile(given, draws) + 1 if found is None else np.array(found),
        cosine=mean + deviation * scores,
        stranger=np.zeros(count),
        thresholds={},
        normal=np.stack([mean, deviation], 1),
        regions=[["eyes"]] * count if regions is None else regions,
        seconds=0.0,
    )


def told(chosen, kind="best"):
    return [(one.occlusion, one.row) for one in chosen if one.kind == kind]


def test_the_surest_come_first_by_how_far_they_are_above_strangers_covered_alike():
    chosen = choose_examples([answer("eyes", [1, 5]), answer("nose", [3, 2, 4])], LABELS)
    assert told(chosen) == [("eyes", 2), ("nose", 4), ("nose", 0)]
    assert [one.score for one in chosen] == pytest.approx([5, 4, 3])
    assert [one.found for one in chosen] == [3, 5, 1]


def test_at_most_one_of_each_person_and_two_of_each_occlusion():
    assert MOST_ALIKE == 2
    chosen = choose_examples([answer("eyes", [9, 8, 7, 6]), answer("nose", [5, 4, 3, 2, 1])], LABELS)
    # The third of eyes is passed over; those of eyes are not shown once more under the nose.
    assert told(chosen) == [("eyes", 0), ("eyes", 2), ("nose", 4), ("nose", 6)]
    many = [answer(f"kind {n}", np.arange(30, 0, -1)) for n in range(9)]
    chosen = choose_examples(many, LABELS)
    assert len(chosen) == COUNT == 10 and len({LABELS[one.row] for one in chosen}) == 10


def test_right_and_wrong_are_counted_apart():
    found = [answer("eyes", [4, 3, 2, 1], ranks=[2, 1, 5, 1]), answer("nose", [6], ranks=[3])]
    chosen = choose_examples(found, LABELS)
    assert told(chosen) == [("eyes", 2), ("eyes", 6)]
    assert told(chosen, "worst") == [("nose", 0), ("eyes", 4)]
    assert [one.kind for one in chosen] == ["best", "best", "worst", "worst"]


def test_what_shows_no_masks_is_left_out():
    # Nothing painted, nothing found covered, no face found, another draw.
    regions = [["eyes"], [], ["eyes", "nose"], ["eyes"]]
    one = answer("eyes", [4, 3, 2, 1], regions=regions, found=[1, 3, -1, 7])
    assert told(choose_examples([answer("clean", [9, 9]), one], LABELS)) == [("eyes", 0), ("eyes", 6)]
    drawn = answer("eyes", [1, 2, 8, 9], draws=2)
    chosen = choose_examples([drawn], LABELS)
    assert told(chosen) == [("eyes", 2), ("eyes", 0)]
    assert [one.score for one in chosen] == pytest.approx([2, 1]), "of the first draw"
    assert choose_examples([answer("eyes", [3], regions=[[]])], LABELS) == []


@pytest.fixture
def explainer():
    encoder = tiny_encoder()
    matchers = {"none": matcher("cosine", encoder), "LM2": matcher("fdm", encoder)}
    return Explainer(matchers, UNEVEN, torch.full((3, *SIZE), 120, dtype=torch.uint8))


def left(pixels):
    """All faces are covered on the left."""
    found = torch.zeros((len(pixels), *SIZE), dtype=torch.bool)
    found[:, :40, :20] = True
    return found


def test_each_example_has_a_picture_and_an_entry(explainer, dataset, tmp_path):
    rows = dataset.rows("test")
    chosen = [Example("best", "left", int(rows[0]), 0, 3.25), Example("worst", "left", int(rows[5]), 20, 2.0)]
    occluders = {"left": Block((REGIONS["left"],))}
    write_examples(tmp_path / "examples", chosen, explainer, dataset, occluders, left, seed=0)
    said = json.loads((tmp_path / "examples/examples.json").read_text())
    assert [one["file"] for one in said] == ["best-01.png", "worst-02.png"]
    for one, wanted in zip(said, chosen, strict=True):
        assert one["kind"] == wanted.kind and one["score"] == wanted.score and one["covered"] == ["left"]
        assert one["photo"] == dataset.files[wanted.row] and one["found_photo"] == dataset.files[wanted.found]
        assert one["photo"].startswith(one["person"]) and one["found_photo"].startswith(one["found_person"])
        assert list(one["scores"]) == ["no FDM", "LM2"] and one["scores"]["no FDM"] != one["scores"]["LM2"]
        with Image.open(tmp_path / "examples" / one["file"]) as picture:
            # Probe, nearest photo, two maps and what the masks leave out.
            assert picture.width > 4 * (picture.height - one["top"]) * SIZE[1] / SIZE[0]
            caption = np.asarray(picture)[: one["top"]]
            colour = RIGHT if one["kind"] == "best" else WRONG
            assert (caption == colour).all(2).any(), "the verdict"
            assert (caption.min(2) < 250).any(1).sum() > 4 * 7, "four lines of letters"
            assert np.asarray(picture.convert("L")).std() > 10


def test_the_caption_says_who_was_named_under_what_and_what_best_means():
    told = {
        "kind": "worst", "occlusion": "nose", "person": "Ann", "found_person": "Bob", "score": 2.04,
        "scores": {"no FDM": 0.5, "LM2": 0.61}, "covered": ["nose", "mouth"],
    }  # fmt: skip
    assert [line for line, _ in examples._caption(told)] == [
        "wrong: Ann, taken for Bob",
        "under nose; found covered: nose, mouth",
        "cosine: no FDM 0.500, LM2 0.610; score 2.0, in deviations above strangers",
        "worst: one of the wrong answers with the highest scores",
    ]
    right = examples._caption({**told, "kind": "best", "found_person": "Ann"})
    assert right[0][0] == "right: Ann" and right[-1][0].startswith("best: one of the right answers")


def test_maps_side_by_side_share_a_scale_and_maps_of_zeros_are_no_crash(
    explainer, dataset, tmp_path, monkeypatch
):
    shown, real = [], examples.heat_picture

    def kept(crop, cells, *more):
        shown.append(np.asarray(cells))
        return real(crop, cells, *more)

    monkeypatch.setattr(examples, "heat_picture", kept)
    one = [Example("best", "left", int(dataset.rows("test")[0]), 0, 3.25)]
    occluders = {"left": Block((REGIONS["left"],))}
    write_examples(tmp_path, one, explainer, dataset, occluders, left, seed=0)
    plain, masked, dropped = shown
    assert max(plain.max(), masked.max()) >= 1 > min(plain.max(), masked.max())
    np.testing.assert_allclose(
        dropped, 1 - explainer.matchers["LM2"].dictionary.binary[0].double().mean(0), atol=1e-6
    )
    monkeypatch.setattr("pdsn.explain.explanation.attribution", lambda *asked: torch.zeros(1, 8, 6))
    shown.clear()
    write_examples(tmp_path, one, explainer, dataset, occluders, left, seed=0)
    assert not shown[0].any() and not shown[1].any() and np.isfinite(shown[0]).all()
