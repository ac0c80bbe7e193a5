"""A recogniser of another's making as the base: what it needs, what is checked, what is added."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from pdsn.artefact import save_tensors
from pdsn.bases.encoder import Encoder
from pdsn.bases.imported import (
    check_prepared,
    class_means,
    import_base,
    import_folder,
    prepare_settings,
    separation,
)
from pdsn.bases.opening import load_base
from pdsn.bases.settings import BaseConfig, PretrainedConfig
from pdsn.data.dataset import FaceDataset
from pdsn.errors import PdsnError, UsageError
from pdsn.networks.imported.architecture import Architecture
from pdsn.networks.imported.net import PretrainedNet
from pdsn.networks.imported.table import find_architecture
from pdsn.runtime import start

TINY = """
from torch import nn
from pdsn.networks.imported.architecture import Architecture

class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 8, stride=8), nn.ReLU())
        self.neck = nn.Linear(8 * 8 * 6, 16)

    def features(self, x):
        return self.trunk(x)

    def head(self, maps):
        return self.neck(maps.flatten(1))

architecture = Architecture("tiny", Tiny, size=(64, 48))
"""


@pytest.fixture
def tiny(tmp_path: Path) -> PretrainedConfig:
    """An architecture in a file, and random weights for it."""
    (tmp_path / "tiny.py").write_text(TINY)
    arch = str(tmp_path / "tiny.py")
    torch.manual_seed(3)
    net = PretrainedNet(find_architecture(arch))
    save_tensors(tmp_path / "tiny.safetensors", net.network.state_dict(), {})
    return PretrainedConfig(arch, str(tmp_path / "tiny.safetensors"))


def folder_of(root: Path, config: PretrainedConfig, dataset: FaceDataset, seed: int = 0):
    return import_folder(root / "base", config, BaseConfig(), dataset, seed)


def test_an_imported_base_is_the_recogniser_itself_with_class_means(
    tmp_path: Path, tiny: PretrainedConfig, dataset: FaceDataset
) -> None:
    accelerator = start("cpu", "fp32")
    folder = folder_of(tmp_path, tiny, dataset)
    assert not folder.open()
    found = import_base(dataset, tiny, folder, accelerator, 0)
    assert folder.best() == found and 0 <= found["rank1"] <= found["rank5"] <= 1
    model = load_base(folder_of(tmp_path, tiny, dataset))
    assert isinstance(model.net, PretrainedNet)
    torch.manual_seed(3)
    original = PretrainedNet(find_architecture(tiny.arch)).eval()
    rows = dataset.rows("train")
    faces = dataset.tensor(rows)
    with torch.no_grad():
        assert torch.equal(model.net(faces[:4]), original(faces[:4]))
        embeddings = F.normalize(original(faces))
    first = embeddings[torch.from_numpy(dataset.labels[rows]) == 0].mean(0)
    torch.testing.assert_close(model.classifier.weight[0].detach(), F.normalize(first, dim=0))


def test_a_trained_classifier_names_the_training_photos_better_than_the_means(
    tmp_path: Path, tiny: PretrainedConfig, dataset: FaceDataset
) -> None:
    accelerator = start("cpu", "fp32")
    shares = {}
    for kind in ("means", "trained"):
        config = replace(tiny, classifier=kind)
        folder = folder_of(tmp_path / kind, config, dataset)
        folder.open()
        import_base(dataset, config, folder, accelerator, 0)
        model = load_base(folder)
        rows = dataset.rows("train")
        embeddings = Encoder(model.net, accelerator).embed_faces(dataset.tensor(rows))
        labels = torch.from_numpy(dataset.labels[rows])
        with torch.no_grad():
            shares[kind] = float(model.classifier(embeddings, labels))
    assert shares["trained"] < 0.95 * shares["means"]


def test_the_weights_may_go_once_they_are_imported(
    tmp_path: Path, tiny: PretrainedConfig, dataset: FaceDataset
) -> None:
    folder = folder_of(tmp_path, tiny, dataset)
    folder.open()
    import_base(dataset, tiny, folder, start("cpu", "fp32"), 0)
    Path(tiny.weights).unlink()
    assert folder_of(tmp_path, tiny, dataset).open()
    with pytest.raises(UsageError, match="is no file"):
        folder_of(tmp_path / "elsewhere", tiny, dataset)
    with pytest.raises(UsageError, match="needs its weights"):
        folder_of(tmp_path / "elsewhere", replace(tiny, weights=""), dataset)


def test_other_weights_are_another_base(tmp_path: Path, tiny: PretrainedConfig, dataset: FaceDataset) -> None:
    folder = folder_of(tmp_path, tiny, dataset)
    folder.open()
    import_base(dataset, tiny, folder, start("cpu", "fp32"), 0)
    torch.manual_seed(4)
    other = PretrainedNet(find_architecture(tiny.arch)).network.state_dict()
    save_tensors(Path(tiny.weights), other, {})
    with pytest.raises(UsageError, match="other settings"):
        folder_of(tmp_path, tiny, dataset).open()


def test_weights_that_do_not_fit_leave_no_base(
    tmp_path: Path, tiny: PretrainedConfig, dataset: FaceDataset
) -> None:
    save_tensors(Path(tiny.weights), {"trunk.0.weight": torch.zeros(8, 3, 8, 8)}, {})
    folder = folder_of(tmp_path, tiny, dataset)
    folder.open()
    with pytest.raises(PdsnError, match="missing"):
        import_base(dataset, tiny, folder, start("cpu", "fp32"), 0)
    assert not folder.model.exists()


def test_faces_of_another_size_or_template_are_refused(dataset: FaceDataset, tiny: PretrainedConfig) -> None:
    fits = find_architecture(tiny.arch)
    check_prepared(dataset, fits, "tiny")
    with pytest.raises(
        UsageError, match=r"64x48 pixels, and mobilefacenet takes 112x96.*--for mobilefacenet"
    ):
        check_prepared(dataset, find_architecture("mobilefacenet"), "mobilefacenet")
    moved = replace(fits, landmarks=((15, 25), (33, 25), (24, 36), (17, 48), (31, 48)))
    with pytest.raises(UsageError, match="px away"):
        check_prepared(dataset, moved, "moved")
    with pytest.raises(UsageError, match="--align box"):
        check_prepared(dataset, replace(fits, align="box"), "boxed")


def test_prepare_settings_are_what_the_check_wants(dataset: FaceDataset) -> None:
    for name in ("mobilefacenet", "iresnet18", "inception_resnet_v1"):
        architecture: Architecture = find_architecture(name)
        made = prepare_settings(architecture)
        prepared = replace(
            dataset, faces=torch.zeros((1, *made["size"], 3)).numpy(), settings={**dataset.settings, **made}
        )
        check_prepared(prepared, architecture, name)


def test_separation_counts_right_comparisons() -> None:
    # Two people, two photos each: cosines .8 and .6 within, and between 0, .6, .8 and .96.
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.8, 0.6])
    c, d = torch.tensor([0.0, 1.0]), torch.tensor([0.8, 0.6])
    found = separation(torch.stack([a, b, c, d]), torch.tensor([0, 0, 1, 1]))
    # Within: .8 and .6; between: a-c 0, a-d .8, b-c .6, b-d 1. Strictly lower: .8 beats two, .6 beats one.
    assert found["order"] == pytest.approx(3 / 8)
    assert found["same"] == pytest.approx(0.7) and found["other"] == pytest.approx(0.6)


def test_class_means_are_of_length_one() -> None:
    embeddings = F.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    means = class_means(embeddings, torch.tensor([0, 0, 1]), 2)
    torch.testing.assert_close(means, torch.tensor([[0.5**0.5, 0.5**0.5], [0.0, -1.0]]))


def test_the_readmes_own_network_is_one(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    code = readme.partition("```python\n# mynet.py\n")[2].partition("```")[0]
    (tmp_path / "mynet.py").write_text(code)
    architecture = find_architecture(str(tmp_path / "mynet.py"))
    net = PretrainedNet(architecture)
    assert net.map_shape == (64, 7, 7) and net.embedding == 128
    assert prepare_settings(architecture)["size"] == [112, 112]
