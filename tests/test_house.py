"""The house: rooms stand in one order, and nothing imports in a circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = (
    "errors", "files", "progress", "artefact", "metrics", "fonts", "pictures", "plugin", "config", "runtime", "data", "drawn",
    "occlusion", "networks", "training", "coverage", "detection", "bases", "masks", "matchers", "calibration", "evaluation", "people",
    "store", "explain", "report", "run", "deploy", "api", "web",
)  # fmt: skip
"""From the ground up: a room imports from those before it."""
UPWARD: dict[tuple[str, str], str] = {}
"""Imports that point upwards, each with its reason; two at most."""


def modules() -> dict[str, Path]:
    """Every module of the package, by name."""
    found = {}
    for path in sorted((ROOT / "pdsn").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules of the package that a file imports, within functions too, but not for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in for_types:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in known or node.module in known:
                    yield full if full in known else node.module


def room(module: str) -> str:
    """The room of a module: "data" of `pdsn.data.faces`."""
    return module.split(".")[1] if "." in module else ""


def arrows() -> list[tuple[str, str]]:
    """(module, imported module) of the whole package."""
    known = modules()
    return [(name, other) for name, path in known.items() for other in imported(path, known) if other != name]


def test_every_room_has_its_place():
    assert {room(name) for name in modules()} - {"", "__main__"} == set(ROOMS)


def test_a_room_imports_from_those_below_it():
    upward = {
        (name, other)
        for name, other in arrows()
        if room(name) in ROOMS and room(other) in ROOMS and ROOMS.index(room(other)) > ROOMS.index(room(name))
    }
    assert upward == set(UPWARD)
    assert len(UPWARD) <= 2 and all(UPWARD.values())


@pytest.mark.parametrize("of", ["files", "rooms"])
def test_nothing_imports_in_a_circle(of):
    graph: dict[str, set[str]] = {}
    for name, other in arrows():
        a, b = (name, other) if of == "files" else (room(name), room(other))
        if a != b and a and b:
            graph.setdefault(a, set()).add(b)
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_the_library_does_not_know_the_command_line():
    for name, path in modules().items():
        if name != "pdsn.__main__":
            assert "stages" not in {
                (node.module or "").split(".")[0]
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.ImportFrom)
            }, name


def test_help_waits_for_no_network():
    program = "import sys; from stages.cli import app\ntry: app(['--help'])\nexcept SystemExit: pass\nprint('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "identify" in done.stdout and done.stdout.endswith("False\n")
