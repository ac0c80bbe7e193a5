"""Write the tables of RESULTS.md: `python assets/tables.py RUN [--strategy NAME ...] [--align occluded] [--table NAME]`.

Reads the table.json that `pdsn eval` or `pdsn pool` left, and prints Markdown: rank-1 of every strategy, the gains of the strategies that
are named, their open-set rates, and what the U-Net found. Figures in RESULTS.md are pasted from here, not typed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pdsn.masks.strategy import NO_FDM, heading
from pdsn.report.table import markdown_table, open_set, strategies_of


def main() -> None:
    """Print the tables that the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="a run directory, or the folder of `pdsn pool`")
    parser.add_argument(
        "--strategy", action="append", default=[], help="whose gain and open-set rates are shown"
    )
    parser.add_argument("--align", default="clean", choices=["clean", "occluded"])
    parser.add_argument("--table", default="", help="a folder of eval/asked")
    parser.add_argument("--segmentation", action="store_true", help="what the U-Net found, too")
    asked = parser.parse_args()
    table = json.loads(find(asked.run, asked.table, asked.align).read_text(encoding="utf-8"))
    records: list[dict[str, Any]] = table["records"]
    strategies = strategies_of(records)
    shown = asked.strategy or [name for name in strategies if name != NO_FDM]
    print(recognition(records, strategies, shown))
    for name, gain in table["mean_gain"].items():
        low, high = (100 * value for value in gain["ci95"])
        print(
            f"\nMean over {', '.join(gain['occlusions'])}: {name} {interval(100 * gain['gain'], low, high)}"
        )
    if asked.segmentation:
        print("\n" + segmentation(table["segmentation"]))


def find(run: Path, table: str, align: str) -> Path:
    """The table.json that is asked for."""
    root = run / "eval" if (run / "eval").is_dir() else run
    folder = root / "asked" / table if table else root
    return (folder / "align-occluded" if align == "occluded" else folder) / "table.json"


def recognition(records: Sequence[dict[str, Any]], strategies: Sequence[str], shown: Sequence[str]) -> str:
    """Rank-1 in %, gains in points, TPIR (achieved FPIR) in % at 1 % and 10 %."""
    cells = {(record["occlusion"], record["strategy"]): record for record in records}
    head = [
        "occlusion",
        *(heading(name) for name in strategies),
        *(f"{name} gain, 95 % interval" for name in shown),
    ]
    compared = [NO_FDM, *shown]
    head += [f"{heading(name)} @ {rate} %" for rate in (1, 10) for name in compared]
    rows = []
    for occlusion in dict.fromkeys(record["occlusion"] for record in records):
        row = [occlusion]
        row += [percent(cells[occlusion, name]["rank1"]) for name in strategies]
        row += [gain_of(cells[occlusion, name]) for name in shown]
        row += [open_set(cells[occlusion, name], rate) for rate in ("01", "10") for name in compared]
        rows.append(row)
    return "\n".join(markdown_table(head, rows))


def segmentation(found: Iterable[dict[str, Any]]) -> str:
    """Foreground IoU, pixel accuracy and how often a region counts as covered."""
    head = ["occlusion", "foreground IoU", "pixel accuracy, %", "a region counts as covered, %"]
    rows = [
        [one["occlusion"], "" if one["iou"] is None else f"{one['iou']:.3f}", percent(one["pixel_accuracy"]),
         percent(one["triggered"])]
        for one in found
    ]  # fmt: skip
    return "\n".join(markdown_table(head, rows))


def percent(share: float | None) -> str:
    """A share, 0 to 1, in per cent."""
    return "" if share is None else f"{100 * share:.1f}"


def interval(value: float, low: float, high: float) -> str:
    """A gain in points with its interval."""
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def gain_of(record: dict[str, Any]) -> str:
    """The gain of a record over no FDM."""
    low, high = (100 * value for value in record["gain_ci95"])
    return interval(100 * record["gain"], low, high)


if __name__ == "__main__":
    main()
