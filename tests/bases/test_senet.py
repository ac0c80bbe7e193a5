"""The SENet50 base: 001's pairs, what trains and what does not, and several numbers of layers in one call."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from pdsn.bases.mask_pairs import mask_pairs
from pdsn.bases.senet import MaskedPairs, SenetConfig
from pdsn.networks.senet import SENet50
from stages.cli import app
from tests.conftest import make_dataset

SETTINGS = """
[base]
epochs = 3
batch = 16
lr = 0.05
validate_every = 3
[senet]
side = 32
photos = 3
pair_epochs = 2
pair_batch = 16
pair_lr = 1e-2
"""


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def with_folders(dataset, masked):
    """The data set as if the photos whose number is in `masked` lay in a folder of masked ones."""
    files = [f"{'masked' if int(file[-7:-4]) in masked else 'unmasked'}/{file}" for file in dataset.files]
    return replace(dataset, files=files)


@pytest.mark.parametrize("most", [2, 5, 100])
def test_pairs_are_all_of_one_person_and_as_many_of_two(dataset, most):
    pairs = mask_pairs(dataset, "train", most, 0)
    rows = np.concatenate([pairs.masked, pairs.unmasked])
    a, b = rows[pairs.pairs[:, 0]], rows[pairs.pairs[:, 1]]
    assert pairs.painted and np.array_equal(pairs.masked, pairs.unmasked)
    assert np.array_equal(dataset.labels[a] == dataset.labels[b], pairs.same)
    assert pairs.same.sum() == (~pairs.same).sum()
    assert (a != b).all(), "no photo meets itself"
    assert (pairs.pairs[:, 0] < len(pairs.masked)).all() and (pairs.pairs[:, 1] >= len(pairs.masked)).all()
    assert len(np.unique(pairs.pairs, axis=0)) == len(pairs.pairs)
    counts = np.bincount(dataset.labels[pairs.masked])
    assert counts.max() <= most and pairs.same.sum() == sum(n * (n - 1) for n in counts)
    assert set(rows) <= set(dataset.rows("train"))


def test_folders_of_masked_photos_are_taken_as_they_are(dataset):
    pairs = mask_pairs(with_folders(dataset, range(4)), "train", 20, 0)
    assert not pairs.painted and not set(pairs.masked) & set(pairs.unmasked)
    assert all(int(dataset.files[row][-7:-4]) < 4 for row in pairs.masked)
    numbers = np.arange(len(pairs))
    rows = np.concatenate([pairs.masked, pairs.unmasked])
    assert torch.equal(pairs.faces(numbers, "face-mask", 0), dataset.tensor(rows))
    genuine = sum(
        (dataset.labels[pairs.masked] == person).sum() * (dataset.labels[pairs.unmasked] == person).sum()
        for person in range(len(dataset.people))
    )
    assert pairs.same.sum() == genuine > 0


def test_only_masked_photos_are_painted_always_in_the_same_way(dataset):
    pairs = mask_pairs(dataset, "val", 20, 0)
    plain = dataset.tensor(np.concatenate([pairs.masked, pairs.unmasked]))
    numbers = np.arange(len(pairs))
    painted = pairs.faces(numbers, "face-mask", 0)
    changed = (painted != plain).flatten(1).any(1).numpy()
    assert changed[: len(pairs.masked)].all() and not changed[len(pairs.masked) :].any()
    assert torch.equal(pairs.faces(numbers[1:3], "face-mask", 0), painted[1:3])
    assert not torch.equal(pairs.faces(numbers, "sunglasses", 0), painted)


def test_one_person_makes_no_pairs_of_two(tmp_path):
    alone = mask_pairs(make_dataset(tmp_path / "data", people=1, photos=10), "train", 20, 0)
    assert alone.same.all()
    (tmp_path / "settings.toml").write_text(SETTINGS)
    done = run(
        "siamese-train", "--backbone", "senet50", "--data", tmp_path / "data", "--config", tmp_path / "settings.toml",
        "--run", tmp_path / "run", "--device", "cpu",
    )  # fmt: skip
    assert (
        done.exit_code == 1 and "the training photos make no pairs of a masked and an unmasked" in done.stderr
    )


def test_batch_normalisation_stays_as_in_recognition():
    net = SENet50((32, 32), 32)
    module = MaskedPairs(net, net.train_last(70), SenetConfig())
    assert not any(part.training for part in module.train().modules())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("senet")
    make_dataset(folder / "data", people=5, photos=14)
    (folder / "settings.toml").write_text(SETTINGS)
    done = run(
        "siamese-train", "--backbone", "senet50", "--trainable-layers", 0, "--trainable-layers", 70, "--trainable-layers", 10,
        "--data", folder / "data", "--config", folder / "settings.toml", "--run", folder / "run", "--device", "cpu",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder, done


def weights(folder, name):
    return load_file(folder / f"run-{name}" / "base/model.safetensors")


def test_several_numbers_of_layers_make_a_run_each(trained):
    folder, done = trained
    assert not (folder / "run").exists()
    assert [line.split()[0] for line in done.stdout.splitlines() if " layers: " in line] == ["70", "10", "0"]
    gaps = [
        float(line.rsplit(" ", 1)[1])
        for line in done.stdout.splitlines()
        if "median squared distance" in line
    ]
    assert len(gaps) == 3 and gaps[0] > gaps[2] > 0, "training the last 70 layers widens the gap"
    start = load_file(folder / "run-70/base/start/model.safetensors")
    for layers in (0, 10, 70):
        found = weights(folder, layers)
        moved = {name for name, value in found.items() if not torch.equal(value, start[name])} - {
            "classifier.weight"
        }
        net = SENet50((64, 48), 32)
        net.train_last(layers)
        assert moved == {f"net.{name}" for name, value in net.named_parameters() if value.requires_grad}


def test_runs_share_what_the_frozen_layers_give(trained):
    folder, _ = trained
    cache = folder / "run-70/cache"
    kept = {path.name: json.loads(path.read_text()) for path in cache.glob("senet-*.json")}
    assert len(kept) == 6 and len({known["start"] for known in kept.values()}) == 1
    assert not (folder / "run-10/cache").exists() and not (folder / "run-0/cache").exists()
    counted = [(folder / f"run-{count}/base/start/metrics.jsonl").read_text() for count in (70, 10, 0)]
    assert counted[0] == counted[1] == counted[2], "what the start took counts for each"


def test_force_makes_the_start_anew_too(trained, tmp_path):
    folder, _ = trained
    run_ = shutil.copytree(folder / "run-10", tmp_path / "run")
    model = run_ / "base/start/model.safetensors"
    words = (
        "siamese-train",
        "--backbone",
        "senet50",
        "--trainable-layers",
        10,
        "--run",
        run_,
        "--device",
        "cpu",
    )
    model.write_bytes(b"damaged")
    assert run(*words).exit_code == 0, "nothing is left to do"
    done = run(*words, "--force")
    assert done.exit_code == 0, done.output
    assert set(load_file(model)) == set(load_file(folder / "run-10/base/start/model.safetensors"))


def test_one_call_of_its_own_gives_the_same_weights_as_one_of_several(trained):
    folder, _ = trained
    done = run(
        "siamese-train", "--backbone", "senet50", "--trainable-layers", 10, "--data", folder / "data",
        "--config", folder / "settings.toml", "--run", folder / "alone", "--device", "cpu",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    own, shared = load_file(folder / "alone/base/model.safetensors"), weights(folder, 10)
    # The maps of the other call went through float16 once more.
    assert all(torch.allclose(own[name].float(), shared[name].float(), atol=2e-3) for name in own)
    again = run("siamese-train", "--backbone", "senet50", "--run", folder / "alone", "--trainable-layers", 10)
    assert again.exit_code == 0 and "trained already" in again.stdout


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--backbone", "senet"], "--backbone senet is unknown: choose from resnet, senet50"),
        (
            ["--backbone", "senet50", "--variant", "shared"],
            "--variant is for --backbone resnet: leave it out",
        ),
        (["--backbone", "senet50", "--margin", "1"], "--margin is for --backbone resnet: leave it out"),
        (["--backbone", "senet50", "--width", "8"], "--width is for --backbone resnet: leave it out"),
        (["--side", "64"], "--side is for --backbone senet50: leave it out"),
        (["--trainable-layers", "10"], "--trainable-layers is for --backbone senet50: leave it out"),
        (
            ["--backbone", "senet50", "--trainable-layers", "15"],
            "--trainable-layers 15 must be one of 0, 10, 20, 30, 40, 50, 60, 70",
        ),
        (
            ["--backbone", "senet50", "--trainable-layers", "70", "--trainable-layers", "15"],
            "--trainable-layers 15 must be one of",
        ),
        (
            ["--backbone", "senet50", "--weights", "no.safetensors"],
            "--weights no.safetensors is no file: give a safetensors file, or leave it out",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(tmp_path, words, line):
    done = run("siamese-train", *words, "--run", tmp_path / "run")
    assert done.exit_code == 2 and line in done.stderr
    assert not list(tmp_path.iterdir())


def test_weights_that_are_none_of_its_own_are_refused_by_name(trained, tmp_path):
    from safetensors.torch import save_file

    folder, _ = trained
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    done = run(
        "siamese-train", "--backbone", "senet50", "--weights", tmp_path / "other.safetensors", "--data", folder / "data",
        "--config", folder / "settings.toml", "--run", tmp_path / "run", "--device", "cpu",
    )  # fmt: skip
    assert done.exit_code == 1
    assert "other.safetensors is no SENet50: there is no tensor layer0.conv1.weight" in done.stderr
