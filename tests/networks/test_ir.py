"""ArcFace's network, its attention, and the transformer: layers as the papers write them, and shapes."""

import pytest
import torch
from timm.layers import SEModule
from torch import nn

from pdsn.networks.attention import CBAM, SqueezeExcitation
from pdsn.networks.ir import IRBlock, IRNet
from pdsn.networks.vit import ViTNet


def test_a_block_has_the_layers_of_the_paper_in_their_order():
    block = IRBlock(8, 16, 2, "cbam")
    kinds = [type(layer).__name__ for layer in block.body]
    assert kinds == ["BatchNorm2d", "Conv2d", "BatchNorm2d", "PReLU", "Conv2d", "BatchNorm2d", "CBAM"]
    assert block.body[1].stride == (1, 1) and block.body[4].stride == (2, 2)
    assert not [name for name, _ in IRBlock(8, 8, 1, "none").shortcut.named_parameters()]
    x = torch.randn(2, 8, 6, 4)
    assert torch.equal(block(x), block.prelu(block.body(x) + block.shortcut(x)))


def test_a_block_begins_as_its_shortcut():
    block, x = IRBlock(8, 8, 1, "se").eval(), torch.randn(2, 8, 6, 4)
    assert torch.equal(block(x), block.prelu(x))


def test_squeeze_and_excitation_agrees_with_timm():
    torch.manual_seed(0)
    ours, theirs = SqueezeExcitation(32, 4), SEModule(32, rd_channels=8, bias=False)
    theirs.fc1.weight.data, theirs.fc2.weight.data = ours.mlp[0].weight.data, ours.mlp[2].weight.data
    x = torch.randn(3, 32, 5, 4)
    torch.testing.assert_close(ours(x), theirs(x))


def test_cbam_by_hand():
    cbam = CBAM(2, 2)
    cbam.mlp[0].weight.data = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    cbam.mlp[2].weight.data = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
    cbam.conv.weight.data.zero_()
    cbam.conv.weight.data[0, :, 3, 3] = torch.tensor([2.0, 1.0])  # of the mean and of the maximum
    x = torch.tensor([[[[1.0, 3.0]], [[0.0, 2.0]]]])
    # The first channel has the mean 2 and the maximum 3: one weight is sigmoid(2 + 3), the other sigmoid(-5).
    weighed = x * torch.tensor([5.0, -5.0]).sigmoid().view(1, 2, 1, 1)
    cells = 2 * weighed.mean(1, keepdim=True) + weighed.amax(1, keepdim=True)
    torch.testing.assert_close(cbam(x), weighed * cells.sigmoid())


@pytest.mark.parametrize("attention", ["none", "se", "cbam"])
@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize("size", [(64, 48), (112, 112), (50, 70)])
def test_its_map_is_a_sixteenth_of_the_face(attention, stem_stride, size):
    net = IRNet(size, "ir18", attention, 8, stem_stride, 24).eval()
    faces = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    maps = net.features(faces)
    assert tuple(maps.shape[1:]) == net.map_shape == (64, -(-size[0] // 16), -(-size[1] // 16))
    assert net(faces).shape == (2, 24)


def parameters(net: nn.Module) -> int:
    return sum(one.numel() for one in net.parameters())


def test_attention_adds_what_the_papers_say():
    plain, se, cbam = (IRNet((112, 112), "ir18", kind, 64) for kind in ("none", "se", "cbam"))
    mlps = sum(2 * c * (c // 16) * 2 for c in (64, 128, 256, 512))  # two blocks a stage, two matrices each
    assert parameters(se) - parameters(plain) == mlps
    assert parameters(cbam) - parameters(se) == 8 * 2 * 49
    convolutions = [one for one in IRNet((112, 112), "ir50", width=8).modules() if isinstance(one, nn.Conv2d)]
    assert len([one for one in convolutions if one.kernel_size == (3, 3)]) == 1 + 2 * (3 + 4 + 14 + 3)


def test_a_token_of_the_transformer_is_a_cell_of_its_map():
    net = ViTNet((64, 48), width=24, depth=2, heads=3, patch=16, embedding=10).eval()
    faces = torch.randint(0, 256, (2, 3, 64, 48), dtype=torch.uint8)
    maps = net.features(faces)
    assert tuple(maps.shape[1:]) == net.map_shape == (24, 4, 3) and net(faces).shape == (2, 10)
    # Without blocks, which mix them, a patch changes its own cell alone: row 2, column 1.
    net.transformer.blocks = nn.Sequential()
    changed = faces.clone()
    changed[:, :, 32:48, 16:32] = 255 - changed[:, :, 32:48, 16:32]
    moved = (net.features(changed) - net.features(faces)).abs().amax((0, 1)) > 1e-6
    assert moved.nonzero().tolist() == [[2, 1]]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"patch": 20}, "patches of 20 pixels do not divide faces of 64x48"),
        ({"heads": 5}, "5 heads do not divide 24"),
    ],
)
def test_a_transformer_that_cannot_be_is_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        ViTNet((64, 48), width=24, **settings)
