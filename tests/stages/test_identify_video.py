"""`pdsn identify film.mkv` and `--camera` as they are typed."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pdsn import api
from pdsn.data.dataset import FaceDataset
from pdsn.occlusion.layouts import LandmarkStatistics
from pdsn.occlusion.occluders import make_occluders, occlude
from pdsn.people import video
from tests.people.films import RATE, leave_out_pyav, write_film
from tests.people.photos import GREY, SCALE, PlainDetector, save_photo
from tests.stages.conftest import Said, give

WIDTH, HEIGHT = 520, 240


@pytest.fixture(scope="module")
def film(drawn: FaceDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three drawn people who move for three seconds: the first, the third in sunglasses, the fifth from one second on."""
    rows = drawn.rows("train")
    rows = {person: rows[drawn.labels[rows] == person][:3] for person in (0, 2, 4)}
    sunglasses = make_occluders(LandmarkStatistics.of(drawn.landmarks, drawn.size), 0.0, "test")["sunglasses"]
    worn, _ = occlude(
        sunglasses, drawn.tensor(rows[2]), drawn.landmarks[rows[2]], seed=0, name="sunglasses", rows=rows[2]
    )
    faces = {0: drawn.faces[rows[0]], 2: worn.permute(0, 2, 3, 1).numpy(), 4: drawn.faces[rows[4]]}
    frames = []
    for number in range(3 * RATE):
        frame = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
        places = {0: (10 + 3 * number, 20), 2: (300 - 3 * number, 60)}
        if number >= RATE:
            places[4] = (400, 10 + 2 * number)
        for person, (left, top) in places.items():
            face = np.kron(faces[person][number // RATE], np.ones((SCALE, SCALE, 1), np.uint8))
            frame[top : top + face.shape[0], left : left + face.shape[1]] = face
        frames.append(frame)
    return write_film(tmp_path_factory.mktemp("film") / "film.mkv", frames)


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "Detector", PlainDetector)


def ask(people: Path, *words: object) -> Said:
    common = ("--run", people, "--device", "cpu", "--precision", "fp32", "--fpr", "0.2")
    return give("identify", *words, *common, "--occlusion-source", "none")


def test_each_face_of_a_film_is_named_once(people, drawn, film, tmp_path):
    said = ask(people, film, "--json", "--picture", tmp_path / "named.png")
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert answer["photos"] == [] and answer["failed"] == []
    (found,) = answer["videos"]
    assert (found["video"], found["frames"], found["seconds"], found["every"]) == (str(film), 6, 2.5, 0.5)
    assert found["damaged"] == 0
    names = [drawn.people[person] for person in (0, 2, 4)]
    assert [track["nearest"][0]["person"] for track in found["tracks"]] == names
    assert [(track["from"], track["to"], track["frames"]) for track in found["tracks"]] == [
        (0.0, 2.5, 6), (0.0, 2.5, 6), (1.0, 2.5, 4),
    ]  # fmt: skip
    first, _, third = found["tracks"]
    assert first["person"] == names[0] and third["person"] == names[2], "they are in the gallery themselves"
    for track in found["tracks"]:
        assert (track["person"] is not None) == (track["score"] > track["threshold"])
    with Image.open(tmp_path / "named.png") as picture:
        assert picture.format == "PNG" and picture.width > 3 * 236


def test_the_table_shows_the_same(people, film):
    tracks = json.loads(ask(people, film, "--json", "--no-draw").out)["videos"][0]["tracks"]
    said = ask(people, film)
    assert f"{film}: 3 faces followed over 6 frames in 0:02.5" in said.out
    for track in tracks:
        assert f"{track['score']:.2f} ({track['threshold']:.2f})" in said.out
    assert "0:01.0" in said.out and (people / "identify/film-identified.png").is_file()


def test_how_often_and_how_long(people, film):
    for words, frames in ((("--every", "0.1"), 30), (("--every", "1", "--seconds", "1.5"), 2)):
        said = ask(people, film, "--json", "--no-draw", *words)
        assert json.loads(said.out)["videos"][0]["frames"] == frames


def test_films_among_photos_and_those_that_are_none(people, drawn, film, tmp_path):
    photo = save_photo(tmp_path / "a.png", drawn.faces[drawn.rows("train")[0]])
    (tmp_path / "broken.mp4").write_bytes(b"no film" * 100)
    silent = write_film(tmp_path / "sound.mkv", [], sound=True)
    said = ask(
        people, photo, film, tmp_path / "broken.mp4", silent, tmp_path / "gone.mov", "--json", "--no-draw"
    )
    answer = json.loads(said.out)
    assert said.code == 0 and len(answer["photos"]) == 1 and len(answer["videos"]) == 1
    assert [line for line in said.err.splitlines() if line.startswith("pdsn")] == [
        f"pdsn identify: {failed['reason']}" for failed in answer["failed"]
    ]
    assert [failed["reason"].removeprefix(failed["photo"]) for failed in answer["failed"]] == [
        " cannot be read: no such file",
        " cannot be read: damaged, cut off, or no video",
        " cannot be read: it has no moving pictures, sound alone",
    ]


def test_a_film_without_a_face(people, tmp_path):
    empty = write_film(tmp_path / "empty.mkv", [np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)] * 5)
    said = ask(people, empty)
    assert said.code == 1 and "0 faces followed over 1 frames" in said.out and "picture" not in said.out


def test_a_camera_goes_the_same_way(people, film, monkeypatch, tmp_path):
    """No camera is here; what its driver would give comes from FFmpeg's own reading of a film."""
    shutil.copy(film, tmp_path / "door.mkv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(video.DEVICES, sys.platform, ("lavfi", "movie={}.mkv", "door"))
    said = ask(people, "--camera", "door", "--seconds", "2", "--no-draw")
    assert said.code == 0, said.err
    assert "watching door until Ctrl-C" in said.out and "door: 3 faces followed over 5 frames" in said.out
    assert "0:01.0 to 0:02.0: " in said.out
    said = ask(people, "--camera", "window", "--no-draw")
    assert said.code == 1 and "pdsn identify: --camera window cannot be opened" in said.err


def test_ctrl_c_ends_the_watching_and_the_answers_follow(people, film, monkeypatch, tmp_path):
    import signal

    shutil.copy(film, tmp_path / "door.mkv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(video.DEVICES, sys.platform, ("lavfi", "movie={}.mkv", "door"))

    class Pressed(PlainDetector):
        calls = 0

        def __call__(self, photos):
            Pressed.calls += 1
            if Pressed.calls == 3:
                signal.raise_signal(signal.SIGINT)
            return super().__call__(photos)

    monkeypatch.setattr(api, "Detector", Pressed)
    before = signal.getsignal(signal.SIGINT)
    said = ask(people, "--camera", "door", "--no-draw")
    assert said.code == 0 and "door: 3 faces followed over 3 frames in 0:01.0" in said.out
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "give a PHOTO, a video or a folder of photos, or --camera NAME"),
        (("a.jpg", "--every", "1"), "--every 1 is about videos, and none is given: leave it out"),
        (("a.mp4", "--every", "-1"), "--every -1 is out of range: 0 to 1000000"),
        (("a.mp4", "--every", "nan"), "--every nan is out of range: 0 to 1000000"),
        (("--camera", "0", "--seconds", "0"), "--seconds 0 is out of range: 0.001 to 1000000"),
    ],
)
def test_what_cannot_be_is_said_at_once(people, words, line):
    said = ask(people, *words)
    assert said.code == 2 and said.err.strip().endswith(line), said.err


def test_without_pyav(people, film, monkeypatch):
    leave_out_pyav(monkeypatch)
    said = ask(people, film)
    assert said.code == 1 and 'pip install "pdsn[video]", or extract frames first' in said.err
    assert "ffmpeg -i" in said.err
    said = ask(people, "--camera", "0")
    assert said.code == 1 and '--camera 0 needs PyAV: pip install "pdsn[video]"' in said.err


def test_sunglasses_that_are_found_are_left_out_of_the_comparison(people, drawn, film):
    run = api.load_run(people, strategy="LM2", occlusion_source="none", device="cpu", precision="fp32")
    rows = drawn.rows("train")
    bare = drawn.tensor(rows[drawn.labels[rows] == 2][:3]).int()
    band = run._workspace.layout("LM2").regions["eyes"]

    def eyes(faces: torch.Tensor) -> torch.Tensor:
        """The band of the eyes, where a face differs from the bare photo far more in it than below it."""
        rows = (faces[:, None].int() - bare).abs().float().mean((2, 4))
        below, inside = (
            rows[..., band.bottom :].mean(2).amin(1),
            rows[..., band.top : band.bottom].mean(2).amin(1),
        )
        covered = torch.zeros((len(faces), *faces.shape[2:]), dtype=torch.bool)
        covered[inside - below > 20, band.top : band.bottom] = True
        return covered

    bareheaded = run.enrol().identify_video(film, fpr=0.2)
    run._cover = eyes
    answer = run.enrol().identify_video(film, fpr=0.2)
    assert [track.best.covered for track in answer.tracks] == [[], ["eyes"], []]
    assert [track.nearest[0][0] for track in answer.tracks] == [drawn.people[person] for person in (0, 2, 4)]
    assert answer.tracks[1].score > bareheaded.tracks[1].score, "the FDM leaves the sunglasses out"
