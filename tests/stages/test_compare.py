"""`pdsn compare` on copies of a finished run: differences, verification, costs, and what it refuses."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pdsn.evaluation.scores_file import SCORES, StoredScores, save_scores
from pdsn.evaluation.verification import PairScores, separation
from pdsn.files import sha256_of
from pdsn.report.comparison import markdown, plot_layers
from pdsn.run.comparison import System, verification
from pdsn.run.tables import RunVerification
from stages import compare
from tests.stages.conftest import give

CPU = ("--device", "cpu", "--precision", "fp32")


@pytest.fixture(scope="module")
def verified(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run with a table of verification of its own question."""
    root = tmp_path_factory.mktemp("compare") / "first"
    shutil.copytree(finished, root, ignore=shutil.ignore_patterns("cache", "figures"))
    said = give("verify-eval", "--run", root, "--occlusion", "clean", "--occlusion", "eyes", *CPU)
    assert said.code == 0, said.err
    # It passes for the run's own: all occlusions take half a minute.
    (asked,) = (root / "verify-eval/asked").iterdir()
    for path in list(asked.iterdir()):
        path.rename(root / "verify-eval" / path.name)
    return root


def worse(run: Path, root: Path, missed: int) -> Path:
    """A copy of a run that misses the first photos of each occlusion without an FDM."""
    shutil.copytree(run, root)
    with (root / "eval/probes.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    done: dict[tuple[str, str], int] = {}
    for line in lines:
        key = (line["occlusion"], line["strategy"])
        if done.get(key, 0) < missed and line["strategy"] == "none":
            line["rank"] = "99"
        done[key] = done.get(key, 0) + 1
    with (root / "eval/probes.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    return root


def rows_of(out: Path) -> list[dict]:
    return json.loads((out / "table.json").read_text())["systems"]


def test_a_comparison_has_every_figure_of_the_tables_and_the_difference_to_the_first_row(verified, tmp_path):
    second = worse(verified, tmp_path / "second", missed=3)
    out = tmp_path / "out"
    said = give("compare", verified, second, "--out", out, *CPU, columns=80)
    assert said.code == 0, said.err
    assert all(len(line) <= 80 for line in said.out.splitlines() if not line.startswith("table and picture"))
    systems = rows_of(out)
    assert [(one["run"], one["strategy"]) for one in systems] == [
        ("first", "none"), ("first", "matched"), ("second", "none"), ("second", "matched"),
    ]  # fmt: skip
    records = json.loads((verified / "eval/table.json").read_text())["records"]
    known = {(r["occlusion"], r["strategy"]): r["rank1"] for r in records}
    for one in systems[:2]:
        assert one["by_occlusion"] == {
            name: pytest.approx(known[name, one["strategy"]]) for name in one["by_occlusion"]
        }
        bands = [known[name, one["strategy"]] for name in ("forehead", "eyes", "nose", "mouth", "chin")]
        assert one["rank1"]["bands"]["rate"] == pytest.approx(np.mean(bands))
    gain = systems[1]["rank1"]["bands"]
    assert gain["difference"] == pytest.approx(gain["rate"] - systems[0]["rank1"]["bands"]["rate"])
    low, high = gain["difference_ci95"]
    assert low <= gain["difference"] <= high and "difference" not in systems[0]["rank1"]["bands"]
    # Three photos of each occlusion are missed, unless they were before.
    lost = systems[2]["rank1"]["clean"]["difference"]
    with (verified / "eval/probes.csv").open(newline="") as stream:
        lines = [r for r in csv.DictReader(stream) if (r["occlusion"], r["strategy"]) == ("clean", "none")]
    assert lost == pytest.approx(-sum(int(line["rank"]) == 1 for line in lines[:3]) / len(lines))
    # The second run's masks are the first's.
    assert systems[3]["rank1"] == systems[1]["rank1"]
    assert "| second | no FDM |" in (out / "table.md").read_text()
    assert np.asarray(Image.open(out / "table.png").convert("L")).std() > 5


def test_verification_stands_beside_it_with_paired_intervals(verified, tmp_path):
    second = tmp_path / "second"
    shutil.copytree(verified, second)
    path = second / "verify-eval" / SCORES
    scores = dict(StoredScores(path, ""))
    save_scores(path, {
        key: PairScores(own.genuine - 99, own.impostor, own.genuine_people, own.impostor_people)
        for key, own in scores.items()
    })  # fmt: skip
    out = tmp_path / "out"
    said = give("compare", verified, second, "--out", out, "--strategy", "none", *CPU)
    assert said.code == 0, said.err
    first, other = (one["verification"]["clean-occluded"] for one in rows_of(out))
    records = json.loads((verified / "verify-eval/table.json").read_text())["records"]
    own = [r["eer"] for r in records if (r["kind"], r["strategy"]) == ("clean-occluded", "none")]
    assert first["eer"] == pytest.approx(np.mean(own))
    assert first["ci95"][0] < first["eer"] < first["ci95"][1]
    assert other["difference_ci95"][0] > 0, "whoever is drawn, all wrong is worse"
    costs = [(one["parameters"], one["minutes"]) for one in rows_of(out)]
    assert costs[0] == costs[1] and costs[0][0] > 1000


def test_masks_and_the_network_that_finds_what_is_covered_count_among_the_costs(verified, tmp_path):
    out = tmp_path / "out"
    again = shutil.copytree(verified, tmp_path / "again")
    assert (
        give(
            "compare", verified, again, "--out", out, "--strategy", "none", "--strategy", "matched", *CPU
        ).code
        == 0
    )
    plain, masked = rows_of(out)[:2]
    for name in ("parameters", "minutes", "milliseconds"):
        assert masked[name] > plain[name] > 0
    # Which comparison is faster is a matter of timing, so no test of it.
    assert masked["comparing"] > 0 and plain["comparing"] > 0


def test_without_a_table_of_verification_it_says_which_run_lacks_one(verified, tmp_path):
    second = tmp_path / "second"
    shutil.copytree(verified, second, ignore=shutil.ignore_patterns("verify-eval"))
    said = give("compare", verified, second, "--out", tmp_path / "out", *CPU)
    assert said.code == 0, said.err
    assert (
        f"no verification: {second} has no table of it" in said.out and "pdsn verify-eval --run" in said.out
    )
    assert not rows_of(tmp_path / "out")[0]["verification"]


def change(run: Path, root: Path, section: str, **values: object) -> Path:
    shutil.copytree(run, root)
    path = root / "eval/table.json"
    table = json.loads(path.read_text())
    table[section] |= {
        name.replace("_", " ") if section == "inputs" else name: value for name, value in values.items()
    }
    path.write_text(json.dumps(table))
    return root


@pytest.mark.parametrize(
    ("section", "values", "line"),
    [
        ("inputs", {"data_set": "0" * 64}, "is of other photos than"),
        ("config", {"seed": 7}, "seed is 7 in"),
        ("config", {"draws": 5}, "draws is 5 in"),
        ("config", {"split_by": "person"}, "split_by is 'person' in"),
        ("config", {"source": "oracle"}, "source is 'oracle' in"),
    ],
)
def test_runs_that_were_asked_something_else_are_refused_by_name(
    verified, tmp_path, refused, section, values, line
):
    second = change(verified, tmp_path / "second", section, **values)
    said = refused(2, "compare", verified, second, "--out", tmp_path / "out", *CPU)
    assert line in said and str(second) in said
    assert not (tmp_path / "out").exists()


def test_columns_of_one_run_are_compared_with_its_first(verified, tmp_path):
    words = ("--strategy", "none", "--strategy", "LM2", "--out", tmp_path / "out")
    said = give("compare", verified, *words, *CPU)
    assert said.code == 0, said.err
    table = json.loads((tmp_path / "out/table.json").read_text())
    assert [(row["run"], row["strategy"]) for row in table["systems"]] == [
        (verified.name, "none"), (verified.name, "LM2"),
    ]  # fmt: skip


def test_a_run_named_twice_and_a_strategy_that_is_not_there_are_refused(verified, tmp_path, refused):
    said = refused(2, "compare", verified, verified, "--out", tmp_path / "out", *CPU)
    assert "name each run once" in said
    again = shutil.copytree(verified, tmp_path / "again")
    said = refused(1, "compare", verified, again, "--strategy", "LM1", "--out", tmp_path / "out", *CPU)
    assert "has no column LM1" in said and "pdsn build-dictionary --strategy LM1 --run" in said
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("x")
    said = refused(2, "compare", verified, again, "--out", tmp_path / "full", *CPU)
    assert "holds something else" in said and sha256_of(tmp_path / "full/mine.txt")


def test_ways_to_recognise_that_differ_are_said(verified, tmp_path):
    second = change(verified, tmp_path / "second", "config", compare="both")
    said = give("compare", verified, second, "--out", tmp_path / "out", *CPU)
    assert said.code == 0 and "compare differs: " in said.out and f"both in {second}" in said.out


def of_layers(layers: int, shift: float) -> tuple[SimpleNamespace, SimpleNamespace]:
    """A workspace of a SENet50 whose last layers were trained, and what verification said of it."""
    config = {"kind": "senet", "senet": {"trainable_layers": layers}} if layers >= 0 else {"kind": "lmcl"}
    rng = np.random.default_rng(0)
    genuine, impostor = rng.normal(0.5 + shift, 0.1, 200), rng.normal(0.3, 0.1, 900)
    pairs = PairScores(genuine, impostor, np.zeros(200, int), np.zeros((900, 2), int))
    records = [
        {
            "kind": "clean-occluded",
            "strategy": "none",
            "distances": {"squared-l2": separation(pairs, "squared-l2")},
        },
        {
            "kind": "clean-clean",
            "strategy": "none",
            "distances": {"squared-l2": separation(pairs, "squared-l2")},
        },
    ]
    folder = SimpleNamespace(found_config=lambda: config)
    return SimpleNamespace(base_folder=folder), SimpleNamespace(table={"records": records})


def test_senets_stand_by_the_layers_that_were_trained_beside_the_papers(verified, tmp_path):
    workspaces, verified_runs = zip(
        *(of_layers(*one) for one in ((70, 0.2), (0, 0.0), (-1, 0.0))), strict=True
    )
    rows = compare.layers_of(workspaces, verified_runs)
    assert [row["layers"] for row in rows] == [0, 70] and rows[0]["gap"] < rows[1]["gap"]
    assert compare.layers_of(workspaces[:1], verified_runs[:1]) == [], "one alone is no curve"
    again = shutil.copytree(verified, tmp_path / "again")
    assert give("compare", verified, again, "--out", tmp_path / "out", "--strategy", "none", *CPU).code == 0
    table = json.loads((tmp_path / "out/table.json").read_text())
    text = markdown({**table, "layers": rows})
    gap = f"{rows[1]['imedian']:.3f} | {rows[1]['gmedian']:.3f} | {rows[1]['gap']:.3f}"
    assert f"| 70 | {gap} | 1.988 | 1.545 | 0.443 |" in text
    plot_layers(rows, tmp_path / "layers.png")
    assert np.asarray(Image.open(tmp_path / "layers.png").convert("L")).std() > 5


def test_people_of_genuine_pairs_alone_are_resampled_too():
    scores = {("photos", "listed", "none"): PairScores(
        np.array([0.9, 0.8, 0.7]), np.array([0.1, 0.3]), np.array([0, 1, 5]), np.array([[0, 1], [1, 0]])
    )}  # fmt: skip
    record = {
        "occlusion": "photos", "kind": "listed", "strategy": "none", "eer": 0.0, "tar1e-2": None,
        "distances": {"squared-l2": {"gap": 0.5}},
    }  # fmt: skip
    table = RunVerification(Path("a"), {"records": [record]}, scores)
    (found,) = verification([table], [System(0, "a", "none")])
    assert (
        found["listed"]["eer"] == 0
        and found["listed"]["ci95"] == [0, 0]
        and found["listed"]["tar1e-2"] is None
    )
