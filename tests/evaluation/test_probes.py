"""Occlusions on photos, with a detector that knows where the face is."""

import numpy as np
import pytest
import torch
from PIL import Image

from pdsn.data.crop import crop_settings
from pdsn.data.dataset import Face, write_dataset
from pdsn.data.detector import Detection
from pdsn.data.faces import crop_face
from pdsn.data.settings import PrepareConfig
from pdsn.data.template import template
from pdsn.errors import PdsnError
from pdsn.evaluation.probes import PhotoProbes, aligned_probes
from pdsn.occlusion.layouts import Box
from pdsn.occlusion.occluders import Block, Nothing
from pdsn.occlusion.worn import Worn

SIZE = (64, 48)


def detection(shift: float = 0.0) -> Detection:
    """A face twice as large as its crop, turned by ten degrees, in a photo of 200 x 160."""
    angle = np.deg2rad(10)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (template(SIZE) - 24) * 2 @ turn.T + [80, 90] + shift
    return Detection(np.array([40.0, 30.0, 130.0, 160.0]) + shift, 0.99, points)


@pytest.fixture
def prepared(tmp_path, request):
    """A data set of two people with four photos each, and the photos it comes from."""
    align = getattr(request, "param", "similarity")
    rng = np.random.default_rng(0)
    faces, described = [], []
    for person in ("a", "b"):
        for number in range(4):
            pixels = np.kron(rng.integers(30, 225, (25, 20, 3)), np.ones((8, 8, 1))).astype(np.uint8)
            path = tmp_path / "photos" / person / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
            crop, landmarks = crop_face(pixels, detection(), PrepareConfig(SIZE, align))
            faces.append(crop)
            described.append(Face(person, f"{person}/{number}.png", (0, 0, 1, 1), 1.0, landmarks))
    return write_dataset(
        tmp_path / "data", faces, described, SIZE, settings={"align": align}, split_seed=0
    ), tmp_path / "photos"


def always(photos):
    return [[detection()] for _ in photos]


def make(prepared, detect=always):
    dataset, photos = prepared
    rows = np.arange(len(dataset.files))
    return dataset, rows, PhotoProbes(dataset, rows, 0, photos, detect, crop_settings(dataset))


@pytest.mark.parametrize("prepared", ["similarity", "box"], indirect=True)
def test_clean_photos_give_the_prepared_faces_again(prepared):
    dataset, rows, probes = make(prepared)
    made = probes("clean", Nothing())
    assert torch.equal(made.faces, dataset.tensor(rows))
    assert made.found.all() and not made.exact.any()


@pytest.mark.parametrize("prepared", ["similarity", "box"], indirect=True)
def test_a_band_comes_back_where_it_was(prepared):
    dataset, rows, probes = make(prepared)
    band = Block((Box(16, 0, 40, 48),))
    made, direct = probes("band", band), aligned_probes(dataset, rows, 0)("band", band)
    # The way to the photo and back moves the border of the band by a pixel at most.
    inner = torch.zeros(SIZE, dtype=torch.bool)
    inner[18:38, 2:-2] = True
    assert made.exact[:, inner].all() and (made.faces[:, :, inner] == 255).all()
    outer = torch.ones(SIZE, dtype=torch.bool)
    outer[12:44] = False  # the bicubic crop looks some pixels far
    assert not made.exact[:, outer].any()
    assert torch.equal(made.faces[:, :, outer], direct.faces[:, :, outer])


def test_worn_things_are_painted_at_the_photo_s_own_landmarks(prepared):
    _, _, probes = make(prepared)
    made = probes("sunglasses", Worn("sunglasses", "test"))
    assert made.exact.any(2).any(1).all()
    for x, y in template(SIZE)[:2].round().astype(int):
        assert made.exact[:, y, x].float().mean() > 0.9


def test_another_draw_paints_other_things_on_the_same_photos(prepared):
    worn = Worn("sunglasses", "test")
    first, again = (make(prepared)[2]("sunglasses", worn, *draw) for draw in ((), (0,)))
    other = make(prepared)[2]("sunglasses", worn, 1)
    assert torch.equal(first.faces, again.faces)
    assert all(not torch.equal(a, b) for a, b in zip(first.faces, other.faces, strict=True))


def test_a_face_that_is_found_elsewhere_is_cropped_there(prepared):
    dataset, rows, _ = make(prepared)
    calls = []

    def drift(photos):
        calls.append(len(photos))
        # The first look is at the clean photos, every later one at painted ones.
        return [[detection(0.0 if len(calls) == 1 else 6.0)] for _ in photos]

    made = make(prepared, drift)[2]("clean", Nothing())
    assert made.found.all() and not torch.equal(made.faces, dataset.tensor(rows))


def test_a_missed_face_is_told(prepared):
    calls = []

    def blind(photos):
        calls.append(len(photos))
        return [[detection()] if len(calls) == 1 or i else [] for i, _ in enumerate(photos)]

    made = make(prepared, blind)[2]("clean", Nothing())
    assert made.found.tolist() == [False] + [True] * 7
    assert not made.faces[0].any() and made.faces[1].any()


def test_photos_on_their_side_are_painted_as_they_were_prepared(prepared):
    dataset, _, probes = make(prepared)
    wanted = probes("clean", Nothing())
    for file in dataset.files:
        Image.fromarray(np.rot90(np.asarray(Image.open(prepared[1] / file)), -1)).save(prepared[1] / file)

    def upright(photos):  # the photos are higher than wide
        return [[detection()] if photo.shape[0] > photo.shape[1] else [] for photo in photos]

    made = make(prepared, upright)[2]("clean", Nothing())
    assert made.found.all() and torch.equal(made.faces, wanted.faces)


def test_photos_that_are_gone_or_empty_are_named(prepared):
    dataset, _, probes = make(prepared)
    with pytest.raises(PdsnError, match="shows no face any more"):
        make(prepared, lambda photos: [[] for _ in photos])[2]("clean", Nothing())
    (prepared[1] / dataset.files[3]).unlink()
    with pytest.raises(PdsnError, match=r"cannot be read .*--align clean"):
        probes("clean", Nothing())
