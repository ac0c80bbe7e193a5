"""Writing files so that a killed process or a full disk never leaves half of one."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pdsn.errors import UsageError

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike

PREFIX = ".pdsn-"
"""Begins the names of temporary files and folders, which are short: those of the files may be as long as can be."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the place of `path` when the block ends well.

    On an exception the temporary file goes and `path` stays as it was; an error of the disk names `path`. The
    folder is made if missing, and what killed processes left in it is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_strays(path.parent)
    temporary = _empty_file(path)
    while (lock := _locked(temporary)) is None:
        temporary = _empty_file(path)
    try:
        with naming(path, temporary):
            yield temporary
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(lock)


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Yield an empty folder in `parent`, which is made if missing; it goes when the block ends, however it ends."""
    parent.mkdir(parents=True, exist_ok=True)
    remove_strays(parent)
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=PREFIX))
    while (lock := _locked(folder)) is None:
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=PREFIX))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def sole_use(folder: Path) -> Iterator[bool]:
    """Hold a lock on a folder, which is made if missing, while the block runs; yields whether nobody else has it.

    The lock ends with the process, however that ends. Where there are no locks, everybody gets it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield True
        return
    handle, sole = os.open(folder, os.O_RDONLY), True
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sole = False
        except OSError:  # a file system without locks
            pass
        yield sole
    finally:
        os.close(handle)


@contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Within the block, errors of the disk that name no file, or the temporary one, name `path`."""
    try:
        yield
    except OSError as error:
        if error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def remove_strays(folder: Path) -> None:
    """Remove the temporary files and folders that killed processes left in a folder.

    The process that made one holds a lock on it, which ends with the process: those of a live one stay.
    """
    if sys.platform == "win32":
        return
    for left in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            handle = os.open(left, os.O_RDONLY if left.is_dir() else os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            finally:
                os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...], parts: Iterable[np.ndarray]) -> None:
    """Write an .npy file atomically, see `fill_array`."""
    with atomic_path(path) as temporary:
        fill_array(temporary, dtype, shape, parts)


def fill_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...], parts: Iterable[np.ndarray]) -> None:
    """Write an .npy file as `np.save` would, without the whole array in memory.

    By ordinary writes: on a full disk they fail with an OSError, while a memory map reserves nothing and the
    process dies of SIGBUS.

    Args:
        path: the file.
        dtype, shape: of the array.
        parts: its values in order, in pieces of any shape.

    Raises:
        ValueError: the parts are not as many values as the array has.
    """
    import numpy as np

    kind = np.dtype(dtype)
    header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": tuple(shape)}
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        values = 0
        for part in parts:
            stream.write(np.ascontiguousarray(part, kind).data)
            values += part.size
        if values != np.prod(shape, dtype=np.int64):
            raise ValueError(f"{values} values for an array of {shape}")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _empty_file(path: Path) -> Path:
    """A new file beside `path`, with its ending."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=PREFIX, suffix=path.suffix)
    os.close(handle)
    return Path(name)


def _locked(path: Path) -> int | None:
    """The handle that holds a lock on what was just made; None if another process took it for a stray before that."""
    if sys.platform == "win32":
        return os.open(os.devnull, os.O_RDONLY)
    try:
        lock = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except FileNotFoundError:
        return None
    with suppress(OSError):  # on a file system without locks nobody takes it for a stray one later either
        fcntl.flock(lock, fcntl.LOCK_EX)
    if path.exists():
        return lock
    os.close(lock)
    return None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_writable(option: str, path: Path) -> None:
    """Raise UsageError unless a file or a folder can be written at `path`, whose folders need not be there yet."""
    there = next(part for part in (path.absolute(), *path.absolute().parents) if part.exists())
    if there != path.absolute() and not there.is_dir():
        raise UsageError(f"{option} {path} cannot be written: {there} is a file; give another place")
    if not os.access(there, os.W_OK):
        raise UsageError(f"{option} {path} cannot be written: {there} is read-only; give another place")
