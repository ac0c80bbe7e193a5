"""Frames of a film or of a camera, read by PyAV (the extra `video`): a few a second, each with its time, upright."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image

from pdsn.data.given import read_given
from pdsn.data.reading import MOST_PIXELS, Photo, UnreadablePhotoError
from pdsn.errors import UsageError
from pdsn.people.gallery import readable
from pdsn.people.photo import VIDEOS, PhotoError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

EVERY = 0.5
"""Seconds from one frame that is searched to the next, unless told."""
JUMP = 1.0
"""Seconds by which times that go back are those of another recording, joined to this one."""
FORMATS = "mov,matroska,avi,mpeg,mpegts,mpegvideo,flv,asf,ogg,nut,h264,hevc,mjpeg,m4v,dv,gxf,mxf,rm,ivf"
"""What FFmpeg may take a file for: never a playlist, which would have it open other files and addresses."""
DEVICES = {
    "linux": ("v4l2", "{}", "/dev/video0"),
    "darwin": ("avfoundation", "{}", "0"),
    "win32": ("dshow", "video={}", "Integrated Camera"),
}
"""By system: FFmpeg's name of what reads cameras, how it wants a camera called, and an example of a name."""


class VideoError(PhotoError):
    """A film or camera that cannot be read."""


@dataclass(frozen=True)
class Frame:
    """One picture of a film: its pixels and their scale as of a photo, and its time in seconds from the first picture."""

    seconds: float
    photo: Photo


def check_pyav(name: str, otherwise: str = "") -> None:
    """Raise VideoError where PyAV is missing; `otherwise` says what else can be done."""
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise VideoError(f'{name} needs PyAV: pip install "pdsn[video]"{otherwise}') from error


def check_video(path: Path) -> None:
    """Raise VideoError where a film cannot be read, as far as that is told without opening it: no PyAV, no such file."""
    name = readable(str(path))
    example = f"`ffmpeg -i {quote(name)} -vf fps=1 frame-%04d.png`"
    check_pyav(f"{name} is a video, and reading it", f", or extract frames first, for example with {example}")
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise VideoError(f"{name} cannot be read: no such file") from error
    except (OSError, ValueError) as error:
        raise VideoError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if path.is_dir():
        raise VideoError(f"{name} is a folder: give one video")
    if not size:
        raise VideoError(f"{name} cannot be read: empty file")


def is_video(path: Path) -> bool:
    """Whether a file is a video by its name."""
    return path.suffix.lower() in VIDEOS


class Film:
    """A film file, or a camera.

    Args:
        source: a file, or the name of a camera as the system calls it, see `DEVICES`.
        camera: it is a camera.

    Attributes:
        name: what messages and answers call it.
        damaged: pieces that could not be decoded so far, and were left out.
    """

    def __init__(self, source: str | Path, *, camera: bool = False) -> None:
        self.name = readable(str(source))
        self.damaged = 0
        self._source, self._camera = source, camera
        if camera:
            check_pyav(f"--camera {self.name}")
        else:
            check_video(Path(source))

    def frames(
        self,
        every: float = EVERY,
        *,
        seconds: float | None = None,
        stop: Callable[[], bool] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[Frame]:
        """The first frame, and from then on one whenever at least `every` seconds have passed.

        Times are those that the film gives its frames, so films of a changing frame rate are sampled evenly in time.

        Args:
            every: seconds, 0 for every frame.
            seconds: how much of it is read; None for all, of a camera without end.
            stop: asked after each frame; it was the last if the answer is true.
            on_progress: told the seconds done and the seconds in all, where the film says how long it is.

        Raises:
            VideoError: it cannot be read, has no picture, or no frame of it can be decoded.
        """
        import av

        due, some = 0.0, False
        try:
            with self._file() as file, self._open(file) as container:
                stream = self._stream(container)
                total = 0 if container.duration is None else int(container.duration / av.time_base)
                for time, frame in self._decoded(container, stream):
                    if seconds is not None and time > seconds:
                        break
                    if time < due - 1e-6:
                        continue
                    due, some = time + every, True
                    yield Frame(time, self._photo(frame, stream))
                    if on_progress is not None and total > 0:
                        on_progress(min(int(time), total), total)
                    if stop is not None and stop():
                        break
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._error(error) from error
        if not some:
            raise VideoError(f"{self.name} cannot be read: damaged, no picture in it can be decoded")

    def _file(self) -> Any:
        """The open file: FFmpeg is given its content, never a name that it could take for an address."""
        from contextlib import nullcontext

        return nullcontext() if self._camera else Path(self._source).open("rb")

    def _open(self, file: BinaryIO | None) -> InputContainer:
        import av

        if file is not None:
            return av.open(file, mode="r", options={"format_whitelist": FORMATS})
        if sys.platform not in DEVICES:
            raise UsageError(f"--camera {self.name}: no cameras are known on {sys.platform}: give a video")
        kind, called, _ = DEVICES[sys.platform]
        return av.open(called.format(self._source), mode="r", format=kind)

    def _stream(self, container: InputContainer) -> VideoStream:
        """The film's pictures; the cover of a piece of music is none."""
        from av.stream import Disposition

        moving = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
        if not moving:
            raise VideoError(f"{self.name} cannot be read: it has no moving pictures, sound alone")
        stream = moving[0]
        if stream.codec_context is None:
            raise VideoError(f"{self.name} cannot be read: pictures of an unknown kind")
        self._check_size(stream.width, stream.height)
        stream.thread_type = "AUTO"
        return stream

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[tuple[float, Any]]:
        """All frames with their times from 0 on, which never go back; what cannot be decoded is counted and left out."""
        import av

        rate = stream.average_rate or stream.guessed_rate
        start: float | None = None
        last = 0.0
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                self.damaged += 1
                continue
            for frame in frames:
                self.damaged += frame.is_corrupt
                if frame.is_corrupt:
                    continue
                time = frame.time
                if time is None:  # bare streams have no times: the rate tells them
                    time = 0.0 if start is None else start + last + float(1 / rate if rate else 0.04)
                if start is None or time - start < last - JUMP:  # joined recordings start anew
                    start = time - last
                last = max(last, time - start)  # an AVI may have two frames in the wrong order
                yield last, frame

    def _photo(self, frame: Any, stream: VideoStream) -> Photo:
        """The pixels of a frame, upright, with square pixels."""
        self._check_size(frame.width, frame.height)
        pixels = frame.to_ndarray(format="rgb24")
        ratio = stream.sample_aspect_ratio
        if ratio and ratio != 1:
            width = max(1, round(frame.width * float(ratio)))
            self._check_size(width, frame.height)
            pixels = np.asarray(Image.fromarray(pixels).resize((width, frame.height)))
        try:
            return read_given(np.rot90(pixels, round(frame.rotation / 90)))
        except UnreadablePhotoError as error:
            raise VideoError(f"{self.name} cannot be read: {error}") from error

    def _check_size(self, width: int, height: int) -> None:
        if width * height > MOST_PIXELS:
            raise VideoError(f"{self.name} cannot be read: too large ({width}x{height} pixels)")

    def _error(self, error: Exception) -> VideoError:
        """The one line about what FFmpeg, or the system, says."""
        import av

        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        if self._camera:
            example = DEVICES.get(sys.platform, ("", "", ""))[2]
            return VideoError(
                f"--camera {self.name} cannot be opened ({reason}): give a camera's name, such as {example!r}, and check its permission"
            )
        if isinstance(error, PermissionError):
            return VideoError(f"{self.name} cannot be read: no permission")
        if isinstance(error, av.error.InvalidDataError | av.error.ArgumentError | EOFError):
            return VideoError(f"{self.name} cannot be read: damaged, cut off, or no video")
        return VideoError(f"{self.name} cannot be read: damaged ({reason})")
