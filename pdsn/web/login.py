"""Who may use the server: whoever knows its token, by header, or in a browser by a session."""

from __future__ import annotations

import hmac
import secrets
import stat
import time
from pathlib import Path
from shlex import quote

from pdsn.errors import UsageError

SHORTEST = 20
"""Letters of a token: what can be guessed protects nobody."""
COOKIE = "pdsn-session"
HOURS = 12
"""Of a session."""
MOST_SESSIONS = 100


class Login:
    """Tokens and sessions.

    Args:
        token: what is asked for; None if the server is open to whoever reaches it.
    """

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode()
        self._sessions: dict[str, float] = {}

    @property
    def needed(self) -> bool:
        """Whether there is a token."""
        return self._token is not None

    def knows(self, token: str) -> bool:
        """Whether it is the token; takes as long whichever letter is wrong."""
        return self._token is not None and hmac.compare_digest(token.encode(), self._token)

    def begin(self) -> str:
        """A new session; of too many the oldest ends."""
        while len(self._sessions) >= MOST_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        session = secrets.token_urlsafe(32)
        self._sessions[session] = time.monotonic() + HOURS * 3600
        return session

    def has(self, session: str) -> bool:
        """Whether a session lasts."""
        until = self._sessions.get(session)
        if until is not None and until < time.monotonic():
            self.end(session)
            return False
        return until is not None

    def end(self, session: str) -> None:
        """End a session, if it lasts."""
        self._sessions.pop(session, None)


def read_token(path: Path) -> str:
    """The token in a file, of which nobody else may read.

    Raises:
        UsageError: there is no such file, others can read it, or it holds no good token.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            mode = stat.S_IMODE(path.stat().st_mode)
            text = stream.read(10_000).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text"
        raise UsageError(
            f"--token-file {path} cannot be read ({reason}): {how_to_make_one(path)} makes one"
        ) from error
    if mode & 0o077:
        raise UsageError(f"--token-file {path} can be read by others: `chmod 600 {quote(str(path))}`")
    if len(text) < SHORTEST or not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError(
            f"--token-file {path} holds no token of {SHORTEST} letters or more on one line: {how_to_make_one(path)} makes one"
        )
    return text


def how_to_make_one(path: Path) -> str:
    """The command that makes a token file."""
    program = "import secrets; print(secrets.token_urlsafe(32))"
    return f"`(umask 077; python -c '{program}' > {quote(str(path))})`"
