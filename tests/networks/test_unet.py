"""The U-Net takes the weights of segmentation-models-pytorch's, and gives what that gives."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from pdsn.coverage.segmenter import SegmentationNet
from pdsn.coverage.settings import BASE, ENCODERS


@pytest.mark.parametrize("encoder", [name for name in ENCODERS if name != BASE])
def test_names_and_shapes_of_weights_are_theirs(encoder):
    with torch.device("meta"):
        theirs, ours = SegmentationNet(encoder, 32), SegmentationNet(encoder, 32, empty=True)
    assert [(name, weight.shape) for name, weight in ours.state_dict().items()] == [
        (name, weight.shape) for name, weight in theirs.state_dict().items()
    ]


@pytest.mark.parametrize("encoder", ["vgg11", "vgg13_bn", "resnet18"])
def test_logits_are_theirs(encoder):
    torch.manual_seed(0)
    theirs, ours = SegmentationNet(encoder, 32).eval(), SegmentationNet(encoder, 32, empty=True).eval()
    ours.load_state_dict(theirs.state_dict())
    faces = torch.randint(0, 256, (2, 3, 33, 47), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(ours(faces), theirs(faces))


def test_who_uses_it_waits_for_no_other_package():
    program = (
        "import sys; from pdsn.coverage.segmenter import SegmentationNet; SegmentationNet('vgg11_bn', 32, empty=True)\n"
        "print({'segmentation_models_pytorch', 'timm', 'torchvision'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
