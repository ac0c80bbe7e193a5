"""`pdsn explain` as it is typed."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pdsn.bases.opening
from pdsn import api
from pdsn.data.dataset import FaceDataset
from pdsn.explain import evaluation, explanation
from pdsn.explain.names import MAP_METHODS, METHODS
from pdsn.matchers.matcher import Faces
from pdsn.report.table import DRAFT
from tests.deploy.conftest import untrained
from tests.people.photos import PlainDetector, save_photo
from tests.stages.conftest import Said, give
from tests.stages.test_bad_input import snapshot

__all__ = ["untrained"]

CPU = ("--device", "cpu", "--precision", "fp32")
FEW = ("--probes", 4, "--curves", 2, "--steps", 3)
SHORT = ("--steps", 4, "--batch", 8, "--validations", 2, "--draws", 1)
ENTRY, OTHER = "person_00/000.png", "person_01/003.png"
BANDS = ["forehead", "eyes", "nose", "mouth", "chin"]


@pytest.fixture(scope="module")
def run(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run that nobody trained, which the tests of this module share."""
    return Path(shutil.copytree(untrained, tmp_path_factory.mktemp("explain") / "run"))


@pytest.fixture
def own(untrained: Path, tmp_path: Path) -> Path:
    """A copy to change at will; its name has a space."""
    return Path(shutil.copytree(untrained, tmp_path / "my run"))


@pytest.fixture(scope="module")
def data(untrained: Path) -> FaceDataset:
    return FaceDataset.load(untrained.parent / "data")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "Detector", PlainDetector)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading the base raises."""

    def reached(*words, **more):
        raise AssertionError("something slow was begun")

    monkeypatch.setattr(pdsn.bases.opening, "load_base", reached)


def ask(run: Path, *words: object, fpr: float | None = 0.5) -> Said:
    """Give the command; of four strangers no finer rate can be told."""
    rate = () if fpr is None or "--person" in words else ("--fpr", fpr)
    return give("explain", *words, "--run", run, *CPU, *rate)


def answer_of(said: Said) -> dict:
    """The JSON that stands alone on standard output."""
    assert said.code == 0, said.err

    def never(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(said.out, parse_constant=never)


def told(run: Path, *words: object, **more: float | None) -> dict:
    return answer_of(ask(run, *words, "--json", "--no-draw", **more))


def test_json_is_alone_on_standard_output(run):
    answer = answer_of(ask(run, ENTRY, OTHER, "--json", "--no-draw"))
    assert list(answer) == [
        "format", "run", "strategy", "occlusion_source", "fpr", "strangers", "probe", "reference", "person",
        "covered_share", "scores", "methods", "picture",
    ]  # fmt: skip
    assert (answer["format"], answer["run"], answer["fpr"]) == (1, str(run), 0.5)
    assert (answer["strategy"], answer["occlusion_source"]) == ("LM2-split", "segmenter")
    assert (answer["probe"], answer["reference"], answer["person"]) == (ENTRY, OTHER, None)
    assert list(answer["methods"]) == list(METHODS) and answer["picture"] is None
    assert list(answer["scores"]) == ["no FDM", "LM2-split"]
    for score in answer["scores"].values():
        assert -1 <= score["threshold"] <= 1 and -1 <= score["cosine"] <= 1 and score["covered"]
    for name in ("no FDM", "LM2-split"):
        parts = answer["methods"]["regions"]["columns"][name]
        assert parts["whole"] == pytest.approx(answer["scores"][name]["cosine"], abs=1e-5)
        assert sum(parts["shapley"].values()) == pytest.approx(parts["whole"] - parts["empty"], abs=1e-4)
        for method in MAP_METHODS:
            shares = answer["methods"][method]["columns"][name]["regions"]
            assert list(shares) == BANDS and sum(shares.values()) in (0, pytest.approx(1, abs=1e-4))
    kinds = {method: list(said) for method, said in answer["methods"].items() if "columns" in said}
    assert kinds == {
        "saliency": ["columns"], "gradcam": ["layer", "columns"], "layercam": ["layer", "columns"],
        "regions": ["layout", "columns"],
    }  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_each_method_alone(run, tmp_path, method):
    picture = tmp_path / "one.png"
    words = (ENTRY, "--method", method, "--strategy", "LM2-split")
    answer = answer_of(ask(run, *words, "--json", "--picture", picture))
    assert list(answer["methods"]) == [method] and answer["picture"] == str(picture)
    with Image.open(picture) as image:
        assert image.format == "PNG" and np.asarray(image).std() > 10
    said = ask(run, *words, "--no-draw")
    assert said.code == 0, said.err
    for name, score in answer["scores"].items():
        verdict = (
            "the same person" if score["cosine"] > score["threshold"] else "not shown to be the same person"
        )
        line = f"{name}: cosine {score['cosine']:.3f} with {answer['reference']} (threshold {score['threshold']:.3f}: {verdict}), covered: "
        assert line in said.out
    words = {"regions": "What each region adds", "fdm": "% of the features are left out"}
    words |= {name: f"Share of {name} in each region, %" for name in MAP_METHODS}
    assert [name for name, text in words.items() if text in said.out] == [m for m in (method,) if m != "xcos"]


def test_the_tables_show_the_same_figures(run):
    answer = told(run, ENTRY, OTHER, "--method", "regions", "--method", "saliency")
    said = ask(run, ENTRY, OTHER, "--method", "regions", "--method", "saliency", "--no-draw")
    rows = [[part.strip() for part in line.split("│")[1:-1]] for line in said.out.splitlines() if "│" in line]
    names = ["no FDM", "LM2-split"]
    parts = [answer["methods"]["regions"]["columns"][name] for name in names]
    assert rows[:5] == [[band, *(f"{one['shapley'][band]:+.3f}" for one in parts)] for band in BANDS]
    assert rows[5] == ["all hidden", *(f"{one['empty']:+.3f}" for one in parts)]
    assert rows[6] == ["together", *(f"{one['whole']:+.3f}" for one in parts)]
    shares = [answer["methods"]["saliency"]["columns"][name]["regions"] for name in names]
    assert rows[7:] == [[band, *(f"{100 * one[band]:.0f}" for one in shares)] for band in BANDS]


def test_a_map_of_zeros_is_said_in_words(run, monkeypatch, tmp_path):
    real = explanation.attribution

    def zeroed(method, *words, **more):
        return real(method, *words, **more) * (method != "gradcam")

    monkeypatch.setattr(explanation, "attribution", zeroed)
    words = (ENTRY, OTHER, "--method", "gradcam", "--method", "layercam")
    said = ask(run, *words, "--picture", tmp_path / "zeros.png")
    assert said.code == 0, said.err
    assert "gradcam: 0 everywhere, nothing in this layer raises the score" in said.out
    assert "Share of gradcam" not in said.out and "Share of layercam in each region, %" in said.out
    assert (tmp_path / "zeros.png").is_file()
    answer = told(run, *words)
    for column in answer["methods"]["gradcam"]["columns"].values():
        assert column["covered"] is None and not any(column["regions"].values())


def test_an_xcos_of_another_base_is_said_to_be_left_out(own, refused):
    about = own / "matchers/xcos/config.json"
    content = json.loads(about.read_text())
    before = content["inputs"]["base"]
    about.write_text(json.dumps(content).replace(before, "0" * len(before)))
    said = ask(own, ENTRY, OTHER, "--no-draw")
    assert said.code == 0, said.err
    (line,) = (line for line in said.out.splitlines() if line.startswith("left out: "))
    assert f"xcos: {about.with_name('model.safetensors')} belongs to another base: " in line
    assert "xcos: cosine" not in said.out
    # Where others are asked for it is not missed, and asked for itself it is an error.
    assert "left out: " not in ask(own, ENTRY, OTHER, "--method", "fdm", "--no-draw").out
    words = ("explain", ENTRY, OTHER, "--method", "xcos", "--no-draw", "--run", own, *CPU, "--fpr", 0.5)
    assert "xcos" in refused(1, *words)
    # The command that the line names makes it again.
    program, *advised = shlex.split(line.split("`")[1])
    assert (program, *advised) == ("pdsn", "xcos-train", "--force", "--run", str(own))
    assert give(*advised, *SHORT, *CPU).code == 0
    again = ask(own, ENTRY, OTHER, "--no-draw")
    assert "left out: " not in again.out and "xcos: cosine" in again.out


def test_where_the_picture_goes(run, data, tmp_path):
    for words, name in (
        ((ENTRY,), "person_00-000-nearest"),
        ((ENTRY, OTHER), f"person_00-000-{'-'.join(Path(OTHER).with_suffix('').parts)}"),
        ((ENTRY, "--person", "person_02"), "person_00-000-person_02"),
        ((ENTRY, "--occlusion", "block:LM2/eyes"), "person_00-000-block-LM2-eyes-nearest"),
    ):
        said = ask(run, *words, "--method", "fdm")
        target = run / f"explain/{name}-explained.png"
        assert said.code == 0 and f"picture: {target}" in said.out and target.is_file(), said.err
    said = ask(run, ENTRY, "--method", "fdm", "--picture", tmp_path / "out")
    assert (tmp_path / "out/person_00-000-nearest-explained.png").is_file(), said.err
    before = snapshot(run / "explain")
    assert "picture" not in ask(run, ENTRY, "--method", "fdm", "--no-draw", "--occlusion", "hand").out
    assert snapshot(run / "explain") == before
    long = save_photo(tmp_path / ("ü" * 125 + ".png"), data.faces[0])
    assert ask(run, long, long, "--method", "fdm", "--picture", tmp_path / "long").code == 0
    assert len(list((tmp_path / "long").glob("*-explained.png"))) == 1


def test_from_python_the_same_picture_is_drawn(run, tmp_path):
    words = (ENTRY, OTHER, "--method", "layercam", "--method", "regions")
    assert ask(run, *words, "--picture", tmp_path / "typed.png").code == 0
    one = api.load_run(run, device="cpu", precision="fp32")
    answer = one.explain(ENTRY, OTHER, fpr=0.5, methods=["layercam", "regions"])
    one.draw(answer, tmp_path / "drawn.png")
    typed, drawn = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("typed", "drawn"))
    np.testing.assert_array_equal(typed, drawn)
    assert typed.std() > 10


def test_an_occlusion_is_painted_first(run):
    clean = told(run, ENTRY, OTHER, "--method", "saliency", "--occlusion-source", "none")
    painted = told(
        run, ENTRY, OTHER, "--method", "saliency", "--occlusion-source", "none", "--occlusion", "sunglasses"
    )
    assert clean["covered_share"] == painted["covered_share"] == [0, 0]
    assert clean["scores"]["no FDM"]["cosine"] != painted["scores"]["no FDM"]["cosine"]
    assert painted["scores"]["no FDM"]["covered"] == []
    found = told(run, ENTRY, OTHER, "--method", "saliency", "--occlusion", "sunglasses")
    assert found["covered_share"][0] > 0


def test_a_person_is_told_without_a_rate(run):
    answer = told(run, ENTRY, "--person", "person_02", "--method", "saliency", fpr=None)
    assert answer["person"] == "person_02" and answer["reference"].startswith("person_02/")
    assert all(score["threshold"] is None for score in answer["scores"].values()) and answer["fpr"] is None
    said = ask(run, ENTRY, "--person", "person_02", "--method", "saliency", "--no-draw", fpr=None)
    cosine = answer["scores"]["no FDM"]["cosine"]
    assert f"no FDM: cosine {cosine:.3f} with the mean of person_02, covered: " in said.out


def test_photos_and_entries_go_together(run, data, tmp_path):
    photo = save_photo(tmp_path / "a.png", data.faces[0], data.faces[20], scale=[3, 1])
    answer = told(run, photo, OTHER, "--method", "regions")
    assert (answer["probe"], answer["reference"]) == (str(photo), OTHER)
    small = save_photo(tmp_path / "b.png", data.faces[0], scale=[3])
    again = told(run, small, OTHER, "--method", "regions")
    assert answer["scores"] == again["scores"], "of two faces the larger one"
    assert told(run, OTHER, photo, "--method", "regions")["reference"] == str(photo)


def test_layer_and_layout(run):
    answer = told(run, ENTRY, "--method", "layercam", "--layer", "layer3.0", "--layout", "LM1")
    said = answer["methods"]["layercam"]
    assert said["layer"] == "layer3.0" and np.shape(said["columns"]["no FDM"]["cells"]) == (4, 3)
    assert list(said["columns"]["no FDM"]["regions"]) == ["left-eye", "right-eye", "nose", "mouth", "rest"]


def test_without_an_fdm_there_is_one_column(run):
    answer = told(run, ENTRY, "--strategy", "none")
    assert list(answer["scores"]) == ["no FDM"] and answer["strategy"] == "none"
    assert list(answer["methods"]) == [name for name in METHODS if name != "fdm"]


def test_an_xcos_that_is_missing_is_trained_as_advised(own, refused):
    shutil.rmtree(own / "matchers/xcos")
    assert "xcos" not in told(own, ENTRY)["methods"]
    words = ("explain", ENTRY, "--method", "xcos", "--run", own, "--fpr", 0.5, "--no-draw", *CPU)
    line = refused(2, *words)
    assert line.startswith(
        "pdsn explain: --method xcos needs what is not there: train it with `pdsn xcos-train"
    )
    program, *advised = shlex.split(line.split("`")[1])
    assert program == "pdsn"
    said = give(*advised, *SHORT, *CPU)
    assert said.code == 0, said.err
    maps = answer_of(give(*words, "--json"))["methods"]["xcos"]
    attention, local = (np.array(maps[name]) for name in ("attention", "local_cosine"))
    assert attention.sum() == pytest.approx(1, abs=1e-4)
    assert (attention * local).sum() == pytest.approx(maps["cosine"], abs=1e-4)


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ([], 2, "give a PROBE, a photo or an entry of the data set, or --evaluate for the test photos"),
        (["gone.png"], 2, "gone.png is no photo, and no entry of"),
        ([ENTRY, "gone.png"], 2, "gone.png is no photo, and no entry of"),
        (["FOLDER"], 1, "is a folder: give one photo"),
        ([ENTRY, OTHER, "--person", "person_02"], 2, f"--person person_02 and the photo {OTHER} exclude each other"),
        (["PHOTO", "--occlusion", "eyes"], 2, "--occlusion eyes is painted on entries of the data set, and"),
        ([ENTRY, "--occlusion", "eyes", "--occlusion", "hand"], 2, "--occlusion is given several times"),
        ([ENTRY, "--occlusion", "glasses"], 2, "explain: --occlusion glasses is unknown: choose from"),
        ([ENTRY, "--occlusion", "all"], 2, "--occlusion all is for --evaluate"),
        ([ENTRY, "--method", "lime"], 2, "--method lime is unknown: one of saliency, gradcam, layercam, regions"),
        ([ENTRY, "--layout", "LM9"], 2, "--layout LM9 is unknown: choose from grid3x3, LM1, LM2, LM2-split"),
        ([ENTRY, "--strategy", "LM9"], 2, "--strategy LM9 is unknown"),
        ([ENTRY, "--strategy", "xcos"], 2, "--strategy xcos has no gradient to show: give none, or one with a"),
        ([ENTRY, "--strategy", "LM2+xcos"], 2, "--strategy LM2+xcos has no gradient to show"),
        ([ENTRY, "--strategy", "LM1", "--no-make"], 1, "make it with `pdsn mask-train --strategy LM1 --run"),
        ([ENTRY, "--occlusion-source", "oracle"], 2, "--occlusion-source oracle is unknown: choose from segmenter"),
        ([ENTRY, "--fpr", "2"], 2, "--fpr 2.0 is out of range"),
        ([ENTRY, "--fpr", "0.01"], 2, "--fpr 0.01 is too small to be told by"),
        ([ENTRY, "--person", "person_02", "--fpr", "0.5"], 2, "--fpr sets a threshold, and the mean of a person's photos has none"),
        ([ENTRY, "--picture", "out.jpg"], 2, "pictures are written as PNG"),
        (["PHOTO", "--picture", "PHOTO"], 2, "is one of the photos: give another name"),
        ([ENTRY, "--picture", "a.png", "--no-draw"], 2, "--picture a.png and --no-draw exclude each other"),
        ([ENTRY, "--evaluate"], 2, f"--evaluate explains the test photos: leave out {ENTRY}, or --evaluate"),
        (["--evaluate", "--person", "Ann"], 2, "--evaluate explains the test photos: leave out --person"),
        (["--evaluate", "--layout", "LM1"], 2, "--evaluate explains the test photos: leave out --layout"),
        (["--evaluate", "--fpr", "0.5"], 2, "--evaluate explains the test photos: leave out --fpr"),
        (["--evaluate", "--picture", "a.png"], 2, "--evaluate explains the test photos: leave out --picture"),
        (["--evaluate", "--min-face", "20"], 2, "--evaluate explains the test photos: leave out --min-face"),
        (["--evaluate", "--no-draw"], 2, "--evaluate explains the test photos: leave out --no-draw"),
        ([ENTRY, "--probes", "4"], 2, "--probes is for --evaluate: add that, or leave it out"),
        (["--evaluate", "--method", "lime"], 2, "--method lime cannot be measured: one of saliency, gradcam"),
        (["--evaluate", "--method", "regions"], 2, "--method regions cannot be measured"),
        (["--evaluate", "--occlusion", "glasses"], 2, "--occlusion glasses is unknown: choose from all"),
        (["--evaluate", "--strategy", "xcos"], 2, "--strategy xcos has no gradient to show"),
        (["--evaluate", "--strategy", "LM9"], 2, "--strategy LM9 is unknown"),
        (["--evaluate", "--occlusion-source", "none"], 2, "--occlusion-source none is unknown: choose from"),
        (["--evaluate", "--probes", "1"], 2, "--probes 1 is out of range: from 2"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_before_anything_slow(
    slow, refused, run, data, tmp_path, words, code, line
):
    photo = save_photo(tmp_path / "photo.png", data.faces[0])
    stands_for = {"PHOTO": photo, "FOLDER": tmp_path}
    before = snapshot(tmp_path), snapshot(run)
    words = [stands_for.get(word, word) for word in words]
    rate = () if {"--fpr", "--evaluate", "--person"} & {*map(str, words)} else ("--fpr", 0.5)
    assert line in refused(code, "explain", *words, "--run", run, *CPU, *rate)
    assert (snapshot(tmp_path), snapshot(run)) == before


def test_nothing_is_made_for_what_cannot_be(refused, own):
    shutil.rmtree(own / "segmenter")
    shutil.rmtree(own / "matchers/xcos")
    for words in (["gone.png"], [ENTRY, "--method", "lime"], [ENTRY, "--strategy", "xcos"]):
        refused(2, "explain", *words, "--run", own, *CPU, "--fpr", 0.5)
    refused(2, "explain", "--evaluate", "--strategy", "xcos", "--run", own, *CPU)
    assert not (own / "segmenter").exists() and not (own / "matchers/xcos").exists()
    line = refused(1, "explain", ENTRY, "--run", own, *CPU, "--fpr", 0.5, "--no-make")
    assert f"make it with `pdsn segment-train --run '{own}'`" in line


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ([ENTRY, "--person", "person_2"], 2, "--person person_2 is not enrolled: give a name such as person_02, "),
        ([ENTRY, "--layer", "layer9"], 2, "--layer layer9 is unknown: one of map, conv1, bn1, relu, maxpool, layer1"),
        ([ENTRY, "--method", "gradcam", "--layer", "neck.3"], 2, "--layer neck.3 gives no map (N, C, h, w), or several: give a"),
        ([ENTRY, "--method", "fdm", "--strategy", "none"], 2, "--method fdm needs what is not there: give a --strategy"),
        (["NOBODY"], 1, "nobody.png: no face found"),
        ([ENTRY, "NOBODY"], 1, "nobody.png: no face found"),
        (["--evaluate", "--layer", "layer9", *FEW], 2, "--layer layer9 is unknown: one of map, conv1"),
    ],
)  # fmt: skip
def test_what_the_networks_have_to_tell_is_one_line_too(refused, run, tmp_path, words, code, line):
    nobody = save_photo(tmp_path / "nobody.png")
    before = snapshot(run / "explain")
    words = [nobody if word == "NOBODY" else word for word in words]
    rate = () if {"--evaluate", "--person"} & {*map(str, words)} else ("--fpr", 0.5)
    assert line in refused(code, "explain", *words, "--run", run, *CPU, *rate)
    assert snapshot(run / "explain") == before


def test_the_advice_for_the_fdm_works(run):
    assert list(told(run, ENTRY, "--method", "fdm", "--strategy", "LM2-split")["methods"]) == ["fdm"]


def test_a_run_that_is_none(refused, tmp_path):
    for words in ([ENTRY], ["--evaluate"]):
        line = refused(1, "explain", *words, "--run", tmp_path / "none")
        assert f"holds no run: make one with `pdsn run --run {tmp_path / 'none'}`" in line
    assert not (tmp_path / "none").exists()


ASKED = ("--evaluate", "--occlusion", "eyes", "--occlusion", "clean", *FEW)


def evaluated(said: Said) -> Path:
    """The folder that the table went to."""
    assert said.code == 0, said.err
    (line,) = (line for line in said.out.splitlines() if line.startswith("table and picture: "))
    return Path(line.partition(": ")[2])


@pytest.fixture(scope="module")
def table(run: Path) -> tuple[Said, Path]:
    """What was said of a small question, and where its table is."""
    said = give("explain", *ASKED, "--run", run, *CPU)
    return said, evaluated(said)


def test_many_probes_make_a_table(run, table):
    said, folder = table
    assert folder == run / "explain/asked/probes=4_curves=2_steps=3_occlusion=eyes,clean"
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {"table.json", "table.md", "probes.csv", "figures/covered.png"}
    assert not (folder / DRAFT).exists()
    found = json.loads((folder / "table.json").read_text(), parse_constant=lambda name: 1 / 0)
    names = [(one["method"], one["occlusion"], one["strategy"]) for one in found["records"]]
    assert names == [
        (method, occlusion, strategy)
        for occlusion in ("eyes", "clean")
        for strategy in ("none", "LM2-split")
        for method in MAP_METHODS
    ]
    for one in found["records"]:
        assert one["photos"] == 4 and one["maps"] <= 4 and one["curved"] == 2
        assert one["bare"] is None or 0 <= one["bare"] <= 1
        if one["occlusion"] == "clean":
            assert one["covered"] is one["bare"] is None and one["area"] == 0
        else:
            assert 0 <= one["covered"] <= 1 and 0 < one["area"] < 1
        # Four people are too few for an interval.
        assert all(one[f"{name}_ci95"] is None for name in ("covered", "bare", "ratio", "random", "other"))
        assert ("change" in one) == (one["strategy"] != "none")
        for figure in ("random", "other"):
            assert one[figure] is None or -1 <= one[figure] <= 1 + 1e-6
        curves = one["curves"]
        assert {len(curve) for curve in curves.values()} == {4}
        whole, empty = curves["deletion"][0], curves["deletion"][-1]
        for name in ("deletion", "insertion", "deletion_any", "insertion_any"):
            ends = (whole, empty) if name.startswith("deletion") else (empty, whole)
            assert (curves[name][0], curves[name][-1]) == pytest.approx(ends, abs=2e-6)
            scaled = (np.array(curves[name]) - empty) / (whole - empty)
            assert one[name] == pytest.approx(
                (scaled[0] / 2 + scaled[1:-1].sum() + scaled[-1] / 2) / 3, abs=2e-3
            )
        line = f"| {one['method']} | {one['occlusion']} | {'no FDM' if one['strategy'] == 'none' else 'LM2-split'} |"
        assert line in (folder / "table.md").read_text()
    config = found["config"]
    assert (config["probes"], config["curves"], config["steps"], config["layer"]) == (4, 2, 3, "map")
    assert (config["occlusions"], config["strategies"]) == (["eyes", "clean"], ["LM2-split"])
    assert (config["share"], config["floor"], config["source"]) == (0.4, 0.57, "segmenter")
    assert {"base", "data set", "segmentation", "dictionary LM2-split"} <= set(found["inputs"])
    assert np.asarray(Image.open(folder / "figures/covered.png").convert("L")).std() > 5
    for method in MAP_METHODS:
        assert f"{method}: share on what is covered, %, 4 photos a row" in said.out
    eyes = next(one for one in found["records"] if one["strategy"] == "LM2-split")
    assert f"{100 * eyes['covered']:.1f}" in said.out and f"{100 * eyes['change']:+.1f}" in said.out
    assert f"{100 * eyes['bare']:.1f}" in said.out and f"{100 * eyes['area']:.1f}" in said.out
    empty = sum(one["photos"] - one["maps"] for one in found["records"])
    whole = 4 * len(found["records"])
    line = f"{empty} of {whole} maps are 0 everywhere and left out: nothing there raises the score"
    assert (line in said.out) == (empty > 0)


def test_each_photo_has_a_line(run, data, table):
    _, folder = table
    found = json.loads((folder / "table.json").read_text())
    with (folder / "probes.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert list(lines[0]) == [
        "method",
        "occlusion",
        "strategy",
        "file",
        "covered",
        "bare",
        "area",
        "random",
        "other",
    ]
    rows = data.rows("test")
    files = [data.files[row] for row in rows[np.linspace(0, len(rows) - 1, 4).round().astype(int)]]
    for one in found["records"]:
        names = ("method", "occlusion", "strategy")
        mine = [line for line in lines if all(line[name] == one[name] for name in names)]
        assert [line["file"] for line in mine] == files
        for figure in ("covered", "bare", "area", "random", "other"):
            known = [float(line[figure]) for line in mine if line[figure]]
            wanted = pytest.approx(np.mean(known), abs=1e-4) if known else None
            assert one[figure] == wanted, (one, figure)
    assert len(lines) == 4 * len(found["records"])


def test_maps_of_zeros_are_counted_and_said(own, monkeypatch):
    monkeypatch.setattr(
        evaluation, "attribution", lambda method, score, pixels, *more: torch.zeros(len(pixels), 4, 3)
    )
    words = ("--evaluate", "--occlusion", "eyes", "--method", "gradcam", *FEW, "--run", own, *CPU)
    said = give("explain", *words)
    folder = evaluated(said)
    assert "8 of 8 maps are 0 everywhere and left out: nothing there raises the score" in said.out
    for one in json.loads((folder / "table.json").read_text())["records"]:
        assert one["maps"] == 0 and one["covered"] is one["random"] is one["other"] is None
    assert "| 0 of 4 |" in (folder / "table.md").read_text()
    with (folder / "probes.csv").open(newline="") as stream:
        assert all(line["covered"] == line["random"] == "" for line in csv.DictReader(stream))
    assert give("explain", *words, "--json").code == 0


def test_without_masks_what_is_covered_makes_no_difference_and_is_not_asked_for(own):
    shutil.rmtree(own / "segmenter")
    words = ("--evaluate", "--strategy", "none", "--occlusion", "eyes", "--method", "saliency", "--no-make")
    found = json.loads(
        (evaluated(give("explain", *words, *FEW, "--run", own, *CPU)) / "table.json").read_text()
    )
    assert "segmentation" not in found["inputs"] and found["records"][0]["covered"] > 0


def test_the_same_question_has_the_same_answer_as_json(run, table):
    _, folder = table
    before = json.loads((folder / "table.json").read_text())
    said = give("explain", *ASKED, "--json", "--run", run, *CPU)
    answer = answer_of(said)
    assert answer.pop("format") == 1
    assert answer == before == json.loads((folder / "table.json").read_text())
    assert "table and picture" in said.err


def test_the_probes_are_those_of_the_table(run, data, table):
    """The mean share of a map on the exact pixels, from what is told of single scores."""
    found = json.loads((table[1] / "table.json").read_text())
    rows, gallery = data.rows("test"), data.rows("train")
    one = api.load_run(run, device="cpu", precision="fp32")
    plain, band = one._workspace.matcher("none"), one._workspace.layout("LM2").regions["eyes"]
    shares, area = [], (band.bottom - band.top) / data.size[0]
    for row in rows[np.linspace(0, len(rows) - 1, 4).round().astype(int)]:
        painted = data.tensor([row])
        painted[:, :, band.top : band.bottom] = 255
        own = gallery[data.labels[gallery] == data.labels[row]]
        scores = plain.compare(
            plain.prepare(Faces.free(painted), "probe"),
            plain.prepare(Faces.free(data.tensor(own)), "gallery"),
        )
        names = data.files[row], data.files[own[int(scores.argmax())]]
        answer = one.explain(*names, fpr=0.5, methods=["gradcam"], occlusion="eyes")
        shares.append(answer.explanations[0].said["columns"]["no FDM"]["regions"]["eyes"])
    record = next(r for r in found["records"] if (r["method"], r["strategy"]) == ("gradcam", "none"))
    assert min(shares) > 0 and record["covered"] == pytest.approx(np.mean(shares), abs=1e-3)
    assert record["area"] == pytest.approx(area)


def test_other_questions_have_other_folders(run):
    words = ("--evaluate", "--occlusion", "eyes", "--method", "gradcam", *FEW)
    folders = [
        evaluated(give("explain", *words, *more, "--run", run, *CPU))
        for more in ((), ("--layer", "layer3"), ("--strategy", "none"), ("--occlusion-source", "oracle"))
    ]
    assert len(set(folders)) == 4 and all((folder / "table.json").is_file() for folder in folders)
    ends = ["", "_layer=layer3", "_strategy=none", "_occlusion-source=oracle"]
    assert all(
        all(part in folder.name for part in end.split("_")) for end, folder in zip(ends, folders, strict=True)
    )
    tables = [json.loads((folder / "table.json").read_text()) for folder in folders]
    assert [len(one["records"]) for one in tables] == [2, 2, 1, 2]
    assert "segmentation" not in tables[3]["inputs"]
    assert [one["records"][0]["method"] for one in tables] == ["gradcam"] * 4


@pytest.mark.parametrize("dictionaries", ["none", "several"])
def test_a_strategy_that_was_given_needs_no_default(own, dictionaries):
    folder = own / "dictionary"
    if dictionaries == "none":
        shutil.rmtree(folder)
    else:
        for name in ("difference", "relative"):
            shutil.copy(folder / "LM2-split.safetensors", folder / f"{name}.safetensors")
    strategy = "none" if dictionaries == "none" else "LM2-split"
    words = ("--evaluate", "--strategy", strategy, "--occlusion", "clean", "--method", "saliency", *FEW)
    found = json.loads((evaluated(give("explain", *words, "--run", own, *CPU)) / "table.json").read_text())
    assert found["config"]["strategies"] == [strategy]


def test_original_photos_are_not_needed(own):
    path = own / "run.json"
    about = json.loads(path.read_text())
    about["settings"].setdefault("eval", {})["align"] = "occluded"
    path.write_text(json.dumps(about))
    said = give(
        "explain", "--evaluate", "--occlusion", "eyes", "--method", "saliency", *FEW, "--run", own, *CPU
    )
    assert evaluated(said).is_dir()
