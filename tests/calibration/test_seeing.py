"""Strangers are looked at once, look by look, and a call that was stopped goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pdsn.calibration import seeing
from pdsn.calibration.impostors import seen_by
from pdsn.calibration.seeing import see_strangers
from pdsn.calibration.strangers import LOOKS, Strangers
from pdsn.data.template import template
from pdsn.occlusion.layouts import Box, Layout
from tests.matchers.pixels import Pixels

SIZE, COUNT = (8, 6), 20
HALVES = Layout("LM2", SIZE, {"top": Box(0, 0, 4, 6), "bottom": Box(4, 0, 8, 6)}, {})
FACES = torch.randint(
    0, 256, (COUNT, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
)
STRANGERS = Strangers(
    FACES, [f"s{n}" for n in range(COUNT)], np.tile(template(SIZE).astype(np.float32), (COUNT, 1, 1))
)
FEW = LOOKS[:3]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeing, "PART", 8)


class Dark:
    """Finds dark pixels, and counts the faces; stops as by Ctrl-C after so many."""

    def __init__(self, stop: int = 10**6) -> None:
        self.faces, self.stop = 0, stop

    def __call__(self, faces: Tensor) -> Tensor:
        if self.faces + len(faces) > self.stop:
            raise KeyboardInterrupt
        self.faces += len(faces)
        return (faces < 100).all(1)


def see(path: Path, cover: Dark, told: list[tuple[int, int]] | None = None):
    on_progress = None if told is None else lambda *step: told.append(step)
    return see_strangers(path, Pixels(HALVES), lambda: STRANGERS, cover, FEW, on_progress)


def test_strangers_are_seen_in_parts_as_at_once(tmp_path):
    told: list[tuple[int, int]] = []
    seen = see(tmp_path / "seen.safetensors", Dark(), told)
    at_once = seen_by(Pixels(HALVES), STRANGERS, Dark(), FEW)
    assert seen.looks == at_once.looks == FEW and seen.prepared.signatures == at_once.prepared.signatures
    for name, tensor in at_once.prepared.kept().items():
        assert torch.equal(seen.prepared.kept()[name], tensor)
    done = [step for step, total in told if total == 3 * COUNT]
    steps = (8, 16, COUNT)
    assert len(done) == len(told) and done == [look * COUNT + step for look in range(3) for step in steps]


def test_they_are_looked_at_once_alone(tmp_path):
    path, told = tmp_path / "seen.safetensors", []
    first = see(path, Dark())
    again = see_strangers(path, Pixels(HALVES), pytest.fail, Dark(0), FEW, lambda *step: told.append(step))
    assert told == [] and again.prepared.signatures == first.prepared.signatures
    assert list(tmp_path.iterdir()) == [path]


def test_a_call_that_was_stopped_goes_on_at_its_look(tmp_path):
    path = tmp_path / "seen.safetensors"
    with pytest.raises(KeyboardInterrupt):
        see(path, Dark(COUNT + 9))
    assert not path.exists()
    told: list[tuple[int, int]] = []
    second = Dark()
    seen = see(path, second, told)
    assert second.faces == 2 * COUNT and (COUNT, 3 * COUNT) in told
    whole = see(tmp_path / "other.safetensors", Dark())
    assert all(
        torch.equal(seen.prepared.kept()[name], tensor) for name, tensor in whole.prepared.kept().items()
    )
    assert sorted(one.name for one in tmp_path.iterdir()) == ["other.safetensors", "seen.safetensors"]


def test_a_damaged_part_is_looked_at_anew(tmp_path):
    path = tmp_path / "seen.safetensors"
    with pytest.raises(KeyboardInterrupt):
        see(path, Dark(COUNT))
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(b"damaged")
    cover = Dark()
    see(path, cover)
    assert cover.faces == 3 * COUNT


def test_where_nothing_can_be_written_they_are_seen_all_the_same(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert len(see(tmp_path / "file/seen.safetensors", Dark()).prepared) == 3 * COUNT
