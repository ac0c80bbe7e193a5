"""What every request passes: host, rate, origin, login, size; and what every answer carries."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import sys
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pdsn.web.audit import Audit
from pdsn.web.limits import (
    ADDRESS_BYTES,
    BODY_BYTES,
    BODY_SECONDS,
    HEADERS_BYTES,
    REQUESTS,
    UPLOAD_BYTES,
    WRONG_TOKENS,
    Buckets,
)
from pdsn.web.login import COOKIE, Login

HEADER = "x-pdsn"
"""A page of another origin cannot send it without asking first, and is refused then; so it proves where a request comes from."""
UPLOADS = ("/api/identify", "/api/photos")
"""Where photos are sent to."""
OPEN = ("/login", "/static/style.css", "/static/icon.svg")
"""What is shown before the login."""
PAGES = ("/", "/reference")
"""Where a link from elsewhere may lead."""
SAFE = ("GET", "HEAD", "OPTIONS")
HEADERS = {
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # To other servers no referrer; without one to this server, browsers would call the origin of the login form "null".
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
}
"""What every answer carries."""


class Guard:
    """The outermost layer of the server.

    Args:
        app: what answers.
        login: who may.
        audit: what is written about every change and every refusal.
        secure: the server speaks TLS.
    """

    def __init__(self, app: ASGIApp, login: Login, audit: Audit, *, secure: bool = False) -> None:
        self._app = app
        self._login = login
        self._audit = audit
        self._secure = secure
        self._requests = Buckets(*REQUESTS)
        self.wrong_tokens = Buckets(*WRONG_TOKENS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        # Of a web socket nothing is accepted: the server closes it.

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        about: dict[str, object] = {}
        scope.setdefault("state", {})["about"] = about
        status = 500

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _headers(scope["path"], message["headers"])
            await send(message)

        refused = self._refusal(scope)
        try:
            if refused is None:
                await self._app(scope, _limited(scope, receive), send_guarded)
            else:
                await refused(scope, receive, send_guarded)
        except Exception as error:  # the client was told that there is one
            print(
                f"pdsn serve: unexpected {type(error).__name__} at {scope['path']}: {error}", file=sys.stderr
            )
        finally:
            if scope["method"] not in SAFE or status in (401, 403, 429):
                self._write(scope, status, about)

    def _write(self, scope: Scope, status: int, about: Mapping[str, object]) -> None:
        route = scope.get("route")
        asked = {key: str(value) for key, value in (scope.get("path_params") or {}).items()}
        # Only ids: what else a client writes into a path is none of the log's.
        ids = {key: int(value) for key, value in asked.items() if re.fullmatch(r"\d{1,18}", value, re.ASCII)}
        action = getattr(route, "name", None) or f"refused {scope['method']}"
        try:
            self._audit.write(action, status, client_of(scope), {**ids, **about})
        except OSError as error:
            print(f"pdsn serve: {self._audit.path} cannot be written: {error.strerror}", file=sys.stderr)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that goes no further; None to one that does."""
        client, path, method = client_of(scope), scope["path"], scope["method"]
        if not self._requests.take(client):
            return _say(
                429, "Too many requests: wait a little.", {"retry-after": str(self._requests.seconds)}
            )
        found = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        headers = dict(found)
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > ADDRESS_BYTES:
            return _say(414, "The address is too long.")
        if sum(len(name) + len(value) for name, value in found) > HEADERS_BYTES:
            return _say(431, "The headers are too long.")
        if sum(name == "host" for name, _ in found) != 1 or not self._is_host(headers["host"]):
            return _say(421, "This server is not known by that name.")
        if not self._is_origin(headers, path, method):
            return _say(403, "The request comes from another page: open this server's own page.")
        if path in OPEN:
            return None
        if not self._is_allowed(headers, client):
            if not self.wrong_tokens.has(client):
                return _say(
                    429,
                    "Too many wrong tokens: wait a minute.",
                    {"retry-after": str(self.wrong_tokens.seconds)},
                )
            if path in PAGES and method in SAFE:
                return RedirectResponse("/login", 303)
            return _say(
                401, "A token is needed: Authorization: Bearer TOKEN.", {"www-authenticate": "Bearer"}
            )
        if method not in SAFE and HEADER not in headers and "authorization" not in headers:
            return _say(
                403,
                f"Pages of other sites could send this, too: send the header {HEADER.title()}: 1, which they cannot, with every "
                f"{method}.",
            )
        return _too_large(headers, path)

    def _is_host(self, host: str) -> bool:
        """Whether a request may name the server so.

        Without a token only this machine's own names do: a page elsewhere can have its name lead here (DNS rebinding), but
        then the browser still sends that name. With a token such a page knows neither the token nor has the cookie.
        """
        match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]{1,253})(?::\d{1,5})?", host)
        if match is None:
            return False
        return self._login.needed or is_loopback(match[1].strip("[]"))

    def _is_origin(self, headers: Mapping[str, str], path: str, method: str) -> bool:
        """Whether a request comes from the server's own page, from a link, or from no browser."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        own = f"{'https' if self._secure else 'http'}://{headers['host']}"
        if origin is not None and origin.lower() != own.lower():
            return False
        page = path in (*PAGES, "/login") and method in SAFE
        return site in (None, "same-origin", "none") or (
            page and headers.get("sec-fetch-mode", "navigate") == "navigate"
        )

    def _is_allowed(self, headers: Mapping[str, str], client: str) -> bool:
        """Whether a request has the token, or a session."""
        if not self._login.needed:
            return True
        if self._login.has(session_of(headers)):
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        if not self.wrong_tokens.has(client):
            return False
        if self._login.knows(token.strip()):
            return True
        self.wrong_tokens.take(client)
        return False


def client_of(scope: Scope) -> str:
    """The address that a request comes from."""
    client: tuple[str, int] | None = scope.get("client")
    return client[0] if client else "unknown"


def session_of(headers: Mapping[str, Any]) -> str:
    """The session that a browser names; empty if none."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, as only itself can say."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _say(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"detail": text}, status, dict(headers or {}))


def _headers(path: str, found: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    # What the server itself consists of may be kept, if it is asked whether it is still so; faces and names never.
    kept = "no-cache" if path.startswith("/static/") else "no-store"
    own = {**HEADERS, "cache-control": kept}
    return [
        *((name, value) for name, value in found if name.decode("latin-1").lower() not in own),
        *((name.encode(), value.encode()) for name, value in own.items()),
    ]


def _most(path: str) -> int:
    return UPLOAD_BYTES if path in UPLOADS else BODY_BYTES


def _too_large(headers: Mapping[str, str], path: str) -> Response | None:
    length = headers.get("content-length", "0")
    if not length.isdecimal():
        return _say(400, "The length of what is sent is no number.")
    if int(length) > _most(path):
        return _say(
            413, f"That is too large: at most {_most(path) / 1e6:g} MB can be sent.", {"connection": "close"}
        )
    return None


def _limited(scope: Scope, receive: Receive) -> Receive:
    """Receive no more than is allowed, and for no longer."""
    most, taken, until = _most(scope["path"]), 0, asyncio.get_running_loop().time() + BODY_SECONDS
    done = False

    async def receive_limited() -> Message:
        nonlocal taken, done
        if done:  # only whether the client leaves is to be heard of
            return await receive()
        try:
            left = until - asyncio.get_running_loop().time()
            message = await asyncio.wait_for(receive(), max(left, 0))
        except TimeoutError as error:
            raise HTTPException(408, "Sending took too long.", {"connection": "close"}) from error
        taken += len(message.get("body", b""))
        done = not message.get("more_body", False)
        if taken > most:
            raise HTTPException(
                413, f"That is too large: at most {most / 1e6:g} MB can be sent.", {"connection": "close"}
            )
        return message

    return receive_limited
