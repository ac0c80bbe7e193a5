"""Stage `compare`: runs side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pdsn.errors import one_of
from pdsn.run.directory import RunDir
from stages.command import RECOGNITION, command
from stages.options import Json, TableAlign, TableName
from stages.session import Shared
from stages.tables import check_out

if TYPE_CHECKING:
    from pdsn.run.tables import RunVerification
    from pdsn.run.workspace import Workspace

OURS = ("table.json", "table.md", "table.png", "layers.png")
"""What this stage leaves in its folder."""


def main(
    runs: Sequence[Path],
    out: Path,
    shared: Shared,
    strategies: Sequence[str] | None,
    *,
    align: str,
    name: str,
    pairs: str,
) -> tuple[dict[str, Any], list[str]]:
    """Read the runs' tables, compare them, time the networks, write the comparison.

    Returns:
        What is in table.json, and what there is to say beside the table.
    """
    from pdsn.progress import progress_bar
    from pdsn.run.comparison import (
        check_comparable,
        groups_of,
        identification,
        shared_occlusions,
        systems_of,
        verification,
    )
    from pdsn.run.costs import costs
    from pdsn.run.strategies import preferred
    from pdsn.run.tables import read_table
    from pdsn.run.workspace import Workspace
    from pdsn.runtime import start

    one_of("--align", align, ("clean", "occluded"))
    check_out(out, OURS)
    # A run that was made with what others were asked by options has the same table as its own.
    tables = [read_table(run, align, name if name in RunDir.open(run).tables(align) else "") for run in runs]
    check_comparable(tables)
    accelerator = start(shared.device, shared.precision)
    workspaces = [Workspace.open(run, accelerator) for run in runs]
    asked = None if strategies is None else [str(workspaces[0].shortest(one)) for one in strategies]
    systems = systems_of(tables, [preferred(own.settings.dictionary) for own in workspaces], asked)
    verified, missing = _verified(runs, pairs)
    source = tables[0].table["config"]["source"] == "segmenter"
    count = len(runs) + (len(systems) if verified else 0)
    with progress_bar("compare", count, "rows") as advance:
        scores: list[dict[str, Any]] = [{} for _ in systems]
        if verified:
            scores = verification(verified, systems, on_scored=lambda row: advance(1, note=f"pairs, {row}"))
        costing: dict[tuple[int, str], dict[str, Any]] = {}
        for place, workspace in enumerate(workspaces):
            own = [system.strategy for system in systems if system.run == place]
            for strategy, cost in costs(workspace, own, segmenter=source).items():
                costing[place, strategy] = cost
            advance(1, note=f"time a face takes, {runs[place]}")
    table: dict[str, Any] = {
        "systems": [
            {
                "run": one.name,
                "strategy": one.strategy,
                **ranks,
                "verification": pair,
                **costing[one.run, one.strategy],
            }
            for one, ranks, pair in zip(systems, identification(tables, systems), scores, strict=True)
        ],
        "groups": groups_of(shared_occlusions(tables)),
        "layers": layers_of(workspaces, verified),
        "probes": len(tables[0].files),
        "seed": tables[0].table["config"]["seed"],
        "runs": [str(run) for run in runs],
        "device": str(accelerator.device),
    }
    _write(out, table)
    return table, [*missing, *_differing(runs, [own.table["config"] for own in tables])]


def _write(out: Path, table: dict[str, Any]) -> None:
    """Write the comparison in place of an earlier one; until the last file is there, the others may not be its own."""
    from pdsn.files import write_text
    from pdsn.report.comparison import markdown, plot_comparison, plot_layers

    for file in reversed(OURS):
        (out / file).unlink(missing_ok=True)
    plot_comparison(table, out / "table.png")
    if table["layers"]:
        plot_layers(table["layers"], out / "layers.png")
    write_text(out / "table.md", markdown(table))
    write_text(out / "table.json", json.dumps(table, indent=2) + "\n")


def _verified(runs: Sequence[Path], name: str) -> tuple[list[RunVerification], list[str]]:
    """The runs' tables of verification, none unless each has one; and what is missing."""
    from pdsn.artefact import making
    from pdsn.run.comparison import check_same_question
    from pdsn.run.tables import read_verification

    found = [read_verification(run, name) or read_verification(run) for run in runs]
    lacking = [run for run, own in zip(runs, found, strict=True) if own is None]
    if lacking:
        words = "pdsn verify-eval OPTIONS" if name else "pdsn verify-eval"
        return [], [
            f"no verification: {run} has no table of it, make one with `{making(words, run / 'eval')}`"
            for run in lacking
        ]
    known = [own for own in found if own is not None]
    for other in known[1:]:
        check_same_question(known[0], other, "verify-eval")
    return known, []


def _differing(runs: Sequence[Path], configs: Sequence[dict[str, Any]]) -> list[str]:
    """How the runs recognise, where they do so differently."""
    from pdsn.run.comparison import FREE

    return [
        f"{name} differs: "
        + ", ".join(f"{config.get(name)} in {run}" for run, config in zip(runs, configs, strict=True))
        for name in FREE
        if len({str(config.get(name)) for config in configs}) > 1
    ]


def layers_of(workspaces: Sequence[Workspace], verified: Sequence[RunVerification]) -> list[dict[str, Any]]:
    """The medians of SENet50s by the layers that were trained, where there are several."""
    from pdsn.masks.strategy import NO_FDM

    rows = []
    for workspace, own in zip(workspaces, verified, strict=False):
        config = workspace.base_folder.found_config()
        if config.get("kind") != "senet":
            continue
        distances = [
            record["distances"]["squared-l2"]
            for record in own.table["records"]
            if (record["kind"], record["strategy"]) == ("clean-occluded", NO_FDM)
        ]
        if distances:
            mean = {name: sum(one[name] for one in distances) / len(distances) for name in distances[0]}
            rows.append({"layers": config["senet"]["trainable_layers"], **mean})
    return sorted(rows, key=lambda row: row["layers"]) if len(rows) > 1 else []


def _show(console: Console, table: dict[str, Any]) -> None:
    from pdsn.masks.strategy import heading
    from pdsn.report.comparison import costs_of, difference, rate
    from stages.tables import print_table

    systems, groups = table["systems"], list(table["groups"])
    kinds = list(systems[0]["verification"])
    last = groups[-1]
    head = [
        "run", "strategy", *groups, f"{last} above the first", *(f"EER {kind}" for kind in kinds),
        *(f"EER {kind} above the first" for kind in kinds[:2]), "training, min", "parameters, M", "ms a face", "ms to compare it",
    ]  # fmt: skip
    rows = [
        [
            one["run"],
            heading(one["strategy"]),
            *(rate(one["rank1"][group]) for group in groups),
            difference(one["rank1"][last]),
            *(rate(one["verification"].get(kind), "eer") for kind in kinds),
            *(difference(one["verification"].get(kind)) for kind in kinds[:2]),
            *costs_of(one),
        ]
        for one in systems
    ]
    joined = [[f"{run}, {strategy}", *rest] for run, strategy, *rest in rows]
    title = f"Rank-1, and equal error rates of pairs, in % ({table['probes']} probes)"
    print_table(console, ["run, strategy", *head[2:]], joined, title=title)


@command("compare", RECOGNITION, ("device", "precision", "debug"))
def compare(
    shared: Shared,
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Run directories on the same data set; of one alone its columns are compared.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Where the comparison goes: a new folder, or an earlier one's, which is replaced.",
        ),
    ] = Path("runs/compared"),
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            metavar="NAME",
            help="Columns of the runs' tables, none for no FDM; several times for several. Without it no FDM and what each run "
            "takes itself.",
        ),
    ] = None,
    align: TableAlign = "clean",
    table: TableName = "",
    verify_table: Annotated[str, typer.Option(metavar="NAME", help="The same of verify-eval.")] = "",
    json: Json = False,
) -> None:
    """Set runs, or the columns of one, side by side: one table, paired differences to the first row, and what each costs.

    The runs are asked about the same probes: same data set, split, seed and draws. Of each run no FDM and the strategy that
    it takes itself are rows, or those of --strategy.

    [bold]Examples[/bold]

    pdsn compare runs/arcface runs/cbam runs/vit --out runs/attention

    pdsn compare runs/a runs/b --strategy none --strategy matched
    """
    from stages.tables import print_json

    console = Console(stderr=json)
    found, said = main(runs, out, shared, strategy, align=align, name=table, pairs=verify_table)
    _show(console, found)
    for line in [*said, f"table and picture: {out}"]:
        console.print(line, highlight=False, soft_wrap=True)
    if json:
        print_json({"format": 1, **found})
