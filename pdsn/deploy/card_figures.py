"""The figures of a model card: rates and what the segmentation finds, from the run's own tables, of these very weights alone."""

from __future__ import annotations

from typing import Any

from pdsn.artefact import read_json
from pdsn.deploy.exported import Exported
from pdsn.masks.strategy import NO_FDM, heading
from pdsn.report.table import Record, markdown_table, strategies_of, table_rows

TABLES = (("clean", "aligned faces, occluded"), ("occluded", "photos, occluded before detection"))
"""How the run's own tables are aligned and what they show; what `pdsn eval` was asked for by options is no figure of the run."""
COMPARED = {
    "nearest": "compared with each person's nearest photo",
    "mean": "compared with the mean of each person's photos",
    "both": "compared with each person's nearest photo and the mean of their photos, by the mean of both cosines",
}
"""How `EvalConfig.compare` reads."""


def figures(exported: Exported) -> list[str]:
    """The section on recognition rates."""
    lines = ["## Figures", ""]
    for align, title in TABLES:
        table = _table_of(exported, align)
        if table is not None:
            lines += [*_rates(exported, table, title), ""]
    if len(lines) == 2:
        return [*lines, "No recognition rate was measured for this base (`pdsn eval` makes the table)."]
    return lines[:-1]


def _table_of(exported: Exported, align: str) -> dict[str, Any] | None:
    """The content of the run's own `table.json`, if it was made with this base and, where it used one, with this segmentation."""
    path = exported.run.table(align=align) / "table.json"
    if not path.is_file():
        return None
    table = read_json(path, "pdsn eval")
    inputs, sources = table.get("inputs", {}), exported.sources
    if any(inputs.get(name) != sources.get(name) for name in ("base", "head")):
        return None
    ours = sources.get("segmentation", inputs.get("segmentation"))
    return table if inputs.get("segmentation") in (None, ours) else None


def _rates(exported: Exported, table: dict[str, Any], title: str) -> list[str]:
    config, inputs = table["config"], table["inputs"]
    ours = f"dictionary {exported.strategy}"
    same = exported.dictionary is not None and inputs.get(ours) == exported.sources[ours]
    wanted = {NO_FDM, exported.strategy} if same else {NO_FDM}
    records = [record for record in table["records"] if record["strategy"] in wanted]
    head = [f"{heading(name)}, 95 % interval" for name in strategies_of(records)]
    head = ["occlusion", "photos", *head, *(["gain, 95 % interval"] if same else [])]
    rows = []
    for occlusion, cells in table_rows(records):
        photos = next(str(cell["probes"]) for cell in cells if cell is not None)
        row = [occlusion, photos, *(_percent(cell, "rank1", "ci95") for cell in cells)]
        rows.append(row + ([_percent(cells[-1], "gain", "gain_ci95", "+")] if same else []))
    whom = "the people it was trained on, on other photos"
    if config.get("split_by") == "person":
        whom = f"people that nothing was trained on, {config['enrol']} photos of each enrolled"
    covered = (
        "the exact masks"
        if config["source"] == "oracle"
        else "the covered pixels that the segmentation finds"
    )
    draws = config.get("draws", 1)
    drawn = f", mean of {draws} draws of each photo" if draws > 1 else ""
    lines = [
        f"Rank-1 in % ({title}): {config['split']} photos of {whom}, by {covered}, share {config['share']:g}, mirror "
        f"images {'added' if config['mirror'] else 'not added'}, {COMPARED[config.get('compare', 'nearest')]}"
        f"{unmasked_words(config.get('unmasked', 0)) if same else ''}{drawn}; "
        "intervals by bootstrap over people.",
        "",
        *markdown_table(head, rows),
    ]
    missed = sum(record["missed"] for record in records if record["strategy"] == NO_FDM)
    if missed:
        lines += [
            "",
            f"In {missed} of these occluded photos, over all rows, no face was found any more: errors.",
        ]
    if exported.dictionary is not None and not same:
        lines += [
            "",
            f"The dictionary {exported.strategy} of this export is not the one in the table, or was not measured.",
        ]
    if config["source"] != "oracle" and exported.segmenter is None:
        lines += ["", "The segmentation behind these figures is not part of this export."]
    return lines


def segmentation(exported: Exported) -> list[str]:
    """The section on what the segmentation finds; empty without one."""
    if exported.segmentation is None:
        return []
    lines = ["## What the segmentation finds", ""]
    table = _table_of(exported, "clean")
    if table is not None and table["inputs"].get("segmentation") and table["segmentation"]:
        rows = [
            (
                r["occlusion"],
                "" if r["iou"] is None else f"{r['iou']:.3f}",
                f"{100 * r['pixel_accuracy']:.2f}",
            )
            for r in table["segmentation"]
        ]
        split = table["config"]["split"]
        return [
            *lines,
            f"On {split} photos, means over photos.",
            "",
            *markdown_table(("occlusion", "foreground IoU", "pixel accuracy, %"), rows),
        ]
    best = exported.segmentation.best()
    rows = [
        (
            name,
            f"{best[f'iou {name}']:.3f}" if f"iou {name}" in best else "",
            f"{100 * best[f'accuracy {name}']:.2f}",
        )
        for name in (key.removeprefix("accuracy ") for key in best if key.startswith("accuracy "))
    ]
    if not rows:
        return [*lines, "No figures were kept."]
    return [
        *lines,
        "On validation photos, by which it was chosen.",
        "",
        *markdown_table(("occlusion", "foreground IoU", "pixel accuracy, %"), rows),
    ]


def unmasked_words(weight: float) -> str:
    """How `EvalConfig.unmasked` reads."""
    return f"; the cosine without FDM weighs {weight:g}, the one under it {1 - weight:g}" if weight else ""


def _percent(record: Record | None, rate: str, interval: str, sign: str = "") -> str:
    """A rate of a record with its interval, in per cent; empty where it was not measured."""
    if record is None or rate not in record:
        return ""
    low, high = (f"{100 * end:{sign}.2f}" for end in record[interval])
    return f"{100 * record[rate]:{sign}.2f} ({low} to {high})"
