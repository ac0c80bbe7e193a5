"""`pdsn serve` as it is typed: a process that listens, is killed, and leaves a clean store."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdsn.drawn.dataset import draw_people, photo_of
from tests.stages.conftest import give

ROOT = Path(__file__).parents[2]
COMMON = ("--device", "cpu", "--precision", "fp32", "--occlusion-source", "none")
PEOPLE = list(draw_people(3, seed=7))
KILLS = int(os.environ.get("PDSN_KILLS", "3"))
"""How often the server is killed: each time takes some eight seconds."""


def portrait(path: Path, person: int, photo: int) -> bytes:
    """The content of a photo of a drawn person that the detector finds."""
    face, _ = photo_of(PEOPLE[person], person, photo, (256, 192), 7)
    pixels = np.full((400, 400, 3), 120, np.uint8)
    pixels[72:328, 104:296] = face
    Image.fromarray(pixels).save(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def run(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished run that the tests of this module share."""
    return Path(shutil.copytree(finished, tmp_path_factory.mktemp("serve") / "run"))


@contextmanager
def server(run: Path, store: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and its address."""
    words = ["serve", "--people", store, "--run", run, "--port", "0", *COMMON]
    process = subprocess.Popen(
        [sys.executable, "-m", "pdsn", *map(str, words)],
        cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if found := re.match(r"(http://127\.0\.0\.1:\d+)/", line):
                break
        else:
            pytest.fail(process.stderr.read())
        yield process, found[1]
    finally:
        process.kill()
        process.communicate()


def ask(address: str, path: str, photo: bytes | None = None, method: str | None = None) -> dict:
    request = urllib.request.Request(address + path, photo, {"X-Pdsn": "1"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_it_enrols_recognises_and_stops(run, tmp_path):
    store = tmp_path / "team"
    with server(run, store) as (process, address):
        for person, name in enumerate(("Ann", "Ben")):
            done = ask(address, f"/api/photos?name={name}", portrait(tmp_path / "p.png", person, 0))
            assert (done["outcome"], done["person"]["name"]) == ("added", name), done
        (face,) = ask(address, "/api/identify?ask=true&fpr=0.5", portrait(tmp_path / "p.png", 0, 0))["faces"]
        assert face["nearest"][0]["name"] == "Ann" and face["cosine"] > 0.99 and len(face["nearest"]) == 2
        said = give("serve", "--people", store, "--run", run, "--port", address.rpartition(":")[2], *COMMON)
        assert said.code == 2 and "--port 0 for any free one" in said.err
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and out.endswith("stopped\n"), err
    assert [line.split()[0] for line in err.splitlines()] == ["note:", "strangers,"], (
        "drawn people, and the bar"
    )
    assert give("people", "check", "--people", store).code == 0


def test_what_is_wrong_is_one_line(run, tmp_path, refused):
    common = ("serve", "--people", tmp_path / "team", "--run", run, "--port", 0)
    line = refused(2, *common, "--host", "0.0.0.0")
    command = re.search(r"`(\(umask.*\))`", line)[1].replace("python ", f"{sys.executable} ")
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600 and len((tmp_path / "token").read_text()) > 40
    refused(2, *common, "--token-file", tmp_path / "nothing")
    assert "go together" in refused(2, *common, "--key", tmp_path / "token")
    assert "in PEM" in refused(2, *common, "--key", tmp_path / "token", "--certificate", tmp_path / "token")
    assert not (tmp_path / "team").exists()


def test_without_the_extra_a_line_names_it(run, tmp_path, refused, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("pdsn.web")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert 'pip install "pdsn[serve]"' in refused(1, "serve", "--people", tmp_path / "team", "--run", run)


@pytest.mark.slow
def test_killed_again_and_again_while_it_enrols_and_removes_nobody_is_lost(run, tmp_path):
    store = tmp_path / "team"
    known: dict[int, str] = {}
    rng = np.random.default_rng(0)
    number = 0
    for _ in range(KILLS):
        with server(run, store) as (process, address):
            found = {one["id"]: one["name"] for one in ask(address, "/api/people")["people"]}
            assert known.items() <= found.items(), "whoever was said to be enrolled is there"
            known = found
            killing = threading.Timer(rng.uniform(0.3, 2.5), process.kill)
            killing.start()
            with suppress(OSError, json.JSONDecodeError):
                while process.poll() is None:
                    number += 1
                    photo = portrait(tmp_path / "p.png", number % 3, number)
                    done = ask(address, f"/api/photos?name=p{number}&accept_poor=true", photo)
                    known[done["person"]["id"]] = done["person"]["name"]
                    ask(address, "/api/identify?ask=true", photo)
                    if len(known) > 3:
                        first = min(known)
                        known.pop(first)  # from here on it may be gone
                        ask(address, f"/api/people/{first}", method="DELETE")
            killing.join()
            process.wait()
        said = give("people", "check", "--people", store)
        assert said.code == 0, (said.out, said.err)
    assert number > KILLS
    with server(run, store) as (_, address):
        assert ask(address, "/api/status")["questions"] >= 0
