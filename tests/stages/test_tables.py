"""Every table is whole in a pipe of 80 columns: what was printed is read back and compared cell by cell."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from pdsn.masks.makers import MAKERS
from pdsn.masks.strategy import parse
from pdsn.occlusion.layouts import LAYOUTS
from stages import build_dictionary, evaluated, named, prepare
from stages.tables import print_open_set, print_rank1, print_table
from tests.people.photos import save_photo
from tests.stages.conftest import give

STRATEGIES = ["none", "grid3x3", "LM1", "LM2", "matched", "random", "geometric", "difference", "relative"]
HEADS = [*STRATEGIES[1:5], *(f"{name} (control)" for name in STRATEGIES[5:])]
"""How the columns of those with masks are called."""
OCCLUSIONS = [
    "clean", "nose+mouth+chin", "sunglasses-seen", "forehead-textured", "nose+mouth+chin-textured",
]  # fmt: skip
WIDTHS = pytest.mark.parametrize("width", [80, 100])


def read_tables(text: str, width: int, *, one_row: bool = False) -> list[list[list[str]]]:
    """The tables in some output: rows of cells, headings first, each cell without its spaces and line breaks.

    Rows are ruled off where a cell is wrapped, but for a single one.
    """
    tables = []
    for drawn in re.findall(r"^┏.*?^└[^\n]*$", text, re.MULTILINE | re.DOTALL):
        lines = drawn.splitlines()
        assert max(map(cell_len, lines)) <= width
        head, body = "\n".join(lines[1:-1]).replace("┃", "│").split("┡")
        body = body.partition("\n")[2]
        parts = re.split(r"├.*\n", body) if "├" in body or one_row else body.splitlines()
        tables.append([_join_lines(part) for part in (head, *parts)])
    return tables


def _join_lines(row: str) -> list[str]:
    lines = [["".join(cell.split()) for cell in line.strip("│").split("│")] for line in row.splitlines()]
    return ["".join(cells) for cells in zip(*lines, strict=True)]


def squeezed(rows: Any) -> list[list[str]]:
    return [["".join(str(cell).split()) for cell in row] for row in rows]


def joined(tables: list[list[list[str]]]) -> list[list[str]]:
    """Blocks below each other as the one table that they are of."""
    rows = [list(row) for row in tables[0]]
    for block in tables[1:]:
        assert [row[0] for row in block] == [row[0] for row in rows], "the first column is repeated"
        rows = [row + more[1:] for row, more in zip(rows, block, strict=True)]
    return rows


def console(width: int) -> Console:
    return Console(file=StringIO(), width=width)


def printed(made: Console) -> str:
    text = made.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in text
    return text


def records() -> list[dict[str, Any]]:
    return [
        {"occlusion": occlusion, "strategy": name, "rank1": 1.0 if row == 0 else (row + place) / 20, "probes": 560}
        | ({} if name == "none" else {"gain": place / 50 - 0.1, "gain_ci95": (place / 50 - 0.2, place / 50)})
        for row, occlusion in enumerate(OCCLUSIONS)
        for place, name in enumerate(STRATEGIES)
    ]  # fmt: skip


@WIDTHS
def test_rank_1_and_gains_of_eight_strategies(width):
    made = console(width)
    print_rank1(made, records(), "Rank-1, % of 560 test photos")
    rates, gains = printed(made).split("Gain over no FDM")
    by = {(r["occlusion"], r["strategy"]): r for r in records()}
    expected = [[name, *(f"{100 * by[name, s]['rank1']:.1f}" for s in STRATEGIES)] for name in OCCLUSIONS]
    head = ["occlusion", "no FDM", *HEADS]
    assert joined(read_tables(rates, width)) == squeezed([head, *expected])
    expected = [
        [name]
        + [
            f"{100 * r['gain']:+.1f} ({100 * r['gain_ci95'][0]:+.1f} to {100 * r['gain_ci95'][1]:+.1f})"
            for r in (by[name, s] for s in STRATEGIES[1:])
        ]
        for name in OCCLUSIONS
    ]
    assert joined(read_tables(gains, width)) == squeezed([["occlusion", *HEADS], *expected])
    # A figure is never broken, here as in any block.
    assert all(f" {cell} " in gains for row in expected for cell in row[1:])


@WIDTHS
def test_open_set_rates_of_eight_strategies_with_what_was_achieved(width):
    made, rows = console(width), records()
    for number, record in enumerate(rows):
        record |= {"tpir10": number / 200, "fpir10": 0.1 + number / 2000, "tpir01": None, "fpir01": None}
    print_open_set(made, rows)
    said, _, rates = printed(made).partition("Open set, 10 % of strangers named asked for")
    assert said.strip() == "Open set at 1 %: too few calibration photos to tell"
    by = {(r["occlusion"], r["strategy"]): r for r in rows}
    expected = [
        [
            name,
            *(f"{100 * by[name, s]['tpir10']:.1f} ({100 * by[name, s]['fpir10']:.1f})" for s in STRATEGIES),
        ]
        for name in OCCLUSIONS
    ]
    assert joined(read_tables(rates, width)) == squeezed([["occlusion", "no FDM", *HEADS], *expected])


def test_a_table_that_fits_is_one_block():
    made = console(200)
    print_rank1(made, [r for r in records() if r["strategy"] in ("none", "LM2")], "Rank-1")
    assert [len(table[0]) for table in read_tables(printed(made), 200)] == [3, 2]


def test_no_gains_no_second_table():
    made = console(80)
    print_rank1(made, [r for r in records() if r["strategy"] == "none"], "Rank-1")
    assert "Gain" not in printed(made)


@WIDTHS
def test_the_segmentation(width):
    found = [
        {"occlusion": name, "iou": 0.987, "pixel_accuracy": 1.0, "triggered": 0.5, "triggered_exact": None}
        for name in OCCLUSIONS
    ]
    made = console(width)
    evaluated._show_segmentation(SimpleNamespace(console=made), found)
    rows = [[name, "0.987", "100.0 %", "50.0 %", "-"] for name in OCCLUSIONS]
    head = ["occlusion", "foreground IoU", "pixel accuracy", "region covered", "by the exact mask"]
    assert joined(read_tables(printed(made), width)) == squeezed([head, *rows])


@WIDTHS
def test_the_dictionaries(width):
    bands = ["forehead-left", "forehead-right", "eyes-left", "eyes-right", "chin-left", "chin-right"]
    report = {
        "config": {"regions": bands, "percentile": 30.0},
        "kept": 0.7,
        "landmarks_inside": dict.fromkeys(bands, 0.999),
    }
    made = console(width)
    about = SimpleNamespace(console=made, strategy=lambda name: parse(name, "LM2", MAKERS, LAYOUTS))
    build_dictionary._show(about, {"LM2-split": report, "difference": report})
    inside = ", ".join(f"{band} 99.9 %" for band in bands)
    head = ["dictionary", "regions", "percentile", "kept", "landmarks in their region"]
    rows = [["LM2-split", 6, 30, "70.0 %", inside], ["difference", 6, 30, "70.0 %", "those of LM2"]]
    assert joined(read_tables(printed(made), width)) == squeezed([head, *rows])


LONG = "Maximiliane_Anastasia_Konstantinopolitanska_von_und_zu_Hohenlohe-Langenburg_the_Elder_of_that_Name"


@WIDTHS
@pytest.mark.parametrize("name", ["Ann [b] Lee", "Karl-Theodor_Maria_Nikolaus", LONG])
def test_identify_with_long_names_and_a_long_path(width, name, tmp_path):
    made = console(width)

    def say(text: str) -> None:
        made.print(text, highlight=False, soft_wrap=True)

    face = SimpleNamespace(
        person=name, cosine=0.8123, threshold=0.4, covered=["forehead", "nose", "mouth", "chin"],
        nearest=[SimpleNamespace(person=name, cosine=0.81), SimpleNamespace(person="Bob", cosine=0.5)],
    )  # fmt: skip
    path = tmp_path / "a-long-folder-name" / "another-one-that-is-longer-still" / "photo-of-the-meeting.jpg"
    answer = SimpleNamespace(faces=[face], photo=SimpleNamespace(path=path))
    session = SimpleNamespace(console=made, say=say)
    named.show_photo(session, answer, path.with_suffix(".png"), 0.01, "none")
    head = ["face", "person", "cosine (threshold)", "covered", "nearest people"]
    row = [1, name, "0.812 (0.400)", "forehead, nose, mouth, chin", f"{name} 0.81 Bob 0.50"]
    text = printed(made)
    assert joined(read_tables(text, width, one_row=True)) == squeezed([head, row])
    assert f"{path}: 1 face, compared by no FDM, known where at most 1 % of strangers pass\n" in text
    assert f"picture: {path.with_suffix('.png')}\n" in text
    # A neighbour and its cosine are one line, wherever that fits.
    assert "Bob 0.50 " in text and (f"{name} 0.81 " in text or name == LONG)


@WIDTHS
def test_identify_of_several_photos_is_one_table_with_a_line_for_each_face(width):
    def face(person, nearest, cosine):
        return SimpleNamespace(
            person=person, cosine=cosine, threshold=0.4, covered=["nose", "mouth", "chin"],
            nearest=[SimpleNamespace(person=nearest, cosine=cosine)],
        )  # fmt: skip

    long = "Arnold_Schwarzenegger"
    photos = {
        "door/Arnold_Schwarzenegger-with-a-face-mask.jpg": [face(long, long, 0.81)],
        "door/in/two [b].jpg": [face(None, long, 0.25), face("Ann Lee", "Ann Lee", 0.9)],
    }
    several = named.Several([Path(name) for name in photos])
    for name, faces in photos.items():
        answer = SimpleNamespace(faces=faces, photo=SimpleNamespace(path=Path(name)))
        several.add(answer, Path("out/a.png"))
    made = console(width)
    session = SimpleNamespace(
        console=made, say=lambda text: made.print(text, highlight=False, soft_wrap=True)
    )
    several.show(session, 0.01, "matched", 3)
    text = printed(made)
    (found,) = read_tables(text, width)
    assert found == squeezed([
        ["photo", "person", "cosine (threshold)", "covered"],
        ["Arnold_Schwarzenegger-with-a-face-mask.jpg", long, "0.810 (0.400)", "nose, mouth, chin"],
        ["in/two [b].jpg, face 1", f"unknown, nearest {long}", "0.250 (0.400)", "nose, mouth, chin"],
        ["in/two [b].jpg, face 2", "Ann Lee", "0.900 (0.400)", "nose, mouth, chin"],
    ])  # fmt: skip
    assert text.startswith("door: compared by matched, known where at most 1 % of strangers pass\n")
    assert text.endswith("pictures: out\n2 photos, 3 faces: 2 named, 1 unknown; 3 failed\n")
    assert f" {long} " in text and re.search(r"│ Arnold\S*[_-] +│", text), (
        "files are broken where a part ends"
    )


@WIDTHS
def test_photos_left_out_with_a_long_path(width, tmp_path, monkeypatch):
    from tests.conftest import make_dataset

    file = f"{LONG}/holiday-in-the-mountains-with-everybody-2019-07-31-at-noon.jpg"
    made = SimpleNamespace(
        dataset=make_dataset(tmp_path / "set"), reused=True, people_kept=6, people_dropped=0, photos=80, seconds=1.0,
        skipped=[(file, "no face found"), ("x/y.jpg", "duplicate of x/z.jpg")], outdated=False, people_without=[],
        several=0, turned=0,
    )  # fmt: skip
    monkeypatch.setattr("pdsn.data.prepare.prepare_photos", lambda *_, **__: made)
    out = console(width)
    monkeypatch.setattr(prepare, "Console", lambda: out)
    prepare.prepare(
        tmp_path,
        tmp_path / "set",
        prepare.PrepareConfig(),
        _OneProcess(),
        force=False,
    )
    rows = [["no face found", 1, file], ["duplicate", 1, "x/y.jpg"]]
    head = ["reason", "left out", "for example"]
    assert joined(read_tables(printed(out), width)) == squeezed([head, *rows])


class _OneProcess:
    is_main_process, device = True, "cpu"

    def main_process_first(self):
        from contextlib import nullcontext

        return nullcontext()


@pytest.mark.parametrize("width", [20, 40, 80])
def test_nothing_is_lost_where_nothing_fits(width):
    made = console(width)
    rows = [[LONG, "1234567", "日本語の名前" * 5], ["", "", "[/red]"]]
    print_table(made, ["a long heading", "figure", "words"], rows, text=["words"])
    expected = squeezed([["a long heading", "figure", "words"], *rows])
    assert joined(read_tables(printed(made), width)) == expected


@WIDTHS
def test_what_run_prints_at_the_end_and_on_the_way(copied, tiny, width):
    said = give(
        "run", "--run", copied, "--config", tiny, "--device", "cpu", "--precision", "fp32", columns=width
    )
    assert said.code == 0, said.err
    assert "…" not in said.out
    tables = read_tables(said.out, width)
    heads = [cell for table in tables for cell in table[0]]
    table = json.loads((copied / "eval/table.json").read_text())
    words = ("region", "withthemask", "landmarksintheirregion", "foregroundIoU", "noFDM", "matched")
    assert all(word in heads for word in words)
    # The preferred strategy beside no FDM, and no other; the rest is in a file.
    (short,) = (rows for rows in tables if rows[0][0] == "occlusion" and "noFDM" in rows[0])
    by = {(record["occlusion"], record["strategy"]): record for record in table["records"]}
    assert short[0] == ["occlusion", "noFDM", "matched", "gain,95%interval"]
    for name, plain, ours, gain in short[1:]:
        assert plain == f"{100 * by[name, 'none']['rank1']:.1f}"
        assert ours == f"{100 * by[name, 'matched']['rank1']:.1f}"
        assert gain.startswith(f"{100 * by[name, 'matched']['gain']:+.1f}(")
    assert len(short) - 1 == len({record["occlusion"] for record in table["records"]})
    assert f"every strategy, and rates with strangers: {copied / 'eval/table.md'}\n" in said.out
    assert "matched: rank-1 " in said.out and "│ matched  │ all" not in said.out
    said = give(
        "eval", "--run", copied, "--config", tiny, *("--device", "cpu", "--precision", "fp32"), columns=width
    )
    heads = {cell for rows in read_tables(said.out, width) for cell in rows[0]}
    assert {"LM2", "matched", "random(control)", "difference(control)"} <= heads


def test_what_identify_export_and_segment_train_print(copied, tmp_path, monkeypatch):
    width = 80
    from pdsn import api
    from pdsn.data.dataset import FaceDataset
    from tests.people.photos import PlainDetector

    monkeypatch.setattr(api, "Detector", PlainDetector)
    drawn = FaceDataset.load(copied / "data")
    photo = save_photo(tmp_path / "a-photo.png", drawn.faces[0])
    common = ("--run", copied, "--device", "cpu", "--precision", "fp32")
    said = give(
        "identify", photo, *common, "--occlusion-source", "none", "--no-draw", "--fpr", "0.2", columns=width
    )
    assert said.code == 0 and "…" not in said.out, said.err
    rows = joined(read_tables(said.out, width, one_row=True))
    assert rows[0] == ["face", "person", "cosine(threshold)", "covered", "nearestpeople"]
    assert (
        all(person in rows[1][-1] for person in drawn.people[:1])
        and len(re.findall(r"\.\d\d", rows[1][-1])) == 5
    )
    pytest.importorskip("onnxruntime")
    said = give("export", "--onnx", tmp_path / "exported", "--run", copied, columns=width)
    assert said.code == 0 and "…" not in said.out, said.err
    (rows,) = read_tables(said.out, width)
    assert [row[0] for row in rows] == ["file", "trunk.onnx", "head.onnx", "segmenter.onnx"]
    assert Path(tmp_path / "exported/MODEL_CARD.md").is_file()
