"""Crops of scenes, and what the networks should answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pdsn.detection.learning import CascadeLoss, figures_of
from pdsn.detection.samples import FACE, NO_FACE, PART, TAKEN, Samples, cut_samples
from pdsn.detection.scenes import Scene

BOX = np.array([60.0, 50.0, 110.0, 120.0])
LANDMARKS = np.array([[72.0, 75.0], [98.0, 75.0], [85.0, 90.0], [75.0, 102.0], [95.0, 102.0]])
OTHER = np.array([150.0, 20.0, 180.0, 60.0])


@pytest.fixture
def scene() -> Scene:
    """Red grows with x, green with y: a crop shows where it was cut."""
    y, x = np.mgrid[:200, :200]
    pixels = np.stack([x, y, 0 * x], axis=2).astype(np.uint8)
    return Scene(pixels, BOX, LANDMARKS, OTHER[None], 0.3)


def squares(rng: np.random.Generator, count: int) -> np.ndarray:
    corner, edge = rng.uniform(0, 150, (count, 2)), rng.uniform(20, 60, (count, 1))
    return np.concatenate([corner, corner + edge, np.ones((count, 1))], axis=1)


def shifted_like_the_detector(samples: Samples, edge: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, 4) and landmarks (N, 5, 2) that the targets stand for, by the place that a crop's own pixels tell."""
    step = samples.crops[:, 0, -1, 0].astype(float) - samples.crops[:, 0, 0, 0]
    edges = step / (edge - 1) * edge
    corner = samples.crops[:, 0, 0, :2] + 0.5 - step[:, None] / (edge - 1) / 2
    places = np.stack([samples.places[:, :5], samples.places[:, 5:]], axis=2)
    return edges, corner[:, None] + places * edges[:, None, None]


@pytest.mark.parametrize("edge", [24, 48])
def test_targets_lead_back_to_the_face(scene, edge):
    rng = np.random.default_rng(0)
    samples = cut_samples(scene, squares(rng, 60), edge, rng)
    whole = samples.labels != NO_FACE
    assert samples.crops.shape[1:] == (edge, edge, 3) and whole.sum() >= 3
    _, landmarks = shifted_like_the_detector(samples, edge)
    assert np.abs(landmarks[whole] - LANDMARKS).max() < 2.5, "a pixel or two are lost to rounding"
    assert np.abs((landmarks - LANDMARKS)[whole].mean((0, 1))).max() < 0.6, "and none by rule"
    assert np.abs(samples.shifts[samples.labels == FACE]).max() < 0.45


def test_labels_follow_the_overlap(scene):
    rng = np.random.default_rng(1)
    counts = np.zeros(3, int)
    for _ in range(20):
        samples = cut_samples(scene, squares(rng, 200), 24, rng)
        kinds = [(samples.labels == kind).sum() for kind in (FACE, PART, NO_FACE)]
        assert all(n <= TAKEN[kind] for n, kind in zip(kinds, (FACE, PART, NO_FACE), strict=True))
        counts += kinds
        middle = samples.crops[samples.labels == NO_FACE][:, 12, 12, :2]
        other = (OTHER[:2] + OTHER[2:]) / 2
        assert (np.abs(middle - other).max(1) > 5).all(), "what may be another face is shown to nobody"
    assert counts.min() > 20


def test_a_hidden_face_is_no_face_to_learn(scene):
    rng = np.random.default_rng(2)
    hidden = Scene(scene.pixels, BOX, LANDMARKS, scene.others, 0.95)
    assert set(cut_samples(hidden, squares(rng, 100), 24, rng).labels) == {NO_FACE}


class Told(torch.nn.Module):
    """Answers what it was told, whatever it sees."""

    def __init__(self, shifts: torch.Tensor, places: torch.Tensor, scores: torch.Tensor) -> None:
        super().__init__()
        self.answer = shifts, places, scores

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, ...]:
        assert crops.shape[1:] == (3, 24, 24) and crops.abs().max() <= 1
        return self.answer


def test_the_loss_asks_each_crop_for_what_it_can_tell(scene):
    rng = np.random.default_rng(3)
    samples = cut_samples(scene, squares(rng, 200), 24, rng)
    crops, labels, shifts, places = samples.rows(torch.arange(len(samples)))
    right = torch.nn.functional.one_hot(labels.clamp_min(0), 2).float()

    def losses(shifts=shifts, places=places, scores=right) -> dict[str, float]:
        found = CascadeLoss(Told(shifts, places, scores))(crops, labels, *truth)
        return {name: float(value) for name, value in found.items()}

    truth = shifts, places
    assert losses()["loss"] == pytest.approx(0, abs=1e-6)
    of_none = (labels == NO_FACE)[:, None].float()
    assert losses(shifts + of_none, places + of_none)["loss"] == pytest.approx(0, abs=1e-6)
    of_part = (labels == PART)[:, None]
    assert losses(scores=torch.where(of_part, 1 - right, right))["loss"] == pytest.approx(0, abs=1e-6)
    assert losses(shifts + 0.1)["loss"] == pytest.approx(0.2, abs=1e-5)
    assert losses(places=places - 0.1)["loss"] == pytest.approx(0.4, abs=1e-5)
    assert losses(scores=torch.full_like(right, 0.5))["loss_face"] == pytest.approx(np.log(2), abs=1e-5)


def test_figures_do_not_depend_on_the_batch(scene):
    from facenet_pytorch.models.mtcnn import RNet

    rng = np.random.default_rng(4)
    samples = Samples.joined([cut_samples(scene, squares(rng, 100), 24, rng) for _ in range(6)])
    keep = samples.labels != PART  # a mean of means of crops that count differently is another number
    samples = Samples(
        *(part[keep] for part in (samples.crops, samples.labels, samples.shifts, samples.places))
    )
    module = CascadeLoss(RNet().eval())
    with torch.inference_mode():
        whole = figures_of(module, samples, 1000)
    assert whole["score"] == -whole["loss"] < 0 and set(whole) == {"loss", "loss_face", "loss_box", "score"}
