"""Faces followed over the frames of a film, and one answer for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from pdsn.data.dataset import evenly
from pdsn.people.identification import IdentifiedFace
from pdsn.people.photo import FoundFace, SearchedPhoto
from pdsn.people.video import Film, Frame

OVERLAP = 0.3
"""Intersection over union from which two boxes are one face's, each grown by how far the face may have gone."""
SPEED = 1.0
"""Box sides that a face may go in a second; boxes grow by no more than this one side."""
LOST = 1.5
"""Seconds without a face after which its track has ended."""
CUT = 30.0
"""Mean change of grey, of 255, from a frame to the next from which the film has cut to another scene: all tracks end there."""
SIGHTINGS = 24
"""Sightings of a track that are compared with the gallery, spread over it."""
BEST = 8
"""Of these, the least covered that its answer is made from."""


@dataclass(frozen=True)
class Sighting:
    """One face in one frame, and its time in seconds."""

    seconds: float
    face: FoundFace


@dataclass
class Track:
    """One face over some frames.

    Attributes:
        first, last: seconds of its first and last sighting.
        frames: number of frames that it was found in.
        sightings: of these at most twice `SIGHTINGS`, spread evenly, so that a track may last for hours.
    """

    first: float
    last: float
    frames: int = 0
    sightings: list[Sighting] = field(default_factory=list)
    _step: int = 1
    _box: np.ndarray = field(default_factory=lambda: np.zeros(4))

    def add(self, seconds: float, face: FoundFace) -> None:
        """The face was found again."""
        if self.frames % self._step == 0:
            self.sightings.append(Sighting(seconds, face))
        self.frames += 1
        self.last, self._box = seconds, face.box
        if len(self.sightings) > 2 * SIGHTINGS:
            del self.sightings[1::2]
            self._step *= 2

    def overlap(self, seconds: float, box: np.ndarray) -> float:
        """How well a box (4,) at a time continues the track, 0 to 1, see `OVERLAP`."""
        reach = SPEED * min(seconds - self.last, 1.0)
        return overlap(_grown(self._box, reach), _grown(box, reach))


@dataclass(frozen=True)
class IdentifiedTrack:
    """The answer to one face of a film.

    Attributes:
        track: where and when it was seen.
        person: who it is, or None if nobody is near enough.
        score: the mean score of the nearest person, in standard deviations above the mean of strangers covered alike.
        threshold: the score above which the nearest person is named.
        nearest: (name, mean score) of up to five people, nearest first.
        used: the single answers that it is made from, in time order, at most `BEST`.
        best: that of them with the least covered, largest face.
    """

    track: Track
    person: str | None
    score: float
    threshold: float
    nearest: list[tuple[str, float]]
    used: list[IdentifiedFace]
    best: IdentifiedFace

    def as_dict(self) -> dict[str, object]:
        """What JSON says of the track."""
        return {
            "from": round(self.track.first, 3),
            "to": round(self.track.last, 3),
            "frames": self.track.frames,
            "person": self.person,
            "score": round(self.score, 4),
            "threshold": round(self.threshold, 4),
            "used": len(self.used),
            "covered": self.best.covered,
            "covered_share": round(float(self.best.covered_pixels.mean()), 4),
            "nearest": [{"person": name, "score": round(score, 4)} for name, score in self.nearest],
            "sightings": [
                {"seconds": round(one.seconds, 3), **one.face.as_dict()} for one in self.track.sightings
            ],
        }


@dataclass(frozen=True)
class IdentifiedVideo:
    """The answers to a film, one for each track, by the time of its first sighting.

    Attributes:
        name: the file, or the camera.
        tracks: the answers.
        frames: number of frames that were searched.
        seconds: time of the last of them.
        damaged: pieces of the film that could not be decoded, and were left out.
    """

    name: str
    tracks: list[IdentifiedTrack]
    frames: int
    seconds: float
    damaged: int

    def as_dict(self) -> dict[str, object]:
        """What JSON says of the film."""
        return {
            "video": self.name,
            "seconds": round(self.seconds, 3),
            "frames": self.frames,
            "damaged": self.damaged,
            "tracks": [one.as_dict() for one in self.tracks],
        }


def identify_film(
    film: Film,
    frames: Iterable[Frame],
    find: Callable[[Frame], list[FoundFace]],
    identify: Callable[[SearchedPhoto], list[IdentifiedFace]],
    on_track: Callable[[IdentifiedTrack], None] | None = None,
) -> IdentifiedVideo:
    """Follow the faces of a film and answer each once.

    Args:
        film: what is watched.
        frames: of it.
        find: the faces of a frame.
        identify: names the faces of a photo; it is given those of a track.
        on_track: told each answer once the track has ended.
    """
    tracks: list[IdentifiedTrack] = []
    times: list[float] = []

    def timed() -> Iterator[Frame]:
        for frame in frames:
            times.append(frame.seconds)
            yield frame

    for track in follow(timed(), find):
        faces = chosen(track)
        pixels = np.zeros((1, 1, 3), np.uint8)  # the faces alone are looked at
        tracks.append(answer(track, identify(SearchedPhoto(Path(film.name), pixels, np.ones(2), faces))))
        if on_track is not None:
            on_track(tracks[-1])
    tracks.sort(key=lambda one: (one.track.first, one.track.sightings[0].face.box[0]))
    return IdentifiedVideo(film.name, tracks, len(times), times[-1], film.damaged)


def follow(frames: Iterable[Frame], find: Callable[[Frame], list[FoundFace]]) -> Iterator[Track]:
    """Follow faces over frames; a track is given once it has ended.

    A face belongs to the track whose last box it overlaps most, see `OVERLAP`, the best fitting pairs first; a face that fits none
    begins a track. Faces are not compared, boxes alone: two people who change places between two frames would be one track.

    Args:
        frames: in the order of their times.
        find: the faces of a frame.
    """
    open_tracks: list[Track] = []
    before: np.ndarray | None = None
    for frame in frames:
        small = _small(frame.photo.pixels)
        cut = before is not None and float(np.abs(small - before).mean()) > CUT
        before = small
        ended = [one for one in open_tracks if cut or frame.seconds - one.last > LOST]
        open_tracks = [one for one in open_tracks if one not in ended]
        yield from ended
        _continue(open_tracks, frame.seconds, find(frame))
    yield from open_tracks


def _continue(tracks: list[Track], seconds: float, faces: Sequence[FoundFace]) -> None:
    """Give each face of a frame to a track, or begin one."""
    fits = [
        (track.overlap(seconds, face.box), row, number)
        for row, track in enumerate(tracks)
        for number, face in enumerate(faces)
    ]
    taken_tracks, taken_faces = set(), set()
    for fit, row, number in sorted(fits, key=lambda one: (-one[0], *one[1:])):
        if fit < OVERLAP or row in taken_tracks or number in taken_faces:
            continue
        taken_tracks.add(row)
        taken_faces.add(number)
        tracks[row].add(seconds, faces[number])
    for number, face in enumerate(faces):
        if number not in taken_faces:
            track = Track(seconds, seconds)
            track.add(seconds, face)
            tracks.append(track)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (4,) left, top, right, bottom; 0 where one is empty."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(np.prod(sides.clip(0)))
    areas = [float(np.prod((box[2:] - box[:2]).clip(0))) for box in (a, b)]
    return shared / (sum(areas) - shared) if min(areas) else 0.0


def _grown(box: np.ndarray, reach: float) -> np.ndarray:
    """A box with `reach` of its sides added at each side."""
    margin = reach * (box[2:] - box[:2])
    return np.concatenate([box[:2] - margin, box[2:] + margin])


def _small(pixels: np.ndarray) -> np.ndarray:
    """A frame (H, W, 3) as 32 by 32 shades of grey, float32."""
    return np.asarray(Image.fromarray(pixels).convert("L").resize((32, 32), Image.Resampling.BOX), np.float32)


def answer(track: Track, faces: Sequence[IdentifiedFace]) -> IdentifiedTrack:
    """One answer from the single answers to a track's sightings.

    The threshold was set for single photos: the share `fpr` of strangers has a best score above it. A stranger in a film has many
    frames, and the highest score of many is above it far more often; nor may a face be chosen because it is near to somebody. So:

    - The frames are chosen by what is covered and by the size of the face, before anybody asks who is near.
    - A person's score is the mean of that person's scores in these frames, and the nearest is named if that is above the threshold.

    A mean of a person's scores is at most the mean of the frames' best scores. A mean of scores that are spread alike has their middle
    and is spread no wider than one of them: out in the tail, where thresholds lie, strangers pass it no more often than one
    photo, and less often the less their frames have in common; the score of the right person stays what it is. Where all frames
    score alike, the share is that of one photo. This is an argument about tails as they are, not a theorem. Of 226 people of
    LFW whom a run with MobileFaceNet does not know, at a threshold for 10 %, 18 passed with one photo, 3 with the mean of four photos, 36 with
    the highest of four; at 1 %, 1, none and 2.

    A person who is not among the nearest of a frame counts there as the last of these: too much, but no more than the best.

    Args:
        track: the track.
        faces: the answers to some of its sightings, see `chosen`, at least one.
    """
    order = sorted(range(len(faces)), key=lambda row: (_covered(faces[row]), -faces[row].found.area))
    used = [faces[row] for row in sorted(order[:BEST])]
    scores = [scores_of(face) for face in used]
    names = {name for one in scores for name in one}
    means = {
        name: float(np.mean([one.get(name, min(one.values())) for one in scores])) for name in sorted(names)
    }
    nearest = sorted(means.items(), key=lambda one: -one[1])[: len(faces[0].nearest)]
    threshold = float(np.mean([face.limit for face in used]))
    person, score = nearest[0]
    return IdentifiedTrack(
        track, person if score > threshold else None, score, threshold, nearest, used, faces[order[0]]
    )


def chosen(track: Track) -> list[FoundFace]:
    """The faces of a track that are compared with the gallery, spread over its time."""
    return [track.sightings[row].face for row in evenly(np.arange(len(track.sightings)), SIGHTINGS)]


def scores_of(face: IdentifiedFace) -> dict[str, float]:
    """The score of each of a face's nearest people, see `IdentifiedFace.score`."""
    return {
        match.person: face.score + (match.cosine - face.cosine) / face.deviation for match in face.nearest
    }


def clock(seconds: float) -> str:
    """A time as a player shows it, with tenths: 1:02.5, or 1:00:02.5."""
    tenths = round(10 * seconds)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{start}:{rest // 10:02}.{rest % 10}"


def _covered(face: IdentifiedFace) -> float:
    return float(face.covered_pixels.mean())
