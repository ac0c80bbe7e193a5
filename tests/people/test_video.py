"""Frames of films: their times, their pixels, and what cannot be read."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pdsn.people import video
from pdsn.people.video import Film, VideoError, check_pyav, check_video, is_video
from tests.people.films import RATE, leave_out_pyav, write_film


def counting(count: int, height: int = 40, width: int = 64) -> list[np.ndarray]:
    """Frames without any symmetry, whose upper left pixel tells their number."""
    y, x = np.mgrid[:height, :width]
    frames = []
    for number in range(count):
        frame = np.stack([x * 3, y * 5, x + y], 2).astype(np.uint8)
        frame[0, 0] = number
        frames.append(frame)
    return frames


def times(film: Film, every: float, **more) -> list[float]:
    return [round(frame.seconds, 3) for frame in film.frames(every, **more)]


def refusal(path) -> str:
    with pytest.raises(VideoError) as caught:
        list(Film(path).frames())
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(path))


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "ffv1"), ("a.mov", "png")])
def test_frames_are_sampled_in_time_and_keep_their_pixels(tmp_path, name, codec):
    pictures = counting(25)
    film = Film(write_film(tmp_path / name, pictures, codec=codec))
    frames = list(film.frames(0.5))
    assert [round(frame.seconds, 3) for frame in frames] == [0, 0.5, 1, 1.5, 2]
    for frame in frames:
        assert np.array_equal(frame.photo.pixels, pictures[round(frame.seconds * RATE)])
        assert frame.photo.scale.tolist() == [1, 1]
    assert len(times(film, 0)) == 25 and times(film, 100) == [0] and film.damaged == 0


def test_a_changing_frame_rate(tmp_path):
    at = [0, 0.1, 0.2, 2.0, 2.05, 2.1, 9.0]
    film = Film(write_film(tmp_path / "a.mkv", counting(7), times=at))
    assert times(film, 0.5) == [0, 2.0, 9.0]
    assert times(film, 0) == at


def test_times_start_with_the_first_picture(tmp_path):
    film = Film(write_film(tmp_path / "a.mkv", counting(4), times=[100.0, 100.5, 101, 101.5]))
    assert times(film, 1) == [0, 1]


def test_times_never_go_back(tmp_path):
    """Two recordings one after the other, as those who cut an MPEG stream join them; and an AVI, whose frames have no times of their own."""
    once = write_film(tmp_path / "a.ts", counting(20), codec="libx264").read_bytes()
    (tmp_path / "b.ts").write_bytes(once + once)
    joined = times(Film(tmp_path / "b.ts"), 0)
    assert len(joined) > 35 and joined == sorted(joined) and 3.5 < joined[-1] < 4.1
    avi = times(Film(write_film(tmp_path / "a.avi", counting(20), codec="libx264")), 0)
    assert len(avi) == 20 and avi == sorted(avi) and 1.5 < avi[-1] <= 2


def test_the_end_may_be_early(tmp_path):
    film = Film(write_film(tmp_path / "a.mkv", counting(30)))
    assert times(film, 0.5, seconds=1.0) == [0, 0.5, 1]
    answers = iter([False, True])
    assert times(film, 0.5, stop=lambda: next(answers)) == [0, 0.5]


def test_progress_is_told_in_seconds(tmp_path):
    told = []
    film = Film(write_film(tmp_path / "a.mkv", counting(31)))
    list(film.frames(1, on_progress=lambda *both: told.append(both)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("turn", [90, -90, 180])
def test_a_film_is_turned_as_a_player_turns_it(tmp_path, turn):
    pictures = counting(3)
    film = Film(write_film(tmp_path / "a.mov", pictures, codec="png", turn=turn))
    for frame, picture in zip(film.frames(0), pictures, strict=True):
        assert np.array_equal(frame.photo.pixels, np.rot90(picture, turn // 90))


def test_a_large_film_is_reduced_as_a_photo_is(tmp_path, monkeypatch):
    path = write_film(tmp_path / "a.mkv", counting(1, 40, 4096))
    (frame,) = Film(path).frames()
    assert frame.photo.pixels.shape == (20, 2048, 3) and frame.photo.scale.tolist() == [2, 2]
    monkeypatch.setattr(video, "MOST_PIXELS", 1000)
    assert refusal(path) == " cannot be read: too large (4096x40 pixels)"


def test_what_is_no_film(tmp_path):
    whole = write_film(tmp_path / "whole.mp4", counting(40), codec="mpeg4").read_bytes()
    cases = {
        "empty.mp4": (b"", " cannot be read: empty file"),
        "text.mp4": (b"not a film " * 100, " cannot be read: damaged, cut off, or no video"),
        "cut.mp4": (whole[: len(whole) // 2], " cannot be read: damaged, cut off, or no video"),
        # Players take these for lists of other films, and open whatever they name.
        "list.mp4": (
            b"#EXTM3U\n#EXTINF:1,\nwhole.mp4\n#EXT-X-ENDLIST\n",
            " cannot be read: damaged, cut off, or no video",
        ),
        "join.mp4": (
            b"ffconcat version 1.0\nfile whole.mp4\n",
            " cannot be read: damaged, cut off, or no video",
        ),
    }
    for name, (content, reason) in cases.items():
        (tmp_path / name).write_bytes(content)
        assert refusal(tmp_path / name) == reason, name
    assert refusal(tmp_path / "gone.mp4") == " cannot be read: no such file"
    assert refusal(tmp_path) == " is a folder: give one video"
    sound = write_film(tmp_path / "sound.mkv", [], sound=True)
    assert refusal(sound) == " cannot be read: it has no moving pictures, sound alone"
    tiny = write_film(tmp_path / "tiny.mkv", counting(1, 8, 8))
    assert refusal(tiny) == " cannot be read: too small (8x8 pixels)"


def test_a_film_with_sound_has_its_pictures(tmp_path):
    assert len(times(Film(write_film(tmp_path / "a.mkv", counting(5), sound=True)), 0)) == 5


def test_what_is_damaged_in_a_film_is_left_out_and_counted(tmp_path):
    path = write_film(tmp_path / "a.mov", counting(40), codec="png")
    content = bytearray(path.read_bytes())
    starts = [place for place in range(len(content)) if content[place : place + 4] == b"\x89PNG"]
    for start in starts[10:20]:
        content[start : start + 4] = b"gone"
    path.write_bytes(content)
    film = Film(path)
    assert len(times(film, 0)) == 30 and film.damaged == 10
    for start in starts:
        content[start : start + 4] = b"gone"
    path.write_bytes(content)
    assert refusal(path) == " cannot be read: damaged, no picture in it can be decoded"


def test_a_film_that_was_cut_off_has_what_came_before(tmp_path):
    path = write_film(tmp_path / "a.mkv", counting(40))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert 10 < len(times(Film(path), 0)) < 30


def test_without_pyav_the_line_names_the_extra_and_another_way(tmp_path, monkeypatch):
    leave_out_pyav(monkeypatch)
    with pytest.raises(VideoError) as caught:
        check_video(tmp_path / "a b.mp4")
    assert str(caught.value) == (
        f'{tmp_path}/a b.mp4 is a video, and reading it needs PyAV: pip install "pdsn[video]", or extract frames first, for '
        f"example with `ffmpeg -i '{tmp_path}/a b.mp4' -vf fps=1 frame-%04d.png`"
    )
    with pytest.raises(VideoError, match=r'^--camera 0 needs PyAV: pip install "pdsn\[video\]"$'):
        Film("0", camera=True)
    with pytest.raises(VideoError):
        check_pyav("x")


def test_a_camera_is_read_as_a_film_is(monkeypatch):
    """No camera is here: a picture that FFmpeg draws goes the same way, through the device that the system is said to have."""
    monkeypatch.setitem(video.DEVICES, sys.platform, ("lavfi", "testsrc=size=64x48:rate={}", "25"))
    film = Film("10", camera=True)
    assert times(film, 0.5, seconds=1.2) == [0, 0.5, 1]
    assert next(iter(film.frames())).photo.pixels.shape == (48, 64, 3)
    with pytest.raises(VideoError) as caught:
        list(Film("fast", camera=True).frames())
    line = str(caught.value)
    assert line.startswith("--camera fast cannot be opened (") and "such as '25'" in line
    monkeypatch.delitem(video.DEVICES, sys.platform)
    with pytest.raises(video.UsageError, match="--camera 0: no cameras are known on"):
        list(Film("0", camera=True).frames())


@pytest.mark.skipif(sys.platform != "linux", reason="cameras are files on Linux")
def test_a_camera_that_is_not_there():
    with pytest.raises(
        VideoError, match=r"^--camera /dev/video987 cannot be opened \(.*\): give a camera's name"
    ):
        list(Film("/dev/video987", camera=True).frames())


def test_films_by_their_names(tmp_path):
    assert is_video(tmp_path / "a.MP4") and not is_video(tmp_path / "a.jpg")
