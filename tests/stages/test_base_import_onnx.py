"""A recogniser from an ONNX file as the base of a run, as it is typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from pdsn.api import load_run
from pdsn.data.dataset import FaceDataset
from tests.conftest import make_dataset
from tests.deploy.conftest import session_of
from tests.networks.imported.graphs import ints, model_of, step, tiny_nodes, write, write_tiny
from tests.stages.conftest import Said, give, table_of
from tests.stages.test_prepare import photos

__all__ = ["photos"]

CPU = ("--device", "cpu", "--precision", "fp32")
HERE = {"occlusion_source": "none", "device": "cpu", "precision": "fp32"}
EYES = ("--occlusion", "clean", "--occlusion", "eyes", "--occlusion-source", "oracle")


def plain(said: Said) -> str:
    """What was said, without line breaks."""
    return " ".join(said.out.split())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six people with twelve photos each, 64x48."""
    root = tmp_path_factory.mktemp("onnx") / "data"
    make_dataset(root)
    return root


@pytest.fixture(scope="module")
def imported(data: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose base is an ONNX file for one face, which is gone; tests must not change it."""
    folder = tmp_path_factory.mktemp("imported")
    nodes, stored = tiny_nodes()
    nodes[2] = step("Reshape", "m rest", "f")
    file = write(
        folder / "net.onnx",
        model_of(nodes, stored | {"rest": ints(1, -1)}, takes=(1, 3, 64, 48), gives=(1, 16)),
    )
    said = give(
        "base-import",
        "--arch",
        "onnx",
        "--weights",
        file,
        "--data",
        data,
        "--run",
        folder / "run",
        "--config",
        tiny,
        *CPU,
    )
    assert said.code == 0, said.err
    assert "base: onnx, validation rank-1" in plain(said) and "self-check" in plain(said)
    assert "normalisation: (x - " in plain(
        said
    ) and "which tells people apart best of the usual ones" in plain(said)
    assert "onnxruntime agrees to" in plain(said) and "standard deviations of the embeddings" in plain(said)
    assert "warn" not in said.err.lower(), said.err
    file.unlink()
    return folder / "run"


@pytest.fixture(scope="module")
def measured(imported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with masks and a table; tests must not change it."""
    root = Path(shutil.copytree(imported, tmp_path_factory.mktemp("measured") / "run"))
    said = give("build-dictionary", "--run", root, "--strategy", "matched", *CPU)
    assert said.code == 0, said.err
    said = give("eval", "--run", root, *EYES, *CPU)
    assert said.code == 0, said.err
    records = json.loads((table_of(said) / "table.json").read_text())["records"]
    assert {record["strategy"] for record in records} == {"none", "matched"}
    assert {record["occlusion"] for record in records} == {"clean", "eyes"}
    return root


def test_the_run_goes_on_without_the_file(imported, tmp_path):
    root = Path(shutil.copytree(imported, tmp_path / "run"))
    assert not (root.parent / "net.onnx").exists()
    said = give("base-import", "--run", root, *CPU)
    assert said.code == 0 and "imported already" in said.out, said.err
    assert "normalisation: (x - " in plain(said)
    described = json.loads((root / "base" / "config.json").read_text())["config"]
    assert (
        described["kind"] == "pretrained" and described["arch"] == "onnx" and len(described["weights"]) == 64
    )
    assert load_run(root, strategy="none", **HERE).strategy == "none"


def test_masks_and_a_table(measured):
    assert (measured / "base" / "graph.json").is_file()
    assert load_run(measured, **HERE).strategy == "matched"


def test_forced_without_the_file_is_refused_and_changes_nothing(imported):
    files = [path for path in (imported / "base").rglob("*") if path.is_file()]
    before = [path.read_bytes() for path in files]
    said = give("base-import", "--run", imported, "--force", *CPU)
    assert said.code == 2 and "net.onnx is no file" in said.err and said.err.count("\n") == 1
    assert [path.read_bytes() for path in files] == before


def test_a_score_is_explained(measured, data, tmp_path):
    for method in ("saliency", "gradcam", "regions", "fdm"):
        said = give(
            "explain", "person_00/000.png", "person_01/003.png", "--run", measured, "--method", method,
            "--strategy", "matched", "--occlusion-source", "none", "--fpr", 0.5, "--picture", tmp_path / f"{method}.png", *CPU,
        )  # fmt: skip
        assert said.code == 0, (method, said.err)
        assert (tmp_path / f"{method}.png").is_file()


@pytest.mark.slow
def test_the_run_is_exported(measured, data, tmp_path):
    said = give(
        "export", "--run", measured, "--onnx", tmp_path / "out", "--strategy", "matched", "--no-segmenter"
    )
    assert said.code == 0, said.err
    faces = FaceDataset.load(data).tensor(range(5))
    net = session_of(measured).tuned[0].net.eval()
    with torch.inference_mode():
        wanted = net(faces)
    found = faces.float().numpy()
    for part in ("trunk", "head"):
        session = onnxruntime.InferenceSession(
            str(tmp_path / "out" / f"{part}.onnx"), providers=["CPUExecutionProvider"]
        )
        (found,) = session.run(None, {session.get_inputs()[0].name: found})
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4)


def test_the_file_itself_may_be_named(data, tiny, tmp_path):
    file = write_tiny(tmp_path / "NET.ONNX")
    said = give(
        "base-import", "--arch", file, "--data", data, "--run", tmp_path / "run", "--config", tiny, *CPU
    )
    assert said.code == 0, said.err
    assert f"base: {file}" in plain(said) and "onnxruntime agrees" in plain(said)
    file.unlink()
    said = give("base-import", "--run", tmp_path / "run", *CPU)
    assert said.code == 0 and "imported already" in said.out, said.err


@pytest.mark.slow
def test_a_whole_run_on_the_embedded_people(few, tmp_path):
    """They are 64x48 here, as the network wants them."""
    file = write_tiny(tmp_path / "net.onnx")
    said = give(
        "run",
        "--run",
        tmp_path / "run",
        "--config",
        few,
        "--arch",
        "onnx",
        "--weights",
        file,
        "--strategy",
        "matched",
        *CPU,
    )
    assert said.code == 0, said.err
    records = json.loads((tmp_path / "run" / "eval" / "table.json").read_text())["records"]
    assert {record["strategy"] for record in records} == {"none", "matched"}


def test_faces_of_another_size_are_refused_with_the_command_that_helps(data, tiny, tmp_path, refused):
    nodes, stored = tiny_nodes()
    file = write(
        tmp_path / "net.onnx",
        model_of(nodes, stored | {"v": np.ones((4, 784), np.float32)}, takes=("N", 3, 112, 56)),
    )
    words = (
        "base-import",
        "--arch",
        "onnx",
        "--weights",
        file,
        "--run",
        tmp_path / "run",
        "--config",
        tiny,
        *CPU,
    )
    line = refused(2, *words, "--data", data)
    assert "holds faces of 64x48 pixels" in line and f"--for {file}" in line
    line = refused(2, *words)
    assert "drawn at 64x48" in line and f"--for {file}" in line


def test_photos_are_prepared_for_a_file(photos, tmp_path, refused):
    file = write_tiny(tmp_path / "net.onnx")
    said = give("prepare", photos, "--data", tmp_path / "set", "--for", file, "--min-photos", "8")
    assert said.code == 0, said.err
    assert FaceDataset.load(tmp_path / "set").size == (64, 48)
    line = refused(1, "prepare", photos, "--data", tmp_path / "other", "--for", tmp_path / "none.onnx")
    assert "none.onnx is missing" in line
    line = refused(2, "prepare", photos, "--data", tmp_path / "other", "--for", "onnx")
    assert "--for onnx is unknown" in line and "FILE.onnx" in line
    line = refused(2, "prepare", photos, "--data", tmp_path / "other", "--for", file, "--size", "64x48")
    assert "leave out --size" in line
    assert not (tmp_path / "other").exists()


def odd_files(folder: Path) -> dict[str, Path]:
    nodes, stored = tiny_nodes()
    (folder / "text.onnx").write_text("no network\n" * 20)
    whole = write_tiny(folder / "whole.onnx")
    (folder / "half.onnx").write_bytes(whole.read_bytes()[:5000])
    hardmax = [*nodes[:3], step("Hardmax", "f", "g"), step("Gemm", "g v", "y", transB=1)]
    flat = [step("Flatten", "x", "f"), step("Gemm", "f q", "y")]
    alone = [*nodes[:3], step("Gemm", "f v", "e", transB=1), step("Reshape", "e rest", "y")]
    return {
        "text": folder / "text.onnx",
        "half": folder / "half.onnx",
        "hardmax": write(folder / "hardmax.onnx", model_of(hardmax, stored)),
        "flat": write(folder / "flat.onnx", model_of(flat, {"q": np.ones((9216, 4), np.float32)})),
        "alone": write(
            folder / "alone.onnx",
            model_of(alone, stored | {"rest": ints(-1)}, takes=(1, 3, 64, 48), gives=(16,)),
        ),
        "unknown": write_tiny(folder / "unknown.onnx", takes=("N", 3, "H", "W")),
    }


@pytest.mark.parametrize("command", ["base-import", "run"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text", "is no usable ONNX file"),
        ("half", "is no usable ONNX file"),
        ("hardmax", "the operator Hardmax is not understood: convert the network to a --arch FILE.py"),
        ("flat", "has no spatial map"),
        ("alone", "takes one face alone"),
        ("unknown", "height and width must be known"),
    ],
)
def test_a_file_that_is_no_recogniser_is_one_line(data, tiny, tmp_path, refused, command, name, message):
    file = odd_files(tmp_path)[name]
    words = ("--weights", file, "--data", data, "--run", tmp_path / "run", "--config", tiny, *CPU)
    line = refused(1, command, "--arch", "onnx", *words)
    assert message in line and str(file) in line
    assert not (tmp_path / "run" / "base" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--arch", "onnx"), "onnx needs its weights: give --weights FILE"),
        (("--arch", "onnx", "--weights", "none.onnx"), "none.onnx is no file"),
        (("--arch", "none.onnx"), "none.onnx is no file"),
        (
            ("--arch", "none.onnx", "--weights", "none.npz"),
            "none.onnx holds its weights: leave out --weights",
        ),
        (("--arch", "onnx", "--weights", "none.npz"), "none.npz is no FILE.onnx, which --arch onnx takes"),
        (("--weights", "none.onnx"), "say which recogniser"),
    ],
)
def test_bad_usage_is_one_line(data, tiny, tmp_path, refused, words, message):
    line = refused(
        2, "base-import", *words, "--data", data, "--run", tmp_path / "run", "--config", tiny, *CPU
    )
    assert message in line
