"""What is cheap to check is checked before anything that takes time is begun."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import pdsn.api
import pdsn.bases.imported
import pdsn.bases.lmcl
import pdsn.bases.opening
import pdsn.coverage.segmenter
import pdsn.data.lfw
import pdsn.data.prepare
import pdsn.drawn.embedded
from pdsn.matchers.memory import MapMemory
from tests.people.photos import PlainDetector, save_photo
from tests.stages.conftest import give

CPU = ("--device", "cpu", "--precision", "fp32")


@pytest.fixture
def slow(monkeypatch):
    """Drawing, preparing, downloading, loading a network, embedding, training: each raises if it is reached."""

    def reached(*args, **more):
        raise AssertionError("something slow was begun")

    monkeypatch.setattr(pdsn.drawn.embedded, "draw_dataset", reached)
    monkeypatch.setattr(pdsn.data.prepare, "run_chunks", reached)
    monkeypatch.setattr(pdsn.data.lfw, "fetch_lfw", reached)
    monkeypatch.setattr(pdsn.bases.opening, "load_base", reached)
    monkeypatch.setattr(pdsn.bases.lmcl, "train_base", reached)
    monkeypatch.setattr(pdsn.bases.imported, "import_base", reached)
    monkeypatch.setattr(pdsn.coverage.segmenter, "load_segmenter", reached)
    monkeypatch.setattr(MapMemory, "keep", reached)


def test_the_slow_parts_are_where_the_fixture_says(slow, refused, copied, tmp_path):
    photo = save_photo(tmp_path / "a.png")
    for words in (
        ["base-train", "--run", tmp_path / "new"],
        ["base-train", "--force", "--run", copied],
        ["eval", "--run", copied],
        ["mask-train", "--run", copied],
        ["build-dictionary", "--run", copied],
        ["head-train", "--run", copied],
        ["identify", photo, "--run", copied],
        ["verify", photo, photo, "--run", copied, "--fpr", "0.2"],
    ):
        assert "something slow was begun" in refused(1, *words), words


@pytest.mark.parametrize("run", ["new", "made"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["eval", "--occlusion", "foo"], "--occlusion foo is unknown: choose from all, clean"),
        (["eval", "--occlusion", "block:LM1/ear"], "--occlusion block:LM1/ear: LM1 has the regions left-eye"),
        (["eval", "--occlusion", "block:LM9/nose"], "--occlusion block:LM9/nose is unknown"),
        (["eval", "--strategy", "LM9"], "--strategy LM9 is unknown"),
        (["eval", "--config", "OCCLUSIONS"], "--config OCCLUSIONS: [eval] occlusions = foo is unknown"),
        (["run", "--config", "OCCLUSIONS"], "--config OCCLUSIONS: [eval] occlusions = foo is unknown"),
        (["run", "--config", "HEAD"], "--config HEAD: [head] strategy = foo is unknown"),
        (["run", "--strategy", "foo"], "--strategy foo is unknown"),
        (["mask-train", "--strategy", "foo"], "--strategy foo is unknown"),
        (["mask-train", "--strategy", "matched", "--regions", "foo"], "--regions foo is unknown"),
        (["build-dictionary", "--strategy", "foo"], "--strategy foo is unknown"),
        (["build-dictionary", "--strategy", "random", "--regions", "foo"], "--regions foo is unknown"),
        (["head-train", "--strategy", "foo"], "--strategy foo is unknown"),
        (["base-train", "--force", "--init", "gone.safetensors"], "--init gone.safetensors is no file"),
        (["run", "--weights", "w.npz"], "--weights w.npz goes with a recogniser"),
        (["segment-train", "--encoder", "foo"], "--encoder foo is unknown"),
    ],
)  # fmt: skip
def test_names_are_checked_before_people_are_drawn(slow, refused, copied, tmp_path, run, words, said):
    files = {"OCCLUSIONS": '[eval]\nocclusions = ["eyes", "foo"]\n', "HEAD": '[head]\nstrategy = "foo"\n'}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        said = said.replace(name, str(tmp_path / name))
    words = [tmp_path / word if word in files else word for word in words]
    root = copied if run == "made" else tmp_path / "new"
    line = refused(2, *words, "--run", root)
    assert said in line
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        (["eval", "--strategy", "LM2"], ["segmenter", "dictionary", "base"]),
        (["mask-train"], ["base"]),
        (["build-dictionary"], ["masks", "base"]),
        (["head-train"], ["dictionary", "base"]),
        (["identify", "x.png", "--strategy", "none"], ["base"]),
        (["identify", "x.png"], ["segmenter", "dictionary"]),
        (["verify", "x.png", "x.png"], ["segmenter", "dictionary"]),
        (["export", "--onnx", "out"], ["segmenter", "dictionary"]),
    ],
)
def test_what_a_command_goes_on_from_is_missed_before_people_are_drawn(
    slow, refused, copied, tmp_path, monkeypatch, words, gone
):
    monkeypatch.chdir(tmp_path)
    if words[0] == "export":
        pytest.importorskip("onnxruntime")
    line = refused(1, *words, "--run", tmp_path / "new", "--no-make")
    assert f"holds no run: make one with `pdsn run --run {tmp_path}/new`" in line
    makes = {"base": "base-train", "masks": "mask-train", "dictionary": "build-dictionary"}
    shutil.rmtree(copied / "data")
    for part in gone:
        shutil.rmtree(copied / part)
        line = refused(1, *words, "--run", copied, "--no-make")
        assert f"with `pdsn {makes.get(part, 'segment-train')}" in line and f"--run {copied}`" in line


def test_trained_masks_are_missed_before_the_base_is_loaded(slow, refused, copied):
    shutil.rmtree(copied / "masks/LM2/chin")
    shutil.rmtree(copied / "masks/matched")
    for name in ("LM2", "matched"):
        line = refused(1, "build-dictionary", "--strategy", name, "--run", copied, "--no-make")
        assert f"is missing: make it with `pdsn mask-train --strategy {name} --run {copied}`" in line


def test_photos_to_paint_on_and_people_to_enrol_are_missed_before_a_network_is_loaded(slow, refused, copied):
    assert "has no original photos" in refused(1, "eval", "--align", "occluded", "--run", copied)
    table = json.loads((copied / "data/dataset.json").read_text())
    assert table  # the people are there; too few of them for the split by person
    line = refused(1, "run", "--run", copied.parent / "new", "--config", _apart(copied, finished=copied))
    assert "photos, too few to tell apart" in line


def _apart(copied: Path, finished: Path) -> Path:
    """Settings of a run that is split by person and enrols more photos than there are of each."""
    (copied.parent / "new").mkdir()
    shutil.copytree(finished / "data", copied.parent / "new/data")
    path = copied.parent / "apart.toml"
    path.write_text(
        'split = "person"\n[synthetic]\npeople = 6\nphotos = 14\nsize = [64, 48]\n[eval]\nenrol = 900\n'
    )
    return path


def test_weights_are_missed_before_photos_are_prepared(slow, refused, tmp_path):
    save_photo(tmp_path / "photos/Ann/1.png")
    words = ["run", "--photos", tmp_path / "photos", "--arch", "mobilefacenet", "--run", tmp_path / "new"]
    assert "--weights gone.npz is no file" in refused(2, *words, "--weights", "gone.npz")
    assert not (tmp_path / "new").exists()
    (tmp_path / "there.npz").write_text("x")
    words = ["base-import", "--arch", "mobilefacenet", "--weights", tmp_path / "there.npz"]
    line = refused(2, *words, "--run", tmp_path / "new")
    assert "the embedded people are drawn at 64x48 pixels, and mobilefacenet takes 112x96" in line
    assert not (tmp_path / "new").exists()


def test_places_that_cannot_be_written_are_found_first(slow, refused, copied, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    inside = tmp_path / "file/inside"
    photo = save_photo(tmp_path / "a.png")
    save_photo(tmp_path / "photos/Ann/1.png")
    for option, words in (
        ("--run", ["base-train", "--run", inside]),
        ("--data", ["prepare", tmp_path / "photos", "--data", inside]),
        ("--data", ["prepare", "--lfw", "--data", inside]),
        ("--out", ["pool", copied, copied, "--out", inside]),
        ("--picture", ["identify", photo, "--run", copied, "--picture", inside]),
        ("--picture", ["identify", photo, "--run", copied, "--picture", f"{inside}.png"]),
        ("--picture", ["verify", photo, photo, "--run", copied, "--picture", inside]),
    ):
        line = refused(2, *words)
        assert f"{option} {inside}" in line and f"cannot be written: {tmp_path}/file is a file" in line
    pytest.importorskip("onnxruntime")
    line = refused(2, "export", "--run", copied, "--onnx", inside)
    assert f"--onnx {inside} cannot be written" in line


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["missing.png"], 1, "missing.png cannot be read: no such file"),
        (
            ["clip.mp4"],
            1,
            {"identify": "clip.mp4 cannot be read: no such file", "verify": "clip.mp4 is a video"},
        ),
        (["a.png", "--gallery", "nowhere"], 1, "nowhere: no such folder"),
        (["a.png", "--gallery", "RUN"], 2, "is a run directory"),
        (["a.png", "--fpr", "2"], 2, "--fpr 2.0 is out of range"),
        (["a.png", "--fpr", "0"], 2, "--fpr 0.0 is out of range"),
        (["a.png", "--fpr", "0.0001"], 2, "--fpr 0.0001 is too small to be told by"),
        (["a.png", "--min-face", "3"], 2, "--min-face 3 must be"),
        (["a.png", "--strategy", "foo"], 2, "--strategy foo is unknown"),
        (["a.png", "--occlusion-source", "oracle"], 2, "--occlusion-source oracle is unknown"),
        (["a.png", "--picture", "a.png"], 2, "is one of the photos"),
        (["a.png", "--picture", "b.png", "--no-draw"], 2, "--picture b.png and --no-draw exclude each other"),
    ],
)
def test_identify_and_verify_check_before_they_embed(
    slow, refused, copied, tmp_path, monkeypatch, words, code, said
):
    monkeypatch.chdir(tmp_path)
    save_photo(tmp_path / "a.png")
    words = [copied if word == "RUN" else word for word in words]
    said = said if isinstance(said, dict) else {"identify": said, "verify": said}
    assert said["identify"] in refused(code, "identify", *words, "--run", copied, *CPU)
    if "--gallery" not in words:
        assert said["verify"] in refused(code, "verify", "a.png", *words, "--run", copied, *CPU)


def test_a_missing_photo_is_said_first_and_the_others_go_on(copied, tmp_path, monkeypatch):
    monkeypatch.setattr(pdsn.api, "Detector", PlainDetector)
    order = []
    keep = MapMemory.keep

    def kept(self, *args, **more):
        order.append("embedded")
        return keep(self, *args, **more)

    monkeypatch.setattr(MapMemory, "keep", kept)
    monkeypatch.setattr("stages.identify.complain", lambda command, line: order.append(line))
    nobody = save_photo(tmp_path / "nobody.png")
    words = ("--run", copied, "--fpr", "0.2", "--occlusion-source", "none", "--no-draw", *CPU)
    said = give("identify", nobody, tmp_path / "gone.png", *words)
    assert said.code == 1
    assert order[0] == f"{tmp_path / 'gone.png'} cannot be read: no such file"
    assert "embedded" in order and order[-1].startswith(f"{nobody}: no face found")
    said = give("identify", tmp_path / "gone.png", "--json", *words)
    assert said.code == 1 and json.loads(said.out)["photos"] == []
