"""The limits of a segmentation: few free faces pass them, and no more is taken off than that needs."""

import pytest
import torch

from pdsn.coverage.caution import Cautious, Segmentation, limits_of
from pdsn.occlusion.layouts import Box

BANDS = (Box(0, 0, 6, 10), Box(6, 0, 16, 10))


class Given(Segmentation):
    """Gives its input as logits."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, faces):
        return faces[:, 0] * self.scale


def free_faces(count=300, seed=0):
    """Logits of faces of which some look covered to the network, each to another degree and in another place."""
    generator = torch.Generator().manual_seed(seed)
    noise = 2 * torch.randn(count, 16, 10, generator=generator)
    worse = torch.randn(count, 2, 1, generator=generator).repeat_interleave(torch.tensor([6, 10]), 1) * 2
    return noise + worse - 3


def touched(logits, limits, share=0.3):
    """Which faces have a band of which more than this share is above its limit."""
    shares = [
        (logits[:, b.top : b.bottom, b.left : b.right] > limit).double().mean((1, 2))
        for b, limit in zip(BANDS, limits, strict=True)
    ]
    return (torch.stack(shares, 1) > share).any(1)


@pytest.mark.parametrize("allowed", [0.0, 0.01, 0.02, 0.1])
def test_few_free_faces_pass_the_limits_and_lower_ones_let_more_pass(allowed):
    logits = free_faces()
    assert touched(logits, (0, 0)).float().mean() > 0.1, "else there is nothing to limit"
    limits = limits_of(logits, BANDS, allowed)
    assert (limits >= 0).all()
    assert touched(logits, limits).sum() <= allowed * len(logits)
    # Each step lets one or two more faces pass: at most a few fewer than are allowed do.
    assert touched(logits, limits).sum() >= allowed * len(logits) - 2
    if allowed:
        assert touched(logits, limits * 0.8).sum() > allowed * len(logits)


def test_where_no_free_face_looks_covered_nothing_is_taken_off():
    assert limits_of(free_faces() - 20, BANDS, 0.02).tolist() == [0, 0]


def test_limits_are_taken_off_within_their_bands_alone():
    cautious = Cautious(Given())
    faces = torch.zeros(2, 3, 20, 12)
    assert cautious(faces).eq(0).all(), "before it is calibrated there is no limit"
    cautious.calibrate(free_faces(), BANDS, 0.02)
    expected = torch.zeros(20, 12)
    expected[0:6, 0:10], expected[6:16, 0:10] = -cautious.limits[0], -cautious.limits[1]
    assert cautious.limits.min() > 0 and torch.allclose(cautious(faces)[0], expected)


def test_weights_carry_the_limits_and_older_ones_have_none():
    cautious = Cautious(Given())
    cautious.calibrate(free_faces(), BANDS, 0.02)
    other = Cautious(Given())
    other.load_weights(cautious.weights())
    assert torch.equal(other.limits, cautious.limits) and torch.equal(other.bands, cautious.bands)
    older = {name: value for name, value in cautious.weights().items() if name not in ("bands", "limits")}
    other.load_weights(older)
    assert other.limits.eq(0).all()
    with pytest.raises(RuntimeError):
        other.load_weights({**older, "foreign": torch.zeros(1)})
