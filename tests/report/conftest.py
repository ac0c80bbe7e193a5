"""A table as `eval` leaves it, made up, and a page of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pdsn.report.page import Folded, Gallery, Section, Table, cells, photograph, write_page
from pdsn.report.results_sections import headline, recognition, segmentation_section
from pdsn.report.threshold_sections import open_set_section

RATES = {("clean", "none"): 0.95, ("clean", "LM2"): 0.94, ("eyes", "none"): 0.5, ("eyes", "LM2"): 0.75}


@pytest.fixture
def records() -> list[dict[str, object]]:
    """Rank-1 of two occlusions, without an FDM and by LM2; those of a threshold of 1 % cannot be told."""
    found: list[dict[str, object]] = []
    for (occlusion, strategy), rate in RATES.items():
        record: dict[str, object] = {
            "occlusion": occlusion, "strategy": strategy, "probes": 40, "draws": 1, "rank1": rate, "rank5": 0.97,
            "rank5_photos": 0.96, "rank1_per_person": rate - 0.1, "rank5_per_person": 0.9, "ci95": [rate - 0.05, rate + 0.04],
            "tpir01": None, "fpir01": None, "tpir10": rate - 0.2, "fpir10": 0.08, "missed": 0, "seconds": 1.0,
        }  # fmt: skip
        if strategy != "none":
            record |= {"gain": rate - RATES[occlusion, "none"], "gain_ci95": [-0.02, 0.3]}
        found.append(record)
    return found


@pytest.fixture
def page(records: list[dict[str, object]], tmp_path: Path) -> Path:
    """A page with a drawing, a picture, tables and something folded."""
    Image.linear_gradient("L").save(tmp_path / "face.png")
    picture = photograph(tmp_path / "face.png", "a grey ramp", "from black to white")
    segmentation = [
        {"occlusion": "eyes", "photos": 40, "pixel_accuracy": 0.98, "iou": 0.9, "triggered": 0.95, "triggered_exact": 1.0},
        {"occlusion": "clean", "photos": 40, "pixel_accuracy": 0.99, "iou": None, "triggered": 0.0, "triggered_exact": 0.0},
    ]  # fmt: skip
    mean = {"LM2": {"occlusions": ["eyes"], "gain": 0.25, "ci95": [0.1, 0.4]}}
    mixed = Table(
        "Some words",
        ["row", "value"],
        [
            cells(("first", "pear")),
            cells(("second", "")),
            cells(("third", "apple")),
            cells(("fourth", "fig")),
        ],
    )
    settings = Table("Settings", ["setting", "value"], [cells(("b", "2")), cells(("a", "1"))], plain=True)
    sections = [
        recognition(records, "LM2"),
        open_set_section(records, []),
        segmentation_section(segmentation),
        Section("pictures", "Pictures", [Gallery([picture, picture]), Folded("more", ["<b>not bold</b>", picture])]),
        Section("words", "Words", [mixed, settings]),
        Section("nothing", "Nothing to say", []),
    ]  # fmt: skip
    path = tmp_path / "page.html"
    write_page(path, "Recognition & more", headline(records, "LM2", mean), sections)
    return path
