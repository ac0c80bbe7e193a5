"""Who may ask what, and fifty requests that mean harm."""

from __future__ import annotations

import io
import json
import re
import socket
import threading
import zlib
from pathlib import Path

import pytest
from PIL import Image

from pdsn.errors import UsageError
from pdsn.web import security
from pdsn.web.login import MOST_SESSIONS, Login, read_token
from pdsn.web.security import HEADERS
from pdsn.web.server import check_host, listen, url_of
from tests.web.conftest import TOKEN, serving

STATIC = Path(security.__file__).with_name("static")


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that says it is so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10_000_000))) + chunk(b"IEND", b"")  # fmt: skip


def tiff() -> bytes:
    """A TIFF that says its strip is far beyond its end."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "TIFF")
    return buffer.getvalue()[:200]


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n(/etc/passwd) (r) file\nshowpage\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/><script>1</script></svg>'
JSON = {"Content_Type": "application/json"}
HOSTILE = [
    # Another page has the browser ask.
    ("POST", "/api/identify", b"x", {"Origin": "http://evil.example"}, 403),
    ("POST", "/api/identify", b"x", {"Origin": "null"}, 403),
    ("POST", "/api/photos?name=Eve", b"x", {"Sec_Fetch_Site": "cross-site"}, 403),
    ("POST", "/api/photos?name=Eve", b"x", {"Sec_Fetch_Site": "same-site"}, 403),
    ("DELETE", "/api/people/1", None, {"X_Pdsn": ""}, 403),
    ("PATCH", "/api/people/1", b'{"name":"Eve"}', {"X_Pdsn": "", **JSON}, 403),
    ("POST", "/api/people/1/merge", b'{"into":2}', {"X_Pdsn": "", "Content_Type": "text/plain"}, 403),
    ("GET", "/api/photos/2/picture", None, {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}, 403),
    ("GET", "/", None, {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}, 403),
    ("OPTIONS", "/api/people/1", None, {"Origin": "http://evil.example", "Access_Control_Request_Method": "DELETE"}, 403),
    # A name of another page leads here.
    ("GET", "/api/people", None, {"Host": "evil.example"}, 421),
    ("GET", "/api/people", None, {"Host": "127.0.0.1.evil.example"}, 421),
    ("GET", "/api/people", None, {"Host": "localhost.evil.example:8000"}, 421),
    ("GET", "/api/people", None, {"Host": "192.168.0.1"}, 421),
    ("GET", "/api/people", None, {"Host": "127.0.0.1@evil.example"}, 421),
    # Paths that lead out.
    ("GET", "/static/../app.py", None, {}, 404),
    ("GET", "/static/%2e%2e/app.py", None, {}, 404),
    ("GET", "/static/..%2f..%2f..%2fetc/passwd", None, {}, 404),
    ("GET", "/static//etc/passwd", None, {}, 404),
    ("GET", "/static/..\\app.py", None, {}, 404),
    ("GET", "/static/%00", None, {}, 404),
    ("GET", "/api/photos/..%2f..%2fetc%2fpasswd/picture", None, {}, 404),
    ("GET", "/api/people/1%20OR%201=1", None, {}, 422),
    ("GET", "/api/people/-1", None, {}, 422),
    ("GET", "/api/people/99999999999999999999999999", None, {}, 422),
    ("GET", "/api/questions/99999999999999999999999999/picture", None, {}, 422),
    ("POST", "/api/questions/0/confirm", b'{"name":"Eve"}', JSON, 404),
    # Files that are none, or bombs.
    ("POST", "/api/identify", bomb(60_000, 60_000), {}, 422),
    ("POST", "/api/identify", bomb(2_000_000_000, 2), {}, 422),
    ("POST", "/api/photos?name=Eve", bomb(30_000, 30_000), {}, 422),
    ("POST", "/api/identify", b"\xff\xd8\xff\xe0" + b"\x00" * 5000, {}, 422),
    ("POST", "/api/identify", tiff(), {}, 422),
    ("POST", "/api/identify", EPS, {}, 422),
    ("POST", "/api/identify", SVG, {}, 422),
    ("POST", "/api/identify", b"PK\x03\x04" + bytes(100), {}, 422),
    ("POST", "/api/identify", b"\x00" * 1_000_000, {}, 422),
    ("POST", "/api/identify", b"/etc/passwd", {}, 422),
    ("POST", "/api/identify?file=/etc/passwd", b"file:///etc/passwd", {}, 422),
    # Too much.
    ("POST", "/api/identify", None, {"Content_Length": "20000001"}, 413),
    ("POST", "/api/identify", None, {"Content_Length": "99999999999999999999"}, 413),
    ("PATCH", "/api/people/1", None, {"Content_Length": "1000000", **JSON}, 413),
    ("PATCH", "/api/people/1", json.dumps({"name": "x" * 300}).encode(), JSON, 422),
    ("POST", f"/api/photos?name={'x' * 300}", b"x", {}, 422),
    ("GET", "/api/people?" + "x" * 100_000, None, {}, 414),
    ("GET", "/api/people", None, {"X_Long": "x" * 20_000}, 431),
    # What is not understood.
    ("PATCH", "/api/people/1", b"[" * 10_000, JSON, 400),
    ("PATCH", "/api/people/1", b'{"name": {"$gt": ""}}', JSON, 422),
    ("PATCH", "/api/people/1", b'{"name": "a\\u0000b"}', JSON, 422),
    ("PATCH", "/api/people/1", b'{"name": "a\\nb"}', JSON, 422),
    ("PUT", "/api/people/1", b"{}", JSON, 405),
    ("TRACE", "/api/people", None, {}, 405),
]  # fmt: skip


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """A server with two people and an open question."""
    from tests.web.fake import pattern, photo_of

    folder = tmp_path_factory.mktemp("attacked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(security, "REQUESTS", (1e4, 1e4))  # so many come from this one address
        with serving(folder, keep_crops=True) as site:
            for number, name in enumerate(("Ann", "Ben")):
                site.ask("POST", f"/api/photos?name={name}", photo_of(folder / "p.png", pattern(number)))
            site.ask("POST", "/api/identify?ask=true", photo_of(folder / "p.png", pattern(7)))
            yield site


def test_there_are_fifty():
    assert len(HOSTILE) >= 50


@pytest.mark.parametrize("method, path, body, headers, status", HOSTILE, ids=lambda value: str(value)[:40])
def test_a_hostile_request_is_refused_and_changes_nothing(
    attacked, capfd, method, path, body, headers, status
):
    before = attacked.ask("GET", "/api/people").body, attacked.ask("GET", "/api/questions").body
    said = attacked.ask(method, path, body, **headers)
    assert said.status == status, said.body[:200]
    assert b"root:" not in said.body and b"Traceback" not in said.body and len(said.body) < 1000
    if "detail" in said.body.decode():
        assert "\n" not in said.json["detail"] and str(attacked.folder.parent) not in said.json["detail"]
    assert (attacked.ask("GET", "/api/people").body, attacked.ask("GET", "/api/questions").body) == before
    assert capfd.readouterr().err == ""


def test_the_log_has_the_hostile_ones_without_what_they_sent(attacked):
    attacked.ask("GET", '/api/people/%0a{"time":1}/x', Origin="http://evil.example")
    text = (attacked.folder / "audit.jsonl").read_text()
    assert all(set(json.loads(line)) >= {"time", "client", "action", "status"} for line in text.splitlines())
    assert "evil" not in text and "passwd" not in text


@pytest.mark.parametrize(
    "path", ["/", "/login", "/reference", "/static/app.js", "/api/people", "/api/people/9", "/nothing"]
)
def test_every_answer_carries_what_keeps_browsers_strict(attacked, path):
    found = attacked.ask("GET", path).headers
    assert {name: found.get(name) for name in HEADERS} == HEADERS
    assert found["cache-control"] == ("no-cache" if path.startswith("/static") else "no-store")
    assert "server" not in found and "access-control-allow-origin" not in found
    policy = found["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy and "data:" not in policy


def test_nothing_is_inline_and_nothing_comes_from_elsewhere():
    for path in STATIC.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn|@import|url\(", text), path.name
        if path.suffix == ".html":
            assert " style=" not in text and not re.search(r" on\w+=", text), path.name
            assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text)), path.name
        if path.suffix == ".js":
            assert "innerHTML" not in text and "eval(" not in text, path.name


def test_own_names_of_this_machine_are_answered(attacked):
    for host in (
        f"127.0.0.1:{attacked.port}",
        f"localhost:{attacked.port}",
        "LOCALHOST",
        f"[::1]:{attacked.port}",
    ):
        assert attacked.ask("GET", "/api/people", Host=host).status == 200, host
    own = f"http://127.0.0.1:{attacked.port}"
    said = attacked.ask("POST", "/api/questions/77/reject", Origin=own, Sec_Fetch_Site="same-origin")
    assert said.status == 404
    assert attacked.ask("GET", "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate").status == 200


def test_too_large_a_body_is_refused_while_it_comes(site, monkeypatch):
    monkeypatch.setattr(security, "UPLOAD_BYTES", 100_000)
    parts = (b"x" * 50_000 for _ in range(1000))
    with socket.create_connection(("127.0.0.1", site.port), 20) as raw:
        raw.sendall(
            b"POST /api/identify HTTP/1.1\r\nHost: localhost\r\nX-Pdsn: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        sent = 0
        try:
            for part in parts:
                raw.sendall(b"%x\r\n%s\r\n" % (len(part), part))
                sent += len(part)
        except OSError:
            pass
        else:
            pytest.fail("fifty megabytes were taken")
    assert site.ask("GET", "/api/people").status == 200


def test_whoever_sends_slowly_is_cut_off(site, monkeypatch):
    monkeypatch.setattr(security, "BODY_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", site.port), 20) as raw:
        raw.sendall(
            b"POST /api/identify HTTP/1.1\r\nHost: localhost\r\nX-Pdsn: 1\r\nContent-Length: 1000\r\n\r\nx"
        )
        assert raw.recv(1000).startswith(b"HTTP/1.1 408")
    assert site.ask("GET", "/api/people").status == 200


def test_more_photos_than_places_are_told_to_come_again(site, photo, monkeypatch):
    started, go_on = threading.Event(), threading.Event()
    real = site.people.run.search

    def slow(*given):
        started.set()
        assert go_on.wait(20)
        return real(*given)

    monkeypatch.setattr(site.people.run, "search", slow)
    sent, answers = photo(1), []
    threads = [
        threading.Thread(target=lambda: answers.append(site.ask("POST", "/api/identify", sent).status))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    assert started.wait(20)
    while len(answers) < 4:
        threads[0].join(0.05)
    assert site.ask("GET", "/api/people").status == 200, "who only looks need not wait"
    refused = site.ask("POST", "/api/identify", sent)
    assert refused.status == 503 and refused.headers["retry-after"] == "5"
    go_on.set()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] * 8 + [503] * 4


def test_whoever_asks_too_often_waits(tmp_path, monkeypatch):
    monkeypatch.setattr(security, "REQUESTS", (0.01, 5.0))
    with serving(tmp_path) as site:
        answers = [site.ask("GET", "/api/people") for _ in range(7)]
    assert [said.status for said in answers] == [200] * 5 + [429] * 2
    assert answers[-1].headers["retry-after"] == "100"


def test_a_token_is_asked_for(guarded):
    assert guarded.ask("GET", "/api/people").status == 401
    assert guarded.ask("GET", "/openapi.json").status == 401
    assert guarded.ask("GET", "/static/app.js").status == 401
    front = guarded.ask("GET", "/")
    assert front.status == 303 and front.headers["location"] == "/login"
    assert guarded.ask("GET", "/login").status == 200
    assert guarded.ask("GET", "/api/people", Authorization=f"Bearer {TOKEN}").status == 200
    assert (
        guarded.ask("GET", "/api/people", Authorization=f"Bearer {TOKEN}", Host="faces.example").status == 200
    )
    assert guarded.ask("GET", "/api/people", Authorization=f"Basic {TOKEN}").status == 401
    without = guarded.ask("DELETE", "/api/people/9", X_Pdsn="", Authorization=f"Bearer {TOKEN}")
    assert without.status == 404, "the token stands for the header"


def test_a_browser_logs_in_and_out(guarded):
    form = {"Content_Type": "application/x-www-form-urlencoded", "X_Pdsn": ""}
    own = f"http://127.0.0.1:{guarded.port}"
    assert (
        guarded.ask("POST", "/login", f"token={TOKEN}".encode(), **form, Origin="http://evil.example").status
        == 403
    )
    assert (
        guarded.ask("POST", "/login", b"token=wrong", **form, Origin=own).headers["location"]
        == "/login#wrong"
    )
    said = guarded.ask("POST", "/login", f"token={TOKEN}".encode(), **form, Origin=own)
    assert (said.status, said.headers["location"]) == (303, "/")
    cookie = said.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and TOKEN not in cookie
    session = cookie.partition(";")[0]
    assert guarded.ask("GET", "/api/people", Cookie=session).status == 200
    assert guarded.ask("DELETE", "/api/people/9", Cookie=session, X_Pdsn="").status == 403, (
        "a form cannot send the header"
    )
    assert guarded.ask("DELETE", "/api/people/9", Cookie=session).status == 404
    assert guarded.ask("GET", "/api/people", Cookie="pdsn-session=" + "x" * 43).status == 401
    assert guarded.ask("POST", "/logout", Cookie=session).status == 204
    assert guarded.ask("GET", "/api/people", Cookie=session).status == 401
    assert TOKEN not in (guarded.folder / "audit.jsonl").read_text()


def test_whoever_guesses_waits_while_others_stay_in(guarded):
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    cookie = (
        guarded.ask("POST", "/login", f"token={TOKEN}".encode(), **form)
        .headers["set-cookie"]
        .partition(";")[0]
    )
    tried = [guarded.ask("GET", "/api/people", Authorization=f"Bearer guess{n}").status for n in range(7)]
    assert tried == [401] * 5 + [429] * 2 or tried == [401] * 4 + [429] * 3, tried
    assert guarded.ask("GET", "/api/people", Authorization=f"Bearer {TOKEN}").status == 429, (
        "the right one, too"
    )
    assert guarded.ask("POST", "/login", b"token=x", **form).headers["location"] == "/login#wait"
    assert guarded.ask("GET", "/api/people", Cookie=cookie).status == 200
    assert guarded.ask("GET", "/login").status == 200


def test_sessions_end(monkeypatch):
    login = Login(TOKEN)
    first = login.begin()
    assert login.has(first) and not login.has("") and login.knows(TOKEN) and not login.knows("ä")
    for _ in range(MOST_SESSIONS):
        last = login.begin()
    assert not login.has(first) and login.has(last)
    monkeypatch.setattr("pdsn.web.login.time.monotonic", lambda: 1e12)
    assert not login.has(last)


def test_token_files(tmp_path):
    path = tmp_path / "token"
    with pytest.raises(UsageError, match="No such file.*umask 077"):
        read_token(path)
    path.write_text("short\n")
    path.chmod(0o644)
    with pytest.raises(UsageError, match=f"can be read by others: `chmod 600 {re.escape(str(path))}`"):
        read_token(path)
    path.chmod(0o600)
    for bad in ("short\n", f"{TOKEN} and more", f"{TOKEN}\n{TOKEN}", "ä" * 30):
        path.write_text(bad, encoding="utf-8")
        with pytest.raises(UsageError, match="holds no token of 20 letters or more"):
            read_token(path)
    path.write_text(f"{TOKEN}\n")
    assert read_token(path) == TOKEN


def test_other_machines_need_a_token(tmp_path):
    for host in ("127.0.0.1", "::1", "localhost"):
        check_host(host, None)
    for host in ("0.0.0.0", "::", "192.168.1.5", "faces.example"):
        with pytest.raises(UsageError, match=r"needs a token: .*add --token-file token"):
            check_host(host, None)
        check_host(host, tmp_path / "token")


def test_a_port_that_is_taken_is_one_line():
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert url_of(first, "127.0.0.1", secure=False) == f"http://127.0.0.1:{port}/"
        assert url_of(first, "0.0.0.0", secure=True) == f"https://{socket.gethostname()}:{port}/"
        with pytest.raises(UsageError, match=f"--port {port} cannot be used .*--port 0 for any free one"):
            listen("127.0.0.1", port)
    with pytest.raises(UsageError, match=r"--host 203\.0\.113\.7"):
        listen("203.0.113.7", 0)
    with pytest.raises(UsageError, match="is no address of this machine"):
        listen("no-such-host.invalid", 0)
