"""Names, "unknown" and verdicts, checked against their definitions with a matcher of known cosines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pdsn.artefact import save_tensors
from pdsn.calibration.impostors import Seen
from pdsn.calibration.strangers import LOOKS, Strangers, check_rate, threshold_at
from pdsn.data.dataset import FaceDataset
from pdsn.data.template import template
from pdsn.errors import PdsnError, UsageError
from pdsn.matchers.matcher import Signature
from pdsn.occlusion.layouts import Box, Layout
from pdsn.people.gallery import Gallery
from pdsn.people.identification import IdentifiedPhoto, Identifier
from pdsn.people.photo import FoundFace, SearchedPhoto, nothing_covered
from pdsn.people.verification import Verifier
from tests.matchers.pixels import Pixels

SIZE = (8, 6)
REGIONS = {"top": Box(0, 0, 4, 6), "bottom": Box(4, 0, 8, 6)}


HALVES = Layout("LM2", SIZE, REGIONS, {})


CLEAR, BOTTOM = (False, False), (False, True)


def faces(count: int, seed: int) -> Tensor:
    return torch.randint(
        0, 256, (count, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def photo(crops: Tensor, areas: tuple[int, ...] = ()) -> SearchedPhoto:
    found = [
        FoundFace(np.array([0.0, 0, side, side]), 0.99, crop.permute(1, 2, 0).numpy())
        for crop, side in zip(crops, areas or range(10, 10 + len(crops)), strict=True)
    ]
    return SearchedPhoto(Path("p.png"), np.zeros((30, 30, 3), np.uint8), np.ones(2), found)


def gallery(crops: Tensor, names: list[str]) -> Gallery:
    people = sorted(set(names))
    labels = torch.tensor([people.index(name) for name in names])
    return Gallery(
        "run", people, labels, crops, LANDMARKS[: len(crops)], [f"{name}/{n}" for n, name in enumerate(names)]
    )


LANDMARKS = np.tile(template(SIZE).astype(np.float32), (40, 1, 1))
STRANGERS = Strangers(faces(40, 1), [f"s{n // 2}" for n in range(40)], LANDMARKS)
TWO = Strangers(STRANGERS.faces[:2], ["s0", "s0"], LANDMARKS[:2])
PEOPLE = gallery(faces(8, 2), ["a", "a", "b", "c", "d", "e", "f", "s0"])


def identifier(
    cover=nothing_covered, people: Gallery = PEOPLE, strangers: Strangers = STRANGERS
) -> Identifier:
    return Identifier(Pixels(HALVES), people, strangers, cover)


def test_strangers_are_the_validation_photos_or_the_validation_people(dataset: FaceDataset):
    for by in ("photo", "person"):
        made, rows = Strangers.of(dataset, by), dataset.rows("val", by)
        assert torch.equal(made.faces, dataset.tensor(rows))
        assert made.names == [dataset.people[label] for label in dataset.labels[rows]]
        assert np.array_equal(made.landmarks, dataset.landmarks[rows])
    assert len(set(Strangers.of(dataset, "person").names)) == 1
    nobody = replace(dataset, person_split=np.full(len(dataset.files), "train"))
    with pytest.raises(PdsnError, match="has no validation photos in the split by person"):
        Strangers.of(nobody, "person")


@pytest.mark.parametrize("count", [1, 2, 19, 99, 100, 647])
@pytest.mark.parametrize("fpr", [0.01, 0.05, 0.29, 0.5, 0.99])
def test_the_threshold_is_what_it_says(count, fpr):
    scores = np.random.default_rng(count).normal(size=count)
    if fpr * (count + 1) < 1:
        with pytest.raises(UsageError, match="too small to be told by"):
            check_rate(fpr, count, "strangers")
        return
    check_rate(fpr, count, "strangers")
    threshold = threshold_at(scores, fpr)
    assert threshold in scores
    above = int((scores > threshold).sum())
    # Conformal: a further stranger passes with a probability of at most (above + 1) / (count + 1).
    assert (above + 1) / (count + 1) <= fpr + 1e-9 and above <= fpr * count
    # And no lower score would do.
    assert above + 1 == count or (above + 2) / (count + 1) > fpr


def test_the_smallest_rate_that_is_named_is_accepted():
    with pytest.raises(UsageError, match="at least 0.001544"):
        check_rate(0.001, 647, "strangers")
    check_rate(0.001544, 647, "strangers")


def test_the_nearest_person_is_named_only_above_the_threshold():
    probe, stranger = PEOPLE.faces[3:4], faces(1, 9)
    known, unknown = identifier().identify(photo(torch.cat([probe, stranger])), 0.1)
    assert known.person == "c" and known.cosine == pytest.approx(1.0) and known.covered == []
    assert unknown.person is None and unknown.cosine <= unknown.threshold
    assert known.nearest[0].person == "c" and len(known.nearest) == 5
    cosines = [m.cosine for m in unknown.nearest]
    assert cosines == sorted(cosines, reverse=True) and len({m.person for m in unknown.nearest}) == 5
    assert known.nearest[0].photo == "c/3" and known.nearest[0].row == 3


def highest(strangers_faces: Tensor, signature: Signature, own: list[int]) -> np.ndarray:
    """The highest cosines of some strangers to PEOPLE, those in `own` without s0, whose photo is the last."""
    matcher = Pixels(HALVES)
    scores = matcher.embed(strangers_faces, signature) @ matcher.embed(PEOPLE.faces, signature).T
    scores[own, 7] = -2
    return scores.max(1).values.numpy()


def test_impostors_are_scored_without_their_own_person_under_every_look():
    (face,) = identifier().identify(photo(faces(1, 9)), 0.1)
    # Nothing is ever found covered here: all looks of all strangers stand behind the one threshold.
    worn = torch.cat([STRANGERS.wearing(look)[0] for look in LOOKS])
    own = [40 * number + row for number in range(len(LOOKS)) for row in (0, 1)]
    scores = highest(worn, CLEAR, own)
    assert face.impostors == len(scores) == 40 * len(LOOKS)
    assert face.threshold == pytest.approx(threshold_at(scores, 0.1), rel=1e-5)
    assert face.score == pytest.approx((face.cosine - scores.mean()) / scores.std(), rel=1e-4)
    own_gallery = gallery(STRANGERS.faces[:1], ["s0"])
    (alone,) = identifier(people=own_gallery).identify(photo(faces(1, 9)), 0.1)
    assert alone.impostors == 38 * len(LOOKS)  # nobody is left to compare s0 with
    with pytest.raises(PdsnError, match="no threshold can be calibrated"):
        identifier(people=own_gallery, strangers=TWO)


def grey_bottom(crops: Tensor) -> Tensor:
    """Finds the bottom covered wherever it is plain; nothing is worn so plainly."""
    covered = nothing_covered(crops)
    covered[(crops[:, :, 4:] == crops[:, :1, 4:5, :1]).flatten(1).all(1), 4:] = True
    return covered


def test_a_signature_that_strangers_never_show_is_calibrated_with_blocks_once():
    probes = torch.cat([PEOPLE.faces[2:5], PEOPLE.faces[2:5]])
    probes[3:, :, 4:] = 7
    asked = identifier(grey_bottom)
    answers = asked.identify(photo(probes), 0.1)
    assert [face.covered for face in answers] == [[]] * 3 + [["bottom"]] * 3
    assert [face.person for face in answers[3:]] == ["b", "c", "d"]
    blocked = STRANGERS.blocked((REGIONS["bottom"],))
    assert torch.equal(blocked[:, :, :4], STRANGERS.faces[:, :, :4])
    assert (blocked[:, :, 4:] == blocked[:, :1, 4:5, :1]).all() and len(blocked[:, 0, 5, 0].unique()) > 10
    expected = highest(blocked, BOTTOM, [0, 1])
    found = asked.impostors.scores(BOTTOM)
    seen = asked.impostors.seen.places.get(BOTTOM, [])
    assert np.allclose(found[len(seen) :], expected)
    # What is common is measured in deviations above each mean: here that of all who are found free.
    free = asked.impostors.scores(CLEAR)
    limit = threshold_at((free - free.mean()) / free.std(), 0.1)
    assert answers[3].threshold == pytest.approx(found.mean() + limit * found.std(), rel=1e-5)
    assert answers[0].threshold == pytest.approx(threshold_at(free, 0.1), rel=1e-5)
    before = len(asked.matcher.compared)
    asked.identify(photo(probes), 0.3)
    assert asked.matcher.compared[before:] == [6], "the probes alone"


def test_strangers_stand_for_themselves_where_enough_are_found(monkeypatch):
    monkeypatch.setattr("pdsn.calibration.impostors.RARE", 20)

    def masked(crops: Tensor) -> Tensor:
        """Takes the bottom as covered under every look but the clean one."""
        covered = nothing_covered(crops)
        if crops is not STRANGERS.faces:
            covered[:, 4:] = True
        return covered

    asked = identifier(masked)
    worn = torch.cat([STRANGERS.wearing(look)[0] for look in LOOKS[1:]])
    own = [40 * number + row for number in range(len(LOOKS) - 1) for row in (0, 1)]
    assert np.allclose(asked.impostors.scores(BOTTOM), highest(worn, BOTTOM, own))
    assert np.allclose(asked.impostors.scores(CLEAR), highest(STRANGERS.faces, CLEAR, [0, 1]))
    # One limit holds for both, from the scores of both in deviations above their own means.
    both = [asked.impostors.scores(signature) for signature in (CLEAR, BOTTOM)]
    common = np.concatenate([(scores - scores.mean()) / scores.std() for scores in both])
    for fpr in (0.025, 0.1, 0.5):
        for signature, scores in zip((CLEAR, BOTTOM), both, strict=True):
            limit = scores.mean() + threshold_at(common, fpr) * scores.std()
            assert asked.impostors.threshold(signature, fpr) == pytest.approx(limit, rel=1e-5)


def test_a_few_strangers_with_a_block_are_enough_and_recognisers_share_them(monkeypatch):
    monkeypatch.setattr("pdsn.calibration.strangers.FEW", 10)
    strangers = Strangers(STRANGERS.faces, STRANGERS.names, STRANGERS.landmarks)
    one, other = (identifier(grey_bottom, strangers=strangers).impostors for _ in range(2))
    found = len(one.seen.places.get(BOTTOM, []))
    assert len(one.scores(BOTTOM)) == found + 10
    rows, few = strangers.few
    assert torch.equal(few.faces, STRANGERS.faces[rows.tolist()]) and rows[0] == 0 and rows[-1] == 39
    blocked = few.blocked((REGIONS["bottom"],))
    assert few.blocked((REGIONS["bottom"],)) is blocked, "the same tensor: maps are computed once"
    assert np.allclose(one.scores(BOTTOM)[found:], highest(blocked, BOTTOM, [0]))
    assert np.array_equal(one.scores(BOTTOM), other.scores(BOTTOM))


def renamed(names: list[str], **new: str) -> list[str]:
    """Names, some of them spelled in another way."""
    return [new.get(name, name) for name in names]


@pytest.mark.parametrize(
    "spelled", ["Andre Agassi", "andre_agassi", "ANDRE-AGASSI", "Andre\N{NO-BREAK SPACE} Agassi"]
)
def test_strangers_are_nobody_else_under_another_spelling(spelled):
    strangers = replace(
        STRANGERS, names=renamed(STRANGERS.names, s0="Andre_Agassi", s1="Zoe\N{COMBINING DIAERESIS}")
    )
    names = ["a", "a", "b", "c", "d", "e", "Zoë", "Andre_Agassi"]
    crops = torch.cat([PEOPLE.faces[:6], STRANGERS.faces[[2, 0]]])
    same = identifier(people=gallery(crops, names), strangers=strangers)
    names = renamed(names, Andre_Agassi=spelled)
    other = identifier(people=gallery(crops, names), strangers=strangers)
    assert same.impostors.scores(CLEAR).max() < 0.9  # but for their own photos
    assert np.array_equal(other.impostors.scores(CLEAR), same.impostors.scores(CLEAR))
    assert other.two_names() == []
    # Enrolled in both spellings, all of these photos are that person's.
    both = gallery(torch.cat([crops, STRANGERS.faces[1:2]]), [*names, "Andre_Agassi"])
    assert identifier(people=both, strangers=strangers).impostors.scores(CLEAR).max() < 0.9
    with pytest.raises(PdsnError, match="no threshold can be calibrated"):
        two = replace(TWO, names=["Andre_Agassi"] * 2)
        identifier(people=gallery(STRANGERS.faces[:1], [spelled]), strangers=two)


def test_somebody_under_two_names_is_noticed():
    rng = torch.Generator().manual_seed(3)
    shots = torch.randint(-9, 10, (40, 3, *SIZE), generator=rng)
    # Two noisy photos of each of twenty people; four of these are in the gallery, two of them under other names.
    alike = (STRANGERS.faces[::2].repeat_interleave(2, 0).int() + shots).clamp(0, 255).to(torch.uint8)
    strangers = Strangers(alike, STRANGERS.names, LANDMARKS)
    people = gallery(STRANGERS.faces[[0, 2, 4, 6]], ["s0", "Ann", "s2", "Bob"])
    found = identifier(people=people, strangers=strangers).two_names()
    assert found == [("s1", "Ann"), ("s3", "Bob")]
    own = gallery(STRANGERS.faces[:8:2], ["s0", "s1", "s2", "s3"])
    assert identifier(people=own, strangers=strangers).two_names() == []


def test_what_was_seen_of_strangers_survives_the_disk(tmp_path):
    seen = identifier(grey_bottom).impostors.seen
    seen.save(tmp_path / "seen.safetensors")
    again = Seen.load(tmp_path / "seen.safetensors", Pixels(HALVES))
    assert again.looks == seen.looks and again.places.keys() == seen.places.keys()
    for signature, places in seen.places.items():
        assert np.array_equal(again.places[signature], places)
    for name, tensor in seen.prepared.kept().items():
        assert torch.equal(again.prepared.kept()[name], tensor)


def test_a_file_of_an_older_version_is_made_again(tmp_path):
    path = tmp_path / "seen.safetensors"
    save_tensors(path, {"places 00": torch.arange(3), "embeddings 00": torch.zeros(3, 2)}, {"looks": "clean"})
    with pytest.raises(PdsnError, match="is of another version of pdsn: make it again with `pdsn identify`"):
        Seen.load(path, Pixels(HALVES))


def test_json_keys_are_stable():
    (face,) = identifier().identify(photo(faces(1, 9)), 0.1)
    assert list(face.as_dict()) == [
        "box", "probability", "turn", "person", "cosine", "score", "threshold", "impostors", "covered", "covered_share", "nearest",
    ]  # fmt: skip
    answer = Verifier(Pixels(HALVES), STRANGERS, nothing_covered).verify(
        photo(faces(1, 9)), photo(faces(1, 8)), 0.1
    )
    keys = ["same", "cosine", "score", "threshold", "impostors", "covered", "photos"]
    assert list(answer.as_dict()) == keys
    photo_keys = ["photo", "faces", "box", "probability", "turn", "covered_share"]
    assert list(answer.as_dict()["photos"][0]) == photo_keys


def test_two_photos_under_what_is_covered_in_either():
    def first_top_second_bottom(crops: Tensor) -> Tensor:
        covered = nothing_covered(crops)
        covered[0, :2], covered[1, 2:4] = True, True
        return covered

    a, b = photo(faces(2, 5), (10, 20)), photo(faces(2, 5)[1:])
    plain = Verifier(Pixels(HALVES), STRANGERS, nothing_covered).verify(a, b, 0.1)
    assert plain.same and plain.cosine == pytest.approx(1.0) and plain.faces == (2, 1)
    looks = 40 * len(LOOKS)  # nobody is found covered: each photo counts under every look, 2 x 7 of a person
    assert plain.covered == [] and plain.impostors == (looks * looks - 20 * (2 * len(LOOKS)) ** 2) // 2
    # Half of the top is covered in each photo, nothing is left of it in both.
    both = Verifier(Pixels(HALVES), STRANGERS, first_top_second_bottom).verify(a, b, 0.1)
    assert both.covered == ["top"] and both.threshold != plain.threshold
    other = Verifier(Pixels(HALVES), STRANGERS, nothing_covered).verify(photo(faces(1, 6)), b, 0.1)
    assert not other.same
    with pytest.raises(PdsnError, match="fewer than two people"):
        Verifier(Pixels(HALVES), TWO, nothing_covered)


def test_pairs_are_covered_each_as_its_photo_is():
    a, b = faces(1, 5), faces(1, 6)
    a[:, :, 4:] = 7
    answer = Verifier(Pixels(HALVES), STRANGERS, grey_bottom).verify(photo(a), photo(b), 0.1)
    # Nobody is found so plainly covered: all 40 with a block stand for the first photo. Against them stand the 7 x 40
    # that are found free; pairs of one person do not count.
    assert answer.covered == ["bottom"]
    assert answer.impostors == 40 * 7 * 40 - 20 * 2 * 14
    blocked, worn = (
        STRANGERS.blocked((REGIONS["bottom"],)),
        torch.cat([STRANGERS.wearing(look)[0] for look in LOOKS]),
    )
    matcher = Pixels(HALVES)
    scores = matcher.embed(blocked, BOTTOM) @ matcher.embed(worn, BOTTOM).T
    who = np.arange(40) // 2
    scores = scores.numpy()[who[:, None] != np.tile(who, len(LOOKS))[None]]
    assert answer.threshold == pytest.approx(threshold_at(scores, 0.1), rel=1e-5)


def test_pairs_that_are_covered_as_the_two_photos_are_together_count_alone(monkeypatch):
    def half_of_the_top(crops: Tensor) -> Tensor:
        """Finds the one or the other half of the top covered, by the face's first pixel."""
        covered = nothing_covered(crops)
        for row, upper in enumerate((crops[:, 0, 0, 0] < 128).tolist()):
            covered[row, slice(0, 2) if upper else slice(2, 4)] = True
        return covered

    a, b = faces(1, 5), faces(1, 6)
    a[:, 0, 0, 0], b[:, 0, 0, 0] = 0, 255
    answer = Verifier(Pixels(HALVES), STRANGERS, half_of_the_top).verify(photo(a), photo(b), 0.1)
    worn = torch.cat([STRANGERS.wearing(look)[0] for look in LOOKS])
    upper, who = (worn[:, 0, 0, 0] < 128).numpy(), np.tile(np.arange(40) // 2, len(LOOKS))
    chosen = np.triu((who[:, None] != who[None]) & (upper[:, None] != upper[None]))
    scores = Pixels(HALVES).embed(worn, (True, False))
    scores = (scores @ scores.T).numpy()[chosen]
    assert answer.covered == ["top"] and answer.impostors == len(scores)
    assert answer.threshold == pytest.approx(threshold_at(scores, 0.1), rel=1e-5)


def test_the_answers_of_a_photo_are_a_sequence():
    asked = photo(faces(3, 5))
    gallery_of_two = gallery(faces(2, 6), ["Ann", "Bob"])
    named = Identifier(Pixels(HALVES), gallery_of_two, STRANGERS, nothing_covered).identify(asked, 0.1)
    answer = IdentifiedPhoto(asked, named)
    assert answer[0] is named[0] and answer[-1] is named[2] and answer[1:] == named[1:]
    assert len(answer) == 3 and list(answer) == named
    with pytest.raises(IndexError):
        answer[3]
