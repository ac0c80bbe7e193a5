"""Candidates of further looks are asked about again, and where the looks are taken."""

from __future__ import annotations

import numpy as np
import pytest

from pdsn.data.confirming import confirmed
from pdsn.data.detector import LOOKS, MTCNN, Detector, sure
from pdsn.data.faces import find_faces
from pdsn.data.sums import Sums
from pdsn.data.weights import COVERED


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return np.ascontiguousarray(pytest.importorskip("skimage.data").astronaut()[20:220, 120:320])


@pytest.fixture(scope="module")
def covered() -> Detector:
    return Detector(40)


@pytest.fixture
def looked(covered, monkeypatch) -> list[int]:
    """Photos of each look."""
    counts = []
    look = covered.look

    def counting(photos, how):
        counts.append(len(photos))
        return look(photos, how)

    monkeypatch.setattr(covered, "look", counting)
    return counts


def painted(photo: np.ndarray) -> np.ndarray:
    photo = photo.copy()
    photo[60:100, 46:176] = 255  # the eyes
    return photo


def test_a_face_is_confirmed_and_a_shoulder_is_not(astronaut, covered):
    [[face]] = covered([astronaut])
    boxes = np.array([[*face.box, 0.0], [0, 150, 50, 199, 1.0], [500, 500, 540, 540, 1.0]])
    probable = confirmed(covered._trained[1], covered.output, covered.device, Sums(astronaut), boxes)
    assert probable[0] > 0.99 and (probable[1:] < 0.05).all(), "whatever the score was, and outside the photo"
    alone = confirmed(covered._trained[1], covered.output, covered.device, Sums(astronaut), boxes[:1])
    assert alone == pytest.approx(probable[:1], abs=1e-5)
    mirrored = boxes[:1].copy()
    mirrored[:, [0, 2]] = astronaut.shape[1] - boxes[:1][:, [2, 0]]
    there = Sums(np.ascontiguousarray(astronaut[:, ::-1]))
    same = confirmed(covered._trained[1], covered.output, covered.device, there, mirrored)
    assert same == pytest.approx(probable[:1], abs=0.01), "the mirror image is as much a face"
    nothing = confirmed(
        covered._trained[1], covered.output, covered.device, Sums(astronaut), np.zeros((0, 5))
    )
    assert nothing.shape == (0,)


def test_a_photo_with_a_sure_face_in_its_middle_is_looked_at_once(astronaut, covered, looked):
    covered([astronaut, astronaut])
    assert looked == [2]
    covered([astronaut, painted(astronaut)])
    assert looked[1:3] == [2, 1], "the other one again"


def test_without_further_looks_a_covered_face_stays_lost(astronaut, covered, looked):
    photo = painted(astronaut)
    assert covered([photo], further="never") == [[]] and looked == [1]
    [[found]] = covered([photo])
    assert found.further and found.probability > LOOKS[COVERED][-1].thresholds[2]


def test_a_turned_photo_is_looked_at_once(astronaut, covered, looked):
    [(faces, turn)] = find_faces([np.rot90(astronaut, 2)], covered)
    assert turn == 180 and sure(faces[0])
    assert looked[-3:] == [1, 1, 1] and len(looked) <= len(LOOKS[COVERED]) + 3


def test_a_covered_face_in_the_middle_is_found_beside_a_sure_one(astronaut, covered):
    left = astronaut[:, 20:190]
    photo = np.ascontiguousarray(np.concatenate([left, painted(astronaut)[:, 20:190], left[:, :20]], axis=1))
    [known] = Detector(40, networks=MTCNN)([photo])
    [found] = covered([photo])
    middles = [(face.box[0] + face.box[2]) / 2 for face in found if sure(face)]
    assert len(known) == 1 and len(middles) == 2
    assert np.array_equal(next(face.box for face in found if not face.further), known[0].box), "it stays"
    assert max(middles) - min(middles) == pytest.approx(170, abs=15)
    [frame] = covered([photo], further="nowhere")
    assert len(frame) == 1, "of a film's frame the sure one is enough"


def test_a_crowd_is_looked_at_once(astronaut, covered, looked):
    crowd = np.ascontiguousarray(np.tile(astronaut, (4, 4, 1)))
    [found] = covered([crowd])
    assert len(found) == 16 and all(map(sure, found)), "none of them in the middle"
    assert looked == [1]
