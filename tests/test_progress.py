"""The progress bar: one line, whatever the width."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from pdsn.progress import progress_bar


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize(
    ("title", "note"),
    [
        ("mask-train LM2-split left-eye", "epoch 17, loss 1.376, val rank-1 under the mask 70.0 %"),
        ("drawing the embedded people", ""),
        ("eval", "block:LM2-split/left-eye, difference@LM2-split"),
    ],
)
def test_the_bar_is_one_line_in_a_pipe(title: str, note: str, width: int) -> None:
    stream = io.StringIO()
    with progress_bar(title, 12000, "photos", console=Console(file=stream, width=width)) as advance:
        advance(6000, note=note)
        time.sleep(0.3)  # for a rate that is not astronomical
        advance(6000)
    line = stream.getvalue().rstrip("\n")
    assert "\n" not in line and len(line) <= width
    assert line.startswith(title[:12])
    if width >= 80:
        assert "12000/12000" in line and "photos/s" in line
