"""`pdsn export`: what it writes, that it compares as the run does, and what it refuses."""

import json
import re
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from pdsn.bases.encoder import Encoder
from pdsn.coverage.segmenter import Segmenter
from pdsn.deploy import bundle
from pdsn.deploy.bundle import check_target, describe_export, write_export, write_masks
from pdsn.deploy.card import model_card
from pdsn.deploy.example import example
from pdsn.errors import PdsnError, UsageError
from pdsn.files import sha256_of
from pdsn.matchers.cosine import Cosine
from pdsn.matchers.fdm import FDM
from pdsn.matchers.matcher import Faces
from pdsn.matchers.memory import MapMemory
from pdsn.runtime import start
from tests.deploy.conftest import STRATEGY, session_of
from tests.stages.conftest import give

FILES = {"trunk.onnx", "head.onnx", "segmenter.onnx", "dictionary.npz", "pdsn.json", "MODEL_CARD.md"}


@pytest.fixture
def cheap(monkeypatch):
    """The export without the exporter: networks as empty files that agree with torch."""

    def write(part, folder):
        (folder / part.file).write_bytes(b"")
        return folder / part.file

    monkeypatch.setattr(bundle, "write_part", write)
    monkeypatch.setattr(bundle, "largest_difference", lambda part, path, inputs: 1e-6)


@pytest.fixture
def about(export):
    return json.loads((export / "pdsn.json").read_text())


def program(text):
    """What a program defines when it is run."""
    names = {}
    exec(compile(text, "card", "exec"), names)
    return names


def memory_of(exported, *, mirror=True):
    return MapMemory(Encoder(exported.net, start("cpu", "fp32")), mirror=mirror)


def scores(matcher, probes, covered, gallery, hidden=None):
    """What probes with covered pixels score in a gallery (P, G), free where `hidden` does not say what is covered."""
    faces = Faces.free(gallery) if hidden is None else Faces(gallery, hidden)
    enrolled = matcher.prepare(faces, "gallery")
    return matcher.compare(matcher.prepare(Faces(probes, covered), "probe"), enrolled).numpy()


def test_the_exact_listing_and_its_hashes(export, about):
    assert {path.name for path in export.iterdir()} == FILES
    assert about["files"] == {name: sha256_of(export / name) for name in FILES - {"pdsn.json"}}
    assert not [path for path in export.parent.iterdir() if path.name.startswith(".pdsn-")]


def test_pdsn_json_says_how_the_files_go_together(about, exported):
    assert (about["strategy"], about["share"], about["mirror"]) == (STRATEGY, 0.4, True)
    assert about["size"] == [64, 42] and about["map_shape"] == list(exported.net.map_shape)
    assert about["align"] == "similarity" and np.shape(about["template"]) == (5, 2)
    assert about["mirrored"] == [1, 0, 3, 2, 5, 4, 7, 6, 9, 8]
    assert about["inputs"]["base"] == exported.base.sha256()
    assert max(about["checked"]["largest_difference"].values()) < 1e-4
    assert {"onnx", "onnxruntime", "torch"} <= set(about["libraries"])


def test_the_dictionary_goes_round(export, about, exported):
    with np.load(export / "dictionary.npz", allow_pickle=False) as found:
        assert set(found) == {"binary", "mean", "boxes"}
        assert found["binary"].dtype == bool and found["mean"].dtype == np.float32
        assert torch.equal(torch.from_numpy(found["binary"]), exported.dictionary.binary)
        assert torch.equal(torch.from_numpy(found["mean"]), exported.dictionary.mean)
        boxes = dict(zip(about["regions"], found["boxes"].tolist(), strict=True))
    assert boxes == {name: list(box) for name, box in exported.dictionary.layout.regions.items()}


def test_the_example_in_the_card_compares_as_the_run_does(export, exported, monkeypatch):
    code = re.search(r"```python\n(.*?)```", (export / "MODEL_CARD.md").read_text(), re.DOTALL).group(1)
    assert "torch" not in code and "import pdsn" not in code
    monkeypatch.chdir(export)
    names = program(code)
    weight = exported.settings.eval.unmasked
    assert 0 < weight < 1, "the preset's"
    memory = memory_of(exported)
    pdsn = FDM(memory, exported.dictionary, 0.4, unmasked=weight)
    segmenter = Segmenter(exported.segmenter, start("cpu", "fp32"))
    gallery, probes = exported.dataset.tensor(range(12)), exported.dataset.tensor(range(12, 18))
    probes[:, :, 24:40] = 255
    gallery[2:5, :, 40:] = 0
    covered, hidden = segmenter.covered(probes), segmenter.covered(gallery)
    regions = np.array(pdsn.signatures(Faces(probes, covered)))
    assert (
        regions.any() and not regions.all() and (regions != regions[:, [1, 0, 3, 2, 5, 4, 7, 6, 9, 8]]).any()
    )
    wanted = scores(pdsn, probes, covered, gallery, hidden)
    asked = probes.numpy().astype(np.float32)
    told = [names["occluded"](pixels) for pixels in names["covered"](asked)]
    assert told == [tuple(np.flatnonzero(row)) for row in regions]
    found = np.stack([names["cosines"](face, gallery.numpy().astype(np.float32)) for face in asked])
    assert np.abs(found - wanted).max() < 1e-4
    alone = scores(pdsn, probes, covered, gallery)
    assert np.abs(alone - wanted).max() > 1e-2, "what is covered in the gallery counts too"
    assert np.abs(scores(Cosine(memory), probes, covered, gallery) - wanted).max() > 1e-2, "the FDM counts"


@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize("soft", [True, False])
def test_the_example_without_unet_and_without_masks(export, exported, monkeypatch, tmp_path, soft, mirror):
    masks = replace(exported.dictionary, soft=soft)
    compared = replace(exported.settings, eval=replace(exported.settings.eval, mirror=mirror))
    about = describe_export(replace(exported, dictionary=masks, settings=compared), [])
    assert about["mirror"] == mirror and about["masks"] == ("mean" if soft else "binary")
    (tmp_path / "pdsn.json").write_text(json.dumps(about))
    write_masks(masks, tmp_path / "dictionary.npz")
    for name in ("trunk.onnx", "head.onnx"):
        (tmp_path / name).symlink_to(export / name)
    monkeypatch.chdir(tmp_path)
    faces = exported.dataset.tensor(range(8))
    values = faces.numpy().astype(np.float32)
    covered = torch.zeros(1, 64, 42, dtype=torch.bool)
    covered[:, 20:, :20] = True
    memory = memory_of(exported, mirror=mirror)
    hidden = torch.zeros(7, 64, 42, dtype=torch.bool)
    hidden[3:5, 40:] = True
    given = (values[0], values[1:], covered[0].numpy(), hidden.numpy())
    pdsn = FDM(memory, masks, 0.4)
    wanted = scores(pdsn, faces[:1], covered, faces[1:], hidden)[0]
    names = program(example(masks=True, segmenter=False, mirror=mirror))
    assert len(names["occluded"](covered[0].numpy())) > 1
    assert np.abs(wanted - scores(pdsn, faces[:1], covered, faces[1:])[0]).max() > 1e-3
    assert np.abs(names["cosines"](*given) - wanted).max() < 1e-4
    # No region is where a mirrored one lies: nothing is dropped of the mirror image.
    alone = names["about"]["mirrored"]
    pdsn._mirrored, names["about"]["mirrored"] = [[] for _ in alone], [None for _ in alone]
    halved = scores(pdsn, faces[:1], covered, faces[1:], hidden)[0]
    assert np.abs(names["cosines"](*given) - halved).max() < 1e-4
    assert (np.abs(halved - wanted).max() > 1e-3) == mirror
    pdsn = FDM(memory, masks, 0.4, unmasked=0.25)
    pdsn._mirrored = [[region] for region in alone]
    names = program(example(masks=True, segmenter=False, mirror=mirror, unmasked=True))
    names["about"]["unmasked"] = 0.25
    weighted = scores(pdsn, faces[:1], covered, faces[1:], hidden)[0]
    assert np.abs(names["cosines"](*given) - weighted).max() < 1e-4
    assert np.abs(weighted - wanted).max() > 1e-3
    names = program(example(masks=False, segmenter=True, mirror=mirror))
    plain = scores(Cosine(memory), faces[:1], covered, faces[1:])[0]
    assert np.abs(names["cosines"](values[0], values[1:]) - plain).max() < 1e-4
    assert np.abs(plain - wanted).max() > 1e-3


def test_the_card_says_what_the_run_says(export, exported, measured):
    card = (export / "MODEL_CARD.md").read_text()
    table = json.loads((measured / "eval/table.json").read_text())
    for record in table["records"]:
        low, high = record["ci95"]
        assert f"{100 * record['rank1']:.2f} ({100 * low:.2f} to {100 * high:.2f})" in card
    eyes = next(r for r in table["segmentation"] if r["occlusion"] == "eyes")
    assert f"| eyes | {eyes['iou']:.3f} |" in card
    assert f"sha256 {exported.base.sha256()}" in card and f"sha256 {exported.dataset.sha256}" in card
    assert "32 photos of 4 people" in card and "20 train, 4 val, 8 test" in card
    assert "biometric" in card and "MIT" in card and "resnet18" in card
    assert str(measured.parent) not in card and "person_0" not in card, "no folders, no names"


def test_the_card_says_what_a_probe_is_compared_with(exported, about):
    def compared(how):
        evaluation = replace(exported.settings.eval, compare=how)
        settings = replace(exported.settings, eval=evaluation)
        return describe_export(replace(exported, settings=settings), [])["compare"]

    assert (compared("nearest"), compared("both")) == ("nearest", "both")
    both = "each person's nearest photo and the mean of their photos, by the mean of both cosines"
    plain, card = (
        model_card(exported, {**about, "compare": how, "unmasked": 0.0}) for how in ("nearest", "both")
    )
    assert card.count(both) == plain.count(both) + 2
    assert "; compared with each person's nearest photo\n" in plain
    weighed = "; the cosine without FDM weighs 0.3, the one under it 0.7"
    assert weighed not in plain and weighed in model_card(exported, {**about, "unmasked": 0.3})


def test_without_masks_nothing_is_weighed(exported):
    settings = replace(exported.settings, eval=replace(exported.settings.eval, unmasked=0.3))
    assert describe_export(replace(exported, settings=settings), [])["unmasked"] == 0.3
    assert describe_export(replace(exported, settings=settings, dictionary=None), [])["unmasked"] == 0.0


def test_figures_of_other_weights_are_left_out(copied, exported, about, settings):
    path = copied / "eval/table.json"
    table = json.loads(path.read_text())

    of_copy = replace(exported, run=session_of(copied, config=settings).run)

    def card(**inputs):
        path.write_text(json.dumps({**table, "inputs": {**table["inputs"], **inputs}}))
        return model_card(of_copy, about)

    assert "| eyes | 8 |" in card()
    other = card(**{f"dictionary {STRATEGY}": "0"})
    assert "gain, 95 %" not in other and "is not the one in the table" in other and "| eyes | 8 |" in other
    for name in ("base", "segmentation"):
        other = card(**{name: "0"})
        assert "No recognition rate was measured" in other and "| eyes | 8 |" not in other
        assert "validation photos, by which it was chosen" in other and "| eyes | 0.500 | 90.00 |" in other
    shutil.rmtree(copied / "eval")
    assert "No recognition rate was measured" in model_card(of_copy, about)


def test_a_card_of_imported_weights_leaves_them_their_licence(exported, about):
    class Imported:
        def found_config(self):
            return {"kind": "pretrained", "arch": "/home/me/net.py", "weights": "abc"}

        def best(self):
            return {"rank1": 0.5, "rank5": 1.0, "order": 1.0}

        def sha256(self):
            return exported.base.sha256()

    card = model_card(replace(exported, base=Imported()), about)
    assert "architecture net.py, weights trained elsewhere (sha256 abc)" in card and "/home" not in card
    assert "keep their own licence" in card and "rank-1 50.00 %, rank-5 100.00 %" in card


@pytest.fixture
def copied(measured, tmp_path):
    """A copy of the run to change at will."""
    return shutil.copytree(measured, tmp_path / "run")


def test_an_earlier_export_is_replaced_and_other_files_stay(cheap, exported, tmp_path, measured, settings):
    target = tmp_path / "out"
    write_export(exported, target)
    assert {path.name for path in target.iterdir()} == FILES
    (target / "notes.txt").write_text("mine")
    said = give(
        "export",
        "--run",
        measured,
        "--config",
        settings,
        "--onnx",
        target,
        "--strategy",
        "none",
        "--no-segmenter",
    )
    assert said.code == 0, said.err
    left = FILES - {"dictionary.npz", "segmenter.onnx"}
    assert {path.name for path in target.iterdir()} == left | {"notes.txt"}
    about = json.loads((target / "pdsn.json").read_text())
    assert about["strategy"] is None and set(about["files"]) == left - {"pdsn.json"}
    card = (target / "MODEL_CARD.md").read_text()
    assert "without a feature-discarding mask" in card and "The segmentation behind these figures" in card


@pytest.mark.parametrize("difference", [0.1, float("nan")])
def test_a_network_that_differs_is_an_error_and_nothing_is_left(
    cheap, exported, tmp_path, monkeypatch, difference
):
    target = tmp_path / "out"
    write_export(exported, target)
    before = sha256_of(target / "pdsn.json")
    monkeypatch.setattr(
        bundle, "largest_difference", lambda part, path, inputs: difference if part.name == "head" else 0.0
    )
    with pytest.raises(PdsnError, match=r"head\.onnx differs from torch"):
        write_export(exported, target)
    assert sha256_of(target / "pdsn.json") == before and {p.name for p in target.iterdir()} == FILES
    with pytest.raises(PdsnError, match=r"head\.onnx differs from torch"):
        write_export(exported, tmp_path / "deep/new")
    assert not list((tmp_path / "deep").iterdir())


def test_folders_that_are_no_export_are_refused(tmp_path):
    check_target(tmp_path / "new")
    check_target(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="holds something else"):
        check_target(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        check_target(tmp_path / "file")
    (tmp_path / "pdsn.json").write_text('{"kind": "something"}')
    with pytest.raises(UsageError, match="holds something else"):
        check_target(tmp_path)
    (tmp_path / "pdsn.json").write_text('{"kind": "pdsn export"}')
    check_target(tmp_path)


def refused(code, *words):
    said = give(*words)
    lines = [line for line in said.err.splitlines() if line.startswith("pdsn")]
    assert said.code == code and len(lines) == 1, said.err
    return lines[0]


def test_errors_are_one_line(cheap, copied, tmp_path, monkeypatch):
    command = ("export", "--run", copied, "--onnx", tmp_path / "out")
    assert "--onnx" in refused(2, "export", "--run", copied)
    assert "pdsn mask-train --strategy LM2 --run" in refused(1, *command, "--strategy", "LM2", "--no-make")
    assert "holds something else" in refused(2, "export", "--run", copied, "--onnx", copied)
    assert "holds no run" in refused(1, "export", "--run", tmp_path / "none", "--onnx", tmp_path / "out")
    (copied / "segmenter/model.safetensors").unlink()
    assert f"is missing: make it with `pdsn segment-train --run {copied}`" in refused(
        1, *command, "--no-make"
    )
    (copied / "base/model.safetensors").unlink()
    assert f"is missing: make it with `pdsn base-train --run {copied}`" in refused(1, *command, "--no-make")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert 'pip install "pdsn[onnx]"' in refused(1, *command)
    assert not (tmp_path / "out").exists() and not (tmp_path / "none").exists()
