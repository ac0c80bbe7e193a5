"""Training of the mask generators: judged by the mask that will be used, stopped where it stagnates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pdsn.bases.encoder import Encoder
from pdsn.bases.settings import BaseConfig
from pdsn.bases.trained import new_base
from pdsn.data.dataset import FaceDataset
from pdsn.masks.dictionary import binarise
from pdsn.masks.generators import generated_mask, generator_folder, train_generator
from pdsn.masks.maps import PairMaps
from pdsn.masks.settings import MaskConfig
from pdsn.occlusion.layouts import LandmarkStatistics, make_layout
from pdsn.runtime import start
from pdsn.training.loop import Schedule, read_metrics


def train(dataset: FaceDataset, root: Path, **settings):
    """Train the eye band's generator; its folder, figures, maps and regions."""
    torch.manual_seed(0)
    accelerator = start("cpu", "fp32")
    model = new_base(
        BaseConfig(arch="resnet18", width=8, embedding=16), dataset.size, len(dataset.people)
    ).eval()
    layout = make_layout("LM2", LandmarkStatistics.of(dataset.landmarks, dataset.size), 0.57)
    maps = PairMaps(root / "cache", dataset, Encoder(model.net, accelerator), "base", seed=0, intensity=-1)
    config = MaskConfig(**{"epochs": 3, "batch": 16, **settings})
    folder = generator_folder(root / "eyes", config, layout, "eyes", "base", 0)
    folder.open()
    best = train_generator(maps, model, layout, "eyes", config, folder, accelerator, 0, 30.0)
    return folder, best, maps, layout


def rank1(maps: PairMaps, layout, mask: torch.Tensor) -> float:
    """Rank-1 of the occluded validation photos by nearest neighbour, photo by photo."""
    data, head = maps.dataset, maps.encoder.net.head
    train_rows, val_rows = data.rows("train"), data.rows("val")

    def unit(found: np.ndarray) -> torch.Tensor:
        return F.normalize(head(torch.from_numpy(found.astype(np.float32)) * mask))

    with torch.inference_mode():
        gallery, probes = unit(maps.clean("train")), unit(maps.occluded(layout, "eyes", "val"))
    hits = []
    for probe, row in zip(probes, val_rows, strict=True):
        nearest = train_rows[int((gallery @ probe).argmax())]
        hits.append(data.labels[nearest] == data.labels[row])
    return float(np.mean(hits))


@pytest.mark.parametrize("shared", [False, True])
def test_what_is_judged_is_the_binarised_mean_mask_by_nearest_neighbour(dataset, tmp_path, shared):
    folder, best, maps, layout = train(dataset, tmp_path, shared=shared)
    weights = folder.load()
    mask = binarise(generated_mask(maps, layout, "eyes", weights, torch.device("cpu")), 30.0)
    assert best["rank1_masked"] == pytest.approx(rank1(maps, layout, mask.float()))
    assert best["rank1_unmasked"] == pytest.approx(rank1(maps, layout, torch.ones_like(mask).float()))
    rows = read_metrics(folder)
    assert best["score"] == max(row["val_score"] for row in rows)
    for row in rows:
        assert row["val_score"] == pytest.approx(row["val_rank1_masked"] - 1e-4 * row["val_loss"])


def test_a_training_with_patience_ends_where_nothing_gets_better(dataset, tmp_path):
    folder, best, _, _ = train(dataset, tmp_path, epochs=40, patience=2)
    rows = read_metrics(folder)
    assert best["epoch"] == max(rows, key=lambda row: row["val_score"])["epoch"]
    assert len(rows) == min(best["epoch"] + 2, 40)
    assert len(rows) < 40, "tiny as it is, it stagnates early"


def test_with_patience_the_rate_stays_where_the_warm_up_took_it():
    schedule = Schedule(10, 0.5, warmup=0.2, validate_every=2, patience=3)
    assert schedule.rate(0.1) == pytest.approx(0.25)
    assert [schedule.rate(done) for done in (0.2, 0.6, 1.0)] == [0.5, 0.5, 0.5]
    assert [schedule.stagnates(done, 2) for done in (2, 4, 7, 8)] == [False, False, False, True]
    assert not Schedule(10, 0.5).stagnates(10, 1)
