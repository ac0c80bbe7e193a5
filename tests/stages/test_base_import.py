"""A recogniser of one's own, from a file, as the base of a whole run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pdsn.api import load_run
from pdsn.artefact import save_tensors
from pdsn.networks.imported.net import PretrainedNet
from pdsn.networks.imported.table import find_architecture
from tests.bases.test_imported import TINY
from tests.stages.conftest import give

CPU = ("--device", "cpu", "--precision", "fp32")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The file that defines the architecture, and random weights."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "tiny.py").write_text(TINY)
    torch.manual_seed(0)
    net = PretrainedNet(find_architecture(str(folder / "tiny.py")))
    save_tensors(folder / "tiny.safetensors", net.network.state_dict(), {})
    return folder / "tiny.py", folder / "tiny.safetensors"


@pytest.fixture(scope="module")
def imported(few: Path, weights: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with an imported base, trained on some people and evaluated on others."""
    root = tmp_path_factory.mktemp("imported") / "run"
    said = give(
        "run", "--run", root, "--config", few, *CPU, "--arch", weights[0], "--weights", weights[1],
        "--strategy", "LM2", "--strategy", "matched",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "self-check" in said.out and "preprocessing is probably wrong" in " ".join(said.out.split())
    return root


def test_a_run_with_an_imported_base_gives_the_table(imported: Path) -> None:
    about = json.loads((imported / "run.json").read_text())
    assert about["preset"] == "pretrained"
    records = json.loads((imported / "eval" / "table.json").read_text())["records"]
    assert {record["strategy"] for record in records} == {"none", "LM2", "matched"}
    assert not (imported / "base" / "last.pt").exists()
    described = json.loads((imported / "base" / "config.json").read_text())["config"]
    assert described["kind"] == "pretrained" and len(described["weights"]) == 64


def test_weights_that_do_not_fit_are_refused_before_photos_are_prepared(
    weights, finished, tmp_path, refused
) -> None:
    photos, root = tmp_path / "photos" / "ann", tmp_path / "run"
    photos.mkdir(parents=True)
    words = (
        "run",
        "--photos",
        photos.parent,
        "--run",
        root,
        "--arch",
        "mobilefacenet",
        "--weights",
        weights[1],
        *CPU,
    )
    line = refused(1, *words)
    assert str(weights[1]) in line and "mobilefacenet" in line
    assert not root.exists()


def test_it_goes_on_without_being_told_again(imported: Path) -> None:
    said = give("eval", "--run", imported, "--occlusion", "eyes", "--occlusion-source", "oracle", *CPU)
    assert said.code == 0, said.err
    assert load_run(imported).strategy == "matched"


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_mistyped_or_broken_weights_leave_the_base_as_it_is(
    imported: Path, tmp_path: Path, weights: tuple[Path, Path], force: tuple[str, ...]
) -> None:
    files = [imported / "base/model.safetensors", imported / "base/config.json", imported / "run.json"]
    before = [file.read_bytes() for file in files]
    words = ("base-import", "--run", imported, "--arch", weights[0], *CPU, *force)
    said = give(*words, "--weights", tmp_path / "typo.npz")
    assert said.code == 2 and "typo.npz is no file" in said.err
    save_tensors(tmp_path / "other.safetensors", {"trunk.0.weight": torch.zeros(8, 3, 8, 8)}, {})
    said = give(*words, "--weights", tmp_path / "other.safetensors")
    assert said.code != 0 and said.err.count("\n") == 1
    assert [file.read_bytes() for file in files] == before


def test_training_a_base_in_its_place_is_refused(imported: Path) -> None:
    said = give("base-train", "--run", imported, *CPU)
    assert said.code == 2 and "is imported" in said.err


def test_another_recogniser_in_the_same_run_is_refused(imported: Path) -> None:
    said = give("base-import", "--run", imported, "--arch", "iresnet18", *CPU)
    assert said.code == 2 and said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("base-import",), "say which recogniser"),
        (("base-import", "--arch", "mobilenet"), "mobilenet is unknown"),
        (("base-import", "--arch", "mobilefacenet"), "needs its weights"),
        (("base-import", "--arch", "mobilefacenet", "--weights", "no.npz"), "no.npz is no file"),
        (("base-import", "--arch", "inception_resnet_v1", "--weights", "no.pt"), "vggface2"),
        (
            ("prepare", "photos", "--data", "x", "--for", "mobilefacenet", "--size", "64x64"),
            "leave out --size",
        ),
    ],
)
def test_bad_usage_is_one_line(tmp_path: Path, tiny: Path, words: tuple[str, ...], line: str) -> None:
    more = () if words[0] == "prepare" else ("--run", tmp_path / "run", *CPU)
    said = give(*words, "--config", tiny, *more)
    assert said.code == 2 and line in said.err and said.err.count("\n") == 1


def test_a_changed_architecture_is_noticed(imported: Path, weights: tuple[Path, Path]) -> None:
    weights[0].write_text(TINY + "\n# changed\n")
    try:
        said = give("eval", "--run", imported, "--occlusion", "clean", *CPU)
        assert said.code == 1 and "has changed" in said.err
    finally:
        weights[0].write_text(TINY)
