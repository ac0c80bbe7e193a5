"""Write the tables of explanations in RESULTS.md: `python assets/attribution.py FOLDER FOLDER ... [--control FOLDER ...]`.

Reads the probes.csv and table.json that `pdsn explain --evaluate` left, of several runs on the same probes, and prints Markdown. A
ratio is the share of a map on covered pixels divided by the share of the face that they are, photo by photo.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pdsn.masks.strategy import NO_FDM
from pdsn.metrics import bootstrap_interval
from pdsn.report.table import markdown_table

UNBOUNDED = (-np.inf, np.inf)
ALL = "mean of these"
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Measured:
    """What one folder holds.

    Attributes:
        name: of the run.
        strategy: the one beside no FDM.
        records: of table.json, by method, occlusion and strategy.
        ratios: of photos, NaN where a photo has no map, by the same; also under the occlusion `ALL`, the mean over the others.
        clean: the same of the uncovered photo's map on the same pixels, by method and occlusion.
        people: whom each photo shows.
    """

    name: str
    strategy: str
    records: dict[Key, dict[str, Any]]
    ratios: dict[Key, np.ndarray]
    clean: dict[tuple[str, str], np.ndarray]
    people: np.ndarray


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, help="of runs, the first is what others differ from")
    parser.add_argument("--control", action="append", default=[], type=Path, help="of the same runs")
    asked = parser.parse_args()
    runs = [read(folder) for folder in asked.folders]
    controls = {one.name: one for one in map(read, asked.control)}
    print(shares(runs, controls) + "\n\n" + differences(runs) + "\n\n" + quality(runs))


def read(folder: Path) -> Measured:
    """What a folder holds."""
    table = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    lines: dict[Key, list[tuple[float, float]]] = {}
    files: dict[Key, list[str]] = {}
    with (folder / "probes.csv").open(encoding="utf-8", newline="") as stream:
        for line in csv.DictReader(stream):
            key = (line["method"], line["occlusion"], line["strategy"])
            area = float(line["area"])
            lines.setdefault(key, []).append((_number(line["covered"]) / area, _number(line["bare"]) / area))
            files.setdefault(key, []).append(line["file"])
    (photos,) = {tuple(found) for found in files.values()}
    ratios = {key: np.array(values)[:, 0] for key, values in lines.items()}
    clean = {key[:2]: np.array(values)[:, 1] for key, values in lines.items() if key[2] == NO_FDM}
    for method, strategy in dict.fromkeys((key[0], key[2]) for key in lines):
        parts = [values for key, values in ratios.items() if (key[0], key[2]) == (method, strategy)]
        ratios[method, ALL, strategy] = np.nanmean(parts, 0)
    for method in dict.fromkeys(key[0] for key in lines):
        clean[method, ALL] = np.nanmean([values for key, values in clean.items() if key[0] == method], 0)
    return Measured(
        folder.resolve().parents[2].name,
        next(key[2] for key in lines if key[2] != NO_FDM),
        {(one["method"], one["occlusion"], one["strategy"]): one for one in table["records"]},
        ratios,
        clean,
        np.array([photo.split("/")[0] for photo in photos]),
    )


def shares(runs: Sequence[Measured], controls: dict[str, Measured]) -> str:
    """Where maps lie without an FDM, and what FDMs change."""
    head = ["method", "base", "occlusion", "uncovered photo", "no FDM"]
    head += [f"`{runs[0].strategy}` above it"]
    head += [f"`{one.strategy}` above it" for one in list(controls.values())[:1]]
    rows = []
    for method, occlusion in runs[0].clean:
        for run in runs:
            plain = run.ratios[method, occlusion, NO_FDM]
            row = [method, run.name, occlusion, mean(run.clean[method, occlusion], run.people)]
            row.append(mean(plain, run.people))
            beside = [run] + ([controls[run.name]] if run.name in controls else [])
            for one in beside:
                row.append(mean(one.ratios[method, occlusion, one.strategy] - plain, run.people, signed=True))
            rows.append(row + [""] * (len(head) - len(row)))
    return "\n".join(markdown_table(head, rows))


def differences(runs: Sequence[Measured]) -> str:
    """Other bases above the first on the same photos, without an FDM: covered, and uncovered on the same pixels."""
    rows = []
    for method, occlusion in runs[0].clean:
        for run in runs[1:]:
            covered = run.ratios[method, occlusion, NO_FDM] - runs[0].ratios[method, occlusion, NO_FDM]
            clean = run.clean[method, occlusion] - runs[0].clean[method, occlusion]
            texts = [mean(values, run.people, signed=True) for values in (covered, clean, covered - clean)]
            rows.append([method, f"{run.name} above {runs[0].name}", occlusion, *texts])
    head = ["method", "base", "occlusion", "covered", "uncovered", "covered above uncovered"]
    return "\n".join(markdown_table(head, rows))


def quality(runs: Sequence[Measured]) -> str:
    """Deletion, insertion and likenesses: ranges over the occlusions, without an FDM."""
    names = ("deletion", "deletion_any", "insertion", "insertion_any", "random", "other")
    rows = []
    for method in dict.fromkeys(key[0] for key in runs[0].records):
        for run in runs:
            own = [one for key, one in run.records.items() if (key[0], key[2]) == (method, NO_FDM)]
            rows.append([method, run.name, *(f"{np.mean([one[name] for one in own]):.2f}" for name in names)])
    head = ["method", "base", "deletion", "any order", "insertion", "any order", "like random weights"]
    return "\n".join(markdown_table([*head, "like another person's photo"], rows))


def mean(values: np.ndarray, people: np.ndarray, *, signed: bool = False) -> str:
    """The mean of what is known, with its 95 % interval over people."""
    known = ~np.isnan(values)
    low, high = bootstrap_interval(values[known], people[known], UNBOUNDED)
    sign = "+" if signed else ""
    return f"{values[known].mean():{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


def _number(text: str) -> float:
    return float(text) if text else np.nan


if __name__ == "__main__":
    main()
