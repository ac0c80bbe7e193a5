"""Tables and lines that several stages print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Column, Table


def rank1_table(records: Sequence[dict[str, Any]], title: str) -> Table:
    """Rank-1 of every strategy under every occlusion, see `Evaluation.records`."""
    from pdsn.recognition.report import cell, heading, strategies_of, table_rows

    table = Table(Column("occlusion", no_wrap=True), title=title)
    for name in strategies_of(list(records)):
        table.add_column(heading(name), justify="right")
    for occlusion, row in table_rows(list(records)):
        table.add_row(occlusion, *(cell(record) for record in row))
    return table


def gain_line(strategy: str, gain: Mapping[str, Any]) -> str:
    """What a strategy gains on average, see `rates.mean_gain`."""
    low, high = gain["ci95"]
    return (
        f"{strategy}: {100 * gain['gain']:+.1f} points over no FDM, mean of {', '.join(gain['occlusions'])} "
        f"(95 % interval {100 * low:+.1f} to {100 * high:+.1f})"
    )
