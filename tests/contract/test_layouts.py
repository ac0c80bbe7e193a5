"""Every layout keeps the contract: named boxes within the crop, found again under blocks, mirrored onto themselves."""

import numpy as np
import pytest
import torch

from pdsn.occlusion.layouts import LAYOUTS, LandmarkStatistics, make_layout, mirrored, region_names
from tests.conftest import SIZE


@pytest.fixture(params=LAYOUTS)
def layout(request, dataset):
    statistics = LandmarkStatistics.of(dataset.landmarks[dataset.rows("train")], dataset.size)
    return make_layout(request.param, statistics, 0.57)


def test_its_boxes_lie_in_the_crop_and_have_names_that_are_known_without_data(layout):
    assert list(layout.regions) == region_names(layout.name) and layout.size == SIZE
    for box in layout.regions.values():
        assert 0 <= box.top < box.bottom <= SIZE[0] and 0 <= box.left < box.right <= SIZE[1]


def test_a_region_counts_as_covered_from_its_share_on(layout):
    for number, box in enumerate(layout.regions.values()):
        covered = torch.zeros(1, *SIZE, dtype=torch.bool)
        covered[0, box.top : box.bottom, box.left : box.right] = True
        assert layout.coverage(covered)[0, number] == 1 and layout.occluded(covered, 0.99)[0, number]
    assert not layout.occluded(torch.zeros(1, *SIZE, dtype=torch.bool), 0.0).any()


def test_mirrored_twice_a_region_is_itself(layout):
    order = mirrored(layout)
    assert len(order) == len(layout.regions)
    assert all(order[other] == [number] for number, one in enumerate(order) for other in one)


def test_landmarks_belong_to_regions_that_there_are(layout):
    assert set(layout.landmarks) <= set(layout.regions)
    assert all(0 <= point < 5 for points in layout.landmarks.values() for point in points)
    assert all(0 <= share <= 1 for share in layout.landmark_share(np.zeros((2, 5, 2))).values())
