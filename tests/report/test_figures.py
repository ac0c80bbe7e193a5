"""The curves of a training."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from pdsn.report.figures import draw_training, metrics_of, new_figure, plot_table

ROWS = [
    {"epoch": 1, "loss": 3.0, "seconds": 2.0},
    {"epoch": 2, "loss": 2.0, "val_loss": 2.5, "val_rank1": 0.4},
    {"epoch": 3, "val_loss": 2.2, "val_rank1": 0.6},
]


def drawn(rows, figure=""):
    """By axes, left first: the points of each line, and the label of the y axis."""
    canvas = new_figure(3, 2)
    draw_training(canvas.subplots(), rows, figure, "rank-1")
    return [
        ([list(zip(*line.get_data(), strict=True)) for line in axes.lines], axes.get_ylabel())
        for axes in canvas.axes
    ]


def test_losses_share_an_axis_and_the_figure_has_its_own():
    training, validation = [(1, 3.0), (2, 2.0)], [(2, 2.5), (3, 2.2)]
    losses = ([training, validation], "loss")
    assert drawn(ROWS) == [losses]
    assert drawn(ROWS, "val_rank1") == [losses, ([[(2, 0.4), (3, 0.6)]], "rank-1")]


def test_one_epoch_alone_is_a_dot_and_epochs_are_whole():
    for rows, marker in ((ROWS[:1], "o"), (ROWS, "")):
        axes = new_figure(3, 2).subplots()
        draw_training(axes, rows)
        assert axes.lines[0].get_marker() == marker
        assert all(float(place).is_integer() for place in axes.get_xticks())


@pytest.mark.parametrize("figure", ["", "val_rank1"])
def test_what_was_not_taken_is_not_drawn(figure):
    assert drawn(ROWS[:1], figure) == [([[(1, 3.0)]], "training loss")]


def test_each_training_of_a_run_has_its_rows(tmp_path):
    for name, rows in (("base", ROWS), ("masks/LM2/eyes", ROWS[:1]), ("head", [])):
        (tmp_path / name).mkdir(parents=True)
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / name / "metrics.jsonl").write_text(text)
    assert metrics_of(tmp_path) == {"base": ROWS, "masks/LM2/eyes": ROWS[:1]}


@pytest.mark.parametrize("count", [1, 8, 9, 20, 30])
def test_the_picture_of_a_table_fits_a_screen(count, tmp_path):
    records = [
        {"occlusion": f"occlusion {row}", "strategy": name, "rank1": 0.9, "ci95": [0.8, 1.0]}
        for row in range(count)
        for name in ("none", "LM2", "matched")
        if (row, name) != (0, "LM2")
    ]
    plot_table(records, tmp_path / "table.png")
    with Image.open(tmp_path / "table.png") as picture:
        assert picture.width <= 1600 and picture.height > 250 * -(-count // 8)
