"""The siamese base: its pairs, its settings, and that it learns who is who."""

import re

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pdsn.bases.encoder import Encoder
from pdsn.bases.siamese import PairBatches, Siamese
from pdsn.bases.table import BASES
from pdsn.matchers.matcher import Faces
from pdsn.networks.backbone import FaceNet
from pdsn.networks.branches import TwoBranches, branch
from pdsn.networks.pair_losses import contrastive_loss
from pdsn.run.workspace import Workspace
from pdsn.runtime import start
from pdsn.training.augment import Augmentation
from stages.cli import app
from tests.conftest import make_dataset

NONE = Augmentation(mirror=0, rotate=0, zoom=0, shift=0, light=0)


@pytest.fixture(scope="module")
def batches(dataset):
    return PairBatches(dataset, dataset.rows("train"), 8, NONE, 0, start("cpu", "fp32"))


def test_a_pair_is_a_clean_photo_and_another_one_of_the_same_person_under_an_occlusion(dataset, batches):
    known = dataset.tensor(dataset.rows("train")).float()
    labels = torch.from_numpy(dataset.labels[dataset.rows("train")])
    seen = 0
    for clean, occluded, whom in batches.epoch(0):
        # Moving a face by nothing rounds it.
        for one, other, person in zip(clean.round(), occluded.round(), whom, strict=True):
            first = int((known - one.float()).abs().flatten(1).sum(1).argmin())
            assert torch.equal(known[first], one.float()) and labels[first] == person
            # Most pixels of the occluded photo are those of a photo of the same person, and not of the clean one.
            alike = (known == other.float()).all(1).float().mean((1, 2))
            second = int(alike.argmax())
            assert labels[second] == person and second != first and 0.2 < alike[second] < 1
            seen += 1
    assert seen == len(batches) * 8


def test_pairs_follow_from_seed_and_epoch(batches):
    first, again, next_one = (list(batches.epoch(number)) for number in (0, 0, 1))
    assert all(
        torch.equal(a, b)
        for one, two in zip(first, again, strict=True)
        for a, b in zip(one, two, strict=True)
    )
    assert not all(torch.equal(one[0], two[0]) for one, two in zip(first, next_one, strict=True))


SETTINGS = """
[base]
arch = "resnet18"
width = 8
embedding = 32
epochs = 12
batch = 16
validate_every = 4
[siamese]
margin = {margin}
"""


def run(folder, *words):
    return CliRunner().invoke(app, [str(word) for word in words])


# Two branches have to find each other first.
@pytest.mark.parametrize(("variant", "epochs"), [("shared", 12), ("unshared", 40)])
def test_it_learns_who_is_who(tmp_path, variant, epochs):
    make_dataset(tmp_path / "data", people=6, photos=12)
    (tmp_path / "settings.toml").write_text(SETTINGS.format(margin=1.2))
    done = run(
        tmp_path, "siamese-train", "--variant", variant, "--epochs", epochs, "--data", tmp_path / "data", "--run", tmp_path / "run",
        "--config", tmp_path / "settings.toml", "--device", "cpu",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    rank1 = float(done.stdout.split("rank-1 ")[1].split(" %")[0])
    assert rank1 > 60, "one in six is chance"
    assert np.isfinite(rank1)
    # The run remembers which base it has, and its settings.
    again = run(tmp_path, "base-train", "--run", tmp_path / "run")
    assert again.exit_code == 0 and "trained already" in again.stdout


def test_two_branches_see_swapped_pairs():
    torch.manual_seed(0)
    net = TwoBranches(*(FaceNet((32, 32), "resnet18", 8, embedding=8, dropout=0.0) for _ in range(2)))
    faces = torch.rand(4, 3, 32, 32) * 255
    net.eval()
    assert torch.equal(net.features(faces), net.gallery.features(faces))
    assert not torch.allclose(net.probe(faces), net.gallery(faces), atol=0.01)
    module = Siamese(net, 1.0).train()
    clean, occluded, labels = faces, faces.flip(2), torch.tensor([0, 1, 2, 2])
    loss = module(clean, occluded, labels)["loss"]
    same, both = labels[:, None] == labels[None], torch.cat([clean, occluded])
    (free, covered), (asked_free, asked) = net.gallery(both).chunk(2), net.probe(both).chunk(2)
    wanted = (contrastive_loss(free, asked, same, 1.0) + contrastive_loss(covered, asked_free, same, 1.0)) / 2
    torch.testing.assert_close(loss, wanted)


def test_a_base_of_two_branches_goes_all_the_way_and_each_side_has_its_own(tmp_path, monkeypatch):
    make_dataset(tmp_path / "data", people=6, photos=12)
    (tmp_path / "settings.toml").write_text(
        SETTINGS.format(margin=1.2)
        + 'variant = "unshared"\n[masks]\nepochs = 1\n[matching]\nsteps = 4\ndraws = 1\n'
        '[eval]\nocclusions = ["eyes"]\nbootstrap = 100\n'
    )
    common = ("--run", tmp_path / "run", "--device", "cpu")
    begun = (*common, "--data", tmp_path / "data", "--config", tmp_path / "settings.toml")
    assert run(tmp_path, "siamese-train", *begun).exit_code == 0
    for words in (
        ("build-dictionary", "--strategy", "LM2", "--strategy", "matched", *begun),
        ("eval", "--occlusion-source", "oracle", "--strategy", "LM2", *common),
    ):
        done = run(tmp_path, *words)
        assert done.exit_code == 0, done.output
    assert (tmp_path / "run/cache/clean-gallery-train.npy").is_file(), "the gallery has maps of its own"
    done = run(
        tmp_path, "export", "--onnx", tmp_path / "out", "--strategy", "matched", "--no-segmenter", "--run", tmp_path / "run",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "out").glob("*.onnx")} == {
        "trunk.onnx", "head.onnx", "probe-trunk.onnx", "probe-head.onnx",
    }  # fmt: skip
    workspace = Workspace.open(tmp_path / "run", start("cpu", "fp32"))
    matcher = workspace.matcher("none")
    faces = Faces.free(workspace.dataset.tensor(range(5)))
    probes, gallery = matcher.prepare(faces, "probe"), matcher.prepare(faces, "gallery")
    model, _ = workspace.base()
    a, b = (Encoder(branch(model.net, role), workspace.accelerator) for role in ("probe", "gallery"))
    unit = [
        torch.nn.functional.normalize(sum(net.embed_faces(x) for x in (faces.pixels, faces.pixels.flip(3))))
        for net in (a, b)
    ]
    torch.testing.assert_close(matcher.compare(probes, gallery), unit[0] @ unit[1].T, rtol=1e-4, atol=1e-5)
    assert not matcher.symmetric and not torch.allclose(unit[0], unit[1], atol=1e-3)
    # The program in the card compares as the run does, each side with its own networks.
    code = re.search(r"```python\n(.*?)```", (tmp_path / "out/MODEL_CARD.md").read_text(), re.DOTALL).group(1)
    monkeypatch.chdir(tmp_path / "out")
    names: dict = {}
    exec(code, names)
    covered = torch.zeros(5, *workspace.dataset.size, dtype=torch.bool)
    covered[:, 20:44] = True
    hidden = torch.zeros_like(covered)
    hidden[1:3, :20] = True
    fdm = workspace.fdm("matched")
    asked = fdm.prepare(Faces(faces.pixels, covered), "probe")
    known = fdm.prepare(Faces(faces.pixels, hidden), "gallery")
    wanted = fdm.compare(asked, known).numpy()
    values = faces.pixels.numpy().astype(np.float32)
    found = np.stack(
        [
            names["cosines"](face, values, one.numpy(), hidden.numpy())
            for face, one in zip(values, covered, strict=True)
        ]
    )
    assert np.abs(found - wanted).max() < 1e-4


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("margin = 3.0", "[siamese] margin = 3.0 is out of range: from 0.01 to 2"),
        (
            "mragin = 1.0",
            "unknown setting mragin in [siamese] (is margin meant?): there are margin, impostors, variant",
        ),
    ],
)
def test_its_settings_are_checked(tmp_path, section, line):
    (tmp_path / "settings.toml").write_text(f"[siamese]\n{section}\n")
    done = run(
        tmp_path,
        "base-train",
        "--base",
        "siamese",
        "--run",
        tmp_path / "run",
        "--config",
        tmp_path / "settings.toml",
    )
    assert done.exit_code == 2 and line in done.stderr
    assert not (tmp_path / "run").exists()


def test_an_unknown_base_is_named(tmp_path):
    done = run(tmp_path, "base-train", "--base", "siamnese", "--run", tmp_path / "run")
    assert done.exit_code == 2
    assert f"--base siamnese is unknown: choose from {', '.join(BASES)}" in done.stderr
