"""`pdsn verify-eval` on a tiny run: its figures, files and what it refuses."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.stages.conftest import give

CPU = ("--device", "cpu", "--precision", "fp32", "--occlusion-source", "oracle")
ASKED = ("--occlusion", "clean", "--occlusion", "eyes", "--strategy", "LM2", "--bootstrap", "100")


def test_it_prints_and_writes_the_figures_of_every_kind_of_pair(copied):
    said = give("verify-eval", "--run", copied, *ASKED, *CPU, columns=80)
    assert said.code == 0, said.err
    assert all(len(line) <= 80 for line in said.out.splitlines() if not line.startswith("table and plots"))
    assert "clean-occluded: EER, %" in said.out and "no FDM" in said.out
    folder = (
        copied / "verify-eval/asked/occlusion=clean,eyes_occlusion-source=oracle_bootstrap=100_strategy=LM2"
    )
    table = json.loads((folder / "table.json").read_text())
    kinds = [(r["occlusion"], r["kind"], r["strategy"]) for r in table["records"]]
    assert kinds == [
        (occlusion, kind, name)
        for occlusion, kind in (
            ("clean", "clean-clean"),
            ("eyes", "clean-occluded"),
            ("eyes", "occluded-occluded"),
        )
        for name in ("none", "LM2")
    ]
    for record in table["records"]:
        low, high = record["ci95"]["eer"]
        assert 0 <= low <= record["eer"] <= high <= 1 and record["genuine"] and record["impostors"]
        assert record["tar1e-4"] is None, "eighteen photos tell no such rate"
        gap = record["distances"]["squared-l2"]["gap"]
        assert np.isfinite(gap)
    # Nothing is covered: the mask changes nothing.
    assert table["records"][0]["eer"] == table["records"][1]["eer"]
    assert "| clean-occluded | eyes | LM2 |" in (folder / "table.md").read_text()
    for name in ("roc-eyes.png", "distances-eyes.png", "roc-clean.png"):
        assert np.asarray(Image.open(folder / "figures" / name).convert("L")).std() > 5


def test_a_base_that_knows_people_does_better_than_chance(copied):
    said = give("verify-eval", "--run", copied, *ASKED, *CPU, "--split", "val", "--json")
    assert said.code == 0, said.err
    for record in json.loads(said.out)["records"]:
        assert record["accuracy"] > 0.5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--occlusion", "foo"), "--occlusion foo is unknown"),
        (("--strategy", "LM9"), "--strategy LM9"),
        (("--draws", "2"), "No such option: --draws"),
    ],
)
def test_what_it_cannot_do_is_refused_in_one_line(copied, refused, words, said):
    assert said in refused(2, "verify-eval", "--run", copied, *words)
