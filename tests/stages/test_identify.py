"""`pdsn identify` and `pdsn verify` as they are typed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pdsn import api
from pdsn.data.dataset import FaceDataset
from stages import identify as stage
from stages import named
from stages.cli import app
from stages.picture_files import picture_paths
from tests.full_disk import FULL, full_disk
from tests.people.photos import PlainDetector, save_photo
from tests.stages.conftest import Said, give, stop_at
from tests.stages.test_bad_input import snapshot


@pytest.fixture
def photo(drawn: FaceDataset, tmp_path: Path) -> Path:
    """A training photo of the first person, beside one of the third."""
    rows = drawn.rows("train")
    first, third = (rows[drawn.labels[rows] == person][0] for person in (0, 2))
    return save_photo(tmp_path / "in" / "two.png", drawn.faces[first], drawn.faces[third])


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "Detector", PlainDetector)


def ask(command: str, people: Path, *words: object) -> Said:
    common = ("--run", people, "--device", "cpu", "--precision", "fp32", "--fpr", "0.2")
    return give(command, *words, *common, "--occlusion-source", "none")


def test_threads_sleep_while_they_wait_unless_the_user_says_otherwise(monkeypatch, tmp_path):
    for said, kept in (("", "passive"), ("active", "active")):
        monkeypatch.setenv("OMP_WAIT_POLICY", said)
        if not said:
            monkeypatch.delenv("OMP_WAIT_POLICY")
        assert give("identify", "a.jpg", "--run", tmp_path).code != 0
        assert os.environ["OMP_WAIT_POLICY"] == kept


def test_strangers_are_looked_at_with_a_bar_and_a_stopped_look_goes_on(people, photo, monkeypatch):
    for kept in (people / "cache").glob("strangers-*"):
        kept.unlink()
    with monkeypatch.context() as patched:
        stop_at(patched, "pdsn.calibration.seeing.joined")
        said = ask("identify", people, photo, "--no-draw")
    assert said.code == 130 and "strangers" in said.err and "the same command goes on from here" in said.err
    assert len(list((people / "cache").glob("strangers-*-clean.safetensors"))) == 1
    said = ask("identify", people, photo, "--no-draw")
    assert said.code == 0 and len(list((people / "cache").glob("strangers-*"))) == 1
    assert "strangers" not in ask("identify", people, photo, "--no-draw").err


def test_json_is_alone_on_standard_output(people, drawn, photo):
    said = ask("identify", people, photo, "--json")
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert list(answer) == [
        "format", "run", "strategy", "occlusion_source", "fpr", "strangers", "gallery", "photos", "failed",
    ]  # fmt: skip
    assert (answer["strategy"], answer["occlusion_source"], answer["fpr"]) == ("matched", "none", 0.2)
    assert answer["gallery"]["source"] == "run" and answer["gallery"]["people"] == 6
    (found,) = answer["photos"]
    assert list(found) == ["photo", "picture", "faces"] and answer["failed"] == []
    # They are in the gallery themselves.
    assert [face["nearest"][0]["person"] for face in found["faces"]] == [drawn.people[0], drawn.people[2]]
    assert all(len(face["nearest"]) == 5 and face["covered"] == [] for face in found["faces"])
    assert Path(found["picture"]) == people / "identify/two-identified.png"
    with Image.open(found["picture"]) as picture:
        assert picture.format == "PNG" and picture.width > 500


def test_too_few_strangers_for_the_default_rate_take_the_least_they_can_tell(people, photo):
    words = (
        "--run",
        people,
        "--device",
        "cpu",
        "--precision",
        "fp32",
        "--occlusion-source",
        "none",
        "--no-draw",
    )
    said = give("identify", *words, "--json", photo)
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    strangers = answer["photos"][0]["faces"][0]["impostors"]
    assert 0.01 < answer["fpr"] == pytest.approx(1 / (strangers + 1), abs=1e-6)
    assert "there are too few photos of strangers (the run's validation photos) for 0.01" in said.err


def test_the_table_shows_the_same(people, photo, tmp_path):
    faces = json.loads(ask("identify", people, photo, "--json", "--no-draw").out)["photos"][0]["faces"]
    target = tmp_path / "named.png"
    said = ask("identify", people, photo, "--picture", target)
    assert said.code == 0 and target.is_file()
    assert (
        "2 faces, compared by matched, known where at most 20 % of strangers pass" in said.out
        and f"picture: {target}" in said.out
    )
    for face in faces:
        assert f"{face['cosine']:.3f} ({face['threshold']:.3f})" in said.out


def test_bad_photos_among_good_ones_are_reported_and_skipped(people, photo, tmp_path):
    (tmp_path / "in/broken.jpg").write_text("no photo")
    save_photo(tmp_path / "in/nobody.png")
    (tmp_path / "clip.MP4").write_bytes(b"video")
    said = ask("identify", people, tmp_path / "in", tmp_path / "clip.MP4", tmp_path / "nowhere.jpg", "--json")
    assert said.code == 0
    answer = json.loads(said.out)
    assert [Path(found["photo"]).name for found in answer["photos"]] == ["two.png"]
    lines = said.err.splitlines()
    assert [line for line in lines if line.startswith("pdsn")] == [
        f"pdsn identify: {failed['reason']}" for failed in answer["failed"]
    ]
    assert [failed["reason"].removeprefix(f"{failed['photo']}") for failed in answer["failed"]] == [
        " cannot be read: no such file",
        " cannot be read: not an image",
        ": no face found: it may be too small (try --min-face 20), turned away or largely covered",
        " cannot be read: damaged, cut off, or no video",
    ]


def test_several_photos_are_one_table_and_what_failed_is_counted(people, photo, drawn, tmp_path):
    save_photo(tmp_path / "in/one.png", drawn.faces[drawn.rows("train")[0]])
    (tmp_path / "in/broken.jpg").write_text("no photo")
    said = ask("identify", people, tmp_path / "in")
    assert said.code == 0, said.err
    assert said.out.count("┏") == 1 and f"{tmp_path / 'in'}: compared by matched" in said.out
    lines = [line for line in said.out.splitlines() if line.startswith("│")]
    assert ["two.png, face 2" in line for line in lines] == [False, False, True] and "one.png" in lines[0]
    answer = json.loads(ask("identify", people, tmp_path / "in", "--json", "--no-draw").out)
    names = [face["person"] for found in answer["photos"] for face in found["faces"]]
    known = len(names) - names.count(None)
    end = f"2 photos, 3 faces: {known} named, {3 - known} unknown; 1 failed"
    assert said.out.splitlines()[-2:] == [f"pictures: {people / 'identify'}", end]


def test_what_was_answered_is_printed_where_the_rest_is_stopped(people, photo, drawn, monkeypatch):
    save_photo(photo.parent / "one.png", drawn.faces[0])
    draw, calls = stage.draw, []

    def stop_at_the_second(*words):
        calls.append(words)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return draw(*words)

    monkeypatch.setattr(stage, "draw", stop_at_the_second)
    said = ask("identify", people, photo.parent)
    assert said.code == 130 and "one.png" in said.out and "1 photo, 1 face: " in said.out


def test_a_folder_stands_for_its_photos_and_not_for_what_systems_leave_there(tmp_path):
    for name in (
        "b.JPG",
        "a.png",
        "._a.png",
        "Thumbs.db",
        "desktop.ini",
        "@eaDir/a.jpg",
        "$RECYCLE.BIN/c.jpg",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert stage.expand([tmp_path]) == ([tmp_path / "a.png", tmp_path / "b.JPG"], [])


def test_files_of_a_folder_that_are_no_photos_are_said(people, photo):
    folder = photo.parent
    photo.rename(folder / "IMG_0001")
    (folder / "IMG_0001.xmp").write_text("no photo")
    said = ask("identify", people, folder, "--json", "--no-draw")
    why = "not a photo by its name or content"
    assert said.code == 0 and f"pdsn identify: {folder / 'IMG_0001.xmp'} is left out: {why}" in said.err
    answer = json.loads(said.out)
    assert [Path(found["photo"]).name for found in answer["photos"]] == ["IMG_0001"]
    assert [found["photo"] for found in answer["failed"]] == [str(folder / "IMG_0001.xmp")]
    for number in range(9):
        (folder / f"{number}.txt").write_text("no photo")
    said = ask("identify", people, folder, "--json", "--no-draw")
    assert f"pdsn identify: 10 files are left out, such as {folder / '0.txt'}: {why}" in said.err
    assert said.err.count(why) == 1 and len(json.loads(said.out)["failed"]) == 10


def test_nothing_but_bad_photos_is_exit_code_1(people, tmp_path):
    nobody = save_photo(tmp_path / "nobody.png")
    said = ask("identify", people, nobody)
    assert (said.code, said.out) == (1, "")
    assert "was trained on drawn people" in said.err
    assert said.err.splitlines()[-1].startswith(
        f"pdsn identify: {nobody}: no face found: it may be too small"
    )
    said = ask("identify", people, nobody, "--json")
    assert said.code == 1 and json.loads(said.out)["photos"] == []


def test_a_gallery_with_one_bad_photo(people, drawn, photo, tmp_path):
    save_photo(tmp_path / "team/Ann/1.png", drawn.faces[drawn.rows("train")[0]])
    save_photo(tmp_path / "team/Bob/1.png", drawn.faces[-1])
    first, third = drawn.faces[drawn.rows("train")[1]], drawn.faces[-2]
    save_photo(tmp_path / "team/Ann/2.png", first, third, scale=[2, 1])
    (tmp_path / "team/Bob/2.png").write_text("no photo")
    (tmp_path / "team/Cid").mkdir()
    said = ask("identify", people, photo, "--gallery", tmp_path / "team", "--json")
    assert said.code == 0, said.err
    assert "gallery: Bob/2.png is left out: cannot be read: not an image" in said.err
    assert "gallery: Ann/2.png shows 2 faces: the largest is enrolled" in said.err
    assert "gallery: Cid cannot be named: no usable photo" in said.err
    answer = json.loads(said.out)
    assert answer["gallery"] == {
        "source": str(tmp_path / "team"), "people": 2, "photos": 3,
        "skipped": [{"photo": "Bob/2.png", "reason": "cannot be read: not an image"}], "left_out": ["Cid"],
        "notes": [{"photo": "Ann/2.png", "note": "shows 2 faces: the largest is enrolled"}],
    }  # fmt: skip
    assert answer["photos"][0]["faces"][0]["nearest"][0]["person"] == "Ann"


def test_thresholds_follow_from_other_strangers_and_a_rate_that_does_not_fit_is_said(
    people, drawn, photo, tmp_path
):
    alike, rng = drawn.faces[drawn.rows("train")[0]], np.random.default_rng(3)
    for number in range(12):
        face = np.clip(alike + rng.normal(0, 3, alike.shape), 0, 255).astype(np.uint8)
        save_photo(tmp_path / f"team/person_{number % 4}/{number}.png", face)
    words = ("identify", people, photo, "--gallery", tmp_path / "team", "--no-draw")
    said = ask(*words)
    assert said.code == 0
    assert "at a rate of 0.2 12 of 12 enrolled photos pass for somebody else" in said.err
    assert "more alike than those of the run's validation photos" in said.err
    assert "Give --strangers DIR" in said.err
    # What the line advises.
    said = ask(*words, "--strangers", tmp_path / "team", "--json")
    assert said.code == 0 and "enrolled photos pass" not in said.err
    answer = json.loads(said.out)
    assert answer["strangers"] == f"--strangers {tmp_path / 'team'}"
    assert answer["photos"][0]["faces"][0]["impostors"] == 12
    save_photo(tmp_path / "b.png", alike)
    said = ask("verify", people, photo, tmp_path / "b.png", "--strangers", tmp_path / "team", "--json")
    assert json.loads(said.out)["impostors"] == 12 * 11 // 2 - 4 * 3


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["--gallery", "RUN"], 2, "is a run directory: give a folder that holds a folder of photos per person"),
        (["--gallery", "EMPTY"], 1, "holds nothing: put the photos of each person in a folder"),
        (["--gallery", "nowhere"], 1, "nowhere: no such folder"),
        (["--strangers", "RUN"], 2, "--strangers RUN is a run directory: give a folder that holds a folder of photos"),
        (["--strangers", "EMPTY"], 1, "holds nothing: put the photos of each person in a folder"),
        (["--strangers", "FACELESS"], 1, "--strangers FACELESS: none of its 1 photos can be used"),
        (["--strategy", "LM1", "--no-make"], 1, "make it with `pdsn mask-train --strategy LM1 --run"),
        (["--fpr", "0.001"], 2, "--fpr 0.001 is too small to be told by"),
        (["--fpr", "2"], 2, "--fpr 2.0 is out of range"),
        (["--min-face", "5"], 2, "--min-face 5 must be a whole number of pixels from 12"),
        (["--occlusion-source", "oracle"], 2, "--occlusion-source oracle is unknown: choose from segmenter, none"),
        (["--picture", "PHOTO"], 2, "is one of the photos: give another name"),
        (["--picture", "out.jpg"], 2, "pictures are written as PNG"),
        (["EMPTY"], 1, "is a folder without a photo"),
    ],
)  # fmt: skip
def test_bad_usage_is_one_line_and_writes_nothing(refused, people, photo, tmp_path, words, code, line):
    (tmp_path / "empty").mkdir()
    save_photo(tmp_path / "faceless/Ann/1.png")
    stands_for = {
        "RUN": people, "EMPTY": tmp_path / "empty", "PHOTO": photo, "FACELESS": tmp_path / "faceless",
    }  # fmt: skip
    for word, path in stands_for.items():
        line = line.replace(word, str(path))
    before = snapshot(tmp_path)
    words = [stands_for.get(word, word) for word in words]
    given = ["identify", photo, "--run", people, "--device", "cpu", "--occlusion-source", "none", *words]
    assert line in refused(code, *given)
    assert snapshot(tmp_path) == before


def test_a_run_that_is_none(refused, photo, tmp_path):
    line = refused(1, "identify", photo, "--run", tmp_path / "none")
    assert f"holds no run: make one with `pdsn run --run {tmp_path / 'none'}`" in line
    assert not (tmp_path / "none").exists()


def test_without_a_segmenter_it_says_how_to_make_one(refused, people, photo, tmp_path):
    bare = Path(shutil.copytree(people, tmp_path / "run"))
    shutil.rmtree(bare / "segmenter", ignore_errors=True)
    for command in (["identify", photo], ["verify", photo, photo]):
        assert f"make it with `pdsn segment-train --run {bare}`" in refused(
            1, *command, "--run", bare, "--device", "cpu", "--no-make"
        )


def test_the_segmenter_finds_what_is_covered(people, photo):
    words = ("--run", people, "--device", "cpu", "--precision", "fp32", "--fpr", "0.2", "--no-draw", "--json")
    said = give("identify", photo, *words)
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert answer["occlusion_source"] == "segmenter"
    assert all(0 <= face["covered_share"] <= 1 for face in answer["photos"][0]["faces"])


def test_pictures_never_take_the_place_of_a_photo(tmp_path):
    a, b, c = (tmp_path / name for name in ("x/p.jpg", "y/p.png", "out/p-identified.png"))
    targets = picture_paths([a, b, c], tmp_path / "out", tmp_path / "default")
    assert targets == {
        a: tmp_path / "out/p-identified-2.png",
        b: tmp_path / "out/p-identified-3.png",
        c: tmp_path / "out/p-identified-identified.png",
    }
    with pytest.raises(Exception, match="is one file for 2 photos: give a folder"):
        picture_paths([a, b], tmp_path / "one.png", tmp_path)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(Exception, match=r"--picture .*one\.png cannot be written: .*file is a file"):
        picture_paths([a], tmp_path / "file/one.png", tmp_path)


def test_a_crowd_is_cut_short_in_the_table_alone(people, drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(named, "ROWS", 3)
    crowd = save_photo(tmp_path / "crowd.png", *np.asarray(drawn.faces[:5]), scale=[1] * 5)
    said = ask("identify", people, crowd, "--no-draw")
    assert "5 faces" in said.out and "and 2 more faces: --json has all" in said.out
    assert (
        len(json.loads(ask("identify", people, crowd, "--no-draw", "--json").out)["photos"][0]["faces"]) == 5
    )


def test_verify(people, drawn, photo, tmp_path):
    alone = save_photo(tmp_path / "alone.png", drawn.faces[drawn.rows("train")[0]], scale=[3])
    said = ask("verify", people, alone, alone, "--json")
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert list(answer) == [
        "format", "run", "strategy", "occlusion_source", "fpr",
        "strangers",
        "same", "cosine", "score", "threshold", "impostors", "covered", "photos", "picture",
    ]  # fmt: skip
    assert answer["same"] is True and answer["cosine"] == pytest.approx(1, abs=1e-4)
    assert Path(answer["picture"]) == people / "identify/alone-alone-verified.png"
    assert Path(answer["picture"]).is_file()
    said = ask("verify", people, photo, alone, "--picture", tmp_path / "pair.png")
    assert said.code == 0 and (tmp_path / "pair.png").is_file()
    assert f"pdsn verify: {photo} shows 2 faces: the largest is compared" in said.err
    assert "cosine" in said.out and "pairs of different people" in said.out


def test_verify_needs_two_photos_with_a_face(refused, people, photo, tmp_path):
    nobody = save_photo(tmp_path / "nobody.png")
    common = ("--run", people, "--device", "cpu", "--occlusion-source", "none", "--fpr", "0.2")
    assert "nobody.png: no face found" in refused(1, "verify", photo, nobody, *common)
    assert "is a folder: give one photo" in refused(1, "verify", tmp_path, photo, *common)
    assert "is one of the photos" in refused(2, "verify", photo, nobody, *common, "--picture", nobody)


def test_a_long_name_gets_its_picture_and_others_their_own(people, drawn, tmp_path):
    face = drawn.faces[drawn.rows("train")[0]]
    names = ["ü" * 125 + ".png", "ü" * 124 + "xy.png", "n" * 251 + ".png", "n" * 250 + "m.png"]
    photos = [save_photo(tmp_path / "in" / name, face) for name in names]
    said = ask("identify", people, *photos, "--json", "--picture", tmp_path / "out")
    assert said.code == 0, said.err
    pictures = [Path(found["picture"]) for found in json.loads(said.out)["photos"]]
    assert len(set(pictures)) == 4 and all(path.is_file() for path in pictures)
    assert sorted(tmp_path.joinpath("out").iterdir()) == sorted(pictures)
    assert all(path.name.endswith("-identified.png") for path in pictures)
    assert pictures[0].name.startswith("ü" * 80) and pictures[2].name.startswith("n" * 200)
    said = ask("verify", people, photos[0], photos[2], "--json", "--picture", tmp_path / "out")
    assert said.code == 0 and Path(json.loads(said.out)["picture"]).is_file(), said.err
    # The same two names in another call have the same picture, and other pairs another.
    assert ask("verify", people, photos[0], photos[3], "--picture", tmp_path / "out").code == 0
    assert len(list(tmp_path.joinpath("out").iterdir())) == 6


def test_a_name_that_no_file_can_have_is_a_line_and_the_others_go_on(people, photo, tmp_path):
    said = ask("identify", people, tmp_path / ("n" * 300 + ".png"), photo, "--json")
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert len(answer["photos"]) == 1 and "File name too long" in answer["failed"][0]["reason"]


def test_a_picture_that_cannot_be_written_is_a_line_and_the_answers_go_on(copied, drawn, photo):
    shutil.rmtree(copied / "identify", ignore_errors=True)
    (copied / "identify").write_text("as a run that may only be read")
    said = ask("identify", copied, photo, photo.parent / "two.png", "--json")
    assert said.code == 0, said.err
    (found,) = json.loads(said.out)["photos"]
    assert found["picture"] is None and len(found["faces"]) == 2
    lines = [line for line in said.err.splitlines() if line.startswith("pdsn")]
    assert len(lines) == 1
    assert f"the picture {copied / 'identify/two-identified.png'} cannot be written: " in lines[0]
    said = ask("verify", copied, photo, photo)
    assert said.code == 0 and "cosine" in said.out and "picture:" not in said.out
    assert "two-two-verified.png cannot be written: " in said.err


def test_on_a_full_disk_the_answers_go_on(copied, photo):
    wanted = json.loads(ask("identify", copied, photo, "--json").out)["photos"][0]["faces"]
    shutil.rmtree(copied / "cache")
    shutil.rmtree(copied / "identify")
    with full_disk(3000):  # neither maps of the gallery nor a picture
        said = ask("identify", copied, photo, "--json")
    assert said.code == 0, said.err
    (found,) = json.loads(said.out)["photos"]
    assert found["faces"] == wanted and found["picture"] is None
    assert f"cannot be written: {FULL}" in said.err
    left = [path.name for path in copied.rglob("*") if path.name.startswith((".", "views-", "two"))]
    assert left == []


@pytest.mark.parametrize("charset", ["ascii", "cp1252"])
def test_names_that_the_output_cannot_show_are_escaped_and_the_answer_comes(people, drawn, tmp_path, charset):
    name = "王 Zoë"
    photo = save_photo(tmp_path / name / "照片.png", drawn.faces[drawn.rows("train")[0]])
    save_photo(tmp_path / "team" / name / "1.png", drawn.faces[drawn.rows("train")[0]])
    words = (
        *("--run", people, "--device", "cpu", "--precision", "fp32", "--fpr", "0.2"),
        *("--occlusion-source", "none"),
    )

    def said(*more: object) -> tuple[str, str]:
        runner = CliRunner(charset=charset)
        result = runner.invoke(app, [str(word) for word in (*more, *words)], env={"COLUMNS": "200"})
        assert result.exit_code == 0, (result.exception, result.stderr)
        return result.stdout, result.stderr

    team = ("--gallery", tmp_path / "team")
    table, _ = said("identify", photo, *team)
    shown = name.encode(charset, "backslashreplace").decode(charset)
    assert f"{shown} 1.00" in table and r"\u7167\u7247.png: 1 face" in table
    answer = json.loads(said("identify", photo, *team, "--json")[0])
    assert answer["photos"][0]["photo"] == str(photo)
    assert answer["photos"][0]["faces"][0]["nearest"][0]["person"] == name
    assert Path(answer["photos"][0]["picture"]).is_file()
    assert "same person" in said("verify", photo, photo)[0]
    assert json.loads(said("verify", photo, photo, "--json")[0])["photos"][0]["photo"] == str(photo)


def test_json_stays_alone_on_standard_output_while_something_is_made(people, photo, tmp_path):
    run = shutil.copytree(people, tmp_path / "run")
    shutil.rmtree(run / "dictionary")
    said = give(
        "identify",
        photo,
        "--strategy",
        "LM2",
        "--run",
        run,
        "--json",
        "--no-draw",
        "--fpr",
        "0.2",
        "--device",
        "cpu",
        "--precision",
        "fp32",
    )
    assert said.code in (0, 1), said.err
    assert json.loads(said.out)["format"] == 1
    assert "missing, and made first: build-dictionary --strategy LM2" in said.err


def test_the_runs_own_people_are_named_with_zeroing_once_it_is_trained(
    copied, drawn, photo, tmp_path, monkeypatch
):
    short = ("--steps", 4, "--batch", 8, "--validations", 2, "--device", "cpu", "--precision", "fp32")
    assert give("zeroing-train", "--run", copied, *short).code == 0
    own = json.loads(ask("identify", copied, photo, "--json", "--no-draw").out)
    assert own["strategy"] == "matched+zeroing"
    # The odds of its scores are kept: nobody fits them again for the next photo.
    monkeypatch.setattr("pdsn.calibration.odds.fit_odds", None)
    assert json.loads(ask("identify", copied, photo, "--json", "--no-draw").out) == own
    asked = ask("identify", copied, photo, "--json", "--no-draw", "--strategy", "matched")
    assert json.loads(asked.out)["strategy"] == "matched"
    save_photo(tmp_path / "team/Ann/1.png", drawn.faces[0])
    save_photo(tmp_path / "team/Bob/1.png", drawn.faces[-1])
    others = ask("identify", copied, photo, "--json", "--no-draw", "--gallery", tmp_path / "team")
    assert json.loads(others.out)["strategy"] == "matched"
