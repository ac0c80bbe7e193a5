"""The parts of a run's page that tell how it was made: read from its files, nothing is computed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdsn.explain.examples import EXAMPLES
from pdsn.report.figures import draw_training, metrics_of, new_figure
from pdsn.report.page import Block, Cell, Folded, Gallery, Picture, Section, Table, drawing, photograph

if TYPE_CHECKING:
    from pdsn.run.directory import RunDir

FEW_PEOPLE = 20
"""People below whom the mean face is left out with all others."""
COMMAND_HEAD = ("time, UTC", "command", "revision of pdsn", "device, precision")
VALIDATED = ("val_rank1", "val_iou", "val_accuracy")
"""Figures of validation that a training may have taken, the first one there is drawn."""


def what_was_run(run: RunDir, table: dict[str, Any], *, drawn: bool) -> Section:
    """Data, seed, versions, settings, and every command; `drawn` says that the people are the drawn ones."""
    about = run.about
    described = run.data_set(about["data"]) / "dataset.json"
    data = json.loads(described.read_text(encoding="utf-8")) if described.is_file() else {}
    people = "photos that are gone"
    if "faces" in data:
        people = f"{data['faces']} photos of {data['people']} people"
    split, which = table["config"]["split_by"], table["config"]["split"]
    kind = {"test": "test", "val": "validation"}[which]
    whom = (
        "people that nothing was trained on"
        if split == "person"
        else "people whose other photos were trained on"
    )
    facts = [
        ("data", "drawn people, a demonstration" if drawn else Path(about["data"]).name),
        ("size", people),
        ("asked about", f"{table['records'][0]['probes']} {kind} photos of {whom}"),
        ("preset", about["preset"]),
        ("seed", str(table["config"]["seed"])),
        ("pdsn", table["pdsn"]),
        ("libraries", ", ".join(f"{name} {version}" for name, version in table["libraries"].items())),
    ]
    rows = [[Cell(name), Cell(value)] for name, value in facts]
    commands = [
        [
            Cell(one["time"][:16].replace("T", " ")),
            Cell(one["command"]),
            Cell(f"{one.get('revision') or 'unknown'}"),
            Cell(f"{one['device']}, {one['precision']}"),
        ]
        for one in about["history"]
    ]
    settings = [
        [Cell(f"{section}.{name}" if name else section), Cell(json.dumps(value))]
        for section, values in about.get("in_use", {}).items()
        for name, value in (values.items() if isinstance(values, dict) else [("", values)])
    ]
    return Section(
        "made-of",
        "What was run",
        [
            Table("The run", ["what", "value"], rows, plain=True),
            Folded(f"The {len(commands)} commands", [Table("In order", COMMAND_HEAD, commands, plain=True)]),
            Folded(
                f"All {len(settings)} settings",
                [Table("In force", ["setting", "value"], settings, plain=True)],
            ),
        ],
    )


def trainings(run: RunDir) -> Section:
    """Loss and validation of everything that was trained."""
    pictures = [_curve(rows, what) for what, rows in metrics_of(run.root).items()]
    return Section("training", "How training went", [Gallery(pictures)] if pictures else [])


def masks(run: RunDir, strategy: str, *, faces: bool) -> Section:
    """What each mask keeps, by region; the picture stands on the mean training face, which is somebody's where people are few."""
    picture = run.dictionary(strategy).with_suffix(".png")
    described = run.data_set(run.about["data"]) / "dataset.json"
    people = json.loads(described.read_text(encoding="utf-8")).get("people", 0) if described.is_file() else 0
    if not picture.is_file() or not (faces or people >= FEW_PEOPLE):
        return Section("masks", "The masks", [])
    text = (
        f"For each region, the share of the features that the mask of {strategy} keeps at each cell of the map, on the mean "
        "training face."
    )
    return Section(
        "masks",
        "The masks",
        [
            "When a region is covered, its mask leaves out the features that such a cover spoils. The scale says what share of "
            "its features each cell keeps. The face is the mean of all training faces.",
            photograph(picture, text, f"Masks of {strategy}"),
        ],
    )


def examples(folder: Path) -> Section:
    """The surest right and wrong answers, with where the score comes from."""
    about = folder / "figures" / EXAMPLES / "examples.json"
    if not about.is_file():
        return Section("examples", "Right and wrong", [])
    found = json.loads(about.read_text(encoding="utf-8"))
    blocks: list[Block] = [
        "The covered photos that were named right most surely, and those that were named wrong most surely: the photo, the "
        "enrolled photo that it was found nearest to, and where the score comes from. What was found covered is tinted. Cosine is "
        "how alike two faces are, 1 at most. In the maps (LayerCAM) yellow cells raise the score, without the masks and with them; the last "
        "one shows the share of the features that the masks leave out.",
    ]
    titles = {"best": "Named right", "worst": "Named wrong"}
    for kind, title in titles.items():
        pictures = [_example(about.parent, one) for one in found if one["kind"] == kind]
        if pictures:
            blocks += [f"{title}:", Gallery(pictures)]
    return Section("examples", "Right and wrong", blocks)


def probes(folder: Path) -> Section:
    """A sheet of probes under each occlusion."""
    sheets = sorted((folder / "figures").glob("probes-*.png"))
    pictures: list[Block] = [
        Folded(
            path.stem.removeprefix("probes-"),
            [
                photograph(
                    path,
                    f"Test photos under {path.stem.removeprefix('probes-')}, each beside the nearest enrolled photo",
                )
            ],
        )
        for path in sheets
    ]
    note = "For each kind of cover some test photos, each beside the enrolled photo that was found nearest."
    return Section("probes", "Test photos", [note, *pictures] if pictures else [])


def limits(table: dict[str, Any], *, drawn: bool) -> Section:
    """What the figures do not say."""
    lines: list[Block] = []
    if drawn:
        lines.append(
            "The people of this run are drawn: it is a demonstration, and knows nothing about real people."
        )
    lines += [
        "What covers faces here is painted on photos. Real masks, sunglasses, scarves and hands differ more.",
        "The intervals tell chance in who is among the people. They do not tell what another data set, another camera or other "
        "people would give, and there is one training seed.",
        "Thresholds are set on other photos of this data set. Among other people the share of strangers who pass differs: "
        "measure it on people like those whom it will meet.",
        "No figure here shows fitness for use on a door, at a border or against a person. Rates were not measured by age, sex "
        "or skin colour; whoever uses it has to do that for the people concerned.",
        "Photos of faces and embeddings made from them are biometric data. Many countries allow processing them only on a "
        "legal basis, often the explicit consent of the people shown.",
    ]
    if table["config"]["split_by"] == "photo":
        lines.insert(
            0, "The test photos show people whose other photos were trained on. People never seen do worse."
        )
    return Section("limits", "Limits and responsible use", lines)


def _example(folder: Path, one: dict[str, Any]) -> Picture:
    scores = ", ".join(f"{name} {value:.2f}" for name, value in one["scores"].items())
    named = one["person"] if one["kind"] == "best" else f"{one['person']}, taken for {one['found_person']}"
    caption = (
        f"{named}: {one['occlusion']}, cosine {scores}, covered: {', '.join(one['covered']) or 'no region'}"
    )
    text = f"The covered face of {one['person']}, the nearest enrolled photo, and maps of where the score comes from"
    return photograph(folder / one["file"], text, caption, quality=85, top=one.get("top", 0))


def _curve(rows: Sequence[dict[str, float]], what: str) -> Picture:
    figure = next((name for name in VALIDATED if any(name in row for row in rows)), "")
    named = figure.removeprefix("val_").replace("rank1", "rank-1").replace("iou", "IoU")
    canvas = new_figure(4.6, 2.4)
    draw_training(canvas.subplots(), rows, figure, f"{named}, validation")
    text, caption = what, f"{what}: loss in blue"
    trained = [row for row in rows if "loss" in row]
    if trained:
        text += f": training loss {trained[0]['loss']:.3g} in the first epoch, {trained[-1]['loss']:.3g} in the last"
    if figure:
        text += f"; validation {[row[figure] for row in rows if figure in row][-1]:.3f}"
        caption += f", {named} of validation in orange"
    minutes = sum(row.get("seconds", 0) for row in rows) / 60
    return drawing(canvas, text, f"{caption}; {minutes:.1f} min", name=what)
