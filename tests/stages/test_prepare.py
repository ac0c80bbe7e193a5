"""`pdsn prepare` and `pdsn run --photos` on photos of a real face (the astronaut that scikit-image ships)."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from pdsn.api import load_run
from pdsn.data.dataset import FaceDataset
from tests.stages.conftest import give, stop_at


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
    assert "16 faces of 2 people, 64x48" in said.out and "1 of 17 files left out" in said.out
    assert "split per photo: 10 train, 2 val, 4 test" in said.out
    made = FaceDataset.load(out)
    assert made.people == ["Eileen", "False Colour"] and made.faces.shape == (16, 64, 48, 3)
    assert "broken.jpg" in (out / "skipped.csv").read_text()
    again = give("prepare", photos, "--data", out, "--size", "64x48", "--min-photos", "8")
    assert again.code == 0 and "is there already" in again.out


def test_prepare_says_what_it_did_with_odd_photos_and_folders(photos, tmp_path):
    photos = Path(shutil.copytree(photos, tmp_path / "photos"))
    (photos / "Eileen/broken.jpg").unlink()
    (photos / "@eaDir").mkdir()
    (photos / "Nobody [1]").mkdir()
    # Two faces side by side, the left one nearer the centre; and a photo that lies on its side.
    pixels = np.asarray(Image.open(photos / "Eileen/0.png"))
    Image.fromarray(np.pad(np.concatenate([pixels, pixels], 1), ((0, 0), (200, 0), (0, 0)))).save(
        photos / "Eileen/0.png"
    )
    Image.fromarray(np.rot90(np.asarray(Image.open(photos / "Eileen/1.png")))).save(photos / "Eileen/1.png")
    words = ("prepare", photos, "--data", tmp_path / "set", "--size", "64x48", "--min-photos", "8")
    for said in (give(*words), give(*words)):
        assert said.code == 0 and "16 faces of 2 people" in said.out, said.err
        assert "several faces: 1; the one nearest the centre was taken (--face centre)" in said.out
        assert "and were turned: 1" in said.out
        assert "people without any photo: Nobody [1]" in said.out and "files left out" not in said.out


def test_another_data_set_in_its_place_is_refused_but_for_force(photos, tmp_path, refused):
    out = tmp_path / "set"
    assert give("prepare", photos, "--data", out, "--size", "64x48", "--min-photos", "8").code == 0
    before = (out / "faces.npy").read_bytes()
    line = refused(2, "prepare", photos, "--data", out, "--size", "32x32", "--min-photos", "8")
    assert "--size" in line and "--force" in line
    assert (out / "faces.npy").read_bytes() == before
    assert give("prepare", photos, "--data", out, "--size", "32x32", "--min-photos", "8", "--force").code == 0
    assert FaceDataset.load(out).size == (32, 32)


@pytest.mark.slow
def test_run_prepares_with_the_presets_settings_first(photos, tmp_path, few, refused, monkeypatch):
    photos = Path(shutil.copytree(photos, tmp_path / "photos"))
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
    # A photo that is merely touched changes nothing. One more is said, and the advice goes all the way through.
    os.utime(photos / "Eileen/0.png", (1, 1))
    said = give(*words)
    assert "is there already" in said.out and "trained already" in said.out
    before = (root / "base/model.safetensors").read_bytes()
    darker = (np.asarray(Image.open(photos / "Eileen/0.png")) * 0.9).astype(np.uint8)
    Image.fromarray(darker).save(photos / "Eileen/new.png")
    line = refused(2, *words)
    assert "since then 1 new (Eileen/new.png): choose another --run, or replace it with --force" in line
    assert (root / "base/model.safetensors").read_bytes() == before
    with monkeypatch.context() as patch:
        stop_at(patch, "pdsn.bases.lmcl.train_base")
        stopped = give(*words, "--force")
    assert stopped.code == 130 and "17 faces of 2 people" in stopped.out
    said = give(*words)  # as Ctrl-C says: without --force
    assert said.code == 0 and "is there already" in said.out, said.err
    described = json.loads((root / "data/dataset.json").read_text())
    for name in ("base", "segmenter"):
        assert (
            json.loads((root / name / "config.json").read_text())["inputs"]["data set"] == described["sha256"]
        )
    assert json.loads((root / "eval/table.json").read_text())["inputs"]["data set"] == described["sha256"]
    again = give(*words)
    assert again.code == 0 and "is there already" in again.out and "trained already" in again.out
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


def test_shards_are_made_and_joined(photos, tmp_path, refused):
    out, once = tmp_path / "set", tmp_path / "once"
    words = ("prepare", photos, "--size", "64x48", "--min-photos", "8", "--data")
    assert give(*words, once).code == 0
    line = refused(1, *words, out, "--merge")
    assert "holds no shards of these photos and settings" in line
    said = give(*words, out, "--shard", "1/2")
    assert said.code == 0 and "shard 1/2 is made, 17 photos; when all are, --merge joins them" in said.out
    said = give(*words, out, "--shard", "2/2", "--json")
    assert json.loads(said.out) == {"format": 1, "data": str(out), "shard": "2/2", "photos": 0}
    said = give(*words, out, "--merge")
    assert said.code == 0 and "16 faces of 2 people" in said.out and "1 of 17 files left out" in said.out
    for path in once.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes(), path.name
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in once.iterdir())
    said = give(*words, out, "--shard", "1/2")
    assert said.code == 0 and "the whole data set is there already" in said.out


def test_shards_that_cannot_be(photos, tmp_path, refused):
    words = ("prepare", photos, "--data", tmp_path / "set", "--shard")
    assert "--shard 9/8 is no share: give one such as 3/8" in refused(2, *words, "9/8")
    assert "--shard makes a share, --merge joins all" in refused(2, *words, "1/8", "--merge")
    assert not (tmp_path / "set").exists()
