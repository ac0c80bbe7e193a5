"""Names, "unknown" and verdicts, checked against their definitions with a recogniser of known cosines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.data.dataset import FaceDataset
from pdsn.errors import PdsnError, UsageError
from pdsn.occlusion.regions import Box
from pdsn.recognition.calibration import Strangers, check_rate, threshold_at
from pdsn.recognition.gallery import Gallery
from pdsn.recognition.identification import Identifier
from pdsn.recognition.photo import FoundFace, SearchedPhoto, nothing_covered
from pdsn.recognition.verification import Verifier

SIZE = (8, 6)
REGIONS = {"top": Box(0, 0, 4, 6), "bottom": Box(4, 0, 8, 6)}


class Pixels:
    """Cosines of the pixels themselves; a covered region's pixels are left out of both sides."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def enrol(self, faces: Tensor, people: Tensor) -> None:
        self.gallery = faces

    def region_names(self, covered: Tensor) -> list[list[str]]:
        return [
            [name for name, b in REGIONS.items() if row[b.top : b.bottom].float().mean() > 0.5]
            for row in covered
        ]

    def scores(self, faces: Tensor, covered: Tensor) -> Tensor:
        self.asked += self.region_names(covered[:1])
        rows = []
        for face, names in zip(faces, self.region_names(covered), strict=True):
            kept = torch.ones(SIZE)
            for name in names:
                kept[REGIONS[name].top : REGIONS[name].bottom] = 0
            one, many = ((f.float() - 128) * kept for f in (face[None], self.gallery))
            rows.append(F.normalize(one.flatten(1)) @ F.normalize(many.flatten(1)).T)
        return torch.cat(rows)


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
    return Gallery("run", people, labels, crops, [f"{name}/{n}" for n, name in enumerate(names)])


STRANGERS = Strangers(faces(40, 1), [f"s{n // 2}" for n in range(40)])
PEOPLE = gallery(faces(8, 2), ["a", "a", "b", "c", "d", "e", "f", "s0"])


def identifier(
    cover=nothing_covered, people: Gallery = PEOPLE, strangers: Strangers = STRANGERS
) -> Identifier:
    return Identifier(Pixels(), people, strangers, cover, REGIONS)


def test_strangers_are_the_validation_photos_or_the_validation_people(dataset: FaceDataset):
    for by in ("photo", "person"):
        made, rows = Strangers.of(dataset, by), dataset.rows("val", by)
        assert torch.equal(made.faces, dataset.tensor(rows))
        assert made.names == [dataset.people[label] for label in dataset.labels[rows]]
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


def test_impostors_are_scored_without_their_own_person():
    (face,) = identifier().identify(photo(faces(1, 9)), 0.1)
    recogniser = Pixels()
    recogniser.enrol(PEOPLE.faces, PEOPLE.labels)
    scores = recogniser.scores(STRANGERS.faces, nothing_covered(STRANGERS.faces))
    scores[:2, 7] = -2  # s0's own photo
    assert face.threshold == pytest.approx(threshold_at(scores.max(1).values.numpy(), 0.1))
    assert face.impostors == 40
    own = gallery(STRANGERS.faces[:1], ["s0"])
    (alone,) = identifier(people=own).identify(photo(faces(1, 9)), 0.1)
    assert alone.impostors == 38  # nobody is left to compare s0 with
    with pytest.raises(PdsnError, match="no threshold can be calibrated"):
        identifier(people=own, strangers=Strangers(STRANGERS.faces[:2], ["s0", "s0"]))


def test_strangers_are_covered_as_the_probe_is_and_calibrated_once():
    def second_half_of_the_faces(crops: Tensor) -> Tensor:
        covered = nothing_covered(crops)
        covered[len(crops) // 2 :, 4:] = True
        return covered

    probes = torch.cat([PEOPLE.faces[2:5], PEOPLE.faces[2:5]])
    probes[3:, :, 4:] = 0
    asked = identifier(second_half_of_the_faces)
    answers = asked.identify(photo(probes), 0.1)
    assert [face.covered for face in answers] == [[]] * 3 + [["bottom"]] * 3
    assert [face.person for face in answers[3:]] == ["b", "c", "d"]
    clean, covered = answers[0].threshold, answers[3].threshold
    assert clean != covered and {face.threshold for face in answers} == {clean, covered}
    # Once for each FDM: the probes themselves, then the strangers under either.
    assert asked.recogniser.asked == [[], [], ["bottom"]]
    asked.identify(photo(probes), 0.3)
    assert asked.recogniser.asked[3:] == [[]]
    worn = STRANGERS.covered((REGIONS["bottom"],))
    assert torch.equal(worn[:, :, :4], STRANGERS.faces[:, :, :4])
    assert (worn[:, :, 4:] == worn[:, :1, 4:5, :1]).all() and len(worn[:, 0, 5, 0].unique()) > 10


def test_json_keys_are_stable():
    (face,) = identifier().identify(photo(faces(1, 9)), 0.1)
    assert list(face.as_dict()) == [
        "box", "probability", "turn", "person", "cosine", "threshold", "impostors", "covered", "covered_share", "nearest",
    ]  # fmt: skip
    answer = Verifier(Pixels(), STRANGERS, nothing_covered, REGIONS).verify(
        photo(faces(1, 9)), photo(faces(1, 8)), 0.1
    )
    assert list(answer.as_dict()) == ["same", "cosine", "threshold", "impostors", "covered", "photos"]
    assert list(answer.as_dict()["photos"][0]) == [
        "photo",
        "faces",
        "box",
        "probability",
        "turn",
        "covered_share",
    ]


def test_two_photos_under_what_is_covered_in_either():
    def first_top_second_bottom(crops: Tensor) -> Tensor:
        covered = nothing_covered(crops)
        covered[0, :2], covered[1, 2:4] = True, True
        return covered

    a, b = photo(faces(2, 5), (10, 20)), photo(faces(2, 5)[1:])
    plain = Verifier(Pixels(), STRANGERS, nothing_covered, REGIONS).verify(a, b, 0.1)
    assert plain.same and plain.cosine == pytest.approx(1.0) and plain.faces == (2, 1)
    assert plain.covered == [] and plain.impostors == 40 * 39 // 2 - 20
    # Half of the top is covered in each photo, nothing is left of it in both.
    both = Verifier(Pixels(), STRANGERS, first_top_second_bottom, REGIONS).verify(a, b, 0.1)
    assert both.covered == ["top"] and both.threshold != plain.threshold
    other = Verifier(Pixels(), STRANGERS, nothing_covered, REGIONS).verify(photo(faces(1, 6)), b, 0.1)
    assert not other.same
    with pytest.raises(PdsnError, match="fewer than two people"):
        Verifier(Pixels(), Strangers(STRANGERS.faces[:2], ["s0", "s0"]), nothing_covered, REGIONS)


def test_pairs_are_covered_each_as_its_photo_is():
    def only_the_first(crops: Tensor) -> Tensor:
        covered = nothing_covered(crops)
        covered[0, 4:] = True
        return covered

    answer = Verifier(Pixels(), STRANGERS, only_the_first, REGIONS).verify(
        photo(faces(1, 5)), photo(faces(1, 6)), 0.1
    )
    assert answer.covered == ["bottom"] and answer.impostors == 40 * 39 - 40  # both ways round
