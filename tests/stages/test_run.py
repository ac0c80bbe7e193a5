"""One end-to-end run, and what it leaves."""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pdsn.api import load_run
from tests.stages.conftest import give, table_of

OCCLUSIONS = [
    "clean", "forehead", "eyes", "nose", "mouth", "chin", "nose+mouth+chin", "face-mask", "sunglasses", "scarf",
    "cap", "hand", "random-block", "forehead-textured", "eyes-textured", "nose-textured",
    "mouth-textured", "chin-textured", "face-mask-seen", "sunglasses-seen",
]  # fmt: skip
LAYOUTS = ["none", "LM2", "matched", "random", "geometric", "difference", "relative"]


def listing(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def explained(root: Path) -> list[dict[str, Any]]:
    """The answers that a run's own table explains."""
    return json.loads((root / "eval/figures/examples/examples.json").read_text())


def test_the_exact_listing(finished):
    bands = ["forehead", "eyes", "nose", "mouth", "chin"]
    expected = {
        "run.json",
        "base/config.json",
        "base/model.safetensors",
        "base/metrics.jsonl",
        "base/training.png",
    }
    expected |= {f"segmenter/{name}" for name in (
        "config.json", "model.safetensors", "metrics.jsonl", "training.png"
    )}  # fmt: skip
    expected |= {f"data/{name}" for name in ("faces.npy", "manifest.csv", "skipped.csv", "dataset.json")}
    for band in bands:
        expected |= {
            f"masks/LM2/{band}/{name}" for name in ("config.json", "model.safetensors", "metrics.jsonl")
        }
    expected |= {f"masks/matched/{name}" for name in ("config.json", "model.safetensors", "metrics.jsonl")}
    expected |= {f"cache/LM2-mixed0-{split}-covered-pixels.npy" for split in ("train", "val")}
    for name in ["clean", "LM2-mixed0", *(f"LM2-{band}" for band in bands)]:
        expected |= {f"cache/{name}-{split}.{kind}" for split in ("train", "val") for kind in ("npy", "json")}
    for name in LAYOUTS[1:]:
        expected |= {f"dictionary/{name}.{kind}" for kind in ("safetensors", "json", "png")}
    expected |= {f"eval/{name}" for name in ("table.json", "table.md", "probes.csv", "segmentation.csv")}
    expected |= {
        f"eval/figures/{name}.png" for name in ("table", "regions", *(f"probes-{o}" for o in OCCLUSIONS))
    }
    expected |= {"report.html", "eval/figures/examples/examples.json"}
    examples = {f"eval/figures/examples/{one['file']}" for one in explained(finished)}
    # The relative control shares LM2's maps; difference does too.
    assert listing(finished) == expected | examples


def test_table_json_has_a_record_for_each_occlusion_and_strategy(finished):
    table = json.loads((finished / "eval/table.json").read_text())
    records = table["records"]
    assert [r["occlusion"] for r in table["segmentation"]] == OCCLUSIONS
    assert all(0 <= r["pixel_accuracy"] <= 1 and r["photos"] == 6 * 3 for r in table["segmentation"])
    assert [(r["occlusion"], r["strategy"]) for r in records] == [(o, s) for o in OCCLUSIONS for s in LAYOUTS]
    for record in records:
        assert record["probes"] == 6 * 3  # 14 photos: floor(.85 * 14) = 11
        assert 0 <= record["ci95"][0] <= record["rank1"] <= record["ci95"][1] <= 1
        assert record["rank1"] <= record["rank5"] <= 1
        assert record["seconds"] >= 0
        assert ("gain" in record) == (record["strategy"] != "none")


def test_probes_csv_agrees_with_the_table(finished):
    records = json.loads((finished / "eval/table.json").read_text())["records"]
    with (finished / "eval/probes.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    for record in records:
        mine = [
            r for r in rows if (r["occlusion"], r["strategy"]) == (record["occlusion"], record["strategy"])
        ]
        assert len(mine) == record["probes"]
        assert np.mean([r["rank"] == "1" for r in mine]) == pytest.approx(record["rank1"])
        # The other way round ties count against: a mask that drops everything makes all people alike.
        assert all(r["found_person"] == r["person"] for r in mine if r["rank"] == "1")
    # Without masks, too, covered regions are told apart: they decide which threshold holds.
    regions = {name: {r["regions"] for r in rows if r["strategy"] == name} for name in ("none", "LM2")}
    assert regions["none"] == regions["LM2"]


def test_pictures_show_something(finished):
    pictures = [*finished.rglob("*.png")]
    assert len(pictures) == 2 + len(LAYOUTS[1:]) + 2 + len(OCCLUSIONS) + len(explained(finished))
    for path in pictures:
        pixels = np.asarray(Image.open(path).convert("L"))
        least = 100 if path.parent.name == "examples" else 200
        assert min(pixels.shape) > least and pixels.std() > 10, path


def test_the_surest_answers_are_explained(finished):
    with (finished / "eval/probes.csv").open() as stream:
        rows = [
            row
            for row in csv.DictReader(stream)
            if row["strategy"] == "matched" and row["occlusion"] != "clean" and row["regions"]
        ]
    found = explained(finished)
    for kind, is_right in (("best", True), ("worst", False)):
        mine = [one for one in found if one["kind"] == kind]
        possible = [row for row in rows if (row["rank"] == "1") == is_right]
        # One of each person and two of each occlusion, the surest first.
        taken: list[dict[str, str]] = []
        for row in sorted(possible, key=lambda row: -float(row["score"])):
            alike = [one for one in taken if one["occlusion"] == row["occlusion"]]
            if len(alike) < 2 and row["person"] not in [one["person"] for one in taken]:
                taken.append(row)
        assert len(mine) == len(taken[:10])
        assert [one["score"] for one in mine] == pytest.approx(
            [float(row["score"]) for row in taken[:10]], abs=1e-3
        )
        assert len({one["person"] for one in mine}) == len(mine)
        assert all(one["covered"] for one in mine)
        if mine:
            highest = max(float(row["score"]) for row in possible)
            assert mine[0]["score"] == pytest.approx(highest, abs=1e-3)
        for one in mine:
            assert (one["person"] == one["found_person"]) == is_right
            assert set(one["scores"]) == {"no FDM", "matched"}


def test_run_json_says_how_it_was_made(finished):
    about = json.loads((finished / "run.json").read_text())
    assert about["data"] == "synthetic" and about["preset"] == "demo"
    assert about["in_use"]["base"]["width"] == 8
    assert about["history"][0]["device"] == "cpu" and about["history"][0]["libraries"]["torch"]


def test_the_same_command_again_does_nothing(copied, tiny):
    kinds = ("*.safetensors", "table.json", "probes.csv", "*.npy", "*.png")
    before = {path: path.stat().st_mtime_ns for kind in kinds for path in copied.rglob(kind)}
    said = give("run", "--run", copied, "--config", tiny, "--device", "cpu", "--precision", "fp32")
    assert said.code == 0, said.err
    assert "trained already" in said.out and "nose+mouth+chin" in said.out
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_run_made_before_many_settings_existed_is_done_all_the_same(copied, tiny):
    from pdsn.bases.settings import BaseConfig
    from pdsn.evaluation.settings import EvalConfig
    from pdsn.masks.settings import DictionaryConfig, MaskConfig
    from pdsn.occlusion.settings import RegionsConfig

    def strip(path, places, names):
        content = json.loads(path.read_text())
        for place in places(content):
            for name in names:
                place.pop(name, None)
        path.write_text(json.dumps(content))

    later = {
        "base": BaseConfig,
        "masks": MaskConfig,
        "eval": EvalConfig,
        "regions": RegionsConfig,
        "dictionary": DictionaryConfig,
    }
    for section, kind in later.items():
        strip(copied / "run.json", lambda about, section=section: [about["in_use"][section]], kind.BEFORE)
    strip(copied / "base/config.json", lambda about: [about["config"]], BaseConfig.BEFORE)
    for path in [*copied.glob("masks/LM2/*/config.json"), *copied.glob("dictionary/*.json")]:
        strip(path, lambda about: [about["config"]], MaskConfig.BEFORE)
    for path in copied.glob("cache/*.json"):
        strip(path, lambda about: [about], MaskConfig.BEFORE)
    strip(copied / "eval/table.json", lambda about: [about["config"]], EvalConfig.BEFORE)
    kinds = ("*.safetensors", "table.json", "probes.csv", "*.npy", "*.png")
    before = {path: path.stat().st_mtime_ns for kind in kinds for path in copied.rglob(kind)}
    said = give("run", "--run", copied, "--config", tiny, "--device", "cpu", "--precision", "fp32")
    assert said.code == 0, said.err
    assert {path: path.stat().st_mtime_ns for path in before} == before
    about = json.loads((copied / "run.json").read_text())
    assert about["preset_settings"]["masks"]["jitter"] == about["in_use"]["masks"]["jitter"] == 0.0


def test_the_oracle_masks_exactly_what_is_covered(copied):
    said = give(
        "eval", "--run", copied, "--occlusion-source", "oracle", "--strategy", "LM2", "--occlusion", "clean",
        "--occlusion", "nose+mouth+chin",
    )  # fmt: skip
    assert said.code == 0, said.err
    table = json.loads((table_of(said) / "table.json").read_text())
    assert table["segmentation"] == []
    clean = {r["rank1"] for r in table["records"] if r["occlusion"] == "clean"}
    assert len(clean) == 1, "nothing is masked on clean photos"
    with (table_of(said) / "probes.csv").open() as stream:
        rows = [r for r in csv.DictReader(stream) if r["strategy"] == "LM2"]
    assert {r["regions"] for r in rows if r["occlusion"] == "nose+mouth+chin"} == {"nose mouth chin"}
    assert {r["regions"] for r in rows if r["occlusion"] == "clean"} == {""}


def test_drawn_people_have_no_photos_to_paint_on(copied, refused):
    assert "has no original photos to paint on" in refused(1, "eval", "--run", copied, "--align", "occluded")


def test_eval_alone_takes_some_occlusions_and_strategies(copied):
    said = give(
        "eval", "--run", copied, "--occlusion", "eyes", "--occlusion", "block:LM1/nose", "--strategy", "LM2"
    )
    assert said.code == 0, said.err
    records = json.loads((table_of(said) / "table.json").read_text())["records"]
    assert [(r["occlusion"], r["strategy"]) for r in records] == [
        ("eyes", "none"), ("eyes", "LM2"), ("block:LM1/nose", "none"), ("block:LM1/nose", "LM2"),
    ]  # fmt: skip


def test_a_run_keeps_what_its_preset_said(copied):
    about = json.loads((copied / "run.json").read_text())
    assert about["preset_settings"]["base"]["lr"] == 0.1
    about["preset_settings"]["regions"] = {"share": 0.4}  # as if an earlier version had said so
    (copied / "run.json").write_text(json.dumps(about))
    said = give("eval", "--run", copied, "--occlusion", "clean", "--strategy", "LM2")
    assert said.code == 0, said.err
    assert json.loads((table_of(said) / "table.json").read_text())["config"]["share"] == 0.4
    assert load_run(copied, device="cpu")._workspace.settings.regions.share == 0.4


def test_matched_takes_the_regions_it_is_asked_for(copied, refused):
    assert "--regions LM9 is unknown: choose from grid3x3" in refused(
        2, "mask-train", "--strategy", "matched", "--regions", "LM9", "--run", copied
    )
    said = give(
        "mask-train", "--strategy", "matched", "--regions", "grid3x3", "--share", "0.3", "--run", copied
    )
    assert said.code == 0, said.err
    assert json.loads((copied / "masks/matched/config.json").read_text())["config"]["share"] == 0.3
    assert give("build-dictionary", "--strategy", "matched", "--run", copied).code == 0
    about = json.loads((copied / "dictionary/matched.json").read_text())
    assert len(about["config"]["regions"]) == 9


def test_what_eval_is_asked_holds_for_one_call(copied):
    words = ("--run", copied, "--occlusion", "clean", "--strategy", "LM2")
    said = give("eval", *words, "--seed", "5", "--share", "0.2")
    assert said.code == 0, said.err
    assert json.loads((table_of(said) / "table.json").read_text())["config"]["share"] == 0.2
    about = json.loads((copied / "run.json").read_text())
    assert "seed" not in about["settings"]
    assert about["in_use"]["regions"]["share"] == 0.5
    assert give("base-train", "--run", copied).code == 0
    config = json.loads((table_of(give("eval", *words)) / "table.json").read_text())["config"]
    assert (config["seed"], config["share"]) == (0, 0.5)


def test_eval_compares_as_it_is_asked_to(copied):
    def cosines(*compare):
        words = ("--run", copied, "--occlusion", "eyes", "--strategy", "LM2")
        folder = table_of(give("eval", *words, *compare))
        rows = csv.DictReader((folder / "probes.csv").read_text().splitlines())
        return json.loads((folder / "table.json").read_text())["config"]["compare"], [
            float(row["cosine"]) for row in rows
        ]

    (asked, nearest), (_, mean), (last, both) = (
        cosines(), cosines("--compare", "mean"), cosines("--compare", "both")
    )  # fmt: skip
    assert (asked, last) == ("nearest", "both")
    assert nearest != mean
    # The best of a sum is no better than the sum of the bests.
    assert all(b <= (n + m) / 2 + 2e-4 for n, m, b in zip(nearest, mean, both, strict=True))


def test_the_cosine_without_fdm_weighs_in(copied):
    def cosines(*more):
        words = ("--run", copied, "--occlusion", "eyes", "--strategy", "LM2", "--occlusion-source", "oracle")
        folder = table_of(give("eval", *words, *more))
        rows = csv.DictReader((folder / "probes.csv").read_text().splitlines())
        found = {"none": [], "LM2": []}
        for row in rows:
            found[row["strategy"]].append(float(row["cosine"]))
        return found

    plain, half, whole = cosines(), cosines("--unmasked", "0.5"), cosines("--unmasked", "1")
    assert plain["none"] == half["none"] == whole["none"]
    assert whole["LM2"] == pytest.approx(plain["none"], abs=2e-4)
    assert half["LM2"] != plain["LM2"]
    # The best of a sum is no better than the sum of the bests.
    bests = zip(half["LM2"], plain["LM2"], plain["none"], strict=True)
    assert all(h <= (m + n) / 2 + 2e-4 for h, m, n in bests)


def test_a_tuned_head_is_taken_until_it_is_told_otherwise(copied, refused, tmp_path):
    words = ("--run", copied, "--occlusion", "eyes", "--strategy", "matched")
    config = tmp_path / "head.toml"
    config.write_text("[head]\nsteps = 6\nbatch = 16\ndraws = 1\nvalidations = 1\nlr = 0.3\n")

    def answers(*more):
        said = give("eval", *words, *more)
        assert said.code == 0, said.err
        rows = csv.DictReader((table_of(said) / "probes.csv").read_text().splitlines())
        table = json.loads((table_of(said) / "table.json").read_text())
        return table["inputs"].get("head"), [row["cosine"] for row in rows]

    before = answers()
    assert before[0] is None
    said = give("head-train", "--run", copied, "--config", config)
    assert said.code == 0 and "under the FDMs of matched" in " ".join(said.out.split()), said.err
    assert "trained already" in give("head-train", "--run", copied).out
    after = answers()
    assert after[0] is not None and after[1] != before[1]
    assert answers("--no-head") == before
    run = load_run(copied, device="cpu", precision="fp32")
    assert run._workspace.tuned[1]["head"] == after[0]
    assert give("build-dictionary", "--strategy", "LM2", "--run", copied).code == 0  # another one's
    line = refused(2, "head-train", "--run", copied, "--lr", "0.01")
    assert "was trained with other settings (lr" in line
    config.write_text("[matching]\nlr = 0.05\n")
    assert (
        give("mask-train", "--strategy", "matched", "--config", config, "--force", "--run", copied).code == 0
    )
    assert give("build-dictionary", "--strategy", "matched", "--run", copied).code == 0
    line = refused(1, "eval", *words)
    assert f"belongs to another dictionary: rebuild it with `pdsn head-train --force --run {copied}`" in line


def test_what_a_killed_command_left_is_no_dictionary_and_no_table(copied):
    shutil.copy(copied / "dictionary/LM2.safetensors", copied / "dictionary/.LM2-1a2b.safetensors")
    about = json.loads((copied / "run.json").read_text())
    about["settings"]["eval"] |= {"occlusions": ["clean"], "source": "oracle"}
    (copied / "run.json").write_text(json.dumps(about))
    assert table_of(give("eval", "--run", copied)) == copied / "eval"
    assert not (copied / "eval/segmentation.csv").exists()  # it told of another table


def test_a_percentile_changes_the_share_that_is_dropped(copied, tiny):
    from safetensors.torch import load_file

    path = copied / "dictionary/LM2.safetensors"
    before = path.read_bytes()
    command = ["build-dictionary", "--run", copied, "--strategy", "LM2", "--percentile", "60"]
    assert give(*command, "--device", "cpu", "--precision", "fp32").code == 0
    binary = load_file(path)["binary"]
    assert binary.float().mean() == pytest.approx(0.4, abs=0.01)
    assert json.loads((copied / "dictionary/LM2.json").read_text())["config"]["percentile"] == 60
    # Killed between the two files: what one says of other masks does not count.
    made = path.read_bytes()
    path.write_bytes(before)
    assert give("run", "--run", copied, "--config", tiny, "--device", "cpu", "--precision", "fp32").code == 0
    assert path.read_bytes() == made


def test_options_beat_the_file_and_the_file_beats_the_preset(tmp_path, tiny):
    said = give("base-train", "--run", tmp_path / "r", "--config", tiny, "--epochs", "1", "--device", "cpu")
    assert said.code == 0, said.err
    used = json.loads((tmp_path / "r/base/config.json").read_text())["config"]
    assert (used["epochs"], used["width"], used["stem"]) == (1, 8, "fine")


@pytest.mark.slow
def test_kill_9_at_any_moment_and_the_same_command_ends_alike(tmp_path, tiny, finished):
    """Kill the process again and again at odd moments until it gets through; compare with `finished`."""
    root = tmp_path / "killed"
    command = [sys.executable, "-m", "stages.cli", "run", "--run", str(root), "--config", str(tiny)]
    command += ["--device", "cpu", "--precision", "fp32"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    kills, patience = 0, 3.0
    while True:
        process = subprocess.Popen(
            command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            _, err = process.communicate(timeout=patience)
            assert process.returncode == 0, err
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            # The longest step that is not resumed in its middle is the table.
            patience *= 1.3
            assert kills < 20
    assert kills >= 3
    for path in finished.rglob("*"):
        if path.suffix in (".safetensors", ".npy", ".csv"):
            assert (root / path.relative_to(finished)).read_bytes() == path.read_bytes(), path


@pytest.mark.slow
def test_ctrl_c_stops_cleanly_and_says_so(tmp_path, tiny):
    root = tmp_path / "stopped"
    command = [
        sys.executable,
        "-m",
        "stages.cli",
        "base-train",
        "--run",
        str(root),
        "--config",
        str(tiny),
        "--epochs",
        "400",
    ]
    # A shell that starts the tests in the background has them ignore Ctrl-C, and what they start too.
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    for _ in range(600):
        if (root / "base/last.pt").exists():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped; the same command goes on from here" in err and "Traceback" not in err
    assert (root / "base/last.pt").exists() and not (root / "base/model.safetensors").exists()


@pytest.mark.slow
def test_two_processes_train_through_accelerate(tmp_path, few):
    root = tmp_path / "two"
    # On CPUs `accelerate launch` starts several processes through MPI only: set what it sets by hand.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "stages.cli", "run", "--run", str(root), "--config", str(few)]
    command += ["--device", "cpu", "--precision", "fp32", "--debug"]
    started = []
    for rank in range(2):
        env = {**os.environ, "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
        env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2", "MASTER_PORT": str(port)}
        started.append(
            subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        )
    for process in started:
        _, err = process.communicate(timeout=400)
        assert process.returncode == 0, err[-3000:]
    about = json.loads((root / "run.json").read_text())
    assert about["history"][0]["processes"] == 2
    assert len(json.loads((root / "eval/table.json").read_text())["records"]) == 2 * len(LAYOUTS)
    rows = (root / "base/metrics.jsonl").read_text().splitlines()
    assert len(rows) == 3, "one line an epoch, not one a process"


@pytest.mark.slow
def test_bf16_goes_through_every_stage(tmp_path, few):
    said = give("run", "--run", tmp_path / "r", "--config", few, "--device", "cpu", "--precision", "bf16")
    assert said.code == 0, said.err
    about = json.loads((tmp_path / "r/run.json").read_text())
    assert about["history"][0]["precision"] == "bf16"
    rows = [json.loads(line) for line in (tmp_path / "r/base/metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < rows[0]["loss"]
