"""A finished tiny run, made once by `pdsn run` itself, and a way to give commands."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pdsn.data.dataset import FaceDataset
from stages.cli import app

TINY = """
[synthetic]
people = 6
photos = 14
size = [64, 48]
[base]
arch = "resnet18"
width = 8
embedding = 32
epochs = 3
batch = 16
validate_every = 3
[masks]
epochs = 2
batch = 16
[dictionary]
strategies = ["LM2", "matched", "random", "geometric", "difference", "relative"]
[matching]
steps = 8
batch = 16
draws = 1
validations = 2
[segment]
encoder = "resnet18"
height = 32
steps = 4
batch = 4
validations = 1
[eval]
bootstrap = 200
"""


@dataclass
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


def give(*words: object, columns: int = 200) -> Said:
    """Give a command in this process, on a terminal of so many columns."""
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": str(columns)})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def stop_at(monkeypatch: pytest.MonkeyPatch, function: str, call: int = 1) -> None:
    """Have a function stop as by Ctrl-C at one of its calls, "package.module.function"."""
    module, _, name = function.rpartition(".")
    owner = importlib.import_module(module)
    real, calls = getattr(owner, name), 0

    def stopping(*words, **more):
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt
        return real(*words, **more)

    monkeypatch.setattr(owner, name, stopping)


def table_of(said: Said) -> Path:
    """The folder that `eval` says its table went to."""
    (line,) = (line for line in said.out.splitlines() if line.startswith("table, "))
    return Path(line.partition(": ")[2])


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration file that makes everything small."""
    path = tmp_path_factory.mktemp("config") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def few(tiny: Path) -> Path:
    """The tiny configuration with a table of two occlusions."""
    path = tiny.with_name("few.toml")
    path.write_text(tiny.read_text().replace("[eval]", '[eval]\nocclusions = ["eyes", "sunglasses"]'))
    return path


@pytest.fixture(scope="session")
def finished(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a finished run; tests must not change it."""
    root = tmp_path_factory.mktemp("runs") / "finished"
    said = give("run", "--run", root, "--config", tiny, "--device", "cpu", "--precision", "fp32")
    assert said.code == 0, said.err
    return root


@pytest.fixture(scope="module")
def people(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished run that the tests of a module share, its pictures and maps included."""
    return Path(shutil.copytree(finished, tmp_path_factory.mktemp("people") / "run"))


@pytest.fixture(scope="module")
def drawn(people: Path) -> FaceDataset:
    """The data set of that run."""
    return FaceDataset.load(people / "data")


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run to change at will."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def refused() -> Callable[..., str]:
    """Give a command that must fail with one line and the exit code; returns the line."""

    def check(code: int, *words: object) -> str:
        said = give(*words)
        assert said.code == code, (said.code, said.err)
        lines = [line for line in said.err.splitlines() if line.startswith("pdsn")]
        assert len(lines) == 1, said.err
        assert "Traceback" not in said.err + said.out
        return lines[0]

    return check
