"""Where the work runs, and in which precision."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdsn import runtime
from pdsn.runtime import precision_of, start


@pytest.mark.parametrize(
    ("vendor", "flags", "precision"),
    [
        ("GenuineIntel", "avx512f avx512_bf16 amx_bf16", "bf16"),
        ("GenuineIntel", "avx512f avx512_bf16", "fp32"),
        ("AuthenticAMD", "avx512f avx512_bf16", "bf16"),
        ("AuthenticAMD", "avx2", "fp32"),
    ],
)
def test_a_cpu_takes_bf16_where_it_is_the_faster(
    vendor: str, flags: str, precision: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    about = tmp_path / "cpuinfo"
    about.write_text(f"vendor_id\t: {vendor}\nflags\t\t: {flags}\n")
    monkeypatch.setattr(runtime, "CPU_INFO", about)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert precision_of(start("cpu")) == precision
    assert precision_of(start("cpu", "bf16")) == "bf16"
    about.unlink()
    assert precision_of(start("cpu")) == "fp32"
