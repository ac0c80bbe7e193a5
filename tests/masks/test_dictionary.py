from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pdsn.errors import PdsnError
from pdsn.masks.dictionary import MaskDictionary, binarise, mean_mask, normalise
from pdsn.occlusion.layouts import Box, Layout

STRATEGY = Layout("LM2", (8, 6), {"top": Box(0, 0, 4, 6), "bottom": Box(4, 0, 8, 6)}, {"top": (0, 1)})


def dictionary(base: str = "abc") -> MaskDictionary:
    mean = torch.rand(2, 3, 4, 3, generator=torch.Generator().manual_seed(0))
    return MaskDictionary(STRATEGY, mean, mean > 0.3, base)


def test_normalisation_is_per_pair_over_all_values():
    masks = torch.tensor([[[[1.0, 3.0]], [[2.0, 5.0]]], [[[10.0, 10.0]], [[30.0, 20.0]]]])
    expected = torch.tensor([[[[0.0, 0.5]], [[0.25, 1.0]]], [[[0.0, 0.0]], [[1.0, 0.5]]]])
    torch.testing.assert_close(normalise(masks), expected)


def test_a_constant_mask_ranks_nothing_below_another():
    assert normalise(torch.full((1, 2, 2, 2), 0.4)).eq(1).all()


def test_mean_mask_does_not_depend_on_the_batches():
    masks = torch.rand(10, 4, 3, 2, generator=torch.Generator().manual_seed(1))
    expected = torch.stack([(m - m.min()) / (m.max() - m.min()) for m in masks]).mean(0)
    torch.testing.assert_close(mean_mask([masks]), expected)
    torch.testing.assert_close(mean_mask(masks.split(3)), expected)


@pytest.mark.parametrize("percentile", [0, 20, 25, 30, 50, 99])
def test_binarisation_drops_the_share_of_the_percentile(percentile):
    mean = torch.rand(512, 4, 3, generator=torch.Generator().manual_seed(2))
    kept = binarise(mean, percentile)
    assert kept.float().mean() == pytest.approx(1 - percentile / 100, abs=1e-3)
    # Equation 4: a feature is kept exactly if it lies above delta.
    delta = np.percentile(mean.double().numpy(), percentile)
    assert torch.equal(kept, mean.double() > delta)


def test_ties_at_delta_are_dropped():
    assert binarise(torch.tensor([[[0.0, 0.0, 0.0, 1.0]]]), 50).flatten().tolist() == [
        False,
        False,
        False,
        True,
    ]


def test_a_mask_never_drops_everything():
    # Most features are never changed by the occlusion: the percentile is the highest value itself.
    mean = torch.tensor([[[0.2, 1.0, 1.0, 1.0]]])
    assert binarise(mean, 30).flatten().tolist() == [False, True, True, True]
    assert binarise(torch.ones(2, 2, 2), 30).all()


def test_combining_is_the_and_of_the_occluded_regions_masks():
    made = dictionary()
    assert made.combine(torch.tensor([False, False])).all()
    assert torch.equal(made.combine(torch.tensor([False, True])), made.binary[1])
    assert torch.equal(made.combine(torch.tensor([True, True])), made.binary[0] & made.binary[1])


def load(path: Path, base: str = "abc", layout: Layout | None = None) -> MaskDictionary:
    now = layout or dictionary().layout
    return MaskDictionary.load(path, base=base, regions_now=lambda name: now, remake="pdsn x")


def test_round_trip(tmp_path):
    made = dictionary()
    made.save(tmp_path / "LM2.safetensors")
    found = load(tmp_path / "LM2.safetensors")
    assert found.layout == made.layout and found.base == "abc"
    assert torch.equal(found.binary, made.binary) and torch.equal(found.mean, made.mean)


def test_a_dictionary_of_another_base_says_what_rebuilds_it(tmp_path):
    dictionary().save(tmp_path / "LM2.safetensors")
    with pytest.raises(
        PdsnError, match=r"LM2\.safetensors belongs to another base: rebuild it with `pdsn x`"
    ):
        load(tmp_path / "LM2.safetensors", base="other")


def test_a_dictionary_of_other_regions_says_what_rebuilds_it(tmp_path):
    made = dictionary()
    made.save(tmp_path / "LM2.safetensors")
    moved = replace(made.layout, regions={name: Box(0, 0, 1, 2) for name in made.layout.regions})
    with pytest.raises(PdsnError, match="was built for other regions: rebuild it with `pdsn x`"):
        load(tmp_path / "LM2.safetensors", layout=moved)


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", None])
def test_a_damaged_or_missing_dictionary_is_one_line(tmp_path, content):
    path = tmp_path / "LM2.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PdsnError, match="`pdsn x`") as error:
        load(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_kept_share_per_cell():
    binary = torch.zeros(1, 4, 1, 2, dtype=torch.bool)
    binary[0, :3, 0, 0] = True
    made = MaskDictionary(Layout("x", (2, 2), {"a": Box(0, 0, 1, 1)}, {}), binary.float(), binary, "b")
    assert made.kept_share().tolist() == [[[0.75, 0.0]]]


def test_the_percentile_is_the_papers_for_the_layout_unless_one_is_asked_for():
    from pdsn.masks.dictionary import percentile_of

    bands = Layout("LM2", (64, 48), {"top": Box(0, 0, 40, 48)}, {})
    grid = Layout("grid3x3", (64, 48), {"top": Box(0, 0, 40, 48)}, {})
    assert [percentile_of(layout, -1.0) for layout in (bands, grid)] == [30, 25]
    assert [percentile_of(layout, 60.0) for layout in (bands, grid)] == [60, 60]
