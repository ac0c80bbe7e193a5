"""The page: what it says, and that it needs nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import matplotlib
import pytest
from PIL import Image

from pdsn.occlusion.layouts import example_statistics
from pdsn.occlusion.occluders import CLEAN, SPOKEN, make_occluders
from pdsn.report.figures import new_figure
from pdsn.report.page import Cell, Section, Table, drawing, photograph, write_page
from pdsn.report.results_sections import (
    comparison_section,
    headline,
    painted_section,
    recognition,
)
from pdsn.report.threshold_sections import open_set_section


class Read(HTMLParser):
    """Every tag with its attributes, and the text between."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_headline_says_what_the_table_says(records):
    mean = {"LM2": {"occlusions": ["eyes"], "gain": 0.25, "ci95": [0.1, 0.4]}}
    said = headline(records, "LM2", mean)
    assert "75.0 of 100 photos are named right with the learned masks (LM2), 50.0 without" in said
    assert "nothing covered it is 94.0" in said and "+25.0 (+10.0 to +40.0) points" in said
    alone = headline([r for r in records if r["strategy"] == "none"], "none", {})
    assert "50.0 of 100 photos are named right." in alone and "masks" not in alone


def test_the_headline_is_english(records):
    def said(names, strategy="LM2", **gains):
        table = [
            record | {"occlusion": name, "strategy": record["strategy"].replace("LM2", strategy)}
            for name in names
            for record in records[2:]
        ]
        return headline(table, strategy, gains)

    assert said(["eyes"]).startswith("With a white band over the eyes painted on the face, 75.0 of 100 ")
    assert said(["eyes", "sunglasses"]).startswith("With sunglasses painted on"), (
        "what people wear comes first"
    )
    assert said(["face-mask", "hand"]).startswith("With a face mask or a hand painted on")
    assert said(["face-mask", "scarf", "cap"]).startswith("With a face mask, a scarf or a cap painted on")
    assert said(["eyes-textured", "block:LM1/nose"]).startswith(
        "With eyes-textured or block:LM1/nose painted"
    )
    many = [f"block:LM2-split/{number}" for number in range(7)]
    assert said(many).startswith("With one of 7 kinds of cover painted on")
    mean = {"occlusions": ["forehead", "eyes", "chin"], "gain": 0.25, "ci95": [0.1, 0.4]}
    assert "With a white band over the forehead, eyes or chin, the masks add +25.0 " in said(
        ["hand"], LM2=mean
    )
    # A control's masks were not learned.
    assert " with the learned masks (LM2)" in said(["hand"])
    assert " with the masks (random@LM1)" in said(["hand"], "random@LM1")


def test_what_is_painted_has_a_name_for_sentences():
    asked = set(make_occluders(example_statistics(), 0.57)) - {CLEAN}
    assert set(SPOKEN) == {name for name in asked if not name.endswith(("-textured", "-seen"))}


def test_every_figure_of_the_table_is_there(records):
    section = recognition(records, "LM2")
    table = section.blocks[3]
    assert [cell.text for cell in table.rows[1]] == [
        "eyes", "50.0 (45.0 to 54.0)", "75.0 (70.0 to 79.0)", "+25.0 (-2.0 to +30.0)",
    ]  # fmt: skip
    assert list(table.head) == ["occlusion", "no FDM", "LM2", "LM2 above no FDM"]
    assert [cell.key for cell in table.rows[0]] == [None, 0.95, 0.94, pytest.approx(-0.01)]


def test_columns_and_rows_of_the_table_are_explained_where_they_are_there(records):
    said = recognition(records, "LM2").blocks[2]
    assert "LM2 is the paper's" in said and "have a white band over it" in said and "matched" not in said
    others = [
        record | {"occlusion": "hand", "strategy": record["strategy"].replace("LM2", "matched")}
        for record in records
    ]
    said = recognition(others, "matched").blocks[2]
    assert "masks of matched were learned in the comparison" in said
    assert "LM2" not in said and "white band" not in said


def test_a_rate_that_cannot_be_told_is_said_to_be_so(records):
    blocks = open_set_section(records, []).blocks
    assert blocks[1] == "For 1 % there are too few strangers among the photos to tell."
    assert blocks[2].rows[1][1].text == "30.0 (8.0)"


def test_photos_that_were_painted_before_detection_have_a_section_where_there_are_any(records):
    lost = [record | {"missed": missed} for record, missed in zip(records, (0, 0, 7, 5), strict=True)]
    section = painted_section([*lost, lost[3] | {"strategy": "random"}], "LM2")
    assert section.title == "Photos covered before detection"
    text, table = section.blocks
    assert "At most 7 of 40 were not found" in text
    assert list(table.head) == ["occlusion", "no FDM", "LM2", "LM2 above no FDM"], "nobody else's"
    assert table.rows[1][2].text == "75.0 (70.0 to 79.0)"
    assert painted_section([], "LM2").blocks == []


def test_a_plain_table_has_nothing_to_click(tmp_path):
    rows = [[Cell("a"), Cell("b")]]
    tables = [Table("words", ["one", "two"], rows, plain=True), Table("numbers", ["three", "four"], rows)]
    write_page(tmp_path / "page.html", "t", "l", [Section("s", "S", tables)])
    plain, other = re.findall(r"<table.*?</table>", (tmp_path / "page.html").read_text(), re.DOTALL)
    assert "<button" not in plain and ">two<" in plain and 'class="plain"' in plain
    assert other.count("<button") == 2 and "class=" not in other


def test_a_comparison_shows_differences_to_the_first():
    found = [
        {"rank1": {"clean": {"rate": 0.9, "ci95": [0.8, 0.95]}}},
        {"rank1": {"clean": {"rate": 0.8, "ci95": [0.7, 0.85], "difference": -0.1, "difference_ci95": [-0.2, 0.0]}}},
    ]  # fmt: skip
    (table,) = comparison_section(["a", "b"], found).blocks
    assert [cell.text for cell in table.rows[0]] == ["a", "90.0 (80.0 to 95.0)", ""]
    assert [cell.text for cell in table.rows[1]] == ["b", "80.0 (70.0 to 85.0)", "-10.0 (-20.0 to +0.0)"]


def test_the_page_names_nothing_outside_itself(page):
    text = page.read_text()
    read = Read(text)
    for tag, attributes in read.tags:
        for name in ("src", "href", "srcset", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    assert not re.search(r"url\((?!#)", text) and "@import" not in text


def test_what_is_text_is_no_markup_and_sections_without_content_are_left_out(page):
    text = page.read_text()
    assert "&lt;b&gt;not bold&lt;/b&gt;" in text and "<title>Recognition &amp; more</title>" in text
    assert "Nothing to say" not in text


def test_every_picture_has_a_text_and_every_heading_a_scope(page):
    tags = Read(page.read_text()).tags
    pictures = [attributes for tag, attributes in tags if tag == "img"]
    assert len(pictures) == 3 and all(attributes["alt"] == "a grey ramp" for attributes in pictures)
    drawings = [attributes for _, attributes in tags if attributes.get("role") == "img"]
    assert len(drawings) == 1 and "eyes: no FDM 50.0 %, LM2 75.0 %" in (drawings[0]["aria-label"] or "")
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in tags if tag == "th")


def test_a_drawing_takes_the_colour_of_the_page_and_changes_no_setting():
    before = dict(matplotlib.rcParams)
    pictures = []
    for name in ("one", "other"):
        canvas = new_figure(2, 2)
        axes = canvas.subplots()
        axes.plot([0, 1], [0, 1], label="line")
        axes.set_xlabel("across")
        axes.legend()
        pictures.append(drawing(canvas, "a line", name=name))
    first, second = (picture.content for picture in pictures)
    assert first.startswith("<svg") and first.count("currentColor") > 5 and "#010203" not in first
    assert "<text" in first and "across" in first  # letters stay letters
    ids = [re.findall(r' id="([^"]+)"', svg) for svg in (first, second)]
    assert len(ids[0]) == len(ids[1]) > 10
    assert len({*ids[0], *ids[1]}) == 2 * len(ids[0]), "names of two drawings must differ: they share a page"
    for own, svg in zip(ids, (first, second), strict=True):
        asked = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
        assert asked and asked <= set(own), "what is drawn from a name must be there"
    assert dict(matplotlib.rcParams) == before


def test_a_photograph_is_made_small(tmp_path):
    Image.effect_noise((1600, 400), 60).save(tmp_path / "wide.png")
    picture = photograph(tmp_path / "wide.png", "noise", widest=400)
    assert picture.content.startswith("data:image/jpeg;base64,") and not picture.is_drawing
    assert len(picture.content) < (tmp_path / "wide.png").stat().st_size / 4


def test_cells_are_sorted_by_their_key_or_their_text():
    assert Cell("90.0 (80 to 95)", 0.9).key == 0.9 and Cell("eyes").key is None
