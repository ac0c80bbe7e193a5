"""An ONNX file as the base: the normalisation that is chosen, the check against onnxruntime, what is kept of the file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

from pdsn.bases.imported import build_imported, find_weights, import_base, import_folder
from pdsn.bases.onnx_import import fitted, is_graph, known_architecture
from pdsn.bases.opening import load_base
from pdsn.bases.settings import BaseConfig, PretrainedConfig
from pdsn.data.dataset import Face, FaceDataset, write_dataset
from pdsn.data.template import template
from pdsn.errors import PdsnError, UsageError
from pdsn.files import sha256_of
from pdsn.networks.imported import onnx_operators
from pdsn.networks.imported.net import PretrainedNet
from pdsn.networks.imported.onnx_architecture import (
    GRAPH,
    NEAR,
    USUAL,
    normalisation_of,
    onnx_architecture,
    onnx_weights,
    saved_architecture,
)
from pdsn.networks.imported.table import find_architecture
from pdsn.networks.imported.weights import load_weights
from pdsn.runtime import start
from tests.networks.imported.graphs import SIZE, ask, model_of, some, step, tiny_nodes, write, write_tiny


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "net.onnx")


def folder_of(root: Path, config: PretrainedConfig, dataset: FaceDataset):
    return import_folder(root / "base", config, BaseConfig(), dataset, 0)


def imported(root: Path, config: PretrainedConfig, dataset: FaceDataset) -> dict[str, float]:
    folder = folder_of(root, config, dataset)
    folder.open(force=True)
    return import_base(dataset, config, folder, start("cpu", "fp32"), 0)


# Which normalisation. The people of these faces differ in dark shades alone, 5 to 55, and the networks see a band of values:
# under another normalisation than their own the faces lie outside of it, and all embeddings are the same.


def dark_people(root: Path, channels: tuple[int, ...] = (0, 1, 2)) -> FaceDataset:
    """Six people who differ in some channels of red, green and blue; in the others photos differ at random."""
    rng = np.random.default_rng(0)
    faces, described = [], []
    for person in range(6):
        pattern = rng.uniform(5, 55, (8, 6, 3))
        for photo in range(12):
            coarse = rng.uniform(5, 55, (8, 6, 3))
            coarse[..., list(channels)] = pattern[..., list(channels)]
            pixels = np.kron(coarse, np.ones((8, 8, 1))) + rng.normal(0, 4, (*SIZE, 3))
            faces.append(np.clip(pixels, 0, 255).astype(np.uint8))
            name = f"person_{person:02d}"
            box = (0.0, 0.0, float(SIZE[1]), float(SIZE[0]))
            described.append(Face(name, f"{name}/{photo:03d}.png", box, 1.0, template(SIZE)))
    return write_dataset(root, faces, described, SIZE, settings={"source": "test"}, split_seed=0)


@pytest.fixture(scope="module")
def dark(tmp_path_factory: pytest.TempPathFactory) -> FaceDataset:
    return dark_people(tmp_path_factory.mktemp("dark"))


@pytest.fixture(scope="module")
def dark_blue(tmp_path_factory: pytest.TempPathFactory) -> FaceDataset:
    return dark_people(tmp_path_factory.mktemp("blue"), (2,))


def seeing(
    path: Path,
    low: float,
    high: float,
    channels: int = 3,
    before: list[onnx.NodeProto] | None = None,
    **more: object,
) -> Path:
    """A network whose embeddings are the shades of 8x6 squares of its first channels, as far as they lie in a band."""
    weights = np.zeros((channels, 3, 8, 8), np.float32)
    for channel in range(channels):
        weights[channel, channel] = 1 / 64
    nodes = [
        *(before or []),
        step("Conv", f"{'x1' if before else 'x'} w", "c", strides=[8, 8]),
        step("Clip", "c low high", "d"),
        step("Sub", "d high", "m"),
        step("Flatten", "m", "y"),
    ]
    tensors = {
        "w": weights,
        "low": np.float32(low),
        "high": np.float32(high),
        "half": np.float32(127.5),
        "scale": np.float32(1 / 128),
    }
    return write(path, model_of(nodes, tensors, **more))


def chosen(path: Path, dataset: FaceDataset):
    architecture = onnx_architecture(path)
    found, further = fitted(architecture, onnx_weights(path), path, dataset, start("cpu", "fp32"))
    assert further.keys() == {"apart"} and 0 <= further["apart"] < NEAR
    return normalisation_of(found)


@pytest.mark.parametrize(
    ("low", "high", "place"),
    # (x - 127.5) / 127.5 and / 128 are as good as one; of them the commoner is taken.
    [(-1, -0.5, 0), (0, 0.25, 2), (5, 60, 3), (-3, -1.05, 4)],
    ids=["-1 to 1", "0 to 1", "pixels", "ImageNet"],
)
def test_the_normalisation_that_a_network_was_trained_with_is_found(tmp_path, dark, low, high, place):
    assert chosen(seeing(tmp_path / "net.onnx", low, high), dark) == USUAL[place]


@pytest.mark.parametrize(("low", "high", "place"), [(-1, -0.5, 5), (0, 0.25, 7)])
def test_blue_first_is_found(tmp_path, dark_blue, low, high, place):
    """The network looks at its first channel alone, and people differ in blue alone."""
    how = chosen(seeing(tmp_path / "net.onnx", low, high, channels=1), dark_blue)
    assert how == USUAL[place] and how.bgr


def test_red_first_is_taken_where_it_is_all_the_same(tmp_path, dark_blue):
    assert not chosen(seeing(tmp_path / "net.onnx", -1, -0.5), dark_blue).bgr


def test_a_graph_that_normalises_gets_pixels(tmp_path, dark, dark_blue):
    before = [step("Sub", "x half", "x0"), step("Mul", "x0 scale", "x1")]
    how = chosen(seeing(tmp_path / "net.onnx", -1, -0.5, before=before), dark)
    assert str(how) == "(x - 0) / 1, red first"
    how = chosen(seeing(tmp_path / "blue.onnx", -1, -0.5, channels=1, before=before), dark_blue)
    assert str(how) == "(x - 0) / 1, blue first"


def test_a_normalisation_that_gives_no_numbers_is_not_taken(tmp_path, dark):
    """Roots of what is below 0 are none; of 0 to 1 and 0 to 255 the commoner is taken."""
    path = tmp_path / "net.onnx"
    nodes = [step("Sqrt", "x", "r"), step("Conv", "r w", "m", strides=[8, 8]), step("Flatten", "m", "y")]
    weights = np.zeros((3, 3, 8, 8), np.float32)
    for channel in range(3):
        weights[channel, channel] = 1 / 64
    write(path, model_of(nodes, {"w": weights}))
    assert chosen(path, dark) == USUAL[2]


def test_a_file_for_one_face_is_chosen_for_alike(tmp_path, dark):
    path = seeing(tmp_path / "net.onnx", 0, 0.25, takes=(1, 3, *SIZE), gives=(1, 144))
    assert chosen(path, dark) == USUAL[2]


# The base.


def test_the_base_is_onnxruntimes_network(tmp_path, file, dataset):
    config = PretrainedConfig("onnx", str(file))
    found = imported(tmp_path, config, dataset)
    assert 0 <= found["apart"] < NEAR and 0 <= found["rank1"] <= found["rank5"] <= 1
    folder = folder_of(tmp_path, config, dataset)
    assert folder.best() == found
    net = load_base(folder).net
    assert isinstance(net, PretrainedNet) and net.map_shape == (8, 8, 6)
    how = normalisation_of(saved_architecture(folder.root, "again"))
    faces = dataset.tensor(range(9))
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (how.mean, how.std))
    seen: Tensor = (faces.float() - mean) / std
    with torch.inference_mode():
        torch.testing.assert_close(
            net(faces), ask(file, seen.flip(1) if how.bgr else seen), rtol=1e-4, atol=1e-4
        )


def test_both_ways_to_name_the_file(tmp_path, file, dataset):
    one, other = PretrainedConfig("onnx", str(file)), PretrainedConfig(str(file))
    assert one.file == other.file == one.architecture == other.architecture == str(file)
    assert is_graph("onnx") and is_graph("a/b.onnx") and is_graph("A.ONNX") and not is_graph("iresnet18")
    assert imported(tmp_path / "one", one, dataset) == imported(tmp_path / "other", other, dataset)


def test_the_file_may_go_once_it_is_imported(tmp_path, file, dataset):
    config = PretrainedConfig("onnx", str(file))
    imported(tmp_path, config, dataset)
    before = load_base(folder_of(tmp_path, config, dataset)).net
    file.unlink()
    folder = folder_of(tmp_path, config, dataset)
    assert folder.open()
    assert known_architecture(folder.root, config).size == SIZE
    faces = dataset.tensor(range(3))
    with torch.inference_mode():
        assert torch.equal(load_base(folder).net(faces), before(faces))
    with pytest.raises(UsageError, match="net.onnx is no file"):
        folder_of(tmp_path / "elsewhere", config, dataset)
    with pytest.raises(PdsnError, match="net.onnx is missing"):
        known_architecture(tmp_path / "elsewhere", config)


def test_a_changed_file_is_another_base(tmp_path, file, dataset):
    config = PretrainedConfig("onnx", str(file))
    imported(tmp_path, config, dataset)
    nodes, stored = tiny_nodes()
    write(file, model_of(nodes, stored | {"b": stored["b"] + 1}))
    os.utime(file, ns=(10**18, 10**18))
    with pytest.raises(UsageError, match="other settings"):
        folder_of(tmp_path, config, dataset).open()


def with_data(file: Path, data: bytes | None = None) -> Path:
    """The tiny network, whose first tensor lies in net.data beside it."""
    model = onnx.load(str(write_tiny(file)))
    stored = model.graph.initializer[0]
    (file.parent / "net.data").write_bytes(data or stored.raw_data)
    onnx.external_data_helper.set_external_data(stored, "net.data", length=len(stored.raw_data))
    stored.ClearField("raw_data")
    return write(file, model)


def test_a_changed_data_file_is_another_base(tmp_path, dataset):
    file = with_data(tmp_path / "net.onnx")
    config = PretrainedConfig("onnx", str(file))
    imported(tmp_path, config, dataset)
    folder_of(tmp_path, config, dataset).open()  # the same still
    assert onnx_weights(file)["w"].abs().sum() > 0
    data = file.parent / "net.data"
    data.write_bytes(bytes(len(data.read_bytes())))
    os.utime(data, ns=(10**18, 10**18))
    with pytest.raises(UsageError, match="other settings"):
        folder_of(tmp_path, config, dataset).open()
    assert onnx_weights(file)["w"].abs().sum() == 0, "read anew"


def test_the_files_may_go_with_their_data(tmp_path, dataset):
    file = with_data(tmp_path / "net.onnx")
    config = PretrainedConfig("onnx", str(file))
    imported(tmp_path, config, dataset)
    (tmp_path / "net.data").unlink()
    with pytest.raises(PdsnError, match="names the data file 'net.data', which is missing: put it beside"):
        folder_of(tmp_path, config, dataset)
    file.unlink()
    folder = folder_of(tmp_path, config, dataset)
    assert folder.open() and load_base(folder).net.map_shape == (8, 8, 6)


def test_a_base_imported_before_data_files_counted_still_opens(tmp_path, dataset):
    file = with_data(tmp_path / "net.onnx")
    config = PretrainedConfig("onnx", str(file))
    imported(tmp_path, config, dataset)
    described = folder_of(tmp_path, config, dataset).described
    about = json.loads(described.read_text())
    assert about["config"]["weights"] != sha256_of(file)
    about["config"]["weights"] = sha256_of(file)
    described.write_text(json.dumps(about))
    assert folder_of(tmp_path, config, dataset).open()


def test_a_base_imported_before_the_graph_kept_its_cut_still_opens(tmp_path, file, dataset):
    config = PretrainedConfig("onnx", str(file))
    imported(tmp_path, config, dataset)
    folder = folder_of(tmp_path, config, dataset)
    before = load_base(folder).net
    path = folder.root / GRAPH
    about = json.loads(path.read_text())
    assert about["graph"].pop("cut") == ["m", "map", [8, 6]]
    path.write_text(json.dumps(about))
    faces = dataset.tensor(range(3))
    with torch.inference_mode():
        assert torch.equal(load_base(folder).net(faces), before(faces))


def test_without_its_graph_a_base_names_the_command(tmp_path, file, dataset):
    config = PretrainedConfig("onnx", str(file))
    imported(tmp_path, config, dataset)
    folder = folder_of(tmp_path, config, dataset)
    (folder.root / GRAPH).write_text("{")
    with pytest.raises(PdsnError, match="graph.json cannot be used .*pdsn base-import --force") as caught:
        build_imported(folder.found_config(), folder)
    assert "\n" not in str(caught.value)
    known_architecture(folder.root, config)  # the file is there


def test_a_network_that_differs_leaves_no_base(tmp_path, file, dataset, monkeypatch):
    real = onnx_operators.OPERATORS["Conv"]
    monkeypatch.setitem(
        onnx_operators.OPERATORS, "Conv", lambda node, *given: real(node, *given).round(decimals=2)
    )
    config = PretrainedConfig("onnx", str(file))
    with pytest.raises(PdsnError, match="torch and onnxruntime differ by") as caught:
        imported(tmp_path, config, dataset)
    assert "\n" not in str(caught.value)
    folder = folder_of(tmp_path, config, dataset)
    assert not folder.model.exists() and not (folder.root / GRAPH).exists()


def test_a_failed_import_leaves_what_was_there(tmp_path, file, dataset, monkeypatch):
    config = PretrainedConfig("onnx", str(file))
    imported(tmp_path, config, dataset)
    folder = folder_of(tmp_path, config, dataset)
    before = {path.name: path.read_bytes() for path in (folder.model, folder.root / GRAPH)}
    monkeypatch.setitem(onnx_operators.OPERATORS, "PRelu", lambda node, x, slope: x)
    with pytest.raises(PdsnError, match="differ by"):
        imported(tmp_path, config, dataset)
    assert before == {path.name: path.read_bytes() for path in (folder.model, folder.root / GRAPH)}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (PretrainedConfig("onnx"), "onnx needs its weights: give --weights FILE"),
        (PretrainedConfig("onnx", "none.onnx"), "none.onnx is no file"),
        (PretrainedConfig("none.onnx"), "none.onnx is no file"),
        (
            PretrainedConfig("none.onnx", "none.npz"),
            "none.onnx holds its weights: leave out --weights none.npz",
        ),
        (PretrainedConfig("onnx", "none.npz"), "none.npz is no FILE.onnx, which --arch onnx takes"),
    ],
)
def test_what_is_missing_is_named(tmp_path, config, message):
    with pytest.raises(UsageError, match=message) as caught:
        find_weights(tmp_path, config)
    assert "\n" not in str(caught.value)


def test_weights_from_another_file_than_the_graphs_are_refused(tmp_path, file, dataset):
    """An ONNX file is architecture and weights in one."""
    other = write_tiny(tmp_path / "other.onnx")
    (tmp_path / "weights.npz").write_bytes(b"nothing")
    for arch, weights, message in (
        (str(file), str(tmp_path / "weights.npz"), "holds its weights"),
        (str(file), str(other), "holds its weights"),
        ("onnx", str(tmp_path / "weights.npz"), "is no FILE.onnx"),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            imported(tmp_path / "run", PretrainedConfig(arch, weights), dataset)
        assert "\n" not in str(caught.value)
    net = find_architecture("iresnet18")
    with pytest.raises(PdsnError, match=r"does not fit iresnet18: \d+ tensors are missing"):
        load_weights(PretrainedNet(net), net, onnx_weights(file), str(file))


def test_a_map_of_any_size_is_fine(tmp_path, dataset):
    nodes = [
        step("Conv", "x w", "m", strides=[16, 16]),
        step("GlobalAveragePool", "m", "p"),
        step("Flatten", "p", "y"),
    ]
    path = write(tmp_path / "net.onnx", model_of(nodes, {"w": some(16, 3, 16, 16) / 16}))
    config = PretrainedConfig("onnx", str(path))
    imported(tmp_path, config, dataset)
    net = load_base(folder_of(tmp_path, config, dataset)).net
    assert net.map_shape == (16, 4, 3)
