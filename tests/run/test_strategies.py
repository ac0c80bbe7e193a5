"""Which dictionary a new photo is compared by."""

import pytest

from pdsn.errors import PdsnError, UsageError
from pdsn.masks.settings import DictionaryConfig
from pdsn.run.directory import RunDir
from pdsn.run.strategies import choose_strategy

PLAIN, GEOMETRIC = DictionaryConfig(), DictionaryConfig(preferred="geometric")


@pytest.mark.parametrize(
    ("built", "config", "chosen"),
    [
        (["LM1", "LM2", "geometric", "matched"], PLAIN, "matched"),
        (["LM1", "LM2", "geometric"], PLAIN, "LM2"),
        (["LM1", "LM2", "geometric", "matched"], GEOMETRIC, "geometric"),
        (["LM2", "matched"], GEOMETRIC, "matched"),
        (["LM1"], GEOMETRIC, "LM1"),
    ],
)
def test_the_preferred_one_of_those_that_are_there(tmp_path, built, config, chosen):
    run = RunDir(tmp_path)
    for name in built:
        run.dictionary(name).parent.mkdir(exist_ok=True)
        run.dictionary(name).touch()
    assert choose_strategy(run, None, config) == chosen
    assert choose_strategy(run, built[0], config) == built[0]


def test_none_or_several_others_leave_no_choice(tmp_path):
    run = RunDir(tmp_path)
    with pytest.raises(PdsnError, match="has no mask dictionary"):
        choose_strategy(run, None, PLAIN)
    for name in ("LM1", "random"):
        run.dictionary(name).parent.mkdir(exist_ok=True)
        run.dictionary(name).touch()
    with pytest.raises(UsageError, match="choose --strategy LM1 or random"):
        choose_strategy(run, None, GEOMETRIC)


def test_what_is_preferred_must_be_built():
    with pytest.raises(
        UsageError, match=r"\[dictionary\] preferred = LM3 is none of \[dictionary\] strategies \(grid3x3, "
    ):
        DictionaryConfig(preferred="LM3")
