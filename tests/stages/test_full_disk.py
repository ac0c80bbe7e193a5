"""A disk that is full in the middle of a command: one line, exit code 1, nothing stray, nothing lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from tests.full_disk import FULL, full_disk
from tests.stages.conftest import give
from tests.stages.test_bad_input import snapshot

LIMIT = 30_000
"""Bytes: run.json and the figures fit, arrays and weights do not."""
COMMON = ("--device", "cpu", "--precision", "fp32")


def kept(root: Path) -> dict[Path, bytes]:
    """The artefacts of a folder: what is there but the note of each command, and what `--force` trains anew."""
    return {path: content for path, content in snapshot(root).items() if path.name != "run.json"}


def strays(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("command", "without", "file"),
    [
        (["mask-train", "--strategy", "matched"], ["cache", "masks/matched"], "cache/clean-train.npy"),
        (["build-dictionary", "--strategy", "difference"], ["cache"], "cache/clean-train.npy"),
        (["build-dictionary", "--strategy", "LM2"], [], "dictionary/LM2.png"),
        (["base-train"], ["base"], "base/last.pt"),
        (["segment-train"], ["segmenter"], "segmenter/last.pt"),
        (["eval", "--occlusion", "eyes"], [], "eval/asked/occlusion=eyes/.draft/figures/probes-eyes.png"),
    ],
)
def test_one_line_names_the_file_and_the_same_command_goes_on(refused, copied, tiny, command, without, file):
    for folder in without:
        shutil.rmtree(copied / folder)
    before = kept(copied)
    with full_disk(LIMIT):
        line = refused(1, *command, "--run", copied, *COMMON)
    assert f"{copied / file}: {FULL}; free space" in line
    after = kept(copied)
    assert {path: after.get(path) for path in before} == before and strays(copied) == []
    said = give(*command, "--run", copied, *COMMON)  # the advice: there is space again
    assert said.code == 0, said.err


def test_a_data_set_that_cannot_be_replaced_stays(refused, tmp_path):
    portrait = data.astronaut()[:260, 90:350]
    for person in ("Ann", "Bea"):
        (tmp_path / "photos" / person).mkdir(parents=True)
        for number in range(3):
            pixels = np.roll(portrait, 3 * number, 1) if person == "Ann" else portrait[number:, :, ::-1]
            Image.fromarray(pixels).save(tmp_path / "photos" / person / f"{number}.png")
    words = ("prepare", tmp_path / "photos", "--data", tmp_path / "set", "--min-photos", "3")
    with full_disk(LIMIT):
        line = refused(1, *words, "--size", "64x48")
    assert f"{tmp_path / 'set'} cannot be written ({FULL})" in line
    assert strays(tmp_path) == []
    assert give(*words, "--size", "64x48").code == 0
    before = snapshot(tmp_path)
    with full_disk(LIMIT):
        refused(1, *words, "--size", "128x96", "--force")
    after = snapshot(tmp_path)
    assert {path: after.get(path) for path in before} == before
    assert "is there already" in give(*words, "--size", "64x48").out
