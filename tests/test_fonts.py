"""Names in pictures: with the letters that they have, or with escapes, never as empty boxes."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, ImageDraw

from pdsn import fonts, pictures
from pdsn.evaluation.answers import Answer
from pdsn.fonts import ESCAPES, lettering
from pdsn.report.probes import plot_probes


def make_font(path: Path, letters: str) -> str:
    """A font whose letters are bars, each twice as high as the one before."""
    glyphs = {".notdef": 0} | {f"u{ord(letter):04X}": 0 for letter in letters}
    build = FontBuilder(1000)
    build.setupGlyphOrder(list(glyphs))
    build.setupCharacterMap({ord(letter): f"u{ord(letter):04X}" for letter in letters})
    drawn = {}
    for place, name in enumerate(glyphs):
        pen = TTGlyphPen(None)
        for corner, to in enumerate([(0, 0), (0, 2 + place), (400, 2 + place), (400, 0)]):
            (pen.lineTo if corner else pen.moveTo)(to)
        pen.closePath()
        drawn[name] = pen.glyph()
    build.setupGlyf(drawn)
    build.setupHorizontalMetrics(dict.fromkeys(glyphs, (500, 0)))
    build.setupHorizontalHeader(ascent=800, descent=-200)
    build.setupOS2()
    build.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    build.setupPost()
    build.save(str(path))
    return str(path)


@pytest.fixture
def system(monkeypatch, tmp_path):
    """Says which fonts this machine has."""

    def have(*files: str) -> None:
        monkeypatch.setattr(fonts, "_system_fonts", lambda: files)
        lettering.cache_clear()

    yield have
    lettering.cache_clear()


def test_the_system_s_font_is_taken_for_letters_that_ours_lacks(system, tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    alone = make_font(tmp_path / "alone.ttf", "王明")  # nothing else could be written in it
    some = make_font(tmp_path / "some.ttf", "王 " + "".join(ESCAPES))
    whole = make_font(tmp_path / "whole.ttf", "王明 Z" + "".join(ESCAPES))
    system(str(tmp_path / "broken.ttf"), str(tmp_path / "gone.ttf"), alone, some, whole)
    assert lettering("王明 Z") == ("王明 Z", whole)
    assert lettering("王") == ("王", some)
    text, font = lettering("Zoë Łukasz")
    assert text == "Zoë Łukasz" and Path(font).name == "DejaVuSans.ttf"


def test_letters_without_any_font_are_escapes(system):
    system()
    assert lettering("Wang 王")[0] == "Wang U+738B"
    assert lettering("two\nlines")[0] == "twoU+000Alines"
    assert lettering("\udc80")[0] == "U+DC80"


def test_the_fonts_of_this_machine_are_listed_without_boxes():
    listed = fonts._system_fonts()
    assert listed and not any("LastResort" in file for file in listed)
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("name", ["王小明", "a\nb", "$x_$ and $y", "😀" * 60])
def test_pictures_show_any_name_and_no_box(system, dataset, tmp_path, name):
    system()
    sheet = Image.new("RGB", (300, 40), "white")
    pictures.write(ImageDraw.Draw(sheet), (2, 2), name, (0, 0, 0), 14, 280)
    drawn = np.asarray(sheet)
    assert (drawn < 128).any() and (drawn[:, 290:] == 255).all(), "it fits"
    if lettering(name)[0] != name:
        plain = Image.new("RGB", (300, 40), "white")
        pictures.write(ImageDraw.Draw(plain), (2, 2), lettering(name)[0], (0, 0, 0), 14, 280)
        assert np.array_equal(np.asarray(plain), drawn)
    named = replace(dataset, people=[name, *dataset.people[1:]])
    rows = dataset.rows("test")[:4]
    count = len(rows)
    ones, nothing = np.ones(count, int), np.zeros(count)
    answer = Answer(
        "eyes", "LM2", rows, np.zeros(count, int), ones, ones, rows, nothing, nothing, {}, np.zeros((count, 2)),
        [[]] * count, 0.1,
    )  # fmt: skip
    covered = torch.zeros((count, *dataset.size), dtype=torch.bool)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of each letter that it has no drawing of
        plot_probes(named, answer, None, dataset.tensor(rows), covered, None, tmp_path / "probes.png")
    assert (tmp_path / "probes.png").is_file()
