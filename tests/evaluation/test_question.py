"""Names of what a table was asked for."""

from __future__ import annotations

import pytest

from pdsn.evaluation.question import LONGEST, name_of

OWN = {
    "occlusions": ["clean", "eyes"], "source": "segmenter", "mirror": True, "unmasked": 0.0, "draws": 1,
    "split_by": "photo", "strategies": ["LM2", "matched"], "seed": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({}, ""),
        ({"draws": 5}, "draws=5"),
        ({"strategies": ["LM2"], "draws": 5}, "draws=5_strategy=LM2"),
        ({"occlusions": ["nose+mouth+chin", "block:LM2/eyes"]}, "occlusion=nose+mouth+chin,block-LM2-eyes"),
        ({"strategies": [], "mirror": False}, "mirror=no_strategy=none"),
        ({"source": "oracle", "unmasked": 0.25}, "occlusion-source=oracle_unmasked=0.25"),
    ],
)
def test_a_name_tells_what_differs_from_the_runs_own_question(asked, name):
    assert name_of({**OWN, **asked}, OWN) == name
    # Another seed of the same run has the same name for it.
    assert name_of({**OWN, **asked, "seed": 3}, {**OWN, "seed": 3}) == name


def test_a_long_name_is_cut_and_still_another_one():
    many = [f"block:LM2-split/region{n}" for n in range(20)]
    names = {name_of({**OWN, "occlusions": many[:count]}, OWN) for count in range(1, 21)}
    assert len(names) == 20 and max(map(len, names)) <= LONGEST
    assert all(name.startswith("occlusion=block-LM2-split-region0") for name in names)
