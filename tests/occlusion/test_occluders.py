import numpy as np
import pytest
import torch

from pdsn.data.template import template
from pdsn.errors import UsageError
from pdsn.occlusion.layouts import Box, LandmarkStatistics, make_layout
from pdsn.occlusion.mixture import base_occluders, matching_mixture, worn_occluders
from pdsn.occlusion.occluders import (
    BANDS,
    PARTS,
    Block,
    Nothing,
    Patterned,
    RandomBlock,
    draws_of,
    find_occluder,
    is_fixed,
    make_occluders,
    moved,
    occlude,
)

SIZE = (128, 96)
LANDMARKS = template(SIZE) + np.random.default_rng(0).normal(0, 2, (50, 5, 2))
STATISTICS = LandmarkStatistics.of(LANDMARKS, SIZE)


def photo(seed: int = 0) -> torch.Tensor:
    return torch.randint(1, 255, (3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "name", [*make_occluders(STATISTICS, 0.57), *PARTS, "block:LM1/nose", "block:grid3x3/row1-col3"]
)
def test_the_mask_is_exactly_what_changed(name):
    occluder = find_occluder(name, STATISTICS, 0.57)
    image = photo()
    before = image.clone()
    occluded, covered = occluder(image, torch.from_numpy(LANDMARKS[0]), np.random.default_rng(3))
    assert torch.equal(image, before), "the occluder must leave its input alone"
    assert covered.shape == SIZE and covered.dtype == torch.bool
    assert torch.equal(occluded[:, ~covered], image[:, ~covered])
    # A block of one colour leaves a pixel as it was only by coincidence.
    assert (occluded[:, covered] != image[:, covered]).any(0).float().mean() > 0.95 or not covered.any()


def test_bands_are_white_and_as_wide_as_the_photo():
    bands = make_layout("LM2", STATISTICS, 0.57).regions
    for name in BANDS:
        occluded, covered = find_occluder(name, STATISTICS, 0.57)(
            photo(), torch.zeros(5, 2), np.random.default_rng(0)
        )
        assert (occluded[:, covered] == 255).all()
        assert covered[bands[name].top : bands[name].bottom].all()
        assert covered.sum() == bands[name].area


@pytest.mark.parametrize("degrees", [0, 30])
def test_face_and_background_share_the_photo_and_the_oval_turns_with_the_face(degrees):
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([48.0, 82.0])
    points = torch.from_numpy((template(SIZE) - centre) @ turn.T + centre)
    inside, outside = (
        PARTS[name](photo(), points, np.random.default_rng(0))[1] for name in ("face", "background")
    )
    assert torch.equal(inside, ~outside)
    for x, y in points.round().long().tolist():
        assert inside[y, x]
    # The crop's corners are hair and background; the oval is the face's share of the crop.
    assert not inside[0, 0] and not inside[0, -1]
    assert 0.35 < inside.float().mean() < 0.75


def test_nose_mouth_chin_is_the_union_of_its_bands():
    rng = np.random.default_rng(0)
    masks = [
        find_occluder(n, STATISTICS, 0.57)(photo(), torch.zeros(5, 2), rng)[1]
        for n in ("nose", "mouth", "chin")
    ]
    together = find_occluder("nose+mouth+chin", STATISTICS, 0.57)(photo(), torch.zeros(5, 2), rng)[1]
    assert torch.equal(together, masks[0] | masks[1] | masks[2])


def test_a_block_has_one_intensity_drawn_anew_each_time():
    block = Block((Box(10, 10, 40, 40),), intensity=None)
    levels = set()
    for seed in range(20):
        occluded, covered = block(photo(), torch.zeros(5, 2), np.random.default_rng(seed))
        values = occluded[:, covered].unique()
        assert len(values) == 1
        levels.add(int(values))
    assert len(levels) > 10


def test_the_edges_of_a_jittered_block_move_within_their_reach():
    band, image = Box(40, 0, 60, 96), photo()
    tops, bottoms = set(), set()
    for seed in range(200):
        _, covered = Block((band,), jitter=0.25)(image, torch.zeros(5, 2), np.random.default_rng(seed))
        rows = covered.any(1).nonzero().flatten().tolist()
        assert covered.sum() == len(rows) * 96, "one band across the photo"
        tops.add(rows[0])
        bottoms.add(rows[-1] + 1)
    assert (min(tops), max(tops)) == (35, 45) and (min(bottoms), max(bottoms)) == (55, 65)


def test_a_moved_box_stays_on_the_photo():
    for seed in range(50):
        box = moved(Box(0, 80, 10, 96), (128, 96), 1.0, np.random.default_rng(seed))
        assert 0 <= box.top < box.bottom <= 128 and 0 <= box.left < box.right <= 96


def test_random_blocks_stay_inside_and_within_their_sizes():
    sizes = []
    for seed in range(200):
        _, covered = RandomBlock()(photo(), torch.zeros(5, 2), np.random.default_rng(seed))
        rows, columns = (covered.any(1)).sum().item(), covered.any(0).sum().item()
        assert covered.sum() == rows * columns, "one rectangle"
        sizes.append((rows, columns))
    rows, columns = np.array(sizes).T
    assert 19 <= rows.min() < 25 and 64 < rows.max() <= 71
    assert 29 <= columns.min() < 35 and 90 < columns.max() <= 96


def test_a_draw_depends_on_seed_name_and_row_alone():
    images = torch.stack([photo(i) for i in range(6)])
    rows = [5, 9, 2, 7, 0, 1]

    def draw(chosen, seed=0, name="random-block"):
        return occlude(
            RandomBlock(),
            images[chosen],
            LANDMARKS[chosen],
            seed=seed,
            name=name,
            rows=[rows[i] for i in chosen],
        )

    together, masks = draw([0, 1, 2, 3, 4, 5])
    alone, mask = draw([3])
    assert torch.equal(together[3], alone[0]) and torch.equal(masks[3], mask[0])
    assert not torch.equal(masks, draw([0, 1, 2, 3, 4, 5], seed=1)[1])
    assert not torch.equal(masks, draw([0, 1, 2, 3, 4, 5], name="other")[1])


def test_the_first_draw_is_what_it_was_before_there_were_others():
    key = 0x21723D32  # the first four bytes of sha256("random-block")
    before = np.random.default_rng((7, key, 42)).random(5)
    assert np.array_equal(draws_of(7, "random-block", 42).random(5), before)
    assert np.array_equal(draws_of(7, "random-block", 42, 0).random(5), before)
    seen = {tuple(draws_of(7, "random-block", 42, draw).random(5)) for draw in range(100)}
    assert len(seen) == 100


def test_only_what_leaves_nothing_to_chance_is_fixed():
    image, points = photo(), torch.from_numpy(LANDMARKS[0])
    for name in [*make_occluders(STATISTICS, 0.57), "block:LM1/nose"]:
        occluder = find_occluder(name, STATISTICS, 0.57)
        one, other = (occluder(image, points, np.random.default_rng(seed))[0] for seed in (0, 1))
        assert is_fixed(occluder) == torch.equal(one, other), name


@pytest.mark.parametrize("band", BANDS)
def test_textured_bands_cover_what_the_white_ones_do_in_patterns_of_two_colours(band):
    occluders = make_occluders(STATISTICS, 0.57)
    points = torch.from_numpy(LANDMARKS[0])
    looks = set()
    for seed in range(12):
        occluded, covered = occluders[f"{band}-textured"](photo(), points, np.random.default_rng(seed))
        _, white = occluders[band](photo(), points, np.random.default_rng(seed))
        assert torch.equal(covered, white)
        assert torch.equal(occluded[:, ~covered], photo()[:, ~covered])
        colours, counts = occluded[:, covered].T.unique(dim=0, return_counts=True)
        assert len(colours) == 2, "a pattern, neither plain nor rough"
        assert (colours[0].int() - colours[1].int()).abs().min() > 30
        assert counts.min() > 0.02 * counts.sum()
        looks.add(occluded.numpy().tobytes())
    assert len(looks) == 12


def test_nothing_is_trained_on_patterns():
    boxes = list(make_layout("LM2", STATISTICS, 0.57).regions.values())
    for parts in (worn_occluders("train"), base_occluders(), matching_mixture(boxes, "train").parts):
        assert not any(isinstance(part, Patterned) for part in parts.values())


def test_clean_covers_nothing():
    image = photo()
    occluded, covered = Nothing()(image, torch.zeros(5, 2), np.random.default_rng(0))
    assert torch.equal(occluded, image) and not covered.any()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("glasses", "choose from all, clean, forehead"),
        ("block:LM1/ear", "left-eye, right-eye, nose, mouth"),
        ("block:LM9/nose", "unknown"),
    ],
)
def test_unknown_occlusions_say_which_exist(name, said):
    with pytest.raises(UsageError, match=said):
        find_occluder(name, STATISTICS, 0.57)
