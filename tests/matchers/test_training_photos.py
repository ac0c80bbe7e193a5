"""Photos that a matcher learns from: painted when they are asked for."""

import numpy as np
import torch

from pdsn.matchers.training_photos import FacePhotos
from pdsn.occlusion.layouts import LandmarkStatistics, make_layout
from pdsn.occlusion.mixture import matching_mixture


def face_photos(dataset, split="train", draws=2, seed=0):
    statistics = LandmarkStatistics.of(dataset.landmarks, dataset.size)
    boxes = list(make_layout("LM2", statistics, 0.4).regions.values())
    rows = dataset.rows(split)
    return FacePhotos(dataset, rows, matching_mixture(boxes, split), dataset.labels[rows], draws, seed)


def test_a_painted_photo_is_itself_where_nothing_is_covered(dataset):
    photos, rows = face_photos(dataset), np.arange(30)
    whole = dataset.tensor(dataset.rows("train")[rows]).float()
    seen, covered = photos.probes(rows, np.tile([0, 1, -1], 10))
    assert seen.dtype == torch.float32 and covered.shape == (30, *dataset.size)
    unlike = (seen != whole).any(1)
    assert not (unlike & ~covered).any()
    assert (covered.flatten(1).any(1)).tolist() == [True, True, False] * 10
    assert unlike.sum() > 0.9 * covered.sum(), "what is covered is painted"
    assert torch.equal(photos.gallery(rows), whole)


def test_a_twin_looks_the_same_whenever_it_is_asked_for(dataset):
    photos = face_photos(dataset)
    seen, covered = photos.probes(np.array([3, 7, 7, 3]), np.array([0, 1, 0, 1]))
    again, hidden = photos.probes(np.array([7, 3, 7]), np.array([0, 0, 1]))
    assert torch.equal(again, seen[[2, 0, 1]]) and torch.equal(hidden, covered[[2, 0, 1]])
    assert not torch.equal(seen[0], seen[3]) and not torch.equal(seen[1], seen[2])
    other, _ = face_photos(dataset, seed=1).probes(np.array([3]), np.array([0]))
    assert not torch.equal(other[0], seen[0])


def test_painting_leaves_the_data_set_as_it_is(dataset):
    before = np.array(dataset.faces)
    face_photos(dataset).probes(np.arange(10), np.zeros(10, int))
    assert np.array_equal(before, dataset.faces)
