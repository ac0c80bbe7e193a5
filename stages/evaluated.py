"""What `eval` prints of a table, and `run` in short: the preferred strategy beside no FDM, and where the rest lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pdsn.masks.strategy import NO_FDM, heading
from stages import photographs
from stages.session import Session
from stages.tables import gain_line, print_open_set, print_rank1, print_table


def show(session: Session, made: dict[str, Any], folder: Path) -> None:
    """Print the whole of a table that lies in a folder, given the content of table.json."""
    print_rank1(session.console, made["records"], title_of(made))
    print_open_set(session.console, made["records"])
    if made["segmentation"]:
        _show_segmentation(session, made["segmentation"])
    if "photographs" in made:
        photographs.show(session, made)
    for name, gain in made["mean_gain"].items():
        session.say(gain_line(name, gain))
    for line in [] if "photographs" in made else missing(made):
        session.say(line)
    session.say(f"table, probes and pictures: {folder}")


def _show_segmentation(session: Session, records: list[dict[str, Any]]) -> None:
    head = ("occlusion", "foreground IoU", "pixel accuracy", "region covered", "by the exact mask")
    rows = []
    for r in records:
        shares = (r["pixel_accuracy"], r["triggered"], r["triggered_exact"])
        iou = "-" if r["iou"] is None else f"{r['iou']:.3f}"
        rows.append(
            [r["occlusion"], iou, *("-" if share is None else f"{100 * share:.1f} %" for share in shares)]
        )
    print_table(session.console, head, rows, title="What the segmentation found")


def show_short(session: Session, table: dict[str, Any], painted: dict[str, Any] | None) -> None:
    """Print rank-1 of no FDM and of the preferred strategy, with what is gained, and the files that have all others.

    Args:
        session: the run.
        table: content of its own table.json.
        painted: the same of photos that were painted before detection; None where there is no such table.
    """
    from pdsn.report.table import points, strategies_of, table_rows

    names = strategies_of(table["records"])
    shown = table.get("shown", names[-1])  # tables that were made before it was written down have none
    cells = [(name, dict(zip(names, row, strict=True))) for name, row in table_rows(table["records"])]
    compared = list(dict.fromkeys((NO_FDM, shown)))
    rows = []
    for occlusion, by_name in cells:
        rates = ["" if (r := by_name[name]) is None else f"{100 * r['rank1']:.1f}" for name in compared]
        ours = by_name[shown]
        gain = "" if ours is None or "gain" not in ours else points(ours["gain"], ours["gain_ci95"])
        rows.append([occlusion, *rates, gain])
    head = ["occlusion", *map(heading, compared), "gain, 95 % interval"]
    print_table(session.console, head, rows, title=title_of(table))
    files = []
    for made, what in ((table, ""), (painted, "photos painted before detection: ")):
        if made is None:
            continue
        if shown in made["mean_gain"]:
            session.say(what + gain_line(shown, made["mean_gain"][shown]))
        for line in missing(made):
            session.say(what + line)
        files.append(str(session.run.table(align=made["config"]["align"]) / "table.md"))
    session.say(f"every strategy, and rates with strangers: {', '.join(files)}")


def title_of(made: dict[str, Any]) -> str:
    """What a table is called, given the content of table.json."""
    records, config = made["records"], made["config"]
    unseen = config["split_by"] == "person"
    whom = " of people never seen" if unseen else ""
    painted = ", photo painted before detection" if config["align"] == "occluded" else ""
    drawn = f", mean of {config['draws']} draws" if config["draws"] > 1 else ""
    photos = f"{records[0]['probes']} {config['split']} photos{whom}"
    if "photographs" in made:
        photos = f"{sum(made['photographs']['probes'].values())} photographs"
    return f"Rank-1, % of {photos}{painted}{drawn}"


def missing(made: dict[str, Any]) -> list[str]:
    """Lines about faces that are not found any more, and about photos that nobody is asked about."""
    config, lines = made["config"], []
    missed = {record["occlusion"]: record["missed"] for record in made["records"] if record["missed"]}
    if missed:
        shown = ", ".join(f"{name} {count}" for name, count in missed.items())
        lines.append(f"no face found any more, counted as errors: {shown}")
    if made["left_out"]:
        unseen = config["split_by"] == "person"
        why = f"with no more than {config['enrol']} photos" if unseen else "without a gallery photo"
        lines.append(f"left out: {made['left_out']} {config['split']} photos of people {why}")
    return lines
