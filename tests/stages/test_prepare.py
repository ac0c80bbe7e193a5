"""`pdsn prepare` and `pdsn run --photos` on photos of a real face (the astronaut that scikit-image ships)."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from pdsn.api import load_run
from pdsn.data.dataset import FaceDataset
from tests.stages.conftest import give


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two "people", eight photos each: the astronaut as she is and in false colours; and a broken file."""
    root = tmp_path_factory.mktemp("photos")
    portrait = data.astronaut()[:260, 90:350]
    rng = np.random.default_rng(0)
    for person, channels in (("Eileen", (0, 1, 2)), ("False Colour", (2, 1, 0))):
        (root / person).mkdir()
        for number in range(8):
            top, left = rng.integers(0, 20, 2)
            pixels = portrait[top : top + 240, left : left + 240, list(channels)] * rng.uniform(0.7, 1.0)
            Image.fromarray(pixels.astype(np.uint8)).save(root / person / f"{number}.png")
    (root / "Eileen" / "broken.jpg").write_text("not a photo")
    return root


def test_prepare_finds_every_face_and_lists_the_rest(photos, tmp_path):
    out = tmp_path / "set"
    said = give("prepare", photos, "--data", out, "--size", "64x48", "--min-photos", "8")
    assert said.code == 0, said.err
    assert "16 faces of 2 people, 64x48" in said.out and "1 of 17 photos left out" in said.out
    assert "split per photo: 10 train, 2 val, 4 test" in said.out
    made = FaceDataset.load(out)
    assert made.people == ["Eileen", "False Colour"] and made.faces.shape == (16, 64, 48, 3)
    assert "broken.jpg" in (out / "skipped.csv").read_text()
    again = give("prepare", photos, "--data", out, "--size", "64x48", "--min-photos", "8")
    assert again.code == 0 and "is there already" in again.out


def test_another_data_set_in_its_place_is_refused_but_for_force(photos, tmp_path, refused):
    out = tmp_path / "set"
    assert give("prepare", photos, "--data", out, "--size", "64x48", "--min-photos", "8").code == 0
    before = (out / "faces.npy").read_bytes()
    line = refused(2, "prepare", photos, "--data", out, "--size", "32x32", "--min-photos", "8")
    assert "--size" in line and "--force" in line
    assert (out / "faces.npy").read_bytes() == before
    assert give("prepare", photos, "--data", out, "--size", "32x32", "--min-photos", "8", "--force").code == 0
    assert FaceDataset.load(out).size == (32, 32)


def test_run_prepares_with_the_presets_settings_first(photos, tmp_path, few):
    config = tmp_path / "small.toml"
    config.write_text(few.read_text() + '[prepare]\nsize = [64, 48]\nmin_photos = 8\nalign = "box"\n')
    root = tmp_path / "run"
    words = [
        "run",
        "--photos",
        photos,
        "--run",
        root,
        "--config",
        config,
        "--strategy",
        "LM2",
        "--device",
        "cpu",
    ]
    said = give(*words)
    assert said.code == 0, said.err
    about = json.loads((root / "run.json").read_text())
    assert about["data"] == "data" and about["preset"] == "lfw10"
    assert json.loads((root / "data/dataset.json").read_text())["settings"]["align"] == "box"
    assert (root / "eval/table.json").is_file()
    # The same command again finds everything done; without --photos too, and wherever the run is moved.
    assert "is there already" in give(*words).out
    moved = root.rename(tmp_path / "moved")
    assert "trained already" in give("base-train", "--run", moved).out
    assert load_run(moved, device="cpu").dataset.people == ["Eileen", "False Colour"]


def test_bad_folders(photos, tmp_path, refused):
    out = tmp_path / "set"
    assert "nowhere" in refused(1, "prepare", tmp_path / "nowhere", "--data", out)
    (tmp_path / "empty").mkdir()
    assert "empty" in refused(1, "prepare", tmp_path / "empty", "--data", out)
    lonely = tmp_path / "lonely"
    for person in ("Eileen", "False Colour"):
        (lonely / person).mkdir(parents=True)
        shutil.copy(photos / person / "0.png", lonely / person)
    assert "one photo only" in refused(1, "prepare", lonely, "--data", out)
    assert "--min-photos" in refused(1, "prepare", photos, "--data", out, "--min-photos", "50")
    assert not (out / "dataset.json").exists()


def test_prepare_refuses_what_would_harm_or_do_nothing(photos, tmp_path, refused):
    assert "lies among the photos" in refused(2, "prepare", photos, "--data", photos)
    assert "lies among the photos" in refused(2, "prepare", photos, "--data", photos / "set")
    assert not (photos / "set").exists() and not (photos / "faces.npy").exists()
    assert "No such option: --seed" in refused(
        2, "prepare", photos, "--data", tmp_path / "set", "--seed", "7"
    )
    assert "--size ²x96 is not" in refused(2, "prepare", photos, "--data", tmp_path / "set", "--size", "²x96")


def test_photos_and_synthetic_exclude_each_other(photos, tmp_path, refused):
    assert "exclude each other" in refused(
        2, "run", "--photos", photos, "--data", "synthetic", "--run", tmp_path / "r"
    )
