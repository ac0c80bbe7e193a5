"""The head trained on under FDMs: what it sees, what stays as it is, whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pdsn.bases.encoder import Encoder
from pdsn.bases.settings import BaseConfig
from pdsn.bases.trained import new_base
from pdsn.errors import PdsnError
from pdsn.masks.dictionary import MaskDictionary
from pdsn.masks.head_tuning import HeadUnderMasks, open_head, train_head, use_head
from pdsn.masks.maps import PairMaps
from pdsn.masks.settings import HeadConfig
from pdsn.occlusion.layouts import LandmarkStatistics, make_layout
from pdsn.run.settings import Settings
from pdsn.runtime import start
from tests.conftest import make_dataset


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("head")
    dataset = make_dataset(root / "data", people=4, photos=10, size=(64, 48))
    accelerator = start("cpu", "fp32")
    torch.manual_seed(0)
    model = new_base(BaseConfig("resnet18", 8, embedding=16), (64, 48), 4)
    statistics = LandmarkStatistics.of(dataset.landmarks[dataset.rows("train")], dataset.size)
    layout = make_layout("LM2", statistics, 0.57)
    maps = PairMaps(root / "cache", dataset, Encoder(model.net, accelerator), "0" * 64, 0, -1)
    mean = torch.rand(5, *model.net.map_shape)
    return accelerator, model, maps, MaskDictionary(layout, mean, mean > 0.3, "0" * 64)


def test_the_loss_is_that_of_each_photo_under_its_own_mask(prepared) -> None:
    _, model, _, dictionary = prepared
    module = HeadUnderMasks(model, dictionary).eval()
    torch.manual_seed(1)
    maps, clean = torch.rand(3, *model.net.map_shape), torch.rand(4, *model.net.map_shape)
    labels, clean_labels = torch.tensor([0, 3, 1]), torch.tensor([2, 2, 0, 1])
    occluded = torch.tensor([False, True, False, True, False])
    fdm = dictionary.combine(occluded).float()
    assert torch.equal(module.fdm(occluded), fdm) and 0 < float(fdm.mean()) < 1
    masks = [fdm] * 3 + [fdm, torch.ones_like(fdm)] * 2
    with torch.no_grad():
        photos = [*maps, *clean]
        embeddings = torch.cat(
            [model.net.eval().head(p[None] * m) for p, m in zip(photos, masks, strict=True)]
        )
        wanted = model.classifier(embeddings, torch.cat([labels, clean_labels]))
        found = module(maps, labels, occluded, clean, clean_labels)
    assert float(found["loss"]) == pytest.approx(float(wanted), rel=1e-5)


def train(prepared, root: Path, **more):
    accelerator, model, maps, dictionary = prepared
    settings = Settings(head=HeadConfig(steps=12, batch=8, draws=1, validations=3, lr=1e-2))
    path = root / "dictionary.safetensors"
    dictionary.save(path)
    folder = open_head(root / "head", path, settings, "0" * 64)
    folder.open()
    best = train_head(maps, model, dictionary, 0.5, settings.head, folder, accelerator, 0)
    return best, folder, path, settings


def test_only_a_copy_of_the_head_is_trained(prepared, tmp_path: Path) -> None:
    _, model, _, _ = prepared
    before = {name: value.clone() for name, value in model.state_dict().items()}
    best, folder, _, _ = train(prepared, tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert best["accuracy"] == pytest.approx((best["accuracy_clean"] + best["accuracy_occluded"]) / 2)
    kept = folder.load()
    assert not torch.equal(kept["neck.3.weight"], before["net.neck.3.weight"])
    assert not torch.equal(kept["classifier.weight"], before["classifier.weight"])
    for name in ("neck.0.running_mean", "neck.4.running_var", "neck.4.weight"):
        assert torch.equal(kept[name], before[f"net.{name}"])


def test_the_same_seed_gives_the_same_head(prepared, tmp_path: Path) -> None:
    heads = [train(prepared, tmp_path / name)[1].load() for name in ("a", "b")]
    assert all(torch.equal(value, heads[1][name]) for name, value in heads[0].items())


def test_a_head_goes_into_its_base_and_into_no_other(prepared, tmp_path: Path) -> None:
    _, _, _, dictionary = prepared
    _, folder, path, settings = train(prepared, tmp_path)
    other = new_base(BaseConfig("resnet18", 8, embedding=16), (64, 48), 4)
    assert use_head(folder, other) == folder.sha256()
    assert torch.equal(other.net.neck[3].weight, folder.load()["neck.3.weight"])
    with pytest.raises(PdsnError, match="belongs to another base: rebuild it with `pdsn head-train --force`"):
        use_head(open_head(tmp_path / "head", path, settings, "1" * 64), other)
    wide = new_base(BaseConfig("resnet18", 16, embedding=16), (64, 48), 4)
    with pytest.raises(PdsnError, match="does not fit config.json"):
        use_head(folder, wide)
    MaskDictionary(dictionary.layout, dictionary.mean, dictionary.mean > 0.6, "0" * 64).save(path)
    with pytest.raises(PdsnError, match="belongs to another dictionary"):
        use_head(open_head(tmp_path / "head", path, settings, "0" * 64), other)
