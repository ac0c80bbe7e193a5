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


@pytest.fixture
def listed(copied, tmp_path, monkeypatch):
    """Photos of drawn people in a folder each, one without a face, and a list of pairs in LFW's form."""
    import pdsn.data.detector
    from pdsn.data.dataset import FaceDataset
    from tests.people.photos import PlainDetector, save_photo

    monkeypatch.setattr(pdsn.data.detector, "Detector", PlainDetector)
    dataset = FaceDataset.load(copied / "data")
    rows = dataset.rows("test")
    lines = ["2\t3"]
    for person in (0, 1, 2):
        own = rows[dataset.labels[rows] == person][:3]
        for number, row in enumerate(own, 1):
            folder = tmp_path / "photos" / f"p {person}"
            folder.mkdir(parents=True, exist_ok=True)
            save_photo(folder / f"p {person}_{number:04d}.png", dataset.faces[row])
    for fold in (1, 2):
        lines += [f"p {person}\t{fold}\t{fold + 1}" for person in (0, 1, 2)]
        lines += [f"p {person}\t{fold}\tp {(person + 1) % 3}\t{fold}" for person in (0, 1, 2)]
    save_photo(tmp_path / "photos/p 2/p 2_0003.png")
    (tmp_path / "pairs.txt").write_text("\n".join(lines) + "\n")
    return copied, tmp_path


def test_a_list_of_pairs_of_photographs(listed):
    run, folder = listed
    words = (
        "--pairs",
        folder / "pairs.txt",
        "--photos",
        folder / "photos",
        "--strategy",
        "LM2",
        "--bootstrap",
        "100",
    )
    said = give("verify-eval", "--run", run, *words, "--device", "cpu", "--precision", "fp32", columns=80)
    assert said.code == 0, said.err
    assert "pairs of 9 photos of a list" in said.out and "1 photos without a face" in said.out
    assert "p 2/p 2_0003.png: no face found" in " ".join(said.out.split()) and "accuracy by folds" in said.out
    (path,) = (run / "verify-eval/asked").glob("*pairs=*/table.json")
    table = json.loads(path.read_text())
    assert [(r["kind"], r["strategy"], r["genuine"], r["impostors"]) for r in table["records"]] == [
        ("listed", "none", 6, 6), ("listed", "LM2", 6, 6),
    ]  # fmt: skip
    assert all(0 <= record["folds"]["accuracy"] <= 1 for record in table["records"])
    # The pair with the photo that shows no face never matches.
    assert all(
        record["fixed_fnmr"] is None or record["fixed_fnmr"] >= 1 / 6
        for record in table["records"]
        if "fixed_fnmr" in record
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--pairs", "pairs.txt"), "--pairs FILE and --photos DIR go together"),
        (("--pairs", "none.txt", "--photos", "."), "--pairs none.txt cannot be read"),
        (("--pairs", "p", "--photos", ".", "--occlusion", "eyes"), "leave it out with --pairs"),
        (("--pairs", "p", "--photos", ".", "--occlusion-source", "oracle"), "with --pairs take segmenter"),
    ],
)
def test_lists_that_cannot_be_used_are_refused_in_one_line(copied, refused, words, said):
    assert said in refused(2, "verify-eval", "--run", copied, *words)
