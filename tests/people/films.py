"""Films written in tests: lossless, so that their pixels are known."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

RATE = 10
"""Frames a second, unless times are given."""


def write_film(
    path: Path,
    frames: Iterable[np.ndarray],
    *,
    codec: str = "ffv1",
    times: Sequence[float] | None = None,
    turn: int = 0,
    sound: bool = False,
) -> Path:
    """A film of frames (H, W, 3) uint8.

    Args:
        path: its ending says what it is packed in.
        frames: the pictures.
        codec: ffv1 and png keep every pixel.
        times: of the frames in seconds; None for `RATE` a second.
        turn: degrees counter-clockwise by which a player is told to turn the pictures.
        sound: beside the pictures there is a second of silence; without any frames it is all there is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = list(frames)
    with av.open(str(path), "w") as container:
        if pictures:
            stream = container.add_stream(codec, rate=RATE)
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = {"ffv1": "bgr0", "png": "rgb24"}.get(codec, "yuv420p")
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
            if turn:
                stream.set_display_rotation(turn)
        tone = (
            container.add_stream("aac" if path.suffix == ".mp4" else "pcm_s16le", rate=8000)
            if sound
            else None
        )
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = Fraction(1, 1000)
            frame.pts = round(1000 * (number / RATE if times is None else times[number]))
            container.mux(stream.encode(frame))
        if pictures:
            container.mux(stream.encode())
        if tone is not None:
            quiet = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
            quiet.sample_rate, quiet.pts = 8000, 0
            container.mux(tone.encode(quiet))
            container.mux(tone.encode())
    return path


def leave_out_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on PyAV is not installed."""
    real = builtins.__import__

    def without(name: str, *words: Any, **more: Any) -> Any:
        if name == "av" or name.startswith("av."):
            raise ImportError("No module named 'av'")
        return real(name, *words, **more)

    monkeypatch.setattr(builtins, "__import__", without)
