import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pdsn.coverage.segmenter import Segmenter, load_segmenter, make_net, segmenter_folder
from pdsn.coverage.settings import SegmentConfig
from pdsn.coverage.training import SegmentationLoss, train_segmenter
from pdsn.coverage.trunk import TrunkSegmentationNet, levels, tapped, taps
from pdsn.errors import PdsnError, UsageError
from pdsn.networks.backbone import FaceNet, freeze
from pdsn.networks.branches import TwoBranches, branch
from pdsn.networks.imported.net import PretrainedNet
from pdsn.networks.imported.table import ARCHITECTURES
from pdsn.networks.ir import IRNet
from pdsn.networks.senet import SENet50
from pdsn.networks.vit import ViTNet
from pdsn.occlusion.layouts import LandmarkStatistics, make_layout
from pdsn.runtime import start
from tests.networks.imported.tiny import architecture

SIZE = (64, 48)
CONFIG = SegmentConfig(encoder="base", occlusions="varied", touched=0.02, steps=4, batch=4, validations=2)


def two_branches():
    return TwoBranches(FaceNet(SIZE, "resnet18", 8), FaceNet(SIZE, "resnet18", 8))


BASES = {
    "standard": lambda: FaceNet(SIZE, "resnet18", 8),
    "fine": lambda: FaceNet(SIZE, "resnet18", 8, stem="fine", last_stride=1),
    "odd": lambda: FaceNet((65, 47), "resnet18", 8),
    "ir": lambda: IRNet(SIZE, width=8),
    "ir-se": lambda: IRNet(SIZE, attention="se", width=16, stem_stride=2),
    "ir-cbam": lambda: IRNet(SIZE, attention="cbam", width=16),
    "vit": lambda: ViTNet(SIZE, width=24, depth=2, heads=3, patch=16),
    "vit-fine": lambda: ViTNet(SIZE, width=24, depth=1, heads=2, patch=8),
    "mobilefacenet": lambda: PretrainedNet(ARCHITECTURES["mobilefacenet"]),
    "one convolution": lambda: PretrainedNet(architecture),
    "two branches": two_branches,
}
SCALES = {
    "standard": [(32, 24), (16, 12), (8, 6), (4, 3), (2, 2)],
    "fine": [(32, 24), (16, 12), (8, 6)],
    "odd": [(33, 24), (17, 12), (9, 6), (5, 3), (3, 2)],
    "ir": [(32, 24), (16, 12), (8, 6), (4, 3)],
    "ir-se": [(32, 24), (16, 12), (8, 6), (4, 3)],
    "ir-cbam": [(32, 24), (16, 12), (8, 6), (4, 3)],
    "vit": [(4, 3)],
    "vit-fine": [(8, 6)],
    "mobilefacenet": [(56, 48), (28, 24), (14, 12), (7, 6)],
    "one convolution": [(8, 6)],
    "two branches": [(32, 24), (16, 12), (8, 6), (4, 3), (2, 2)],
}
"""Sizes of the maps of each base, by its strides."""


def made(name: str, seed: int = 0):
    torch.manual_seed(seed)
    return BASES[name]()


def faces_of(net, count: int = 2, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, *net.size), dtype=torch.uint8, generator=generator)


def hooked(module: nn.Module) -> list[str]:
    return [name for name, one in module.named_modules() if one._forward_hooks or one._forward_pre_hooks]


@pytest.fixture(scope="module")
def accelerator():
    return start("cpu", "fp32")


@pytest.fixture(scope="module")
def base():
    net = made("standard")
    freeze(net)
    return net


@pytest.mark.parametrize("name", BASES)
def test_maps_are_tapped_once_at_each_scale_the_finest_first(name):
    trunk = branch(made(name), "probe").eval()
    names = list(taps(trunk))
    with torch.no_grad(), tapped(trunk, names) as maps:
        last = trunk.features(faces_of(trunk, 3))
    assert [tuple(one.shape[2:]) for one in maps] == SCALES[name], names
    assert all(len(one) == 3 for one in maps)
    assert tuple(last.shape[2:]) == SCALES[name][-1]
    assert not hooked(trunk)


def test_a_square_inside_a_base_is_tapped_as_it_is():
    # SENet50 stretches faces, and its attention has maps of a single cell, which are no scale.
    torch.manual_seed(0)
    net = SENet50(SIZE, side=64)
    names = list(taps(net))
    with torch.no_grad(), tapped(net.eval(), names) as maps:
        net.features(faces_of(net, 1))
    assert [tuple(one.shape[2:]) for one in maps] == [(32, 32), (16, 16), (8, 8), (4, 4), (2, 2)]


def test_what_is_tapped_is_what_the_modules_gave(base):
    outputs = {}
    handles = [
        getattr(base, name).register_forward_hook(
            lambda module, given, output, name=name: outputs.update({name: output.clone()})
        )
        for name in ("layer1", "layer3")
    ]
    with torch.no_grad(), tapped(base, ["layer1", "layer3"]) as maps:
        base.features(faces_of(base))
        first = [one.clone() for one in maps]
        assert torch.equal(first[0], outputs["layer1"]) and torch.equal(first[1], outputs["layer3"])
        base.features(faces_of(base, seed=1))
        assert torch.equal(maps[0], outputs["layer1"]) and not torch.equal(maps[0], first[0])
    with torch.no_grad(), tapped(base, ["layer3", "layer1"]) as maps:
        base.features(faces_of(base))
    assert torch.equal(maps[0], first[1]) and torch.equal(maps[1], first[0]), "in the order of the names"
    for handle in handles:
        handle.remove()


def test_an_error_in_the_trunk_leaves_no_hooks(base):
    net = TrunkSegmentationNet(base).eval()
    with pytest.raises(RuntimeError):
        net(torch.zeros(1, 5, *SIZE))
    assert not hooked(net)


@pytest.mark.parametrize(
    ("size", "coarsest", "wanted"),
    [
        ((64, 48), (8, 6), [(32, 24), (16, 12), (8, 6)]),
        ((65, 47), (3, 2), [(33, 24), (17, 12), (9, 6), (5, 3), (3, 2)]),
        ((112, 96), (7, 6), [(56, 48), (28, 24), (14, 12), (7, 6)]),
        ((160, 160), (3, 3), [(80, 80), (40, 40), (20, 20), (10, 10), (5, 5), (3, 3)]),
        ((64, 48), (60, 44), [(32, 24)]),
        ((32, 32), (1, 1), [(16, 16), (8, 8), (4, 4), (2, 2), (1, 1)]),
    ],
)
def test_levels_halve_the_photo_down_to_the_coarsest_map(size, coarsest, wanted):
    assert levels(size, coarsest) == wanted


@pytest.mark.parametrize("name", BASES)
def test_logits_have_the_size_of_the_faces_whatever_the_base(name):
    base = made(name)
    net = TrunkSegmentationNet(base).eval()
    faces = faces_of(base)
    with torch.inference_mode():
        logits = net(faces)
        alone = torch.cat([net(face[None]) for face in faces])
    assert logits.shape == (2, *base.size) and logits.dtype == torch.float32 and logits.isfinite().all()
    assert (logits[0] - logits[1]).abs().max() > 1e-4
    torch.testing.assert_close(alone, logits, rtol=1e-4, atol=1e-5)
    with torch.inference_mode():
        torch.testing.assert_close(net(faces.float()), logits)
    assert not hooked(net)


@pytest.mark.parametrize("name", BASES)
def test_training_moves_the_decoder_and_nothing_of_the_base(name):
    base = made(name)
    before = copy.deepcopy(base.state_dict())
    net = TrunkSegmentationNet(base)
    loss = SegmentationLoss(net).train()
    learned = {name: value.clone() for name, value in net.learned.named_parameters()}
    trainable = {name for name, value in loss.named_parameters() if value.requires_grad}
    assert trainable == {f"net.decoder.{name}" for name in learned}
    optimizer = torch.optim.AdamW([p for p in loss.parameters() if p.requires_grad], 1e-2, weight_decay=0.1)
    covered = (torch.rand(2, *base.size) < 0.5).float()
    for step in range(2):
        optimizer.zero_grad()
        loss(faces_of(base, seed=step).float(), covered)["loss"].backward()
        assert all(one.grad is not None and one.grad.isfinite().all() for one in net.learned.parameters())
        optimizer.step()
    assert all(one.grad is None for one in base.parameters())
    still = [name for name, value in net.learned.named_parameters() if torch.equal(value, learned[name])]
    assert not still, "every weight of the decoder takes part"
    after = base.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items()), (
        "BatchNorm's statistics too"
    )
    assert not any(module.training for module in net.trunk.modules())
    assert net.learned.training and not hooked(net)


def test_the_weights_are_the_decoders_alone(base):
    net = TrunkSegmentationNet(base)
    assert sum(p.numel() for p in net.learned.parameters()) < sum(p.numel() for p in net.parameters())
    own = {id(one) for one in base.parameters()}
    assert not own & {id(one) for one in net.learned.parameters()}
    assert own <= {id(one) for one in net.parameters()}


def test_the_probes_branch_is_looked_through():
    base = made("two branches")
    torch.manual_seed(1)
    net = TrunkSegmentationNet(base).eval()
    faces = faces_of(base)
    with torch.inference_mode():
        before = net(faces)
    with torch.no_grad():
        base.gallery.conv1.weight.mul_(-2)
    with torch.inference_mode():
        assert torch.equal(net(faces), before)
    with torch.no_grad():
        base.probe.conv1.weight.mul_(-2)
    with torch.inference_mode():
        assert not torch.allclose(net(faces), before)


@pytest.mark.parametrize("name", ["standard", "odd", "ir", "mobilefacenet"])
@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_an_answer_lies_where_the_pixels_are(name, corner):
    base = made(name)
    net = TrunkSegmentationNet(base).eval()
    faces = faces_of(base, 4)
    changed = faces.clone()

    def part(down, right, share):
        rows, columns = (length // share for length in base.size)
        top, left = (base.size[0] - rows) * down, (base.size[1] - columns) * right
        return slice(top, top + rows), slice(left, left + columns)

    rows, columns = part(*corner, 4)
    changed[:, :, rows, columns] = 255 - changed[:, :, rows, columns]
    with torch.inference_mode():
        moved = (net(changed) - net(faces)).abs().mean(0)
    near, far = moved[part(*corner, 4)].mean(), moved[part(1 - corner[0], 1 - corner[1], 2)].mean()
    assert near > 3 * far


def test_it_can_be_told_what_is_covered(base):
    # White below: a decoder that sees pixels learns that in a few steps.
    torch.manual_seed(0)
    net = TrunkSegmentationNet(base)
    loss = SegmentationLoss(net).train()
    optimizer = torch.optim.AdamW(net.learned.parameters(), 5e-3)
    rng = np.random.default_rng(0)
    for step in range(25):
        faces, covered = faces_of(base, 4, seed=step) // 2, torch.zeros(4, *SIZE)
        for face, mask in zip(faces, covered, strict=True):
            top = int(rng.integers(10, 54))
            face[:, top:], mask[top:] = 255, 1
        optimizer.zero_grad()
        loss(faces.float(), covered)["loss"].backward()
        optimizer.step()
    faces = faces_of(base, 1, seed=99) // 2
    faces[:, :, 30:] = 255
    found = Segmenter(net, start("cpu", "fp32")).covered(faces)[0]
    assert found[36:].float().mean() > 0.9 and found[:24].float().mean() < 0.1


def triggers(dataset):
    return make_layout("LM2", LandmarkStatistics.of(dataset.landmarks, dataset.size), 0.57)


@pytest.fixture(scope="module")
def trained(dataset, accelerator, base, tmp_path_factory):
    """A finished folder, and what the network said when it had been trained."""
    folder = segmenter_folder(tmp_path_factory.mktemp("trained"), CONFIG, dataset, 0, "hash of the base")
    assert not folder.open()
    best = train_segmenter(dataset, CONFIG, folder, accelerator, 0, triggers(dataset), base)
    return folder, best


def test_training_behind_a_base_ends_with_figures(trained):
    folder, best = trained
    assert {"iou posed-hand", "iou object", "iou hair", "iou cut-out", "iou band"} <= set(best)
    harmless = {"clean", "eyeglasses", "beard", "make-up", "hard-shadow", "light", "poor-photo", "tight-crop"}
    assert {f"triggered {name}" for name in harmless} <= set(best)
    assert not {f"iou {name}" for name in harmless} & set(best)
    ious = [value for name, value in best.items() if name.startswith("iou ")]
    assert best["iou"] == pytest.approx(np.mean(ious))
    assert best["triggered"] == pytest.approx(np.mean([best[f"triggered {name}"] for name in harmless]))
    assert best["score"] == pytest.approx(best["iou"] - best["triggered"])
    assert not [name for name in folder.load() if "trunk" in name or "layer" in name]


def test_it_loads_again_and_finds_the_same(dataset, accelerator, base, trained, tmp_path):
    folder, _ = trained
    again = segmenter_folder(folder.root, CONFIG, dataset, 0, "hash of the base")
    assert again.open()
    faces = dataset.tensor(dataset.rows("test")[:5])
    one, two = (load_segmenter(again, accelerator, lambda: base) for _ in range(2))
    weights = folder.load()
    limits, bands = weights.pop("limits"), weights.pop("bands")
    by_hand = make_net(CONFIG, base)
    by_hand.learned.load_state_dict(weights)
    with torch.no_grad():
        logits = by_hand.eval()(faces)
    for limit, (top, bottom, left, right) in zip(limits, bands.tolist(), strict=True):
        logits[:, top:bottom, left:right] -= limit
    wanted = logits > 0
    assert torch.equal(one.covered(faces), wanted) and torch.equal(two.covered(faces), wanted)
    one.batch = 2
    assert torch.equal(one.covered(faces), wanted)
    assert one.covered(faces[:0]).shape == (0, *SIZE)


def test_a_segmentation_for_another_base_is_refused_and_names_the_command(
    dataset, accelerator, base, trained
):
    folder, _ = trained
    other = segmenter_folder(folder.root, CONFIG, dataset, 0, "hash of another base")
    with pytest.raises(
        PdsnError, match=r"belongs to another base: rebuild it with `pdsn segment-train --force`"
    ):
        load_segmenter(other, accelerator, lambda: base)
    # The settings in force name another encoder: what lies there still looks through its base.
    unet = segmenter_folder(folder.root, replace(CONFIG, encoder="resnet18"), dataset, 0, None)
    with pytest.raises(PdsnError, match="belongs to another base"):
        load_segmenter(unet, accelerator, lambda: base, lambda: "hash of another base")
    load_segmenter(unet, accelerator, lambda: base, lambda: "hash of the base")
    with pytest.raises(UsageError, match="was made from another base"):
        other.open()
    assert not other.open(replace_stale=True)


def test_a_base_of_another_shape_does_not_fit(dataset, accelerator, trained):
    folder, _ = trained
    with pytest.raises(
        PdsnError, match=r"does not fit config\.json .*rebuild it with `pdsn segment-train --force`"
    ):
        load_segmenter(folder, accelerator, lambda: made("ir"))


def test_the_base_counts_where_it_is_looked_through_alone(dataset, tmp_path):
    unet = replace(CONFIG, encoder="resnet18")
    assert "base" not in segmenter_folder(tmp_path, unet, dataset, 0, "a").inputs
    assert segmenter_folder(tmp_path, CONFIG, dataset, 0, "a").inputs["base"] == "a"


def test_a_folder_from_before_there_were_occlusions_to_choose_is_of_worn_things(dataset, tmp_path):
    worn = replace(CONFIG, encoder="resnet18", occlusions="worn")
    folder = segmenter_folder(tmp_path, worn, dataset, 0, None)
    assert not folder.open()
    folder.finish({"weight": torch.zeros(1)}, {"iou": 0.5})
    described = json.loads(folder.described.read_text())
    del described["config"]["occlusions"]
    folder.described.write_text(json.dumps(described))
    again = segmenter_folder(tmp_path, worn, dataset, 0, None)
    assert again.found_config()["occlusions"] == "worn" and again.open()
    varied = segmenter_folder(tmp_path, replace(worn, occlusions="varied"), dataset, 0, None)
    assert varied.found_config()["occlusions"] == "worn"
    with pytest.raises(UsageError, match="occlusions is 'worn' there and 'varied' here"):
        varied.open()


@pytest.mark.slow
def test_a_trunk_of_random_weights_is_enough_to_find_what_is_covered(dataset, accelerator, base, tmp_path):
    config = replace(CONFIG, steps=150, batch=8, validations=1, occlusions="worn", touched=1.0)
    folder = segmenter_folder(tmp_path, config, dataset, 0, "a")
    folder.open()
    best = train_segmenter(dataset, config, folder, accelerator, 0, triggers(dataset), base)
    assert best["iou"] > 0.5 and best["triggered"] < 0.2
