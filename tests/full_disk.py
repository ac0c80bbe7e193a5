"""A disk that is full: no file may grow beyond a few bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

FULL = "File too large"
"""What the system says of it; of a disk that is full it says "No space left on device", by the same way."""


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """Within the block, writing beyond `limit` bytes of a file fails, in this process and those it starts."""
    resource = pytest.importorskip("resource", reason="files can be limited on Unix alone")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
