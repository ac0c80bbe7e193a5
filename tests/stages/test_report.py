"""`pdsn report` and `pdsn figures` on a finished run."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdsn.data.dataset import FaceDataset
from pdsn.explain import explanation
from pdsn.report import papers
from pdsn.report.figures import new_figure
from stages.figures import NAMES
from tests.deploy.conftest import untrained
from tests.stages.conftest import give

__all__ = ["untrained"]

CPU = ("--device", "cpu", "--precision", "fp32")
GRADCAM = ("figures", "--figure", "gradcam", "--strategy", "none", *CPU)


def test_a_run_ends_with_its_page(finished):
    text = (finished / "report.html").read_text()
    for part in ("What it recognises", "With a threshold", "What is found covered", "The masks", "Right and wrong",
                 "Test photos", "How training went", "What was run", "Limits and responsible use"):  # fmt: skip
        assert f">{part}" in text, part
    assert "drawn people" in text
    assert "Pairs of photos" not in text  # nobody asked for them
    assert len(text) < 8 * 2**20


def test_the_page_is_written_again_and_computes_nothing(copied, monkeypatch):
    monkeypatch.setattr("pdsn.run.workspace.Workspace.open", lambda *words: pytest.fail("a run was opened"))
    before = (copied / "report.html").read_text()
    (copied / "report.html").unlink()
    said = give("report", copied)
    assert said.code == 0 and said.out == f"page: {copied / 'report.html'}\n"
    again = (copied / "report.html").read_text()
    assert len(again) == pytest.approx(len(before), rel=0.01)


@pytest.mark.parametrize(("people", "shown"), [(None, False), (19, False), (20, True)])
def test_no_face_of_the_run_is_left_with_no_faces(copied, people, shown):
    data = json.loads((copied / "data/dataset.json").read_text())
    assert data["people"] == 6
    if people is not None:
        (copied / "data/dataset.json").write_text(json.dumps(data | {"people": people}))
    said = give("report", copied, "--no-faces", "--out", copied / "plain.html")
    assert said.code == 0, said.err
    text = (copied / "plain.html").read_text()
    pictures = re.findall(r'<img src="[^"]+" alt="([^"]*)"', text)
    # The mean training face behind the masks shows nobody where it is that of many.
    assert len(pictures) == shown and all("mean training" in one for one in pictures)
    assert (">The masks<" in text) == shown
    with_faces = (copied / "report.html").read_text()
    assert len(re.findall("<img ", with_faces)) > 20
    assert "Right and wrong" not in text and "Test photos" not in text


def headline_of(page: Path) -> str:
    (lead,) = re.findall(r'<p class="lead">(.*?)</p>', page.read_text())
    return lead


def test_a_page_is_about_the_strategy_whose_answers_the_pictures_show(copied):
    path = copied / "eval/table.json"
    table = json.loads(path.read_text())
    assert table["shown"] == "matched"
    assert "(matched)" in headline_of(copied / "report.html")
    examples = json.loads((copied / "eval/figures/examples/examples.json").read_text())
    assert all(set(one["scores"]) == {"no FDM", table["shown"]} for one in examples)
    for shown, said in (("LM2", "(LM2)"), ("none", "")):
        path.write_text(json.dumps(table | {"shown": shown}))
        assert give("report", copied).code == 0
        lead = headline_of(copied / "report.html")
        assert said in lead and "matched" not in lead and ("learned masks" in lead) == bool(said)
    # Tables that were made before it was written down are about their last strategy.
    del table["shown"]
    path.write_text(json.dumps(table))
    assert give("report", copied).code == 0
    assert f"({table['config']['strategies'][-1]})" in headline_of(copied / "report.html")


def made_from_another(name: str, folder: Path) -> Path:
    """As if something had been made anew since the table in a folder was made from it; gives back the table."""
    path = folder / "table.json"
    table = json.loads(path.read_text())
    assert name in table["inputs"]
    table["inputs"][name] = "0" * 64
    path.write_text(json.dumps(table))
    return path


def left_out(run: Path, anchor: str) -> str:
    """All that a section of the page says."""
    pattern = rf'<section id="{anchor}">\s*<h2>[^<]*</h2>\s*<p>([^<]*)</p>\s*</section>'
    (said,) = re.findall(pattern, (run / "report.html").read_text())
    return html.unescape(said)


def painted(run: Path, *, move: bool) -> None:
    """As if photos had been painted before detection: the run's table beside its own, or in its place."""
    folder = run / "eval/align-occluded"
    shutil.copytree(run / "eval", folder)
    table = json.loads((folder / "table.json").read_text())
    table["config"]["align"] = "occluded"
    table["records"][-1]["missed"] = 3
    (folder / "table.json").write_text(json.dumps(table))
    if move:
        for path in [one for one in (run / "eval").iterdir() if one != folder]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_photos_covered_before_detection_are_told_where_there_is_a_table_of_them(copied):
    assert "Photos covered before detection" not in (copied / "report.html").read_text()
    painted(copied, move=False)
    assert give("report", copied).code == 0
    text = (copied / "report.html").read_text()
    assert text.count(">Photos covered before detection<") == 2  # in the list of sections, and its heading
    assert re.search(r"At most 3 of \d+ were not found", text)
    path = made_from_another("segmentation", copied / "eval/align-occluded")
    assert give("report", copied).code == 0
    said = left_out(copied, "painted")
    assert str(path) in said and f"`pdsn eval --align occluded --run {copied}`" in said


def test_a_run_whose_own_table_is_of_these_has_its_page(copied):
    before = headline_of(copied / "report.html")
    painted(copied, move=True)
    (copied / "report.html").unlink()
    said = give("report", copied)
    assert said.code == 0, said.err
    text = (copied / "report.html").read_text()
    assert headline_of(copied / "report.html") == before and ">Right and wrong<" in text
    assert "Photos covered before detection" not in text


def asked_for_pairs(run: Path) -> None:
    """Pairs of clean photos, as the run's own table."""
    asked = give("verify-eval", "--occlusion", "clean", "--run", run, *CPU)
    assert asked.code == 0, asked.err
    moved = next((run / "verify-eval/asked").iterdir())
    for path in moved.iterdir():
        shutil.move(path, run / "verify-eval" / path.name)


def test_pairs_are_told_once_there_are_any(copied, refused):
    asked_for_pairs(copied)
    assert give("report", copied).code == 0
    text = (copied / "report.html").read_text()
    assert ">Pairs of photos<" in text and "Pairs of two clean photos" in text
    # Those of another base are none of this run: the section says so, and the page goes on.
    path = made_from_another("base", copied / "verify-eval")
    assert give("report", copied).code == 0
    said = f"{path} was made from another base than the run has now: make it again with"
    assert left_out(copied, "verification") == f"Left out: {said} `pdsn verify-eval --run {copied}`."
    assert ">How training went<" in (copied / "report.html").read_text()
    assert "another base" in refused(1, "figures", "--figure", "distances", "--run", copied, *CPU)


@pytest.mark.parametrize("wrong", ["pairs", "disk"])
def test_a_run_without_its_page_is_done_all_the_same(copied, tiny, monkeypatch, wrong):
    (copied / "report.html").unlink()
    if wrong == "pairs":
        (copied / "verify-eval").mkdir()
        (copied / "verify-eval/table.json").write_text("{")
    else:
        monkeypatch.setattr("stages.report.main", full)
    said = give("run", "--run", copied, "--config", tiny, *CPU)
    assert said.code == 0, said.err
    assert "no page: " in said.out and "page to look at" not in said.out and "run: done in" in said.out
    assert not (copied / "report.html").exists()


def full(*words, **more):
    raise OSError(28, "No space left on device")


def test_explanations_are_told_once_they_are_measured(copied, refused):
    assert "Where scores come from" not in (copied / "report.html").read_text()
    words = (
        "--evaluate",
        "--occlusion",
        "eyes",
        "--method",
        "layercam",
        "--probes",
        4,
        "--curves",
        2,
        "--steps",
        2,
    )
    said = give("explain", *words, "--run", copied, *CPU)
    assert said.code == 0, said.err
    (moved,) = (copied / "explain/asked").iterdir()
    for path in moved.iterdir():
        shutil.move(path, copied / "explain" / path.name)
    # Its picture is of no face.
    assert give("report", copied, "--no-faces").code == 0
    text = (copied / "report.html").read_text()
    assert text.count(">Where scores come from<") == 2 and "layercam, eyes" in text
    assert len(re.findall(r'<img [^>]*alt="For each method and occlusion', text)) == 1
    (record, _) = json.loads((copied / "explain/table.json").read_text())["records"]
    assert f">{100 * record['covered']:.1f}<" in text
    # Those of other masks are none of this run: the section says so, and the page goes on.
    path = made_from_another("dictionary matched", copied / "explain")
    assert give("report", copied).code == 0
    said = f"{path} was made from another dictionary matched than the run has now: make it again with"
    assert left_out(copied, "explained") == f"Left out: {said} `pdsn explain --evaluate --run {copied}`."
    path.write_text("{")
    line = refused(1, "report", copied)
    assert f"{path} cannot be read" in line and "pdsn explain --evaluate --run" in line


def test_several_runs_are_set_side_by_side(copied, finished):
    said = give("report", copied, finished, "--out", copied / "two.html")
    assert said.code == 0, said.err
    text = (copied / "two.html").read_text()
    assert "The runs side by side" in text
    assert f"{copied.name}, no FDM" in text and f"{finished.name}, matched" in text


def test_what_cannot_be_is_one_line(refused, tmp_path, copied):
    assert "holds no run" in refused(1, "report", tmp_path / "nothing")
    assert "is a folder: give a file such as" in refused(1, "report", copied, "--out", tmp_path)
    # Without its own table a run has no page.
    path = made_from_another("base", copied / "eval")
    assert f"{path} was made from another base" in refused(1, "report", copied)
    path.unlink()
    assert "pdsn eval" in refused(1, "report", copied)


def test_every_figure_is_drawn(copied):
    said = give("figures", "--run", copied, "--strategy", "LM2", *CPU)
    assert said.code == 0, said.err
    there = {path.stem for path in (copied / "figures").glob("*.png")}
    assert there == set(NAMES) - {"distances"}
    assert "left out: distances: " in said.out and "pdsn verify-eval" in said.out
    for path in (copied / "figures").glob("*.png"):
        pixels = np.asarray(Image.open(path).convert("L"))
        assert min(pixels.shape) > 200 and pixels.std() > 10, path


def test_the_gradcam_of_two_runs_stands_side_by_side(copied, finished, tmp_path):
    alone, both = tmp_path / "alone", tmp_path / "both"
    for out, words in ((alone, ()), (both, ("--beside", finished))):
        said = give(*GRADCAM, "--run", copied, "--out", out, *words)
        assert said.code == 0, said.err
        assert [path.name for path in out.iterdir()] == ["gradcam.png"]
    widths = [Image.open(out / "gradcam.png").width for out in (alone, both)]
    assert widths[1] > 1.3 * widths[0]


def test_figures_that_cannot_be_are_one_line(refused, copied, tmp_path):
    assert "--figure cat is unknown" in refused(2, "figures", "--figure", "cat", "--run", copied)
    assert "pdsn verify-eval" in refused(1, "figures", "--figure", "distances", "--run", copied)
    line = refused(2, "figures", "--figure", "labels", "--beside", copied, "--run", copied)
    assert "--beside" in line and "--figure gradcam" in line
    assert "holds no run" in refused(1, "figures", "--run", tmp_path / "nothing")


def test_runs_beside_are_of_the_same_photos_and_each_another_one(
    refused, copied, finished, untrained, tmp_path
):
    words = ("figures", "--figure", "gradcam", "--run", copied, "--out", tmp_path / "out", *CPU)
    line = refused(2, *words, "--beside", untrained)
    assert (
        f"--beside {untrained} is of other photos than {copied}: give runs that were made with the same --data"
        in line
    )
    for beside in ((copied,), (finished, finished), (finished, finished.parent / "." / finished.name)):
        assert "name each run once" in refused(
            2, *words, *(word for one in beside for word in ("--beside", one))
        )
    assert not (tmp_path / "out").exists()


def test_a_map_of_zeros_in_a_figure_is_said_in_words(copied, tmp_path, monkeypatch):
    titles, real = [], explanation.attribution
    monkeypatch.setattr(
        "pdsn.report.figures.save_figure",
        lambda canvas, path: titles.append([axes.get_title() for axes in canvas.axes]),
    )
    for factor in (1, 0):
        monkeypatch.setattr(
            explanation, "attribution", lambda *words, by=factor: (real(*words).abs() + 1) * by
        )
        assert give(*GRADCAM, "--run", copied, "--out", tmp_path / "out").code == 0
    assert titles[0][:2] == ["clean", "no FDM"]
    assert titles[1][:2] == ["clean", "no FDM: 0 everywhere"]


def test_runs_of_the_same_name_are_told_apart(copied, finished, tmp_path, monkeypatch):
    labels = []

    def kept(workspace, explainers):
        labels.append(list(explainers))
        return new_figure(2, 2)

    monkeypatch.setitem(papers.FIGURES, "gradcam", kept)
    namesake = Path(shutil.copytree(finished, tmp_path / "other" / copied.name))
    words = (*GRADCAM, "--run", copied, "--out", tmp_path / "out")
    for beside in ((), (finished,), (namesake,), (namesake, finished)):
        said = give(*words, *(word for one in beside for word in ("--beside", one)))
        assert said.code == 0, said.err
    assert labels == [
        [""],
        [copied.name, finished.name],
        [str(copied), str(namesake)],
        [str(copied), str(namesake), finished.name],
    ]


def test_a_run_without_test_photos_says_so(refused, copied, monkeypatch, tmp_path):
    real = FaceDataset.rows

    def rows(self, which, *more):
        found = real(self, which, *more)
        return found[:0] if which == "test" else found

    monkeypatch.setattr(FaceDataset, "rows", rows)
    words = ("figures", "--run", copied, "--strategy", "none", "--out", tmp_path / "out", *CPU)
    for name in ("labels", "gradcam"):
        line = refused(1, *words, "--figure", name)
        assert "has no test photo of a person with another one: prepare more photos" in line
    # Where all are asked for, the others are drawn.
    said = give(*words)
    assert said.code == 0, said.err
    assert "left out: occluders: " in said.out and (tmp_path / "out/landmarks.png").is_file()
