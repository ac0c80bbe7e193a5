"""Occluders carried back onto original photos."""

from __future__ import annotations

import numpy as np
import torch

from pdsn.data.similarity import align_similarity, similarity_matrix
from pdsn.data.template import TEMPLATE, TEMPLATE_SIZE
from pdsn.occlusion.layouts import Box
from pdsn.occlusion.occluders import Block
from pdsn.occlusion.painting import paint_photo


def test_a_band_comes_back_to_where_its_crop_lay():
    photo = np.random.default_rng(0).integers(0, 200, (300, 300, 3), dtype=np.uint8)
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = 1.5 * TEMPLATE @ turn.T + np.array([110.0, 30.0])
    crop, points = align_similarity(photo, landmarks, TEMPLATE_SIZE, TEMPLATE)
    matrix = similarity_matrix(landmarks, TEMPLATE)
    face = torch.from_numpy(crop.copy()).permute(2, 0, 1)
    band = Block((Box(50, 0, 70, 96),))  # over both eyes
    rng = np.random.default_rng(1)
    painted, covered = paint_photo(photo, landmarks, face, matrix, band, rng, points)
    assert (painted[covered] == 255).all() and np.array_equal(painted[~covered], photo[~covered])
    eyes, mouth = landmarks[:2].round().astype(int), landmarks[3:].round().astype(int)
    assert covered[eyes[:, 1], eyes[:, 0]].all() and not covered[mouth[:, 1], mouth[:, 0]].any()
    # As large as in the crop, times the square of the scale.
    assert abs(covered.sum() / (20 * 96 * 1.5**2) - 1) < 0.02
