"""Every base of the baselines, trained on drawn people and asked about others of their photos, with and without an FDM."""

import json

import pytest

from tests.stages.conftest import give

SETTINGS = """
[synthetic]
people = 8
photos = 24
size = [64, 48]
[base]
arch = "resnet18"
width = 16
embedding = 64
epochs = 24
batch = 32
occlude = 0.3
validate_every = 8
[arcface]
width = 16
stem_stride = 2
[senet]
side = 32
photos = 6
pair_epochs = 2
[matching]
steps = 60
draws = 1
[dictionary]
strategies = ["matched"]
preferred = "matched"
[eval]
occlusions = ["clean", "sunglasses"]
bootstrap = 100
"""
SYSTEMS = {
    "none": ("arcface-train",),
    "se": ("arcface-train", "--attention", "se"),
    "cbam": ("arcface-train", "--attention", "cbam"),
    "vit": (
        "arcface-train",
        "--backbone",
        "vit",
        "--depth",
        4,
        "--optimizer",
        "adamw",
        "--lr",
        0.002,
        "--epochs",
        60,
    ),
    "shared": ("siamese-train", "--epochs", 30),
    "unshared": ("siamese-train", "--variant", "unshared", "--epochs", 64),
    "senet50": ("siamese-train", "--backbone", "senet50", "--trainable-layers", 10),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_base_recognises_drawn_people_far_above_chance_with_masks_and_without(tmp_path, name):
    (tmp_path / "settings.toml").write_text(SETTINGS)
    common = (
        "--config",
        tmp_path / "settings.toml",
        "--run",
        tmp_path / "run",
        "--device",
        "cpu",
        "--precision",
        "fp32",
    )
    said = give(*SYSTEMS[name], "--data", "synthetic", *common)
    assert said.code == 0, said.err
    said = give("eval", "--strategy", "matched", "--occlusion-source", "oracle", *common)
    assert said.code == 0, said.err
    (path,) = (tmp_path / "run/eval").rglob("table.json")
    rank1 = {(r["occlusion"], r["strategy"]): r["rank1"] for r in json.loads(path.read_text())["records"]}
    assert rank1["clean", "none"] > 0.5, f"one in eight is chance: {rank1}"
    assert min(rank1.values()) > 0.3, rank1
