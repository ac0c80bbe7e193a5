"""The table of measured explanations: Markdown, JSON, a line for each photo, and the plot."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from pdsn.explain.evaluation import Measured
from pdsn.report import explanations
from pdsn.report.explanations import HEADINGS, markdown, plot_covered, told, write_explanations
from pdsn.report.results_sections import explanations_section
from pdsn.report.table import DRAFT


def record(method, occlusion, strategy, covered=None, change=None, people=True):
    """Means of twelve photos, of which eleven have a map; what lies on covered pixels and its change as given."""
    made = {
        "method": method,
        "occlusion": occlusion,
        "strategy": strategy,
        "photos": 12,
        "maps": 11,
        "curved": 5,
    }
    clean = covered is None
    values = {
        "covered": covered,
        "bare": None if clean else 0.5,
        "ratio": None if clean else 4 * covered,
        "random": -0.5,
        "other": 0.75,
    }
    if strategy != "none":
        values["change"] = change
    for name, value in values.items():
        interval = None if value is None or not people else [value - 0.25, value + 0.5]
        made |= {name: value, f"{name}_ci95": interval}
    return made | {
        "area": 0.0 if clean else 0.25,
        "deletion": 0.25,
        "insertion": 0.5,
        "deletion_any": 0.375,
        "insertion_any": 0.125,
        "curves": {},
    }


RECORDS = [
    record("saliency", "clean", "none"),
    record("saliency", "clean", "LM2"),
    record("saliency", "eyes", "none", 0.5),
    record("saliency", "eyes", "LM2", 0.25, -0.25),
    record("gradcam", "eyes", "none", 0.125),
    record("gradcam", "eyes", "LM2", 0.375, 0.25),
]
TABLE = {"records": RECORDS, "config": {"probes": 12}}
FILES = ["ann/1.jpg", "ann/2.jpg", "bo,b/1.jpg"]
NAN = float("nan")


def measured(strategy, *shares):
    """Figures of the three photos."""
    known = {
        name: np.array(values, float)
        for name, values in zip(("covered", "bare", "area", "random", "other"), shares, strict=True)
    }
    return Measured("saliency", "eyes", strategy, **known, curves={}, blank=np.isnan(known["covered"]))


MEASURED = [
    measured("none", [0.5, NAN, 1 / 3], [0.25, 0.5, 0.75], [0.125] * 3, [-0.5, NAN, 1], [0, NAN, NAN]),
    measured("LM2", [0.25, 0, 0.125], [0.25, 0.5, 0.75], [0.125] * 3, [0.5, 0.25, 1], [0, 1, 0.5]),
]


def test_shares_are_told_in_per_cent_with_their_intervals():
    assert told(RECORDS[3], "covered") == "25.0 (0.0 to 75.0)"
    assert told(RECORDS[3], "bare") == "50.0 (25.0 to 100.0)"
    assert told(RECORDS[3], "area") == "25.0", "what was painted is no estimate"
    assert told(RECORDS[3], "ratio") == "1.00 (0.75 to 1.50)"
    assert told(RECORDS[3], "change") == "-25.0 (-50.0 to +25.0)"
    assert told(RECORDS[5], "change") == "+25.0 (+0.0 to +75.0)"
    assert told(RECORDS[0], "covered") == told(RECORDS[1], "change") == ""
    assert told(RECORDS[2], "change") == "", "no FDM has no change from itself"
    few = record("saliency", "eyes", "LM2", 0.25, -0.25, people=False)
    assert (told(few, "covered"), told(few, "change"), told(few, "ratio")) == ("25.0", "-25.0", "1.00")


def test_curves_are_told_beside_those_of_any_order_and_likenesses_as_they_are():
    assert told(RECORDS[3], "deletion") == "0.25 (any order 0.38)"
    assert told(RECORDS[3], "insertion") == "0.50 (any order 0.12)"
    assert (told(RECORDS[3], "random"), told(RECORDS[3], "other")) == ("-0.50", "0.75")
    without = RECORDS[3] | dict.fromkeys(("deletion", "insertion", "deletion_any", "insertion_any", "random"))
    assert [told(without, name) for name in ("deletion", "insertion", "random")] == ["", "", ""]


def test_markdown():
    text = markdown(TABLE)
    lines = text.splitlines()
    assert lines[0].startswith("Explanations of the score") and text.endswith("\n")
    assert "12 photos under each occlusion, 5 of them for deletion and insertion" in lines[0]
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(RECORDS) and {line.count("|") for line in table} == {len(HEADINGS) + 5}
    assert table[0].startswith("| method | occlusion | matcher | photos with a map | on what is covered, % |")
    assert table[2].startswith("| saliency | clean | no FDM | 11 of 12 |  | ")
    assert table[5] == (
        "| saliency | eyes | LM2 | 11 of 12 | 25.0 (0.0 to 75.0) | 25.0 | 1.00 (0.75 to 1.50) | 50.0 (25.0 to 100.0) | "
        "-25.0 (-50.0 to +25.0) | 0.25 (any order 0.38) | 0.50 (any order 0.12) | -0.50 | 0.75 |"
    )
    assert [line.split(" | ")[:3] for line in table[2:]] == [
        ["| saliency", "clean", "no FDM"], ["| saliency", "clean", "LM2"],
        ["| saliency", "eyes", "no FDM"], ["| saliency", "eyes", "LM2"],
        ["| gradcam", "eyes", "no FDM"], ["| gradcam", "eyes", "LM2"],
    ]  # fmt: skip


def test_each_photo_has_a_line_and_what_cannot_be_told_is_empty(tmp_path):
    write_explanations(tmp_path, TABLE, MEASURED, FILES)
    with (tmp_path / "probes.csv").open(newline="") as stream:
        head, *lines = list(csv.reader(stream))
    assert head == ["method", "occlusion", "strategy", "file", "covered", "bare", "area", "random", "other"]
    assert [line[:4] for line in lines] == [
        ["saliency", "eyes", strategy, file] for strategy in ("none", "LM2") for file in FILES
    ]
    assert lines[0][4:] == ["0.50000", "0.25000", "0.12500", "-0.50000", "0.00000"]
    assert lines[1][4:] == ["", "0.50000", "0.12500", "", ""]
    assert lines[2][4:] == ["0.33333", "0.75000", "0.12500", "1.00000", ""]


def test_the_pages_section_shows_the_table_and_the_picture(tmp_path):
    write_explanations(tmp_path, TABLE, MEASURED, FILES)
    section = explanations_section(TABLE, tmp_path / "figures/covered.png")
    assert section.title == "Where scores come from"
    _, shown, folded = section.blocks
    (table,) = folded.blocks
    assert shown.content.startswith("data:image/jpeg;base64,") and not table.plain
    assert [cell.text for cell in table.rows[3]][:3] == ["saliency, eyes", "LM2", "25.0 (0.0 to 75.0)"]
    change = list(HEADINGS).index("change") + 2
    assert [row[change].key for row in table.rows] == [None, None, None, -0.25, None, 0.25]
    assert all(len(row) == len(table.head) for row in table.rows)
    assert explanations_section(None, tmp_path).blocks == []


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_is_written_is_whole_and_takes_the_place_of_what_was_there(tmp_path):
    folder = tmp_path / "explain"
    write_explanations(folder, TABLE, MEASURED, FILES)
    wanted = ["figures/covered.png", "probes.csv", "table.json", "table.md"]
    assert files(folder) == wanted and not (folder / DRAFT).exists()
    assert json.loads((folder / "table.json").read_text()) == TABLE
    assert (folder / "table.md").read_text() == markdown(TABLE)
    first = (folder / "figures/covered.png").read_bytes()
    (folder / "figures/old.png").write_bytes(b"of another table")
    write_explanations(folder, {"records": RECORDS[2:4]}, MEASURED[:1], FILES)
    assert files(folder) == wanted and "gradcam" not in (folder / "table.md").read_text()
    assert (folder / "figures/covered.png").read_bytes() != first


def test_a_table_that_was_stopped_leaves_the_old_one(tmp_path, monkeypatch):
    folder = tmp_path / "explain"
    write_explanations(folder, TABLE, MEASURED, FILES)
    before = {name: (folder / name).read_bytes() for name in files(folder)}

    def stopped(*words):
        raise KeyboardInterrupt

    monkeypatch.setattr(explanations, "markdown", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_explanations(folder, {"records": RECORDS[:2]}, MEASURED, FILES)
    assert {name: (folder / name).read_bytes() for name in before} == before
    monkeypatch.undo()
    write_explanations(folder, TABLE, MEASURED, FILES)
    assert files(folder) == sorted(before), "nothing is left of the draft"


def drawn(path, records):
    plot_covered(records, path)
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"), dtype=float)


def test_the_plot_shows_each_method(tmp_path):
    two, one = drawn(tmp_path / "two.png", RECORDS), drawn(tmp_path / "one.png", RECORDS[:4])
    assert two.std() > 5 and one.std() > 5
    assert two.shape[0] > one.shape[0] and two.shape[1] == one.shape[1], "a panel each"
    moved = [*RECORDS[:3], record("saliency", "eyes", "LM2", 0.45, -0.05)]
    other = drawn(tmp_path / "moved.png", moved)
    assert other.shape == one.shape and (other != one).any()


@pytest.mark.parametrize("records", [RECORDS[:2], RECORDS[:1], RECORDS[2:3]])
def test_a_plot_of_nothing_or_of_one_point(tmp_path, records):
    assert drawn(tmp_path / "few.png", records).std() > 1


def test_a_plot_has_what_lies_there_uncovered_only_where_it_is_told(tmp_path):
    known = record("saliency", "eyes", "none", 0.5)
    with_, without = drawn(tmp_path / "a.png", [known]), drawn(tmp_path / "b.png", [known | {"bare": None}])
    assert with_.shape == without.shape and (with_ != without).any()
    more = drawn(tmp_path / "c.png", [known | {"area": 0.4}])
    assert (more != with_).any()
