"""What the network that places landmarks of covered faces learns from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pdsn.data.landmarks import EDGE, PLACES
from pdsn.data.template import TEMPLATE
from pdsn.detection import scenes
from pdsn.detection.places import CROPS, PlaceLoss, make_places, moved
from pdsn.detection.scenes import Subject
from pdsn.errors import PdsnError
from pdsn.occlusion.layouts import Box
from pdsn.occlusion.occluders import Block, Nothing


@pytest.fixture
def subject() -> Subject:
    """A black photo with a white square at each landmark."""
    photo = np.zeros((256, 256, 3), np.uint8)
    landmarks = TEMPLATE + np.array([80.0, 60.0])
    for x, y in landmarks.round().astype(int):
        photo[y - 4 : y + 4, x - 4 : x + 4] = 255
    return Subject(photo, np.array([90.0, 70.0, 166.0, 180.0]), landmarks, np.zeros((0, 4)))


def test_places_lie_on_the_landmarks_however_a_crop_lies(subject, monkeypatch):
    monkeypatch.setattr(scenes, "_relit", lambda pixels, rng: pixels)
    made = []
    samples = make_places([subject] * 5, Nothing(), (0, 0), 2, made.append)
    assert len(samples) == 10 * CROPS and sum(made) == 10 and (samples.hidden == 0).all()
    points = samples.places.reshape(-1, 2, 5).transpose(0, 2, 1) * EDGE
    apart = np.linalg.norm(points - PLACES, axis=2)
    assert 1 < np.median(apart) < 6, "guesses are off by some pixels"
    inside = ((points > 1) & (points < EDGE - 1)).all(2)
    rows, marks = np.nonzero(inside)
    at = points[rows, marks].astype(int)
    assert inside.mean() > 0.9 and (samples.crops[rows, at[:, 1], at[:, 0], 0] > 128).mean() > 0.85


def test_covers_lie_beside_their_place_and_a_hidden_face_is_left_out(subject):
    mouth = make_places([subject] * 4, Block((Box(90, 0, 128, 96),)), (0, 0), 1, lambda done: None)
    assert len(set(mouth.hidden.tolist())) == 4 and 0.1 < mouth.hidden.min() < mouth.hidden.max() < 0.7
    with pytest.raises(PdsnError, match="give other photos"):
        make_places([subject], Block((Box(-200, -200, 400, 400),)), (0, 0), 1, lambda done: None)


def test_the_same_seed_gives_the_same_crops(subject):
    one, two, other = (make_places([subject], Nothing(), (seed, 0), 1, len_of) for seed in (3, 3, 4))
    assert np.array_equal(one.crops, two.crops) and not np.array_equal(one.places, other.places)


def len_of(done: int) -> None:
    """Progress nobody looks at."""


def test_moved_landmarks_keep_their_form():
    rng = np.random.default_rng(0)
    for _ in range(20):
        points = moved(TEMPLATE, rng)
        sides, true = (np.linalg.norm(one - one[:1], axis=1)[1:] for one in (points, TEMPLATE))
        assert np.ptp(sides / true) < 1e-6 and not np.allclose(points, TEMPLATE)


class Told(torch.nn.Module):
    """Answers what it was told."""

    def __init__(self, places: torch.Tensor, covered: torch.Tensor) -> None:
        super().__init__()
        self.answer = None, places, torch.stack([1 - covered, covered], 1)

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return self.answer


def test_the_loss_counts_what_alignment_would_be_off_by_most():
    crops = torch.zeros((4, EDGE, EDGE, 3), dtype=torch.uint8)
    true = torch.from_numpy(PLACES.T.reshape(10) / EDGE).float().repeat(4, 1)
    hidden = torch.tensor([0.0, 0.5, 0.01, 0.05])
    right = torch.tensor([0.0, 1.0, 0.0, 1.0])

    def losses(places: torch.Tensor, covered: torch.Tensor = right) -> dict[str, float]:
        found = PlaceLoss(Told(places, covered))(crops, true, hidden)
        return {name: float(value) for name, value in found.items()}

    assert losses(true)["loss"] == pytest.approx(0, abs=1e-6)
    assert losses(true, torch.tensor([0.0, 1.0, 0.0, 0.0]))["loss"] == pytest.approx(0, abs=1e-6), (
        "hardly covered"
    )
    assert losses(true, 1 - right)["loss_cover"] > 5
    shifted = losses(true + 0.1)
    assert shifted["loss_landmarks"] == pytest.approx(0.1) and shifted["loss_alignment"] == pytest.approx(0.1)
    grin = true.clone()
    grin[:, 3] -= 0.05
    grin[:, 4] += 0.05
    grinning = losses(grin)
    assert grinning["loss_alignment"] < 0.8 * grinning["loss_landmarks"], "alignment leaves a part of it out"
