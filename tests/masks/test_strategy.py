"""A strategy's name says a maker and a layout, and its shortest name is what files are called."""

import pytest

from pdsn.masks.makers import MAKERS
from pdsn.masks.strategy import Strategy, parse
from pdsn.occlusion.layouts import LAYOUTS


@pytest.mark.parametrize(
    ("text", "maker", "layout", "shortest"),
    [
        ("LM2", "generators", "LM2", "LM2"),
        ("generators@LM2", "generators", "LM2", "LM2"),
        ("grid3x3", "generators", "grid3x3", "grid3x3"),
        ("generators", "generators", "LM2", "LM2"),
        ("matched", "matched", "LM2", "matched"),
        ("matched@LM2", "matched", "LM2", "matched"),
        ("matched@grid3x3", "matched", "grid3x3", "matched@grid3x3"),
        ("geometric@LM2-split", "geometric", "LM2-split", "geometric@LM2-split"),
    ],
)
def test_a_name_says_maker_and_layout(text, maker, layout, shortest):
    found = parse(text, "LM2", MAKERS, LAYOUTS)
    assert found == Strategy(maker, layout)
    assert found.name("LM2") == shortest
    assert parse(shortest, "LM2", MAKERS, LAYOUTS) == found


def test_a_maker_alone_takes_the_layout_that_is_the_default():
    assert parse("matched", "LM1", MAKERS, LAYOUTS) == Strategy("matched", "LM1")
    assert Strategy("matched", "LM2").name("LM1") == "matched@LM2"


@pytest.mark.parametrize(
    "text", ["", "LM3", "@", "LM2@LM2", "matched@", "@LM2", "matched@LM3", "machted@LM2"]
)
def test_what_says_none_is_none(text):
    assert parse(text, "LM2", MAKERS, LAYOUTS) is None
