"""Every maker keeps the contract on every layout: it learns what it says, and its dictionary masks that layout's regions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pdsn.masks.makers import MAKERS
from pdsn.occlusion.layouts import LAYOUTS
from stages import base_train, build_dictionary, mask_train
from stages.session import Session, Shared
from tests.conftest import SIZE, make_dataset

SETTINGS = """
[base]
arch = "resnet18"
width = 8
embedding = 16
epochs = 1
batch = 16
[masks]
epochs = 1
batch = 16
[matching]
steps = 4
batch = 16
draws = 1
validations = 1
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a base."""
    folder = tmp_path_factory.mktemp("makers")
    make_dataset(folder / "data", people=4, photos=10, size=SIZE)
    (folder / "settings.toml").write_text(SETTINGS)
    base_train.main(session_of(folder))
    return folder


def session_of(folder: Path) -> Session:
    """The run, opened."""
    shared = Shared(folder / "run", data=str(folder / "data"), config=folder / "settings.toml", device="cpu")
    return Session(shared, {})


def test_each_is_named_and_described():
    assert all(name == maker.name and maker.help for name, maker in MAKERS.items())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("maker", MAKERS)
def test_its_dictionary_masks_the_layouts_regions(run, maker, layout):
    session = session_of(run)
    [name] = session.strategy_names([f"{maker}@{layout}"])
    if MAKERS[maker].learns:
        mask_train.main(session, [name])
        assert all((folder / "model.safetensors").is_file() for folder in session.mask_folders(name))
    assert bool(session.mask_folders(name)) == MAKERS[maker].learns
    build_dictionary.main(session, [name])
    made = session.dictionary(name, session.base_folder.sha256())
    shape = session.base()[0].net.map_shape
    assert made.layout == session.regions_of(name) and made.layout.name == layout
    regions = len(made.layout.regions)
    assert made.mean.shape == (regions, *shape) and made.binary.shape == (regions, *shape)
    assert made.mean.min() >= 0 and made.mean.max() <= 1 and made.soft == MAKERS[maker].soft
    assert made.binary.flatten(1).any(1).all(), "a mask that drops everything tells nobody apart"
    nothing, everything = torch.zeros(regions, dtype=torch.bool), torch.ones(regions, dtype=torch.bool)
    assert (made.combine(nothing) == 1).all()
    masks = made.masks
    whole = masks.prod(0) if made.soft else masks.all(0)
    assert torch.equal(made.combine(everything), whole)
    assert not torch.equal(made.combine(everything).float(), made.combine(nothing).float())


def test_a_control_has_nothing_to_train(run):
    from pdsn.errors import UsageError

    with pytest.raises(
        UsageError, match="geometric@LM1 is a control .* `pdsn build-dictionary --strategy geometric@LM1"
    ):
        mask_train.main(session_of(run), ["geometric@LM1"])
