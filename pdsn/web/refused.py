"""What is refused, whoever asks."""

from __future__ import annotations

from pdsn.api import PdsnError


class RefusedError(PdsnError):
    """Something that cannot be done.

    Attributes:
        status: the HTTP status that says so.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
