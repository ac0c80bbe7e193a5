"""`pdsn run --split-by person`: the people of the table were never trained on."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from pdsn import api
from pdsn.data.dataset import FaceDataset
from tests.people.photos import PlainDetector, save_photo
from tests.stages.conftest import give, table_of

CPU = ("--device", "cpu", "--precision", "fp32")


@pytest.fixture(scope="module")
def apart(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on fourteen people: nine to train on, two to validate, three to test."""
    root = tmp_path_factory.mktemp("apart")
    config = root / "apart.toml"
    text = few.read_text().replace("people = 6\nphotos = 14", "people = 14\nphotos = 8")
    text = text.replace(
        '"LM2", "matched", "random", "geometric", "difference", "relative"', '"LM2", "random"'
    )
    assert '"matched"' not in text
    config.write_text(text + "draws = 2\n")
    said = give("run", "--run", root / "run", "--config", config, "--split-by", "person", *CPU)
    assert said.code == 0, said.err
    assert "of 9 test photos of people never seen" in " ".join(said.out.split())
    return root / "run"


@pytest.fixture(scope="module")
def faces(apart: Path) -> FaceDataset:
    return FaceDataset.load(apart / "data")


def probes(folder: Path) -> list[dict[str, str]]:
    with (folder / "probes.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_nobody_of_the_training_people_is_in_the_table(apart, faces):
    table = json.loads((apart / "eval/table.json").read_text())
    assert (table["config"]["split_by"], table["config"]["split"], table["left_out"]) == ("person", "test", 0)
    # Five of each one's eight photos are enrolled, three are asked about.
    assert [(r["probes"], r["draws"]) for r in table["records"]] == [(9, 1)] * 3 + [(9, 2)] * 3
    assert (apart / "eval/table.md").read_text().startswith("Rank-1 in %, people never seen in training;")
    test = {faces.people[label] for label in faces.labels[faces.rows("test", by="person")]}
    rows = probes(apart / "eval")
    assert {row["person"] for row in rows} == test
    assert {row["found_person"] for row in rows} <= test
    assert len(rows) == 3 * 9 + 3 * 2 * 9
    assert not {row["found_file"] for row in rows} & {row["file"] for row in rows}


def test_everything_is_trained_on_the_training_people_alone(apart, faces):
    view = faces.training_people()
    base, segmenter = (
        json.loads((apart / f"{part}/config.json").read_text()) for part in ("base", "segmenter")
    )
    assert base["config"]["people"] == len(view.people) == 9
    assert base["inputs"]["data set"] == segmenter["inputs"]["data set"] == view.sha256
    maps = json.loads((apart / "cache/clean-train.json").read_text())
    assert maps["data set"] == view.sha256


def test_the_run_remembers_its_split_and_refuses_the_other(apart, refused, tmp_path):
    words = ("eval", "--run", apart, "--occlusion", "eyes", "--strategy", "random", *CPU)
    (tmp_path / "photo.toml").write_text('split = "photo"\n')
    line = refused(2, *words, "--config", tmp_path / "photo.toml")
    assert f"split = photo: {apart} was made with person; choose another --run for photo" in line
    said = give(*words, "--enrol", "3", "--split", "test")
    assert said.code == 0, said.err
    rows = probes(table_of(said))
    assert {row["draw"] for row in rows} == {"0"}
    assert len(rows) == 2 * 3 * 5
    line = refused(1, *words, "--enrol", "8")
    assert "the test split by person holds 0 people with more than 8 photos" in line


def test_thresholds_come_from_people_never_trained_on(apart, faces, tmp_path, monkeypatch):
    monkeypatch.setattr(api, "Detector", PlainDetector)
    run = api.load_run(apart, occlusion_source="none", device="cpu", precision="fp32")
    people = run.enrol()
    view = faces.training_people()
    assert people.gallery.people == view.people
    assert len(people.gallery.files) == len(view.rows("train"))
    photo = save_photo(tmp_path / "p.png", faces.faces[view.rows("train")[0]])
    (face,) = people.identify(photo, fpr=0.1)
    assert face.nearest[0].person == view.people[0]
    assert face.impostors == 2 * 8  # all photos of both validation people
    assert run.verify(photo, photo, fpr=0.1).impostors == 8 * 8
