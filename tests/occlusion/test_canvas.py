import numpy as np
import pytest
import torch
from matplotlib.path import Path as Outline
from scipy.ndimage import binary_dilation

from pdsn.occlusion.canvas import Canvas, along, blob, ellipse, inside, polygon, speckled, strands

SIZE = (40, 30)
HEXAGON = np.array([15, 20]) + 9 * np.stack(
    [np.cos(np.arange(6) * np.pi / 3), np.sin(np.arange(6) * np.pi / 3)], 1
)


def photo(size: tuple[int, int] = SIZE, seed: int = 0) -> torch.Tensor:
    return torch.randint(
        60, 200, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def middles(size: tuple[int, int] = SIZE) -> np.ndarray:
    """(H * W, 2) x, y of the middles of the pixels."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]] + 0.5
    return np.stack([x.ravel(), y.ravel()], 1)


def painted(size: tuple[int, int] = SIZE, colour: float = 250.0) -> Canvas:
    """A canvas with a box in one colour, eight pixels off the edges."""
    canvas = Canvas(*size)
    alpha = np.zeros(size, np.float32)
    alpha[8:-8, 8:-8] = 1
    canvas.paint(np.full((3, 1, 1), colour, np.float32), alpha)
    return canvas


@pytest.mark.parametrize(
    ("start", "end"), [((5, 5), (25, 5)), ((5, 30), (22, 8)), ((20, 3), (20, 35)), ((-9, 50), (12, 12))]
)
def test_along_is_the_nearest_point_of_a_line(start, end):
    start, end = np.array(start, float), np.array(end, float)
    place, beside = along(Canvas(*SIZE), start, end)
    assert place.shape == beside.shape == SIZE and place.dtype == beside.dtype == np.float32
    steps = np.linspace(0, 1, 401)
    points = start + steps[:, None] * (end - start)
    distances = np.linalg.norm(middles()[:, None] - points, axis=2)
    np.testing.assert_allclose(np.abs(beside).ravel(), distances.min(1), atol=0.05)
    np.testing.assert_allclose(place.ravel(), steps[distances.argmin(1)], atol=2e-3)


def test_along_tells_right_from_left():
    # To the photo's right: its lower half is at the right hand.
    _, beside = along(Canvas(*SIZE), np.array([0, 20.0]), np.array([30, 20.0]))
    assert (beside[21:] > 0).all() and (beside[:20] < 0).all()
    _, back = along(Canvas(*SIZE), np.array([30, 20.0]), np.array([0, 20.0]))
    np.testing.assert_allclose(back, -beside)


def test_a_line_without_length_is_a_point():
    place, beside = along(Canvas(*SIZE), np.array([10.0, 10]), np.array([10.0, 10]))
    assert np.isfinite(place).all()
    np.testing.assert_allclose(np.abs(beside).ravel(), np.linalg.norm(middles() - 10, axis=1), rtol=1e-5)


@pytest.mark.parametrize("sense", [1, -1])
def test_a_polygon_is_where_its_corners_say(sense):
    distance = polygon(Canvas(*SIZE), HEXAGON[::sense])
    assert distance.dtype == np.float32
    within = Outline(HEXAGON).contains_points(middles()).reshape(SIZE)
    assert np.array_equal(distance < 0, within) and within.any()


def test_within_a_polygon_the_distance_is_that_to_its_nearest_side():
    x, y = middles().T
    corners = np.array([(5, 10), (25, 10), (25, 30), (5, 30)], float)
    wanted = np.max([5 - x, x - 25, 10 - y, y - 30], axis=0)
    np.testing.assert_allclose(polygon(Canvas(*SIZE), corners).ravel(), wanted, atol=1e-4)


def test_a_polygon_of_one_point_covers_nothing():
    assert not (polygon(Canvas(*SIZE), np.full((4, 2), 12.0)) < 0).any()


def test_a_circles_distance_is_exact():
    found = ellipse(Canvas(*SIZE), np.array([12.0, 17.0]), np.eye(2) * 6.5)
    np.testing.assert_allclose(found.ravel(), np.linalg.norm(middles() - (12, 17), axis=1) - 6.5, atol=1e-4)


@pytest.mark.parametrize("flip", [1, -1])
def test_a_turned_ellipse_is_where_its_axes_say(flip):
    axes = np.array([[8.0, -2.0], [3.0, 5.0]]) * [1, flip]
    turns = np.linspace(0, 2 * np.pi, 4000)
    edge = (14, 21) + np.stack([np.cos(turns), np.sin(turns)], 1) @ axes.T
    within = Outline(edge).contains_points(middles()).reshape(SIZE)
    found = ellipse(Canvas(*SIZE), np.array([14.0, 21.0]), axes)
    assert (np.array_equal(found < 0, within)) and within.sum() > 80


def test_a_blob_lies_about_its_centre_and_is_no_circle():
    shapes = [blob(Canvas(60, 60), np.array([30, 30]), 10, np.random.default_rng(seed)) for seed in range(20)]
    areas = np.array([(shape < 0).sum() for shape in shapes])
    assert all(shape[30, 30] < 0 and shape[0, 0] > 0 for shape in shapes)
    assert 0.9 < areas.mean() / (np.pi * 100) < 1.15, "of so large a radius"
    mirrored = [((shape < 0) ^ (shape < 0)[:, ::-1]).sum() / (shape < 0).sum() for shape in shapes]
    assert np.mean(mirrored) > 0.15
    again = blob(Canvas(60, 60), np.array([30, 30]), 10, np.random.default_rng(3))
    assert np.array_equal(again, shapes[3])


def test_an_edge_is_as_wide_as_it_is_asked_to_be():
    distance = np.array([-9, -2, -1, -0.5, 0, 0.5, 1, 2, 9])
    np.testing.assert_allclose(inside(distance), [1, 1, 1, 1, 0.5, 0, 0, 0, 0])
    np.testing.assert_allclose(inside(distance, 4.0), [1, 1, 0.75, 0.625, 0.5, 0.375, 0.25, 0, 0])
    np.testing.assert_allclose(inside(distance, 0.1), inside(distance), err_msg="no edge is below a pixel")


def test_strands_run_along_the_flow():
    rng = np.random.default_rng(0)
    flow = rng.uniform(-1, 1, (30, 1)).repeat(4, 1)
    found = strands(flow, np.zeros((30, 4)), 4.0, rng)
    assert found.shape == (30, 4) and np.abs(found).max() <= 1 + 1e-6
    assert np.array_equal(found, found[:, :1].repeat(4, 1)) and found[:, 0].std() > 0.2


def test_speckles_stay_about_their_colour():
    colour = np.array([200.0, 100.0, 50.0])
    found = speckled(colour, 0.1, (50, 40), np.random.default_rng(0))
    assert found.shape == (3, 50, 40) and found.dtype == np.float32
    share = found / colour[:, None, None]
    np.testing.assert_allclose(share[0], share[1], rtol=1e-5)
    assert 0.85 < share.min() < 0.97 and 1.03 < share.max() < 1.15


def test_paint_is_the_over_operator():
    canvas = Canvas(1, 3)
    canvas.paint(np.full((3, 1, 1), 100.0, np.float32), np.array([[0.5, 1.0, 0.0]], np.float32))
    colour = np.array([200.0, 0.0, 40.0], np.float32)[:, None, None]
    canvas.paint(colour, np.array([[0.25, 0.5, 0.1]], np.float32))
    np.testing.assert_allclose(canvas.alpha, [[1 - 0.5 * 0.75, 1.0, 0.1]], rtol=1e-6)
    # By hand, channel after channel: what is above, and what is seen of that below.
    np.testing.assert_allclose(canvas.colours[0], [[0.25 * 200 + 0.75 * 50, 100 + 50, 20]], rtol=1e-6)
    np.testing.assert_allclose(canvas.colours[1], [[0.75 * 50, 50, 0]], rtol=1e-6)
    np.testing.assert_allclose(canvas.colours[2], [[0.25 * 40 + 0.75 * 50, 20 + 50, 4]], rtol=1e-6)


@pytest.mark.parametrize(
    "colours", [np.full((3, 1, 1), 90.0), np.random.default_rng(0).uniform(0, 255, (3, *SIZE))]
)
def test_what_is_laid_on_fully_is_seen_up_to_its_grain(colours):
    canvas = Canvas(*SIZE)
    canvas.paint(colours.astype(np.float32), np.ones(SIZE, np.float32))
    # A seed without blur.
    occluded, covered = canvas.lay(photo(), np.random.default_rng(without_blur(SIZE)))
    assert covered.all()
    gap = occluded.numpy() - np.broadcast_to(colours, (3, *SIZE))
    assert abs(gap.mean()) < 0.3 and 0.7 < gap.std() < 2.2


def without_blur(size: tuple[int, int]) -> int:
    """A seed with which a photo's edges stay as they are."""
    return next(seed for seed in range(99) if np.random.default_rng(seed).uniform(0, 0.008) * size[1] <= 0.3)


@pytest.mark.parametrize("size", [SIZE, (200, 200)])
@pytest.mark.parametrize("seed", range(4))
def test_without_a_shadow_what_is_beside_stays_as_it_is(size, seed):
    image, canvas = photo(size), painted(size)
    before, drawn = image.clone(), canvas.colours.copy()
    occluded, covered = canvas.lay(image, np.random.default_rng(seed), shadow=0)
    assert torch.equal(image, before) and np.array_equal(canvas.colours, drawn)
    assert occluded.shape == image.shape and occluded.dtype == torch.uint8 and covered.dtype == torch.bool
    far = binary_dilation(canvas.alpha > 0, iterations=2 + round(0.032 * size[1]))
    far = torch.from_numpy(~far)
    assert far.any()
    assert torch.equal(occluded[:, far], image[:, far])
    assert (occluded[:, covered].float() - 250).abs().mean() < 30


def test_the_mask_is_where_at_least_half_is_covered():
    canvas = Canvas(*SIZE)
    ramp = np.linspace(0, 1, SIZE[1], dtype=np.float32)
    canvas.paint(np.full((3, 1, 1), 9.0, np.float32), np.tile(ramp, (SIZE[0], 1)))
    _, covered = canvas.lay(photo(), np.random.default_rng(without_blur(SIZE)))
    assert torch.equal(covered, torch.from_numpy(canvas.alpha >= 0.5))
    wide = (200, 200)
    for seed in range(5):
        drawn = torch.from_numpy(painted(wide).alpha >= 0.5)
        _, covered = painted(wide).lay(photo(wide), np.random.default_rng(seed))
        assert (covered ^ drawn).float().mean() < 1e-3, "a soft edge stays where it was"


def test_a_soft_edge_has_no_fringe():
    # Laid over a photo of its own colour, it is not to be seen.
    image = torch.full((3, 200, 200), 200, dtype=torch.uint8)
    for seed in range(6):
        occluded, _ = painted((200, 200), 200.0).lay(image, np.random.default_rng(seed), shadow=0)
        assert (occluded.int() - 200).abs().max() < 10


def test_a_shadow_darkens_what_is_beside_and_no_more():
    size = (80, 80)
    darker = 0
    for seed in range(12):
        image = torch.full((3, *size), 160, dtype=torch.uint8)
        occluded, _ = painted(size, 20.0).lay(image, np.random.default_rng(seed), shadow=0.5, reach=0.1)
        beside = torch.ones(size, dtype=torch.bool)
        beside[5:-5, 5:-5] = False
        assert int(occluded[:, beside].max()) <= 160 and int(occluded[:, beside].min()) >= 79
        darker += int(occluded[:, beside].min() < 155)
    assert darker >= 6


def test_a_draw_depends_on_the_generator_alone():
    first, again, other = (painted().lay(photo(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_an_empty_canvas_leaves_the_photo_as_it_is():
    image = photo()
    rng, same = np.random.default_rng(0), np.random.default_rng(0)
    occluded, covered = Canvas(*SIZE).lay(image, rng)
    assert torch.equal(occluded, image) and not covered.any()
    assert occluded.data_ptr() != image.data_ptr(), "a copy: what comes after may change it"
    painted().lay(image, same)
    assert rng.random() == same.random(), "what comes after is drawn alike"


def test_a_photo_that_is_not_contiguous_is_laid_over_alike():
    stored = photo().permute(1, 2, 0).contiguous().permute(2, 0, 1)
    one, two = (painted().lay(image, np.random.default_rng(0)) for image in (photo(), stored))
    assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])
