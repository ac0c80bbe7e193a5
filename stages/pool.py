"""Stage `pool`: the tables of several training seeds as one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pdsn.errors import UsageError
from pdsn.files import check_writable

OURS = ("table.json", "table.md", "table.png")
"""What this stage leaves in its folder."""


def main(runs: Sequence[Path], out: Path, align: str, name: str) -> None:
    """Read the runs' tables (their own, or those of a name), pool them, write the pooled one and print it."""
    from pdsn.errors import one_of
    from pdsn.files import write_text
    from pdsn.report.figures import plot_table
    from pdsn.run.pooling import check_poolable, pool, pooled_markdown, read_table
    from stages.tables import gain_line, print_open_set, print_rank1

    one_of("--align", align, ("clean", "occluded"))
    if out.exists() and (not out.is_dir() or any(path.name not in OURS for path in out.iterdir())):
        raise UsageError(f"--out {out} holds something else: give a new folder")
    check_writable("--out", out)
    tables = [read_table(run, align, name) for run in runs]
    check_poolable(tables)
    table = pool(tables)
    records, config = table["records"], table["config"]
    (out / "table.json").unlink(
        missing_ok=True
    )  # until the last file is there, the others may not be its own
    plot_table(records, out / "table.png")
    write_text(out / "table.md", pooled_markdown(table))
    write_text(out / "table.json", json.dumps(table, indent=2) + "\n")
    console = Console()
    whom = " of people never seen" if config["split_by"] == "person" else ""
    title = f"Rank-1, % of {records[0]['probes']} {config['split']} photos{whom}, mean of {len(runs)} runs"
    print_rank1(console, records, title)
    print_open_set(console, records)
    for name, gain in table["mean_gain"].items():
        console.print(gain_line(name, gain), highlight=False, soft_wrap=True)
    console.print(f"each run's figures and intervals: {out}", highlight=False, soft_wrap=True)
