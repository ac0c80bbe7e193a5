"""What names faces of photos and films, wherever the people are kept: in a gallery, or in a store."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from pdsn.calibration.mistaken import Mistaken
from pdsn.calibration.strangers import DEFAULT_FPR
from pdsn.data.given import PhotoLike
from pdsn.people.identification import IdentifiedFace, IdentifiedPhoto, Match
from pdsn.people.photo import FoundFace, SearchedPhoto
from pdsn.people.tracks import IdentifiedTrack, IdentifiedVideo, identify_film
from pdsn.people.video import EVERY, Film, Frame

Search = Callable[[PhotoLike, str | None], SearchedPhoto]
"""Finds and crops every face of a photo, given the photo and what answers call it."""
SearchFrame = Callable[[Frame], list[FoundFace]]
"""The same of a frame of a film."""


class Names(Protocol):
    """Names the faces of a photo that was searched; `Identifier` is one."""

    @property
    def finest_fpr(self) -> float:
        """The smallest false-positive rate that the strangers can tell."""
        ...

    def check(self, fpr: float) -> None:
        """Raise UsageError unless the strangers are enough for a false-positive rate."""
        ...

    def identify(self, photo: SearchedPhoto, fpr: float) -> list[IdentifiedFace]:
        """Name every face of a photo, in its order."""
        ...

    def two_names(self) -> list[tuple[str, str]]:
        """Who seems to be in the run under one name and among these people under another."""
        ...

    def mistaken(self, fpr: float) -> Mistaken | None:
        """How many photos of these people pass for somebody else; None where they cannot be asked about."""
        ...


class Naming:
    """People who can be named.

    Args:
        identifier: names faces that were found.
        search: finds the faces of a photo.
        search_frame: those of a frame of a film.
    """

    def __init__(self, identifier: Names, search: Search, search_frame: SearchFrame) -> None:
        self._identifier = identifier
        self._search = search
        self._search_frame = search_frame

    def identify(
        self, photo: PhotoLike, *, fpr: float | None = None, name: str | None = None
    ) -> IdentifiedPhoto:
        """Name every face of a photo, from left to right.

        Args:
            photo, name: see `pdsn.api.Run.search`.
            fpr: share of strangers who may be taken for one of the people, above 0 and below 1; None for
                `default_fpr`.

        Raises:
            PhotoError: it cannot be read or shows no face.
            UsageError: `fpr` is out of range, or smaller than the run's strangers can tell.
            PdsnError: nobody is enrolled.
        """
        fpr = self._rate(fpr)
        searched = self._search(photo, name)
        return IdentifiedPhoto(searched, self._identifier.identify(searched, fpr))

    def identify_video(
        self,
        video: str | Path,
        *,
        every: float = EVERY,
        seconds: float | None = None,
        camera: bool = False,
        fpr: float | None = None,
        stop: Callable[[], bool] | None = None,
        on_track: Callable[[IdentifiedTrack], None] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> IdentifiedVideo:
        """Follow every face of a film, and name each once; needs the extra `video`. See `pdsn.people.tracks.answer`.

        Args:
            video: a file, or with `camera` the name of a camera as the system calls it, such as "/dev/video0".
            every: seconds from one frame that is searched to the next; 0 for every frame.
            seconds: how much of it is searched; None for all.
            camera: it is a camera.
            fpr: see `identify`.
            stop: asked at each frame; an answer that is true ends the film there, and a camera's answers are given.
            on_track: told each answer once the face is gone.
            on_progress: told the seconds done and the seconds in all, where the film says how long it is.

        Raises:
            VideoError: it cannot be read.
            UsageError: `fpr` is out of range, or smaller than the run's strangers can tell.
            PdsnError: nobody is enrolled.
        """
        fpr = self._rate(fpr)
        film = Film(video, camera=camera)
        frames = film.frames(every, seconds=seconds, stop=stop, on_progress=on_progress)
        named = partial(self._identifier.identify, fpr=fpr)
        return identify_film(film, frames, self._search_frame, named, on_track)

    def _rate(self, fpr: float | None) -> float:
        """The rate in force, checked before anything slow."""
        fpr = self.default_fpr if fpr is None else fpr
        self.check_fpr(fpr)
        return fpr

    def two_names(self) -> list[tuple[str, str]]:
        """(name in the run, name among these people) of those who seem to be known under two names.

        Their own photos count as a stranger's there, and thresholds rise above themselves: give both the same name.
        """
        return self._identifier.two_names()

    def mistaken(self, fpr: float | None = None) -> Mistaken | None:
        """How many photos of these people pass for somebody else of them, each asked about without its own person.

        Many more than `fpr` do where the photos differ from those of the strangers: by camera, light, age or origin. Then strangers
        on such photos pass more often than was asked for, too: `load_run(…, strangers=FOLDER)` mends that.

        Args:
            fpr: see `identify`.

        Returns:
            The count; None where the strategy cannot ask about enrolled photos.
        """
        return self._identifier.mistaken(self._rate(fpr))

    @property
    def default_fpr(self) -> float:
        """The false-positive rate of `identify` that is told none: 0.01, or the finest where that is larger."""
        return max(DEFAULT_FPR, self.finest_fpr)

    @property
    def finest_fpr(self) -> float:
        """The smallest false-positive rate that the run's strangers can tell."""
        return self._identifier.finest_fpr

    def check_fpr(self, fpr: float) -> None:
        """Raise UsageError unless the run's strangers can tell this false-positive rate."""
        self._identifier.check(fpr)

    def crop_of(self, match: Match) -> np.ndarray | None:
        """The aligned face (H, W, 3) uint8 of a nearest photo; None where none is kept."""
        raise NotImplementedError

    def draw(self, answer: IdentifiedPhoto | IdentifiedVideo, path: str | Path) -> None:
        """Write the annotated photo as PNG, beside nearest photos where there are pictures; of a video a face of each track with the answer."""
        from pdsn.people.annotate import draw_answer
        from pdsn.pictures import save_picture

        save_picture(draw_answer(answer, self.crop_of), Path(path))
