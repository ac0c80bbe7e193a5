"""Detection, the choice of face and the two alignments."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pytest
from PIL import Image

from pdsn.data.detector import MTCNN, Detection, Detector
from pdsn.data.faces import (
    align_box,
    choose_face,
    clear_face,
    detect_faces,
    find_faces,
    reduce_photo,
    sideways,
    turn_back,
    turn_photo,
)
from pdsn.data.similarity import align_similarity
from pdsn.data.template import TEMPLATE, template


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    """The upper half of scikit-image's portrait: one face of about 90 px, 256x256."""
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[:256, 96:352])


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(min_face=40, networks=MTCNN)


@pytest.fixture(scope="module")
def crowd(astronaut: np.ndarray) -> np.ndarray:
    """Two faces, the smaller one near the centre."""
    small = np.asarray(Image.fromarray(astronaut).resize((160, 160), Image.Resampling.LANCZOS))
    photo = np.full((300, 560, 3), 90, np.uint8)
    photo[20:276, 280:536] = astronaut
    photo[60:220, 140:300] = small
    return photo


def gradient(height: int = 200, width: int = 240) -> np.ndarray:
    """A photo whose red is x and whose green is y."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8)


def turned(scale: float, degrees: float, shift: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """A similarity: (2, 2) matrix and (2,) shift."""
    angle = np.deg2rad(degrees)
    return scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]), np.array(
        shift
    )


def face(left: float, top: float, right: float, bottom: float, probability: float = 0.99) -> Detection:
    box = np.array([left, top, right, bottom])
    return Detection(box, probability, TEMPLATE / (96, 128) * (box[2:] - box[:2]) + box[:2])


def test_template_keeps_the_faces_proportions() -> None:
    assert np.array_equal(template((128, 96)), TEMPLATE)
    assert template((64, 48)) == pytest.approx(TEMPLATE / 2)
    wide = template((128, 200))
    assert wide - TEMPLATE == pytest.approx(np.tile([52.0, 0.0], (5, 1)))
    tall = template((256, 96))
    assert tall - TEMPLATE == pytest.approx(np.tile([0.0, 64.0], (5, 1)))


def test_detector_finds_what_facenet_pytorch_finds(astronaut: np.ndarray, crowd: np.ndarray) -> None:
    from facenet_pytorch import MTCNN

    for photo in (astronaut, crowd):
        for smallest in (20, 40):
            mtcnn = MTCNN(keep_all=True, min_face_size=smallest, select_largest=False)
            boxes, probabilities, landmarks = mtcnn.detect(photo, landmarks=True)
            found = Detector(smallest, networks="mtcnn")([photo])[0]
            assert len(found) == len(boxes) >= 1
            order = np.argsort(-np.asarray(probabilities, dtype=float))
            for index, ours in zip(order, found, strict=True):
                assert ours.box == pytest.approx(np.asarray(boxes[index], dtype=float), abs=0.05)
                assert ours.landmarks == pytest.approx(np.asarray(landmarks[index], dtype=float), abs=0.05)
                assert ours.probability == pytest.approx(float(probabilities[index]), abs=1e-4)


def test_a_batch_finds_what_photo_by_photo_finds(astronaut: np.ndarray, detector: Detector) -> None:
    blank = np.full_like(astronaut, 128)
    at_the_edge = np.roll(astronaut, -90, axis=1)
    photos = [astronaut, blank, astronaut[:, ::-1].copy(), at_the_edge, blank, astronaut // 2]
    together = detector(photos)
    alone = [detector([photo])[0] for photo in photos]
    assert [len(found) for found in together] == [len(found) for found in alone]
    assert [bool(found) for found in together][:3] == [True, False, True] and together[5]
    for ours, theirs in zip(chain(*together), chain(*alone), strict=True):
        assert ours.landmarks == pytest.approx(theirs.landmarks, abs=0.01)
        assert ours.box == pytest.approx(theirs.box, abs=0.01)


def test_photos_without_any_face_raise_nothing(detector: Detector) -> None:
    rng = np.random.default_rng(0)
    blank = np.zeros((100, 100, 3), np.uint8)
    noise = rng.integers(0, 256, (100, 100, 3), dtype=np.uint8)
    assert detector([blank, blank]) == [[], []]
    assert detector([noise]) == [[]]
    assert detector([blank[:20, :20]]) == [[]]
    assert detector([blank[:1]]) == [[]]
    assert detector([]) == []


def test_the_detector_wants_equal_sizes(detector: Detector) -> None:
    with pytest.raises(ValueError, match="one size"):
        detector([np.zeros((50, 60, 3), np.uint8), np.zeros((60, 50, 3), np.uint8)])


def test_photos_of_mixed_sizes_keep_their_order(astronaut: np.ndarray, detector: Detector) -> None:
    blank = np.zeros((80, 90, 3), np.uint8)
    wide = np.pad(astronaut, ((0, 0), (0, 100), (0, 0)))
    found = detect_faces([astronaut, blank, wide, astronaut], detector)
    assert [len(faces) for faces in found] == [1, 0, 1, 1]
    assert found[3][0].landmarks == pytest.approx(found[0][0].landmarks, abs=0.01)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_photo_on_its_side_is_turned_until_it_shows_a_face(
    astronaut: np.ndarray, detector: Detector, turn: int
) -> None:
    upright = np.ascontiguousarray(astronaut[:240])
    lying, lawn = turn_photo(upright, 360 - turn), np.full((60, 80, 3), (0, 128, 0), np.uint8)
    assert not detect_faces([lying], detector)[0], "the detector alone does not find it"
    found = find_faces([upright, lying, lawn], detector)
    assert [(len(faces), by) for faces, by in found] == [(1, 0), (1, turn), (0, 0)]
    (wanted,), (face,) = found[0][0], found[1][0]
    assert face.landmarks == pytest.approx(wanted.landmarks, abs=0.01), "in pixels of the photo as turned"
    assert np.array_equal(turn_photo(lying, turn), upright)
    # The box of the photo as it lies, cut out and turned, is the upright one's.
    left, top, right, bottom = np.clip(turn_back(face.box, lying.shape, turn), 0, None).round().astype(int)
    a, b, c, d = np.clip(wanted.box, 0, None).round().astype(int)
    assert np.array_equal(turn_photo(lying[top:bottom, left:right], turn), upright[b:d, a:c])


@pytest.mark.parametrize(
    ("upright", "turned", "turn"),
    [(0.95, 0.999, 0), (0.8, 0.98, 0), (0.8, 0.995, 90), (0.0, 0.98, 0), (0.0, 0.995, 90)],
)
def test_only_a_photo_without_a_sure_face_is_turned(upright: float, turned: float, turn: int) -> None:
    """The photo is wide; turned on its side the detector sees a face in it, with a probability of its own."""
    seen = []

    def detect(photos: Sequence[np.ndarray]) -> list[list[Detection]]:
        seen.extend(photo.shape for photo in photos)
        values = [upright if photo.shape[1] > photo.shape[0] else turned for photo in photos]
        return [[face(0, 0, 9, 9, probability=value)] if value else [] for value in values]

    ((found, by),) = find_faces([np.zeros((20, 30, 3), np.uint8)], detect)
    assert by == turn
    assert [one.probability for one in found] == ([turned] if turn else [upright] if upright else [])
    assert len(seen) == (1 if upright >= 0.9 else 4)


def test_a_large_photo_is_reduced_and_its_landmarks_mapped_back(
    astronaut: np.ndarray, detector: Detector
) -> None:
    large = np.asarray(Image.fromarray(astronaut).resize((1536, 1280)))
    assert reduce_photo(large).shape == (853, 1024, 3)
    plain, found = detect_faces([astronaut], detector)[0][0], detect_faces([large], detector)[0][0]
    assert found.landmarks / (6, 5) == pytest.approx(plain.landmarks, abs=3)
    assert found.box / (6, 5, 6, 5) == pytest.approx(plain.box, abs=10)


def test_choice_of_face(crowd: np.ndarray, detector: Detector) -> None:
    found = detector([crowd])[0]
    assert len(found) == 2
    size = (crowd.shape[0], crowd.shape[1])
    assert choose_face(found, size, "centre").box[2] < 300 < choose_face(found, size, "largest").box[0]


def test_a_doubtful_face_at_the_centre_gives_way() -> None:
    doubtful, sure = face(45, 45, 55, 55, probability=0.75), face(60, 60, 90, 90)
    assert choose_face([doubtful, sure], (100, 100), "centre") is sure
    assert choose_face([doubtful], (100, 100), "centre") is doubtful


def test_the_face_that_a_photo_of_one_person_is_about() -> None:
    def face(edge: float, probability: float) -> Detection:
        return Detection(np.array([0.0, 0.0, edge, edge]), probability, np.zeros((5, 2)))

    large, half, near, doubtful = face(100, 0.95), face(70, 0.99), face(72, 0.99), face(90, 0.8)
    assert clear_face([half, large, doubtful]) is large
    assert clear_face([near, large]) is None
    assert clear_face([doubtful, face(200, 0.75)]) is doubtful, "none is sure: the most probable"


def test_sideways_is_a_share_of_the_box() -> None:
    straight = face(10, 10, 106, 138)
    assert sideways(straight) == pytest.approx(0.1 / 96)
    moved = Detection(straight.box + np.array([24, 0, 24, 0]), 1.0, straight.landmarks)
    assert sideways(moved) == pytest.approx((24 + 0.1) / 96)


@pytest.mark.parametrize("size", [(128, 96), (64, 48), (112, 112)])
def test_similarity_puts_a_real_face_on_the_template(
    astronaut: np.ndarray, detector: Detector, size: tuple[int, int]
) -> None:
    found = detector([astronaut])[0][0]
    crop, landmarks = align_similarity(astronaut, found.landmarks, size, template(size))
    assert crop.shape == (*size, 3) and crop.dtype == np.uint8
    residual = (landmarks - template(size)) / min(size[0] / 128, size[1] / 96)
    # A broad smile is wider than the template: least squares spreads what is left evenly.
    assert np.abs(residual).max() < 8 and residual.mean(axis=0) == pytest.approx([0, 0], abs=1e-6)
    # The crop itself, not only the numbers: the detector finds the landmarks there.
    again = max(
        Detector(20)([np.pad(crop, ((40, 40), (40, 40), (0, 0)), mode="edge")])[0],
        key=lambda f: f.probability,
    )
    assert again.landmarks - 40 == pytest.approx(landmarks, abs=4 * size[0] / 128)


@pytest.mark.parametrize(("scale", "degrees"), [(0.8, 0), (0.5, 25), (1.3, -40), (1.0, 90)])
def test_similarity_samples_where_it_says(scale: float, degrees: float) -> None:
    # Landmarks that are the template under a known similarity: the crop must show that similarity's pixels.
    linear, shift = turned(scale, degrees, (0, 0))
    shift = np.array([120.0, 100.0]) - linear @ np.array([24.0, 32.0])
    photo = gradient()
    crop, landmarks = align_similarity(
        photo, template((64, 48)) @ linear.T + shift, (64, 48), template((64, 48))
    )
    assert landmarks == pytest.approx(template((64, 48)), abs=1e-6)
    v, u = np.mgrid[:64, :48]
    source = np.stack([u + 0.5, v + 0.5], axis=2) @ linear.T + shift - 0.5
    inside = ((source > 2) & (source < (236, 196))).all(axis=2)
    assert inside.mean() > 0.8
    assert np.abs(crop[..., :2] - source)[inside].max() < 1.6
    # Pillow's bicubic sampling rounds down: half a grey level is that, more would be a shift.
    assert np.abs((crop[..., :2] - source)[inside].mean(axis=0)).max() < 0.6


def test_a_face_larger_than_the_crop_does_not_alias() -> None:
    y, x = np.mgrid[:1000, :1000]
    chess = np.repeat(((x + y) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    for scale in (1.37, 2.6, 5.1):
        linear, shift = turned(scale, 10, (250, 200))
        crop, _ = align_similarity(chess, TEMPLATE @ linear.T + shift, (128, 96), TEMPLATE)
        assert crop.min() > 90 and crop.max() < 165, scale


def test_outside_the_photo_the_edge_is_repeated() -> None:
    photo = np.full((60, 60, 3), 200, np.uint8)
    crop, _ = align_similarity(photo, TEMPLATE - (40, 60), (128, 96), TEMPLATE)
    assert (crop == 200).all()


def test_landmarks_that_are_no_face_are_refused() -> None:
    photo = gradient()
    with pytest.raises(ValueError, match="face"):
        align_similarity(photo, np.full((5, 2), 50.0), (128, 96), TEMPLATE)
    with pytest.raises(ValueError, match="face"):
        align_similarity(photo, np.full((5, 2), np.nan), (128, 96), TEMPLATE)
    with pytest.raises(ValueError, match="face"):
        align_similarity(photo, TEMPLATE * 1000, (128, 96), TEMPLATE)


def test_box_stretches_the_box_and_the_landmarks_with_it() -> None:
    crop, landmarks = align_box(gradient(), face(40, 30, 136, 94), (128, 96))
    assert landmarks == pytest.approx(TEMPLATE)
    assert np.abs(crop[:, :, 0] - (np.arange(96) + 40)).max() <= 1
    assert np.abs(crop[:, :, 1] - ((np.arange(128) + 0.5) / 2 + 29.5)[:, None]).max() <= 1


def test_box_is_clipped_to_the_photo() -> None:
    crop, landmarks = align_box(gradient(), face(-24, 0, 72, 128), (128, 72))
    assert landmarks == pytest.approx(TEMPLATE - (24, 0))
    assert crop[:, 0, 0].max() <= 1
    with pytest.raises(ValueError, match="outside"):
        align_box(gradient(), face(-50, 0, 0.5, 100), (128, 96))
