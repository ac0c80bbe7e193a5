"""The audit log: who asked for what, and what came of it; no face, no embedding, no name."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

LARGEST = 10_000_000
"""Bytes of the log beyond which it becomes `audit.1.jsonl`, in the place of the one before."""


class Audit:
    """A log of JSON lines.

    People are told by their ids: of somebody who was removed the log says nothing more.

    Args:
        path: the file, made if missing, for its owner alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def write(self, action: str, status: int, client: str, about: Mapping[str, object]) -> None:
        """Add a line.

        Args:
            action: what was asked for.
            status: the HTTP status that was answered.
            client: the address that asked.
            about: ids and counts.

        Raises:
            OSError: it cannot be written.
        """
        line = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "client": client,
            "action": action,
            "status": status,
            **about,
        }
        with self._lock:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(handle, f"{json.dumps(line)}\n".encode())
                full = os.fstat(handle).st_size > LARGEST
            finally:
                os.close(handle)
            if full:
                self.path.replace(self.path.with_suffix(".1.jsonl"))
