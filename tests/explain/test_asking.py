"""What is asked of a run: of `Run.explain` from Python, and what cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pdsn import api
from pdsn.api import PdsnError, PhotoError, UsageError, load_run
from pdsn.evaluation.probes import aligned_probes
from pdsn.explain.asking import Asked, check_asked, check_strategy, explainer_of
from pdsn.explain.names import METHODS
from pdsn.explain.photos import entry_photo
from pdsn.matchers.matcher import Faces
from pdsn.occlusion.occluders import make_occluders
from pdsn.run.workspace import Workspace
from pdsn.runtime import start
from tests.people.photos import PlainDetector, save_photo

FPR = 0.5


@pytest.fixture(scope="module")
def run(untrained, tmp_path_factory):
    """A copy, since a run keeps what it has computed."""
    root = shutil.copytree(untrained, tmp_path_factory.mktemp("asking") / "run")
    return load_run(root, device="cpu", precision="fp32")


@pytest.fixture
def copied(untrained, tmp_path):
    return Path(shutil.copytree(untrained, tmp_path / "run"))


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    monkeypatch.setattr(api, "Detector", PlainDetector)


def without_fdm(run):
    return load_run(run._workspace.run.root, strategy="none", device="cpu", precision="fp32")


def opened(root):
    return Workspace.open(root, start("cpu", "fp32"))


def entries(run, split, person=0):
    data = run.dataset
    rows = data.rows(split)
    return [data.files[row] for row in rows[data.labels[rows] == person]]


def test_two_entries_have_the_score_and_threshold_of_verify(run, tmp_path):
    first, second = entries(run, "test")[0], entries(run, "test", 1)[0]
    found = run.explain(first, second, fpr=FPR, methods=["regions"])
    rows = [run.dataset.files.index(name) for name in (first, second)]
    photos = [save_photo(tmp_path / f"{row}.png", run.dataset.faces[row], scale=[1]) for row in rows]
    again = run.explain(photos[0], photos[1], fpr=FPR, methods=["regions"])
    verified = run.verify(*photos, fpr=FPR)
    plain, masked = again.columns
    assert (plain.name, masked.name) == ("no FDM", "LM2-split")
    assert masked.cosine == pytest.approx(verified.cosine, abs=1e-5)
    assert masked.covered == verified.covered and masked.covered
    assert again.thresholds["LM2-split"] == verified.threshold
    verified = without_fdm(run).verify(*photos, fpr=FPR)
    assert plain.cosine == pytest.approx(verified.cosine, abs=1e-5)
    assert again.thresholds["no FDM"] == verified.threshold
    # The crop of a photo of an aligned face is nearly that face.
    assert found.columns[1].cosine == pytest.approx(masked.cosine, abs=0.05)
    assert str(found.photos[0].path) == first and found.photos[1].faces[0].crop.shape == (64, 42, 3)


def test_every_method_that_the_run_has(run):
    name = entries(run, "test")[0]
    found = run.explain(name, fpr=FPR)
    assert [one.method for one in found.explanations] == list(METHODS)
    assert str(found.photos[1].path) in set(np.array(run.dataset.files)[run.dataset.rows("train")])
    said = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert list(said["methods"]) == list(METHODS)
    alone = without_fdm(run).explain(name, fpr=FPR)
    assert [one.method for one in alone.explanations] == [name for name in METHODS if name != "fdm"]
    assert [column.name for column in alone.columns] == ["no FDM"]


def test_layer_and_layout(run):
    name, other = entries(run, "test")[:2]
    found = run.explain(
        name, other, fpr=FPR, methods=["gradcam", "regions"], layer="layer2", layout="grid3x3"
    )
    gradcam, regions = found.explanations
    assert gradcam.said["layer"] == "layer2" and gradcam.maps["no FDM"].shape == (8, 6)
    cells = [f"row{row}-col{column}" for row in (1, 2, 3) for column in (1, 2, 3)]
    assert (
        list(regions.said["columns"]["no FDM"]["shapley"])
        == cells
        == list(gradcam.said["columns"]["no FDM"]["regions"])
    )
    assert regions.said["layout"] == "grid3x3"
    with pytest.raises(UsageError, match="--layer layer9 is unknown"):
        run.explain(name, other, fpr=FPR, layer="layer9")


def test_an_occlusion_is_painted_on_the_probe_alone(run):
    name, other = entries(run, "test")[:2]
    found = run.explain(name, other, fpr=FPR, methods=["saliency"], occlusion="eyes")
    workspace = run._workspace
    band = workspace.layout("LM2").regions["eyes"]
    crop = found.photos[0].faces[0].crop
    clean = entry_photo(run.dataset, name).faces[0].crop
    assert (crop[band.top : band.bottom] == 255).all()
    assert np.array_equal(crop[: band.top], clean[: band.top])
    assert np.array_equal(found.photos[1].faces[0].crop, entry_photo(run.dataset, other).faces[0].crop)
    free = run.explain(name, other, fpr=FPR, methods=["saliency"])
    assert free.columns[0].cosine != found.columns[0].cosine


def test_what_people_wear_is_painted_as_on_the_probes_of_the_table(run):
    name, workspace = entries(run, "test")[0], run._workspace
    row = np.array([run.dataset.files.index(name)])
    found = run.explain(name, fpr=FPR, methods=["saliency"], occlusion="sunglasses")
    seen = {}
    for styles in ("test", "train"):
        occluder = make_occluders(workspace.statistics, workspace.settings.regions.floor, styles)[
            "sunglasses"
        ]
        made = aligned_probes(run.dataset, row, workspace.settings.seed)("sunglasses", occluder, 0)
        seen[styles] = torch.equal(found.photos[0].crops(), made.faces)
    assert seen == {"test": True, "train": False}


def test_the_nearest_is_looked_for_as_the_painted_probe_looks(run):
    name = entries(run, "train")[0]
    found = run.explain(name, fpr=FPR, methods=["saliency"], occlusion="sunglasses")
    assert str(found.photos[1].path) != name
    workspace = run._workspace
    matcher, data = workspace.matcher("LM2-split"), run.dataset
    rows = [row for row in data.rows("train") if data.files[row] != name]
    probe = found.photos[0].crops()
    covered = workspace.segmenter().covered(probe)
    scores = matcher.compare(
        matcher.prepare(Faces(probe, covered), "probe"),
        matcher.prepare(Faces.free(data.tensor(rows)), "gallery"),
    )
    assert str(found.photos[1].path) == data.files[rows[int(scores.argmax())]]


def test_a_person_takes_the_references_place_whatever_the_rate(run):
    name = entries(run, "train")[0]
    found = run.explain(name, person="person_02", methods=["regions"])
    assert found.person == "person_02" and set(found.thresholds.values()) == {None}
    assert str(found.photos[1].path) in entries(run, "train", 2)
    with pytest.raises(UsageError, match="--person person_2 is not enrolled: give a name such as person_02"):
        run.explain(name, person="person_2")
    with pytest.raises(UsageError, match="--person person_02 and the photo b.png exclude each other"):
        run.explain(name, "b.png", person="person_02")


def test_names_that_are_nothing(run, untrained, tmp_path):
    name, data = entries(run, "test")[0], untrained.parent / "data"
    with pytest.raises(UsageError, match=f"gone.png is no photo, and no entry of {data} either") as caught:
        run.explain("gone.png", name, fpr=FPR)
    advised = str(caught.value).rpartition(" ")[2]
    assert run.explain(advised, name, fpr=FPR, methods=["saliency"]).photos, "the advice works"
    with pytest.raises(UsageError, match="gone.png is no photo"):
        run.explain(name, "gone.png", fpr=FPR)
    with pytest.raises(PhotoError, match="nobody.png: no face found"):
        run.explain(save_photo(tmp_path / "nobody.png"), name, fpr=FPR)
    with pytest.raises(PhotoError, match="is a folder: give one photo"):
        run.explain(tmp_path, name, fpr=FPR)
    with pytest.raises(UsageError, match="--method lime is unknown"):
        run.explain(name, methods=["lime"], fpr=FPR)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"person": "Ann", "reference": "b.png"}, "--person Ann and the photo b.png exclude each other"),
        ({"methods": ["saliency", "lime"]}, "--method lime is unknown: one of saliency"),
        ({"layout": "LM9"}, "--layout LM9 is unknown: choose from grid3x3, LM1, LM2, LM2-split"),
        ({"occlusion": "glasses"}, "--occlusion glasses is unknown: choose from"),
        ({"occlusion": "block:LM1/ear"}, "--occlusion block:LM1/ear: LM1 has the regions"),
        ({"occlusion": "all"}, "--occlusion all is for --evaluate"),
    ],
)
def test_what_cannot_be_is_told_without_a_run(asked, said):
    with pytest.raises(UsageError) as caught:
        check_asked(Asked("a.png", **asked))
    assert str(caught.value).startswith(said)


def test_what_can_be(tmp_path):
    check_asked(Asked("Ann/1.png", occlusion="block:LM2/eyes", methods=list(METHODS), layout="LM2-split"))
    check_asked(Asked(str(save_photo(tmp_path / "a.png")), person="Ann"))
    for name in ("none", "LM2", "matched@grid3x3", "cosine", "fdm"):
        check_strategy(name)


def test_photos_without_a_file_are_explained_as_their_files_are(run, tmp_path):
    rows = run.dataset.rows("test")[:2]
    a, b = (save_photo(tmp_path / f"{n}.png", run.dataset.faces[row]) for n, row in enumerate(rows))
    expected = run.explain(a, b, fpr=FPR, methods=["saliency"]).as_dict()
    with Image.open(b) as image:
        found = run.explain(a.read_bytes(), np.asarray(image), fpr=FPR, methods=["saliency"]).as_dict()
        mixed = run.explain(a, image, fpr=FPR, methods=["saliency"], names=(None, "badge")).as_dict()
    assert (found["probe"], found["reference"]) == ("photo 1", "photo 2")
    assert (mixed["probe"], mixed["reference"]) == (str(a), "badge")
    for one in (found, mixed):
        assert one | {"probe": str(a), "reference": str(b)} == expected
    with pytest.raises(UsageError, match="--occlusion eyes is painted on entries .*, and photo 1 is a photo"):
        run.explain(a.read_bytes(), b, occlusion="eyes")


def test_a_photo_is_not_painted(tmp_path):
    photo = save_photo(tmp_path / "a.png")
    with pytest.raises(
        UsageError, match=f"--occlusion eyes is painted on entries .*, and {photo} is a photo"
    ):
        check_asked(Asked(str(photo), occlusion="eyes"))


@pytest.mark.parametrize("name", ["xcos", "parts-cnn", "LM2+xcos", "LM2-split+cosine"])
def test_a_matcher_that_is_none_of_the_two_has_no_gradient(run, name):
    with pytest.raises(
        UsageError, match="has no gradient to show: give none, or one with a dictionary"
    ) as caught:
        explainer_of(run._workspace, name)
    assert f"--strategy {name} " in str(caught.value)


def test_the_parts_of_a_run(untrained):
    workspace = opened(untrained)
    made = explainer_of(workspace, "LM2-split", "layer3", "grid3x3")
    assert list(made.matchers) == ["none", "LM2-split"] and made.xcos is workspace.matcher("xcos")
    assert (made.layer, made.layout.name) == ("layer3", "grid3x3")
    train = workspace.dataset.rows("train")
    mean = workspace.dataset.tensor(train).double().mean(0)
    assert made.instead.dtype == torch.uint8 and (made.instead.double() - mean).abs().max() < 1
    assert list(explainer_of(workspace, "none").matchers) == ["none"]
    assert explainer_of(workspace, "none", methods=["saliency"]).xcos is None, "it is not opened"


def test_an_xcos_of_another_base_is_left_out_unless_it_is_asked_for(copied):
    path = copied / "matchers/xcos/config.json"
    described = json.loads(path.read_text())
    described["inputs"]["base"] = "0" * 64
    path.write_text(json.dumps(described))
    workspace = opened(copied)
    assert explainer_of(workspace, "none").methods == ["saliency", "gradcam", "layercam", "regions"]
    assert "fdm" in explainer_of(workspace, "LM2-split", methods=["saliency"]).methods
    with pytest.raises(PdsnError, match="xcos/model.safetensors belongs to another base: rebuild it with"):
        explainer_of(workspace, "none", methods=["xcos"])
