"""An ONNX file and the data files that it names: which they are, and what identifies them all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from pdsn.errors import PdsnError
from pdsn.files import sha256_of

if TYPE_CHECKING:
    import onnx

MISSING = "the onnx package is missing: install it with `pip install pdsn[onnx]`"


def first_line(error: Exception) -> str:
    """What a message says of an error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def load_model(path: Path) -> onnx.ModelProto:
    """What a file holds, without what lies in other files.

    Raises:
        PdsnError: the onnx package is missing, or the file is missing or none.
    """
    try:
        import onnx
    except ImportError as error:
        raise PdsnError(f"{path}: {MISSING}") from error
    if not path.is_file():
        raise PdsnError(f"{path} is missing: there is no such file of weights")
    try:
        return onnx.load(str(path), load_external_data=False)
    except Exception as error:
        raise PdsnError(f"{path} is no usable ONNX file: {first_line(error)}") from error


def data_files(model: onnx.ModelProto, path: Path) -> list[Path]:
    """The files beside an ONNX file in which its tensors lie, by name; none is opened.

    Raises:
        PdsnError: one is outside of the file's folder, is reached by a link, or is missing.
    """
    return [_beside(path, name) for name in _names(model)]


def sha256_of_weights(path: Path) -> tuple[str, str]:
    """What identifies a file of weights: alone, and, of an ONNX file, with the data files that it names, if there are any.

    Raises:
        PdsnError: see `load_model` and `data_files`.
    """
    alone = sha256_of(path)
    files = _data_files(path) if path.suffix.lower() == ".onnx" else []
    if not files:
        return alone, alone
    others = (f"{one.relative_to(path.parent)} {sha256_of(one)}" for one in files)
    return alone, hashlib.sha256("\n".join([alone, *others]).encode()).hexdigest()


def last_changes(path: Path) -> tuple[int, ...]:
    """When an ONNX file, and each data file that it names, changed last, in ns; errors as of `sha256_of_weights`."""
    return tuple(one.stat().st_mtime_ns for one in (path, *_data_files(path)))


def _data_files(path: Path) -> list[Path]:
    return [_beside(path, name) for name in _names_in(path, path.stat().st_mtime_ns)]


@lru_cache(maxsize=2)
def _names_in(path: Path, changed: int) -> list[str]:
    """The data files that an ONNX file named at its last change."""
    del changed
    return _names(load_model(path))


def _names(model: onnx.ModelProto) -> list[str]:
    from onnx import TensorProto

    found = {
        entry.value
        for tensor in _tensors(model)
        if tensor.data_location == TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return sorted(found)


def _tensors(message: Any) -> Iterator[onnx.TensorProto]:
    """All tensors of a message, also those within graphs within graphs."""
    from google.protobuf.message import Message
    from onnx import TensorProto

    if isinstance(message, TensorProto):
        yield message
    elif isinstance(message, Message):
        for _, value in message.ListFields():
            yield from _tensors(value)
    elif not isinstance(message, (str, bytes, int, float)):
        for one in message:
            yield from _tensors(one)


def _beside(path: Path, name: str) -> Path:
    """The data file of a name, which must lie in the folder of the ONNX file, or below it, and be no link."""
    outside = f"{path} names the data file {name!r}, "
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor:
        raise PdsnError(outside + "which lies outside of its folder: no such file is opened")
    found = path.parent / name
    if found.resolve() != path.parent.resolve() / name:
        raise PdsnError(outside + "which is reached by a link: put the file itself there")
    if not found.is_file():
        raise PdsnError(outside + "which is missing: put it beside the ONNX file")
    return found
