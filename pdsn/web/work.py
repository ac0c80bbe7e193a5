"""One thread that does all that is slow or changes the store, with a short queue before it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")

PLACES = 8
"""Photos that are being sent, wait or are looked at; whoever comes then is told to come again."""


class BusyError(Exception):
    """All places are taken."""


class Worker:
    """Runs functions one after the other, in a thread of its own.

    Networks are asked about one photo at a time: two at once would take the same processor and twice the memory.

    Args:
        places: how many may have a place at once.
    """

    def __init__(self, places: int = PLACES) -> None:
        self._free = places
        self._thread = ThreadPoolExecutor(1, "pdsn-web")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place while the block runs; it is taken before a photo is received, so that few are in memory.

        To be used in the server's own thread.

        Raises:
            BusyError: none is free.
        """
        if self._free <= 0:
            raise BusyError
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    async def run(self, function: Callable[[], Result]) -> Result:
        """What a function returns or raises, when its turn has come."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def close(self) -> None:
        """Drop what waits, and end when the function that runs has ended."""
        self._thread.shutdown(wait=True, cancel_futures=True)
