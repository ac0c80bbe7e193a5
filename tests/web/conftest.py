"""A server with a store of pattern people, in a thread of its own, and a client that sends what it is told to."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pdsn.web.server import listen, make_server
from pdsn.web.site import make_site
from tests.people.photos import save_photo
from tests.report.test_in_browser import BROWSER, DRIVER
from tests.web.browsing import opened
from tests.web.fake import FakePeople, pattern, photo_of

FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
TOKEN = "a-token-of-thirty-two-letters-00"


@dataclass
class Said:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """What it says."""
        return json.loads(self.body)


@dataclass
class Site:
    """A server that runs."""

    port: int
    people: FakePeople
    folder: Path

    def ask(self, method: str, path: str, body: bytes | dict | None = None, **headers: str) -> Said:
        """Ask as a well-behaved program does; headers replace its own, those that are "" are left out."""
        own = {"X-Pdsn": "1"}
        if isinstance(body, dict):
            body, own["Content-Type"] = json.dumps(body).encode(), "application/json"
        own |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host="Host" in own)
            if body is not None and "Content-Length" not in own:
                own["Content-Length"] = str(len(body))
            for name, value in own.items():
                if value:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return Said(
                answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
            )
        finally:
            connection.close()

    def log(self, lines: int) -> list[dict[str, Any]]:
        """The audit log, once it has so many lines: one is written after its answer has gone out."""
        path, until = self.folder / "audit.jsonl", time.monotonic() + 10
        while True:
            found = path.read_text().splitlines() if path.exists() else []
            if len(found) >= lines or time.monotonic() > until:
                return [json.loads(line) for line in found]
            time.sleep(0.01)


@contextmanager
def serving(folder: Path, token: str | None = None, **more: Any) -> Iterator[Site]:
    """A server that runs while the block does."""
    store = folder / "team"
    store.mkdir(exist_ok=True)
    people = FakePeople(store)
    own = folder / "team-web"
    app = make_site(people.run, people, own, token=token, **more)  # type: ignore[arg-type]
    with listen("127.0.0.1", 0) as listener:
        server = make_server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Site(listener.getsockname()[1], people, own)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server for this machine alone, which keeps faces as pictures."""
    with serving(tmp_path, keep_crops=True) as found:
        yield found


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Site]:
    """A server that asks for a token."""
    with serving(tmp_path, TOKEN) as found:
        yield found


@pytest.fixture
def photo(tmp_path: Path) -> Callable[..., bytes]:
    """Makes the content of a photo of some people, each a number, or (number, photo)."""

    def make(*people: int | tuple[int, int], **more: Any) -> bytes:
        faces = [pattern(*((one, 0) if isinstance(one, int) else one), **more) for one in people]
        return photo_of(tmp_path / "photo.png", *faces)

    return make


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium with a camera that shows a test picture."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *FAKE_CAMERA):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    driver.set_window_size(1200, 900)
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def page(browser: Any, site: Site) -> Any:
    """The page, opened, with an empty store."""
    opened(browser, site)
    return browser


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A photo of two people."""
    return save_photo(tmp_path / "two.png", pattern(1), pattern(2))
