"""Faces followed over frames, and one answer from several."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pdsn.data.reading import Photo
from pdsn.people.identification import IdentifiedFace, Match
from pdsn.people.photo import FoundFace
from pdsn.people.tracks import (
    BEST,
    LOST,
    SIGHTINGS,
    Track,
    answer,
    chosen,
    clock,
    follow,
    overlap,
    scores_of,
)
from pdsn.people.video import Frame

BLANK = np.full((60, 80, 3), 128, np.uint8)
CROP = np.zeros((8, 6, 3), np.uint8)


def found(left: float, top: float = 0, side: float = 10) -> FoundFace:
    return FoundFace(np.array([left, top, left + side, top + side]), 0.99, CROP)


def followed(*frames: tuple[float, list[FoundFace]], scenes: dict[float, np.ndarray] | None = None):
    """The tracks of frames, each given as its time and its faces, as (times, lefts)."""
    faces = dict(frames)
    scenes = scenes or {}
    films = [Frame(time, Photo(scenes.get(time, BLANK), np.ones(2))) for time, _ in frames]
    tracks = list(follow(films, lambda frame: faces[frame.seconds]))
    return sorted(
        ([one.seconds for one in track.sightings], [one.face.box[0] for one in track.sightings])
        for track in tracks
    )


def test_overlap():
    a = np.array([0, 0, 10, 10.0])
    assert overlap(a, a) == 1
    assert overlap(a, np.array([5, 0, 15, 10.0])) == pytest.approx(50 / 150)
    assert overlap(a, a + 10) == 0 and overlap(a, np.array([3, 3, 3, 9.0])) == 0


def test_two_who_walk_in_opposite_directions_are_two_tracks():
    frames = [(n / 2, [found(8 * n), found(100 - 8 * n, 40)]) for n in range(8)]
    right, left = followed(*frames)
    assert right == ([n / 2 for n in range(8)], [8 * n for n in range(8)])
    assert left[1] == [100 - 8 * n for n in range(8)]


def test_the_nearest_continues_a_track_whatever_the_order():
    a, b = followed((0, [found(0), found(14)]), (0.5, [found(12), found(2)]))
    assert a[1] == [0, 2] and b[1] == [14, 12]


@pytest.mark.parametrize(
    ("gap", "distance", "same"), [(0.1, 5, True), (0.1, 9, False), (0.5, 9, True), (0.5, 15, False)]
)
def test_how_far_a_face_may_have_gone_depends_on_the_time(gap, distance, same):
    assert len(followed((0, [found(0)]), (gap, [found(distance)]))) == (1 if same else 2)


def test_a_face_that_is_not_found_for_a_moment_goes_on_and_one_lost_for_long_does_not():
    there, gone = [found(0)], []
    assert len(followed((0, there), (0.5, gone), (1, there))) == 1
    assert len(followed((0, there), (1, gone), (1 + LOST, there))) == 2
    assert len(followed((0, there), (LOST + 0.1, there))) == 2


def test_a_face_of_another_size_is_another():
    assert len(followed((0, [found(0, side=10)]), (0.1, [found(0, side=30)]))) == 2


def test_a_cut_ends_all_tracks_and_a_slow_change_none():
    same = [found(0)]
    dark = np.full_like(BLANK, 40)
    assert len(followed((0, same), (0.5, same), scenes={0.5: dark})) == 2
    assert len(followed((0, same), (0.5, same), scenes={0.5: BLANK - 20})) == 1


def test_tracks_are_given_when_they_end():
    frames = [(0.0, [found(0)]), (0.5, [found(50, 40)]), (2.5, [found(50, 40)]), (3.0, [])]
    faces = dict(frames)
    asked = []

    def films():
        for time, _ in frames:
            asked.append(time)
            yield Frame(time, Photo(BLANK, np.ones(2)))

    tracks = follow(films(), lambda frame: faces[frame.seconds])
    assert next(tracks).first == 0 and asked == [0, 0.5, 2.5]
    assert [track.first for track in tracks] == [0.5, 2.5]


def test_a_track_of_hours_keeps_some_sightings_spread_over_it():
    track = Track(0, 0)
    for number in range(10_000):
        track.add(number / 2, found(0))
    kept = [one.seconds for one in track.sightings]
    assert track.frames == 10_000 and track.last == 9_999 / 2
    assert SIGHTINGS <= len(kept) <= 2 * SIGHTINGS and len(set(np.diff(kept))) == 1
    assert kept[0] == 0 and kept[-1] > 0.9 * track.last
    assert len(chosen(track)) == SIGHTINGS and len(chosen(Track(0, 0, 1, track.sightings[:3]))) == 3


def face(
    scores: dict[str, float], *, covered: float = 0.0, side: float = 10, deviation: float = 0.1
) -> IdentifiedFace:
    """An answer in which people have these scores, against strangers of mean 0.2 and a limit of 2."""
    ranked = sorted(scores.items(), key=lambda one: -one[1])[:5]
    matches = [Match(name, 0.2 + deviation * score, f"{name}.png", 0) for name, score in ranked]
    pixels = np.zeros((10, 10), bool)
    pixels.flat[: round(100 * covered)] = True
    top = matches[0]
    threshold = 0.2 + 2 * deviation
    person = top.person if top.cosine > threshold else None
    return IdentifiedFace(
        found(0, side=side), pixels, [], person, top.cosine, ranked[0][1], threshold, 99, matches, deviation
    )


def test_scores_and_limit_of_single_answers():
    one = face({"Ann": 3.0, "Bob": -1.0}, deviation=0.07)
    assert scores_of(one) == pytest.approx({"Ann": 3.0, "Bob": -1.0}) and one.limit == pytest.approx(2)


def test_a_person_has_the_mean_of_the_scores():
    got = answer(Track(0, 1), [face({"Ann": 3.0, "Bob": 1.0}), face({"Ann": 2.0, "Bob": 2.5}, deviation=0.3)])
    assert got.nearest == [("Ann", pytest.approx(2.5)), ("Bob", pytest.approx(1.75))]
    assert (got.person, got.score, got.threshold) == ("Ann", pytest.approx(2.5), pytest.approx(2))


def test_one_high_score_among_low_ones_names_nobody():
    got = answer(Track(0, 1), [face({"Ann": 3.5, "Bob": 0.0}), face({"Ann": 0.0, "Bob": 1.0})])
    assert got.person is None and got.nearest[0][0] == "Ann"


def test_who_is_not_among_the_nearest_counts_as_the_last_of_them():
    many = {name: 1 - n / 10 for n, name in enumerate("BCDEF")}
    got = answer(Track(0, 1), [face({"A": 3.0, **many}), face(many)])
    assert dict(got.nearest)["A"] == pytest.approx((3 + 0.6) / 2)


def test_the_least_covered_frames_count_and_of_those_the_largest():
    clear = [face({"Ann": 3.0}, side=20 + n) for n in range(BEST)]
    masked = [face({"Bob": 9.0}, covered=0.4, side=99) for _ in range(BEST)]
    small = [face({"Bob": 9.0}, side=5)]
    got = answer(Track(0, 1), [*masked, *small, *clear])
    assert got.person == "Ann" and got.used == clear and got.best is clear[-1]
    assert answer(Track(0, 1), masked).person == "Bob"


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.9])
def test_strangers_pass_no_more_often_the_more_frames_there_are(alike):
    """Ten thousand strangers among fifty people; `alike` is the share of the variance that all frames of one have in common."""
    rng = np.random.default_rng(1)
    strangers, people, frames = 10_000, 50, 8
    shared = rng.normal(size=(strangers, 1, people)) * np.sqrt(alike)
    scores = shared + rng.normal(size=(strangers, frames, people)) * np.sqrt(1 - alike)
    limit = np.quantile(rng.normal(size=(100_000, people)).max(1), 0.99)
    passing = {n: (scores[:, :n].mean(1).max(1) > limit).mean() for n in (1, 2, 4, 8)}
    highest = (scores.max((1, 2)) > limit).mean()
    assert passing[1] == pytest.approx(0.01, abs=0.003)
    assert max(passing.values()) == passing[1] and passing[8] < 0.01
    assert highest > 0.02, "the highest of eight frames is another matter"


def test_the_answer_has_the_mean_that_the_simulation_has():
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(6, 5))
    got = answer(Track(0, 1), [face(dict(zip("ABCDE", row, strict=True))) for row in scores])
    assert got.score == pytest.approx(scores.mean(0).max())


def test_json():
    track = Track(0, 0)
    track.add(1.0, found(3))
    single = face({"Ann": 3.0})
    said = answer(replace(track, first=1.0), [single]).as_dict()
    assert (said["from"], said["to"], said["frames"], said["person"]) == (1.0, 1.0, 1, "Ann")
    assert (
        said["score"] == 3 and said["threshold"] == 2 and said["nearest"] == [{"person": "Ann", "score": 3}]
    )
    assert said["sightings"] == [{"seconds": 1.0, **single.found.as_dict(), "box": [3, 0, 13, 10]}]


def test_clock():
    assert [clock(s) for s in (0, 9.96, 62.5, 3602.5)] == ["0:00.0", "0:10.0", "1:02.5", "1:00:02.5"]
