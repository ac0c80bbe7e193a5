"""What the READMEs name exists: commands, options, presets, files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from pdsn.bases.table import BASES
from pdsn.config.layers import presets
from stages.cli import app

ROOT = Path(__file__).parent.parent
READMES = [
    ROOT / name
    for name in ("README.md", *(f"{part}/README.md" for part in ("stages", "pdsn", "assets", "tests")))
]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def commands(text: str) -> list[list[str]]:
    """The words of every `pdsn …` in code, of blocks and of lines."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    lines = [line.split(" && ")[-1] for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(pdsn [^`]*)`", text)
    found = [shlex.split(line, comments=True) for line in lines if line.strip().startswith("pdsn ")]
    return [[word for word in words[1:] if word != "…"] for words in found]


def options_of(words: list[str]) -> set[str]:
    """Every option of a command, those of plug-ins, too; of a group's command it is the second word that tells."""
    command = COMMANDS[words[0]]
    if hasattr(command, "commands"):
        command = command.commands[words[1]]
    with command.make_context(words[0], [], resilient_parsing=True) as context:
        return {flag for one in command.get_params(context) for flag in (*one.opts, *one.secondary_opts)}


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_options_and_presets_exist(path):
    for words in commands(path.read_text()):
        if words[0].isupper() or words[0].startswith(
            "--"
        ):  # `pdsn COMMAND --help`, `pdsn --install-completion`
            continue
        assert words[0] in COMMANDS, words
        for place, word in enumerate(words):
            if word.startswith("--") and word != "--help":
                assert word in options_of(words), words
            if word == "--preset":
                assert words[place + 1] in presets(), words
            if word == "--base":
                assert words[place + 1] in BASES, words


def test_the_readmes_name_commands_at_all():
    assert len(commands((ROOT / "README.md").read_text())) >= 10
    assert set(COMMANDS) <= {words[0] for words in commands((ROOT / "stages/README.md").read_text())}


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def test_rooms_and_files_of_the_house_exist():
    text = (ROOT / "pdsn/README.md").read_text()
    for name in re.findall(r"^\| ((?:`[\w./]+` ?)+)\|", text, re.M):
        for part in re.findall(r"`([\w./]+)`", name):
            assert (ROOT / "pdsn" / part).exists() or (ROOT / "pdsn" / f"{part}.py").exists(), part
    for part in re.findall(r"`((?:\w+/)+\w+\.py)`", text):
        assert (ROOT / "pdsn" / part).exists() or (ROOT / part).exists(), part


def test_presets_are_all_described():
    text = (ROOT / "stages/README.md").read_text()
    assert all(f"`{name}`" in text for name in presets())
