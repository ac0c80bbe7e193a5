"""Photos of a run, and entries of its data set, explained."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from pdsn.errors import UsageError
from pdsn.evaluation.probes import aligned_probes
from pdsn.explain.explanation import Explainer
from pdsn.explain.photos import aligned_photo, entry_photo, explain_person, explain_photos, nearest_photo
from pdsn.matchers.matcher import Faces
from pdsn.occlusion.layouts import Box
from pdsn.occlusion.occluders import Block, RandomBlock
from pdsn.people.gallery import own_gallery
from pdsn.people.photo import SearchedPhoto, nothing_covered
from tests.explain.tiny import matcher
from tests.matchers.tiny import REGIONS, SIZE, UNEVEN, covered, tiny_encoder


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder()


@pytest.fixture(scope="module")
def gallery(dataset):
    return own_gallery(dataset)


@pytest.fixture(scope="module")
def made(encoder):
    matchers = {"none": matcher("cosine", encoder), "fdm": matcher("fdm", encoder)}
    return Explainer(matchers, UNEVEN, torch.full((3, *SIZE), 120, dtype=torch.uint8))


def left_white(pixels):
    """Finds a white left side covered."""
    white = (pixels[:, :, :40, :20] == 255).flatten(1).all(1)
    return covered("left") & white[:, None, None]


class Told:
    """A verdict whose threshold is known."""

    def __init__(self, threshold):
        self.threshold = threshold


def thresholds(**values):
    """What gives a threshold for each matcher, and the photos that it was asked about."""
    asked = []

    def ask(value, a, b):
        asked.append((a, b))
        return Told(value)

    return {name: partial(ask, value) for name, value in values.items()}, asked


def test_an_entry_is_a_photo_of_its_aligned_face(dataset):
    row = int(dataset.rows("test")[3])
    photo = entry_photo(dataset, dataset.files[row])
    assert photo.path == Path(dataset.files[row]) and len(photo.faces) == 1
    np.testing.assert_array_equal(photo.faces[0].crop, dataset.faces[row])
    np.testing.assert_array_equal(photo.pixels, dataset.faces[row])
    assert photo.faces[0].box.tolist() == [0, 0, 48, 64]
    assert torch.equal(photo.crops(), dataset.tensor([row]))
    with pytest.raises(ValueError):
        entry_photo(dataset, "nobody/1.png")


def test_it_is_painted_as_the_probes_of_the_table_are(dataset):
    rows = dataset.rows("test")
    occluder = RandomBlock()
    probes = aligned_probes(dataset, rows, seed=4)("random-block", occluder, 0)
    for place, row in enumerate(rows[:4]):
        photo = entry_photo(dataset, dataset.files[row], occluder, "random-block", 4)
        assert torch.equal(photo.crops()[0], probes.faces[place])
        assert not torch.equal(photo.crops(), dataset.tensor([row]))
    other = entry_photo(dataset, dataset.files[rows[3]], occluder, "random-block", 5)
    assert not torch.equal(other.crops()[0], probes.faces[3]), "the seed decides"


def test_two_photos(made, dataset, encoder):
    rows = dataset.rows("test")
    probe = entry_photo(dataset, dataset.files[rows[0]], Block((REGIONS["left"],)))
    other = entry_photo(dataset, dataset.files[rows[1]])
    verify, asked = thresholds(none=0.25, fdm=0.5)
    found = explain_photos(made, left_white, (probe, other), ["saliency", "fdm"], verify)
    assert found.person is None and found.thresholds == {"no FDM": 0.25, "fdm": 0.5}
    assert [(a.path, b.path) for a, b in asked] == [(probe.path, other.path)] * 2
    assert np.array_equal(found.covered_pixels, torch.cat([covered("left"), covered("")]).numpy())
    shown, free = Faces(probe.crops(), covered("left")), Faces.free(other.crops())
    for column, kind in zip(found.columns, ("cosine", "fdm"), strict=True):
        one = matcher(kind, encoder)
        score = one.compare(one.prepare(shown, "probe"), one.prepare(free, "gallery"))
        assert column.cosine == pytest.approx(float(score), abs=1e-6)
    said = found.as_dict()
    assert list(said) == ["probe", "reference", "person", "covered_share", "scores", "methods"]
    assert said["scores"]["fdm"] == {
        "cosine": round(found.columns[1].cosine, 6), "threshold": 0.5, "covered": ["left"],
    }  # fmt: skip
    assert said["covered_share"] == [pytest.approx(40 * 20 / 64 / 48, abs=1e-4), 0]
    assert list(said["methods"]) == ["saliency", "fdm"]


def test_of_several_faces_the_largest_is_explained(made, dataset):
    rows = dataset.rows("test")
    alone, small = (aligned_photo(dataset.files[row], dataset.tensor([row])[0]) for row in rows[:2])
    tiny = replace(small.faces[0], box=np.array([0.0, 0, 4, 4]))
    both = SearchedPhoto(alone.path, alone.pixels, alone.scale, [tiny, alone.faces[0]])
    verify, asked = thresholds(none=0.25, fdm=0.5)
    found = explain_photos(made, nothing_covered, (both, small), [], verify)
    assert len(found.photos[0].faces) == 1 and found.photos[0].faces[0] is alone.faces[0]
    assert len(asked[0][0].faces) == 1
    wanted = explain_photos(made, nothing_covered, (alone, small), [], verify)
    assert [column.cosine for column in found.columns] == [column.cosine for column in wanted.columns]


def scores_of(encoder, kind, probe, cover, gallery):
    one = matcher(kind, encoder)
    crops = probe.crops()
    asked = one.prepare(Faces(crops, cover(crops)), "probe")
    return one.compare(asked, one.prepare(Faces.free(gallery.faces), "gallery"))[0]


def test_the_nearest_photo_is_that_of_the_strategy(made, encoder, dataset, gallery):
    differ = 0
    for row in dataset.rows("test")[::3]:
        probe = entry_photo(dataset, dataset.files[row], Block((REGIONS["left"],)))
        found = nearest_photo(made, left_white, probe, gallery)
        by = {
            kind: gallery.files[int(scores_of(encoder, kind, probe, left_white, gallery).argmax())]
            for kind in ("cosine", "fdm")
        }
        assert str(found.path) == by["fdm"]
        differ += by["fdm"] != by["cosine"]
        place = gallery.files.index(str(found.path))
        assert torch.equal(found.crops()[0], gallery.faces[place])
    assert differ, "else nothing is told of whose scores count"


@pytest.mark.parametrize("known", ["by its name", "by its pixels"])
def test_a_photo_is_never_its_own_nearest(made, encoder, dataset, gallery, known):
    for row in dataset.rows("train")[::16]:
        probe = entry_photo(dataset, dataset.files[row])
        if known == "by its name":  # painted, as with --occlusion
            probe = entry_photo(dataset, dataset.files[row], Block((Box(0, 0, 2, 2),)))
        else:
            probe = replace(probe, path=Path("elsewhere.png"))
        scores = scores_of(encoder, "fdm", probe, nothing_covered, gallery)
        own = gallery.files.index(dataset.files[row])
        assert int(scores.argmax()) == own
        scores[own] = -2
        found = nearest_photo(made, nothing_covered, probe, gallery)
        assert str(found.path) == gallery.files[int(scores.argmax())] != dataset.files[row]


def test_a_person_is_the_mean_of_their_other_photos(made, encoder, dataset, gallery):
    row = int(dataset.rows("train")[0])
    person = dataset.people[dataset.labels[row]]
    probe = entry_photo(dataset, dataset.files[row])
    found = explain_person(made, nothing_covered, probe, gallery, person, ["saliency"])
    theirs = [place for place, label in enumerate(gallery.labels) if gallery.people[label] == person]
    others = [place for place in theirs if gallery.files[place] != dataset.files[row]]
    assert len(theirs) - 1 == len(others) == 7
    people = torch.zeros(7, dtype=torch.int64)
    for column, kind in zip(found.columns, ("cosine", "fdm"), strict=True):
        one = matcher(kind, encoder, compare="mean")
        enrolled = one.prepare(Faces.free(gallery.faces[others], people), "gallery")
        score = one.compare(one.prepare(Faces.free(probe.crops()), "probe"), enrolled)[0, 0]
        assert column.cosine == pytest.approx(float(score), abs=1e-6)
    # What is shown is the nearest of them by the plain cosine.
    scores = scores_of(encoder, "cosine", probe, nothing_covered, gallery)
    assert str(found.photos[1].path) == gallery.files[max(others, key=lambda place: scores[place])]
    assert found.person == person and found.thresholds == {"no FDM": None, "fdm": None}
    assert not found.covered_pixels[1].any()
    assert found.as_dict()["scores"]["fdm"]["threshold"] is None


def test_somebody_elses_mean_is_of_all_their_photos(made, encoder, dataset, gallery):
    probe = entry_photo(dataset, dataset.files[int(dataset.rows("test")[0])])
    person = gallery.people[3]
    (column, _) = explain_person(made, nothing_covered, probe, gallery, person, []).columns
    one = matcher("cosine", encoder, compare="mean")
    enrolled = one.prepare(Faces.free(gallery.faces, gallery.labels), "gallery")
    scores = one.compare(one.prepare(Faces.free(probe.crops()), "probe"), enrolled)[0]
    place = int((gallery.labels == 3).nonzero()[0])
    assert column.cosine == pytest.approx(float(scores[place]), abs=1e-6)


def test_a_person_who_cannot_be_is_said_with_names_that_are_like_it(made, dataset, gallery):
    probe = entry_photo(dataset, dataset.files[int(dataset.rows("train")[0])])
    with pytest.raises(UsageError, match="--person person_3 is not enrolled: give a name such as person_03,"):
        explain_person(made, nothing_covered, probe, gallery, "person_3", [])
    with pytest.raises(UsageError, match="Zoë is not enrolled: give a name such as person_00, person_01, p"):
        explain_person(made, nothing_covered, probe, gallery, "Zoë", [])
    own = int(gallery.files.index(str(probe.path)))
    alone = replace(
        gallery, labels=torch.zeros(1, dtype=torch.int64), faces=gallery.faces[[own]],
        files=[gallery.files[own]],
    )  # fmt: skip
    with pytest.raises(UsageError, match="--person person_00 has no other photo than this one"):
        explain_person(made, nothing_covered, probe, alone, "person_00", [])
