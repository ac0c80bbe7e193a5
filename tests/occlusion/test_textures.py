import numpy as np
import pytest

from pdsn.occlusion.textures import cloth, clouds, texture


@pytest.mark.parametrize("size", [(40, 30), (3, 50), (1, 1), (250, 250)])
def test_clouds_are_smooth(size):
    for period in (2.0, 8.0):
        found = clouds(*size, period, np.random.default_rng(0))
        # A bicubic curve swings a little beyond its values.
        assert found.shape == size and found.min() > -0.3 and found.max() < 1.3
    steps = {
        period: np.abs(np.diff(clouds(60, 60, period, np.random.default_rng(0)))).mean() for period in (4, 16)
    }
    assert steps[16] < 0.5 * steps[4]


def test_textures_are_of_many_kinds_and_often_grey():
    drawn = [texture(24, 24, np.random.default_rng(seed)) for seed in range(200)]
    grey = np.mean([np.ptp(surface, axis=2).max() < 1e-6 for surface in drawn])
    assert 0.3 < grey < 0.5
    # Two colours or shades of them in six of ten, but for a few that are alike.
    rough = np.mean([surface.std((0, 1)).max() > 15 for surface in drawn])
    assert 0.35 < rough < 0.7
    first, again = (texture(24, 24, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first, again)


def test_cloths_are_textures_or_blotches_of_few_colours():
    drawn = [cloth(40, 30, np.random.default_rng(seed)) for seed in range(100)]
    assert all(one.shape == (40, 30, 3) and np.isfinite(one).all() for one in drawn)
    assert np.mean([one.std((0, 1)).max() > 15 for one in drawn]) > 0.6
    first, again = (cloth(24, 24, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2)])
def test_cloths_of_any_size(size):
    for seed in range(20):
        assert cloth(*size, np.random.default_rng(seed)).shape == (*size, 3)
