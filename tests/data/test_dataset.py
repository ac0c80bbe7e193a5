"""The prepared data set on disk: round trip, damage, its training people."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pdsn.data.dataset import Face, FaceDataset, write_dataset
from pdsn.data.splits import split_photos
from pdsn.errors import PdsnError


def write(
    root: Path, counts: tuple[int, ...] = (10, 7), seed: int = 0
) -> tuple[FaceDataset, np.ndarray, list[Face]]:
    rng = np.random.default_rng(seed)
    described = [
        Face(f"p {i}, jr.", f"p {i}, jr./{j}.jpg", (1.5, -2.25, 30, 40), 0.987654, rng.uniform(0, 32, (5, 2)))
        for i, count in enumerate(counts)
        for j in range(count)
    ]
    faces = rng.integers(0, 256, (len(described), 40, 32, 3), dtype=np.uint8)
    made = write_dataset(
        root,
        iter(faces),
        described,
        (40, 32),
        settings={"align": "box"},
        split_seed=3,
        skipped=[("x.jpg", "a, b")],
    )
    return made, faces, described


def test_names_are_composed_and_the_classes_keep_their_numbers(tmp_path: Path) -> None:
    made, _, _ = write(tmp_path, (3, 3, 3))
    manifest = tmp_path / "manifest.csv"
    text = manifest.read_text()
    for number, name in enumerate(("Zoe\u0308", "Zof", "Zo\u00eb")):  # sorted as they are written here
        text = text.replace(f'"p {number}, jr.",', f"{name},")
    manifest.write_text(text, encoding="utf-8")
    again = FaceDataset.load(tmp_path)
    assert again.people == ["Zo\u00eb", "Zof"]
    assert again.labels.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0]
    assert made.sha256 == again.sha256


def test_training_people_are_a_data_set_of_their_own(tmp_path: Path) -> None:
    made, _, _ = write(tmp_path, (10, 9, 8, 7, 6, 5, 11, 12))
    view = made.training_people()
    inside = made.person_split == "train"
    assert view.faces is made.faces and view.files is made.files, "nothing is copied"
    assert (
        view.people == sorted({made.people[label] for label in made.labels[inside]}) and len(view.people) == 5
    )
    train, val = view.rows("train"), view.rows("val")
    assert sorted([*train, *val]) == np.flatnonzero(inside).tolist()
    assert np.array_equal(val, np.flatnonzero(inside & (made.split == "val"))) and not len(view.rows("test"))
    assert set(view.split[~inside]) == {""} and set(view.labels[~inside]) == {-1}
    assert [view.people[label] for label in view.labels[train]] == [
        made.people[label] for label in made.labels[train]
    ]


def test_training_people_have_a_fingerprint_of_their_own(tmp_path: Path) -> None:
    made, _, _ = write(tmp_path, (6, 6, 6, 6))
    fingerprint = made.training_people().sha256
    assert len(fingerprint) == 64 and fingerprint != made.sha256
    assert FaceDataset.load(tmp_path).training_people().sha256 == fingerprint


def test_one_training_person_is_nobody_to_tell_apart(tmp_path: Path) -> None:
    made, _, _ = write(tmp_path, (6, 6))
    with pytest.raises(PdsnError, match="has 1 training people .* take --split-by photo"):
        made.training_people()


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    made, faces, described = write(tmp_path / "data")
    data = FaceDataset.load(tmp_path / "data")
    assert np.array_equal(data.faces, faces) and data.size == (40, 32)
    assert isinstance(data.faces, np.memmap) and not data.faces.flags.writeable
    assert data.people == ["p 0, jr.", "p 1, jr."]
    assert [data.people[label] for label in data.labels] == [face.person for face in described]
    assert data.files == [face.file for face in described]
    assert data.landmarks == pytest.approx(np.stack([face.landmarks for face in described]), abs=1e-4)
    assert data.split.tolist() == split_photos([face.person for face in described], 3)
    assert data.settings == {"align": "box"} and data.sha256 == made.sha256
    rows = np.concatenate([data.rows(part) for part in ("train", "val", "test")])
    assert sorted(rows.tolist()) == list(range(17))
    tensor = data.tensor(rows[:3])
    assert tensor.shape == (3, 3, 40, 32) and tensor.dtype == torch.uint8
    assert np.array_equal(tensor[1, 2].numpy(), faces[rows[1], :, :, 2])


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    first, second, other = (
        write(tmp_path / name, seed=seed)[0].sha256 for name, seed in zip("abc", (0, 0, 1), strict=True)
    )
    assert first == second != other


def test_too_few_faces_leave_an_older_data_set_as_it_was(tmp_path: Path) -> None:
    _, faces, described = write(tmp_path / "data")
    with pytest.raises(ValueError, match="zip"):
        write_dataset(tmp_path / "data", iter(faces[:-1]), described, (40, 32), settings={}, split_seed=0)
    assert len(FaceDataset.load(tmp_path / "data").faces) == len(faces)
    assert not list((tmp_path / "data").glob(".*"))
    with pytest.raises(PdsnError, match="no face"):
        write_dataset(tmp_path / "none", [], [], (40, 32), settings={}, split_seed=0)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def drop_row(path: Path) -> None:
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")


def drop_column(path: Path) -> None:
    path.write_text("\n".join(line.rsplit(",", 1)[0] for line in path.read_text().splitlines()) + "\n")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("faces.npy", cut),
        ("faces.npy", Path.unlink),
        ("faces.npy", lambda path: path.write_bytes(b"")),
        ("faces.npy", lambda path: np.save(path, np.zeros((17, 40, 32), np.uint8))),
        ("faces.npy", lambda path: np.save(path, np.array([{}] * 17), allow_pickle=True)),
        ("manifest.csv", cut),
        ("manifest.csv", drop_row),
        ("manifest.csv", drop_column),
        ("manifest.csv", Path.unlink),
        ("dataset.json", cut),
        ("dataset.json", lambda path: path.write_text("[]")),
        ("dataset.json", lambda path: path.write_text('{"format": 99, "sha256": "x"}')),
    ],
)
def test_damage_is_told_in_one_line(tmp_path: Path, name: str, damage: Callable[[Path], object]) -> None:
    write(tmp_path / "data")
    damage(tmp_path / "data" / name)
    with pytest.raises(PdsnError) as caught:
        FaceDataset.load(tmp_path / "data")
    message = str(caught.value)
    assert "is damaged" in message and "--force" in message and "\n" not in message


def test_a_folder_that_is_no_data_set(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(PdsnError, match=r"is not a prepared data set .*`pdsn prepare"):
            FaceDataset.load(path)


def test_writing_again_replaces_the_data_set(tmp_path: Path) -> None:
    write(tmp_path / "data", counts=(10, 7))
    made, faces, _ = write(tmp_path / "data", counts=(5, 4), seed=8)
    assert np.array_equal(FaceDataset.load(tmp_path / "data").faces, faces)
    info = json.loads((tmp_path / "data/dataset.json").read_text())
    assert (info["faces"], info["people"], info["skipped"], info["sha256"]) == (9, 2, 1, made.sha256)
    assert {path.name for path in (tmp_path / "data").iterdir()} == {
        "faces.npy",
        "manifest.csv",
        "skipped.csv",
        "dataset.json",
    }
