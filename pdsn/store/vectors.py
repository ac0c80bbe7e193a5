"""Arrays to search in: for each signature the embeddings of all photos, in the order of their ids, mapped into memory.

All of it can be made again from the database. Rows are only ever added to a file, or overwritten with zeros when their photos are removed;
what moves rows starts a new *epoch*: a new folder takes the place of the old one, which those who read it can go on with.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np

from pdsn.files import temporary_folder, write_text

FOLDER = "vectors"
COUNT = "count"


class Vectors:
    """The arrays of a store.

    Args:
        root: the folder of the store.
        sizes: bytes of an embedding, of each of the S signatures.
        ending: of the arrays' files.
    """

    def __init__(self, root: Path, sizes: Sequence[int], ending: str) -> None:
        self.root = root / FOLDER
        self.sizes = list(sizes)
        self.ending = ending

    def folder(self, epoch: int) -> Path:
        """Where the arrays of an epoch are."""
        return self.root / str(epoch)

    def path(self, epoch: int, place: int) -> Path:
        """The array of a signature, by its number: embeddings as they are kept, see `codes`, one after the other."""
        return self.folder(epoch) / self._name(place)

    def _name(self, place: int) -> str:
        return f"{place:02}{self.ending}"

    def count(self, epoch: int) -> int:
        """Rows that all arrays of an epoch have; 0 where something is missing or torn."""
        try:
            count = int((self.folder(epoch) / COUNT).read_text(encoding="ascii"))
            whole = all(
                self.path(epoch, place).stat().st_size >= count * size
                for place, size in enumerate(self.sizes)
            )
        except (OSError, ValueError):
            return 0
        return count if whole else 0

    def read(self, epoch: int, place: int, count: int) -> np.ndarray:
        """The first rows (count, bytes) uint8 of the array of a signature, mapped: what is read takes memory.

        Writing to it changes nothing on the disk.

        Raises:
            OSError, ValueError: there are not so many, or none any more.
        """
        shape = count, self.sizes[place]
        if count == 0:
            return np.empty(shape, np.uint8)
        return np.memmap(self.path(epoch, place), np.uint8, "c", shape=shape)

    def append(self, epoch: int, known: int, parts: Iterable[np.ndarray]) -> None:
        """Add rows after the first `known` ones; the count tells of them when they are on the disk.

        Args:
            epoch: the epoch.
            known: rows that are there; others after them are overwritten.
            parts: (n, sum of the sizes) uint8 each.
        """
        folder = self.folder(epoch)
        folder.mkdir(parents=True, exist_ok=True)
        count = self._write(folder, known, parts)
        write_text(folder / COUNT, str(count))

    def _write(self, folder: Path, known: int, parts: Iterable[np.ndarray]) -> int:
        ends = np.cumsum(self.sizes)[:-1]
        with ExitStack() as stack:
            files = []
            for place, size in enumerate(self.sizes):
                handle = os.open(folder / self._name(place), os.O_RDWR | os.O_CREAT, 0o666)
                file = stack.enter_context(os.fdopen(handle, "r+b"))
                file.truncate(known * size)
                file.seek(0, os.SEEK_END)
                files.append(file)
            for part in parts:
                known += len(part)
                for file, columns in zip(files, np.split(part, ends, axis=1), strict=True):
                    file.write(np.ascontiguousarray(columns).data)
            for file in files:
                file.flush()
                os.fsync(file.fileno())
        return known

    def overwrite(self, epoch: int, count: int, rows: np.ndarray) -> None:
        """Fill some of the first `count` rows of all arrays of an epoch with zeros, on the disk when this returns.

        Whoever has mapped them sees it.
        """
        if not len(rows):
            return
        for place, size in enumerate(self.sizes):
            array = np.memmap(self.path(epoch, place), np.uint8, "r+", shape=(count, size))
            array[rows] = 0
            array.flush()

    def rewrite(self, epoch: int, parts: Iterable[np.ndarray]) -> None:
        """Write the arrays of an epoch anew, whole or not at all; those of other epochs go."""
        with temporary_folder(self.root) as temporary:
            write_text(temporary / COUNT, str(self._write(temporary, 0, parts)))
            target = self.folder(epoch)
            shutil.rmtree(target, ignore_errors=True)
            temporary.rename(target)
        self.drop_others(epoch)

    def drop_others(self, epoch: int) -> None:
        """Remove whatever is there besides the arrays of an epoch."""
        with suppress(FileNotFoundError):
            for left in self.root.iterdir():
                if left.name != str(epoch):
                    shutil.rmtree(left) if left.is_dir() else left.unlink()

    def strays(self, epoch: int) -> list[Path]:
        """Files and folders that are none of an epoch's arrays."""
        known = {self.path(epoch, place) for place in range(len(self.sizes))}
        known |= {self.folder(epoch), self.folder(epoch) / COUNT}
        return [path for path in sorted(self.root.rglob("*")) if path not in known]
