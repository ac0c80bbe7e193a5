"""Stage `pool`: the tables of several training seeds as one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stages.command import ALONE, RECOGNITION, command
from stages.options import Json, TableAlign, TableName
from stages.session import Shared
from stages.tables import check_out

OURS = ("table.json", "table.md", "table.png")
"""What this stage leaves in its folder."""


def main(runs: Sequence[Path], out: Path, align: str, name: str, *, as_json: bool = False) -> None:
    """Read the runs' tables (their own, or those of a name), pool them, write the pooled one and print it."""
    from pdsn.errors import one_of
    from pdsn.files import write_text
    from pdsn.report.figures import plot_table
    from pdsn.run.pooling import check_poolable, pool, pooled_markdown
    from pdsn.run.tables import read_table
    from stages.tables import gain_line, print_json, print_open_set, print_rank1

    one_of("--align", align, ("clean", "occluded"))
    check_out(out, OURS)
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
    console = Console(stderr=as_json)
    whom = " of people never seen" if config["split_by"] == "person" else ""
    title = f"Rank-1, % of {records[0]['probes']} {config['split']} photos{whom}, mean of {len(runs)} runs"
    print_rank1(console, records, title)
    print_open_set(console, records)
    for name, gain in table["mean_gain"].items():
        console.print(gain_line(name, gain), highlight=False, soft_wrap=True)
    console.print(f"each run's figures and intervals: {out}", highlight=False, soft_wrap=True)
    if as_json:
        print_json({"format": 1, **table})


@command("pool", RECOGNITION, ALONE)
def pool(
    shared: Shared,
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run directories that differ in --seed alone.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Where the pooled table goes: a new folder, or an earlier one's, which is replaced.",
        ),
    ] = Path("runs/pooled"),
    align: TableAlign = "clean",
    table: TableName = "",
    json: Json = False,
) -> None:
    """Make one table of several training seeds: means, intervals clustered by person, each run's rank-1.

    [bold]Examples[/bold]

    pdsn pool runs/seed0 runs/seed1 runs/seed2 --out runs/three-seeds

    pdsn pool runs/seed0 runs/seed1 --table draws=5 --out runs/two-seeds
    """
    del shared
    main(runs, out, align, table, as_json=json)
