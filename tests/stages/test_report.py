"""`pdsn report` and `pdsn figures` on a finished run."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from stages.figures import NAMES
from tests.stages.conftest import give

CPU = ("--device", "cpu", "--precision", "fp32")


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


def test_no_face_of_the_run_is_left_with_no_faces(copied):
    said = give("report", copied, "--no-faces", "--out", copied / "plain.html")
    assert said.code == 0, said.err
    text = (copied / "plain.html").read_text()
    pictures = re.findall(r'<img src="[^"]+" alt="([^"]*)"', text)
    # The mean training face behind the masks shows nobody.
    assert len(pictures) == 1 and "mean training" in pictures[0]
    with_faces = (copied / "report.html").read_text()
    assert len(re.findall("<img ", with_faces)) > 20
    assert "Right and wrong" not in text and "Test photos" not in text


def test_pairs_are_told_once_there_are_any(copied):
    asked = give("verify-eval", "--occlusion", "clean", "--run", copied, *CPU)
    assert asked.code == 0, asked.err
    moved = next((copied / "verify-eval/asked").iterdir())
    for path in moved.iterdir():
        shutil.move(path, copied / "verify-eval" / path.name)
    assert give("report", copied).code == 0
    text = (copied / "report.html").read_text()
    assert "Pairs of photos" in text and "Pairs of a clean and a clean photo" in text


def test_several_runs_are_set_side_by_side(copied, finished):
    said = give("report", copied, finished, "--out", copied / "two.html")
    assert said.code == 0, said.err
    text = (copied / "two.html").read_text()
    assert "The runs side by side" in text
    assert f"{copied.name}, no FDM" in text and f"{finished.name}, matched" in text


def test_what_cannot_be_is_one_line(refused, tmp_path, copied):
    assert "holds no run" in refused(1, "report", tmp_path / "nothing")
    assert "is a folder: give a file such as" in refused(1, "report", copied, "--out", tmp_path)
    (copied / "eval/table.json").unlink()
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
        said = give(
            "figures",
            "--figure",
            "gradcam",
            "--strategy",
            "none",
            "--run",
            copied,
            "--out",
            out,
            *words,
            *CPU,
        )
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
