"""`pdsn pool` on copies of a finished run that pass for other seeds."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pdsn.files import sha256_of
from tests.stages.conftest import give


def another_seed(run: Path, root: Path, seed: int, missed: int) -> Path:
    """A copy of a run that says it has another seed and whose first `missed` answers to each question are wrong."""
    shutil.copytree(run, root, ignore=shutil.ignore_patterns("data", "cache", "figures"))
    table = json.loads((root / "eval/table.json").read_text())
    with (root / "eval/probes.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    done: dict[tuple[str, str], int] = {}
    for line in lines:
        key = (line["occlusion"], line["strategy"])
        if done.get(key, 0) < missed and line["strategy"] != "none":
            line["rank"] = "99"
        done[key] = done.get(key, 0) + 1
    for record in table["records"]:
        key = (record["occlusion"], record["strategy"])
        ranks = [int(line["rank"]) for line in lines if (line["occlusion"], line["strategy"]) == key]
        record["rank1"] = float(np.mean(np.array(ranks) == 1))
    for record in table["records"]:
        if "gain" in record:
            plain = next(
                r
                for r in table["records"]
                if (r["occlusion"], r["strategy"]) == (record["occlusion"], "none")
            )
            record["gain"] = record["rank1"] - plain["rank1"]
    table["config"]["seed"] = seed
    for name, folder in {"base": "base", "segmentation": "segmenter"}.items():
        model = root / folder / "model.safetensors"
        model.write_bytes(model.read_bytes() + bytes([seed]))
        table["inputs"][name] = sha256_of(model)
    (root / "eval/table.json").write_text(json.dumps(table))
    with (root / "eval/probes.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    return root


@pytest.fixture
def seeds(finished: Path, tmp_path: Path) -> list[Path]:
    """Three runs of seeds 0, 1 and 2."""
    return [another_seed(finished, tmp_path / f"seed{seed}", seed, 2 * seed) for seed in range(3)]


def test_json_is_the_pooled_table_alone_on_standard_output(seeds, tmp_path):
    said = give("pool", *seeds, "--out", tmp_path / "pooled", "--json")
    assert said.code == 0 and "mean of 3 runs" in said.err
    answer = json.loads(said.out)
    assert answer.pop("format") == 1
    assert answer == json.loads((tmp_path / "pooled/table.json").read_text())


def test_the_pooled_table_is_the_mean_of_the_runs(seeds, tmp_path):
    out = tmp_path / "pooled"
    said = give("pool", *seeds, "--out", out)
    assert said.code == 0, said.err
    assert "mean of 3 runs" in said.out
    pooled = json.loads((out / "table.json").read_text())
    tables = [json.loads((run / "eval/table.json").read_text()) for run in seeds]
    assert len(pooled["records"]) == len(tables[0]["records"])
    for record, *own in zip(pooled["records"], *(table["records"] for table in tables), strict=True):
        rates = [found["rank1"] for found in own]
        assert record["rank1_by_run"] == rates
        assert record["rank1"] == pytest.approx(np.mean(rates))
        assert record["tpir10"] == pytest.approx(np.mean([found["tpir10"] for found in own]))
        low, high = record["ci95"]
        assert low <= record["rank1"] <= high
        if record["strategy"] != "none":
            assert record["gain"] == pytest.approx(np.mean([found["gain"] for found in own]))
    text = (out / "table.md").read_text()
    assert "| occlusion | strategy | seed 0 | seed 1 | seed 2 | mean |" in text
    assert (out / "table.png").is_file()
    # The same command again replaces its own table.
    assert give("pool", *seeds, "--out", out).code == 0


def test_an_interval_does_not_shrink_because_the_same_photos_are_asked_about_again(finished, seeds, tmp_path):
    """Three runs that answer alike know no more about other photos than one of them."""
    twins = [another_seed(finished, tmp_path / f"twin{seed}", seed, 0) for seed in range(3)]
    assert give("pool", *twins, "--out", tmp_path / "twins").code == 0
    records = json.loads((tmp_path / "twins/table.json").read_text())["records"]
    own = json.loads((finished / "eval/table.json").read_text())["records"]
    widths = [
        (b["ci95"][1] - b["ci95"][0], a["ci95"][1] - a["ci95"][0]) for a, b in zip(own, records, strict=True)
    ]
    assert np.mean([pooled for pooled, _ in widths]) == pytest.approx(
        np.mean([one for _, one in widths]), rel=0.15
    )


def test_runs_that_differ_in_more_than_the_seed_are_refused(seeds, finished, tmp_path, refused):
    out = ("--out", tmp_path / "pooled")
    assert "at least two" in refused(2, "pool", seeds[0], *out)
    assert "once" in refused(2, "pool", seeds[0], seeds[0], *out)
    assert "different --seed" in refused(
        2, "pool", seeds[0], another_seed(finished, tmp_path / "x", 0, 1), *out
    )
    same = another_seed(finished, tmp_path / "same", 1, 1)
    about = json.loads((same / "eval/table.json").read_text())
    about["inputs"]["segmentation"] = json.loads((seeds[0] / "eval/table.json").read_text())["inputs"][
        "segmentation"
    ]
    (same / "eval/table.json").write_text(json.dumps(about))
    (same / "segmenter/model.safetensors").write_bytes(
        (seeds[0] / "segmenter/model.safetensors").read_bytes()
    )
    line = refused(2, "pool", seeds[0], same, *out)
    assert "have one segmentation in common" in line and f"`pdsn run --force --run {same}`" in line
    about = json.loads((seeds[1] / "run.json").read_text())
    about["in_use"]["base"]["epochs"] = 77
    (seeds[1] / "run.json").write_text(json.dumps(about))
    line = refused(2, "pool", *seeds, *out)
    assert f"base.epochs is 77 in {seeds[1]} and 3 in {seeds[0]}" in line
    table = json.loads((seeds[2] / "eval/table.json").read_text())
    table["config"]["share"] = 0.9
    (seeds[2] / "eval/table.json").write_text(json.dumps(table))
    assert "share is 0.9" in refused(2, "pool", seeds[0], seeds[2], *out)
    assert not (tmp_path / "pooled").exists()


def test_a_missing_or_damaged_table_names_the_command_that_makes_it(seeds, tmp_path, refused):
    out = ("--out", tmp_path / "pooled")
    line = refused(1, "pool", *seeds, "--align", "occluded", *out)
    assert f"pdsn eval --align occluded --run {seeds[0]}" in line
    with (seeds[1] / "eval/probes.csv").open("w") as stream:
        stream.write("occlusion,strategy\n")
    line = refused(1, "pool", *seeds, *out)
    assert str(seeds[1] / "eval/probes.csv") in line
    assert "no run" in refused(1, "pool", tmp_path / "nothing", seeds[0], *out)
    assert "something else" in refused(2, "pool", *seeds, "--out", seeds[0])
    assert "choose" in refused(2, "pool", *seeds, "--align", "sideways", *out)


def test_a_table_that_was_asked_by_options_is_pooled_by_its_name(seeds, tmp_path, refused):
    out = ("--out", tmp_path / "pooled")
    line = refused(1, "pool", *seeds, "--table", "draws=2", *out)
    folder = seeds[0] / "eval/asked/draws=2"
    assert f"{folder} holds no table (this run has no table but its own)" in line
    assert f"`pdsn eval --align clean OPTIONS --run {seeds[0]}`, where the name tells the options" in line
    for run in seeds:
        shutil.copytree(run / "eval", run / "eval/asked/draws=2")
        path = run / "eval/asked/draws=2/table.json"
        table = json.loads(path.read_text())
        table["config"]["draws"] = 2
        path.write_text(json.dumps(table))
    assert give("pool", *seeds, "--table", "draws=2", *out).code == 0
    assert json.loads((tmp_path / "pooled/table.json").read_text())["config"]["draws"] == 2
    assert give("pool", *seeds, *out).code == 0  # without a name the runs' own
    assert json.loads((tmp_path / "pooled/table.json").read_text())["config"]["draws"] == 1
    assert "(this run has draws=2)" in refused(1, "pool", *seeds, "--table", "draws=3", *out)
    assert "no name of a table" in refused(2, "pool", *seeds, "--table", "../eval", *out)


def test_a_table_of_what_was_made_anew_since_is_refused(seeds, tmp_path, refused):
    with (seeds[1] / "dictionary/LM2.safetensors").open("ab") as stream:
        stream.write(b"0")
    line = refused(1, "pool", *seeds, "--out", tmp_path / "pooled")
    assert "was made from another dictionary LM2 than the run has now" in line
    assert f"pdsn eval --align clean --run {seeds[1]}" in line
