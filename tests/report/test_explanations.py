"""The table of measured explanations: Markdown, JSON and the plot."""

import json

import numpy as np
import pytest
from PIL import Image

from pdsn.report import explanations
from pdsn.report.explanations import markdown, plot_focus, rounded, rows_of, write_explanations
from pdsn.report.table import DRAFT


def record(method, occlusion, strategy, focus=None, change=None):
    """Means and intervals of twelve photos; focus and its change as given."""
    made = {"method": method, "occlusion": occlusion, "strategy": strategy, "photos": 12}
    values = {"focus": focus, "deletion": 0.25, "insertion": 0.5, "random": -0.5}
    if strategy != "none":
        values["focus_change"] = change
    for name, value in values.items():
        interval = None if value is None else [value - 0.25, value + 0.5]
        made |= {name: value, f"{name}_ci95": interval}
    return made


RECORDS = [
    record("saliency", "clean", "none"),
    record("saliency", "clean", "LM2"),
    record("saliency", "eyes", "none", 1.5),
    record("saliency", "eyes", "LM2", 0.75, -0.75),
    record("gradcam", "eyes", "none", 1.0),
    record("gradcam", "eyes", "LM2", 1.25, 0.25),
]
TABLE = {"records": RECORDS, "config": {"probes": 12}}


def test_figures_come_with_their_intervals():
    assert rounded(RECORDS[3], "focus") == "0.75 (0.50 to 1.25)"
    assert rounded(RECORDS[3], "random") == "-0.50 (-0.75 to 0.00)"
    assert rounded(RECORDS[3], "focus_change") == "-0.75 (-1.00 to -0.25)"
    assert rounded(RECORDS[5], "focus_change") == "+0.25 (+0.00 to +0.75)"
    assert rounded(RECORDS[0], "focus") == rounded(RECORDS[1], "focus_change") == ""
    assert rounded(RECORDS[2], "focus_change") == "", "no FDM has no change from itself"


def test_there_is_a_row_for_each_record():
    head, rows = rows_of(RECORDS)
    assert head[:3] == ["method", "occlusion", "matcher"] and all(len(row) == len(head) == 8 for row in rows)
    assert [row[:3] for row in rows] == [
        ["saliency", "clean", "no FDM"], ["saliency", "clean", "LM2"],
        ["saliency", "eyes", "no FDM"], ["saliency", "eyes", "LM2"],
        ["gradcam", "eyes", "no FDM"], ["gradcam", "eyes", "LM2"],
    ]  # fmt: skip
    assert [row[3] for row in rows[:4]] == ["", "", "1.50 (1.25 to 2.00)", "0.75 (0.50 to 1.25)"]
    assert [row[7] for row in rows[:4]] == ["", "", "", "-0.75 (-1.00 to -0.25)"]
    assert rows[0][4:7] == ["0.25 (0.00 to 0.75)", "0.50 (0.25 to 1.00)", "-0.50 (-0.75 to 0.00)"]


def test_markdown():
    text = markdown(TABLE)
    lines = text.splitlines()
    assert lines[0].startswith("Explanations of 12 photos under each occlusion") and text.endswith("\n")
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(RECORDS) and {line.count("|") for line in table} == {9}
    assert table[5] == (
        "| saliency | eyes | LM2 | 0.75 (0.50 to 1.25) | 0.25 (0.00 to 0.75) | 0.50 (0.25 to 1.00) | "
        "-0.50 (-0.75 to 0.00) | -0.75 (-1.00 to -0.25) |"
    )


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_is_written_is_whole_and_takes_the_place_of_what_was_there(tmp_path):
    folder = tmp_path / "explain"
    write_explanations(folder, TABLE)
    wanted = ["figures/focus.png", "table.json", "table.md"]
    assert files(folder) == wanted and not (folder / DRAFT).exists()
    assert json.loads((folder / "table.json").read_text()) == TABLE
    assert (folder / "table.md").read_text() == markdown(TABLE)
    first = (folder / "figures/focus.png").read_bytes()
    (folder / "figures/old.png").write_bytes(b"of another table")
    write_explanations(folder, {"records": RECORDS[2:4]})
    assert files(folder) == wanted and "gradcam" not in (folder / "table.md").read_text()
    assert (folder / "figures/focus.png").read_bytes() != first


def test_a_table_that_was_stopped_leaves_the_old_one(tmp_path, monkeypatch):
    folder = tmp_path / "explain"
    write_explanations(folder, TABLE)
    before = {name: (folder / name).read_bytes() for name in files(folder)}

    def stopped(*words):
        raise KeyboardInterrupt

    monkeypatch.setattr(explanations, "markdown", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_explanations(folder, {"records": RECORDS[:2]})
    assert {name: (folder / name).read_bytes() for name in before} == before
    monkeypatch.undo()
    write_explanations(folder, TABLE)
    assert files(folder) == sorted(before), "nothing is left of the draft"


def drawn(path, records):
    plot_focus(records, path)
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"), dtype=float)


def test_the_plot_shows_each_method(tmp_path):
    two, one = drawn(tmp_path / "two.png", RECORDS), drawn(tmp_path / "one.png", RECORDS[:4])
    assert two.std() > 5 and one.std() > 5
    assert two.shape[0] > one.shape[0] and two.shape[1] == one.shape[1], "a panel each"
    moved = [*RECORDS[:3], record("saliency", "eyes", "LM2", 1.4, -0.1)]
    other = drawn(tmp_path / "moved.png", moved)
    assert other.shape == one.shape and (other != one).any()


@pytest.mark.parametrize("records", [RECORDS[:2], RECORDS[:1], RECORDS[2:3]])
def test_a_plot_of_nothing_or_of_one_point(tmp_path, records):
    assert drawn(tmp_path / "few.png", records).std() > 1


def test_intervals_that_lie_beside_the_mean_are_drawn(tmp_path):
    odd = record("saliency", "eyes", "none", 1.0)
    odd["focus_ci95"] = [1.1, 1.2]
    assert drawn(tmp_path / "odd.png", [odd]).std() > 1
