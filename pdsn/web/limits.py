"""How much and how often a client may ask."""

from __future__ import annotations

import time
from collections import OrderedDict

UPLOAD_BYTES = 20_000_000
"""Bytes of a photo."""
BODY_BYTES = 16_384
"""Bytes of anything else that is sent."""
ADDRESS_BYTES, HEADERS_BYTES = 8_192, 16_384
"""Bytes of an address, and of all headers."""
BODY_SECONDS = 30.0
"""Seconds that sending may take."""
REQUESTS = (20.0, 200.0)
"""Requests of one address: so many a second, so many at once."""
WRONG_TOKENS = (5 / 60, 5.0)
"""Wrong tokens of one address: so many a second, so many at once."""
MOST_ADDRESSES = 4096


class Buckets:
    """A bucket for each address: it holds so many tries, and is filled at a rate.

    Args:
        rate: tries a second.
        most: tries that a full bucket holds.
    """

    def __init__(self, rate: float, most: float) -> None:
        self._rate = rate
        self._most = most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def has(self, address: str) -> bool:
        """Whether an address has a try left."""
        return self._level(address) >= 1

    def take(self, address: str) -> bool:
        """Take a try, if one is left; whether one was."""
        level = self._level(address)
        self._buckets[address] = (level - 1 if level >= 1 else level, time.monotonic())
        self._buckets.move_to_end(address)
        while len(self._buckets) > MOST_ADDRESSES:  # the one that was quiet for longest
            self._buckets.popitem(last=False)
        return level >= 1

    @property
    def seconds(self) -> int:
        """After how long an empty bucket has a try again."""
        return max(1, round(1 / self._rate))

    def _level(self, address: str) -> float:
        level, seen = self._buckets.get(address, (self._most, 0.0))
        return min(self._most, level + (time.monotonic() - seen) * self._rate)
