"""Listening: the address, who may be behind it, and the loop that answers."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from contextlib import suppress
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from pdsn.errors import UsageError
from pdsn.web.login import how_to_make_one
from pdsn.web.security import is_loopback

MOST_CONNECTIONS = 64
"""Further ones are answered 503."""


def check_host(host: str, token_file: Path | None) -> None:
    """Raise UsageError where others than this machine could use the server without a token."""
    if token_file is None and not is_loopback(host):
        example = Path("token")
        raise UsageError(
            f"--host {host} lets other machines in, and needs a token: {how_to_make_one(example)} makes one, "
            f"then add --token-file {example}"
        )


def check_certificate(certificate: Path | None, key: Path | None) -> bool:
    """Whether the server speaks TLS.

    Raises:
        UsageError: certificate and key cannot be used, or one of them is missing.
    """
    if (certificate is None) != (key is None):
        raise UsageError("--certificate and --key go together: give both, or neither")
    if certificate is None or key is None:
        return False
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"--certificate {certificate} and --key {key} cannot be used ({error.strerror or error}): give both in PEM, "
            "the key without a password"
        ) from error
    return True


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: address or name of this machine.
        port: 0 for any free one.

    Raises:
        UsageError: the address is none of this machine's, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"--host {host} is no address of this machine: {error.strerror}") from error
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(128)
    except OSError as error:
        found.close()
        if isinstance(error, PermissionError):
            raise UsageError(f"--port {port} is for the administrator: give one above 1023") from error
        where = f"--host {host} --port {port}"
        raise UsageError(
            f"{where} cannot be used ({error.strerror}): stop what listens there, or give --port 0 for any free one"
        ) from error
    return found


def url_of(listener: socket.socket, host: str, *, secure: bool) -> str:
    """The address of the page; of a server that listens everywhere, by the name of this machine."""
    port = listener.getsockname()[1]
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        host = f"[{host}]" if address.version == 6 else host
        host = socket.gethostname() if address.is_unspecified else host
    return f"http{'s' * secure}://{host}:{port}/"


def serve(
    app: ASGIApp, listener: socket.socket, certificate: Path | None = None, key: Path | None = None
) -> None:
    """Answer until Ctrl-C, which ends as KeyboardInterrupt once what is being answered is done.

    Args:
        app: what answers.
        listener: see `listen`.
        certificate, key: PEM files, for TLS.
    """
    make_server(app, certificate, key).run(sockets=[listener])


def make_server(app: ASGIApp, certificate: Path | None = None, key: Path | None = None) -> uvicorn.Server:
    """A server that is ready to run, see `serve`."""
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,  # names are in addresses
        server_header=False,
        proxy_headers=False,  # whoever says to come from elsewhere is not believed
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=16_384,
        http="h11",
        ws="none",
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    return uvicorn.Server(config)
