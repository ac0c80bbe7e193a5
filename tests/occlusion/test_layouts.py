import numpy as np
import pytest
import torch

from pdsn.data.template import template
from pdsn.errors import PdsnError, UsageError
from pdsn.occlusion.layouts import LAYOUTS, Box, LandmarkStatistics, Layout, make_layout, mirrored

SIZE = (128, 96)
POINTS = template(SIZE)


def statistics(spread_x: float, spread_y: float, count: int = 20_000) -> LandmarkStatistics:
    return LandmarkStatistics.of(landmarks(spread_x, spread_y, count), SIZE)


def landmarks(spread_x: float, spread_y: float, count: int = 20_000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return POINTS + rng.normal(0, 1, (count, 5, 2)) * (spread_x, spread_y)


def test_grid_cells_tile_the_face():
    grid = make_layout("grid3x3", statistics(2, 2), 0.5)
    counted = np.zeros(SIZE, int)
    for box in grid.regions.values():
        counted[box.top : box.bottom, box.left : box.right] += 1
    assert len(grid.regions) == 9
    assert (counted == 1).all()
    assert {box.bottom - box.top for box in grid.regions.values()} == {42, 43}


def test_lm1_boxes_are_four_sigma_around_the_mean():
    lm1 = make_layout("LM1", statistics(4, 3), 0.0)
    assert list(lm1.regions) == ["left-eye", "right-eye", "nose", "mouth"]
    nose = lm1.regions["nose"]
    assert (nose.right - nose.left, nose.bottom - nose.top) == (16, 12)
    assert (nose.left + nose.right) / 2 == pytest.approx(POINTS[2, 0], abs=0.6)
    # The mouth's point is the mean of two corners: its deviation is 1 / sqrt 2 of a corner's.
    mouth = lm1.regions["mouth"]
    assert (mouth.right - mouth.left, mouth.bottom - mouth.top) == (
        pytest.approx(11.3, abs=1),
        pytest.approx(8.5, abs=1),
    )


def test_lm2_bands_follow_the_papers_multiples_of_sigma():
    points = landmarks(4, 3)
    lm2 = make_layout("LM2", LandmarkStatistics.of(points, SIZE), 0.0)
    eyes, mouth = points[:, :2, 1].mean(), points[:, 3:, 1].mean()
    up, down = points[:, :2, 1].std(), points[:, 3:, 1].std()
    assert (up, down) == (pytest.approx(3, abs=0.1), pytest.approx(3, abs=0.1))
    rows = [lm2.regions["forehead"].top, *(box.bottom for box in lm2.regions.values())]
    edges = [eyes - 3 * up, eyes + 2 * up, mouth - 2 * down, mouth + 2 * down]
    assert rows == [0, *(round(edge) for edge in edges), 128]
    assert all((box.left, box.right) == (0, 96) for box in lm2.regions.values())


def test_floor_makes_bands_cover_the_feature_on_aligned_faces():
    tight = statistics(1.4, 1.35)
    paper, ours = (make_layout("LM2", tight, floor).regions["eyes"] for floor in (0.0, 0.57))
    assert paper.bottom - paper.top == 7  # 5 sigma: misses the eye itself
    assert ours.bottom - ours.top == 20
    assert ours.top <= POINTS[0, 1] - 11 and ours.bottom >= POINTS[0, 1] + 7
    left = make_layout("LM1", tight, 0.57).regions["left-eye"]
    assert (left.right - left.left, left.bottom - left.top) == (20, 20)


def test_floor_never_shrinks_a_region():
    wide = statistics(10, 8)
    for name in ("LM1", "LM2"):
        assert make_layout(name, wide, 0.3).regions == make_layout(name, wide, 0.0).regions


def test_lm2_split_halves_every_band_at_the_middle_of_the_eyes():
    whole, split = (make_layout(name, statistics(2, 2), 0.57) for name in ("LM2", "LM2-split"))
    assert len(split.regions) == 10
    for name, band in whole.regions.items():
        left, right = split.regions[f"{name}-left"], split.regions[f"{name}-right"]
        assert left.right == right.left == 48
        assert (left.top, left.bottom, left.left, right.right) == (band.top, band.bottom, 0, 96)


def test_a_band_without_rows_is_an_error_that_names_it():
    with pytest.raises(PdsnError, match="nose band of LM2 is empty"):
        make_layout("LM2", statistics(5, 12), 0.0)


def test_unknown_strategy_lists_those_that_exist():
    with pytest.raises(UsageError, match="grid3x3, LM1, LM2, LM2-split"):
        make_layout("LM3", statistics(2, 2), 0.0)


def test_coverage_is_the_share_of_the_regions_area():
    layout = Layout("two", (4, 4), {"top": Box(0, 0, 2, 4), "corner": Box(2, 2, 4, 4)}, {})
    covered = torch.tensor([[[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]]], dtype=torch.bool)
    assert layout.coverage(covered).tolist() == [[3 / 8, 1 / 2]]


def test_a_region_is_occluded_above_half_and_not_at_half():
    layout = Layout("one", (2, 2), {"all": Box(0, 0, 2, 2)}, {})
    covered = torch.tensor([[[1, 1], [0, 0]], [[1, 1], [1, 0]]], dtype=torch.bool)
    assert layout.occluded(covered).tolist() == [[False], [True]]


def test_landmark_shares_come_near_the_papers_on_normal_landmarks():
    points = landmarks(4, 3)
    shares = make_layout("LM1", LandmarkStatistics.of(points, SIZE), 0.0).landmark_share(points)
    # Two independent axes within 2 sigma: .954 squared.
    for name in ("left-eye", "right-eye", "nose", "mouth"):
        assert shares[name] == pytest.approx(0.91, abs=0.03)
    assert shares["jointly"] == pytest.approx(0.91**4, abs=0.05)


def test_landmark_share_by_hand():
    layout = Layout("LM2", (10, 10), {"eyes": Box(2, 0, 4, 10)}, {"eyes": (0, 1)})
    points = np.full((4, 5, 2), 3.0)
    points[0, 0, 1] = 1.9  # above the band
    points[1, 1, 1] = 4.0  # the first row below it
    assert layout.landmark_share(points) == {"eyes": 0.5, "jointly": 0.5}


@pytest.mark.parametrize("name", LAYOUTS)
def test_mirroring_twice_is_the_same_region_again(name):
    layout = make_layout(name, statistics(2, 2), 0.57)
    order = mirrored(layout)
    assert [order[i] for (i,) in order] == [[i] for i in range(len(order))]


def test_mirrored_regions_by_name():
    names = list(make_layout("LM1", statistics(2, 2), 0.57).regions)
    order = mirrored(make_layout("LM1", statistics(2, 2), 0.57))
    assert [names[i] for (i,) in order] == ["right-eye", "left-eye", "nose", "mouth"]
    assert mirrored(make_layout("LM2", statistics(2, 2), 0.57)) == [[0], [1], [2], [3], [4]]
    grid = mirrored(make_layout("grid3x3", statistics(2, 2), 0.57))
    assert [i for (i,) in grid] == [2, 1, 0, 5, 4, 3, 8, 7, 6]


def test_a_mirror_image_that_overlaps_nothing_is_no_region():
    boxes = {"middle": Box(0, 4, 4, 6), "left": Box(0, 0, 4, 3), "low": Box(6, 0, 8, 3)}
    assert mirrored(Layout("uneven", (8, 10), boxes, {})) == [[0], [], []]
